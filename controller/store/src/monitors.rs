//! What monitors and judges found for a deployment, and people's word in place of a monitor's.

use ::pipelines::analysis::Tally;
use ::pipelines::deploy::event::StepVerdict;
use ::pipelines::ids::{DeploymentId, TaskId};
use ::pipelines::monitor::{Forced, Look, Override, Sample};
use ::pipelines::protocol::answer::Counters;
use ::pipelines::time::{Millis, Timestamp};
use sqlx::types::Json;
use sqlx::{FromRow, PgConnection};
use std::collections::BTreeMap;

/// More looks than this are never kept of one monitor, whatever it asks for; twice, as values and
/// missing ones are counted apart.
pub const KEPT_MAX: u32 = 1000;

/// Notes a look, and drops those nobody needs any more: all but the last `keep` that found something
/// and the last `keep` that found nothing.
pub async fn add_sample(
    conn: &mut PgConnection,
    deployment: DeploymentId,
    monitor: &str,
    sample: &Sample,
    keep: u32,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into monitor_samples (deployment_id, monitor, at, look)
         values ($1, $2, from_ms($3), $4)",
    )
    .bind(deployment.0)
    .bind(monitor)
    .bind(sample.at.0)
    .bind(Json(&sample.look))
    .execute(&mut *conn)
    .await?;
    sqlx::query(
        "delete from monitor_samples where id in (
             select id from (
                 select id, row_number() over (partition by look ? 'missing' order by id desc)
                     as place
                 from monitor_samples where deployment_id = $1 and monitor = $2) as placed
             where place > $3)",
    )
    .bind(deployment.0)
    .bind(monitor)
    .bind(i64::from(keep.clamp(1, KEPT_MAX)))
    .execute(conn)
    .await
    .map(|_| ())
}

/// Everything kept of a deployment's monitors, oldest first.
pub async fn samples(
    conn: &mut PgConnection,
    deployment: DeploymentId,
) -> sqlx::Result<BTreeMap<String, Vec<Sample>>> {
    let rows: Vec<(String, i64, Json<Look>)> = sqlx::query_as(
        "select monitor, ms(at), look from monitor_samples where deployment_id = $1 order by id",
    )
    .bind(deployment.0)
    .fetch_all(conn)
    .await?;
    let mut samples = BTreeMap::<String, Vec<Sample>>::new();
    for (monitor, at, Json(look)) in rows {
        samples.entry(monitor).or_default().push(Sample { at: Timestamp(at), look });
    }
    Ok(samples)
}

/// Removes at most `most` looks at monitors of deployments that ended so long ago; how many those were.
/// What the judge said last is kept.
pub async fn forget_samples(conn: &mut PgConnection, age: Millis, most: i64) -> sqlx::Result<u64> {
    let done = sqlx::query(
        "delete from monitor_samples where id in (
             select monitor_samples.id from monitor_samples
             join deployments on deployments.id = deployment_id
             where finished_at < now() - $1 * interval '1 millisecond'
             order by monitor_samples.id limit $2)",
    )
    .bind(i64::try_from(age.0).unwrap_or(i64::MAX))
    .bind(most)
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// The same for the counters a balancer had at the last look.
pub async fn forget_watches(conn: &mut PgConnection, age: Millis, most: i64) -> sqlx::Result<u64> {
    let done = sqlx::query(
        "delete from monitor_watches where (deployment_id, monitor) in (
             select deployment_id, monitor from monitor_watches
             join deployments on deployments.id = deployment_id
             where finished_at < now() - $1 * interval '1 millisecond' limit $2)",
    )
    .bind(i64::try_from(age.0).unwrap_or(i64::MAX))
    .bind(most)
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// A question that was asked for a monitor.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    pub asked: Option<(TaskId, Timestamp)>,
    /// The balancer's counters when it answered last.
    pub counters: Option<Counters>,
}

#[derive(FromRow)]
struct WatchRow {
    monitor: String,
    task_id: Option<i64>,
    asked_at: Option<i64>,
    counters: Option<Json<Counters>>,
}

/// By monitor.
pub async fn watches(
    conn: &mut PgConnection,
    deployment: DeploymentId,
) -> sqlx::Result<BTreeMap<String, Watch>> {
    let rows: Vec<WatchRow> = sqlx::query_as(
        "select monitor, task_id, ms(asked_at) as asked_at, counters
         from monitor_watches where deployment_id = $1",
    )
    .bind(deployment.0)
    .fetch_all(conn)
    .await?;
    let watches = rows.into_iter().map(|row| {
        let counters = row.counters.map(|Json(counters)| counters);
        (row.monitor, Watch { asked: question(row.task_id, row.asked_at), counters })
    });
    Ok(watches.collect())
}

fn question(task: Option<i64>, at: Option<i64>) -> Option<(TaskId, Timestamp)> {
    Some((TaskId(task?), Timestamp(at?)))
}

/// An agent was asked just now.
pub async fn asked(
    conn: &mut PgConnection,
    deployment: DeploymentId,
    monitor: &str,
    task: TaskId,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into monitor_watches (deployment_id, monitor, task_id, asked_at)
         values ($1, $2, $3, now())
         on conflict (deployment_id, monitor) do update
         set task_id = excluded.task_id, asked_at = excluded.asked_at",
    )
    .bind(deployment.0)
    .bind(monitor)
    .bind(task.0)
    .execute(conn)
    .await
    .map(|_| ())
}

/// The question is over: answered with these counters, or not at all.
pub async fn answered(
    conn: &mut PgConnection,
    deployment: DeploymentId,
    monitor: &str,
    counters: Option<&Counters>,
) -> sqlx::Result<()> {
    sqlx::query(
        "update monitor_watches set task_id = null, asked_at = null,
                counters = coalesce($3, counters)
         where deployment_id = $1 and monitor = $2",
    )
    .bind(deployment.0)
    .bind(monitor)
    .bind(counters.map(Json))
    .execute(conn)
    .await
    .map(|_| ())
}

/// Where the judge of a step stands.
#[derive(Debug, Clone, Default)]
pub struct Judgement {
    pub asked: Option<(TaskId, Timestamp)>,
    pub looked_at: Option<Timestamp>,
    pub tally: Option<Tally>,
    pub verdict: Option<StepVerdict>,
}

#[derive(FromRow)]
struct JudgementRow {
    task_id: Option<i64>,
    asked_at: Option<i64>,
    looked_at: Option<i64>,
    tally: Option<Json<Tally>>,
    verdict: Option<Json<StepVerdict>>,
}

/// None: nobody judged this step yet.
pub async fn judgement(
    conn: &mut PgConnection,
    deployment: DeploymentId,
    step: usize,
) -> sqlx::Result<Option<Judgement>> {
    let row: Option<JudgementRow> = sqlx::query_as(
        "select task_id, ms(asked_at) as asked_at, ms(looked_at) as looked_at, tally, verdict
         from judgements where deployment_id = $1 and step = $2",
    )
    .bind(deployment.0)
    .bind(number(step))
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Judgement {
        asked: question(row.task_id, row.asked_at),
        looked_at: row.looked_at.map(Timestamp),
        tally: row.tally.map(|Json(tally)| tally),
        verdict: row.verdict.map(|Json(verdict)| verdict),
    }))
}

/// The last judgement of a deployment, with the time of its last look.
pub async fn last_verdict(
    conn: &mut PgConnection,
    deployment: DeploymentId,
) -> sqlx::Result<Option<(StepVerdict, Timestamp)>> {
    let row: Option<(Json<StepVerdict>, i64)> = sqlx::query_as(
        "select verdict, ms(looked_at) from judgements
         where deployment_id = $1 and verdict is not null and looked_at is not null
         order by step desc limit 1",
    )
    .bind(deployment.0)
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|(Json(verdict), at)| (verdict, Timestamp(at))))
}

/// An agent was asked for the judge just now.
pub async fn judge_asked(
    conn: &mut PgConnection,
    deployment: DeploymentId,
    step: usize,
    task: TaskId,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into judgements (deployment_id, step, task_id, asked_at) values ($1, $2, $3, now())
         on conflict (deployment_id, step) do update
         set task_id = excluded.task_id, asked_at = excluded.asked_at",
    )
    .bind(deployment.0)
    .bind(number(step))
    .bind(task.0)
    .execute(conn)
    .await
    .map(|_| ())
}

/// The judge looked, now: at what it counted so far (None: it does not count) and with this verdict.
pub async fn judged(
    conn: &mut PgConnection,
    deployment: DeploymentId,
    tally: Option<&Tally>,
    verdict: &StepVerdict,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into judgements (deployment_id, step, looked_at, tally, verdict)
         values ($1, $2, now(), $3, $4)
         on conflict (deployment_id, step) do update
         set task_id = null, asked_at = null, looked_at = excluded.looked_at,
             tally = excluded.tally, verdict = excluded.verdict",
    )
    .bind(deployment.0)
    .bind(number(verdict.step))
    .bind(tally.map(Json))
    .bind(Json(verdict))
    .execute(conn)
    .await
    .map(|_| ())
}

fn number(step: usize) -> i32 {
    i32::try_from(step).unwrap_or(i32::MAX)
}

/// Sets a group's monitor by hand.
pub async fn set_override(
    conn: &mut PgConnection,
    group: i64,
    monitor: &str,
    (state, by, reason): (Forced, &str, &str),
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into monitor_overrides (group_id, monitor, state, set_by, reason)
         values ($1, $2, $3, $4, $5)
         on conflict (group_id, monitor) do update
         set state = excluded.state, set_by = excluded.set_by, reason = excluded.reason, at = now()",
    )
    .bind(group)
    .bind(monitor)
    .bind(state.as_str())
    .bind(by)
    .bind(reason)
    .execute(conn)
    .await
    .map(|_| ())
}

/// Lets what the monitor finds count again; false when it did already.
pub async fn clear_override(
    conn: &mut PgConnection,
    group: i64,
    monitor: &str,
) -> sqlx::Result<bool> {
    let done = sqlx::query("delete from monitor_overrides where group_id = $1 and monitor = $2")
        .bind(group)
        .bind(monitor)
        .execute(conn)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// By monitor.
pub async fn overrides(
    conn: &mut PgConnection,
    group: i64,
) -> sqlx::Result<BTreeMap<String, Override>> {
    let rows: Vec<(String, String, String, String, i64)> = sqlx::query_as(
        "select monitor, state, set_by, reason, ms(at) from monitor_overrides where group_id = $1",
    )
    .bind(group)
    .fetch_all(conn)
    .await?;
    let overrides = rows.into_iter().filter_map(|(monitor, state, by, reason, at)| {
        let state = state.parse().ok()?;
        Some((monitor, Override { state, by, reason, at: Timestamp(at) }))
    });
    Ok(overrides.collect())
}

/// Deployments whose monitors are looked at: those going forward, and those that are next in their
/// group. With the group.
pub async fn watched(conn: &mut PgConnection) -> sqlx::Result<Vec<(DeploymentId, i64)>> {
    let rows: Vec<(i64, i64)> = sqlx::query_as(
        "select id, group_id from deployments as this
         where finished_at is null and stuck is null and purpose = 'forward'
           and (status = 'running' or status = 'queued' and not exists (
               select from deployments as other
               where other.group_id = this.group_id and other.finished_at is null
                 and other.id <> this.id and (other.status <> 'queued' or other.id < this.id)))
         order by id",
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|(id, group)| (DeploymentId(id), group)).collect())
}
