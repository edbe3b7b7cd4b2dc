//! Wrong passwords slow the next try down, per address and name, and per address over all names.

use crate::error::Error;
use axum::http::StatusCode;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Tries that cost nothing.
const FREE_PER_NAME: u32 = 3;
const FREE_PER_ADDRESS: u32 = 20;
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// A quiet hour forgets everything.
const MEMORY: Duration = Duration::from_secs(3600);
/// Entries kept at most; an attacker with more addresses than this is not slowed down by them.
const ENTRIES_MAX: usize = 20_000;
/// Password checks at once: each takes tens of megabytes and a core.
const CHECKS_MAX: usize = 2;

pub struct Attempts {
    failures: Mutex<HashMap<Key, Failures>>,
    pub(super) checks: Semaphore,
}

type Key = (IpAddr, Option<String>);

#[derive(Clone, Copy)]
struct Failures {
    count: u32,
    last: Instant,
}

impl Default for Attempts {
    fn default() -> Attempts {
        Attempts { failures: Mutex::default(), checks: Semaphore::new(CHECKS_MAX) }
    }
}

impl Attempts {
    /// Refuses a try that comes too early after wrong ones.
    pub fn check(&self, address: IpAddr, name: &str, now: Instant) -> Result<(), Error> {
        let failures = self.lock();
        let named = pause(&failures, &key(address, name), FREE_PER_NAME, now);
        let wait = named.max(pause(&failures, &(address, None), FREE_PER_ADDRESS, now));
        if wait.is_zero() {
            return Ok(());
        }
        let secs = wait.as_secs().max(1);
        let mut error = Error::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too-many-attempts",
            format!("too many wrong passwords; wait {secs} s"),
            "an administrator can set a new password",
        );
        error.retry_after_secs = Some(secs);
        Err(error)
    }

    pub fn note_failure(&self, address: IpAddr, name: &str, now: Instant) {
        let mut failures = self.lock();
        if failures.len() >= ENTRIES_MAX {
            failures.retain(|_, entry| now.duration_since(entry.last) < PAUSE_MAX);
        }
        if failures.len() >= ENTRIES_MAX {
            failures.clear();
        }
        for key in [key(address, name), (address, None)] {
            let entry = failures.entry(key).or_insert(Failures { count: 0, last: now });
            let forgotten = now.duration_since(entry.last) > MEMORY;
            entry.count = if forgotten { 1 } else { entry.count + 1 };
            entry.last = now;
        }
    }

    pub fn note_success(&self, address: IpAddr, name: &str) {
        self.lock().remove(&key(address, name));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Failures>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(address: IpAddr, name: &str) -> Key {
    (address, Some(name.chars().take(64).collect()))
}

fn pause(failures: &HashMap<Key, Failures>, key: &Key, free: u32, now: Instant) -> Duration {
    let Some(entry) = failures.get(key).filter(|entry| entry.count >= free) else {
        return Duration::ZERO;
    };
    let doubled = 1u64 << (entry.count - free).min(6);
    let until = entry.last + Duration::from_secs(doubled).min(PAUSE_MAX);
    until.saturating_duration_since(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guessing_gets_slower_and_a_right_password_ends_it() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let here = IpAddr::from([10, 0, 0, 1]);
        for _ in 0..FREE_PER_NAME {
            assert!(attempts.check(here, "ada", now).is_ok());
            attempts.note_failure(here, "ada", now);
        }
        let refused = attempts.check(here, "ada", now).unwrap_err();
        assert_eq!(refused.retry_after_secs, Some(1));
        assert!(attempts.check(here, "ada", now + Duration::from_secs(2)).is_ok());
        for _ in 0..10 {
            attempts.note_failure(here, "ada", now);
        }
        assert!(attempts.check(here, "ada", now + Duration::from_secs(59)).is_err());
        assert!(attempts.check(here, "ada", now + Duration::from_secs(60)).is_ok());
        assert!(attempts.check(IpAddr::from([10, 0, 0, 2]), "ada", now).is_ok());
        attempts.note_success(here, "ada");
        assert!(attempts.check(here, "ada", now).is_ok());
    }

    #[test]
    fn one_address_trying_many_names_is_slowed_down_too() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let here = IpAddr::from([10, 0, 0, 1]);
        for number in 0..FREE_PER_ADDRESS {
            attempts.note_failure(here, &format!("user{number}"), now);
        }
        assert!(attempts.check(here, "fresh", now).is_err());
    }
}
