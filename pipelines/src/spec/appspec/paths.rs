//! Paths as they are written, compared without a bundle or a host to look at.

/// Endings that only files have in practice. Not `war`, which is often an unpacked directory, nor
/// `d`: being wrong about `conf.d` would warn of a right file.
const FILE_ENDINGS: [&str; 36] = [
    "bat",
    "cfg",
    "cmd",
    "conf",
    "config",
    "cron",
    "crt",
    "css",
    "env",
    "gz",
    "htm",
    "html",
    "ini",
    "jar",
    "js",
    "json",
    "key",
    "md",
    "pem",
    "php",
    "properties",
    "ps1",
    "py",
    "rb",
    "rpm",
    "service",
    "sh",
    "socket",
    "sql",
    "tar",
    "tgz",
    "timer",
    "toml",
    "txt",
    "yaml",
    "yml",
];

/// Comparing each with each costs, and nobody writes as many: entries beyond are not compared.
pub(super) const COMPARED_MAX: usize = 500;

/// Longer paths are not compared either.
const PARTS_MAX: usize = 64;

/// The longest name a file can have.
const NAME_MAX: usize = 255;

/// Well-known directories of a Linux host.
const HOST_PLACES: [&str; 8] = ["etc", "home", "opt", "root", "srv", "tmp", "usr", "var"];

/// What stands between the slashes, `.` left out and `..` followed; none when it leads out at the
/// top.
pub(super) fn parts(path: &str) -> Option<Vec<&str>> {
    let mut parts = Vec::new();
    for part in path.split(['/', '\\']) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts)
}

/// As [`parts`], for comparing many.
pub(super) fn modest(path: &str) -> Option<Vec<&str>> {
    parts(path).filter(|parts| parts.len() <= PARTS_MAX)
}

/// Whether a path can only be that of a file. One that ends in a slash is a directory's.
pub(super) fn is_file(path: &str) -> bool {
    let name = path.rsplit(['/', '\\']).next();
    name.and_then(|name| name.rsplit_once('.')).is_some_and(|(_, ending)| {
        FILE_ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known))
    })
}

/// Whether a path that is absolute means a place on a host, rather than one in the bundle written
/// with a slash in front.
pub(super) fn is_on_host(path: &str) -> bool {
    let drive = path.as_bytes().get(1) == Some(&b':');
    let first = path.strip_prefix('/').and_then(|rest| rest.split('/').next());
    drive || first.is_some_and(|first| HOST_PLACES.contains(&first))
}

/// Whether a name fits a pattern in which only `*` is special, as the agent has it.
pub(super) fn fits(name: &str, pattern: &str) -> bool {
    if name.len() > NAME_MAX || pattern.len() > NAME_MAX {
        return false;
    }
    let Some((start, rest)) = pattern.split_once('*') else { return name == pattern };
    let Some(mut left) = name.strip_prefix(start) else { return false };
    // What stands behind the last star has to be at the end.
    let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    let Some(before) = left.strip_suffix(end) else { return false };
    left = before;
    middle.split('*').all(|piece| match left.split_once(piece) {
        Some((_, after)) => {
            left = after;
            true
        }
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_are_followed_and_may_not_lead_out() {
        assert_eq!(parts("/"), Some(vec![]));
        assert_eq!(parts("./a//b/"), Some(vec!["a", "b"]));
        assert_eq!(parts("a/../b"), Some(vec!["b"]));
        assert_eq!(parts("a\\b"), Some(vec!["a", "b"]));
        assert_eq!(parts("a/../../b"), None);
        assert_eq!(parts("/.."), None);
    }

    #[test]
    fn files_are_told_by_their_ending() {
        let paths = [("a/x.Conf", true), ("conf.d", false), ("x", false), ("a.sh/", false)];
        for (path, file) in paths {
            assert_eq!(is_file(path), file, "{path}");
        }
    }

    #[test]
    fn only_the_star_is_special() {
        for (name, pattern) in [("a.sh", "*.sh"), ("a.sh", "*"), ("abc", "a*b*c"), ("a", "a**")] {
            assert!(fits(name, pattern), "{name} {pattern}");
        }
        for (name, pattern) in [("a.py", "*.sh"), ("ab", "a"), ("a", "a*a"), ("abc", "*d*")] {
            assert!(!fits(name, pattern), "{name} {pattern}");
        }
    }
}
