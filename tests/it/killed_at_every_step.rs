//! Killing the controller or any agent, at every step there is, ends in a state that the invariants
//! allow. Nothing is left to chance: each kill waits for the step it is meant for.

use serde_json::{Value, json};
use std::collections::BTreeSet;
use system_tests::api::text;
use system_tests::balancer::Load;
use system_tests::files::{EVENTS, Revision};
use system_tests::{Options, World, wait};

/// What every hook does: it bears witness, and it stays for ever, once, where the story asked for that.
const EVERY: &str = "echo \"$DEPLOYMENT_ID $PIPEYARD_PURPOSE $LIFECYCLE_EVENT\" >> /witness/events\n\
                     if mv /witness/hold-$LIFECYCLE_EVENT /witness/held 2>/dev/null; then\n  \
                     while :; do sleep 0.05; done\nfi";

fn witnessed(version: &str) -> Revision {
    Revision { every: Some(EVERY.to_owned()), ..Revision::web(version) }
}

/// Long enough in each hook for whoever watches the deployment to see it there.
fn slowly(version: &str) -> Revision {
    Revision { every: Some(format!("{EVERY}\nsleep 0.2")), ..Revision::web(version) }
}

fn group(strategy: &str, more: &str) -> String {
    format!(
        "version: 1\ngroup: production\napplication: shop\nhosts: {{tags: {{role: web}}}}\n\
         router:\n  port: 8080\n  check: 100ms\n  haproxy: {{agent: lb-1, backend: shop, socket: SOCKET}}\n\
         drain: 5s\nstrategy: {strategy}\n{more}\n"
    )
}

async fn world(options: Options) -> World {
    let world = World::start(Options { balancer: true, ..options }).await;
    let end = world.deliver(&witnessed("v1"), 1).await;
    assert_eq!(end["status"], "succeeded", "{end}");
    world
}

/// The events whose scripts began on a host, in their order; no event twice for one purpose, however the
/// deployment went.
fn events(world: &World, host: usize, deployment: &str, purpose: &str) -> Vec<String> {
    let start = format!("{deployment} {purpose} ");
    let text = world.hosts[host].witness("events");
    let events: Vec<String> =
        text.lines().filter_map(|line| line.strip_prefix(&start)).map(str::to_owned).collect();
    let distinct: BTreeSet<&String> = events.iter().collect();
    assert_eq!(distinct.len(), events.len(), "{start}on host-{}: {events:?}", host + 1);
    events
}

fn is_over(deployment: &Value) -> bool {
    !matches!(
        deployment["status"].as_str(),
        Some("queued" | "running" | "failing" | "rolling-back")
    )
}

/// Where every host of a deployment is: `host-1 updating`.
fn stages(deployment: &Value) -> Vec<String> {
    let hosts = deployment["hosts"].as_array().into_iter().flatten();
    hosts.map(|host| format!("{} {}", text(host, "name"), text(host, "state"))).collect()
}

/// The orders of one kind that a deployment waits for, one line for each: what it is, and since when.
fn orders(deployment: &Value, kinds: &[&str]) -> Vec<String> {
    let waiting = deployment["waiting"].as_array().into_iter().flatten();
    let lines = waiting.map(|line| format!("{} {}", text(line, "what"), text(line, "since")));
    lines.filter(|line| kinds.iter().any(|kind| line.contains(kind))).collect()
}

/// The next look at a deployment that shows something else than `seen`, or its end.
async fn moved(world: &World, id: &str, seen: &Value) -> Value {
    world
        .api
        .deployment(id, |now| {
            is_over(now)
                || now["hosts"] != seen["hosts"]
                || now["history"] != seen["history"]
                || now["waiting"] != seen["waiting"]
        })
        .await
}

#[tokio::test]
async fn the_controller_at_every_step_of_a_rolling_deployment() {
    let rolling = group("{rolling: {batch: 1}}", "");
    let mut world = world(Options { hosts: 2, group: rolling, ..Options::default() }).await;
    let load = Load::start(&world.balancer().url("/version.txt"), 4);
    world.repository.commit(&slowly("v2"), "Sell more");
    world.repository.push();
    let run = world.api.run_number(2).await;
    let id = world.api.newest_deployment(2).await;
    let (mut seen, mut killed_at) = (Value::Null, BTreeSet::new());
    let end = loop {
        let now = moved(&world, &id, &seen).await;
        if is_over(&now) {
            break now;
        }
        if seen.is_null() || stages(&now) != stages(&seen) || now["history"] != seen["history"] {
            killed_at.extend(stages(&now));
            world.controller.kill_and_restart().await;
        }
        seen = now;
    };
    assert_eq!(end["status"], "succeeded", "{end}");
    assert_eq!(world.api.run_end(&run).await["status"], "succeeded");
    let tally = load.stop().await;
    assert_eq!(tally.failed, [""; 0], "{end}");
    for (index, host) in world.hosts.iter().enumerate() {
        assert_eq!(events(&world, index, &id, "forward"), EVENTS, "{}", host.name);
        for stage in ["leaving", "draining", "updating", "entering", "settling"] {
            let at = format!("{} {stage}", host.name);
            assert!(killed_at.contains(&at), "it was not killed at {at}: {killed_at:?}");
        }
    }
    assert_eq!(world.versions(), ["v2", "v2"]);
    assert_eq!(world.balancer().serving(), ["host-1", "host-2"]);
}

#[tokio::test]
async fn a_hosts_agent_in_every_hook() {
    let rolling = group("{rolling: {batch: 1}}", "");
    let world = world(Options { hosts: 2, group: rolling, ..Options::default() }).await;
    assert_eq!(world.deliver(&witnessed("v2"), 2).await["status"], "succeeded");
    for event in EVENTS {
        let load = Load::start(&world.balancer().url("/version.txt"), 4);
        let hold = world.directory.path().join(format!("witness/host-1/hold-{event}"));
        std::fs::write(hold, "").unwrap();
        let body = json!({ "revision": "r-1" });
        let answer = world.api.post("/api/v1/groups/production/deployments", &body).await;
        let id = text(&answer, "deployment");
        world.witness(0, "events", &format!("{id} forward {event}")).await;
        world.hosts[0].kill_agent();
        let end = world.api.deployment_end(&id).await;
        // A script that nobody saw end is a failure, said with its name, and taken back. The first one
        // runs before anything is changed.
        let status = if event == EVENTS[0] { "failed" } else { "rolled-back" };
        assert_eq!(end["status"], status, "{event}: {end}");
        let cause = text(&end, "cause");
        assert!(cause.contains("host-1") && cause.contains(event), "{event}: {cause}");
        let begun = events(&world, 0, &id, "forward");
        assert_eq!(begun.last().map(String::as_str), Some(event), "{begun:?}");
        events(&world, 0, &id, "rollback");
        assert_eq!(events(&world, 1, &id, "forward"), [""; 0]);
        assert_eq!(world.versions(), ["v2", "v2"], "{event}");
        assert_eq!(world.balancer().serving(), ["host-1", "host-2"], "{event}");
        let tally = load.stop().await;
        assert_eq!(tally.failed, [""; 0], "{event}");
        // Only in the last event had the host been validated and let in.
        assert_eq!(tally.of("v1") > 0, event == EVENTS[8], "{event}: {tally:?}");
    }
}

#[tokio::test]
async fn a_hosts_agent_while_it_fetches_writes_and_swaps() {
    let many = |version: &str| {
        let build =
            "mkdir -p app/many; for i in $(seq 600); do cp app/version.txt app/many/$i; done";
        Revision { build: build.to_owned(), ..Revision::good(version) }
    };
    let world = World::start(Options { hosts: 1, ..Options::default() }).await;
    assert_eq!(world.deliver(&many("v1"), 1).await["status"], "succeeded");
    let state = "/var/lib/pipeyard-agent";
    for (run, version, moment) in [
        (2, "v2", format!("ls -A {state}/releases/production | grep -q '[.]new$'")),
        (3, "v3", "ls -A /srv/shop/many | grep -q '[.]new$'".to_owned()),
        (
            4,
            "v4",
            format!("[ -e {state}/groups/production/undo.json ] && grep -q v4 /srv/shop/many/*"),
        ),
    ] {
        world.repository.commit(&many(version), version);
        world.repository.push();
        world.hosts[0].kill_agent_when(&moment);
        let run = world.api.run_number(run).await;
        let end = world.api.run_end(&run).await;
        // No script was running: nothing is in doubt, and what was half done is done again.
        assert_eq!(end["status"], "succeeded", "{moment}: {end}");
        let installed =
            world.hosts[0].run("awk 1 /srv/shop/version.txt /srv/shop/many/* | sort | uniq -c");
        let installed = installed.unwrap_or_default();
        let words: Vec<&str> = installed.split_whitespace().collect();
        assert_eq!(words, ["601", version], "half an application");
        let left = world.hosts[0].run("find /srv/shop -name '.pipeyard*'");
        assert_eq!(left.as_deref(), Some(""), "{moment}");
        let starts = world.hosts[0].witness("start");
        assert_eq!(starts.matches(&format!("{version} begin")).count(), 1, "{starts}");
    }
}

/// Kills the balancer's agent at each order it is given.
async fn the_balancers_agent_at_each_order(world: &mut World) {
    let before = (world.balancer().serving(), world.versions());
    let load = Load::start(&world.balancer().url("/version.txt"), 4);
    world.repository.commit(&witnessed("v2"), "Sell more");
    world.repository.push();
    let run = world.api.run_number(2).await;
    let id = world.api.newest_deployment(2).await;
    let (mut seen, mut killed_at) = (Value::Null, BTreeSet::new());
    let end = loop {
        let now = moved(world, &id, &seen).await;
        if is_over(&now) {
            break now;
        }
        let before = killed_at.len();
        killed_at.extend(orders(&now, &["changing the traffic"]));
        if killed_at.len() > before {
            world.balancer.as_mut().expect("a balancer").kill_agent();
        }
        seen = now;
    };
    let tally = load.stop().await;
    assert_eq!(tally.failed, [""; 0], "{end}");
    let told = end["history"].to_string().matches("the router did what it was told").count();
    assert!(told > 0 && killed_at.len() >= told, "{told} orders, killed at {killed_at:#?}");
    world.api.run_end(&run).await;
    // An order is about what is true, not about what was done: given again, it does no harm.
    assert_eq!(end["status"], "succeeded", "{end}");
    assert!(tally.of("v2") > 0);
    assert_ne!((world.balancer().serving(), world.versions()), before);
}

#[tokio::test]
async fn the_balancers_agent_at_each_order_of_a_canary() {
    let canary = group("{canary: {steps: [{weight: 30, hold: 1s}, {weight: 60, hold: 1s}]}}", "");
    let mut world = world(Options { hosts: 3, group: canary, ..Options::default() }).await;
    the_balancers_agent_at_each_order(&mut world).await;
    assert_eq!(world.versions(), ["v2"; 3]);
    assert_eq!(world.balancer().serving(), ["host-1", "host-2", "host-3"]);
}

#[tokio::test]
async fn the_balancers_agent_at_each_order_of_blue_green() {
    let sets = "blue: {tags: {set: blue}}, green: {tags: {set: green}}";
    let group = group(&format!("{{blue-green: {{{sets}, bake: 1s, keep-old: 0s}}}}"), "");
    let mut world = world(Options { hosts: 4, sets: true, group, ..Options::default() }).await;
    the_balancers_agent_at_each_order(&mut world).await;
    assert_eq!(world.balancer().serving().len(), 2);
}

/// The agent that makes and removes hosts dies at each of them.
#[tokio::test]
async fn the_providers_agent_at_each_launch_and_removal() {
    let instances = "instances: {docker: {agent: builder, image: INSTANCE}, count: 2}";
    let group = group("{immutable: {first: 1, bake: 0s, keep-old: 0s}}", instances);
    let group_name = "orphaned".to_owned();
    let mut world = world(Options { hosts: 0, group, group_name, ..Options::default() }).await;
    let first = world.balancer().serving();
    let load = Load::start(&world.balancer().url("/version.txt"), 4);
    world.repository.commit(&witnessed("v2"), "Sell more");
    world.repository.push();
    let id = world.api.newest_deployment(2).await;
    let (mut seen, mut killed_at) = (Value::Null, BTreeSet::new());
    let end = loop {
        let now = moved(&world, &id, &seen).await;
        if is_over(&now) {
            break now;
        }
        let before = killed_at.len();
        killed_at.extend(orders(&now, &["being launched", "being taken away"]));
        if killed_at.len() > before {
            world.builder.kill_and_restart();
        }
        seen = now;
    };
    let tally = load.stop().await;
    assert_eq!(end["status"], "succeeded", "{end}");
    for order in
        ["-1 is being launched", "-2 is being launched", "-1 is being taken", "-2 is being taken"]
    {
        assert!(killed_at.iter().any(|at| at.contains(order)), "{order}: {killed_at:?}");
    }
    assert_eq!(tally.failed, [""; 0], "{end}");
    let second = world.balancer().serving();
    assert!(second.len() == 2 && second.iter().all(|name| !first.contains(name)), "{second:?}");
    wait::until("nothing but the new hosts to be there", || async {
        (world.instances() == second).then_some(())
    })
    .await;
}
