//! What people want done, written down for the engine: shared by pages and JSON. Everything here
//! checks first, so that a click on an old page says what is wrong instead of being ignored.

pub mod approving;
mod steering;

pub use steering::{Steer, let_through, steer};

use crate::auth::Person;
use crate::error::{Error, Result};
use crate::extract::id;
use pipelines::ids::{DeploymentId, RunId};
use pipelines::protocol::task::{Purpose, Revision};
use pipelines::run::trigger::{PushedCommit, Trigger, TriggerKind, sources};
use pipelines::run::{ActionState, Event as RunEvent, frozen};
use std::collections::BTreeMap;
use store::PgConnection;
use store::deployments::Rejected;
use store::{deployments, groups, inbox, pipelines as registered, runs};

/// Longer texts from people are cut.
const TEXT_MAX: usize = 1000;

pub struct NewRun {
    /// Empty or None: the branch's newest.
    pub commit: Option<String>,
    /// None: the branch the pipeline names.
    pub branch: Option<String>,
    pub variables: BTreeMap<String, String>,
}

/// Creates a run by hand. Wake the engine after the commit.
pub async fn start_run(
    conn: &mut PgConnection,
    pipeline: &registered::Row,
    person: &Person,
    new: NewRun,
) -> Result<RunId> {
    let spec = &pipeline.spec.0;
    check_variables(spec, &new.variables)?;
    let commit = new.commit.filter(|commit| !commit.is_empty());
    let branch = new.branch.filter(|branch| !branch.is_empty());
    if let Some(commit) = &commit {
        let is_commit = commit.len() == 40 && commit.bytes().all(|b| b.is_ascii_hexdigit());
        if !is_commit {
            return Err(Error::bad_request(
                format!("'{commit}' is not a commit"),
                "give all 40 digits: git rev-parse HEAD",
            ));
        }
    }
    let push = if commit.is_some() || branch.is_some() {
        let Some((_, source)) = sources(spec).next() else {
            return Err(Error::bad_request(
                format!("pipeline {} has no source action", pipeline.name),
                "start it without a commit and a branch",
            ));
        };
        Some(PushedCommit {
            from: source.from.clone(),
            branch: branch.unwrap_or_else(|| source.branch.clone()),
            commit: commit.map(|commit| commit.to_ascii_lowercase()).unwrap_or_default(),
        })
    } else {
        None
    };
    let label = push.as_ref().map(|push| push.commit.chars().take(7).collect::<String>());
    let (kind, by) = (TriggerKind::Manual, person.name().to_owned());
    let trigger = Trigger { kind, by, push, variables: new.variables };
    Ok(runs::create(conn, pipeline.id, &trigger, &label.unwrap_or_default()).await?)
}

fn check_variables(
    spec: &pipelines::spec::pipeline::Pipeline,
    given: &BTreeMap<String, String>,
) -> Result<()> {
    if let Some(unknown) = given.keys().find(|name| !spec.variables.contains_key(*name)) {
        let known: Vec<&str> = spec.variables.keys().map(String::as_str).collect();
        let help = match known.as_slice() {
            [] => "the pipeline declares no variables".to_owned(),
            known => format!("it declares {}", known.join(", ")),
        };
        return Err(Error::bad_request(format!("there is no variable '{unknown}'"), help));
    }
    let missing = spec
        .variables
        .iter()
        .find(|(name, variable)| variable.default.is_none() && !given.contains_key(*name));
    match missing {
        Some((name, _)) => Err(Error::bad_request(
            format!("variable '{name}' has no default and was not given"),
            format!("give it: --var {name}=VALUE"),
        )),
        None => Ok(()),
    }
}

pub async fn pipeline(conn: &mut PgConnection, name: &str) -> Result<registered::Row> {
    registered::by_name(conn, name).await?.ok_or_else(|| no_pipeline(name))
}

pub fn no_pipeline(name: &str) -> Error {
    let help = "see 'pipectl pipelines', or register it with 'pipectl apply'";
    Error::not_found(format!("pipeline '{name}'"), help)
}

pub async fn run(conn: &mut PgConnection, text: &str) -> Result<runs::Row> {
    let run: RunId = id("run", text)?;
    let row = runs::by_id(conn, run).await?;
    row.ok_or_else(|| Error::not_found(format!("run {run}"), "see 'pipectl runs'"))
}

pub async fn stop_run(
    conn: &mut PgConnection,
    row: &runs::Row,
    person: &Person,
    reason: &str,
    abandon: bool,
) -> Result<()> {
    if row.state.phase.is_final() {
        return Err(Error::conflict(
            format!("run {} is over: {}", row.id(), row.status),
            "there is nothing to stop",
        ));
    }
    let event = RunEvent::Stop { by: person.name().to_owned(), reason: cut(reason), abandon };
    Ok(inbox::post_run(conn, row.id(), &event).await?)
}

/// Lets a run pass the freezes of its pipeline.
pub async fn override_run(
    conn: &mut PgConnection,
    row: &runs::Row,
    person: &Person,
    reason: &str,
) -> Result<()> {
    let (run, now) = (row.id(), store::clock::now(conn).await?);
    if frozen(&row.spec, &row.state, now).is_none() {
        return Err(Error::conflict(
            format!("no freeze holds run {run} back now: {}", row.status),
            format!("see what it waits for: 'pipectl explain {run}'"),
        ));
    }
    let reason = steering::needed(reason, "letting it through")?;
    let event = RunEvent::Override { by: person.name().to_owned(), reason };
    Ok(inbox::post_run(conn, run, &event).await?)
}

/// An answer to an approval.
pub struct Decision<'a> {
    pub action: &'a str,
    pub approved: bool,
    pub comment: &'a str,
    /// The attempt the person looked at: a page of an earlier one decides nothing.
    pub attempt: Option<u32>,
}

pub async fn decide_approval(
    conn: &mut PgConnection,
    row: &runs::Row,
    person: &Person,
    decision: &Decision<'_>,
) -> Result<()> {
    let (run, action) = (row.id(), decision.action);
    let Some(record) = row.state.actions.get(action) else {
        let help = format!("see 'pipectl status {run}'");
        return Err(Error::not_found(format!("action '{action}' in run {run}"), help));
    };
    let asks = matches!(record.state, ActionState::Asking { .. });
    if !asks || decision.attempt.is_some_and(|attempt| attempt != record.attempt) {
        return Err(Error::conflict(
            format!("{action} of run {run} does not wait for an answer: {}", record.state.as_str()),
            "look at the run again",
        ));
    }
    let event = RunEvent::Decided {
        action: action.to_owned(),
        by: person.name().to_owned(),
        approved: decision.approved,
        comment: cut(decision.comment),
    };
    Ok(inbox::post_run(conn, run, &event).await?)
}

pub async fn deployment(conn: &mut PgConnection, text: &str) -> Result<deployments::Row> {
    let deployment: DeploymentId = id("deployment", text)?;
    let row = deployments::by_id(conn, deployment).await?;
    let help = "see 'pipectl deployments'";
    row.ok_or_else(|| Error::not_found(format!("deployment {deployment}"), help))
}

pub async fn group(conn: &mut PgConnection, name: &str) -> Result<groups::Row> {
    let row = groups::by_name(conn, name).await?;
    let help = "see 'pipectl groups', or register it with 'pipectl apply'";
    row.ok_or_else(|| Error::not_found(format!("deployment group '{name}'"), help))
}

/// Orders an earlier good revision. `to`: a deployment or (the start of) a digest; None: the good
/// revision before the one in place, or the last good one when the last deployment left hosts on
/// something else. Going back never leads to a newer revision by itself.
pub async fn roll_back(
    conn: &mut PgConnection,
    group: &groups::Row,
    person: &Person,
    to: Option<&str>,
) -> Result<(DeploymentId, Revision)> {
    let target = rollback_target(conn, group, to).await?;
    let (by, purpose) = (person.name(), Purpose::Rollback);
    let order = deployments::Order { group: group.id, revision: &target, purpose, by, run: None };
    Ok((self::order(conn, group, &order).await?, target))
}

/// Creates a deployment, if the group takes one now. Wake the engine after the commit.
pub async fn order(
    conn: &mut PgConnection,
    group: &groups::Row,
    order: &deployments::Order<'_>,
) -> Result<DeploymentId> {
    deployments::create(conn, order).await?.map_err(|Rejected { by }| {
        Error::conflict(
            format!("{by} is unfinished in {}, and it rejects newer deployments", group.name),
            format!("wait for its end, or abort it first: 'pipectl abort {by}'"),
        )
    })
}

/// The revision [`roll_back`] would order.
pub async fn rollback_target(
    conn: &mut PgConnection,
    group: &groups::Row,
    to: Option<&str>,
) -> Result<Revision> {
    let good = deployments::good_revisions(conn, group.id, 50).await?;
    if let Some(id) = to.and_then(|to| to.trim().parse().ok()) {
        let named = deployments::by_id(conn, id).await?;
        let named = named.filter(|row| row.group_id == group.id && row.status == "succeeded");
        if let Some(row) = named {
            return Ok(row.revision.0);
        }
    }
    let base = group.base.as_ref().map(|base| &base.0);
    let last = deployments::list(conn, Some(&group.name), None, 1).await?;
    let left_mixed =
        last.first().is_some_and(|row| matches!(row.status.as_str(), "failed" | "rollback-failed"));
    match (base, to) {
        (Some(base), None) if left_mixed => Ok(base.clone()),
        _ => pick_target(&group.name, &good, base, to).cloned(),
    }
}

fn pick_target<'a>(
    group: &str,
    good: &'a [(DeploymentId, Revision)],
    base: Option<&Revision>,
    to: Option<&str>,
) -> Result<&'a Revision> {
    let is_base =
        |revision: &Revision| base.is_some_and(|b| b.bundle.digest == revision.bundle.digest);
    let Some(to) = to.map(str::trim).filter(|to| !to.is_empty()) else {
        let in_place = good.iter().position(|(_, revision)| is_base(revision));
        let earlier = good.get(in_place.map_or(0, |at| at + 1)).map(|(_, revision)| revision);
        return earlier.ok_or_else(|| {
            Error::conflict(
                format!("{group} has no earlier revision to go back to"),
                match good.len() {
                    0 => "no deployment to it has succeeded yet",
                    _ => "the oldest good revision is in place; name a newer one with --to",
                },
            )
        });
    };
    let digits = to.strip_prefix("sha256:").unwrap_or(to);
    let by_digest = |revision: &Revision| {
        digits.len() >= 7 && revision.bundle.digest.as_str().starts_with(digits)
    };
    let by_id = |id: DeploymentId| to.parse() == Ok(id) || (to == id.to_string());
    let found = good.iter().find(|(id, revision)| by_id(*id) || by_digest(revision));
    found.map(|(_, revision)| revision).ok_or_else(|| {
        let known: Vec<String> = good
            .iter()
            .take(5)
            .map(|(id, revision)| format!("{id} ({})", revision.label))
            .collect();
        Error::conflict(
            format!("'{to}' is no revision that was deployed to {group} with success"),
            if known.is_empty() {
                "no deployment to it has succeeded yet".to_owned()
            } else {
                format!("choose one of: {}", known.join(", "))
            },
        )
    })
}

pub fn cut(text: &str) -> String {
    text.trim().chars().take(TEXT_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::sample;

    fn good() -> Vec<(DeploymentId, Revision)> {
        vec![
            (DeploymentId(7), sample::revision('c', "c0ffee1 Third")),
            (DeploymentId(5), sample::revision('b', "bad5eed Second")),
            (DeploymentId(2), sample::revision('a', "a11ce00 First")),
        ]
    }

    #[test]
    fn a_rollback_goes_to_the_good_revision_before_the_one_in_place() {
        let good = good();
        let base = good[0].1.clone();
        let target =
            |to| pick_target("production", &good, Some(&base), to).map(|r| r.label.as_str());
        assert_eq!(target(None).unwrap(), "bad5eed Second");
        let back = pick_target("production", &good, Some(&good[1].1), None).unwrap();
        assert_eq!(back.label, "a11ce00 First", "never forward again by itself");
        assert_eq!(target(Some("d-2")).unwrap(), "a11ce00 First");
        let digest = "a".repeat(64);
        assert_eq!(target(Some(&digest)).unwrap(), "a11ce00 First");
        assert_eq!(target(Some("sha256:aaaaaaaaaaaa")).unwrap(), "a11ce00 First");
        let refused = target(Some("d-9")).unwrap_err();
        assert!(refused.help.contains("d-7 (c0ffee1 Third), d-5"), "{refused:?}");
    }

    #[test]
    fn a_rollback_with_nowhere_to_go_is_refused() {
        let good = good();
        let only = pick_target("production", &good, Some(&good[2].1), None).unwrap_err();
        assert_eq!(only.status, axum::http::StatusCode::CONFLICT);
        assert_eq!(only.message, "production has no earlier revision to go back to");
        let none = pick_target("production", &[], None, None).unwrap_err();
        assert_eq!(none.help, "no deployment to it has succeeded yet");
    }
}
