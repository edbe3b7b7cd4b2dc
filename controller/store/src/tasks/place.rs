//! Where tasks stand at agents that work on one at a time.

use ::pipelines::deploy::Place;
use ::pipelines::ids::{AgentId, DeploymentId};
use ::pipelines::time::Timestamp;
use sqlx::{FromRow, PgConnection};

#[derive(FromRow)]
struct PlaceRow {
    agent: i64,
    counts_from: Option<i64>,
    ahead: Option<i64>,
    ahead_group: Option<String>,
}

/// Where a deployment's tasks stand at these hosts' agents, or would if they were handed out now. Without
/// hosts about which there is nothing to say.
pub async fn places(
    conn: &mut PgConnection,
    deployment: DeploymentId,
    hosts: &[i64],
) -> sqlx::Result<Vec<(AgentId, Place)>> {
    let rows: Vec<PlaceRow> = sqlx::query_as(
        "select host as agent, ms(coalesce(own.started_at, earlier.ended_at)) as counts_from,
                ahead.deployment_id as ahead, ahead.name as ahead_group
         from unnest($2::bigint[]) as host
         left join lateral (
             select id, created_at, started_at from tasks
             where agent_id = host and deployment_id = $1 and kind = 'host' and finished_at is null
             order by id desc limit 1) own on true
         left join lateral (
             select deployment_id, groups.name from tasks
             join deployments on deployments.id = deployment_id
             join groups on groups.id = deployments.group_id
             where agent_id = host and kind = 'host' and tasks.finished_at is null
               and deployment_id <> $1 and own.started_at is null
               and (own.id is null or tasks.id < own.id)
             order by tasks.id limit 1) ahead on true
         left join lateral (
             select max(finished_at) as ended_at from tasks
             where agent_id = host and kind = 'host' and deployment_id <> $1
               and finished_at > own.created_at and tasks.id < own.id) earlier on true
         where ahead.deployment_id is not null
            or coalesce(own.started_at, earlier.ended_at) is not null",
    )
    .bind(deployment.0)
    .bind(hosts)
    .fetch_all(conn)
    .await?;
    let place = |row: PlaceRow| {
        let behind = row.ahead.zip(row.ahead_group);
        let place = Place {
            counts_from: row.counts_from.map(Timestamp),
            behind: behind
                .map(|(id, group)| format!("deployment {} of group {group}", DeploymentId(id))),
        };
        (AgentId(row.agent), place)
    };
    Ok(rows.into_iter().map(place).collect())
}
