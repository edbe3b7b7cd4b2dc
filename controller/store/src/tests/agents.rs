//! Joining, being known, being silent.

use super::*;
use crate::agents::{self, JoinError};
use crate::groups::{hosts, record_good, record_host};
use ::pipelines::command::Serving;

const HOUR: Millis = Millis::from_minutes(60);

#[tokio::test]
async fn a_join_token_works_once_and_only_with_its_secret() {
    let db: TestDatabase = database().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let fixed = BTreeMap::from([("role".to_owned(), "db".to_owned())]);
    let (id, secret) =
        agents::create_join_token(&mut conn, Role::Deploy, &fixed, 1, HOUR, "ada").await.unwrap();
    let request = join_request(&id, "host-1");
    let wrong = agents::join(&mut conn, "wrong", &request, "10.0.0.1").await;
    assert!(matches!(wrong, Err(JoinError::Token)));
    let (agent, credential, role, tags) =
        agents::join(&mut conn, &secret, &request, "10.0.0.1").await.unwrap();
    assert_eq!((role, tags["role"].as_str()), (Role::Deploy, "db"), "the token's tags win");
    let again = agents::join(&mut conn, &secret, &request, "10.0.0.1").await.unwrap();
    assert_eq!(again.0, agent, "the same join, repeated after a lost reply");
    assert!(agents::by_credential(&mut conn, &credential).await.unwrap().is_none(), "replaced");
    assert_eq!(agents::by_credential(&mut conn, &again.1).await.unwrap().unwrap().id, agent);
    let other = agents::join(&mut conn, &secret, &join_request(&id, "host-2"), "10.0.0.1").await;
    assert!(matches!(other, Err(JoinError::Token)), "used up");
}

#[tokio::test]
async fn an_expired_token_and_a_taken_name_are_refused() {
    let db = database().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let none = BTreeMap::new();
    let (id, secret) =
        agents::create_join_token(&mut conn, Role::Build, &none, 5, Millis(0), "ada")
            .await
            .unwrap();
    let late = agents::join(&mut conn, &secret, &join_request(&id, "b"), "10.0.0.1").await;
    assert!(matches!(late, Err(JoinError::Token)));
    join(&mut conn, Role::Build, "b").await;
    let (id, secret) =
        agents::create_join_token(&mut conn, Role::Build, &none, 5, HOUR, "ada").await.unwrap();
    let request = JoinRequest { idempotency: "another".into(), ..join_request(&id, "b") };
    let taken = agents::join(&mut conn, &secret, &request, "10.0.0.1").await;
    assert!(matches!(taken, Err(JoinError::NameTaken(name)) if name == "b"));
}

#[tokio::test]
async fn a_revoked_agent_is_nobody_and_a_silent_one_is_not_alive() {
    let db = database().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let (agent, credential) = join(&mut conn, Role::Deploy, "host-1").await;
    assert!(agents::list(&mut conn, HOUR).await.unwrap()[0].alive);
    assert!(!agents::list(&mut conn, Millis(0)).await.unwrap()[0].alive);
    assert!(agents::newest_word_ago(&mut conn).await.unwrap() < HOUR);
    agents::note_seen(&mut conn, &[agent]).await.unwrap();
    assert!(agents::takes_part(&mut conn, agent).await.unwrap());
    let drained = agents::set_state(&mut conn, "host-1", "drained").await.unwrap();
    assert_eq!(drained, Some(agent));
    assert!(agents::by_credential(&mut conn, &credential).await.unwrap().unwrap().drained);
    agents::set_state(&mut conn, "host-1", "revoked").await.unwrap();
    assert!(!agents::takes_part(&mut conn, agent).await.unwrap());
    assert!(agents::by_credential(&mut conn, &credential).await.unwrap().is_none());
    assert_eq!(agents::set_state(&mut conn, "host-1", "active").await.unwrap(), None, "for good");
    assert!(agents::list(&mut conn, HOUR).await.unwrap().is_empty());
    // Its name is free again: a host that was set up anew is another agent.
    let (again, _) = join(&mut conn, Role::Build, "host-1").await;
    assert_ne!(again, agent);
    assert_eq!(agents::list(&mut conn, HOUR).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_an_agent_says_of_itself_is_kept() {
    let db = database().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let (agent, _) = join(&mut conn, Role::Deploy, "host-1").await;
    for _ in 0..2 {
        agents::note_condition(&mut conn, agent, "2", Some("disk full"), &[]).await.unwrap();
    }
    let row = &agents::list(&mut conn, HOUR).await.unwrap()[0];
    assert_eq!((row.version.as_str(), row.unfit.as_deref()), ("2", Some("disk full")));
}

#[tokio::test]
async fn a_host_keeps_its_good_revision_until_a_better_one_is_proved() {
    let db = database().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let group = group(&mut conn).await;
    let (host, _) = join(&mut conn, Role::Deploy, "host-1").await;
    let new = crate::deployments::Order {
        group,
        revision: &revision('a'),
        purpose: ::pipelines::protocol::task::Purpose::Forward,
        by: "ada",
        run: None,
    };
    let deployment = crate::deployments::create(&mut conn, &new).await.unwrap().unwrap();
    let serving = Serving::Revision(revision('a'));
    record_host(&mut conn, group, host, deployment, &serving).await.unwrap();
    record_good(&mut conn, group, &[host], &revision('a')).await.unwrap();
    record_host(&mut conn, group, host, deployment, &Serving::Broken).await.unwrap();
    let row = &hosts(&mut conn, group, HOUR).await.unwrap()[0];
    assert_eq!(row.serving.as_deref(), Some("broken"));
    assert_eq!(row.revision, None);
    assert_eq!(row.good.as_ref().map(|good| &good.0), Some(&revision('a')));
    let base = groups::by_name(&mut conn, "production").await.unwrap().unwrap().base;
    assert_eq!(base.map(|base| base.0), Some(revision('a')));
}
