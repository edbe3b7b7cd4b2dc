//! Which controller decides. Liveness by a lease in Postgres time; safety by the epoch: every deciding
//! transaction holds the shared fence and finds its own epoch, and a change of holder takes the fence
//! alone. So a stale controller's write is refused in the transaction that would make it.

use sqlx::{PgConnection, PgPool};
use std::time::Duration;
use uuid::Uuid;

/// Key of the advisory lock that is the fence; any constant nobody else uses.
const FENCE: i64 = 0x7069_7065_7961_7264;

/// Takes or renews the lease for `holder`; None while another holder's lease is valid.
///
/// # Errors
/// When the database cannot be reached.
pub async fn take(pool: &PgPool, holder: Uuid, length: Duration) -> sqlx::Result<Option<u64>> {
    let millis = i64::try_from(length.as_millis()).unwrap_or(i64::MAX);
    let renewed: Option<i64> = sqlx::query_scalar(
        "update controller_lease set expires_at = now() + $2 * interval '1 millisecond'
         where holder = $1 and expires_at > now() returning epoch",
    )
    .bind(holder)
    .bind(millis)
    .fetch_optional(pool)
    .await?;
    if let Some(epoch) = renewed {
        return Ok(Some(epoch.unsigned_abs()));
    }
    let mut tx = pool.begin().await?;
    sqlx::query("select pg_advisory_xact_lock($1)").bind(FENCE).execute(&mut *tx).await?;
    let taken: Option<i64> = sqlx::query_scalar(
        "update controller_lease
         set holder = $1, epoch = epoch + 1, expires_at = now() + $2 * interval '1 millisecond'
         where expires_at <= now() returning epoch",
    )
    .bind(holder)
    .bind(millis)
    .fetch_optional(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(taken.map(i64::unsigned_abs))
}

/// Takes the lease back that an earlier life of the same holder left behind, under a new epoch and
/// without waiting for it to lapse. Only for a holder that knows its earlier life is over.
///
/// # Errors
/// When the database cannot be reached.
pub async fn reclaim(pool: &PgPool, holder: Uuid, length: Duration) -> sqlx::Result<Option<u64>> {
    let millis = i64::try_from(length.as_millis()).unwrap_or(i64::MAX);
    let mut tx = pool.begin().await?;
    sqlx::query("select pg_advisory_xact_lock($1)").bind(FENCE).execute(&mut *tx).await?;
    let taken: Option<i64> = sqlx::query_scalar(
        "update controller_lease
         set epoch = epoch + 1, expires_at = now() + $2 * interval '1 millisecond'
         where holder = $1 returning epoch",
    )
    .bind(holder)
    .bind(millis)
    .fetch_optional(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(taken.map(i64::unsigned_abs))
}

/// Gives the lease up at a clean shutdown, so that the next controller need not wait for it.
///
/// # Errors
/// When the database cannot be reached.
pub async fn give_up(pool: &PgPool, holder: Uuid) -> sqlx::Result<()> {
    sqlx::query("update controller_lease set expires_at = 'epoch' where holder = $1")
        .bind(holder)
        .execute(pool)
        .await
        .map(|_| ())
}

/// Holds the fence for the rest of the transaction and tells whether `epoch` is still the current one.
///
/// # Errors
/// When the database cannot be reached.
pub async fn holds(conn: &mut PgConnection, epoch: u64) -> sqlx::Result<bool> {
    // Two statements: one that waited for the fence would still see the epoch from before its wait.
    sqlx::query("select pg_advisory_xact_lock_shared($1)").bind(FENCE).execute(&mut *conn).await?;
    let current: i64 =
        sqlx::query_scalar("select epoch from controller_lease").fetch_one(conn).await?;
    Ok(current.unsigned_abs() == epoch)
}

/// The epoch agents are told.
///
/// # Errors
/// When the database cannot be reached.
pub async fn epoch(conn: &mut PgConnection) -> sqlx::Result<u64> {
    let epoch: i64 =
        sqlx::query_scalar("select epoch from controller_lease").fetch_one(conn).await?;
    Ok(epoch.unsigned_abs())
}
