//! What a deployment shows to whoever has to decide, and that what they decide is about what they saw.

use super::sample;
use super::server::{Server, form_request, page_request};
use super::steering::{field, put, told, wish};
use axum::http::StatusCode;
use pipelines::deploy::event::HoldAt;
use pipelines::deploy::{App, Event, Fault, Phase, State, Step};
use pipelines::time::Millis;
use serde_json::json;
use store::users::Role;

#[tokio::test]
async fn what_could_not_be_rolled_back_says_what_runs_where_and_the_way_out() {
    let server = Server::start().await;
    let token = server.user("oda", Role::Operator).await;
    let operator = server.sign_in("oda").await;
    let rolled_back = |state: &mut State| {
        state.phase = Phase::RollbackFailed;
        for host in state.hosts.values_mut() {
            (host.work, host.app) = (None, App::Restored);
        }
        let host = state.hosts.values_mut().nth(1).unwrap();
        let message = "failed in ApplicationStart: start.sh exited with 1".to_owned();
        (host.app, host.fault) = (App::Broken, Some(Fault::Stuck { message }));
    };
    let id = put(&server, "checkout", "", sample::deployment(), rolled_back).await;
    let runs = "nothing proved, half-way between a11ce00 First and 4f2c91e Fix";
    let way_out =
        format!("('pipectl logs {id} host-2'), mend it, then bring all hosts to the last");
    let body = server.get(&format!("/api/v1/deployments/{id}"), &token).await.json();
    let next = body["next"].as_str().unwrap();
    assert!(next.contains(&way_out) && next.contains("'pipectl rollback checkout'"), "{next}");
    let of = |index: usize| body["hosts"][index]["runs"].as_str().unwrap();
    assert_eq!((of(0), of(1)), ("a11ce00 First", runs));
    let page = server.send(page_request(&format!("/deployments/{id}"), &operator.cookie)).await;
    let page = page.text().replace("&#39;", "'");
    for said in
        [way_out.as_str(), runs, "failed in ApplicationStart", "host-2 could not be rolled back"]
    {
        assert!(page.contains(said), "'{said}' is not in {page}");
    }
}

#[tokio::test]
async fn a_promotion_carries_the_hold_it_was_meant_for() {
    let server = Server::start().await;
    let token = server.user("oda", Role::Operator).await;
    let operator = server.sign_in("oda").await;
    let mut row = sample::waiting_for_approval();
    let plan = &mut row.plan.as_mut().unwrap().0;
    let (minute, step) = (Millis::from_minutes(1), row.state.as_ref().unwrap().step);
    plan.steps[step] = Step::Hold { time: minute, judge: None };
    let id = put(&server, "checkout", "", row, |_| {}).await;
    let path = format!("/deployments/{id}");
    let at = server.get(&format!("/api/v1{path}"), &token).await.json()["at"].clone();
    assert_eq!(at, json!({"step": step + 1, "generation": 1}));
    let wanted = wish(&server, &token, id, "promote", at).await;
    assert_eq!(wanted.status, StatusCode::ACCEPTED, "{}", wanted.text());
    let shown = server.send(page_request(&path, &operator.cookie)).await.text();
    let form = ["csrf", "step", "generation"].map(|key| format!("{key}={}", field(&shown, key)));
    let form = format!("{}&wanted=promote", form.join("&"));
    let to = format!("{path}/steer");
    let post = |form: String| server.send(form_request(&to, Some(&operator.cookie), &form));
    let old = post(form.replace("generation=1", "generation=0")).await;
    assert_eq!(old.status, StatusCode::CONFLICT, "{}", old.text());
    assert_eq!(post(form).await.status, StatusCode::SEE_OTHER);
    let at = Some(HoldAt { step, generation: 1 });
    let meant = Event::Promote { by: "oda".into(), full: false, at };
    assert_eq!(told(&server, id).await, [meant.clone(), meant]);
}
