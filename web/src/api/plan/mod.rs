//! The plan before the act: what a deployment or a rollback would do, compiled as the engine compiles it,
//! with every host's own word on its files. Nothing is announced, surveyed or touched.

mod body;
mod host;
mod start;

use super::monitors::{self, MonitorList};
use crate::Web;
use crate::auth::{ByToken, Developer};
use crate::error::{Error, Result};
use crate::extract::{Body, Path};
use crate::questions::{self, ASKED_MAX, PATIENCE, Question, Reply};
use crate::{intent, revision};
use axum::Json;
use axum::extract::State;
use body::PlanBody;
pub use host::ChangeBody;
use pipelines::deploy::strategy::{self, Fleet, Order, PlanError};
use pipelines::deploy::{Lane, Plan, PlanRouter, Step};
use pipelines::ids::{AgentId, DeploymentId};
use pipelines::protocol::task::{Purpose, Revision, Work};
use pipelines::spec::group::Provider;
use pipelines::time::{Millis, Timestamp};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use store::groups::{self, HostRow};
use store::{PgConnection, deployments, fleet};

#[derive(Deserialize)]
pub struct Wanted {
    #[serde(default = "forward")]
    purpose: Purpose,
    /// Forward: a run (`r-12`), a deployment (`d-3`) or a digest; the group's own revision by default.
    revision: Option<String>,
    /// Rollback: a deployment or a digest; the good revision before this one by default.
    to: Option<String>,
}

fn forward() -> Purpose {
    Purpose::Forward
}

/// Everything that is known without asking a host.
pub struct Outlook {
    pub group: groups::Row,
    pub plan: Plan,
    pub hosts: BTreeMap<AgentId, HostRow>,
    /// Agents that were heard within the lease: hosts, and the one beside the balancer.
    pub alive: BTreeSet<AgentId>,
    /// An agent that the group names is not there to be given work, in words.
    pub refused: Option<String>,
    /// Unfinished deployments of the group, with their status.
    pub others: Vec<(DeploymentId, String)>,
    /// Those of them whose place a newer one may take.
    pub overtakable: Vec<DeploymentId>,
    pub monitors: MonitorList,
    pub now: Timestamp,
}

pub async fn show(
    State(web): State<Web>,
    _: ByToken<Developer>,
    Path(name): Path<String>,
    Body(wanted): Body<Wanted>,
) -> Result<Json<PlanBody>> {
    let mut conn = web.pool.acquire().await?;
    let group = intent::group(&mut conn, &name).await?;
    let target = match wanted.purpose {
        Purpose::Forward => {
            revision::find(&web, &mut conn, &group, wanted.revision.as_deref()).await?
        }
        Purpose::Rollback => {
            intent::rollback_target(&mut conn, &group, wanted.to.as_deref()).await?
        }
    };
    let silence = web.lease.silent_for_max;
    let outlook = look(&mut conn, group, target, wanted.purpose, silence).await?;
    drop(conn);
    let asked = questions::ask(&web, previews(&outlook), PATIENCE).await?;
    Ok(Json(PlanBody::new(&outlook, &asked)))
}

async fn look(
    conn: &mut PgConnection,
    group: groups::Row,
    target: Revision,
    purpose: Purpose,
    silence: Millis,
) -> Result<Outlook> {
    let hosts = groups::hosts(conn, group.id, silence).await?;
    let mut alive: BTreeSet<AgentId> =
        hosts.iter().filter(|host| host.alive).map(|host| AgentId(host.id)).collect();
    let mut members = fleet::members(&group, &hosts);
    for member in &mut members {
        // The engine will read the balancer; until then it is taken to send what serves its share.
        if member.lane == Lane::Unknown && member.serving.is_some() {
            member.lane = Lane::In { weight: PlanRouter::EQUAL };
        }
    }
    let spec = &group.spec.0;
    let (mut router, mut refused) = (None, None);
    if let Some(settings) = &spec.router {
        let of = ("router", settings.balancer.agent());
        let named = fleet::named(conn, of, silence).await?;
        let named = named.map_err(|error| no_plan(&group.name, &error))?;
        refused = named.refusal(of.0, of.1);
        alive.extend(named.alive.then_some(named.agent));
        router = fleet::router(spec, named.agent, &members);
    }
    let wanted = fleet::new_hosts(spec, purpose, &members);
    if let Some(made_of) = spec.instances.as_ref().filter(|_| wanted > 0) {
        let Provider::Docker(docker) = &made_of.provider;
        let of = ("instances", docker.agent.as_str());
        let named = fleet::named(conn, of, silence).await?;
        let named = named.map_err(|error| no_plan(&group.name, &error))?;
        refused = refused.or_else(|| named.refusal(of.0, of.1));
    }
    // Nobody else has a number below zero.
    let new = (1_i64..).take(wanted).map(|n| (AgentId(-n), format!("new-{n}"))).collect();
    let fleet = Fleet { members, new, router };
    let order = Order { deployment: DeploymentId(0), revision: target, purpose };
    let plan =
        strategy::compile(spec, &fleet, order).map_err(|error| no_plan(&group.name, &error))?;
    let others = deployments::unfinished(conn, group.id).await?;
    let overtakable = deployments::queued(conn, group.id).await?;
    let monitors = monitors::listed(conn, &group).await?;
    let now = store::clock::now(conn).await?;
    let hosts = hosts.into_iter().map(|host| (AgentId(host.id), host)).collect();
    Ok(Outlook { group, plan, hosts, alive, refused, others, overtakable, monitors, now })
}

fn no_plan(group: &str, error: &PlanError) -> Error {
    Error::conflict(
        format!("no plan can be made for {group}: {error}"),
        "nothing was touched; correct the group's file and apply it again",
    )
}

/// One for each host whose files would change and whose agent is heard.
fn previews(outlook: &Outlook) -> Vec<Question> {
    let plan = &outlook.plan;
    let parts = plan.all_parts();
    let hosts = plan.hosts.iter().filter(|host| !host.provisioned);
    let hosts = hosts.filter(|host| outlook.is_installed(host.id));
    let hosts = hosts.filter(|host| outlook.alive.contains(&host.id)).take(ASKED_MAX);
    let question = |id: AgentId| Question {
        agent: id,
        work: Work::Preview(plan.host_work(id, &plan.revision, plan.purpose, &parts)),
        needs: vec![plan.revision.bundle.digest.clone()],
    };
    hosts.map(|host| question(host.id)).collect()
}

/// By agent, for those who were asked.
pub type Replies = BTreeMap<AgentId, Reply>;

impl Outlook {
    /// Whether the plan brings the host to the revision.
    pub fn is_installed(&self, id: AgentId) -> bool {
        let installs =
            |step: &Step| matches!(step, Step::Install { hosts, .. } if hosts.contains(&id));
        self.plan.steps.iter().any(installs)
    }
}
