//! An agent asks who it is; an agent that is removed says goodbye.

use super::auth::Agent;
use super::clean::Clean;
use crate::error::Failure;
use crate::state::Controller;
use axum::Json;
use axum::extract::State;
use pipelines::protocol::whoami::{LeaveReply, LeaveRequest, WhoamiReply};
use pipelines::protocol::{VERSION, VERSION_FLOOR};
use store::{Connection as _, agents, clock, tasks};

pub(super) async fn whoami(
    State(controller): State<Controller>,
    Agent(agent): Agent,
) -> Result<Json<WhoamiReply>, Failure> {
    let now = clock::now(&mut *controller.pool.acquire().await?).await?;
    Ok(Json(WhoamiReply {
        agent: agent.id,
        name: agent.name,
        role: agent.role,
        drained: agent.drained,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        protocol: VERSION,
        protocol_floor: VERSION_FLOOR,
        now,
    }))
}

/// Ends the agent's own credential, so that nobody has to remember to. One that has work is asked to
/// wait for its end, unless it insists.
pub(super) async fn leave(
    State(controller): State<Controller>,
    Agent(agent): Agent,
    Clean(request): Clean<LeaveRequest>,
) -> Result<Json<LeaveReply>, Failure> {
    let mut conn = controller.pool.acquire().await?;
    let mut tx = conn.begin().await?;
    let held = tasks::held(&mut tx, agent.id).await?;
    if !held.is_empty() && !request.force {
        let held: Vec<String> = held.iter().map(|held| held.task.key.task.to_string()).collect();
        return Err(Failure::Conflict(format!("{} has work: {}", agent.name, held.join(", "))));
    }
    agents::set_state(&mut tx, &agent.name, "revoked").await?;
    tx.commit().await?;
    tracing::info!(agent = agent.name, "an agent left");
    controller.wakes.agent(agent.id);
    controller.wakes.engine();
    controller.wakes.pages();
    Ok(Json(LeaveReply { name: agent.name }))
}
