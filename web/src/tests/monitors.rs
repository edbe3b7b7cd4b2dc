//! Monitors: who may set them, and where what they say is seen.

use super::sample;
use super::server::{Server, page_request};
use super::stage;
use axum::http::StatusCode;
use pipelines::deploy::Event;
use pipelines::deploy::event::{StepVerdict, Verdict};
use pipelines::ids::DeploymentId;
use pipelines::monitor::{Look, Sample};
use serde_json::{Value, json};
use store::users::Role;
use store::{groups, inbox, monitors};

const MONITORS: &str = "monitors:
  - {name: errors, prometheus: {url: 'http://prometheus/', query: up}, fail-above: 2%, failures: 2}
  - {name: noise, http: 'http://shop/', dry-run: true}
";
const AT_WORK: DeploymentId = DeploymentId(3);

/// A deployment at work whose group has monitors, one of which was looked at.
async fn watched() -> Server {
    let server = Server::start().await;
    stage::fill(&server).await;
    let mut conn = server.app.pool.acquire().await.unwrap();
    let text = format!("{}{MONITORS}", sample::GROUP);
    let spec = pipelines::spec::group::parse(&text).value.unwrap();
    groups::put(&mut conn, &text, &spec).await.unwrap();
    let at = store::clock::now(&mut conn).await.unwrap();
    let sample = Sample { at, look: Look::Value(0.07) };
    monitors::add_sample(&mut conn, AT_WORK, "errors", &sample, 2).await.unwrap();
    let reason = "pass, at least 500 requests; <n> = 900, p = 0.4".to_owned();
    let verdict = StepVerdict { step: 1, verdict: Verdict::Pass, reason };
    monitors::judged(&mut conn, AT_WORK, None, &verdict).await.unwrap();
    inbox::take_deployment(&mut conn, AT_WORK).await.unwrap();
    server
}

fn set(state: &str) -> Value {
    json!({"state": state, "reason": "fire drill"})
}

#[tokio::test]
async fn a_monitor_is_set_by_operators_and_the_deployment_at_work_hears_it() {
    let server = watched().await;
    let developer = server.user("dev", Role::Developer).await;
    let path = "/api/v1/groups/production/monitors/errors";
    let refused = server.post(path, &developer, set("alarm")).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.text());
    let token = server.user("ada", Role::Operator).await;
    let answer = server.post(path, &token, set("alarm")).await.json();
    let errors = &answer["monitors"][0];
    assert_eq!((&errors["state"], &errors["set"]["by"]), (&json!("alarm"), &json!("ada")));
    assert_eq!(errors["reason"], "set by ada: fire drill");
    let mut conn = server.app.pool.acquire().await.unwrap();
    let heard = inbox::take_deployment(&mut conn, AT_WORK).await.unwrap();
    assert_eq!(heard, [Event::Tick]);
    let shown = server.get("/api/v1/deployments/d-3", &developer).await.json();
    assert_eq!(shown["monitors"][0]["reason"], "set by ada: fire drill");
    let answer = server.post(path, &token, set("auto")).await.json();
    assert_eq!(answer["monitors"][0]["set"], Value::Null);
    assert_eq!(answer["monitors"][0]["state"], "ok", "one bad look of two");
}

#[tokio::test]
async fn what_cannot_be_set_is_said_with_what_can() {
    let server = watched().await;
    let token = server.user("ada", Role::Operator).await;
    let path = "/api/v1/groups/production/monitors";
    let odd = server.post(&format!("{path}/errors"), &token, set("red")).await;
    assert_eq!(odd.status, StatusCode::BAD_REQUEST);
    assert_eq!(odd.json()["error"]["help"], "write alarm, ok or auto");
    let unknown = server.post(&format!("{path}/erors"), &token, set("ok")).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert_eq!(unknown.json()["error"]["help"], "the group has errors, noise");
    let nowhere = server.get("/api/v1/groups/staging/monitors", &token).await;
    assert_eq!(nowhere.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn values_bounds_and_the_judges_numbers_are_shown() {
    let server = watched().await;
    let token = server.user("ada", Role::Admin).await;
    let list = server.get("/api/v1/groups/production/monitors", &token).await.json();
    assert_eq!(list["deployment"], "d-3");
    let why = "0.07, fails above 0.02; 1 of the last 2 bad, 2 make an alarm";
    assert_eq!(list["monitors"][0]["reason"], why);
    assert_eq!(
        (&list["monitors"][1]["state"], &list["monitors"][1]["dry_run"]),
        (&json!("no-data"), &json!(true))
    );
    let shown = server.get("/api/v1/deployments/d-3", &token).await.json();
    assert_eq!(shown["monitors"][0]["reason"], why);
    assert_eq!(
        (&shown["analysis"]["step"], &shown["analysis"]["verdict"]),
        (&json!(2), &json!("pass"))
    );
    let browser = server.sign_in("ada").await;
    let html = server.send(page_request("/deployments/d-3", &browser.cookie)).await.text();
    for part in [why, "noise, only reports", "analysis of step 2", "= 900, p = 0.4"] {
        assert!(html.contains(part), "{part}: {html}");
    }
    assert!(!html.contains("<n>"), "reasons are text");
}
