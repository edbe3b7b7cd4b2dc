//! Every strategy on real agents behind a real HAProxy, under requests that may not fail.

use system_tests::balancer::Load;
use system_tests::files::Revision;
use system_tests::{Options, World};

fn group(strategy: &str, more: &str) -> String {
    format!(
        "version: 1\ngroup: production\napplication: shop\nhosts: {{tags: {{role: web}}}}\n\
         router:\n  port: 8080\n  check: 100ms\n  haproxy: {{agent: lb-1, backend: shop, socket: SOCKET}}\n\
         drain: 5s\nstrategy: {strategy}\n{more}\n"
    )
}

async fn world(hosts: usize, group: String) -> World {
    named("production", hosts, group).await
}

async fn named(name: &str, hosts: usize, group: String) -> World {
    let group_name = name.to_owned();
    let options = Options { hosts, balancer: true, group, group_name, ..Options::default() };
    let world = World::start(options).await;
    let end = world.deliver(&Revision::web("v1"), 1).await;
    assert_eq!(end["status"], "succeeded", "{end}");
    world
}

/// Deliveries under load: every request is answered, whatever happens.
async fn under_load(world: &World, revision: &Revision, run: usize) -> (String, u32) {
    let load = Load::start(&world.balancer().url("/version.txt"), 4);
    let end = world.deliver(revision, run).await;
    let tally = load.stop().await;
    assert_eq!(tally.failed, [""; 0], "{end}");
    assert!(tally.total() > 50, "{tally:?}");
    (end["status"].as_str().unwrap_or_default().to_owned(), tally.of(&revision.version))
}

#[tokio::test]
async fn rolling_takes_every_host_out_and_in_and_loses_no_request() {
    let world = world(3, group("{rolling: {batch: 1}}", "")).await;
    assert_eq!(world.balancer().serving(), ["host-1", "host-2", "host-3"]);
    let (status, _) = under_load(&world, &Revision::web("v2"), 2).await;
    assert_eq!(status, "succeeded");
    assert_eq!(world.versions(), ["v2", "v2", "v2"]);
    // Its history tells of a balancer that did all it was told.
    let id = world.api.newest_deployment(2).await;
    let told = world.api.get(&format!("/api/v1/deployments/{id}")).await.to_string();
    assert!(told.contains("the router did what it was told") && !told.contains("finds"), "{told}");
    assert_eq!(world.balancer().serving(), ["host-1", "host-2", "host-3"]);
}

#[tokio::test]
async fn a_bad_revision_gets_no_request_and_the_host_comes_back() {
    let world = world(2, group("{rolling: {batch: 1}}", "")).await;
    let bad = Revision { validate: "exit 1".to_owned(), ..Revision::web("v2") };
    let (status, answers) = under_load(&world, &bad, 2).await;
    assert_eq!(status, "rolled-back");
    assert_eq!(answers, 0, "a host that was not validated was reached");
    assert_eq!(world.versions(), ["v1", "v1"]);
    assert_eq!(world.balancer().serving(), ["host-1", "host-2"]);
}

#[tokio::test]
async fn a_canary_gets_its_share_and_then_everything() {
    let canary = "{canary: {steps: [{weight: 25, hold: 2s}]}}";
    let world = world(4, group(canary, "")).await;
    let (status, answers) = under_load(&world, &Revision::web("v2"), 2).await;
    assert_eq!(status, "succeeded");
    assert!(answers > 0);
    assert_eq!(world.versions(), ["v2"; 4]);
    let weights: Vec<u32> =
        world.balancer().servers().into_values().map(|(_, weight)| weight).collect();
    assert!(weights.windows(2).all(|pair| pair[0] == pair[1]), "{weights:?}");
}

#[tokio::test]
async fn linear_grows_to_everything() {
    let world = world(2, group("{linear: {step: 40, every: 1s}}", "")).await;
    let (status, _) = under_load(&world, &Revision::web("v2"), 2).await;
    assert_eq!(status, "succeeded");
    assert_eq!(world.versions(), ["v2", "v2"]);
}

#[tokio::test]
async fn all_at_once_may_empty_the_backend() {
    let world = world(2, group("{all-at-once: {}}", "")).await;
    let end = world.deliver(&Revision::web("v2"), 2).await;
    assert_eq!(end["status"], "succeeded", "{end}");
    assert_eq!(world.balancer().serving(), ["host-1", "host-2"]);
    assert_eq!(world.versions(), ["v2", "v2"]);
}

const INSTANCES: &str = "instances: {docker: {agent: builder, image: INSTANCE}, count: 2}";

#[tokio::test]
async fn immutable_replaces_every_host() {
    let group = group("{immutable: {first: 1, bake: 0s, keep-old: 0s}}", INSTANCES);
    let world = named("replaced", 0, group).await;
    let first = world.balancer().serving();
    assert_eq!(first.len(), 2, "{first:?}");
    let (status, _) = under_load(&world, &Revision::web("v2"), 2).await;
    assert_eq!(status, "succeeded");
    let second = world.balancer().serving();
    assert!(second.len() == 2 && second.iter().all(|name| !first.contains(name)), "{second:?}");
    assert_eq!(world.instances(), second, "the old ones are gone");
}

#[tokio::test]
async fn a_new_set_that_fails_is_taken_away_and_nobody_notices() {
    let group = group("{immutable: {first: 1, bake: 0s, keep-old: 0s}}", INSTANCES);
    let world = named("undone", 0, group).await;
    let before = world.balancer().serving();
    let bad = Revision { validate: "exit 1".to_owned(), ..Revision::web("v2") };
    let (status, answers) = under_load(&world, &bad, 2).await;
    assert_eq!((status.as_str(), answers), ("rolled-back", 0));
    assert_eq!(world.balancer().serving(), before);
    assert_eq!(world.instances(), before);
}

#[tokio::test]
async fn blue_green_on_new_hosts_switches_at_once() {
    let world =
        named("switched", 0, group("{blue-green: {bake: 0s, keep-old: 0s}}", INSTANCES)).await;
    let blue = world.balancer().serving();
    let (status, _) = under_load(&world, &Revision::web("v2"), 2).await;
    assert_eq!(status, "succeeded");
    let green = world.balancer().serving();
    assert!(green.len() == 2 && green.iter().all(|name| !blue.contains(name)), "{green:?}");
}

#[tokio::test]
async fn extra_hosts_stand_in_while_the_others_are_updated() {
    let rolling = group(
        "{rolling-extra: {batch: 1, extra: 1, bake: 0s}}",
        "min-healthy: 2\ninstances: {docker: {agent: builder, image: INSTANCE}}",
    );
    let world = named("extra", 2, rolling).await;
    let (status, _) = under_load(&world, &Revision::web("v2"), 2).await;
    assert_eq!(status, "succeeded");
    assert_eq!(world.balancer().serving(), ["host-1", "host-2"]);
    assert_eq!(world.instances(), [""; 0]);
}

#[tokio::test]
async fn blue_green_on_two_sets_switches_there_and_back() {
    let sets = group(
        "{blue-green: {blue: {tags: {set: blue}}, green: {tags: {set: green}}, bake: 0s, keep-old: 0s}}",
        "",
    );
    let world = World::start(Options {
        hosts: 2,
        balancer: true,
        group: sets,
        sets: true,
        ..Options::default()
    })
    .await;
    for (run, (version, live)) in
        [("v1", "host-2"), ("v2", "host-1"), ("v3", "host-2")].into_iter().enumerate()
    {
        let end = world.deliver(&Revision::web(version), run + 1).await;
        assert_eq!(end["status"], "succeeded", "{end}");
        assert_eq!(world.balancer().serving(), [live], "{version}");
    }
    // Back to what the idle set still runs: a switch, and no installation.
    let load = Load::start(&world.balancer().url("/version.txt"), 4);
    let body = serde_json::json!({});
    let answer = world.api.post("/api/v1/groups/production/rollback", &body).await;
    let id = system_tests::api::text(&answer, "deployment");
    let end = world.api.deployment_end(&id).await;
    assert_eq!(end["status"], "succeeded", "{end}");
    assert_eq!(load.stop().await.failed, [""; 0]);
    assert_eq!(world.balancer().serving(), ["host-1"]);
    assert_eq!(world.versions(), ["v2", "v3"]);
}

/// A canary of two steps that everybody who takes part is killed in, again and again: it comes to an
/// end, no request is lost, and all hosts agree.
#[tokio::test]
async fn whoever_dies_in_a_canary_comes_back_and_no_request_is_lost() {
    let canary = "{canary: {steps: [{weight: 30, hold: 1s}, {weight: 60, hold: 1s}]}}";
    let mut world = world(3, group(canary, "")).await;
    let load = Load::start(&world.balancer().url("/version.txt"), 4);
    world.repository.commit(&Revision::web("v2"), "Sell more");
    world.repository.push();
    let run = world.api.run_number(2).await;
    // At the moments that come, not at chosen ones: each kill waits for the world to have moved.
    let mut seen = String::new();
    for round in 0..6 {
        let path = "/api/v1/deployments?limit=1";
        let moved = system_tests::wait::until("the deployment to move", || async {
            let deployments = world.api.get(path).await;
            let run = world.api.get(&format!("/api/v1/runs/{run}")).await;
            let now = format!("{deployments}");
            (now != seen || run["status"] != "running").then_some((now, run))
        });
        let (now, state) = moved.await;
        if state["status"] != "running" {
            break;
        }
        seen = now;
        match round % 3 {
            0 => world.controller.kill_and_restart().await,
            1 => world.balancer.as_mut().expect("a balancer").kill_agent(),
            _ => world.hosts[round % 3].kill_agent(),
        }
    }
    let end = world.api.run_end(&run).await;
    let tally = load.stop().await;
    assert_eq!(tally.failed, [""; 0], "{end}");
    // A hook that was cut off is a failure, and the deployment takes itself back; both are fine ends.
    let version = match end["status"].as_str() {
        Some("succeeded") => "v2",
        Some("rolled-back") => "v1",
        _ => panic!("{end}"),
    };
    assert_eq!(world.versions(), [version; 3], "{end}");
    assert_eq!(world.balancer().serving(), ["host-1", "host-2", "host-3"]);
}

/// A host that stands by may have died unnoticed; the way back must not fail because of it.
#[tokio::test]
async fn one_dead_host_does_not_keep_the_others_from_coming_back() {
    let sets = |bake: &str| {
        let sets = "blue: {tags: {set: blue}}, green: {tags: {set: green}}";
        group(&format!("{{blue-green: {{{sets}, bake: {bake}, keep-old: 0s}}}}"), "")
    };
    let options =
        Options { hosts: 4, balancer: true, group: sets("0s"), sets: true, ..Options::default() };
    let world = World::start(options).await;
    let end = world.deliver(&Revision::web("v1"), 1).await;
    assert_eq!(end["status"], "succeeded", "{end}");
    assert_eq!(world.balancer().serving(), ["host-2", "host-4"]);
    world.regroup(&sets("1h")).await;
    world.repository.commit(&Revision::web("v2"), "Sell more");
    world.repository.push();
    let run = world.api.run_number(2).await;
    system_tests::wait::until("the switch to the other set", || async {
        (world.balancer().serving() == ["host-1", "host-3"]).then_some(())
    })
    .await;
    let stop = "start-stop-daemon --stop --retry 5 --pidfile /run/shop.pid";
    world.hosts[1].run(stop).expect("stopping the shop on host-2");
    let deployment = world.api.newest_deployment(2).await;
    let path = format!("/api/v1/deployments/{deployment}/abort");
    world.api.post(&path, &serde_json::json!({ "reason": "not this" })).await;
    let end = world.api.run_end(&run).await;
    assert_eq!(world.balancer().serving(), ["host-4"], "{end}");
    let deployment = world.api.deployment_end(&deployment).await;
    assert_eq!(deployment["status"], "rollback-failed", "{deployment}");
    assert!(deployment.to_string().contains("own check finds it bad"), "{deployment}");
    assert!(deployment.to_string().contains("but finds host-2 bad"), "{deployment}");
}
