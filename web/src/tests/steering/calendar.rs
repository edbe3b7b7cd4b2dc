//! Windows and freezes, and who sets them aside.

use super::*;

#[tokio::test]
async fn an_override_needs_a_reason_and_something_to_override() {
    let server = Server::start().await;
    let operator = server.user("oda", Role::Operator).await;
    let open = put(&server, "production", "", sample::deployment(), queued).await;
    let frozen = put_frozen(&server).await;
    let because = json!({"reason": "an outage"});
    let vain = wish(&server, &operator, open, "override", because.clone()).await;
    assert!(said(&vain).contains("no window and no freeze holds deployment d-1 back now"));
    let silent = wish(&server, &operator, frozen, "override", json!({"reason": " "})).await;
    assert!(said(&silent).starts_with("400: letting it through needs a reason"));
    let through = wish(&server, &operator, frozen, "override", because).await;
    assert_eq!(through.status, StatusCode::ACCEPTED, "{}", through.text());
    let (by, reason) = ("oda".to_owned(), "an outage".to_owned());
    assert_eq!(told(&server, frozen).await, [Event::Override { by, reason }]);
}

#[tokio::test]
async fn a_new_calendar_is_looked_at_by_those_that_wait() {
    let server = Server::start().await;
    let developer = server.user("dan", Role::Developer).await;
    let waits = put_frozen(&server).await;
    let text = sample::GROUP.replace("group: production", "group: billing");
    let sent = json!({"files": [{"path": "group.yml", "text": text}], "dry_run": false});
    assert_eq!(server.post("/api/v1/apply", &developer, sent).await.status, StatusCode::OK);
    assert_eq!(told(&server, waits).await, [Event::Tick]);
}

#[tokio::test]
async fn a_run_passes_a_freeze_of_its_pipeline_by_somebodys_word() {
    let server = Server::start().await;
    let (operator, _) =
        (server.user("oda", Role::Operator).await, server.user("vic", Role::Viewer).await);
    let mut conn = server.app.pool.acquire().await.unwrap();
    let text = format!("{}{FROZEN}", sample::PIPELINE);
    let spec = pipelines::spec::pipeline::parse(&text).value.unwrap();
    store::pipelines::put(&mut conn, &text, &spec).await.unwrap();
    let row = sample::run();
    let run = store::runs::create(&mut conn, 1, &row.trigger, &row.label).await.unwrap();
    let wish = async |body: Value| {
        server.post(&format!("/api/v1/runs/{run}/override"), &operator, body).await
    };
    let early = wish(json!({"reason": "x"})).await;
    assert!(said(&early).contains("no freeze holds run r-1 back now: running"), "the first stage");
    let mut state = row.state.0.clone();
    state.entered = false;
    let (label, wake_at) = (row.label.as_str(), None);
    let save =
        store::runs::Save { state: &state, waiting: &row.waiting, label, wake_at, version: 0 };
    assert!(store::runs::save(&mut conn, run, &save).await.unwrap());
    assert!(said(&wish(json!({})).await).starts_with("400: letting it through needs a reason"));
    let browser = server.sign_in("oda").await;
    let shown = server.send(page_request("/runs/r-1", &browser.cookie)).await.text();
    assert!(shown.contains("href=\"/runs/r-1/override\""), "{shown}");
    let ask = server.send(page_request("/runs/r-1/override", &browser.cookie)).await.text();
    assert!(ask.contains("<h1>Let shop #1 go on now?</h1>"), "{ask}");
    let viewer = server.sign_in("vic").await;
    let seen = server.send(page_request("/runs/r-1", &viewer.cookie)).await.text();
    assert!(!seen.contains("/override"));
    assert_eq!(wish(json!({"reason": "an outage"})).await.status, StatusCode::ACCEPTED);
    let form = format!("csrf={}&reason=again", browser.csrf);
    let form = form_request("/runs/r-1/override", Some(&browser.cookie), &form);
    assert_eq!(server.send(form).await.location(), "/runs/r-1");
    let heard = inbox::take_run(&mut conn, run).await.unwrap();
    let by = |reason: &str| pipelines::run::Event::Override {
        by: "oda".to_owned(),
        reason: reason.to_owned(),
    };
    assert_eq!(heard[1..], [by("an outage"), by("again")]);
}
