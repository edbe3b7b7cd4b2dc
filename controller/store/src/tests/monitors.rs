//! Monitors: bounded samples, one question at a time, people's words.

use super::*;
use crate::deployments::{self, Order};
use crate::{clock, monitors};
use ::pipelines::analysis::Tally;
use ::pipelines::deploy::event::{StepVerdict, Verdict};
use ::pipelines::ids::{DeploymentId, TaskId};
use ::pipelines::monitor::{Forced, Look, Sample};
use ::pipelines::protocol::answer::Counters;
use ::pipelines::protocol::task::Purpose;

async fn deployment(conn: &mut PgConnection) -> (i64, DeploymentId) {
    let group = group(conn).await;
    let (revision, purpose) = (&revision('a'), Purpose::Forward);
    let order = Order { group, revision, purpose, by: "ada", run: None };
    (group, deployments::create(conn, &order).await.unwrap().unwrap())
}

#[tokio::test]
async fn of_each_monitor_the_last_values_and_the_last_silences_are_kept() {
    let db = database().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let (_, id) = deployment(&mut conn).await;
    let begin = clock::now(&mut conn).await.unwrap();
    for number in 0..20_u64 {
        let at = begin + Millis(number);
        for (monitor, look) in [
            ("errors", Look::Value(number as f64)),
            ("errors", Look::missing("silence")),
            ("page", Look::Good),
        ] {
            let sample = Sample { at, look };
            monitors::add_sample(&mut conn, id, monitor, &sample, 3).await.unwrap();
        }
    }
    let samples = monitors::samples(&mut conn, id).await.unwrap();
    let values: Vec<&Look> = samples["errors"]
        .iter()
        .map(|sample| &sample.look)
        .filter(|l| l != &&Look::missing("silence"))
        .collect();
    assert_eq!(values, [&Look::Value(17.0), &Look::Value(18.0), &Look::Value(19.0)]);
    assert_eq!((samples["errors"].len(), samples["page"].len()), (6, 3));
    assert_eq!(samples["page"].last().unwrap().at, begin + Millis(19));
    assert!(monitors::samples(&mut conn, DeploymentId(99)).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_monitors_found_is_forgotten_long_after_the_end() {
    let db = database().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let (group, old) = deployment(&mut conn).await;
    let (revision, purpose) = (&revision('b'), Purpose::Forward);
    let order = Order { group, revision, purpose, by: "ada", run: None };
    let mut ids = vec![old];
    for _ in 0..2 {
        ids.push(deployments::create(&mut conn, &order).await.unwrap().unwrap());
    }
    let at = clock::now(&mut conn).await.unwrap();
    for id in &ids {
        for _ in 0..3 {
            let sample = Sample { at, look: Look::Good };
            monitors::add_sample(&mut conn, *id, "page", &sample, 5).await.unwrap();
        }
        monitors::asked(&mut conn, *id, "rate", TaskId(7)).await.unwrap();
    }
    // The first ended long ago, the second just now, the third goes on.
    for (id, days) in [(ids[0], 40), (ids[1], 0)] {
        sqlx::query(
            "update deployments set finished_at = now() - $2 * interval '1 day' where id = $1",
        )
        .bind(id.0)
        .bind(days)
        .execute(&mut *conn)
        .await
        .unwrap();
    }
    let month = Millis::from_minutes(30 * 24 * 60);
    let mut forgotten = Vec::new();
    for _ in 0..3 {
        forgotten.push(monitors::forget_samples(&mut conn, month, 2).await.unwrap());
    }
    assert_eq!(forgotten, [2, 1, 0], "so many at once");
    assert_eq!(monitors::forget_watches(&mut conn, month, 2).await.unwrap(), 1);
    for (id, left) in ids.iter().zip([0, 1, 1]) {
        assert_eq!(monitors::samples(&mut conn, *id).await.unwrap().len(), left, "{id}");
        assert_eq!(monitors::watches(&mut conn, *id).await.unwrap().len(), left, "{id}");
    }
}

#[tokio::test]
async fn a_question_is_remembered_until_it_is_answered() {
    let db = database().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let (_, id) = deployment(&mut conn).await;
    let watch = async |conn: &mut PgConnection| {
        monitors::watches(conn, id).await.unwrap().remove("rate").unwrap_or_default()
    };
    assert!(watch(&mut conn).await.asked.is_none());
    monitors::asked(&mut conn, id, "rate", TaskId(7)).await.unwrap();
    assert_eq!(watch(&mut conn).await.asked.unwrap().0, TaskId(7));
    let counters = Counters { life: "1".into(), servers: Vec::new() };
    monitors::answered(&mut conn, id, "rate", Some(&counters)).await.unwrap();
    let answered = watch(&mut conn).await;
    assert_eq!((answered.asked, answered.counters), (None, Some(counters.clone())));
    monitors::asked(&mut conn, id, "rate", TaskId(8)).await.unwrap();
    monitors::answered(&mut conn, id, "rate", None).await.unwrap();
    assert_eq!(watch(&mut conn).await.counters, Some(counters), "the last ones stay");
}

#[tokio::test]
async fn a_step_is_judged_by_what_was_counted_in_it() {
    let db = database().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let (_, id) = deployment(&mut conn).await;
    assert!(monitors::judgement(&mut conn, id, 2).await.unwrap().is_none());
    monitors::judge_asked(&mut conn, id, 2, TaskId(7)).await.unwrap();
    let asked = monitors::judgement(&mut conn, id, 2).await.unwrap().unwrap();
    assert_eq!((asked.asked.unwrap().0, asked.looked_at), (TaskId(7), None));
    assert_eq!(monitors::last_verdict(&mut conn, id).await.unwrap(), None);
    let mut tally = Tally::default();
    tally.windows = 3;
    let verdict = |step| StepVerdict { step, verdict: Verdict::Pass, reason: "n = 4".into() };
    monitors::judged(&mut conn, id, Some(&tally), &verdict(2)).await.unwrap();
    monitors::judged(&mut conn, id, None, &verdict(5)).await.unwrap();
    let judged = monitors::judgement(&mut conn, id, 2).await.unwrap().unwrap();
    assert_eq!((judged.asked, judged.tally, judged.verdict), (None, Some(tally), Some(verdict(2))));
    assert!(judged.looked_at.is_some());
    let (last, _) = monitors::last_verdict(&mut conn, id).await.unwrap().unwrap();
    assert_eq!(last, verdict(5));
}

#[tokio::test]
async fn a_monitor_is_set_by_somebody_and_let_go_again() {
    let db = database().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let group = group(&mut conn).await;
    for (state, by) in [(Forced::Alarm, "ada"), (Forced::Ok, "bob")] {
        monitors::set_override(&mut conn, group, "errors", (state, by, "drill")).await.unwrap();
    }
    let overrides = monitors::overrides(&mut conn, group).await.unwrap();
    assert_eq!(overrides["errors"].to_string(), "set by bob: drill");
    assert_eq!(overrides["errors"].state, Forced::Ok);
    assert!(monitors::clear_override(&mut conn, group, "errors").await.unwrap());
    assert!(!monitors::clear_override(&mut conn, group, "errors").await.unwrap());
    assert!(monitors::overrides(&mut conn, group).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_goes_forward_or_is_next_is_watched() {
    let db = database().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let (group, first) = deployment(&mut conn).await;
    let (_, second) = deployment(&mut conn).await;
    assert_eq!(monitors::watched(&mut conn).await.unwrap(), [(first, group)]);
    for (status, expected) in [("running", vec![first]), ("rolling-back", vec![])] {
        sqlx::query("update deployments set status = $2 where id = $1")
            .bind(first.0)
            .bind(status)
            .execute(&mut *conn)
            .await
            .unwrap();
        let watched = monitors::watched(&mut conn).await.unwrap();
        assert_eq!(watched.into_iter().map(|(id, _)| id).collect::<Vec<_>>(), expected, "{status}");
    }
    sqlx::query("update deployments set status = 'failed', finished_at = now() where id = $1")
        .bind(first.0)
        .execute(&mut *conn)
        .await
        .unwrap();
    assert_eq!(monitors::watched(&mut conn).await.unwrap(), [(second, group)]);
    let (revision, purpose) = (&revision('b'), Purpose::Rollback);
    let order = Order { group, revision, purpose, by: "ada", run: None };
    sqlx::query("update deployments set finished_at = now()").execute(&mut *conn).await.unwrap();
    deployments::create(&mut conn, &order).await.unwrap().unwrap();
    assert!(monitors::watched(&mut conn).await.unwrap().is_empty(), "nothing keeps a way back");
}

#[tokio::test]
async fn a_host_is_warm_from_when_it_served() {
    let db = database().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let (group, id) = deployment(&mut conn).await;
    let (host, _) = join(&mut conn, ::pipelines::protocol::join::Role::Deploy, "host-1").await;
    assert!(groups::serving_since(&mut conn, group, id).await.unwrap().is_empty());
    let serving = ::pipelines::command::Serving::Revision(revision('a'));
    groups::record_host(&mut conn, group, host, id, &serving).await.unwrap();
    let since = groups::serving_since(&mut conn, group, id).await.unwrap();
    assert_eq!(since.keys().copied().collect::<Vec<_>>(), [host]);
    let other = groups::serving_since(&mut conn, group, DeploymentId(99)).await.unwrap();
    assert!(other.is_empty(), "of another deployment");
}
