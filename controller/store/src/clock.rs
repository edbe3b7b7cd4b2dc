//! The one clock decisions are made by: the database's.

use ::pipelines::time::Timestamp;
use sqlx::PgConnection;

/// The time of the current transaction.
///
/// # Errors
/// When the database cannot be reached.
pub async fn now(conn: &mut PgConnection) -> sqlx::Result<Timestamp> {
    sqlx::query_scalar("select ms(now())").fetch_one(conn).await.map(Timestamp)
}
