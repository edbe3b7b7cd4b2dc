//! The lease and its fence, inboxes, the outbox, runs.

use super::*;
use crate::history::{self, Of};
use crate::runs::{self, Save};
use crate::{clock, inbox, lease, outbox, repositories, webhooks};
use ::pipelines::command::Command;
use ::pipelines::ids::RunId;
use ::pipelines::run::{Event, Phase};
use std::time::Duration;
use uuid::Uuid;

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn one_holder_at_a_time_and_the_epoch_rises_with_every_change() {
    let db = database().await;
    let (a, b) = (Uuid::new_v4(), Uuid::new_v4());
    assert_eq!(lease::take(&db.pool, a, MINUTE).await.unwrap(), Some(1));
    assert_eq!(lease::take(&db.pool, a, MINUTE).await.unwrap(), Some(1), "renewed");
    assert_eq!(lease::take(&db.pool, b, MINUTE).await.unwrap(), None);
    lease::give_up(&db.pool, a).await.unwrap();
    assert_eq!(lease::take(&db.pool, b, MINUTE).await.unwrap(), Some(2));
    assert_eq!(lease::reclaim(&db.pool, a, MINUTE).await.unwrap(), None, "not ours any more");
    assert_eq!(lease::reclaim(&db.pool, b, MINUTE).await.unwrap(), Some(3), "an earlier life");
}

#[tokio::test]
async fn a_stale_epoch_is_noticed_in_the_transaction_and_a_takeover_waits_for_it() {
    let db = database().await;
    let (a, b) = (Uuid::new_v4(), Uuid::new_v4());
    let epoch = lease::take(&db.pool, a, Duration::ZERO).await.unwrap().unwrap();
    let mut tx = db.pool.begin().await.unwrap();
    assert!(lease::holds(&mut tx, epoch).await.unwrap());
    let pool = db.pool.clone();
    let takeover = tokio::spawn(async move { lease::take(&pool, b, MINUTE).await.unwrap() });
    let waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted
                   and database = (select oid from pg_database where datname = current_database())";
    loop {
        let count: i64 = sqlx::query_scalar(waiting).fetch_one(&db.pool).await.unwrap();
        if count == 1 {
            break;
        }
        assert!(!takeover.is_finished(), "the takeover did not wait for the deciding transaction");
        tokio::task::yield_now().await;
    }
    tx.commit().await.unwrap();
    assert_eq!(takeover.await.unwrap(), Some(epoch + 1));
    let mut tx = db.pool.begin().await.unwrap();
    assert!(!lease::holds(&mut tx, epoch).await.unwrap());
    assert_eq!(lease::epoch(&mut tx).await.unwrap(), epoch + 1);
}

#[tokio::test]
async fn a_new_run_is_numbered_and_due_until_its_inbox_is_taken() {
    let db = database().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let pipeline = pipeline(&mut conn).await;
    let first = runs::create(&mut conn, pipeline, &trigger(), "one").await.unwrap();
    let second = runs::create(&mut conn, pipeline, &trigger(), "two").await.unwrap();
    let row = runs::lock(&mut conn, second).await.unwrap().unwrap();
    assert_eq!((row.number, row.status.as_str(), row.label.as_str()), (2, "running", "two"));
    assert_eq!(inbox::due(&mut conn, 10).await.unwrap().runs, [first, second]);
    assert_eq!(inbox::take_run(&mut conn, first).await.unwrap(), [Event::Tick]);
    assert_eq!(inbox::due(&mut conn, 10).await.unwrap().runs, [second]);
    let others = runs::neighbours(&mut conn, pipeline, first).await.unwrap();
    assert_eq!((others[0].id, others[0].stage, others[0].entered), (second.0, 0, false));
    runs::mark_stuck(&mut conn, second, "a defect").await.unwrap();
    assert!(inbox::due(&mut conn, 10).await.unwrap().is_empty(), "a stuck run is left alone");
}

#[tokio::test]
async fn a_saved_run_wakes_at_its_time_and_a_finished_one_never() {
    let db = database().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let pipeline = pipeline(&mut conn).await;
    let id = runs::create(&mut conn, pipeline, &trigger(), "one").await.unwrap();
    inbox::take_run(&mut conn, id).await.unwrap();
    let row = runs::by_id(&mut conn, id).await.unwrap().unwrap();
    let now = clock::now(&mut conn).await.unwrap();
    let mut state = row.state.0.clone();
    let later = Save {
        state: &state,
        waiting: &[],
        label: "one",
        wake_at: Some(now + Millis::from_minutes(5)),
        version: 0,
    };
    assert!(runs::save(&mut conn, id, &later).await.unwrap());
    assert!(!runs::save(&mut conn, id, &later).await.unwrap(), "the version has moved on");
    assert!(inbox::due(&mut conn, 10).await.unwrap().is_empty());
    let past = Save { wake_at: Some(now - Millis(1)), version: 1, ..later };
    runs::save(&mut conn, id, &past).await.unwrap();
    assert_eq!(inbox::due(&mut conn, 10).await.unwrap().runs, [id]);
    state.phase = Phase::Failed;
    let done = Save { state: &state, waiting: &[], label: "one", wake_at: None, version: 2 };
    runs::save(&mut conn, id, &done).await.unwrap();
    inbox::post_run(&mut conn, id, &Event::Tick).await.unwrap();
    assert!(inbox::due(&mut conn, 10).await.unwrap().is_empty());
    let listed = runs::list(&mut conn, Some("shop"), None, 10).await.unwrap();
    assert_eq!((listed[0].status.as_str(), listed[0].finished_at.is_some()), ("failed", true));
    assert!(runs::list(&mut conn, None, Some(id), 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_effect_stays_in_the_outbox_until_it_is_done() {
    let db = database().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let pipeline = pipeline(&mut conn).await;
    let run = runs::create(&mut conn, pipeline, &trigger(), "one").await.unwrap();
    let command = Command::FetchSource { action: "app".into(), attempt: 1 };
    outbox::put(&mut conn, run, &command, 1).await.unwrap();
    let due = outbox::due(&mut conn, &[], 10).await.unwrap();
    assert_eq!((due[0].run, &due[0].command, due[0].tries), (run, &command, 0));
    assert!(outbox::due(&mut conn, &[due[0].id], 10).await.unwrap().is_empty(), "in hand");
    outbox::retry_later(&mut conn, due[0].id).await.unwrap();
    assert!(outbox::due(&mut conn, &[], 10).await.unwrap().is_empty(), "after a pause only");
    assert!(outbox::done(&mut conn, due[0].id).await.unwrap());
    assert!(!outbox::done(&mut conn, due[0].id).await.unwrap(), "one result counts");
    let left: i64 =
        sqlx::query_scalar("select count(*) from outbox").fetch_one(&mut *conn).await.unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn history_is_read_in_the_order_it_happened() {
    let db = database().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let pipeline = pipeline(&mut conn).await;
    let run = runs::create(&mut conn, pipeline, &trigger(), "one").await.unwrap();
    for status in ["running", "failed"] {
        history::append(&mut conn, Of::Run(run), 1, &Event::Tick, status, &[]).await.unwrap();
    }
    let rows = history::list(&mut conn, Of::Run(run), 10).await.unwrap();
    assert_eq!(
        rows.iter().map(|row| row.status.as_str()).collect::<Vec<_>>(),
        ["running", "failed"]
    );
    let newest = history::list(&mut conn, Of::Run(run), 1).await.unwrap();
    assert_eq!(newest[0].status, "failed");
    assert!(history::list(&mut conn, Of::Run(RunId(99)), 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_runs_buildspec_is_the_one_last_put() {
    let db = database().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let pipeline = pipeline(&mut conn).await;
    let run = runs::create(&mut conn, pipeline, &trigger(), "one").await.unwrap();
    assert_eq!(runs::spec_text(&mut conn, run, "compile").await.unwrap(), None);
    for text in ["old", "new"] {
        runs::put_spec_text(&mut conn, run, "compile", text).await.unwrap();
    }
    assert_eq!(runs::spec_text(&mut conn, run, "compile").await.unwrap().as_deref(), Some("new"));
}

#[tokio::test]
async fn refs_and_deliveries_are_remembered() {
    let db = database().await;
    let mut conn = db.pool.acquire().await.unwrap();
    assert!(!repositories::exists(&mut conn, "shop").await.unwrap());
    repositories::ensure(&mut conn, "shop").await.unwrap();
    repositories::ensure(&mut conn, "shop").await.unwrap();
    assert_eq!(repositories::names(&mut conn).await.unwrap(), ["shop"]);
    let main = "refs/heads/main";
    for commit in ["a", "b"] {
        repositories::note_ref(&mut conn, "shop", main, Some(commit)).await.unwrap();
    }
    assert_eq!(repositories::seen_refs(&mut conn, "shop").await.unwrap()[main], "b");
    repositories::note_ref(&mut conn, "shop", main, None).await.unwrap();
    assert!(repositories::seen_refs(&mut conn, "shop").await.unwrap().is_empty());
    assert!(webhooks::note_delivery(&mut conn, "shop", "1").await.unwrap());
    assert!(!webhooks::note_delivery(&mut conn, "shop", "1").await.unwrap());
    assert!(webhooks::note_delivery(&mut conn, "other", "1").await.unwrap());
}

#[tokio::test]
async fn registering_counts_versions_by_changes_of_the_text() {
    let db = database().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let spec = ::pipelines::spec::pipeline::parse(PIPELINE).value.unwrap();
    let mut versions = Vec::new();
    for text in [PIPELINE, PIPELINE, "# changed"] {
        versions.push(pipeline_rows::put(&mut conn, text, &spec).await.unwrap());
    }
    assert_eq!(versions, [1, 1, 2]);
    assert_eq!(pipeline_rows::rotate_webhook(&mut conn, "shop").await.unwrap(), Some(2));
    assert_eq!(pipeline_rows::rotate_webhook(&mut conn, "none").await.unwrap(), None);
    assert_eq!(pipeline_rows::list(&mut conn).await.unwrap().len(), 1);
    let id = group(&mut conn).await;
    groups::raise_generation(&mut conn, id, 7).await.unwrap();
    groups::raise_generation(&mut conn, id, 3).await.unwrap();
    assert_eq!(groups::lock(&mut conn, id).await.unwrap().generation, 7, "it only rises");
    assert_eq!(groups::list(&mut conn).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_installation_has_one_name_and_keeps_it() {
    let (db, other) = (database().await, database().await);
    let name = async |pool: &sqlx::PgPool| {
        let mut conn = pool.acquire().await.unwrap();
        crate::instances::installation(&mut conn).await.unwrap()
    };
    let (first, again) = tokio::join!(name(&db.pool), name(&db.pool));
    assert_eq!((first, name(&db.pool).await), (again, first));
    assert_ne!(name(&other.pool).await, first);
}
