//! Connecting and bringing the schema up to date.

use sqlx::migrate::MigrateError;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use std::str::FromStr;
use std::time::Duration;

/// Embedded, so that one binary is the whole installation.
static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations");

/// Options for every connection of ours: no statement may hang for ever, no transaction may be
/// forgotten open.
///
/// # Errors
/// When `url` is not a Postgres URL.
pub fn options(url: &str) -> Result<PgConnectOptions, sqlx::Error> {
    let options = PgConnectOptions::from_str(url)?.application_name("pipeyard");
    Ok(options.options([
        ("statement_timeout", "15s"),
        ("idle_in_transaction_session_timeout", "30s"),
        ("lock_timeout", "10s"),
    ]))
}

/// A pool that connects when first used; Postgres may come later.
#[must_use]
pub fn pool(options: PgConnectOptions, connections: u32) -> PgPool {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(5))
        .idle_timeout(Duration::from_secs(60))
        .connect_lazy_with(options)
}

/// Applies what is missing. Refuses a schema newer than this binary.
///
/// # Errors
/// When the database cannot be reached, or a migration fails; each is applied whole or not at all.
pub async fn migrate(pool: &PgPool) -> Result<(), MigrateError> {
    MIGRATIONS.run(pool).await
}

/// Whether all migrations are in place: what readiness means.
///
/// # Errors
/// When the database cannot be reached.
pub async fn is_ready(pool: &PgPool) -> sqlx::Result<bool> {
    let newest = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0);
    let applied: Option<i64> =
        sqlx::query_scalar("select max(version) from _sqlx_migrations where success")
            .fetch_one(pool)
            .await?;
    Ok(applied.is_some_and(|version| version >= newest))
}
