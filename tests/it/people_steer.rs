//! People and the calendar: a freeze, an override, an approval, a second order that is refused, and a way
//! back that nothing holds up.

use reqwest::StatusCode;
use serde_json::{Value, json};
use system_tests::api::text;
use system_tests::files::{GROUP, PIPELINE, Revision};
use system_tests::{Options, World};

const RULES: &str =
    "newer: reject\nfreeze: [{from: 2020-01-01, to: 2120-01-01, reason: Holidays.}]\n";

/// Two orders for one group at the same time.
fn twice() -> String {
    let again = "      - name: again\n        deploy: {group: production, artifact: bundle}\n";
    format!("{PIPELINE}{again}")
}

fn group() -> String {
    let canary = "{canary: {steps: [{weight: 50, hosts: 1, approve: true}]}}";
    format!("{}{RULES}", GROUP.replace("{rolling: {batch: 1}}", canary))
}

/// Lets a frozen deployment through, approves what it shows, and returns its end.
async fn through(world: &World, id: &str) -> Value {
    let path = format!("/api/v1/deployments/{id}");
    let frozen = world.api.deployment(id, |d| d["waiting"][0]["whom"] == "the calendar").await;
    assert!(text(&frozen["waiting"][0], "what").contains("Holidays"), "{frozen}");
    assert!(text(&frozen["waiting"][0], "until").starts_with("2120-01-02T00:00:00"), "{frozen}");
    let (status, answer) = world.api.send(&format!("{path}/override"), &json!({})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
    world.api.post(&format!("{path}/override"), &json!({"reason": "it cannot wait"})).await;
    let asking = world.api.deployment(id, |d| !d["approval"].is_null()).await;
    assert_eq!(asking["overridden"]["by"], "admin", "{asking}");
    let mut stale = asking["approval"].clone();
    stale["plan"] = json!("0".repeat(64));
    let (status, answer) = world.api.send(&format!("{path}/approve"), &stale).await;
    assert_eq!(status, StatusCode::CONFLICT, "{answer}");
    world.api.post(&format!("{path}/approve"), &asking["approval"]).await;
    let end = world.api.deployment_end(id).await;
    assert_eq!(end["status"], "succeeded", "{end}");
    end
}

#[tokio::test]
async fn a_frozen_group_waits_for_a_person_and_goes_back_without_one() {
    let options = Options { pipeline: twice(), group: group(), ..Options::default() };
    let world = World::start(options).await;
    for (number, version) in [(1, "v1"), (2, "v2")] {
        world.repository.commit(&Revision::good(version), version);
        world.repository.push();
        let run = world.api.run_number(number).await;
        let id = world.api.newest_deployment(number).await;
        let end = through(&world, &id).await;
        let history: Vec<String> =
            end["history"].as_array().unwrap().iter().map(|line| text(line, "text")).collect();
        let override_line = "let through window and freeze by admin: it cannot wait".to_owned();
        assert!(history.contains(&override_line), "{history:?}");
        assert!(history.contains(&"approved by admin".to_owned()), "{history:?}");
        assert_eq!(world.versions(), [version, version]);
        // The second order of the same run found the first one unfinished.
        let run = world.api.run_end(&run).await;
        let refused = format!("{id} is unfinished in production, and the group rejects newer");
        assert!(text(&run, "cause").contains(&refused), "{run}");
    }
    let back = world.api.post("/api/v1/groups/production/rollback", &json!({})).await;
    let end = world.api.deployment_end(&text(&back, "deployment")).await;
    assert_eq!(end["status"], "succeeded", "{end}");
    assert_eq!(world.versions(), ["v1", "v1"]);
}
