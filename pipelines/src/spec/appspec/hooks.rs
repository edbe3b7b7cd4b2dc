//! `hooks`: which scripts run at which lifecycle event.

use crate::spec::appspec::paths::{is_on_host, parts};
use crate::spec::appspec::{FileMapping, Hook, Os};
use crate::spec::codes;
use crate::spec::decode::{Fields, Report, suggest};
use crate::spec::yaml::{Mark, Node, Value};
use crate::time::Millis;
use std::collections::BTreeMap;

/// The events that run scripts, in the order of an in-place deployment with a load balancer
/// (CodeDeploy user guide, "AppSpec 'hooks' section").
pub const SCRIPT_EVENTS: [&str; 9] = [
    "BeforeBlockTraffic",
    "AfterBlockTraffic",
    "ApplicationStop",
    "BeforeInstall",
    "AfterInstall",
    "ApplicationStart",
    "ValidateService",
    "BeforeAllowTraffic",
    "AfterAllowTraffic",
];

/// Events of Pipeyard's own, which AWS ignores: after a failed event, and when a host is brought
/// back to its previous revision.
pub const OWN_EVENTS: [&str; 2] = ["OnFailure", "OnRollback"];

/// The events that are the agent's own.
pub const RESERVED_EVENTS: [&str; 6] =
    ["Start", "BlockTraffic", "DownloadBundle", "Install", "AllowTraffic", "End"];

/// The default, and AWS's limit for all scripts of one event together.
const TIMEOUT: Millis = Millis::from_secs(3600);

pub(super) fn read(
    report: &mut Report,
    top: &mut Fields<'_>,
    os: Option<Os>,
    files: &[FileMapping],
) -> BTreeMap<String, Vec<Hook>> {
    let mut hooks = BTreeMap::new();
    let Some(node) = top.get_or_null("hooks") else { return hooks };
    if node.is_null() {
        let at = top.key_at("hooks").unwrap_or(node.at);
        report.warn(at, codes::EMPTY_SECTION, "`hooks` is empty", "remove it, or fill it");
        return hooks;
    }
    let Some(events) = Fields::open(report, node, "hooks") else { return hooks };
    // What is known to stand at the top of the bundle.
    let tops: Vec<&str> = files.iter().filter_map(|file| top_of(&file.source)).collect();
    for (event, at, node) in events.entries() {
        if RESERVED_EVENTS.contains(&event) {
            let message = format!("`{event}` is the agent's own event; scripts here never run");
            let help = match event {
                "BlockTraffic" => "write BeforeBlockTraffic or AfterBlockTraffic".to_owned(),
                "AllowTraffic" => "write BeforeAllowTraffic or AfterAllowTraffic".to_owned(),
                "Install" => "write BeforeInstall or AfterInstall".to_owned(),
                _ => format!("events that run scripts: {}", suggest::list(&SCRIPT_EVENTS)),
            };
            report.warn(at, codes::RESERVED_HOOK, message, help);
        } else if !SCRIPT_EVENTS.contains(&event) && !OWN_EVENTS.contains(&event) {
            let message = format!("there is no event `{event}`; scripts here never run");
            let help = suggest::help(event, &[&SCRIPT_EVENTS[..], &OWN_EVENTS].concat());
            report.warn(at, codes::UNKNOWN_HOOK, message, help);
        }
        let scripts = scripts(report, event, at, node, os, &tops);
        hooks.insert(event.to_owned(), scripts);
    }
    hooks
}

fn top_of(path: &str) -> Option<&str> {
    parts(path).and_then(|parts| parts.first().copied())
}

fn scripts(
    report: &mut Report,
    event: &str,
    at: Mark,
    node: &Node,
    os: Option<Os>,
    tops: &[&str],
) -> Vec<Hook> {
    let path = format!("hooks.{event}");
    let items = match &node.value {
        Value::Map(entries) if !entries.is_empty() => {
            let message = format!("`{path}` is a mapping, a list is wanted");
            report.error(node.at, codes::WRONG_TYPE, message, "put `- ` before `location`");
            return Vec::new();
        }
        Value::Scalar { text, .. } if !node.is_null() => {
            let message = format!("`{path}` is a single value, a list is wanted");
            let help = format!("write `- location: {text}` on a line of its own");
            report.error(node.at, codes::WRONG_TYPE, message, help);
            return Vec::new();
        }
        Value::Map(_) | Value::List(_) | Value::Scalar { .. } => super::items(report, node, &path),
    };
    if items.is_empty() {
        let message = format!("hook `{event}` has no scripts; it is ignored");
        report.warn(at, codes::EMPTY_HOOK, message, "add `- location: …`, or remove it");
    }
    let mut hooks = Vec::new();
    for (index, item) in items.iter().enumerate() {
        hooks.extend(hook(report, item, &format!("{path}[{index}]"), os, tops));
    }
    let stated = hooks.iter().map(|(hook, stated)| if *stated { millis(hook) } else { 0 });
    let sum: u64 = stated.fold(0, u64::saturating_add);
    if sum > TIMEOUT.0 {
        let message = format!("the timeouts of `{event}` add up to {} s", sum / 1000);
        let help = "CodeDeploy ends an event after 3600 s in all; lower them to run there too";
        report.warn(at, codes::HOOK_TIMEOUT, message, help);
    }
    hooks.into_iter().map(|(hook, _)| hook).collect()
}

fn millis(hook: &Hook) -> u64 {
    hook.timeout.map_or(0, |timeout| timeout.0)
}

/// One script, and whether its timeout is written in the file.
fn hook(
    report: &mut Report,
    node: &Node,
    path: &str,
    os: Option<Os>,
    tops: &[&str],
) -> Option<(Hook, bool)> {
    if let Some(text) = node.text().filter(|_| !node.is_null()) {
        let message = format!("`{path}` is a single value");
        report.error(node.at, codes::WRONG_TYPE, message, format!("write `- location: {text}`"));
        return None;
    }
    let mut fields = Fields::open(report, node, path)?;
    let location = fields.require(report, "location", "name a script of the bundle");
    let location =
        location.and_then(|node| location_path(report, node, &fields.join("location"), tops));
    let timeout = fields.get("timeout");
    let stated = timeout.is_some();
    let timeout = match timeout {
        None => Some(TIMEOUT),
        Some(node) => seconds(report, node, &fields.join("timeout")),
    };
    let runas = fields.get("runas").and_then(|node| {
        if os == Some(Os::Windows) {
            let help = "remove it";
            report.warn(node.at, codes::NOT_ON_WINDOWS, "Windows ignores `runas`", help);
        }
        report.word(node, &fields.join("runas"))
    });
    let sudo = fields.get("sudo").and_then(|node| report.boolean(node, &fields.join("sudo")));
    fields.finish(report);
    let hook = Hook { location: location?, timeout, runas, sudo: sudo.unwrap_or(false) };
    Some((hook, stated))
}

fn location_path(report: &mut Report, node: &Node, path: &str, tops: &[&str]) -> Option<String> {
    let text = report.word(node, path)?;
    let Some(parts) = parts(&text) else {
        let message = format!("`{path}`: '{text}' leaves the bundle");
        report.error(node.at, codes::BAD_PATH, message, "write a path inside the bundle");
        return None;
    };
    if text.contains(char::is_whitespace) {
        let message = format!("`{path}`: '{text}' is one path; nothing splits it into words");
        let help = "name a script without spaces, and call commands with arguments from it";
        report.warn(node.at, codes::BAD_PATH, message, help);
    } else if is_on_host(&text) && !top_of(&text).is_some_and(|top| tops.contains(&top)) {
        let message = format!("`{path}`: '{text}' is looked up in the bundle, not on the host");
        let help = "write the script's path from the top of the bundle";
        report.warn(node.at, codes::BAD_PATH, message, help);
    }
    // The agent takes no `..`, even one that stays inside.
    let winding = text.split(['/', '\\']).any(|part| part == "..");
    Some(if winding { parts.join("/") } else { text })
}

/// Whole seconds above zero. CodeDeploy's agents before 2.0 take the digits in front of anything;
/// where those are what was meant, they are taken here too.
fn seconds(report: &mut Report, node: &Node, path: &str) -> Option<Millis> {
    let text = report.word(node, path)?;
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let decimals = unit.strip_prefix('.').is_some_and(|zeros| zeros.bytes().all(|b| b == b'0'));
    let known = decimals || matches!(unit.trim_start(), "" | "s" | "sec" | "second" | "seconds");
    let seconds = number.parse::<u64>().ok().filter(|seconds| *seconds > 0 && known);
    if seconds.is_none() {
        let message = format!("`{path}`: '{text}' is not a number of seconds above 0");
        let help = match crate::spec::decode::duration(&text) {
            Some(duration) if duration.0 >= 1000 => format!("write {}", duration.0 / 1000),
            _ => "write 300, for example".to_owned(),
        };
        report.error(node.at, codes::BAD_NUMBER, message, help);
    } else if !unit.is_empty() {
        let message = format!("`{path}`: '{text}' is read as {number}; newer agents refuse it");
        report.warn(node.at, codes::BAD_NUMBER, message, format!("write {number}"));
    } else if let Some(octal) = super::yaml_1_1_octal(node) {
        let message = format!("`{path}`: CodeDeploy's agents before 2.0 take {text} for {octal}");
        let help = format!("write {}", number.trim_start_matches('0'));
        report.warn(node.at, codes::BAD_NUMBER, message, help);
    }
    seconds.map(Millis::from_secs)
}
