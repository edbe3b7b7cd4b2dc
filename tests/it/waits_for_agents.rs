//! Agents that have no time, fall silent or were taken out of service: deployments say so, at once.

use reqwest::StatusCode;
use serde_json::{Value, json};
use system_tests::api::text;
use system_tests::files::{PIPELINE, Revision};
use system_tests::{Options, World, wait};

/// Builds, and deploys nothing by itself.
fn building() -> String {
    let (build, _) = PIPELINE.split_once("  - name: release").expect("a stage that deploys");
    build.to_owned()
}

async fn deploy(world: &World, group: &str, run: &str) -> String {
    let path = format!("/api/v1/groups/{group}/deployments");
    let answer = world.api.post(&path, &json!({ "revision": run })).await;
    text(&answer, "deployment")
}

/// What a deployment waits for, once that contains these words.
async fn waits_for(world: &World, id: &str, words: &str) -> Value {
    let says = |d: &Value| d["waiting"].to_string().contains(words);
    world.api.deployment(id, says).await
}

#[tokio::test]
async fn a_host_in_two_groups_works_for_one_at_a_time_and_each_has_its_own_time() {
    let options = Options { hosts: 1, pipeline: building(), ..Options::default() };
    let world = World::start(options).await;
    // Longer than the other group lets a host work.
    let start = format!("{}\nsleep 12", Revision::until("go-start"));
    let end = world.deliver(&Revision { start, ..Revision::good("v1") }, 1).await;
    assert_eq!(end["status"], "succeeded", "{end}");
    let build = "sed -i s,/srv/shop,/srv/other, appspec.yml".to_owned();
    let end = world.deliver(&Revision { build, ..Revision::good("v2") }, 2).await;
    assert_eq!(end["status"], "succeeded", "{end}");
    let second = "version: 1\ngroup: second\napplication: other\nhosts: {tags: {role: web}}\n\
                  strategy: {rolling: {batch: 1}}\ntimeout: 10s\n";
    let (status, answer) = world.api.apply(&[("second.yml", second)]).await;
    assert!(status.is_success(), "{answer}");

    let first = deploy(&world, "production", "r-1").await;
    world.witness(0, "start", "v1 begin").await;
    let other = deploy(&world, "second", "r-2").await;
    let words = format!("host-1, which is busy with deployment {first} of group production");
    let waits = waits_for(&world, &other, &words).await;
    assert!(waits["waiting"][0]["until"].is_null(), "{waits}");
    assert_eq!(waits["hosts"][0]["tasks"][0]["state"], "queued", "{waits}");
    std::fs::write(world.directory.path().join("witness/host-1/go-start"), "").unwrap();
    let end = world.api.deployment_end(&other).await;
    assert_eq!(end["status"], "succeeded", "{end}");
    assert_eq!(world.api.deployment_end(&first).await["status"], "succeeded");
    let task = &end["hosts"][0]["tasks"][0];
    assert!(text(task, "started_at") > text(task, "claimed_at"), "{task}");
    assert_eq!(world.hosts[0].run("cat /srv/other/version.txt").as_deref(), Some("v2"));
}

#[tokio::test]
async fn a_balancers_agent_that_is_drained_or_silent_is_named_before_anything_is_touched() {
    let group = "version: 1\ngroup: production\napplication: shop\nhosts: {tags: {role: web}}\n\
                 router:\n  port: 8080\n  check: 100ms\n  haproxy: {agent: lb-1, backend: shop, socket: SOCKET}\n\
                 drain: 5s\nstrategy: {rolling: {batch: 1}}\n";
    let options = Options {
        hosts: 2,
        balancer: true,
        silence: 3,
        pipeline: building(),
        ..Options::default()
    };
    let mut world = World::start(Options { group: group.to_owned(), ..options }).await;
    let quick = Revision::web("v1");
    let stop = format!("{}\n{}", Revision::until("go-stop"), quick.stop);
    assert_eq!(world.deliver(&Revision { stop, ..quick }, 1).await["status"], "succeeded");
    assert_eq!(world.deliver(&Revision::web("v2"), 2).await["status"], "succeeded");
    let end = world.api.deployment_end(&deploy(&world, "production", "r-1").await).await;
    assert_eq!(end["status"], "succeeded", "{end}");

    world.api.post("/api/v1/agents/lb-1/drain", &json!({})).await;
    let end = world.api.deployment_end(&deploy(&world, "production", "r-1").await).await;
    let cause = text(&end, "cause");
    assert!(end["status"] == "failed" && cause.contains("pipectl agent undrain lb-1"), "{end}");
    world.api.post("/api/v1/agents/lb-1/undrain", &json!({})).await;

    // Silent in the middle: said at once, and waited for.
    let id = deploy(&world, "production", "r-2").await;
    world.witness(0, "stop", "v1 begin").await;
    world.balancer.as_mut().expect("a balancer").stop_agent();
    for host in 1..=2 {
        std::fs::write(world.directory.path().join(format!("witness/host-{host}/go-stop")), "")
            .unwrap();
    }
    waits_for(&world, &id, "changing the traffic of host-1; the agent there is silent").await;

    // Silent before: refused.
    world.balancer.as_mut().expect("a balancer").start_agent();
    let end = world.api.deployment_end(&id).await;
    assert_eq!(end["status"], "succeeded", "{end}");
    world.balancer.as_mut().expect("a balancer").stop_agent();
    silent(&world, "lb-1").await;
    let end = world.api.deployment_end(&deploy(&world, "production", "r-1").await).await;
    let cause = text(&end, "cause");
    assert!(end["status"] == "failed" && cause.contains("lb-1"), "{end}");
    assert!(cause.contains("is silent; nothing was touched"), "{cause}");
}

#[tokio::test]
async fn a_providers_agent_that_is_drained_or_silent_is_named_before_anything_is_touched() {
    let group = "version: 1\ngroup: production\napplication: shop\nhosts: {tags: {role: web}}\n\
                 strategy: {immutable: {first: 1, bake: 0s, keep-old: 0s}}\n\
                 instances: {docker: {agent: builder, image: INSTANCE}, count: 1}\n\
                 router:\n  port: 8080\n  check: 100ms\n  haproxy: {agent: lb-1, backend: shop, socket: SOCKET}\n\
                 drain: 5s\n";
    let options = Options {
        hosts: 0,
        balancer: true,
        silence: 3,
        pipeline: building(),
        ..Options::default()
    };
    let group_name = "unprovided".to_owned();
    let mut world = World::start(Options { group: group.to_owned(), group_name, ..options }).await;
    assert_eq!(world.deliver(&Revision::web("v1"), 1).await["status"], "succeeded");
    world.api.post("/api/v1/agents/builder/drain", &json!({})).await;
    let drained = "the agent builder, which `instances` names, is drained";
    let end = world.api.deployment_end(&deploy(&world, "unprovided", "r-1").await).await;
    assert!(end["status"] == "failed" && text(&end, "cause").contains(drained), "{end}");
    let plan = json!({ "revision": "r-1" });
    let (status, plan) = world.api.send("/api/v1/groups/unprovided/plan", &plan).await;
    assert_eq!(status, StatusCode::OK, "{plan}");
    assert!(text(&plan, "refused").contains(drained), "{plan}");
    world.api.post("/api/v1/agents/builder/undrain", &json!({})).await;
    world.builder.kill();
    silent(&world, "builder").await;
    let end = world.api.deployment_end(&deploy(&world, "unprovided", "r-1").await).await;
    let silent = "the agent builder, which `instances` names, is silent; nothing was touched";
    assert!(end["status"] == "failed" && text(&end, "cause").contains(silent), "{end}");
    world.builder.restart();
    let id = wait::until("the provider to be heard again", || async {
        let id = deploy(&world, "unprovided", "r-1").await;
        let end = world.api.deployment_end(&id).await;
        (end["status"] == "succeeded").then_some(id)
    })
    .await;
    assert_eq!(world.balancer().serving().len(), 1, "{id}");
}

async fn silent(world: &World, name: &str) {
    wait::until(&format!("{name} to count as silent"), || async {
        let agents = world.api.get("/api/v1/agents").await;
        let list = agents.as_array().or_else(|| agents["agents"].as_array())?.clone();
        list.iter().any(|agent| agent["name"] == name && agent["alive"] == false).then_some(())
    })
    .await;
}
