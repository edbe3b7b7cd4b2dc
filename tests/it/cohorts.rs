//! Requests with a header, told apart from all others during a canary behind HAProxy.

use system_tests::balancer::{Load, Tally, answers};
use system_tests::files::Revision;
use system_tests::{Options, World, wait};

const HEADER: Option<(&str, &str)> = Some(("x-canary", "1"));

fn group(strategy: &str, router: &str) -> String {
    format!(
        "version: 1\ngroup: production\napplication: shop\nhosts: {{tags: {{role: web}}}}\n\
         router:\n  port: 8080\n  check: 100ms\n  \
         haproxy: {{agent: lb-1, backend: shop, socket: SOCKET, next-backend: shop-next, map: MAP}}\n\
         {router}drain: 5s\nstrategy: {strategy}\n"
    )
}

fn canary(hold: &str) -> String {
    let canary = format!("{{canary: {{steps: [{{weight: 1, hold: {hold}}}]}}}}");
    group(&canary, "  cohorts: [{header: X-Canary, value: \"1\"}]\n")
}

/// Whether the answers are all of this version.
fn only(tally: &Tally, version: &str) -> bool {
    tally.failed.is_empty() && tally.total() > 0 && tally.of(version) == tally.total()
}

#[tokio::test]
async fn a_header_leads_to_the_canary_until_it_ends() {
    let first = group("{rolling: {batch: 2}}", "");
    let world =
        World::start(Options { hosts: 3, balancer: true, group: first, ..Options::default() });
    let world = world.await;
    let end = world.deliver(&Revision::web("v1"), 1).await;
    assert_eq!(end["status"], "succeeded", "{end}");

    world.regroup(&canary("1h")).await;
    let url = world.balancer().url("/version.txt");
    let load = Load::start(&url, 2);
    let cohort = Load::with_header(&url, 2, ("x-canary", "1"));
    world.repository.commit(&Revision::web("v2"), "Sell more");
    world.repository.push();
    let run = world.api.run_number(2).await;
    wait::until("the cohort to be told apart", || async {
        (!world.balancer().map().is_empty()).then_some(())
    })
    .await;
    let with = answers(&url, 60, HEADER).await;
    assert!(only(&with, "v2"), "{with:?}");
    for header in [None, Some(("x-canary", "2"))] {
        // By its weight the canary may get one in a hundred of them.
        let without = answers(&url, 60, header).await;
        assert!(without.failed.is_empty() && without.of("v1") >= 55, "{without:?}");
    }

    let deployment = world.api.newest_deployment(2).await;
    let path = format!("/api/v1/deployments/{deployment}/abort");
    world.api.post(&path, &serde_json::json!({ "reason": "not this" })).await;
    let end = world.api.run_end(&run).await;
    assert_eq!(end["status"], "rolled-back", "{end}");
    assert_eq!(world.balancer().map(), [].into());
    let with = answers(&url, 60, HEADER).await;
    assert!(only(&with, "v1"), "{with:?}");
    assert_eq!(world.versions(), ["v1"; 3]);

    // And one that goes well.
    world.regroup(&canary("1s")).await;
    let end = world.deliver(&Revision::web("v3"), 3).await;
    assert_eq!(end["status"], "succeeded", "{end}");
    assert_eq!(world.balancer().map(), [].into());
    assert_eq!(world.versions(), ["v3"; 3]);
    let (all, cohort) = (load.stop().await, cohort.stop().await);
    assert_eq!((all.failed.as_slice(), cohort.failed.as_slice()), ([].as_slice(), [].as_slice()));
    assert!(cohort.of("v2") > 0 && cohort.of("v3") > 0, "{cohort:?}");
}
