//! Everything kept: SQL, objects, logs, and the wake-ups that follow a write.
//!
//! SQL lives here and nowhere else. Functions are free and take a connection, so the caller owns the
//! transaction; each is one statement where it can be and is named like a sentence. Rows are not wire
//! types and not page values. This crate decides nothing: what to write is `pipelines`' business.

pub mod agents;
pub mod artifacts;
pub mod clock;
pub mod deployments;
pub mod fleet;
pub mod groups;
pub mod history;
pub mod inbox;
pub mod instances;
pub mod keys;
pub mod lease;
pub mod logs;
pub mod monitors;
pub mod notify;
pub mod objects;
pub mod outbox;
pub mod pipelines;
pub mod pool;
pub mod repositories;
pub mod runs;
pub mod tasks;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod tokens;
pub mod users;
pub mod wake;
pub mod webhooks;

pub use sqlx::types::Json;
pub use sqlx::{Connection, Error, PgConnection, PgPool, Result};

#[cfg(test)]
mod tests;
