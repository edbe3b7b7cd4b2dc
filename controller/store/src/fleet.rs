//! Rows as what plans are made of: the same for the engine and for those who only want to see a plan.

use crate::agents;
use crate::groups::{HostRow, Row};
use ::pipelines::deploy::strategy::{self, Member, PlanError};
use ::pipelines::deploy::{Lane, PlanRouter};
use ::pipelines::ids::AgentId;
use ::pipelines::protocol::task::Purpose;
use ::pipelines::spec::group::Group;
use ::pipelines::time::Millis;
use sqlx::PgConnection;
use std::collections::BTreeMap;

/// The balancer's own check is given at least this long.
const READY_MIN: Millis = Millis::from_secs(30);

/// The hosts of the group as they stand now.
#[must_use]
pub fn members(group: &Row, hosts: &[HostRow]) -> Vec<Member> {
    let selected = hosts
        .iter()
        .filter(|host| host.state == "active" && group.spec.0.hosts.matches(&host.tags.0));
    // A host that is new to the group returns to what the group is on.
    let base = group.base.as_ref().map(|base| base.0.clone());
    let has_router = group.spec.0.router.is_some();
    selected
        .map(|host| Member {
            id: AgentId(host.id),
            name: host.name.clone(),
            tags: host.tags.0.clone(),
            alive: host.alive,
            serving: host.revision.as_ref().map(|revision| revision.0.clone()),
            good: host.good.as_ref().map(|good| good.0.clone()).or_else(|| base.clone()),
            lane: match &host.lane {
                _ if !has_router => Lane::Direct,
                Some(lane) => lane.0,
                None => Lane::Unknown,
            },
            weight: host.weight.and_then(|weight| u16::try_from(weight).ok()),
            answers: host.serving.is_none() && host.answers,
            instance: host.instance,
        })
        .collect()
}

/// The group's balancer as a plan has it; `agent` is beside it.
#[must_use]
pub fn router(spec: &Group, agent: AgentId, members: &[Member]) -> Option<PlanRouter> {
    let settings = spec.router.clone()?;
    let check = settings.check;
    let own = check.every.0 * u64::from(check.rise) * 5;
    Some(PlanRouter {
        agent,
        name: settings.balancer.agent().to_owned(),
        drain: spec.drain.timeout,
        ready: READY_MIN.max(Millis(own)),
        equal: usual_weight(members),
        settings,
    })
}

/// What most hosts in traffic have.
fn usual_weight(members: &[Member]) -> u16 {
    let mut counts = BTreeMap::<u16, usize>::new();
    for member in members {
        let serves = matches!(member.lane, Lane::In { .. });
        if let Some(weight) = member.own_weight().filter(|_| serves) {
            *counts.entry(weight).or_default() += 1;
        }
    }
    let most = counts.into_iter().max_by_key(|(_, count)| *count);
    most.map_or(PlanRouter::EQUAL, |(weight, _)| weight)
}

/// How many hosts the strategy wants made besides these members.
#[must_use]
pub fn new_hosts(spec: &Group, purpose: Purpose, members: &[Member]) -> usize {
    match purpose {
        // Back to a revision that proved itself, on the hosts there are.
        Purpose::Rollback if !members.is_empty() => 0,
        Purpose::Forward | Purpose::Rollback => strategy::new_hosts(spec, members) as usize,
    }
}

/// An agent that a group names, at a balancer or where hosts are made.
pub struct Named {
    pub agent: AgentId,
    pub alive: bool,
    drained: bool,
}

/// The agent that the group's `key` names. Err: there is none of that name that takes part.
pub async fn named(
    conn: &mut PgConnection,
    (key, name): (&str, &str),
    silence: Millis,
) -> sqlx::Result<Result<Named, PlanError>> {
    let Some((agent, alive, _)) = agents::by_name(conn, name, silence).await? else {
        let text = format!(
            "`{key}` names the agent {name}, and there is none of that name; join one there, or correct \
             the group"
        );
        return Ok(Err(PlanError(text)));
    };
    let drained = agents::is_drained(conn, agent).await?;
    Ok(Ok(Named { agent, alive, drained }))
}

impl Named {
    /// Why nothing should begin that needs it.
    #[must_use]
    pub fn refusal(&self, key: &str, name: &str) -> Option<String> {
        if self.drained {
            return Some(format!(
                "the agent {name}, which `{key}` names, is drained, so it is given nothing new; nothing was \
                 touched. Put it back by 'pipectl agent undrain {name}', or name another one"
            ));
        }
        (!self.alive).then(|| {
            format!(
                "the agent {name}, which `{key}` names, is silent; nothing was touched. Bring it back, or \
                 name another one"
            )
        })
    }
}
