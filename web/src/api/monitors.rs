//! A group's monitors: what they say, and setting one by hand, for drills.

use super::shared;
use crate::Web;
use crate::auth::{ByToken, Operator, Viewer};
use crate::error::{Error, Result};
use crate::extract::{Body, Path};
use crate::intent;
use crate::words::monitor::{Line, VerdictLine, state, verdict};
use axum::Json;
use axum::extract::State;
use pipelines::deploy::Event;
use pipelines::monitor::Forced;
use pipelines::time::Timestamp;
use serde::{Deserialize, Serialize};
use store::{PgConnection, deployments, groups, inbox};

#[derive(Debug, Clone, Serialize)]
pub struct MonitorBody {
    name: String,
    /// ok, alarm, no-data
    state: &'static str,
    /// Value and bound in words, or who set it.
    reason: String,
    /// When it was looked at last; monitors are looked at while a deployment is unfinished.
    looked_at: Option<String>,
    /// It only reports.
    dry_run: bool,
    set: Option<SetBody>,
}

/// Somebody's word in place of what is found.
#[derive(Debug, Clone, Serialize)]
struct SetBody {
    /// ok, alarm
    state: &'static str,
    by: String,
    reason: String,
    at: String,
}

impl From<&Line> for MonitorBody {
    fn from(line: &Line) -> MonitorBody {
        let set = line.set.as_ref().map(|set| SetBody {
            state: set.state.as_str(),
            by: set.by.clone(),
            reason: set.reason.clone(),
            at: crate::words::time::rfc3339(set.at),
        });
        MonitorBody {
            name: line.name.clone(),
            state: state(line.state),
            reason: line.reason.clone(),
            looked_at: shared::at_opt(line.looked_at),
            dry_run: line.dry_run,
            set,
        }
    }
}

/// What the judge of a step said last.
#[derive(Debug, Serialize)]
pub struct VerdictBody {
    /// Counted from 1.
    step: usize,
    /// pass, fail, inconclusive
    verdict: &'static str,
    /// The numbers, n, p and the rule that decided.
    reason: String,
    looked_at: String,
    /// It only reports.
    dry_run: bool,
}

impl From<&VerdictLine> for VerdictBody {
    fn from(line: &VerdictLine) -> VerdictBody {
        VerdictBody {
            step: line.verdict.step + 1,
            verdict: verdict(line.verdict.verdict),
            reason: line.verdict.reason.clone(),
            looked_at: crate::words::time::rfc3339(line.looked_at),
            dry_run: line.dry_run,
        }
    }
}

#[derive(Debug, Clone, Serialize)]
pub struct MonitorList {
    group: String,
    /// The deployment whose looks these are: the newest.
    deployment: Option<String>,
    /// It is over: these are its last looks.
    over: bool,
    pub monitors: Vec<MonitorBody>,
}

pub async fn list(
    State(web): State<Web>,
    _: Viewer,
    Path(name): Path<String>,
) -> Result<Json<MonitorList>> {
    let mut conn = web.pool.acquire().await?;
    let group = intent::group(&mut conn, &name).await?;
    Ok(Json(listed(&mut conn, &group).await?))
}

/// As the unfinished deployment finds them, or as the last one left them.
pub async fn listed(conn: &mut PgConnection, group: &groups::Row) -> Result<MonitorList> {
    let now = store::clock::now(conn).await?;
    let overrides = store::monitors::overrides(conn, group.id).await?;
    // The one that is watched, or else the last one that was.
    let unfinished = deployments::unfinished(conn, group.id).await?;
    let newest = match unfinished.first() {
        Some((id, _)) => deployments::by_id(conn, *id).await?,
        None => deployments::list(conn, Some(&group.name), None, 1).await?.pop(),
    };
    let (samples, at) = match &newest {
        Some(row) => {
            let at = row.finished_at.map_or(now, Timestamp);
            (store::monitors::samples(conn, row.id()).await?, at)
        }
        None => (Default::default(), now),
    };
    let lines = group.spec.monitors.iter().map(|monitor| {
        let samples = samples.get(&monitor.name).map_or(&[][..], Vec::as_slice);
        MonitorBody::from(&Line::new(monitor, samples, overrides.get(&monitor.name), at))
    });
    Ok(MonitorList {
        group: group.name.clone(),
        over: newest.as_ref().is_none_or(|row| row.finished_at.is_some()),
        deployment: newest.map(|row| row.id().to_string()),
        monitors: lines.collect(),
    })
}

#[derive(Deserialize)]
pub struct Set {
    /// alarm, ok, auto
    state: String,
    #[serde(default)]
    reason: String,
}

pub async fn set(
    State(web): State<Web>,
    ByToken(Operator(person)): ByToken<Operator>,
    Path((name, monitor)): Path<(String, String)>,
    Body(Set { state, reason }): Body<Set>,
) -> Result<Json<MonitorList>> {
    let mut tx = web.pool.begin().await?;
    let group = intent::group(&mut tx, &name).await?;
    if !group.spec.monitors.iter().any(|known| known.name == monitor) {
        let names: Vec<&str> = group.spec.monitors.iter().map(|m| m.name.as_str()).collect();
        let help = match names.as_slice() {
            [] => "the group has none: add `monitors` to its file".to_owned(),
            names => format!("the group has {}", names.join(", ")),
        };
        return Err(Error::not_found(format!("monitor '{monitor}' in group {name}"), help));
    }
    let by = person.name();
    if state == "auto" {
        store::monitors::clear_override(&mut tx, group.id, &monitor).await?;
    } else {
        let forced: Forced = state.parse().map_err(|()| {
            let message = format!("'{state}' is no state of a monitor");
            Error::bad_request(message, "write alarm, ok or auto")
        })?;
        let reason = intent::cut(&reason);
        store::monitors::set_override(&mut tx, group.id, &monitor, (forced, by, &reason)).await?;
    }
    for (deployment, _) in deployments::unfinished(&mut tx, group.id).await? {
        inbox::post_deployment(&mut tx, deployment, &Event::Tick).await?;
    }
    let list = listed(&mut tx, &group).await?;
    tx.commit().await?;
    tracing::info!(group = name, monitor, by, "a monitor was set to {state}");
    web.wakes.engine();
    web.wakes.pages();
    Ok(Json(list))
}
