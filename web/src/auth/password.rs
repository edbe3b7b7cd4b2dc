//! Checking a password: off the async threads, few at once, the same answer and time for everybody.

use crate::error::{Error, Result};
use crate::{Peer, Web};
use axum::http::StatusCode;
use std::time::Instant;
use store::users::{self, User};

/// The user, if the password is theirs.
pub async fn check_password(web: &Web, peer: Peer, name: &str, password: &str) -> Result<User> {
    let address = peer.address.ip();
    web.attempts.check(address, name, Instant::now())?;
    let mut conn = web.pool.acquire().await?;
    let known = users::by_name(&mut conn, name).await?;
    drop(conn);
    let (user, stored) = known.map_or((None, None), |(user, stored)| (Some(user), Some(stored)));
    let place = web.attempts.checks.acquire().await.map_err(Error::internal)?;
    let password = password.to_owned();
    let checked =
        tokio::task::spawn_blocking(move || users::password_matches(&password, stored.as_deref()))
            .await;
    drop(place);
    match user.filter(|_| matches!(checked, Ok(true))) {
        Some(user) => {
            web.attempts.note_success(address, name);
            Ok(user)
        }
        None => {
            web.attempts.note_failure(address, name, Instant::now());
            Err(Error::new(
                StatusCode::UNAUTHORIZED,
                "wrong-credentials",
                "the user or the password is wrong",
                "check both; an administrator can set a new password",
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The stand-in hash for unknown users must be one argon2 really works on.
    #[test]
    fn an_unknown_user_takes_as_long_as_a_known_one() {
        let stored = users::hash_password("right");
        let time = |stored: Option<&str>| {
            let start = Instant::now();
            assert!(!users::password_matches("wrong", stored));
            start.elapsed()
        };
        let known = (0..3).map(|_| time(Some(&stored))).min().unwrap();
        let unknown = (0..3).map(|_| time(None)).min().unwrap();
        assert!(unknown > known / 3, "{unknown:?} against {known:?}");
        assert!(users::password_matches("right", Some(&stored)));
    }
}
