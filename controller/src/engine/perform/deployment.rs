//! What deployments want done: work for hosts, balancers and providers, and the end.

use super::super::Engine;
use anyhow::{Context as _, Result};
use pipelines::deploy::{self, Phase, Plan, route_timeout};
use pipelines::ids::{AgentId, DeploymentId};
use pipelines::protocol::join::JoinToken;
use pipelines::protocol::route::{Route, ServerOrder, Traffic};
use pipelines::protocol::task::{Dismiss, Launch, Part, Purpose, Work};
use pipelines::run;
use pipelines::run::event::DeploymentEnd;
use pipelines::spec::group::Provider;
use pipelines::time::Millis;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use store::tasks::{New, Order};
use store::{PgConnection, agents, deployments, inbox, instances, tasks};

/// For making or removing a container, an image to be fetched included.
const INSTANCE_TIMEOUT: Millis = Millis::from_minutes(8);

/// How much longer than the engine waits its token is good.
const TOKEN_SPARE: Millis = Millis::from_minutes(1);

/// The deployment whose commands these are.
#[derive(Clone, Copy)]
pub(in super::super) struct Deployment<'a> {
    pub row: &'a deployments::Row,
    pub plan: &'a Plan,
    pub state: &'a deploy::State,
}

impl Deployment<'_> {
    /// Queues a host's work, and says whose agent has to be woken.
    pub async fn start_host(
        self,
        engine: &Engine,
        conn: &mut PgConnection,
        (host, attempt, generation): (AgentId, u32, u64),
        purpose: Purpose,
        parts: &[Part],
    ) -> Result<AgentId> {
        // Hooks around a move of traffic are due where there is no earlier revision as well.
        let moves_only = parts.iter().all(|part| !matches!(part, Part::Fetch | Part::Install));
        let target = self.plan.target(host, purpose);
        let target = target.or_else(|| moves_only.then_some(&self.plan.revision));
        let revision = target.context("a host without a target")?;
        let work = Work::Deploy(self.plan.host_work(host, revision, purpose, parts));
        let new = New {
            work: &work,
            needs: vec![revision.bundle.digest.clone()],
            generation,
            epoch: engine.epoch,
            timeout: self.plan.host.timeout,
        };
        tasks::queue_order(conn, self.row.id(), Order::Host(host), attempt, &new).await?;
        Ok(host)
    }

    /// Queues a change of the balancer for the agent beside it.
    pub async fn route(
        self,
        engine: &Engine,
        conn: &mut PgConnection,
        (attempt, generation, partial): (u32, u64, bool),
        (orders, cohort): (&[(AgentId, Traffic)], &[AgentId]),
    ) -> Result<AgentId> {
        let router = self.plan.router.as_ref().context("an order to a router there is not")?;
        let addresses = match router.settings.port {
            Some(port) => {
                let ids: Vec<AgentId> = orders.iter().map(|(id, _)| *id).collect();
                let known = agents::addresses(conn, &ids).await?.into_iter();
                known.filter_map(|(id, ip)| Some((id, socket_address(&ip, port)?))).collect()
            }
            None => BTreeMap::new(),
        };
        let servers = orders.iter().map(|(id, traffic)| ServerOrder {
            name: self.plan.host_name(*id),
            address: addresses.get(id).cloned(),
            traffic: *traffic,
            cohort: cohort.contains(id),
        });
        let limits = &self.plan.limits;
        let floor = match self.state.phase {
            Phase::RollingBack | Phase::Failing => limits.rollback_min_healthy,
            _ => limits.min_healthy,
        };
        let work = Work::Route(Route {
            deployment: self.plan.deployment,
            group: self.plan.group.clone(),
            router: router.settings.clone(),
            servers: servers.collect(),
            drain: router.drain,
            ready: router.ready,
            may_empty: floor == 0,
            partial,
        });
        let timeout = route_timeout(self.plan);
        let new = New { work: &work, needs: Vec::new(), generation, epoch: engine.epoch, timeout };
        let order = Order::Route(router.agent);
        tasks::queue_order(conn, self.row.id(), order, attempt, &new).await?;
        Ok(router.agent)
    }

    pub async fn cancel_route(self, conn: &mut PgConnection, attempt: u32) -> Result<AgentId> {
        let router = self.plan.router.as_ref().context("an order to a router there is not")?;
        let order = Order::Route(router.agent);
        tasks::cancel_order(conn, self.row.id(), order, attempt).await?;
        Ok(router.agent)
    }

    /// Has a host made that was announced before; with a token for it alone.
    pub async fn launch(
        self,
        engine: &Engine,
        conn: &mut PgConnection,
        host: AgentId,
        attempt: u32,
    ) -> Result<AgentId> {
        let instances = self.plan.instances.as_ref();
        let instances = instances.context("a host to be made, and the group names no provider")?;
        let provider = instances::provider(conn, host).await?.context("a host nobody announced")?;
        let (id, secret) =
            instances::token(conn, host, Millis(instances.join_timeout.0 + TOKEN_SPARE.0)).await?;
        let token = JoinToken { id, secret, ca_sha256: engine.joining.ca_sha256.clone() };
        let Provider::Docker(settings) = &instances.provider;
        let installation = instances::installation(conn).await?.to_string();
        let work = Work::Launch(Launch {
            installation,
            deployment: self.plan.deployment,
            group: self.plan.group.clone(),
            name: self.plan.host_name(host),
            settings: settings.clone(),
            url: engine.joining.url.clone(),
            token: token.to_string(),
        });
        self.instance(engine, conn, Order::Launch(provider, host), attempt, &work).await
    }

    /// Has a host taken away. From now on it is nobody's host.
    pub async fn dismiss(
        self,
        engine: &Engine,
        conn: &mut PgConnection,
        host: AgentId,
        attempt: u32,
    ) -> Result<AgentId> {
        let provider = instances::provider(conn, host).await?;
        let provider = provider.context("a host to be removed that nobody made")?;
        instances::dismissed(conn, host).await?;
        let installation = instances::installation(conn).await?.to_string();
        let work = Work::Dismiss(Dismiss {
            installation,
            deployment: self.plan.deployment,
            group: self.plan.group.clone(),
            name: self.plan.host_name(host),
        });
        self.instance(engine, conn, Order::Dismiss(provider, host), attempt, &work).await
    }

    async fn instance(
        self,
        engine: &Engine,
        conn: &mut PgConnection,
        order: Order,
        attempt: u32,
        work: &Work,
    ) -> Result<AgentId> {
        let new = New {
            work,
            needs: Vec::new(),
            generation: self.state.generation,
            epoch: engine.epoch,
            timeout: INSTANCE_TIMEOUT,
        };
        tasks::queue_order(conn, self.row.id(), order, attempt, &new).await?;
        Ok(order.agent())
    }

    /// Tells the run that waits for it, and whoever is next in the group.
    pub async fn finish(self, conn: &mut PgConnection) -> Result<()> {
        let Deployment { row, plan, state, .. } = self;
        instances::give_up_expected(conn, row.id()).await?;
        tasks::close_deployment(conn, row.id()).await?;
        if let (Some(run), Some(action), Some(attempt)) = (row.run_id, &row.action, row.attempt) {
            let event = run::Event::DeploymentFinished {
                action: action.clone(),
                attempt: attempt.unsigned_abs(),
                end: end_of(state.phase),
                message: end_message(row.id(), plan, state),
            };
            inbox::post_run(conn, pipelines::ids::RunId(run), &event).await?;
        }
        for (other, _) in deployments::unfinished(conn, row.group_id).await? {
            if other != row.id() {
                inbox::post_deployment(conn, other, &deploy::Event::Tick).await?;
            }
        }
        Ok(())
    }
}

/// `10.0.0.7:8080`; None for what is no address.
fn socket_address(ip: &str, port: u16) -> Option<String> {
    let ip: IpAddr = ip.parse().ok()?;
    Some(SocketAddr::new(ip, port).to_string())
}

fn end_of(phase: deploy::Phase) -> DeploymentEnd {
    match phase {
        deploy::Phase::Succeeded => DeploymentEnd::Succeeded,
        deploy::Phase::RolledBack => DeploymentEnd::RolledBack,
        deploy::Phase::Cancelled | deploy::Phase::Superseded => DeploymentEnd::Cancelled,
        deploy::Phase::Failed
        | deploy::Phase::RollbackFailed
        | deploy::Phase::Queued
        | deploy::Phase::Running
        | deploy::Phase::Failing
        | deploy::Phase::RollingBack => DeploymentEnd::Failed,
    }
}

fn end_message(id: DeploymentId, plan: &Plan, state: &deploy::State) -> String {
    let cause = state.cause.as_ref().map_or_else(String::new, |cause| format!(": {cause}"));
    let what = match state.phase {
        deploy::Phase::RolledBack => "was rolled back",
        deploy::Phase::RollbackFailed => "failed and could not be rolled back everywhere",
        deploy::Phase::Cancelled => "was cancelled",
        deploy::Phase::Superseded => "was superseded",
        _ => "failed",
    };
    format!("{id} to {} {what}{cause}", plan.group)
}
