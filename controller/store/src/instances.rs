//! Instances: hosts a deployment makes. Their rows come before them, so that a plan can name them.

use crate::agents::Tags;
use crate::tokens;
use ::pipelines::ids::{AgentId, DeploymentId};
use ::pipelines::time::Millis;
use sqlx::PgConnection;
use sqlx::types::Json;
use std::net::IpAddr;
use uuid::Uuid;

/// The hosts that were announced for a deployment, in the order they were.
pub async fn announced(
    conn: &mut PgConnection,
    deployment: DeploymentId,
) -> sqlx::Result<Vec<(AgentId, String)>> {
    let rows: Vec<(i64, String)> =
        sqlx::query_as("select id, name from agents where made_for = $1 order by id")
            .bind(deployment.0)
            .fetch_all(conn)
            .await?;
    Ok(rows.into_iter().map(|(id, name)| (AgentId(id), name)).collect())
}

/// Announces a host that does not exist yet.
pub async fn announce(
    conn: &mut PgConnection,
    (group, deployment): (i64, DeploymentId),
    name: &str,
    tags: &Tags,
    provider: AgentId,
) -> sqlx::Result<AgentId> {
    let id: i64 = sqlx::query_scalar(
        "insert into agents (name, role, tags, version, credential_hash, join_key, state, made_for,
                             made_in, provider_id, seen_at)
         values ($1, 'deploy', $2, '', $3, $4, 'expected', $5, $6, $7, 'epoch') returning id",
    )
    .bind(name)
    .bind(Json(tags))
    // Nobody knows what these are hashes of.
    .bind(tokens::hash(&tokens::random(32)))
    .bind(format!("expected:{}", tokens::random(16)))
    .bind(deployment.0)
    .bind(group)
    .bind(provider.0)
    .fetch_one(conn)
    .await?;
    Ok(AgentId(id))
}

/// A token with which exactly this host joins, once. Returns its id and secret; tokens made for it
/// before are good no longer.
pub async fn token(
    conn: &mut PgConnection,
    host: AgentId,
    valid: Millis,
) -> sqlx::Result<(String, String)> {
    sqlx::query("delete from join_tokens where agent_id = $1")
        .bind(host.0)
        .execute(&mut *conn)
        .await?;
    let (id, secret) = (tokens::random(6), tokens::random(24));
    sqlx::query(
        "insert into join_tokens (id, secret_hash, role, tags, uses_left, created_by, expires_at,
                                  agent_id)
         select $1, $2, 'deploy', tags, 1, 'a deployment', now() + $3 * interval '1 millisecond', id
         from agents where id = $4",
    )
    .bind(&id)
    .bind(tokens::hash(&secret))
    .bind(i64::try_from(valid.0).unwrap_or(i64::MAX))
    .bind(host.0)
    .execute(conn)
    .await?;
    Ok((id, secret))
}

/// Who made a host; None for one that nobody made.
pub async fn provider(conn: &mut PgConnection, host: AgentId) -> sqlx::Result<Option<AgentId>> {
    let id: Option<Option<i64>> =
        sqlx::query_scalar("select provider_id from agents where id = $1")
            .bind(host.0)
            .fetch_optional(conn)
            .await?;
    Ok(id.flatten().map(AgentId))
}

/// Notes where a host is, by the word of whoever made it.
pub async fn note_address(
    conn: &mut PgConnection,
    host: AgentId,
    address: IpAddr,
) -> sqlx::Result<()> {
    sqlx::query("update agents set made_address = $2 where id = $1 and provider_id is not null")
        .bind(host.0)
        .bind(address.to_string())
        .execute(conn)
        .await
        .map(|_| ())
}

/// It goes away: its agent is obeyed no longer and it is nobody's host. Without its traffic and what
/// it served, so that nothing is planned with it.
pub async fn dismissed(conn: &mut PgConnection, host: AgentId) -> sqlx::Result<()> {
    for statement in [
        "update agents set state = 'revoked' where id = $1",
        "delete from group_hosts where agent_id = $1",
        "delete from group_traffic where agent_id = $1",
        "delete from join_tokens where agent_id = $1",
    ] {
        sqlx::query(statement).bind(host.0).execute(&mut *conn).await?;
    }
    Ok(())
}

/// Hosts of a finished deployment that never came are expected no longer.
pub async fn give_up_expected(
    conn: &mut PgConnection,
    deployment: DeploymentId,
) -> sqlx::Result<()> {
    sqlx::query("update agents set state = 'revoked' where made_for = $1 and state = 'expected'")
        .bind(deployment.0)
        .execute(conn)
        .await
        .map(|_| ())
}

/// What tells this installation's instances from another's; made when it is first asked for.
pub async fn installation(conn: &mut PgConnection) -> sqlx::Result<Uuid> {
    sqlx::query("insert into installation (uuid) values ($1) on conflict (id) do nothing")
        .bind(Uuid::new_v4())
        .execute(&mut *conn)
        .await?;
    sqlx::query_scalar("select uuid from installation").fetch_one(conn).await
}
