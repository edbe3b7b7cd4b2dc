//! Agents, and hosts: agents in the deploy role with what they serve.

use super::shared::{self, RevisionBody};
use crate::Web;
use crate::auth::{Admin, ByToken, Operator, Person, Viewer};
use crate::error::{Error, Result};
use crate::extract::Path;
use axum::Json;
use axum::extract::State;
use pipelines::ids::AgentId;
use pipelines::protocol::join::Role;
use serde::Serialize;
use std::collections::BTreeMap;
use store::agents::Row;
use store::groups::ServedRow;

#[derive(Serialize)]
pub struct AgentBody {
    id: String,
    name: String,
    role: &'static str,
    /// active, drained
    state: String,
    alive: bool,
    seen_at: String,
    joined_at: String,
    version: String,
    address: Option<String>,
    tags: BTreeMap<String, String>,
    /// Why it takes no work although nothing runs.
    unfit: Option<String>,
}

impl From<&Row> for AgentBody {
    fn from(row: &Row) -> AgentBody {
        AgentBody {
            id: row.id().to_string(),
            name: row.name.clone(),
            role: row.role().as_str(),
            state: row.state.clone(),
            alive: row.alive,
            seen_at: shared::at(row.seen_at),
            joined_at: shared::at(row.joined_at),
            version: row.version.clone(),
            address: row.address.clone(),
            tags: row.tags.0.clone(),
            unfit: row.unfit.clone(),
        }
    }
}

#[derive(Serialize)]
pub struct AgentList {
    agents: Vec<AgentBody>,
}

pub async fn list(State(web): State<Web>, _: Viewer) -> Result<Json<AgentList>> {
    let mut conn = web.pool.acquire().await?;
    let rows = store::agents::list(&mut conn, web.lease.silent_for_max).await?;
    Ok(Json(AgentList { agents: rows.iter().map(AgentBody::from).collect() }))
}

#[derive(Serialize)]
pub struct HostList {
    hosts: Vec<HostBody>,
}

#[derive(Serialize)]
pub struct HostBody {
    #[serde(flatten)]
    agent: AgentBody,
    groups: Vec<ServedBody>,
}

/// What a host serves for one group.
#[derive(Serialize)]
pub struct ServedBody {
    group: String,
    /// revision, unknown, broken
    serving: String,
    revision: Option<RevisionBody>,
    deployment: Option<String>,
}

impl From<&ServedRow> for ServedBody {
    fn from(row: &ServedRow) -> ServedBody {
        ServedBody {
            group: row.group_name.clone(),
            serving: row.serving.clone(),
            revision: row.revision.as_ref().map(|revision| RevisionBody::from(&revision.0)),
            deployment: row.deployment().map(|id| id.to_string()),
        }
    }
}

pub async fn hosts(State(web): State<Web>, _: Viewer) -> Result<Json<HostList>> {
    let mut conn = web.pool.acquire().await?;
    let agents = store::agents::list(&mut conn, web.lease.silent_for_max).await?;
    let served = store::groups::served(&mut conn).await?;
    let hosts = agents.iter().filter(|agent| agent.role() == Role::Deploy);
    let hosts = hosts.map(|agent| HostBody {
        agent: AgentBody::from(agent),
        groups: served
            .iter()
            .filter(|served| AgentId(served.agent_id) == agent.id())
            .map(ServedBody::from)
            .collect(),
    });
    Ok(Json(HostList { hosts: hosts.collect() }))
}

#[derive(Serialize)]
pub struct StateBody {
    name: String,
    state: &'static str,
}

pub async fn drain(
    State(web): State<Web>,
    ByToken(Operator(person)): ByToken<Operator>,
    Path(name): Path<String>,
) -> Result<Json<StateBody>> {
    set_state(&web, &person, &name, "drained").await
}

pub async fn undrain(
    State(web): State<Web>,
    ByToken(Operator(person)): ByToken<Operator>,
    Path(name): Path<String>,
) -> Result<Json<StateBody>> {
    set_state(&web, &person, &name, "active").await
}

pub async fn revoke(
    State(web): State<Web>,
    ByToken(Admin(person)): ByToken<Admin>,
    Path(name): Path<String>,
) -> Result<Json<StateBody>> {
    set_state(&web, &person, &name, "revoked").await
}

async fn set_state(
    web: &Web,
    person: &Person,
    name: &str,
    state: &'static str,
) -> Result<Json<StateBody>> {
    let mut conn = web.pool.acquire().await?;
    let Some(agent) = store::agents::set_state(&mut conn, name, state).await? else {
        return Err(Error::not_found(format!("agent '{name}'"), "see 'pipectl agents'"));
    };
    tracing::info!(agent.name = name, by = person.name(), "an agent is now {state}");
    // A held poll of its ends, and one that is revoked hears so.
    web.wakes.agent(agent);
    web.wakes.engine();
    web.wakes.pages();
    Ok(Json(StateBody { name: name.to_owned(), state }))
}
