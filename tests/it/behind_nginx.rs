//! Deliveries behind a real nginx, under requests that may not fail.

use system_tests::balancer::{Load, answers};
use system_tests::files::Revision;
use system_tests::{Options, World, wait};

/// On a connection of its own. nginx closes idle ones when it is reloaded, and who sends a request at that
/// very moment has to send it again.
const ONCE: (&str, &str) = ("connection", "close");

fn group(strategy: &str) -> String {
    format!(
        "version: 1\ngroup: production\napplication: shop\nhosts: {{tags: {{role: web}}}}\n\
         router:\n  port: 8080\n  nginx: {{agent: lb-1, upstream: shop, file: SERVERS}}\n\
         drain: 5s\nstrategy: {strategy}\n"
    )
}

async fn world(hosts: usize) -> World {
    let group = group("{rolling: {batch: 1}}");
    let options = Options { hosts, balancer: true, nginx: true, group, ..Options::default() };
    let world = World::start(options).await;
    let end = world.deliver(&Revision::web("v1"), 1).await;
    assert_eq!(end["status"], "succeeded", "{end}");
    world
}

#[tokio::test]
async fn rolling_loses_no_request() {
    let world = world(2).await;
    assert_eq!(world.balancer().in_upstream(), ["host-1", "host-2"]);
    let load = Load::with_header(&world.balancer().url("/version.txt"), 4, ONCE);
    let end = world.deliver(&Revision::web("v2"), 2).await;
    let tally = load.stop().await;
    assert_eq!(end["status"], "succeeded", "{end}");
    assert_eq!(tally.failed, [""; 0], "{end}");
    assert!(tally.of("v1") > 0 && tally.of("v2") > 0, "{tally:?}");
    assert_eq!(world.versions(), ["v2", "v2"]);
    assert_eq!(world.balancer().in_upstream(), ["host-1", "host-2"]);

    let load = Load::with_header(&world.balancer().url("/version.txt"), 4, ONCE);
    let bad = Revision { validate: "exit 1".to_owned(), ..Revision::web("v3") };
    let end = world.deliver(&bad, 3).await;
    let tally = load.stop().await;
    assert_eq!(end["status"], "rolled-back", "{end}");
    assert_eq!((tally.failed.as_slice(), tally.of("v3")), ([].as_slice(), 0), "{end}");
    assert_eq!(world.balancer().in_upstream(), ["host-1", "host-2"]);
}

#[tokio::test]
async fn a_canary_gets_its_share_and_goes_back_without_a_lost_request() {
    let world = world(3).await;
    world.regroup(&group("{canary: {steps: [{weight: 25, hold: 1h}]}}")).await;
    let url = world.balancer().url("/version.txt");
    let load = Load::with_header(&url, 4, ONCE);
    world.repository.commit(&Revision::web("v2"), "Sell more");
    world.repository.push();
    let run = world.api.run_number(2).await;
    wait::until("an answer of the canary", || async {
        let tally = answers(&url, 20, Some(ONCE)).await;
        (tally.of("v2") > 0).then_some(())
    })
    .await;
    let tally = answers(&url, 400, Some(ONCE)).await;
    // A quarter of them, as two workers count it that share one list.
    assert!((70..=130).contains(&tally.of("v2")) && tally.failed.is_empty(), "{tally:?}");

    let deployment = world.api.newest_deployment(2).await;
    let path = format!("/api/v1/deployments/{deployment}/abort");
    world.api.post(&path, &serde_json::json!({ "reason": "not this" })).await;
    let end = world.api.run_end(&run).await;
    assert_eq!(end["status"], "rolled-back", "{end}");
    let tally = load.stop().await;
    assert_eq!(tally.failed, [""; 0], "{end}");
    assert_eq!(world.versions(), ["v1"; 3]);
    assert_eq!(world.balancer().in_upstream(), ["host-1", "host-2", "host-3"]);
}
