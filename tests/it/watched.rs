//! Monitors on real hosts: what they find decides, and so does a person's word.

use serde_json::{Value, json};
use system_tests::files::{GROUP, Revision};
use system_tests::{Options, World};

/// Measured on the first host, where the new revision is first.
fn group() -> String {
    let run = "if grep -q v2 /srv/shop/version.txt; then echo 99; else echo 1; fi";
    format!(
        "{GROUP}monitors:\n  - name: queue\n    command: {{agent: host-1, run: '{run}'}}\n    \
         fail-above: 10\n    every: 1s\n"
    )
}

async fn release(world: &World, number: usize, revision: &Revision) -> String {
    world.repository.commit(revision, &revision.version);
    world.repository.push();
    world.api.run_number(number).await
}

fn queue(answer: &Value) -> &Value {
    &answer["monitors"][0]
}

#[tokio::test]
async fn a_revision_that_a_monitor_finds_bad_is_taken_back_and_a_drill_does_the_same() {
    let world = World::start(Options { group: group(), ..Options::default() }).await;
    let run = release(&world, 1, &Revision::good("v1")).await;
    let end = world.api.run_end(&run).await;
    assert_eq!(end["status"], "succeeded", "{end}");
    let first = world.api.get("/api/v1/deployments/d-1").await;
    assert_eq!(queue(&first)["reason"], "1, fails above 10", "{first}");
    // The second host is held until the monitor has seen the first one.
    let held =
        |version: &str| Revision { start: Revision::until(version), ..Revision::good(version) };
    world.hosts[0].run("touch /witness/v2").expect("the first host is let go on");
    let run = release(&world, 2, &held("v2")).await;
    let end = world.api.run_end(&run).await;
    assert_eq!(end["status"], "rolled-back", "{end}");
    let second = world.api.get("/api/v1/deployments/d-2").await;
    assert_eq!(second["cause"], "monitor queue: 99, fails above 10", "{second}");
    assert_eq!(world.versions(), ["v1", "v1"]);
    let run = release(&world, 3, &held("v3")).await;
    let third = world.api.newest_deployment(3).await;
    world.api.deployment(&third, |third| third["hosts"][0]["state"] == "updating").await;
    let path = "/api/v1/groups/production/monitors/queue";
    let set = world.api.post(path, &json!({"state": "alarm", "reason": "fire drill"})).await;
    assert_eq!(queue(&set)["state"], "alarm", "{set}");
    let end = world.api.run_end(&run).await;
    let cause = end["cause"].to_string();
    assert!(cause.contains("monitor queue: set by admin: fire drill"), "{end}");
    assert_eq!(world.versions(), ["v1", "v1"]);
}
