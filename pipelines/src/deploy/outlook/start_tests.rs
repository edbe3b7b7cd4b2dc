//! What an order meets before it starts.

use super::*;
use crate::deploy::plan::RollbackOn;
use crate::deploy::tests::{group, member, plan_for, rolling};
use crate::ids::DeploymentId;
use crate::protocol::task::Purpose;
use crate::spec::group::{Group, NewerDeployment};
use crate::spec::{Day, Span, Window};
use crate::time::Timestamp;

fn window(span: Span, zone: &str, reason: &str) -> Window {
    Window { span, zone: zone.to_owned(), reason: Some(reason.to_owned()) }
}

fn office() -> Window {
    let days = vec![Day::Mon, Day::Tue, Day::Wed, Day::Thu];
    let span = Span::Weekly { days, from: "09:00".into(), to: "16:00".into() };
    window(span, "Europe/Berlin", "Somebody is there.")
}

/// A Saturday.
fn now() -> Timestamp {
    let at = "2026-11-21T12:00:00Z".parse::<jiff::Timestamp>().unwrap();
    Timestamp(at.as_millisecond())
}

fn ordered(group: &Group, purpose: Purpose, others: &[(i64, &str)]) -> Start {
    let others: Vec<(DeploymentId, String)> =
        others.iter().map(|(id, status)| (DeploymentId(*id), (*status).to_owned())).collect();
    // d-9 is a rollback that waits.
    let overtakable: Vec<DeploymentId> =
        others.iter().map(|(id, _)| *id).filter(|id| id.0 != 9).collect();
    let around = Around { others: &others, overtakable: &overtakable, now: now() };
    start(group, purpose, &around)
}

#[test]
fn nothing_is_said_where_nothing_holds_it_back() {
    assert_eq!(ordered(&group(rolling(1), None), Purpose::Forward, &[]), Start::default());
}

#[test]
fn a_closed_window_says_until_when_and_how_to_go_ahead() {
    let mut group = group(rolling(1), None);
    group.windows = vec![office()];
    let said = ordered(&group, Purpose::Forward, &[]);
    assert_eq!(
        said.waits,
        [
            "It would wait until Mon 2026-11-23 09:00 Europe/Berlin: they start on mon-thu from 09:00 to \
          16:00 Europe/Berlin (Somebody is there). To go ahead all the same, order it with \
          --override-freeze REASON, or later: pipectl override DEPLOYMENT --reason REASON"
        ]
    );
    assert!(said.not_before.is_some() && said.rejected.is_none());
    let span = Span::Dates { from: "2026-11-20".into(), to: "2026-11-25".into() };
    group.freeze = vec![window(span, "UTC", "Audit.")];
    let frozen = ordered(&group, Purpose::Forward, &[]).waits.concat();
    // The freeze ends on a Wednesday night, and the window opens the next morning.
    assert!(
        frozen.starts_with("It would wait until Thu 2026-11-26 08:00 UTC: a freeze"),
        "{frozen}"
    );
    assert!(frozen.contains("(Audit)"), "{frozen}");
    let back = ordered(&group, Purpose::Rollback, &[]);
    assert_eq!((back.waits.len(), back.not_before), (0, None));
    assert!(back.besides[0].starts_with("It does not wait for the calendar: a freeze"), "{back:?}");
}

#[test]
fn what_becomes_of_others_is_what_the_group_says_about_newer_ones() {
    let mut group = group(rolling(1), None);
    let others = [(3, "rolling-back"), (4, "queued"), (5, "queued"), (9, "queued")];
    let queued = ordered(&group, Purpose::Forward, &others);
    assert_eq!(
        queued.waits,
        [
            "It would wait until d-3 has ended, which is rolling back.",
            "It would wait behind d-4, d-5 and d-9, queued before it."
        ]
    );
    assert!(queued.besides.is_empty() && queued.rejected.is_none());
    group.newer = NewerDeployment::Supersede;
    let overtakes = ordered(&group, Purpose::Forward, &others);
    assert_eq!(overtakes.waits[1], "It would wait behind d-9, queued before it.");
    let expected = "It would take the place of d-4 and d-5, which would not happen.";
    assert_eq!(overtakes.besides, [expected]);
    group.newer = NewerDeployment::Reject;
    let rejected = ordered(&group, Purpose::Forward, &others);
    let why = rejected.rejected.unwrap();
    assert!(why.contains("newer: reject") && why.ends_with("'pipectl abort d-3'"), "{why}");
    let back = ordered(&group, Purpose::Rollback, &others);
    assert_eq!((back.rejected, back.besides), (None, vec![expected.to_owned()]));
}

#[test]
fn an_approval_says_whom_it_asks_and_what_silence_leads_to() {
    let group = group(rolling(1), None);
    let mut plan = plan_for(&group, &[member(1, Some("v1"))], "v2");
    let hour = Millis::from_minutes(60);
    plan.steps.push(Step::Approve { timeout: hour, promote_after: None });
    plan.rollback = RollbackOn { failure: true, alarm: false, stop: true };
    let said = approvals(&plan);
    assert_eq!(said.len(), 1);
    let number = plan.steps.len();
    assert!(said[0].starts_with(&format!("Step {number} asks anybody with the role operator")));
    assert!(said[0].ends_with("after 1 h without an answer it is rolled back."), "{said:?}");
    plan.rollback = RollbackOn::NEVER;
    assert!(approvals(&plan)[0].ends_with("it ends there, and changed hosts stay changed."));
    let soon = Some(Millis::from_minutes(5));
    plan.steps[number - 1] = Step::Approve { timeout: hour, promote_after: soon };
    assert!(approvals(&plan)[0].ends_with("after 5 min without an answer it goes on by itself."));
}
