//! What people want of deployments at work: what is recorded for the engine, and what is answered to
//! wishes in vain.

mod calendar;

use super::sample;
use super::server::{Answer, Server, form_request, page_request};
use axum::http::StatusCode;
use pipelines::deploy::{Event, Fault, Phase, State};
use pipelines::ids::DeploymentId;
use pipelines::protocol::task::Purpose;
use serde_json::{Value, json};
use store::deployments::{self, Order, Row, Save};
use store::users::Role;
use store::{groups, inbox};

/// Closed for as long as anybody will run this.
const FROZEN: &str = "freeze: [{from: 2020-01-01, to: 2120-01-01, reason: Nobody is there.}]\n";

/// Puts a deployment as `row` has it, changed, into a group of its own.
pub async fn put(
    server: &Server,
    group: &str,
    rest: &str,
    row: Row,
    change: impl FnOnce(&mut State),
) -> DeploymentId {
    let mut conn = server.app.pool.acquire().await.unwrap();
    let text =
        format!("{}{rest}", sample::GROUP.replace("group: production", &format!("group: {group}")));
    let spec = pipelines::spec::group::parse(&text).value.unwrap();
    groups::put(&mut conn, &text, &spec).await.unwrap();
    let group = groups::by_name(&mut conn, group).await.unwrap().unwrap();
    let (revision, purpose) = (&row.revision.0, Purpose::Forward);
    let order = Order { group: group.id, revision, purpose, by: "ada", run: None };
    let id = deployments::create(&mut conn, &order).await.unwrap().unwrap();
    let (plan, mut state) = (row.plan.unwrap().0, row.state.unwrap().0);
    change(&mut state);
    let (waiting, wake_at) = (&row.waiting.0, None);
    let save = Save { plan: &plan, state: &state, waiting, wake_at, version: 0 };
    assert!(deployments::save(&mut conn, id, &save).await.unwrap());
    inbox::take_deployment(&mut conn, id).await.unwrap();
    id
}

/// As it is before it begins.
fn queued(state: &mut State) {
    state.phase = Phase::Queued;
    (state.step, state.started_at) = (0, None);
    for host in state.hosts.values_mut() {
        (host.work, host.touched, host.attempt) = (None, false, 0);
        host.app = pipelines::deploy::App::Before;
    }
}

/// One that the calendar holds back, for pages.
pub async fn put_frozen(server: &Server) -> DeploymentId {
    let mut row = sample::deployment();
    row.waiting.0 = vec![pipelines::command::Waiting {
        what: "deployments do not start now: a freeze".to_owned(),
        whom: pipelines::deploy::people::THE_CALENDAR.to_owned(),
        ..sample::waiting("", false)
    }];
    put(server, "billing", FROZEN, row, queued).await
}

pub async fn told(server: &Server, id: DeploymentId) -> Vec<Event> {
    let mut conn = server.app.pool.acquire().await.unwrap();
    inbox::take_deployment(&mut conn, id).await.unwrap()
}

pub async fn wish(
    server: &Server,
    token: &str,
    id: DeploymentId,
    verb: &str,
    body: Value,
) -> Answer {
    server.post(&format!("/api/v1/deployments/{id}/{verb}"), token, body).await
}

/// `CONFLICT: message | help`, with the deployment's number left out.
fn said(answer: &Answer) -> String {
    let body = answer.json();
    let text = |key: &str| body["error"][key].as_str().unwrap_or_default().to_owned();
    format!("{}: {} | {}", answer.status.as_u16(), text("message"), text("help"))
}

#[tokio::test]
async fn an_approval_is_good_for_what_was_seen_and_for_nothing_else() {
    let server = Server::start().await;
    let operator = server.user("oda", Role::Operator).await;
    let developer = server.user("dan", Role::Developer).await;
    let id = put(&server, "checkout", "", sample::waiting_for_approval(), |_| {}).await;
    let shown = server.get(&format!("/api/v1/deployments/{id}"), &operator).await.json();
    let asked = shown["approval"].clone();
    assert_eq!(asked["bundle"], "b".repeat(64));
    assert_eq!(asked["generation"], 1);
    assert!(asked["next"][0].as_str().unwrap().contains("host-"), "{asked}");
    let number = usize::try_from(asked["step"].as_u64().unwrap()).unwrap();
    assert_eq!(shown["steps"][number - 1]["sentence"], "wait for an approval");
    let with = |key: &str, value: Value| {
        let mut body = asked.clone();
        body[key] = value;
        body
    };
    let cases = [
        (
            "step",
            json!(number + 1),
            format!("it waits at step {number} now, you saw step {}", number + 1),
        ),
        ("generation", json!(0), "other orders since (generation 1, you saw 0)".to_owned()),
        ("plan", json!("a".repeat(64)), "its plan is another".to_owned()),
        ("bundle", json!("a".repeat(64)), "another revision, 4f2c91e Fix (bundle bbbb".to_owned()),
    ];
    for (key, value, expected) in cases {
        for verb in ["approve", "reject"] {
            let stale = wish(&server, &operator, id, verb, with(key, value.clone())).await;
            assert_eq!(stale.status, StatusCode::CONFLICT, "{key}");
            assert!(said(&stale).contains(&expected), "{}", said(&stale));
        }
    }
    let blind = wish(&server, &operator, id, "approve", json!({"comment": "ok"})).await;
    assert!(blind.status.is_client_error(), "{}", blind.text());
    let forbidden = wish(&server, &developer, id, "approve", asked.clone()).await;
    assert_eq!(forbidden.status, StatusCode::FORBIDDEN);
    let silent = wish(&server, &operator, id, "reject", asked.clone()).await;
    assert_eq!(said(&silent), "400: a rejection needs a reason | say why");
    assert_eq!(told(&server, id).await, [], "nothing of all that was recorded");

    let good = wish(&server, &operator, id, "approve", with("comment", json!("fine"))).await;
    assert_eq!(good.status, StatusCode::ACCEPTED, "{}", good.text());
    let (by, reason) = ("oda".to_owned(), "fine".to_owned());
    let step = number - 1;
    let event = Event::Decide { by, step, generation: 1, approve: true, reason };
    assert_eq!(told(&server, id).await, [event]);
}

#[tokio::test]
async fn what_does_not_wait_for_an_approval_cannot_be_approved() {
    let server = Server::start().await;
    let operator = server.user("oda", Role::Operator).await;
    let approved = put(&server, "checkout", "", sample::waiting_for_approval(), |state| {
        state.approved_by = Some("eve".to_owned());
    });
    let approved = approved.await;
    let busy = put(&server, "production", "", sample::deployment(), |_| {}).await;
    let body = json!({"step": 1, "generation": 1, "plan": "", "bundle": ""});
    let again = wish(&server, &operator, approved, "approve", body.clone()).await;
    assert!(said(&again).contains("does not wait for an approval: eve approved it"));
    let early = wish(&server, &operator, busy, "approve", body).await;
    assert!(said(&early).contains("does not wait for an approval: Deploying"), "{}", said(&early));
    let shown = server.get(&format!("/api/v1/deployments/{busy}"), &operator).await.json();
    assert_eq!(shown["approval"], Value::Null);
}

#[tokio::test]
async fn an_abort_is_heard_in_every_unfinished_state() {
    let server = Server::start().await;
    let operator = server.user("oda", Role::Operator).await;
    type Change = fn(&mut State);
    let states: [(&str, Change, Option<&str>); 6] = [
        ("queued", queued, None),
        ("running", |_| {}, None),
        (
            "paused",
            |state| {
                let (by, since) = ("ada".to_owned(), sample::NOW);
                state.paused = Some(pipelines::deploy::state::Pause { by, since });
            },
            None,
        ),
        ("failing", |state| state.phase = Phase::Failing, Some("is being stopped already")),
        ("back", |state| state.phase = Phase::RollingBack, Some("is being rolled back already")),
        ("stuck", |_| {}, None),
    ];
    for (group, change, remark) in states {
        let id = put(&server, group, "", sample::deployment(), change).await;
        if group == "stuck" {
            let mut conn = server.app.pool.acquire().await.unwrap();
            deployments::mark_stuck(&mut conn, id, "a defect").await.unwrap();
        }
        let answer = wish(&server, &operator, id, "abort", json!({"reason": "no"})).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{group}: {}", answer.text());
        let halts = format!("; to leave the hosts as they are instead: pipectl abort {id} --halt");
        let expected = remark.map_or(Value::Null, |remark| json!(format!("{id} {remark}{halts}")));
        assert_eq!(answer.json()["message"], expected, "{group}");
        let event = Event::Abort { by: "oda".to_owned(), reason: "no".to_owned() };
        assert_eq!(told(&server, id).await, [event], "{group}");
        let shown = server.get(&format!("/api/v1/deployments/{id}"), &operator).await.json();
        assert_eq!(shown["stuck"], Value::Null, "it is tried again: {group}");
    }
    let asking = put(&server, "asking", "", sample::waiting_for_approval(), |_| {}).await;
    assert_eq!(wish(&server, &operator, asking, "abort", json!({})).await.status, 202);
    let over = put(&server, "over", "", sample::deployment(), |s| s.phase = Phase::Succeeded).await;
    let late = wish(&server, &operator, over, "abort", json!({})).await;
    assert!(said(&late).contains("is over: succeeded | to go back"), "{}", said(&late));
}

#[tokio::test]
async fn the_way_back_is_halted_by_a_word_of_its_own() {
    let server = Server::start().await;
    let operator = server.user("oda", Role::Operator).await;
    let body = json!({"reason": "the old one is worse", "halt": true});
    let back = |state: &mut State| state.phase = Phase::RollingBack;
    let id = put(&server, "back", "", sample::deployment(), back).await;
    let answer = wish(&server, &operator, id, "abort", body.clone()).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text());
    let (by, reason) = ("oda".to_owned(), "the old one is worse".to_owned());
    assert_eq!(told(&server, id).await, [Event::Halt { by, reason }]);
    let forward = put(&server, "forward", "", sample::deployment(), |_| {}).await;
    let refused = wish(&server, &operator, forward, "abort", body).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(said(&refused).contains("does not turn back"), "{}", said(&refused));
    assert!(told(&server, forward).await.is_empty());
}

#[tokio::test]
async fn hosts_are_tried_again_or_left_out_when_that_makes_sense() {
    let server = Server::start().await;
    let operator = server.user("oda", Role::Operator).await;
    let id = put(&server, "production", "", sample::deployment(), |state| {
        let host = state.hosts.get_mut(&pipelines::ids::AgentId(2)).unwrap();
        let error = sample::task_error("ValidateService", "exited with 1");
        (host.work, host.fault) = (None, Some(Fault::Failed { error }));
    })
    .await;
    let cases = [
        (
            "hosts/host-9/retry",
            json!({}),
            "404: there is no host 'host-9' in deployment d-1 | it has host-1, host-2, host-3",
        ),
        ("hosts/host-1/retry", json!({}), "has nothing to try again on host-1: it has not failed"),
        ("hosts/host-3/retry", json!({}), "is working on host-3 at this moment | wait until"),
        ("hosts/host-2/retry", json!({}), "cannot try host-2 again: its agent is silent | bring"),
        ("hosts/host-2/exclude", json!({}), "400: leaving a host out needs a reason | say why"),
        ("hosts/host-3/exclude", json!({"reason": "x"}), "is working on host-3"),
        (
            "hosts/host-1/exclude",
            json!({"reason": "x"}),
            "brought host-1 to the new revision already",
        ),
        ("promote", json!({}), "holds nothing back now: step 2 of 2 is to update host-2, host-3"),
        (
            "promote",
            json!({"full": true, "step": 1}),
            "409: deployment d-1 is at step 2 now: update",
        ),
        (
            "promote",
            json!({"full": true, "step": 2, "generation": 7}),
            "409: deployment d-1 is at step 2 now: update",
        ),
        ("resume", json!({}), "is not paused | see what it waits for: 'pipectl explain d-1'"),
        ("override", json!({"reason": "x"}), "has begun already"),
    ];
    for (verb, body, expected) in cases {
        let answer = wish(&server, &operator, id, verb, body).await;
        assert!(said(&answer).contains(expected), "{verb}: {}", said(&answer));
        assert!(answer.status.is_client_error());
    }
    assert_eq!(told(&server, id).await, []);

    let mut conn = server.app.pool.acquire().await.unwrap();
    super::stage::join(&mut conn, "host-2", pipelines::protocol::join::Role::Deploy).await;
    drop(conn);
    let (by, host) = ("oda".to_owned(), pipelines::ids::AgentId(2));
    assert_eq!(wish(&server, &operator, id, "hosts/host-2/retry", json!({})).await.status, 202);
    let reason = "its disk".to_owned();
    let out = wish(&server, &operator, id, "hosts/host-2/exclude", json!({"reason": reason})).await;
    assert_eq!(out.status, StatusCode::ACCEPTED, "{}", out.text());
    assert_eq!(wish(&server, &operator, id, "promote", json!({"full": true})).await.status, 202);
    let why = json!({"reason": "a look"});
    assert_eq!(wish(&server, &operator, id, "pause", why).await.status, 202);
    let events = [
        Event::Retry { by: by.clone(), host },
        Event::Exclude { by: by.clone(), host, reason },
        Event::Promote { by: by.clone(), full: true, at: None },
        Event::Pause { by, reason: "a look".to_owned() },
    ];
    assert_eq!(told(&server, id).await, events);
}

#[tokio::test]
async fn the_page_asks_with_what_it_shows_and_offers_what_can_be_done() {
    let server = Server::start().await;
    server.user("oda", Role::Operator).await;
    server.user("vic", Role::Viewer).await;
    let (operator, viewer) = (server.sign_in("oda").await, server.sign_in("vic").await);
    let asking = put(&server, "checkout", "", sample::waiting_for_approval(), |_| {}).await;
    let frozen = put_frozen(&server).await;
    let page = async |path: &str, cookie: &str| {
        let answer = server.send(page_request(path, cookie)).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        answer.text()
    };
    let path = format!("/deployments/{asking}");
    let shown = page(&path, &operator.cookie).await;
    assert!(shown.contains("Once you approve, it will:") && shown.contains("<li>wait 5 min</li>"));
    assert!(shown.contains("Leave out…") && shown.contains("Promote to the end…"), "{shown}");
    assert!(!shown.contains("value=\"promote\""), "an approval is no hold");
    let seen = page(&path, &viewer.cookie).await;
    assert!(!seen.contains("Once you approve") && !seen.contains("Leave out"));

    let keys = ["csrf", "step", "generation", "plan", "bundle"];
    let form: Vec<String> =
        keys.iter().map(|key| format!("{key}={}", field(&shown, key))).collect();
    let form = format!("{}&comment=fine&answer=approve", form.join("&"));
    let to = format!("{path}/decide");
    let post = |form: String| server.send(form_request(&to, Some(&operator.cookie), &form));
    let old = post(form.replace("&generation=1", "&generation=0")).await;
    assert_eq!(old.status, StatusCode::CONFLICT);
    let good = post(form).await;
    assert_eq!((good.status, good.location()), (StatusCode::SEE_OTHER, path.as_str()));
    assert!(matches!(told(&server, asking).await[..], [Event::Decide { approve: true, .. }]));

    let waits = page(&format!("/deployments/{frozen}"), &operator.cookie).await;
    assert!(waits.contains("Start in spite of it…"), "{waits}");
    let ask = page(&format!("/deployments/{frozen}/override"), &operator.cookie).await;
    assert!(
        ask.contains("It waits: deployments do not start now: a freeze.")
            && ask.contains("required")
    );
    let form = format!("csrf={}&reason=an+outage", operator.csrf);
    let to = format!("/deployments/{frozen}/override");
    let done = server.send(form_request(&to, Some(&operator.cookie), &form)).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text());
    assert!(matches!(told(&server, frozen).await[..], [Event::Override { .. }]));
    page(&format!("/deployments/{asking}/hosts/host-2/exclude"), &operator.cookie).await;
    let ask = page(&format!("/deployments/{asking}/promote"), &operator.cookie).await;
    let seen = (field(&ask, "step"), field(&ask, "generation"));
    assert_eq!(seen, (field(&shown, "step"), "1"), "it promotes what it shows");
}

/// The value of a hidden field.
pub fn field<'a>(html: &'a str, name: &str) -> &'a str {
    let rest = html.split(&format!("name=\"{name}\" value=\"")).nth(1).unwrap_or_default();
    rest.split('"').next().unwrap_or_default()
}
