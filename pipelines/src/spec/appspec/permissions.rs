//! `permissions`: owners, modes, ACLs and SELinux contexts, on Linux.

use crate::spec::appspec::paths::{fits, is_file};
use crate::spec::appspec::reach::Placed;
use crate::spec::appspec::{Acl, Context, Os, Permission, PermissionType, mode};
use crate::spec::codes;
use crate::spec::decode::{Fields, Report};
use crate::spec::yaml::{Mark, Node};

pub(super) fn read(report: &mut Report, node: &Node, os: Option<Os>) -> Vec<Placed> {
    let items = super::items(report, node, "permissions");
    if os == Some(Os::Windows) && !items.is_empty() {
        let message = "`permissions` fails every deployment on Windows";
        report.error(node.at, codes::NOT_ON_WINDOWS, message, "remove the section");
    }
    let mut permissions = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let path = format!("permissions[{index}]");
        permissions.extend(permission(report, item, &path).map(|read| (item.at, read)));
    }
    super::reach::check_overlaps(report, &permissions);
    permissions
}

fn permission(report: &mut Report, node: &Node, path: &str) -> Option<Permission> {
    let mut fields = Fields::open(report, node, path)?;
    let object = fields.require(report, "object", "write the absolute path it is about");
    let object = object.and_then(|node| object_path(report, node, &fields.join("object")));
    let pattern_at = fields.get("pattern");
    let pattern = pattern_at.and_then(|node| pattern_text(report, node, &fields.join("pattern")));
    let pattern = pattern.unwrap_or_else(|| "**".to_owned());
    let except_at = fields.get("except");
    let except = match except_at {
        Some(node) => except(report, node, &fields.join("except"), &pattern),
        None => Vec::new(),
    };
    let types = fields.get("type").map(|node| types(report, node, &fields.join("type")));
    let types = types.unwrap_or_else(|| vec![PermissionType::File, PermissionType::Directory]);
    let mut word = |report: &mut Report, key| {
        let node = fields.get(key)?;
        report.word(node, &fields.join(key))
    };
    let owner = word(report, "owner");
    let group = word(report, "group");
    let mode = fields.get("mode").and_then(|node| {
        let mode = mode::read(report, node, &fields.join("mode"))?;
        if owner.is_some() && types.contains(&PermissionType::File) {
            mode::check_owned(report, node, mode);
        }
        Some(mode)
    });
    let acls = match fields.get("acls") {
        Some(node) => acls(report, node, &fields.join("acls"), &types),
        None => Vec::new(),
    };
    let context = fields.get("context");
    let context = context.and_then(|node| Context::read(report, node, &fields.join("context")));
    let effect = ["owner", "group", "mode", "acls", "context"];
    if !effect.iter().any(|key| fields.key_at(key).is_some()) {
        let message = format!("`{path}` changes nothing");
        report.warn(fields.at, codes::IGNORED_KEY, message, "add owner, group, mode or acls");
    }
    fields.finish(report);
    let permission =
        Permission { object: object?, pattern, except, types, owner, group, mode, acls, context };
    let narrowed = pattern_at.filter(|_| permission.pattern != "**").or(except_at);
    if let Some(node) = narrowed {
        check_directory(report, node.at, &permission);
    }
    Some(permission)
}

fn object_path(report: &mut Report, node: &Node, path: &str) -> Option<String> {
    let text = report.word(node, path)?;
    if !text.starts_with('/') {
        let message = format!("`{path}`: '{text}' is not absolute, so it matches nothing");
        report.warn(node.at, codes::BAD_PATH, message, "write a path that starts with `/`");
    } else if let Some((directory, name)) = text.rsplit_once('/')
        && text.contains('*')
    {
        let message = format!("`{path}`: '{text}' is taken literally, so it matches nothing");
        let help = format!("write `object: {directory}` and `pattern: \"{name}\"`");
        report.warn(node.at, codes::BAD_PATTERN, message, help);
    }
    Some(text)
}

/// `pattern` and `except` choose among what is in a directory; for a file both agents refuse them.
fn check_directory(report: &mut Report, at: Mark, permission: &Permission) {
    if is_file(&permission.object) && permission.types.contains(&PermissionType::File) {
        let message = format!(
            "'{}' looks like a file, and `pattern` and `except` are for directories",
            permission.object
        );
        let help = "CodeDeploy fails the deployment of a file with them; remove both";
        report.warn(at, codes::BAD_PATTERN, message, help);
    }
}

/// `**` is everything below; any other pattern knows only `*`, and only names directly in the
/// object (the agent's code; the guide says less).
fn pattern_text(report: &mut Report, node: &Node, path: &str) -> Option<String> {
    let text = report.word(node, path)?;
    if text != "**" {
        check_name(report, node.at, &text, path);
    }
    Some(text)
}

/// Whether names of files can fit it at all.
fn check_name(report: &mut Report, at: Mark, text: &str, path: &str) -> bool {
    if text.contains('/') {
        let message = format!("`{path}`: '{text}' matches nothing: names have no `/`");
        let help = "write `**` for all below, or a pattern for names directly in the object";
        report.warn(at, codes::BAD_PATTERN, message, help);
    } else if text.trim().is_empty() {
        let message = format!("`{path}`: an empty text matches nothing");
        report.warn(at, codes::BAD_PATTERN, message, "write a name or a pattern of names");
    } else if text.contains(['?', '[', '{']) {
        let message = format!("`{path}`: in '{text}' only `*` is special");
        report.warn(at, codes::BAD_PATTERN, message, "write one entry for each name");
    } else {
        return true;
    }
    false
}

fn except(report: &mut Report, node: &Node, path: &str, pattern: &str) -> Vec<String> {
    let mut texts = Vec::new();
    for (index, item) in list(report, node, path).iter().enumerate() {
        let path = format!("{path}[{index}]");
        let Some(text) = report.text(item, &path) else { continue };
        let name = check_name(report, item.at, &text, &path);
        if name && pattern != "**" && !text.contains('*') && !fits(&text, pattern) {
            let message = format!("`{path}`: '{text}' takes nothing out of '{pattern}'");
            report.warn(item.at, codes::BAD_PATTERN, message, "remove it");
        }
        texts.push(text);
    }
    texts
}

/// The items of a list. A text alone fails the deployment, however plain its meaning is.
fn list<'n>(report: &mut Report, node: &'n Node, path: &str) -> &'n [Node] {
    let Some(text) = node.text().filter(|_| !node.is_null()) else {
        return report.list(node, path);
    };
    let key = path.rsplit('.').next().unwrap_or(path);
    let message = format!("`{path}` is a single value, a list is wanted");
    report.error(node.at, codes::WRONG_TYPE, message, format!("write `{key}: [{text}]`"));
    &[]
}

fn types(report: &mut Report, node: &Node, path: &str) -> Vec<PermissionType> {
    let choices = [("file", PermissionType::File), ("directory", PermissionType::Directory)];
    let items = list(report, node, path);
    let mut types = Vec::new();
    for item in items {
        match report.choice(item, path, &choices) {
            Some(kind) if !types.contains(&kind) => types.push(kind),
            Some(_) | None => {}
        }
    }
    types
}

fn acls(report: &mut Report, node: &Node, path: &str, types: &[PermissionType]) -> Vec<Acl> {
    let mut acls = Vec::new();
    for (index, item) in list(report, node, path).iter().enumerate() {
        let path = format!("{path}[{index}]");
        let Some(text) = report.word(item, &path) else { continue };
        let acl = match text.parse::<Acl>() {
            Ok(acl) => acl,
            Err(error) => {
                let message = format!("`{path}`: '{text}' is not an ACL entry: {error}");
                let help = "write `u:deploy:rwx`, `g:web:r-x`, `d:u:deploy:rw-` or `m::rx`";
                report.error(item.at, codes::BAD_ACL, message, help);
                continue;
            }
        };
        let help = "give it an entry of its own with `type: [directory]`";
        if acl.default && types == [PermissionType::File] {
            let message = format!("`{path}`: a file cannot have the default ACL '{text}'");
            report.error(item.at, codes::BAD_ACL, message, help);
        } else if acl.default && types.contains(&PermissionType::File) {
            // Agents before 2.0 find out only when there is a file.
            let message = format!("`{path}`: the default ACL '{text}' fails on the first file");
            report.warn(item.at, codes::BAD_ACL, message, help);
        } else if Acl::is_short(&text) {
            let message = format!("`{path}`: '{text}' means '{acl}'; newer agents refuse it so");
            report.warn(item.at, codes::BAD_ACL, message, format!("write `{acl}`"));
        }
        acls.push(acl);
    }
    acls
}
