//! Lists of glob patterns in which `!` takes away.

use crate::spec::codes;
use crate::spec::decode::Report;
use crate::spec::yaml::{Node, Value};
use globset::{GlobBuilder, GlobMatcher};
use serde::{Deserialize, Serialize};

/// `["**", "!docs/**"]`: matches what one of `include` matches and none of `exclude` does, whatever
/// their order. `*` and `?` stay within one path component, `**` crosses them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<String>", into = "Vec<String>")]
pub struct Globs {
    pub include: Vec<String>,
    pub exclude: Vec<String>,
}

impl From<Vec<String>> for Globs {
    fn from(patterns: Vec<String>) -> Self {
        let mut globs = Globs::default();
        for pattern in patterns {
            match pattern.strip_prefix('!') {
                Some(rest) => globs.exclude.push(rest.to_owned()),
                None => globs.include.push(pattern),
            }
        }
        globs
    }
}

impl From<Globs> for Vec<String> {
    fn from(globs: Globs) -> Self {
        let excludes = globs.exclude.into_iter().map(|pattern| format!("!{pattern}"));
        globs.include.into_iter().chain(excludes).collect()
    }
}

impl Globs {
    /// Exactly these texts or patterns.
    #[must_use]
    pub fn of(include: &[&str]) -> Self {
        Self { include: include.iter().map(|&text| text.to_owned()).collect(), exclude: Vec::new() }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.include.is_empty() && self.exclude.is_empty()
    }

    /// Whether `text` is meant; without includes, everything not excluded is.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let any = |patterns: &[String]| {
            patterns.iter().any(|p| compile(p).is_ok_and(|matcher| matcher.is_match(text)))
        };
        (self.include.is_empty() || any(&self.include)) && !any(&self.exclude)
    }
}

/// Compiles one pattern with the meaning every glob has in Pipeyard.
pub(crate) fn compile(pattern: &str) -> Result<GlobMatcher, globset::Error> {
    let glob = GlobBuilder::new(pattern).literal_separator(true).backslash_escape(true).build()?;
    Ok(glob.compile_matcher())
}

impl Report {
    /// A list of patterns; one pattern may stand without a list.
    pub(crate) fn globs(&mut self, node: &Node, path: &str) -> Globs {
        let texts: Vec<(&Node, String)> = match node.text().filter(|_| !node.is_null()) {
            Some(_) => self.word(node, path).map(|text| (node, text)).into_iter().collect(),
            None => self
                .short_list(node, path)
                .iter()
                .filter_map(|item| Some((item, self.word(item, path)?)))
                .collect(),
        };
        let mut globs = Globs::default();
        for (node, text) in texts {
            let (list, pattern) = match text.strip_prefix('!') {
                Some(rest) => (&mut globs.exclude, rest),
                None => (&mut globs.include, text.as_str()),
            };
            if self.glob(node, path, pattern) {
                list.push(pattern.to_owned());
            }
        }
        if matches!(&node.value, Value::List(items) if items.is_empty()) {
            let message = format!("`{path}` is empty");
            self.error(node.at, codes::MISSING_KEY, message, "leave it out to mean everything");
        }
        self.dead_excludes(node, path, &globs);
        let swallowed = globs.exclude.iter().any(|p| p == "**")
            || !globs.include.is_empty() && globs.include.iter().all(|p| globs.exclude.contains(p));
        if swallowed {
            let message = format!("`{path}` can match nothing: everything in it is excluded");
            self.error(node.at, codes::DEAD_GLOB, message, "remove the `!` pattern that takes all");
        }
        globs
    }

    /// A `!` pattern takes away from what is written out, and none of that is among it.
    fn dead_excludes(&mut self, node: &Node, path: &str, globs: &Globs) {
        let plain = |text: &String| !text.contains(['*', '?', '[', '{', '\\']);
        if globs.include.is_empty() || !globs.include.iter().all(plain) {
            return;
        }
        for pattern in &globs.exclude {
            let Ok(matcher) = compile(pattern) else { continue };
            if !globs.include.iter().any(|text| matcher.is_match(text)) {
                let message = format!("`{path}`: '!{pattern}' takes nothing away");
                let help = "remove it: only what is listed is meant";
                self.warn(node.at, codes::DEAD_GLOB, message, help);
            }
        }
    }

    /// Whether `pattern` can be used; says why not.
    pub(crate) fn glob(&mut self, node: &Node, path: &str, pattern: &str) -> bool {
        if let Err(error) = compile(pattern) {
            let message = format!("`{path}`: '{pattern}' is not a pattern: {}", error.kind());
            let help = "close every `[` and `{`, or write `\\[` for the character itself";
            self.error(node.at, codes::BAD_GLOB, message, help);
            return false;
        }
        let dead = if pattern.is_empty() {
            Some("it is empty")
        } else if pattern.starts_with('/') || pattern.starts_with("./") {
            Some("names here are relative, without a leading `/` or `./`")
        } else if pattern.split('/').any(|part| part == "..") {
            Some("`..` leaves the repository")
        } else if pattern.contains("//") {
            Some("no name holds `//`")
        } else if pattern.ends_with('/') {
            Some("no name ends in `/`; write `/**` for everything below")
        } else {
            None
        };
        if let Some(why) = dead {
            let message = format!("`{path}`: '{pattern}' can match nothing: {why}");
            let better = pattern.trim_start_matches("./").trim_matches('/');
            let help = if pattern.ends_with('/') {
                format!("write '{better}/**'")
            } else {
                format!("write '{better}'")
            };
            self.error(node.at, codes::DEAD_GLOB, message, help);
        }
        dead.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stays_in_its_directory_and_two_cross() {
        assert!(Globs::of(&["*.rs"]).matches("a.rs"));
        assert!(!Globs::of(&["*.rs"]).matches("src/a.rs"));
        assert!(Globs::of(&["**/*.rs"]).matches("a.rs"));
        assert!(Globs::of(&["**/*.rs"]).matches("src/b/a.rs"));
        assert!(Globs::of(&["release/*"]).matches("release/1"));
        assert!(!Globs::of(&["release/*"]).matches("release/1/2"));
    }

    #[test]
    fn excludes_win_and_no_include_means_everything() {
        let globs = Globs { include: Vec::new(), exclude: vec!["docs/**".to_owned()] };
        assert!(globs.matches("src/main.rs"));
        assert!(!globs.matches("docs/a/b.md"));
        assert!(Globs::default().matches("anything"));
    }
}
