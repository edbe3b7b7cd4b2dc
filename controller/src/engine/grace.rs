//! Patience after the database, or this controller's leadership, was away: agents could not be heard
//! then, which is not their fault. Whoever was silent before that stays silent.

use pipelines::time::Millis;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use store::PgConnection;

pub struct Grace {
    length: Duration,
    state: Mutex<State>,
}

struct State {
    until: Instant,
    /// When the gap was measured, and how long the newest word of any agent was ago then.
    measured: Option<(Instant, Millis)>,
}

impl Grace {
    /// Begins with a grace of one lease.
    #[must_use]
    pub fn new(lease: Millis, since: Instant) -> Grace {
        let length = lease.to_std();
        let state = State { until: since + length, measured: None };
        Grace { length, state: Mutex::new(state) }
    }

    /// The database was away, so it did not hear of agents either.
    pub fn begin(&self) {
        let mut state = self.lock();
        *state = State { until: Instant::now() + self.length, measured: None };
    }

    /// Whether the grace lasts.
    #[must_use]
    pub fn lasts(&self) -> bool {
        Instant::now() < self.lock().until
    }

    /// The silence after which an agent counts as lost, as of now. In the grace it is counted from
    /// the newest word anybody got through, not from now.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn silence(&self, conn: &mut PgConnection) -> store::Result<Millis> {
        let lease = Millis(u64::try_from(self.length.as_millis()).unwrap_or(u64::MAX));
        let measured = {
            let state = self.lock();
            if Instant::now() >= state.until {
                return Ok(lease);
            }
            state.measured
        };
        let (at, gap) = match measured {
            Some(measured) => measured,
            None => {
                let measured = (Instant::now(), store::agents::newest_word_ago(conn).await?);
                self.lock().measured.get_or_insert(measured);
                measured
            }
        };
        let since = u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(Millis(lease.0.saturating_add(gap.0).saturating_add(since)))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Whether an error is about the way to the database, not about what was asked of it.
#[must_use]
pub fn is_outage(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| match cause.downcast_ref::<store::Error>() {
        Some(
            store::Error::Io(_)
            | store::Error::PoolTimedOut
            | store::Error::PoolClosed
            | store::Error::WorkerCrashed
            | store::Error::Protocol(_),
        ) => true,
        Some(store::Error::Database(error)) => {
            error.code().is_some_and(|code| code.starts_with("57P") || code.starts_with("08"))
        }
        _ => false,
    })
}

/// Whether trying the same again may well succeed: somebody else was in the way.
#[must_use]
pub fn may_pass(error: &anyhow::Error) -> bool {
    is_outage(error)
        || error.chain().any(|cause| match cause.downcast_ref::<store::Error>() {
            // Serialisation failure, deadlock, lock and statement timeouts.
            Some(store::Error::Database(error)) => error
                .code()
                .is_some_and(|code| matches!(&*code, "40001" | "40P01" | "55P03" | "57014")),
            _ => false,
        })
}
