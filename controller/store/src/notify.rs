//! The wake-up channel between controllers.

use crate::wake::CHANNEL;
use sqlx::PgPool;
use sqlx::postgres::PgListener;

/// Sends every payload in one statement.
///
/// # Errors
/// When the database cannot be reached.
pub async fn send(pool: &PgPool, payloads: &[String]) -> sqlx::Result<()> {
    // Only while somebody else listens: a lone controller has told itself already.
    sqlx::query(
        "select pg_notify($1, payload) from unnest($2::text[]) as payload
         where (select count(*) from pg_stat_activity
                where application_name = 'pipeyard-ear' and datname = current_database()) > 1",
    )
    .bind(CHANNEL)
    .bind(payloads)
    .execute(pool)
    .await
    .map(|_| ())
}

/// A connection of its own that listens.
pub struct Ear {
    listener: PgListener,
}

impl Ear {
    /// # Errors
    /// When the database cannot be reached.
    pub async fn connect(pool: &PgPool) -> sqlx::Result<Ear> {
        let options = (*pool.connect_options()).clone().application_name("pipeyard-ear");
        // Not from the pool: an idle listener keeps a pool from closing.
        let alone =
            sqlx::postgres::PgPoolOptions::new().max_connections(1).connect_lazy_with(options);
        let mut listener = PgListener::connect_with(&alone).await?;
        listener.listen(CHANNEL).await?;
        Ok(Ear { listener })
    }

    /// The next payload; None after a lost connection, when anything may have been missed.
    ///
    /// # Errors
    /// When the connection cannot be made again.
    pub async fn next(&mut self) -> sqlx::Result<Option<String>> {
        let heard = self.listener.try_recv().await?;
        Ok(heard.map(|notification| notification.payload().to_owned()))
    }
}
