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
    let first = deployments::create(&mut conn, &order(group, &a)).await.unwrap();
    let second = deployments::create(&mut conn, &order(group, &b)).await.unwrap();
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
    let id = deployments::create(&mut conn, &order(group, &revision('a'))).await.unwrap();
    assert!(save(&mut conn, id, Phase::Running, 0).await.unwrap());
    assert!(!save(&mut conn, id, Phase::Failed, 0).await.unwrap());
    let row = deployments::by_id(&mut conn, id).await.unwrap().unwrap();
    assert_eq!((row.status.as_str(), row.version), ("running", 1));
}

#[tokio::test]
async fn a_newer_deployment_tells_the_queued_ones_before_it() {
    let db = database().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let group = group(&mut conn).await;
    let first = deployments::create(&mut conn, &order(group, &revision('a'))).await.unwrap();
    let second = deployments::create(&mut conn, &order(group, &revision('b'))).await.unwrap();
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
        let id = deployments::create(&mut conn, &new).await.unwrap();
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
    let id = deployments::create(&mut conn, &order(group, &revision('a'))).await.unwrap();
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
