//! Users, sessions, tokens.

use super::*;
use crate::users::{self, Role as Level};

#[tokio::test]
async fn a_password_is_checked_against_its_hash_and_nobody_has_none() {
    let db = database().await;
    let mut conn = db.pool.acquire().await.unwrap();
    assert_eq!(users::count(&mut conn).await.unwrap(), 0);
    let hash = users::hash_password("correct horse");
    users::create(&mut conn, "ada", &hash, Level::Operator).await.unwrap();
    let (user, stored) = users::by_name(&mut conn, "ada").await.unwrap().unwrap();
    assert_eq!((user.name.as_str(), user.role), ("ada", Level::Operator));
    assert!(users::password_matches("correct horse", Some(&stored)));
    assert!(!users::password_matches("battery staple", Some(&stored)));
    assert!(!users::password_matches("correct horse", None));
    assert!(users::by_name(&mut conn, "eve").await.unwrap().is_none());
}

#[tokio::test]
async fn a_session_ends_when_it_is_ended_and_a_token_when_it_expires() {
    let db = database().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let user = users::create(&mut conn, "ada", "x", Level::Admin).await.unwrap();
    let (secret, csrf) = users::start_session(&mut conn, user).await.unwrap();
    let session = users::session(&mut conn, &secret).await.unwrap().unwrap();
    assert_eq!((session.user.name.as_str(), session.csrf), ("ada", csrf));
    assert!(users::session(&mut conn, "guess").await.unwrap().is_none());
    users::end_session(&mut conn, &secret).await.unwrap();
    assert!(users::session(&mut conn, &secret).await.unwrap().is_none());
    let lasting = users::create_token(&mut conn, user, "laptop", None).await.unwrap();
    let expired = users::create_token(&mut conn, user, "old", Some(0)).await.unwrap();
    assert_eq!(users::by_token(&mut conn, &lasting).await.unwrap().unwrap().name, "ada");
    assert!(users::by_token(&mut conn, &expired).await.unwrap().is_none());
    assert!(users::by_token(&mut conn, "guess").await.unwrap().is_none());
}
