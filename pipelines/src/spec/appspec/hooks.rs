//! `hooks`: which scripts run at which lifecycle event.

use crate::spec::appspec::{Hook, Os};
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

/// The events that are the agent's own.
pub const RESERVED_EVENTS: [&str; 6] =
    ["Start", "BlockTraffic", "DownloadBundle", "Install", "AllowTraffic", "End"];

/// The default, and AWS's limit for all scripts of one event together.
const TIMEOUT: Millis = Millis::from_secs(3600);

pub(super) fn read(
    report: &mut Report,
    top: &mut Fields<'_>,
    os: Option<Os>,
) -> BTreeMap<String, Vec<Hook>> {
    let mut hooks = BTreeMap::new();
    let Some(node) = top.get_or_null("hooks") else { return hooks };
    if node.is_null() {
        let at = top.key_at("hooks").unwrap_or(node.at);
        report.warn(at, codes::EMPTY_SECTION, "`hooks` is empty", "remove it, or fill it");
        return hooks;
    }
    let Some(events) = Fields::open(report, node, "hooks") else { return hooks };
    for (event, at, node) in events.entries() {
        if RESERVED_EVENTS.contains(&event) {
            let message = format!("`{event}` is the agent's own event; scripts here never run");
            let help = match event {
                "BlockTraffic" => "write BeforeBlockTraffic or AfterBlockTraffic".to_owned(),
                "AllowTraffic" => "write BeforeAllowTraffic or AfterAllowTraffic".to_owned(),
                _ => format!("scripts may have: {}", suggest::list(&SCRIPT_EVENTS)),
            };
            report.warn(at, codes::RESERVED_HOOK, message, help);
        } else if !SCRIPT_EVENTS.contains(&event) {
            let message = format!("there is no event `{event}`; scripts here never run");
            let help = suggest::help(event, &SCRIPT_EVENTS);
            report.warn(at, codes::UNKNOWN_HOOK, message, help);
        }
        let scripts = scripts(report, event, at, node, os);
        hooks.insert(event.to_owned(), scripts);
    }
    hooks
}

fn scripts(report: &mut Report, event: &str, at: Mark, node: &Node, os: Option<Os>) -> Vec<Hook> {
    let path = format!("hooks.{event}");
    let items = match &node.value {
        Value::Map(_) => {
            let message = format!("`{path}` is a mapping, a list is wanted");
            report.error(node.at, codes::WRONG_TYPE, message, "put `- ` before `location`");
            return Vec::new();
        }
        Value::List(_) | Value::Scalar { .. } => report.list(node, &path),
    };
    if items.is_empty() && (node.is_null() || matches!(node.value, Value::List(_))) {
        let message = format!("hook `{event}` has no scripts; it is ignored");
        report.warn(at, codes::EMPTY_HOOK, message, "add `- location: …`, or remove it");
    }
    let mut hooks = Vec::new();
    for (index, item) in items.iter().enumerate() {
        hooks.extend(hook(report, item, &format!("{path}[{index}]"), os));
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
fn hook(report: &mut Report, node: &Node, path: &str, os: Option<Os>) -> Option<(Hook, bool)> {
    let mut fields = Fields::open(report, node, path)?;
    let location = fields.require(report, "location", "name a script of the bundle");
    let location = location.and_then(|node| location_path(report, node, &fields.join("location")));
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

fn location_path(report: &mut Report, node: &Node, path: &str) -> Option<String> {
    let text = report.word(node, path)?;
    if text.split(['/', '\\']).any(|part| part == "..") {
        let message = format!("`{path}`: '{text}' leaves the bundle");
        report.error(node.at, codes::BAD_PATH, message, "write a path inside the bundle");
        return None;
    }
    let script = text.rsplit(['/', '\\']).next().unwrap_or("");
    if script.contains(' ') {
        let message = format!("`{path}`: '{text}' is one path; arguments are not possible");
        report.warn(node.at, codes::BAD_PATH, message, "call the command from a script");
    }
    Some(text)
}

/// Whole seconds above zero; the agent refuses everything else.
fn seconds(report: &mut Report, node: &Node, path: &str) -> Option<Millis> {
    let text = report.word(node, path)?;
    let seconds = text.parse::<u64>().ok().filter(|seconds| *seconds > 0);
    if seconds.is_none() {
        let message = format!("`{path}`: '{text}' is not a number of seconds above 0");
        let help = match crate::spec::decode::duration(&text) {
            Some(duration) if duration.0 >= 1000 => format!("write {}", duration.0 / 1000),
            _ => "write 300, for example".to_owned(),
        };
        report.error(node.at, codes::BAD_NUMBER, message, help);
    }
    seconds.map(Millis::from_secs)
}
