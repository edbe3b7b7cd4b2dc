//! When an order would start, who guards it, and letting it through a freeze.

use super::*;

const FREEZE: &str = "newer: supersede
freeze: [{from: 2020-01-01, to: 2120-01-01, reason: Holidays.}]
monitors: [{name: errors, every: 10s, http: {url: \"http://metrics.example.com/\"}}]
";

#[tokio::test]
async fn a_plan_in_a_freeze_says_until_when_and_an_order_may_pass_it() {
    let (server, token, hosts) = installation(&format!("{}{FREEZE}", sample::GROUP)).await;
    let bundle = artifact(&server, "first").await;
    serves(&server, &hosts, &Revision { bundle, ..sample::revision('a', "a1 First") }).await;
    let path = "/api/v1/groups/production/deployments";
    let waiting = server.post(path, &token, json!({})).await.json()["deployment"].clone();
    let waiting = waiting.as_str().unwrap();

    let agents = play(server.app.pool.clone(), hosts.clone(), |_, _| failed("no matter"));
    let (answer, _) =
        tokio::join!(server.post("/api/v1/groups/production/plan", &token, json!({})), agents);
    let plan = answer.json();
    assert_eq!(plan["start"]["at_once"], false, "{plan}");
    assert_eq!(plan["start"]["not_before"], "2120-01-02T00:00:00.000Z");
    let sentences = plan["start"]["sentences"].to_string();
    for said in ["until Tue 2120-01-02 00:00 UTC: a freeze", "(Holidays)", "--override-freeze"] {
        assert!(sentences.contains(said), "'{said}' is not in {sentences}");
    }
    assert!(sentences.contains(&format!("take the place of {waiting}")), "{sentences}");
    assert_eq!(plan["refused"], json!(null), "to wait is no refusal");
    let errors = &plan["monitors"]["monitors"][0];
    assert_eq!((&errors["name"], &errors["state"]), (&json!("errors"), &json!("no-data")));

    let empty = server.post(path, &token, json!({"override": " "})).await;
    assert_eq!(empty.status, StatusCode::BAD_REQUEST, "{}", empty.text());
    let ordered = server.post(path, &token, json!({"override": "an outage"})).await;
    assert_eq!(ordered.status, StatusCode::CREATED, "{}", ordered.text());
    let id: DeploymentId = ordered.json()["deployment"].as_str().unwrap().parse().unwrap();
    let mut conn = server.app.pool.acquire().await.unwrap();
    let events = store::inbox::take_deployment(&mut conn, id).await.unwrap();
    let heard = pipelines::deploy::Event::Override { by: "oda".into(), reason: "an outage".into() };
    assert!(events.contains(&heard), "{events:?}");
}

#[tokio::test]
async fn what_is_not_frozen_is_not_let_through_and_what_is_rejected_would_not_start() {
    let group = format!("{}newer: reject\n", sample::GROUP);
    let (server, token, hosts) = installation(&group).await;
    let bundle = artifact(&server, "first").await;
    serves(&server, &hosts, &Revision { bundle, ..sample::revision('a', "a1 First") }).await;
    let path = "/api/v1/groups/production/deployments";
    let in_vain = server.post(path, &token, json!({"override": "an outage"})).await;
    assert_eq!(in_vain.status, StatusCode::CONFLICT, "{}", in_vain.text());
    let list = server.get("/api/v1/deployments", &token).await.json();
    assert_eq!(list["deployments"].as_array().unwrap().len(), 1, "nothing was ordered");

    let first = server.post(path, &token, json!({})).await.json()["deployment"].clone();
    let agents = play(server.app.pool.clone(), hosts.clone(), |_, _| failed("no matter"));
    let (answer, _) =
        tokio::join!(server.post("/api/v1/groups/production/plan", &token, json!({})), agents);
    let refused = answer.json()["refused"].to_string();
    let expected = format!("{} is queued in production", first.as_str().unwrap());
    assert!(refused.contains(&expected) && refused.contains("newer: reject"), "{refused}");
}
