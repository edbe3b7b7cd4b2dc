//! Approvals: who is asked, and for how long.

use crate::ids::is_name;
use crate::spec::codes;
use crate::spec::decode::{Fields, Report};
use crate::spec::pipeline::Approval;
use crate::spec::pipeline::action::Draft;
use crate::spec::pipeline::work::{flag, template};
use crate::time::Millis;

const TIMEOUT: Millis = Millis::from_minutes(7 * 24 * 60);

/// What `approval:` alone means.
pub(super) fn default() -> Approval {
    Approval {
        approvers: Vec::new(),
        quorum: 1,
        timeout: Some(TIMEOUT),
        comment: None,
        self_approval: false,
        remind: None,
    }
}

pub(super) fn read(
    report: &mut Report,
    fields: &mut Fields<'_>,
    draft: &mut Draft,
) -> Option<Approval> {
    let mut approval = default();
    let mut people = 0;
    let (mut groups, mut wrong) = (false, false);
    if let Some(node) = fields.get("approvers") {
        let path = fields.join("approvers");
        for item in report.short_list(node, &path) {
            let Some(text) = report.word(item, &path) else { continue };
            let (kind, name) = text.split_once(':').unwrap_or(("user", &text));
            if !matches!(kind, "user" | "group") || !is_name(name) {
                let message = format!("`{path}`: '{text}' is neither a user nor a group");
                let help = "write user:NAME or group:NAME";
                report.error(item.at, codes::BAD_VALUE, message, help);
                wrong = true;
                continue;
            }
            groups |= kind == "group";
            let full = format!("{kind}:{name}");
            if approval.approvers.contains(&full) {
                let message = format!("`{path}`: '{full}' is there twice");
                report.error(item.at, codes::DUPLICATE_NAME, message, "remove one of the two");
            } else {
                people += 1;
                approval.approvers.push(full);
            }
        }
    }
    if let Some(node) = fields.get("quorum") {
        approval.quorum = report.number(node, &fields.join("quorum"), 1..=100).unwrap_or(1);
        if !groups && !wrong && people > 0 && approval.quorum > people {
            let message = format!("{} approvals are wanted of {people}", approval.quorum);
            let help = "lower the quorum, or add approvers";
            report.error(node.at, codes::UNREACHABLE_QUORUM, message, help);
        }
    }
    let mut time = |report: &mut Report, key| {
        let node = fields.get(key)?;
        report.time_limit(node, &fields.join(key))
    };
    approval.timeout = time(report, "timeout").or(approval.timeout);
    approval.remind = time(report, "remind");
    if let (Some(remind), Some(timeout)) = (approval.remind, approval.timeout)
        && remind >= timeout
        && let Some(at) = fields.key_at("remind")
    {
        let message = format!("nobody is reminded: the approval expires after {timeout}");
        let help = "let `remind` be shorter than `timeout`, such as 4h";
        report.error(at, codes::IGNORED_KEY, message, help);
    }
    approval.comment = template(report, fields, draft, "comment");
    approval.self_approval = flag(report, fields, "self-approval");
    Some(approval)
}
