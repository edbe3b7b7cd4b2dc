//! Effects outside the database that were decided and are not done yet.

use ::pipelines::command::Command;
use ::pipelines::ids::RunId;
use sqlx::PgConnection;
use sqlx::types::Json;

#[derive(Debug, Clone)]
pub struct Entry {
    pub id: i64,
    pub run: RunId,
    pub command: Command,
    pub tries: i32,
}

pub async fn put(
    conn: &mut PgConnection,
    run: RunId,
    command: &Command,
    epoch: u64,
) -> sqlx::Result<()> {
    sqlx::query("insert into outbox (run_id, command, epoch) values ($1, $2, $3)")
        .bind(run.0)
        .bind(Json(command))
        .bind(i64::try_from(epoch).unwrap_or(i64::MAX))
        .execute(conn)
        .await
        .map(|_| ())
}

/// What is to be done now, oldest first, without what is already in hand.
pub async fn due(conn: &mut PgConnection, in_hand: &[i64], limit: i64) -> sqlx::Result<Vec<Entry>> {
    let rows: Vec<(i64, i64, Json<Command>, i32)> = sqlx::query_as(
        "select id, run_id, command, tries from outbox
         where next_at <= now() and not id = any($1) order by id limit $2",
    )
    .bind(in_hand)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(id, run, Json(command), tries)| Entry { id, run: RunId(run), command, tries })
        .collect())
}

/// Takes the entry out; false when somebody else has, and with another result.
pub async fn done(conn: &mut PgConnection, id: i64) -> sqlx::Result<bool> {
    let done = sqlx::query("delete from outbox where id = $1").bind(id).execute(conn).await?;
    Ok(done.rows_affected() == 1)
}

/// To be tried again after a pause that doubles, up to a minute.
pub async fn retry_later(conn: &mut PgConnection, id: i64) -> sqlx::Result<()> {
    sqlx::query(
        "update outbox set tries = tries + 1,
             next_at = now() + least(60, power(2, least(tries, 6))) * interval '1 second'
         where id = $1",
    )
    .bind(id)
    .execute(conn)
    .await
    .map(|_| ())
}
