//! What people want of a deployment that is not over.

use super::cut;
use crate::auth::Person;
use crate::error::{Error, Result};
use pipelines::calendar;
use pipelines::deploy::people::{self, Refused, Retry};
use pipelines::deploy::{Event, Phase, Plan, State};
use pipelines::ids::{AgentId, DeploymentId};
use pipelines::protocol::task::Purpose;
use pipelines::time::Millis;
use store::PgConnection;
use store::deployments::Row;
use store::{agents, groups, inbox};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Steer {
    Abort {
        reason: String,
    },
    Pause {
        reason: String,
    },
    /// Stop turning back.
    Halt {
        reason: String,
    },
    Resume,
    /// `step`: counted from 1, the one the person saw it held at; None: whichever it is now, and none
    /// after it; with `full`, all that come. `generation`: of the orders the person saw.
    Promote {
        full: bool,
        step: Option<usize>,
        generation: Option<u64>,
    },
    Retry {
        host: String,
    },
    Exclude {
        host: String,
        reason: String,
    },
    Override {
        reason: String,
    },
}

/// Records the wish for the engine; wake it after the commit. Returns what there is to say about it
/// beyond that it was heard. `silence`: after which an agent counts as lost.
pub async fn steer(
    conn: &mut PgConnection,
    row: &Row,
    person: &Person,
    wanted: Steer,
    silence: Millis,
) -> Result<Option<String>> {
    let id = row.id();
    if row.finished_at.is_some() {
        return Err(Error::conflict(
            format!("deployment {id} is over: {}", row.status.replace('-', " ")),
            format!("to go back to an earlier revision: 'pipectl rollback {}'", row.group_name),
        ));
    }
    let by = person.name().to_owned();
    let state = row.state.as_ref().map(|state| &state.0);
    let mut remark = None;
    let event = match wanted {
        Steer::Abort { reason } => {
            remark = state.and_then(|state| turning_back(row, state));
            Event::Abort { by, reason: cut(&reason) }
        }
        Steer::Halt { reason } => {
            let (_, state) = planned(row)?;
            people::may_halt(state).map_err(|refused| no(row, refused))?;
            Event::Halt { by, reason: cut(&reason) }
        }
        Steer::Pause { reason } => Event::Pause { by, reason: cut(&reason) },
        Steer::Resume => {
            if state.is_none_or(|state| state.paused.is_none()) {
                let message = format!("deployment {id} is not paused");
                let help = format!("see what it waits for: 'pipectl explain {id}'");
                return Err(Error::conflict(message, help));
            }
            Event::Resume { by }
        }
        Steer::Promote { full, step, generation } => {
            let (plan, state) = planned(row)?;
            if let Some(error) = promotes_another(row, (plan, state), (step, generation)) {
                return Err(error);
            }
            people::may_promote(plan, state, full).map_err(|refused| no(row, refused))?;
            let at = (!full || step.is_some()).then(|| people::hold_at(state));
            Event::Promote { by, full, at }
        }
        Steer::Retry { host } => {
            let (plan, state) = planned(row)?;
            let host = find(row, plan, &host)?;
            let agent = agents::by_name(conn, &plan.host_name(host), silence).await?;
            let alive = agent.is_some_and(|(_, alive, _)| alive);
            let retry = Retry { host, alive };
            people::may_retry(plan, state, retry).map_err(|refused| no(row, refused))?;
            Event::Retry { by, host }
        }
        Steer::Exclude { host, reason } => {
            let (plan, state) = planned(row)?;
            let host = find(row, plan, &host)?;
            people::may_exclude(plan, state, host).map_err(|refused| no(row, refused))?;
            Event::Exclude { by, host, reason: needed(&reason, "leaving a host out")? }
        }
        Steer::Override { reason } => {
            let (plan, state) = planned(row)?;
            people::may_override(plan, state).map_err(|refused| no(row, refused))?;
            is_closed(conn, row).await?;
            Event::Override { by, reason: needed(&reason, "letting it through")? }
        }
    };
    inbox::post_deployment(conn, id, &event).await?;
    Ok(remark)
}

/// What is wrong when the hold that was seen is not the one in progress.
fn promotes_another(
    row: &Row,
    (plan, state): (&Plan, &State),
    (step, generation): (Option<usize>, Option<u64>),
) -> Option<Error> {
    let now = state.step + 1;
    let same = step.is_none_or(|step| step == now)
        && generation.is_none_or(|generation| generation == state.generation);
    if same || state.phase != Phase::Running {
        return None;
    }
    let sentence = plan.steps.get(state.step).map(|step| step.sentence(plan)).unwrap_or_default();
    let message = format!("deployment {} is at step {now} now: {sentence}", row.id());
    let help = format!("look at it again, then decide: 'pipectl explain {}'", row.id());
    Some(Error::conflict(message, help))
}

/// An abort of one that turns back is heard, and there is nothing left for it to do: it may be a doubled
/// one. To stop that as well takes a word of its own.
fn turning_back(row: &Row, state: &State) -> Option<String> {
    let cause = state.cause.as_ref().map(|cause| format!(": {cause}")).unwrap_or_default();
    let what = match state.phase {
        Phase::RollingBack => "is being rolled back already",
        Phase::Failing => "is being stopped already",
        _ => return None,
    };
    let id = row.id();
    let remedy = match state.halt {
        Some(_) => String::new(),
        None => format!("; to leave the hosts as they are instead: pipectl abort {id} --halt"),
    };
    Some(format!("{id} {what}{cause}{remedy}"))
}

/// Its plan and state; a deployment has none until the engine first looked at it.
pub(super) fn planned(row: &Row) -> Result<(&Plan, &State)> {
    match (&row.plan, &row.state) {
        (Some(plan), Some(state)) => Ok((&plan.0, &state.0)),
        _ => Err(Error::conflict(
            format!("deployment {} is being planned at this moment", row.id()),
            "try again in a second",
        )),
    }
}

fn find(row: &Row, plan: &Plan, name: &str) -> Result<AgentId> {
    let found = plan.hosts.iter().find(|planned| planned.name == name);
    found.map(|planned| planned.id).ok_or_else(|| {
        let names: Vec<&str> = plan.hosts.iter().map(|planned| planned.name.as_str()).collect();
        let help = match names.len() {
            0..=12 => format!("it has {}", names.join(", ")),
            many => format!("it has {many} others; see 'pipectl explain {}'", row.id()),
        };
        Error::not_found(format!("host '{name}' in deployment {}", row.id()), help)
    })
}

fn no(row: &Row, Refused { what, remedy }: Refused) -> Error {
    Error::conflict(format!("deployment {} {what}", row.id()), remedy)
}

pub(super) fn needed(reason: &str, what: &str) -> Result<String> {
    let reason = cut(reason);
    if reason.is_empty() {
        let help = "say why; it is kept in the deployment's history";
        return Err(Error::bad_request(format!("{what} needs a reason"), help));
    }
    Ok(reason)
}

/// Lets a deployment that was ordered in this transaction start whatever the group's calendar says.
///
/// # Errors
/// When there is no reason, or nothing to be let through.
pub async fn let_through(
    conn: &mut PgConnection,
    group: &groups::Row,
    id: DeploymentId,
    person: &Person,
    reason: &str,
) -> Result<()> {
    let reason = needed(reason, "letting it through")?;
    let now = store::clock::now(conn).await?;
    if calendar::closed(&group.spec.windows, &group.spec.freeze, now).is_none() {
        return Err(Error::conflict(
            format!("no window and no freeze holds back deployments to {} now", group.name),
            "nothing was ordered; leave --override-freeze away",
        ));
    }
    let event = Event::Override { by: person.name().to_owned(), reason };
    Ok(inbox::post_deployment(conn, id, &event).await?)
}

/// That the group's calendar is what keeps it waiting, so that nobody lets it through in vain.
async fn is_closed(conn: &mut PgConnection, row: &Row) -> Result<()> {
    let now = store::clock::now(conn).await?;
    let group = groups::by_name(conn, &row.group_name).await?;
    let spec = group.map(|group| group.spec.0);
    let closed = spec.and_then(|spec| calendar::closed(&spec.windows, &spec.freeze, now));
    if closed.is_some() && row.purpose() == Purpose::Forward {
        return Ok(());
    }
    Err(Error::conflict(
        format!("no window and no freeze holds deployment {} back now", row.id()),
        format!("see what it waits for: 'pipectl explain {}'", row.id()),
    ))
}
