//! The top of an appspec.

use crate::spec::appspec::{Appspec, FileExists, OWN_EVENTS, Os, Platform, SCRIPT_EVENTS};
use crate::spec::decode::{self, Fields, Report};
use crate::spec::problem::Parsed;
use crate::spec::{Kind, codes};

/// Reads an appspec, all mistakes at once.
#[must_use]
pub fn parse(text: &str) -> Parsed<Appspec> {
    decode::read(Kind::Appspec, text, read)
}

pub(crate) fn read(report: &mut Report, mut top: Fields<'_>) -> Option<Appspec> {
    let version = version(report, &mut top);
    let resources = ["Resources", "resources"].iter().any(|key| top.key_at(key).is_some());
    if resources && top.key_at("os").is_none() {
        return super::resources::read(report, top, version);
    }
    let os = os(report, &mut top);
    let files = top.get("files");
    let behavior = top.get("file_exists_behavior");
    let behavior =
        behavior.and_then(|node| report.choice(node, "file_exists_behavior", &FileExists::CHOICES));
    let overwrites = behavior == Some(FileExists::Overwrite);
    let files = match files {
        Some(node) => super::files::read(report, node, os, overwrites),
        None => Vec::new(),
    };
    let permissions = match top.get("permissions") {
        Some(node) => super::permissions::read(report, node, os),
        None => Vec::new(),
    };
    if os == Some(Os::Linux) {
        super::reach::check_covered(report, &permissions, &files);
    }
    let hooks = super::hooks::read(report, &mut top, os, &files);
    if let Some(at) = top.key_at("Resources") {
        top.allow("Resources");
        let message = "`Resources` is for ECS and Lambda; it is ignored beside `os`";
        report.warn(at, codes::OTHER_PLATFORM, message, "remove it, or write a file of its own");
    }
    let answered = misplaced(report, &top);
    top.finish_except(report, &answered);
    Some(Appspec {
        version: version?,
        platform: Platform::Server,
        os: os?,
        files,
        file_exists_behavior: behavior,
        permissions: permissions.into_iter().map(|(_, permission)| permission).collect(),
        hooks,
        resources: Vec::new(),
    })
}

/// Keys at the margin that belong further in; mostly the indentation was lost.
fn misplaced<'n>(report: &mut Report, top: &Fields<'n>) -> Vec<&'n str> {
    let mut answered = Vec::new();
    for (key, at, _) in top.unknown() {
        if key == "overwrite" {
            answered.push(key);
            let message = "there is no key `overwrite`; it is ignored";
            let help = "write `file_exists_behavior: OVERWRITE`";
            report.warn(at, codes::UNKNOWN_KEY, message, help);
            continue;
        }
        let section = match key {
            "source" | "destination" => "files",
            "object" | "pattern" | "except" | "owner" | "group" | "mode" | "acls" | "context" => {
                "permissions"
            }
            "location" | "timeout" | "runas" | "sudo" => "hooks",
            event if SCRIPT_EVENTS.contains(&event) || OWN_EVENTS.contains(&event) => "hooks",
            _ => continue,
        };
        answered.push(key);
        let message = format!("`{key}` stands at the margin, where it is ignored");
        let help = format!("indent it, so that it stands below `{section}:`");
        report.warn(at, codes::MISPLACED_KEY, message, help);
    }
    answered
}

/// The agent compares with the number 0.0, so that 0 passes and a quoted "0.0" does not, although
/// the guide calls it a string. Here all three pass.
fn version(report: &mut Report, top: &mut Fields<'_>) -> Option<String> {
    let node = top.require(report, "version", "write `version: 0.0` at the top")?;
    let text = report.word(node, "version")?;
    let zero = text.parse::<f64>().is_ok_and(|number| number == 0.0) && !text.starts_with('-');
    if !zero || !text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        let message = format!("there is no appspec version '{text}'");
        report.error(node.at, codes::BAD_VERSION, message, "write `version: 0.0`");
        return None;
    }
    Some("0.0".to_owned())
}

fn os(report: &mut Report, top: &mut Fields<'_>) -> Option<Os> {
    let node = top.require(report, "os", "write `os: linux` or `os: windows`")?;
    report.choice(node, "os", &[("linux", Os::Linux), ("windows", Os::Windows)])
}
