//! Waiting for a condition, with a deadline; never for a length of time.

use std::future::Future;
use std::time::{Duration, Instant};

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// Long enough for a loaded machine; a story that needs all of it has failed.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Looks until `look` returns something.
///
/// # Panics
/// When it has not by the deadline; `what` is the message.
pub async fn until<T, F>(what: &str, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain: {what}");
        tokio::time::sleep(LOOK).await;
    }
}
