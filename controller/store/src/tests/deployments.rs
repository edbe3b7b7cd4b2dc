//! Deployments: one at work per group, no decision on a stale state.

use super::*;
use crate::deployments::{self, Order, Save};
use crate::inbox;
use ::pipelines::deploy::strategy::{self, Member};
use ::pipelines::deploy::{Event, Phase, Plan, State};
use ::pipelines::ids::DeploymentId;
use ::pipelines::protocol::task::Purpose;
use ::pipelines::time::Timestamp;

fn order(group: i64, revision: &Revision) -> Order<'_> {
    Order { group, revision, purpose: Purpose::Forward, by: "ada", run: None }
}

fn plan(deployment: DeploymentId) -> Plan {
    let spec = ::pipelines::spec::group::parse(GROUP).value.unwrap();
    let member = Member {
        id: AgentId(1),
        name: "host-1".into(),
        tags: std::collections::BTreeMap::new(),
        alive: true,
        serving: None,
        good: None,
        lane: ::pipelines::deploy::Lane::Direct,
        weight: None,
        answers: false,
        instance: false,
    };
    let fleet = strategy::Fleet { members: vec![member], ..strategy::Fleet::default() };
    let order = strategy::Order { deployment, revision: revision('a'), purpose: Purpose::Forward };
    strategy::compile(&spec, &fleet, order).unwrap()
}

async fn save(
    conn: &mut PgConnection,
    id: DeploymentId,
    phase: Phase,
    version: i32,
) -> sqlx::Result<bool> {
    let plan = plan(id);
    let state = State { phase, ..State::new(&plan, Timestamp(0)) };
    let save = Save { plan: &plan, state: &state, waiting: &[], wake_at: None, version };
    deployments::save(conn, id, &save).await
}

#[tokio::test]
async fn the_database_lets_one_deployment_work_in_a_group() {
    let db = database().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let group = group(&mut conn).await;
    let (a, b) = (revision('a'), revision('b'));
    let first = deployments::create(&mut conn, &order(group, &a)).await.unwrap().unwrap();
    let second = deployments::create(&mut conn, &order(group, &b)).await.unwrap().unwrap();
    assert!(save(&mut conn, first, Phase::Running, 0).await.unwrap());
    let refused = save(&mut conn, second, Phase::Running, 0).await;
    assert!(refused.is_err(), "whatever the controllers believe");
    assert!(save(&mut conn, first, Phase::Succeeded, 1).await.unwrap());
    assert!(save(&mut conn, second, Phase::Running, 0).await.unwrap());
    let left = deployments::unfinished(&mut conn, group).await.unwrap();
    assert_eq!(left, [(second, "running".to_owned())]);
}

#[tokio::test]
async fn a_decision_on_a_stale_state_is_not_written() {
    let db = database().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let group = group(&mut conn).await;
    let id = deployments::create(&mut conn, &order(group, &revision('a'))).await.unwrap().unwrap();
    assert!(save(&mut conn, id, Phase::Running, 0).await.unwrap());
    assert!(!save(&mut conn, id, Phase::Failed, 0).await.unwrap());
    let row = deployments::by_id(&mut conn, id).await.unwrap().unwrap();
    assert_eq!((row.status.as_str(), row.version), ("running", 1));
}

#[tokio::test]
async fn a_newer_deployment_waits_its_turn() {
    let db = database().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let group = group(&mut conn).await;
    let first = deployments::create(&mut conn, &order(group, &revision('a'))).await.unwrap();
    deployments::create(&mut conn, &order(group, &revision('b'))).await.unwrap().unwrap();
    let told = inbox::take_deployment(&mut conn, first.unwrap()).await.unwrap();
    assert_eq!(told, [Event::Tick]);
}

/// The group, with another rule for newer deployments.
async fn with_newer(conn: &mut PgConnection, newer: &str) {
    let text = format!("{GROUP}newer: {newer}\n");
    let spec = ::pipelines::spec::group::parse(&text).value.unwrap();
    crate::groups::put(conn, &text, &spec).await.unwrap();
}

#[tokio::test]
async fn a_rollback_takes_the_place_of_those_that_wait_and_is_never_rejected() {
    let db = database().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let group = group(&mut conn).await;
    for newer in ["queue", "supersede", "reject"] {
        with_newer(&mut conn, newer).await;
        let revision = revision('a');
        let waits =
            deployments::create(&mut conn, &order(group, &revision)).await.unwrap().unwrap();
        let back = Order { purpose: Purpose::Rollback, ..order(group, &revision) };
        let back = deployments::create(&mut conn, &back).await.unwrap().unwrap();
        let told = inbox::take_deployment(&mut conn, waits).await.unwrap();
        assert_eq!(told, [Event::Tick, Event::Supersede { by: back.to_string() }], "{newer}");
        for id in [waits, back] {
            assert!(save(&mut conn, id, Phase::Cancelled, 0).await.unwrap());
        }
    }
}

#[tokio::test]
async fn a_newer_deployment_is_rejected_while_one_is_unfinished_if_the_group_says_so() {
    let db = database().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let group = group(&mut conn).await;
    with_newer(&mut conn, "reject").await;
    let pipeline = pipeline(&mut conn).await;
    let run = crate::runs::create(&mut conn, pipeline, &trigger(), "").await.unwrap();
    let revision = revision('a');
    let of_run = Order { run: Some((run, "production", 1)), ..order(group, &revision) };
    let first = deployments::create(&mut conn, &of_run).await.unwrap().unwrap();
    let again = deployments::create(&mut conn, &of_run).await.unwrap();
    assert_eq!(again, Ok(first), "one order given twice is one deployment");
    let newer = deployments::create(&mut conn, &order(group, &revision)).await.unwrap();
    assert_eq!(newer, Err(deployments::Rejected { by: first }));
    assert!(save(&mut conn, first, Phase::Succeeded, 0).await.unwrap());
    assert!(deployments::create(&mut conn, &order(group, &revision)).await.unwrap().is_ok());
}

#[tokio::test]
async fn where_newer_ones_supersede_they_tell_those_that_wait() {
    let db = database().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let group = group(&mut conn).await;
    with_newer(&mut conn, "supersede").await;
    let first =
        deployments::create(&mut conn, &order(group, &revision('a'))).await.unwrap().unwrap();
    let second =
        deployments::create(&mut conn, &order(group, &revision('b'))).await.unwrap().unwrap();
    let told = inbox::take_deployment(&mut conn, first).await.unwrap();
    assert_eq!(told, [Event::Tick, Event::Supersede { by: second.to_string() }]);
    assert_eq!(inbox::take_deployment(&mut conn, first).await.unwrap(), [], "taken is gone");
}

#[tokio::test]
async fn good_revisions_are_those_that_succeeded_newest_first_each_once() {
    let db = database().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let group = group(&mut conn).await;
    let plan_of = ['a', 'b', 'a', 'c', 'a'];
    let mut ends = vec![Phase::Succeeded, Phase::RolledBack];
    ends.extend([Phase::Succeeded; 3]);
    let mut ids = Vec::new();
    for (number, (digit, end)) in plan_of.into_iter().zip(ends).enumerate() {
        // The last one is a return to the first revision, which does not make it newer.
        let purpose = if number == 4 { Purpose::Rollback } else { Purpose::Forward };
        let revision = revision(digit);
        let new = Order { purpose, ..order(group, &revision) };
        let id = deployments::create(&mut conn, &new).await.unwrap().unwrap();
        assert!(save(&mut conn, id, end, 0).await.unwrap());
        ids.push(id);
    }
    let good = deployments::good_revisions(&mut conn, group, 10).await.unwrap();
    let good: Vec<_> = good.into_iter().map(|(id, revision)| (id, revision.label)).collect();
    assert_eq!(good, [(ids[3], "rev c".to_owned()), (ids[2], "rev a".to_owned())]);
}

#[tokio::test]
async fn a_deployment_at_work_is_found_by_its_hosts() {
    let db = database().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let group = group(&mut conn).await;
    let id = deployments::create(&mut conn, &order(group, &revision('a'))).await.unwrap().unwrap();
    save(&mut conn, id, Phase::Running, 0).await.unwrap();
    let none = deployments::waiting_for_others(&mut conn, &[]).await.unwrap();
    assert!(none.is_empty(), "its host is not at work");
    let plan = plan(id);
    let mut state = State { phase: Phase::Running, ..State::new(&plan, Timestamp(0)) };
    let since = Timestamp(0);
    let (stage, purpose) = (::pipelines::deploy::Stage::Updating, Purpose::Forward);
    let work = ::pipelines::deploy::Work { stage, purpose, since, cancelling: false };
    state.hosts.get_mut(&AgentId(1)).unwrap().work = Some(work);
    let save = Save { plan: &plan, state: &state, waiting: &[], wake_at: None, version: 1 };
    deployments::save(&mut conn, id, &save).await.unwrap();
    assert_eq!(deployments::waiting_for_others(&mut conn, &[9]).await.unwrap(), [id]);
    assert!(deployments::waiting_for_others(&mut conn, &[9, 1]).await.unwrap().is_empty());
}
