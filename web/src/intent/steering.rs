//! What people want of a deployment that is not over.

use super::cut;
use crate::auth::Person;
use crate::error::{Error, Result};
use pipelines::calendar;
use pipelines::deploy::people::{self, Refused, Retry};
use pipelines::deploy::{Event, Phase, Plan, State};
use pipelines::ids::AgentId;
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
    /// Stop turning back.
    Halt {
        reason: String,
    },
    Pause,
    Resume,
    /// `step`: counted from 1, the one the person saw it held at; None: whichever it is.
    Promote {
        full: bool,
        step: Option<usize>,
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
            format!("deployment {id} is over: {}", row.status),
            "to go back to an earlier revision, use 'pipectl rollback'",
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
        Steer::Pause => Event::Pause { by },
        Steer::Resume => {
            if state.is_none_or(|state| state.paused.is_none()) {
                let message = format!("deployment {id} is not paused");
                return Err(Error::conflict(message, "nothing to resume"));
            }
            Event::Resume { by }
        }
        Steer::Promote { full, step } => {
            let (plan, state) = planned(row)?;
            let now = state.step + 1;
            if step.is_some_and(|step| step != now) && state.phase == Phase::Running {
                let sentence = plan.steps.get(state.step).map(|step| step.sentence(plan));
                let message = format!(
                    "deployment {id} is at step {now} now: {}",
                    sentence.unwrap_or_default()
                );
                return Err(Error::conflict(message, "look at it again, then decide"));
            }
            people::may_promote(plan, state, full).map_err(|refused| no(row, refused))?;
            Event::Promote { by, full }
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
