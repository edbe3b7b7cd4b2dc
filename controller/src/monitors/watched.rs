//! A deployment as its monitors see it.

use anyhow::Result;
use pipelines::deploy::plan::Judge;
use pipelines::deploy::{App, Lane, Phase, Plan, State, Step};
use pipelines::ids::{AgentId, DeploymentId};
use pipelines::monitor::Sample;
use pipelines::time::{Millis, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use store::monitors::Watch;
use store::{PgConnection, deployments, groups};

/// A deployment whose monitors are looked at, and what was found so far.
pub(super) struct Watched {
    pub row: deployments::Row,
    pub group: groups::Row,
    pub samples: BTreeMap<String, Vec<Sample>>,
    pub watches: BTreeMap<String, Watch>,
    pub now: Timestamp,
}

/// The hold in progress.
pub(super) struct Hold<'a> {
    pub plan: &'a Plan,
    pub state: &'a State,
    pub step: usize,
    pub since: Timestamp,
    pub judge: Option<&'a Judge>,
}

impl Watched {
    /// None: it was removed since, or nothing is to be watched.
    pub async fn load(
        conn: &mut PgConnection,
        id: DeploymentId,
        group: i64,
    ) -> Result<Option<Watched>> {
        let Some(group) = groups::by_id(conn, group).await? else { return Ok(None) };
        let judged = group.spec.analysis.is_some() || super::judge::trial(&group.spec.0).is_some();
        if group.spec.monitors.is_empty() && !judged {
            return Ok(None);
        }
        let Some(row) = deployments::by_id(conn, id).await? else { return Ok(None) };
        let samples = store::monitors::samples(conn, id).await?;
        let watches = store::monitors::watches(conn, id).await?;
        let now = store::clock::now(conn).await?;
        Ok(Some(Watched { row, group, samples, watches, now }))
    }

    /// Oldest first.
    pub fn samples(&self, monitor: &str) -> &[Sample] {
        self.samples.get(monitor).map_or(&[], Vec::as_slice)
    }

    pub fn hold(&self) -> Option<Hold<'_>> {
        hold(&self.row)
    }

    /// Servers of the new revision that have traffic.
    pub fn new_servers(&self) -> Vec<String> {
        let (Some(plan), Some(state)) = (&self.row.plan, &self.row.state) else {
            return Vec::new();
        };
        if state.phase == Phase::Queued {
            return Vec::new();
        }
        let new = new_hosts(plan, state).into_iter();
        new.map(|id| plan.host_name(id)).collect()
    }
}

/// The hold in progress of a deployment.
pub(super) fn hold(row: &deployments::Row) -> Option<Hold<'_>> {
    let (plan, state) = (&row.plan.as_ref()?.0, &row.state.as_ref()?.0);
    let Some(Step::Hold { judge, .. }) = plan.steps.get(state.step) else { return None };
    let running = state.phase == Phase::Running;
    let (step, since, judge) = (state.step, state.step_since, judge.as_ref());
    running.then_some(Hold { plan, state, step, since, judge })
}

/// Hosts of the new revision in traffic.
fn new_hosts(plan: &Plan, state: &State) -> Vec<AgentId> {
    let serves = |id: &AgentId| {
        state.hosts.get(id).is_some_and(|host| {
            let counts = host.fault.is_none() && host.excluded.is_none();
            counts && host.app == App::New && matches!(host.lane, Lane::In { .. })
        })
    };
    plan.hosts.iter().map(|planned| planned.id).filter(serves).collect()
}

/// Both sides of a comparison, by the names of their servers.
pub(super) struct Sides {
    pub new: BTreeSet<String>,
    pub old: BTreeSet<String>,
}

impl Hold<'_> {
    /// New hosts in traffic that were ready `warm_up` ago, and untouched ones beside them: of the same
    /// zones, where there are any. `ready`: since when a host serves the new revision.
    pub fn sides(
        &self,
        ready: &BTreeMap<AgentId, Timestamp>,
        (warm_up, now): (Millis, Timestamp),
    ) -> Sides {
        let (plan, state) = (self.plan, self.state);
        let new = new_hosts(plan, state);
        let zones: BTreeSet<&Option<String>> =
            new.iter().filter_map(|id| plan.host(*id)).map(|host| &host.zone).collect();
        let untouched = |id: AgentId| {
            state.hosts.get(&id).is_some_and(|host| {
                host.app == App::Before && !host.touched && matches!(host.lane, Lane::In { .. })
            })
        };
        let old = || plan.hosts.iter().filter(|host| host.serving && untouched(host.id));
        let beside = old().any(|host| zones.contains(&host.zone));
        let old = old().filter(|host| !beside || zones.contains(&host.zone));
        let is_warm = |id: &AgentId| {
            let since = ready.get(id).copied().unwrap_or(self.since);
            now >= since + warm_up
        };
        Sides {
            new: new.iter().filter(|id| is_warm(id)).map(|id| plan.host_name(*id)).collect(),
            old: old.map(|host| host.name.clone()).collect(),
        }
    }
}
