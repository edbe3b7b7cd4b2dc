//! What a deployment is planned with: the group's hosts, its balancer as it is now, and the hosts that
//! are to be made.

use super::{Effects, Engine};
use anyhow::Result;
use pipelines::deploy::strategy::{Fleet, Member, PlanError};
use pipelines::deploy::{Lane, Unread};
use pipelines::ids::{AgentId, DeploymentId};
use pipelines::protocol::answer::{Answer, Check, Routed};
use pipelines::protocol::report::Outcome;
use pipelines::protocol::route::{Observe, Traffic};
use pipelines::protocol::task::Work;
use pipelines::spec::group::Provider;
use pipelines::time::{Millis, Timestamp};
use store::deployments::Row;
use store::groups::{self, HostRow};
use store::tasks::{self, New};
use store::{PgConnection, deployments, instances};

/// What a balancer said is believed for so long.
const FRESH: Millis = Millis::from_secs(10);
/// How long a balancer may take to say it.
const SURVEY_TIMEOUT: Millis = Millis::from_secs(20);

/// Whether the fleet is known well enough to plan with.
pub(super) enum Known {
    Fleet(Box<Fleet>),
    /// Nobody answered yet.
    Unread(Unread, Box<Fleet>),
    /// It cannot be planned with, and why.
    No(PlanError),
}

/// `may_start`: nothing else holds the deployment back, so that it is worth asking the balancer.
pub(super) async fn look(
    engine: &Engine,
    conn: &mut PgConnection,
    row: &Row,
    group: &groups::Row,
    hosts: &mut Vec<HostRow>,
    (may_start, now): (bool, Timestamp),
    effects: &mut Effects,
) -> Result<Known> {
    let spec = &group.spec.0;
    let silence = engine.grace.silence(conn).await?;
    let beside = match &spec.router {
        None => None,
        Some(router) => {
            let of = ("router", router.balancer.agent());
            match store::fleet::named(conn, of, silence).await? {
                Ok(named) => match named.refusal(of.0, of.1).filter(|_| may_start) {
                    Some(refusal) => return Ok(Known::No(PlanError(refusal))),
                    None => Some(named),
                },
                Err(error) => return Ok(Known::No(error)),
            }
        }
    };
    let members = store::fleet::members(group, hosts);
    let new = match announce(conn, row, group, (&members, may_start), silence).await? {
        Ok(new) => new,
        Err(error) => return Ok(Known::No(error)),
    };
    let mut fleet = Fleet { members, new, router: None };
    let Some(beside) = beside else { return Ok(Known::Fleet(Box::new(fleet))) };
    fleet.router = store::fleet::router(spec, beside.agent, &fleet.members);
    if !may_start {
        return Ok(Known::Fleet(Box::new(fleet)));
    }
    let survey = Survey { engine, row, group, agent: beside.agent };
    match survey.ask(conn, &fleet, now, effects).await? {
        Asked::Fresh => Ok(Known::Fleet(Box::new(fleet))),
        Asked::Waits(since) => {
            let whom = spec.router.as_ref().map_or("", |router| router.balancer.agent());
            let (what, whom) = ("the state of the balancer".to_owned(), whom.to_owned());
            Ok(Known::Unread(Unread { what, whom, since }, Box::new(fleet)))
        }
        Asked::Failed(message) => {
            let text = format!("the balancer could not be read, so nothing was touched: {message}");
            Ok(Known::No(PlanError(text)))
        }
        Asked::Answered(routed) => {
            note(conn, group, &fleet.members, &routed).await?;
            deployments::surveyed(conn, row.id()).await?;
            *hosts = groups::hosts(conn, group.id, silence).await?;
            fleet.members = store::fleet::members(group, hosts);
            fleet.router = store::fleet::router(spec, beside.agent, &fleet.members);
            Ok(Known::Fleet(Box::new(fleet)))
        }
    }
}

/// Announces the hosts the strategy wants made, once for each deployment.
async fn announce(
    conn: &mut PgConnection,
    row: &Row,
    group: &groups::Row,
    (members, may_start): (&[Member], bool),
    silence: Millis,
) -> Result<Result<Vec<(AgentId, String)>, PlanError>> {
    let spec = &group.spec.0;
    let wanted = store::fleet::new_hosts(spec, row.purpose(), members);
    let Some(made_of) = spec.instances.as_ref().filter(|_| wanted > 0) else {
        return Ok(Ok(Vec::new()));
    };
    let mut known = instances::announced(conn, row.id()).await?;
    let Provider::Docker(docker) = &made_of.provider;
    let of = ("instances", docker.agent.as_str());
    let named = match store::fleet::named(conn, of, silence).await? {
        Ok(named) => named,
        Err(error) => return Ok(Err(error)),
    };
    if let Some(refusal) = named.refusal(of.0, of.1).filter(|_| may_start) {
        return Ok(Err(PlanError(refusal)));
    }
    if known.len() < wanted {
        for number in known.len() + 1..=wanted {
            let name = instance_name(&spec.name, row.id(), number);
            let of = (group.id, row.id());
            let id = instances::announce(conn, of, &name, &made_of.tags, named.agent).await?;
            known.push((id, name));
        }
    }
    known.truncate(wanted);
    Ok(Ok(known))
}

/// Unlike any other host's, and short enough for a host's name.
fn instance_name(group: &str, deployment: DeploymentId, number: usize) -> String {
    let end = format!("-{deployment}-{number}");
    let room = 63_usize.saturating_sub(end.len());
    let stem: String = group.chars().take(room).collect();
    format!("{stem}{end}")
}

/// Writes down what the balancer said.
async fn note(
    conn: &mut PgConnection,
    group: &groups::Row,
    members: &[Member],
    routed: &Routed,
) -> Result<()> {
    for member in members {
        let Some(seen) = routed.servers.iter().find(|seen| seen.name == member.name) else {
            continue;
        };
        let reached = matches!(seen.traffic, Traffic::In { .. });
        let said = (Lane::from(seen.traffic), reached && seen.check == Check::Up);
        groups::record_survey(conn, group.id, member.id, said).await?;
    }
    Ok(())
}

/// The question to the agent beside the balancer.
struct Survey<'a> {
    engine: &'a Engine,
    row: &'a Row,
    group: &'a groups::Row,
    agent: AgentId,
}

enum Asked {
    /// Answered not long ago.
    Fresh,
    Waits(Timestamp),
    Answered(Routed),
    Failed(String),
}

impl Survey<'_> {
    async fn ask(
        &self,
        conn: &mut PgConnection,
        fleet: &Fleet,
        now: Timestamp,
        effects: &mut Effects,
    ) -> Result<Asked> {
        let fresh = self.row.surveyed_at.is_some_and(|at| now < Timestamp(at) + FRESH);
        if fresh {
            return Ok(Asked::Fresh);
        }
        if let Some((task, since)) = deployments::survey(conn, self.row.id()).await? {
            match tasks::answer(conn, task).await? {
                None if now < since + SURVEY_TIMEOUT + SURVEY_TIMEOUT => {
                    return Ok(Asked::Waits(since));
                }
                None => tasks::withdraw(conn, task).await?,
                Some(outcome) => return Ok(Asked::from(outcome)),
            }
        }
        let Some(settings) = &self.group.spec.0.router else { return Ok(Asked::Fresh) };
        let servers = fleet.members.iter().map(|member| member.name.clone()).collect();
        let work = Work::Survey(Observe { router: settings.clone(), servers });
        let new = New {
            work: &work,
            needs: Vec::new(),
            generation: 0,
            epoch: self.engine.epoch,
            timeout: SURVEY_TIMEOUT,
        };
        let id = self.row.id();
        let task = tasks::ask(conn, self.agent, Some(id), &new).await?;
        deployments::surveys(conn, id, task).await?;
        effects.agents.insert(self.agent);
        Ok(Asked::Waits(now))
    }
}

impl Asked {
    fn from(outcome: Outcome) -> Asked {
        match outcome {
            Outcome::Succeeded { answer: Some(Answer::Routed(routed)), .. } => {
                Asked::Answered(routed)
            }
            Outcome::Failed { error, .. } => Asked::Failed(error.message),
            Outcome::Succeeded { .. } | Outcome::Cancelled { .. } => {
                Asked::Failed("it gave no answer".to_owned())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_has_a_name_a_host_can_have() {
        let name = instance_name("shop", DeploymentId(12), 3);
        assert_eq!(name, "shop-d-12-3");
        let long = instance_name(&"g".repeat(64), DeploymentId(1_000_000), 40);
        assert_eq!(long.len(), 63);
        assert!(long.ends_with("-d-1000000-40") && pipelines::ids::is_name(&long), "{long}");
    }
}
