//! Deployment groups, and what each host serves for each of them.

use ::pipelines::command::Serving;
use ::pipelines::deploy::Lane;
use ::pipelines::ids::{AgentId, DeploymentId};
use ::pipelines::protocol::task::Revision;
use ::pipelines::spec::group::Group;
use ::pipelines::time::{Millis, Timestamp};
use sqlx::types::Json;
use sqlx::{FromRow, PgConnection};
use std::collections::BTreeMap;

#[derive(Debug, Clone, FromRow)]
pub struct Row {
    pub id: i64,
    pub name: String,
    pub text: String,
    pub spec: Json<Group>,
    pub version: i32,
    pub generation: i64,
    pub base: Option<Json<Revision>>,
    pub updated_at: i64,
}

/// A deploy agent as seen from one group.
#[derive(Debug, Clone, FromRow)]
pub struct HostRow {
    pub id: i64,
    pub name: String,
    pub tags: Json<BTreeMap<String, String>>,
    /// `active`, or `drained`: it takes no new work, but what it has goes on.
    pub state: String,
    pub alive: bool,
    pub seen_at: i64,
    pub serving: Option<String>,
    pub revision: Option<Json<Revision>>,
    pub good: Option<Json<Revision>>,
    /// What the group's balancer was last proved to send it.
    pub lane: Option<Json<Lane>>,
    /// The weight it serves with when no shares are in force.
    pub weight: Option<i16>,
    /// The balancer found it good then, and nothing was deployed there by us since.
    pub answers: bool,
    /// When that was noted.
    pub lane_at: Option<i64>,
    /// A deployment of this group made it.
    pub instance: bool,
    /// As it was seen when it joined.
    pub address: Option<String>,
}

pub async fn put(conn: &mut PgConnection, text: &str, spec: &Group) -> sqlx::Result<i32> {
    sqlx::query_scalar(
        "insert into groups (name, text, spec) values ($1, $2, $3)
         on conflict (name) do update
         set text = excluded.text, spec = excluded.spec, updated_at = now(),
             version = groups.version + (groups.text <> excluded.text)::int
         returning version",
    )
    .bind(&spec.name)
    .bind(text)
    .bind(Json(spec))
    .fetch_one(conn)
    .await
}

pub async fn list(conn: &mut PgConnection) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as(
        "select id, name, text, spec, version, generation, base, ms(updated_at) as updated_at
         from groups order by name",
    )
    .fetch_all(conn)
    .await
}

pub async fn by_name(conn: &mut PgConnection, name: &str) -> sqlx::Result<Option<Row>> {
    sqlx::query_as(
        "select id, name, text, spec, version, generation, base, ms(updated_at) as updated_at
         from groups where name = $1",
    )
    .bind(name)
    .fetch_optional(conn)
    .await
}

pub async fn by_id(conn: &mut PgConnection, id: i64) -> sqlx::Result<Option<Row>> {
    sqlx::query_as(
        "select id, name, text, spec, version, generation, base, ms(updated_at) as updated_at
         from groups where id = $1",
    )
    .bind(id)
    .fetch_optional(conn)
    .await
}

/// The group, locked until the end of the transaction: its deployments are decided on one at a time.
pub async fn lock(conn: &mut PgConnection, id: i64) -> sqlx::Result<Row> {
    sqlx::query_as(
        "select id, name, text, spec, version, generation, base, ms(updated_at) as updated_at
         from groups where id = $1 for update",
    )
    .bind(id)
    .fetch_one(conn)
    .await
}

/// Every active deploy agent with what it serves for this group. Who is a member is the selector's
/// business.
pub async fn hosts(
    conn: &mut PgConnection,
    group: i64,
    lease: Millis,
) -> sqlx::Result<Vec<HostRow>> {
    sqlx::query_as(
        "select agents.id, agents.name, agents.tags, agents.state,
                agents.seen_at > now() - $2 * interval '1 millisecond' as alive,
                ms(agents.seen_at) as seen_at,
                group_hosts.serving, group_hosts.revision, group_hosts.good, group_traffic.lane,
                group_traffic.weight,
                coalesce(group_traffic.answers, false) as answers,
                ms(group_traffic.updated_at) as lane_at,
                agents.made_in is not distinct from $1 as instance,
                coalesce(agents.made_address, agents.address) as address
         from agents
         left join group_hosts
           on group_hosts.agent_id = agents.id and group_hosts.group_id = $1
         left join group_traffic
           on group_traffic.agent_id = agents.id and group_traffic.group_id = $1
         where agents.role = 'deploy' and agents.state in ('active', 'drained')
         order by agents.name",
    )
    .bind(group)
    .bind(i64::try_from(lease.0).unwrap_or(i64::MAX))
    .fetch_all(conn)
    .await
}

pub async fn record_host(
    conn: &mut PgConnection,
    group: i64,
    host: AgentId,
    deployment: DeploymentId,
    serving: &Serving,
) -> sqlx::Result<()> {
    let (word, revision) = match serving {
        Serving::Revision(revision) => ("revision", Some(Json(revision))),
        Serving::Unknown => ("unknown", None),
        Serving::Broken => ("broken", None),
    };
    sqlx::query(
        "insert into group_hosts (group_id, agent_id, serving, revision, deployment_id)
         values ($1, $2, $3, $4, $5)
         on conflict (group_id, agent_id) do update
         set serving = excluded.serving, revision = excluded.revision,
             deployment_id = excluded.deployment_id, updated_at = now()",
    )
    .bind(group)
    .bind(host.0)
    .bind(word)
    .bind(revision)
    .bind(deployment.0)
    .execute(conn)
    .await
    .map(|_| ())
}

/// Since when hosts serve what this deployment brought them, validated.
pub async fn serving_since(
    conn: &mut PgConnection,
    group: i64,
    deployment: DeploymentId,
) -> sqlx::Result<BTreeMap<AgentId, Timestamp>> {
    let rows: Vec<(i64, i64)> = sqlx::query_as(
        "select agent_id, ms(updated_at) from group_hosts
         where group_id = $1 and deployment_id = $2 and serving = 'revision'",
    )
    .bind(group)
    .bind(deployment.0)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|(id, at)| (AgentId(id), Timestamp(at))).collect())
}

/// Notes what the balancer was proved to send a host; `weight`: what it serves with when no shares are
/// in force, 1 to 256.
pub async fn record_traffic(
    conn: &mut PgConnection,
    group: i64,
    host: AgentId,
    (lane, weight): (Lane, u16),
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into group_traffic (group_id, agent_id, lane, weight) values ($1, $2, $3, $4)
         on conflict (group_id, agent_id)
         do update set lane = excluded.lane, weight = excluded.weight, answers = false,
                       updated_at = now()",
    )
    .bind(group)
    .bind(host.0)
    .bind(Json(lane))
    .bind(i16::try_from(weight).unwrap_or(i16::MAX))
    .execute(conn)
    .await
    .map(|_| ())
}

/// Notes what the balancer said of a host when it was asked; `answers`: it finds it good. In traffic
/// with another weight than we gave it, somebody else has set that, and ours counts no longer.
pub async fn record_survey(
    conn: &mut PgConnection,
    group: i64,
    host: AgentId,
    (lane, answers): (Lane, bool),
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into group_traffic (group_id, agent_id, lane, answers) values ($1, $2, $3, $4)
         on conflict (group_id, agent_id)
         do update set lane = excluded.lane, answers = excluded.answers, updated_at = now(),
                       weight = case
                           when excluded.lane ? 'in'
                            and group_traffic.lane not in (excluded.lane, '\"unknown\"') then null
                           else group_traffic.weight end",
    )
    .bind(group)
    .bind(host.0)
    .bind(Json(lane))
    .bind(answers)
    .execute(conn)
    .await
    .map(|_| ())
}

/// The revision proved good on every one of these hosts: it is what a later rollback returns to.
pub async fn record_good(
    conn: &mut PgConnection,
    group: i64,
    hosts: &[AgentId],
    revision: &Revision,
) -> sqlx::Result<()> {
    let ids: Vec<i64> = hosts.iter().map(|id| id.0).collect();
    sqlx::query("update group_hosts set good = $3 where group_id = $1 and agent_id = any($2)")
        .bind(group)
        .bind(ids)
        .bind(Json(revision))
        .execute(&mut *conn)
        .await?;
    sqlx::query("update groups set base = $2 where id = $1")
        .bind(group)
        .bind(Json(revision))
        .execute(conn)
        .await
        .map(|_| ())
}

pub async fn raise_generation(
    conn: &mut PgConnection,
    group: i64,
    generation: u64,
) -> sqlx::Result<()> {
    sqlx::query("update groups set generation = greatest(generation, $2) where id = $1")
        .bind(group)
        .bind(i64::try_from(generation).unwrap_or(i64::MAX))
        .execute(conn)
        .await
        .map(|_| ())
}

/// What one host serves for one group.
#[derive(Debug, Clone, FromRow)]
pub struct ServedRow {
    pub agent_id: i64,
    pub group_name: String,
    pub serving: String,
    pub revision: Option<Json<Revision>>,
    pub deployment_id: Option<i64>,
    pub updated_at: i64,
}

impl ServedRow {
    #[must_use]
    pub fn deployment(&self) -> Option<DeploymentId> {
        self.deployment_id.map(DeploymentId)
    }
}

/// Everything noted about every host that was not revoked, by group.
pub async fn served(conn: &mut PgConnection) -> sqlx::Result<Vec<ServedRow>> {
    sqlx::query_as(
        "select agent_id, groups.name as group_name, serving, revision, deployment_id,
                ms(group_hosts.updated_at) as updated_at
         from group_hosts join groups on groups.id = group_id join agents on agents.id = agent_id
         where agents.state in ('active', 'drained') order by groups.name, agents.name",
    )
    .fetch_all(conn)
    .await
}
