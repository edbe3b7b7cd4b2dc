//! `permissions`: owners, modes, ACLs and SELinux contexts, on Linux.

use crate::spec::appspec::{Acl, Context, Os, Permission, PermissionType};
use crate::spec::codes;
use crate::spec::decode::{Fields, Report};
use crate::spec::yaml::Node;

pub(super) fn read(report: &mut Report, node: &Node, os: Option<Os>) -> Vec<Permission> {
    let items = report.list(node, "permissions");
    if os == Some(Os::Windows) && !items.is_empty() {
        let message = "`permissions` fails every deployment on Windows";
        report.error(node.at, codes::NOT_ON_WINDOWS, message, "remove the section");
    }
    let mut permissions: Vec<Permission> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let path = format!("permissions[{index}]");
        let Some(permission) = permission(report, item, &path) else { continue };
        let twin = permissions.iter().any(|other| {
            other.object.trim_end_matches('/') == permission.object.trim_end_matches('/')
                && other.pattern == permission.pattern
                && other.types.iter().any(|kind| permission.types.contains(kind))
                && other.except == permission.except
        });
        if twin {
            let message = format!("'{}' has two entries; the deployment fails", permission.object);
            let help = "merge them, or let them differ in `pattern` or `type`";
            report.warn(item.at, codes::DUPLICATE_PERMISSION, message, help);
        }
        permissions.push(permission);
    }
    permissions
}

fn permission(report: &mut Report, node: &Node, path: &str) -> Option<Permission> {
    let mut fields = Fields::open(report, node, path)?;
    let object = fields.require(report, "object", "write the absolute path it is about");
    let object = object.and_then(|node| object_path(report, node, &fields.join("object")));
    let pattern = fields.get("pattern");
    let pattern = pattern.and_then(|node| pattern_text(report, node, &fields.join("pattern")));
    let except = match fields.get("except") {
        Some(node) => except(report, node, &fields.join("except")),
        None => Vec::new(),
    };
    let types = fields.get("type").map(|node| types(report, node, &fields.join("type")));
    let mut word = |report: &mut Report, key| {
        let node = fields.get(key)?;
        report.word(node, &fields.join(key))
    };
    let owner = word(report, "owner");
    let group = word(report, "group");
    let mode = fields.get("mode").map(|node| (node, mode(report, node, &fields.join("mode"))));
    let acls = match fields.get("acls") {
        Some(node) => acls(report, node, &fields.join("acls")),
        None => Vec::new(),
    };
    let context = fields.get("context");
    let context = context.and_then(|node| Context::read(report, node, &fields.join("context")));
    if let (Some((node, Some(mode))), Some(_)) = (&mode, &owner)
        && mode & 0o6000 != 0
    {
        let message = "setting an owner after the mode clears the setuid and setgid bits";
        report.warn(node.at, codes::BAD_MODE, message, "set the bit in an AfterInstall script");
    }
    let at = fields.at;
    let effect = ["owner", "group", "mode", "acls", "context"];
    if !effect.iter().any(|key| fields.key_at(key).is_some()) {
        let message = format!("`{path}` changes nothing");
        report.warn(at, codes::IGNORED_KEY, message, "add owner, group, mode, acls or context");
    }
    fields.finish(report);
    Some(Permission {
        object: object?,
        pattern: pattern.unwrap_or_else(|| "**".to_owned()),
        except,
        types: types.unwrap_or_else(|| vec![PermissionType::File, PermissionType::Directory]),
        owner,
        group,
        mode: mode.and_then(|(_, mode)| mode),
        acls,
        context,
    })
}

fn object_path(report: &mut Report, node: &Node, path: &str) -> Option<String> {
    let text = report.word(node, path)?;
    if !text.starts_with('/') {
        let message = format!("`{path}`: '{text}' is not absolute, so it matches nothing");
        report.warn(node.at, codes::BAD_PATH, message, "write a path that starts with `/`");
    }
    Some(text)
}

/// `**` is everything below; any other pattern knows only `*`, and only names directly in the
/// object (the agent's code; the guide says less).
fn pattern_text(report: &mut Report, node: &Node, path: &str) -> Option<String> {
    let text = report.word(node, path)?;
    if text != "**" && text.contains('/') {
        let message = format!("`{path}`: '{text}' matches nothing: names have no `/`");
        let help = "write `**`, or a pattern for names directly in the object";
        report.warn(node.at, codes::BAD_PATTERN, message, help);
    } else if text != "**" && text.contains(['?', '[', '{']) {
        let message = format!("`{path}`: in '{text}' only `*` is special");
        report.warn(node.at, codes::BAD_PATTERN, message, "write one entry for each name");
    }
    Some(text)
}

fn except(report: &mut Report, node: &Node, path: &str) -> Vec<String> {
    let texts = report.texts_or_text(node, path);
    for text in &texts {
        if text.contains('/') || text.trim().is_empty() {
            let message = format!("`{path}`: '{text}' matches nothing: names have no `/`");
            report.warn(node.at, codes::BAD_PATTERN, message, "write a name or a pattern of names");
        }
    }
    texts
}

fn types(report: &mut Report, node: &Node, path: &str) -> Vec<PermissionType> {
    let choices = [("file", PermissionType::File), ("directory", PermissionType::Directory)];
    let items = match node.text() {
        // The agent wants a list; the guide's own example shows one.
        Some(_) => {
            report.texts_or_text(node, path);
            std::slice::from_ref(node)
        }
        None => report.list(node, path),
    };
    let mut types = Vec::new();
    for item in items {
        match report.choice(item, path, &choices) {
            Some(kind) if !types.contains(&kind) => types.push(kind),
            Some(_) | None => {}
        }
    }
    types
}

/// One to four octal digits, as text: `0644` is never the decimal number 644 nor 420.
fn mode(report: &mut Report, node: &Node, path: &str) -> Option<u32> {
    let text = report.word(node, path)?;
    let octal = (1..=4).contains(&text.len()) && text.bytes().all(|b| matches!(b, b'0'..=b'7'));
    if !octal {
        let message = format!("`{path}`: '{text}' is not one to four octal digits");
        report.error(node.at, codes::BAD_MODE, message, "write 644 or 0755, for example");
        return None;
    }
    u32::from_str_radix(&text, 8).ok()
}

fn acls(report: &mut Report, node: &Node, path: &str) -> Vec<Acl> {
    let mut acls = Vec::new();
    for (index, item) in report.list(node, path).iter().enumerate() {
        let path = format!("{path}[{index}]");
        let Some(text) = report.word(item, &path) else { continue };
        match text.parse::<Acl>() {
            Ok(acl) => acls.push(acl),
            Err(error) => {
                let message = format!("`{path}`: '{text}' is not an ACL entry: {error}");
                let help = "write `u:deploy:rwx`, `g:web:r-x`, `d:u:deploy:rw-` or `m::rx`";
                report.error(item.at, codes::BAD_ACL, message, help);
            }
        }
    }
    acls
}
