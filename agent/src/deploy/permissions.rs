//! The appspec's `permissions`: which of the planned paths they are about, and how they are set.

use super::group::Kind;
use super::handle::Handle;
use super::plan::{Plan, Problem};
use globset::{GlobBuilder, GlobMatcher};
use nix::unistd::{Gid, Group, Uid, User};
use pipelines::protocol::report::ErrorCode;
use pipelines::spec::appspec::{AclKind, Context, Permission, PermissionType};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What one path gets.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Attributes {
    pub owner: Option<u32>,
    pub group: Option<u32>,
    pub mode: Option<u32>,
    /// In setfacl's words.
    pub acls: Vec<String>,
    pub context: Option<Context>,
}

/// Gives each planned path what the appspec says about it.
pub fn assign(permissions: &[Permission], plan: &mut Plan, problems: &mut Vec<Problem>) {
    for permission in permissions {
        let (attributes, wrong) = resolve(permission);
        problems.extend(wrong);
        let object: PathBuf = Path::new(&permission.object).components().collect();
        let paths = match meant(permission, &object, plan) {
            Ok(paths) => paths,
            Err(text) => {
                problems.push(Problem::new(ErrorCode::AppspecInvalid, text));
                continue;
            }
        };
        if paths.is_empty() {
            let text = format!("permissions for {}: nothing that is installed", object.display());
            plan.warnings.push(text);
        }
        for path in paths {
            let default_acl = permission.acls.iter().any(|acl| acl.default);
            if default_acl && plan.items.contains_key(&path) {
                let text = format!("{} is a file and cannot have a default ACL", path.display());
                problems.push(Problem::new(ErrorCode::AppspecInvalid, text));
            }
            if plan.attributes.insert(path.clone(), attributes.clone()).is_some() {
                let text = format!("{} has two entries in permissions", path.display());
                problems.push(Problem::new(ErrorCode::AppspecInvalid, text));
            }
        }
    }
}

/// The planned paths that an entry is about.
fn meant(permission: &Permission, object: &Path, plan: &Plan) -> Result<BTreeSet<PathBuf>, String> {
    let types = |kind| permission.types.contains(&kind);
    if plan.items.contains_key(object) && types(PermissionType::File) {
        if permission.pattern != "**" || !permission.except.is_empty() {
            let shown = object.display();
            return Err(format!("{shown} is a file: 'pattern' and 'except' are for directories"));
        }
        return Ok(BTreeSet::from([object.to_owned()]));
    }
    let pattern = star(&permission.pattern)?;
    let except: Vec<GlobMatcher> =
        permission.except.iter().map(|text| star(text)).collect::<Result<_, _>>()?;
    let wanted = |path: &&PathBuf| {
        path.strip_prefix(object).is_ok_and(|below| {
            !below.as_os_str().is_empty()
                && pattern.is_match(below)
                && !except.iter().any(|e| e.is_match(below))
        })
    };
    let files = plan.items.keys().filter(|_| types(PermissionType::File));
    let ours = plan.directories.iter().filter(|(_, directory)| directory.ours);
    let directories = ours.map(|(path, _)| path).filter(|_| types(PermissionType::Directory));
    Ok(files.chain(directories).filter(wanted).cloned().collect())
}

/// `**` is everything below; in all others only `*` is special, and it stays in one component.
fn star(text: &str) -> Result<GlobMatcher, String> {
    let plain: Vec<String> = text.split('*').map(globset::escape).collect();
    let glob = GlobBuilder::new(&plain.join("*")).literal_separator(true).build();
    glob.map(|g| g.compile_matcher()).map_err(|e| format!("permissions: '{text}': {e}"))
}

fn resolve(permission: &Permission) -> (Attributes, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut known = |kind: &str, name: &str, id: io::Result<Option<u32>>| {
        let why = match id {
            Ok(Some(id)) => return Some(id),
            Ok(None) => format!("there is no {kind} '{name}' on this host"),
            Err(e) => format!("looking up {kind} '{name}': {e}"),
        };
        let text = format!("permissions for {}: {why}", permission.object);
        problems.push(Problem::new(ErrorCode::AppspecInvalid, text));
        None
    };
    let owner = permission.owner.as_deref().and_then(|n| known("user", n, user(n)));
    let group = permission.group.as_deref().and_then(|n| known("group", n, self::group(n)));
    for acl in &permission.acls {
        match acl.kind {
            // Those of whoever will own what is created.
            _ if acl.name.is_empty() => {}
            AclKind::User => drop(known("user", &acl.name, user(&acl.name))),
            AclKind::Group => drop(known("group", &acl.name, self::group(&acl.name))),
            AclKind::Mask | AclKind::Other => {}
        }
    }
    let acls = permission.acls.iter().map(ToString::to_string).collect();
    let (mode, context) = (permission.mode, permission.context.clone());
    (Attributes { owner, group, mode, acls, context }, problems)
}

fn user(name: &str) -> io::Result<Option<u32>> {
    if let Ok(number) = name.parse() {
        return Ok(Some(number));
    }
    Ok(User::from_name(name)?.map(|user| Uid::as_raw(user.uid)))
}

fn group(name: &str) -> io::Result<Option<u32>> {
    if let Ok(number) = name.parse() {
        return Ok(Some(number));
    }
    Ok(Group::from_name(name)?.map(|group| Gid::as_raw(group.gid)))
}

/// Whether SELinux is at work on this host.
#[must_use]
pub fn selinux() -> bool {
    Path::new("/sys/fs/selinux/enforce").exists()
}

impl Attributes {
    /// Sets them on a file or directory; on a link, only whose it is.
    ///
    /// # Errors
    /// When one of them cannot be set.
    pub fn apply(&self, to: &Handle<'_>) -> io::Result<()> {
        // The owner first: the kernel takes the setuid bit away when the owner changes.
        if self.owner.is_some() || self.group.is_some() {
            to.chown(self.owner, self.group)?;
        }
        if to.kind == Kind::Link {
            return Ok(());
        }
        if let Some(mode) = self.mode {
            to.chmod(mode)?;
        }
        if !self.acls.is_empty() {
            let entries = self.acls.join(",");
            let words = ["-b", "-m", &entries, "--"].map(OsStr::new);
            command("setfacl", &words, &to.path())?;
        }
        match &self.context {
            Some(context) if selinux() => change_context(context, &to.path()),
            Some(_) | None => Ok(()),
        }
    }
}

fn change_context(context: &Context, path: &Path) -> io::Result<()> {
    let mut words = vec!["-t", &context.r#type];
    if let Some(user) = &context.user {
        words.extend(["-u", user]);
    }
    if let Some(range) = &context.range {
        words.extend(["-l", range]);
    }
    words.push("--");
    command("chcon", &words.into_iter().map(OsStr::new).collect::<Vec<_>>(), path)
}

fn command(program: &str, words: &[&OsStr], path: &Path) -> io::Result<()> {
    let output = Command::new(program)
        .args(words)
        .arg(path)
        .stdin(Stdio::null())
        .output()
        .map_err(|e| io::Error::new(e.kind(), format!("{program}: {e}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{program}: {}", said.trim())))
}

#[cfg(test)]
mod tests {
    use super::super::plan::{Directory, Item};
    use super::*;

    fn plan() -> Plan {
        let mut plan = Plan::default();
        for path in ["/a/x.sh", "/a/y.txt", "/a/sub/x.sh"] {
            let item = Item { source: "s".into(), kind: Kind::File, size: 0, replaces: false };
            plan.items.insert(path.into(), item);
        }
        for (path, ours) in [("/a", true), ("/a/sub", true), ("/a/kept", false)] {
            plan.directories.insert(path.into(), Directory { exists: false, ours });
        }
        plan
    }

    fn entry(yaml: &str) -> Permission {
        let text = format!(
            "version: 0.0\nos: linux\nfiles:\n  - source: a\n    destination: /a\n\
             permissions:\n  - {yaml}\n"
        );
        let parsed = pipelines::spec::appspec::parse(&text);
        assert!(parsed.value.is_some(), "{:?}", parsed.problems);
        parsed.value.unwrap().permissions.remove(0)
    }

    #[track_caller]
    fn check(yaml: &str, expected: &[&str]) {
        let permission = entry(yaml);
        let (mut plan, mut problems) = (plan(), Vec::new());
        assign(&[permission], &mut plan, &mut problems);
        assert_eq!(problems, []);
        let paths: Vec<&str> = plan.attributes.keys().map(|p| p.to_str().unwrap()).collect();
        assert_eq!(paths, expected, "{yaml}");
    }

    #[test]
    fn patterns_mean_what_codedeploy_means() {
        check("{object: /a, mode: 755}", &["/a/sub", "/a/sub/x.sh", "/a/x.sh", "/a/y.txt"]);
        check("{object: /a, mode: 755, type: [directory]}", &["/a/sub"]);
        check("{object: /a, mode: 755, pattern: '*.sh'}", &["/a/x.sh"]);
        check(
            "{object: /a/, mode: 755, type: [file], except: ['x.sh']}",
            &["/a/sub/x.sh", "/a/y.txt"],
        );
        check("{object: /a/y.txt, mode: 755}", &["/a/y.txt"]);
        check("{object: /b, mode: 755}", &[]);
    }

    #[test]
    fn what_cannot_be_done_is_found_while_planning() {
        let cases = [
            ("{object: /a/y.txt, mode: 600, pattern: 'y*'}", "is a file"),
            ("{object: /a, owner: no-such-user-here}", "no user"),
            ("{object: /a, group: no-such-group-here}", "no group"),
            ("{object: /a, acls: ['d:u:root:rwx']}", "default ACL"),
        ];
        for (yaml, expected) in cases {
            let (mut plan, mut problems) = (plan(), Vec::new());
            assign(&[entry(yaml)], &mut plan, &mut problems);
            assert!(problems.iter().any(|p| p.text.contains(expected)), "{yaml}: {problems:?}");
        }
        let twice = [entry("{object: /a, mode: 600}"), entry("{object: /a/x.sh, mode: 700}")];
        let (mut plan, mut problems) = (plan(), Vec::new());
        assign(&twice, &mut plan, &mut problems);
        assert_eq!(problems.len(), 1);
    }
}
