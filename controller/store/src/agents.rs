//! Agents, the tokens they join with, and when they were last heard.

use crate::tokens;
use ::pipelines::ids::{AgentId, DeploymentId};
use ::pipelines::protocol::join::{JoinRequest, Role};
use ::pipelines::protocol::poll::Installed;
use ::pipelines::time::{Millis, Timestamp};
use sqlx::types::Json;
use sqlx::{FromRow, PgConnection};
use std::collections::BTreeMap;

pub type Tags = BTreeMap<String, String>;

#[derive(Debug, Clone, FromRow)]
pub struct Row {
    pub id: i64,
    pub name: String,
    pub role: String,
    pub tags: Json<Tags>,
    pub version: String,
    pub state: String,
    pub unfit: Option<String>,
    pub address: Option<String>,
    pub installed: Json<Vec<Installed>>,
    /// Milliseconds since the epoch.
    pub seen_at: i64,
    pub joined_at: i64,
    /// Seen within the lease given to the query.
    pub alive: bool,
}

impl Row {
    #[must_use]
    pub fn id(&self) -> AgentId {
        AgentId(self.id)
    }

    #[must_use]
    pub fn seen_at(&self) -> Timestamp {
        Timestamp(self.seen_at)
    }

    #[must_use]
    pub fn role(&self) -> Role {
        if self.role == "build" { Role::Build } else { Role::Deploy }
    }
}

/// An agent that has proved who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub id: AgentId,
    pub name: String,
    pub role: Role,
    /// It takes no new work.
    pub drained: bool,
}

/// Why a join is refused. The text is for the person at the host.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    #[error(
        "the join token is unknown, used up or expired; make a new one with 'pipectl join-token create'"
    )]
    Token,
    #[error(
        "an agent named {0} exists; choose another --name, or revoke it with 'pipectl agent revoke {0}'"
    )]
    NameTaken(String),
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
}

/// Creates a join token and returns its id and secret.
pub async fn create_join_token(
    conn: &mut PgConnection,
    role: Role,
    tags: &Tags,
    uses: i32,
    valid: Millis,
    by: &str,
) -> sqlx::Result<(String, String)> {
    let (id, secret) = (tokens::random(6), tokens::random(24));
    sqlx::query(
        "insert into join_tokens (id, secret_hash, role, tags, uses_left, created_by, expires_at)
         values ($1, $2, $3, $4, $5, $6, now() + $7 * interval '1 millisecond')",
    )
    .bind(&id)
    .bind(tokens::hash(&secret))
    .bind(role.as_str())
    .bind(Json(tags))
    .bind(uses)
    .bind(by)
    .bind(i64::try_from(valid.0).unwrap_or(i64::MAX))
    .execute(conn)
    .await?;
    Ok((id, secret))
}

/// Turns a join token into an agent, or repeats an earlier join with a new credential. Returns the
/// agent, its credential, its role and its tags.
///
/// # Errors
/// [`JoinError`]; the token is used up only when the agent was created.
pub async fn join(
    conn: &mut PgConnection,
    secret: &str,
    request: &JoinRequest,
    address: &str,
) -> Result<(AgentId, String, Role, Tags), JoinError> {
    let credential = format!("pya{}", tokens::random(32));
    let join_key = format!("{}:{}", request.token, hex::encode(tokens::hash(&request.idempotency)));
    let hash = tokens::hash(secret);
    let repeated: Option<(i64, String, Json<Tags>)> = sqlx::query_as(
        "update agents set credential_hash = $3
         from join_tokens where join_tokens.id = $4 and join_tokens.secret_hash = $5
           and agents.join_key = $1 and agents.name = $2 and agents.state <> 'revoked'
         returning agents.id, agents.role, agents.tags",
    )
    .bind(&join_key)
    .bind(&request.name)
    .bind(tokens::hash(&credential))
    .bind(&request.token)
    .bind(&hash)
    .fetch_optional(&mut *conn)
    .await?;
    if let Some((id, role, Json(tags))) = repeated {
        return Ok((AgentId(id), credential, role_from(&role), tags));
    }
    let used: Option<(String, Json<Tags>, Option<i64>)> = sqlx::query_as(
        "update join_tokens set uses_left = uses_left - 1
         where id = $1 and secret_hash = $2 and uses_left > 0 and expires_at > now()
         returning role, tags, agent_id",
    )
    .bind(&request.token)
    .bind(&hash)
    .fetch_optional(&mut *conn)
    .await?;
    let Some((role, Json(fixed), expected)) = used else { return Err(JoinError::Token) };
    // What the token fixes wins over what the host says of itself.
    let mut tags = request.tags.clone();
    tags.extend(fixed);
    if let Some(expected) = expected {
        let joined = Expected { id: expected, request, tags: &tags, join_key: &join_key, address };
        let id = joined.arrives(conn, &tokens::hash(&credential)).await?;
        return id.map(|id| (id, credential, role_from(&role), tags)).ok_or(JoinError::Token);
    }
    let created: Option<i64> = sqlx::query_scalar(
        "insert into agents (name, role, tags, version, credential_hash, join_key, address)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (name) where state <> 'revoked' do nothing returning id",
    )
    .bind(&request.name)
    .bind(&role)
    .bind(Json(&tags))
    .bind(&request.version)
    .bind(tokens::hash(&credential))
    .bind(&join_key)
    .bind(address)
    .fetch_optional(&mut *conn)
    .await?;
    let Some(id) = created else { return Err(JoinError::NameTaken(request.name.clone())) };
    Ok((AgentId(id), credential, role_from(&role), tags))
}

/// A host that was announced, and its agent that joins now.
struct Expected<'a> {
    id: i64,
    request: &'a JoinRequest,
    tags: &'a Tags,
    join_key: &'a str,
    address: &'a str,
}

impl Expected<'_> {
    /// None when it goes by another name, or is expected no longer.
    async fn arrives(
        &self,
        conn: &mut PgConnection,
        credential_hash: &[u8],
    ) -> sqlx::Result<Option<AgentId>> {
        let joined: Option<(i64, Option<i64>)> = sqlx::query_as(
            "update agents set state = 'active', tags = $3, version = $4, credential_hash = $5,
                               join_key = $6, address = $7, joined_at = now(), seen_at = now()
             where id = $1 and name = $2 and state = 'expected' returning id, made_for",
        )
        .bind(self.id)
        .bind(&self.request.name)
        .bind(Json(self.tags))
        .bind(&self.request.version)
        .bind(credential_hash)
        .bind(self.join_key)
        .bind(self.address)
        .fetch_optional(&mut *conn)
        .await?;
        // Somebody waits for just this.
        if let Some((_, Some(deployment))) = joined {
            let tick = ::pipelines::deploy::Event::Tick;
            crate::inbox::post_deployment(conn, DeploymentId(deployment), &tick).await?;
        }
        Ok(joined.map(|(id, _)| AgentId(id)))
    }
}

fn role_from(text: &str) -> Role {
    if text == "build" { Role::Build } else { Role::Deploy }
}

/// The agent a credential belongs to; None when it is unknown or revoked.
pub async fn by_credential(
    conn: &mut PgConnection,
    credential: &str,
) -> sqlx::Result<Option<Known>> {
    let row: Option<(i64, String, String, String)> = sqlx::query_as(
        "select id, name, role, state from agents
         where credential_hash = $1 and state in ('active', 'drained')",
    )
    .bind(tokens::hash(credential))
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|(id, name, role, state)| Known {
        id: AgentId(id),
        name,
        role: role_from(&role),
        drained: state == "drained",
    }))
}

/// Whether an agent that was known a moment ago still is: not revoked since.
pub async fn takes_part(conn: &mut PgConnection, agent: AgentId) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "select exists (select from agents where id = $1 and state in ('active', 'drained'))",
    )
    .bind(agent.0)
    .fetch_one(conn)
    .await
}

/// Notes many agents as heard just now, in one statement.
pub async fn note_seen(conn: &mut PgConnection, agents: &[AgentId]) -> sqlx::Result<()> {
    let ids: Vec<i64> = agents.iter().map(|id| id.0).collect();
    sqlx::query("update agents set seen_at = now() where id = any($1)")
        .bind(ids)
        .execute(conn)
        .await
        .map(|_| ())
}

/// Notes what an agent says of itself; writes only when something changed.
pub async fn note_condition(
    conn: &mut PgConnection,
    agent: AgentId,
    version: &str,
    unfit: Option<&str>,
    installed: &[Installed],
) -> sqlx::Result<()> {
    sqlx::query(
        "update agents set version = $2, unfit = $3, installed = $4
         where id = $1 and (version, coalesce(unfit, ''), installed)
               is distinct from ($2, coalesce($3, ''), $4)",
    )
    .bind(agent.0)
    .bind(version)
    .bind(unfit)
    .bind(Json(installed))
    .execute(conn)
    .await
    .map(|_| ())
}

/// Every agent that was not revoked, by role and name.
pub async fn list(conn: &mut PgConnection, lease: Millis) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as(
        "select id, name, role, tags, version, state, unfit,
                coalesce(made_address, address) as address, installed,
                ms(seen_at) as seen_at, ms(joined_at) as joined_at,
                seen_at > now() - $1 * interval '1 millisecond' as alive
         from agents where state in ('active', 'drained') order by role, name",
    )
    .bind(i64::try_from(lease.0).unwrap_or(i64::MAX))
    .fetch_all(conn)
    .await
}

/// Where these agents are: by the word of whoever made the host, else as was seen when they joined, which
/// behind a NAT is the NAT's address. Those without one are left out.
pub async fn addresses(
    conn: &mut PgConnection,
    agents: &[AgentId],
) -> sqlx::Result<BTreeMap<AgentId, String>> {
    let ids: Vec<i64> = agents.iter().map(|id| id.0).collect();
    let rows: Vec<(i64, String)> = sqlx::query_as(
        "select id, coalesce(made_address, address) from agents
             where id = any($1) and coalesce(made_address, address) is not null",
    )
    .bind(ids)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|(id, address)| (AgentId(id), address)).collect())
}

/// An agent that takes part, by name, and whether it was heard within the lease.
pub async fn by_name(
    conn: &mut PgConnection,
    name: &str,
    lease: Millis,
) -> sqlx::Result<Option<(AgentId, bool, Timestamp)>> {
    let row: Option<(i64, bool, i64)> = sqlx::query_as(
        "select id, seen_at > now() - $2 * interval '1 millisecond', ms(seen_at)
         from agents where name = $1 and state in ('active', 'drained')",
    )
    .bind(name)
    .bind(i64::try_from(lease.0).unwrap_or(i64::MAX))
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|(id, alive, seen)| (AgentId(id), alive, Timestamp(seen))))
}

/// Whether somebody took it out of service.
pub async fn is_drained(conn: &mut PgConnection, agent: AgentId) -> sqlx::Result<bool> {
    sqlx::query_scalar("select exists (select from agents where id = $1 and state = 'drained')")
        .bind(agent.0)
        .fetch_one(conn)
        .await
}

/// How long ago the newest word of any agent was; nothing when there are none.
pub async fn newest_word_ago(conn: &mut PgConnection) -> sqlx::Result<Millis> {
    let ago: Option<i64> = sqlx::query_scalar("select ms(now()) - ms(max(seen_at)) from agents")
        .fetch_one(conn)
        .await?;
    Ok(Millis(u64::try_from(ago.unwrap_or(0)).unwrap_or(0)))
}

/// Sets `active` or `drained`, or revokes for good; None when there is no such agent.
pub async fn set_state(
    conn: &mut PgConnection,
    name: &str,
    state: &str,
) -> sqlx::Result<Option<AgentId>> {
    let id: Option<i64> = sqlx::query_scalar(
        "update agents set state = $2 where name = $1 and state in ('active', 'drained')
         returning id",
    )
    .bind(name)
    .bind(state)
    .fetch_optional(conn)
    .await?;
    Ok(id.map(AgentId))
}
