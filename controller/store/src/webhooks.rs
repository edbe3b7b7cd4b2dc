//! Which deliveries were taken already.

use sqlx::PgConnection;

/// Notes a delivery; false when it was seen before, so that a replay starts nothing.
pub async fn note_delivery(
    conn: &mut PgConnection,
    source: &str,
    delivery: &str,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "insert into webhook_deliveries (source, delivery) values ($1, $2) on conflict do nothing",
    )
    .bind(source)
    .bind(delivery)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}
