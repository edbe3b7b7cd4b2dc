//! The controller is killed without warning, in every phase; started again, it carries on. The hooks
//! themselves are the witnesses that nothing ran twice.

use std::fs;
use system_tests::files::Revision;
use system_tests::{Options, World, wait};

/// A build of some seconds that prints what can be counted.
fn slow_build(version: &str) -> Revision {
    Revision {
        build: "for i in $(seq 60); do echo tick $i; sleep 0.1; done".to_owned(),
        ..Revision::good(version)
    }
}

/// Every hook ran exactly once on every host.
fn ran_once(world: &World, version: &str) {
    for host in &world.hosts {
        for file in ["start", "validate"] {
            let text = host.witness(file);
            let of = |word: &str| {
                text.lines().filter(|line| line.ends_with(&format!("{version} {word}"))).count()
            };
            assert_eq!((of("begin"), of("end")), (1, 1), "{} on {}: {text}", file, host.name);
        }
    }
}

#[tokio::test]
async fn killed_while_a_push_arrives_a_build_runs_and_its_artifact_is_deployed() {
    let mut world = World::start(Options::default()).await;
    world.repository.commit(&slow_build("v1"), "Open the shop");
    world.repository.push();
    // At once after the push was answered.
    world.controller.kill_and_restart().await;
    let run = world.api.run_number(1).await;
    // While the build is queued or starts, then while it runs.
    for marker in ["building v1", "tick 20"] {
        wait_for_log(&world, marker).await;
        world.controller.kill_and_restart().await;
    }
    let end = world.api.run_end(&run).await;
    assert_eq!(end["status"], "succeeded", "{end}");
    let log = logs(&world);
    let ticks = log.lines().filter(|line| line.contains("tick ") && !line.contains("seq")).count();
    assert_eq!(ticks, 60, "the log is complete and nothing is in it twice:\n{log}");
    assert_eq!(world.versions(), ["v1", "v1"]);
    ran_once(&world, "v1");
}

#[tokio::test]
async fn killed_in_every_hook_of_a_deployment() {
    let mut world = World::start(Options::default()).await;
    let slow = Revision {
        start: Revision::until("go-start"),
        validate: Revision::until("go-validate"),
        ..Revision::good("v1")
    };
    world.repository.commit(&slow, "Open the shop");
    world.repository.push();
    let run = world.api.run_number(1).await;
    for host in 0..2 {
        for hook in ["start", "validate"] {
            world.witness(host, hook, "v1 begin").await;
            world.controller.kill();
            // The hook ends while nobody listens.
            let go = world.directory.path().join(format!("witness/host-{}/go-{hook}", host + 1));
            fs::write(go, "").unwrap();
            world.witness(host, hook, "v1 end").await;
            world.controller.start().await;
        }
    }
    let end = world.api.run_end(&run).await;
    assert_eq!(end["status"], "succeeded", "{end}");
    assert_eq!(world.versions(), ["v1", "v1"]);
    ran_once(&world, "v1");
}

#[tokio::test]
async fn killed_while_work_waits_for_an_agent_that_comes_later() {
    let mut world = World::start(Options { hosts: 1, ..Options::default() }).await;
    world.builder.kill();
    world.repository.commit(&Revision::good("v1"), "Open the shop");
    world.repository.push();
    let run = world.api.run_number(1).await;
    wait::until("the build to be queued", || async {
        let run = world.api.get(&format!("/api/v1/runs/{run}")).await;
        run["waiting"].to_string().contains("compile waits").then_some(())
    })
    .await;
    // The task is older than the controller that hands it out.
    world.controller.kill_and_restart().await;
    world.builder.restart();
    let end = world.api.run_end(&run).await;
    assert_eq!(end["status"], "succeeded", "{end}");
    ran_once(&world, "v1");
}

#[tokio::test]
async fn killed_again_and_again_at_whatever_moment() {
    let mut world = World::start(Options::default()).await;
    world.repository.commit(&slow_build("v1"), "Open the shop");
    world.repository.push();
    let run = world.api.run_number(1).await;
    // Each life is as short as it can be: every step falls into some restart, in some order.
    for _ in 0..8 {
        world.controller.kill_and_restart().await;
    }
    let end = world.api.run_end(&run).await;
    assert_eq!(end["status"], "succeeded", "{end}");
    assert_eq!(world.versions(), ["v1", "v1"]);
    ran_once(&world, "v1");
}

#[tokio::test]
async fn killed_while_a_rollback_runs() {
    let mut world = World::start(Options::default()).await;
    let old = Revision { stop: Revision::until("go-stop"), ..Revision::good("v1") };
    fs::create_dir_all(world.directory.path().join("witness/host-1")).unwrap();
    fs::write(world.directory.path().join("witness/host-1/go-stop"), "").unwrap();
    world.repository.commit(&old, "Open the shop");
    world.repository.push();
    let run = world.api.run_number(1).await;
    world.api.run_end(&run).await;
    let bad = Revision {
        validate: format!("{}\nfalse", Revision::until("go-bad")),
        ..Revision::good("v2")
    };
    world.repository.commit(&bad, "Break the shop");
    world.repository.push();
    let run = world.api.run_number(2).await;
    world.witness(0, "validate", "v2 begin").await;
    fs::write(world.directory.path().join("witness/host-1/go-bad"), "").unwrap();
    world.witness(0, "validate", "v2 end").await;
    world.controller.kill_and_restart().await;
    let end = world.api.run_end(&run).await;
    assert_eq!(end["status"], "rolled-back", "{end}");
    assert_eq!(world.versions(), ["v1", "v1"]);
    assert!(!world.hosts[1].witness("start").contains("v2"));
}

#[tokio::test]
async fn postgres_is_restarted_in_mid_run() {
    let world = World::start(Options { own_postgres: true, ..Options::default() }).await;
    let slow = Revision { start: Revision::until("go-start"), ..slow_build("v1") };
    world.repository.commit(&slow, "Open the shop");
    world.repository.push();
    let run = world.api.run_number(1).await;
    let postgres = world.postgres.as_ref().unwrap();
    wait_for_log(&world, "tick 10").await;
    postgres.crash_and_restart();
    for host in 0..2 {
        world.witness(host, "start", "v1 begin").await;
        postgres.crash_and_restart();
        let go = world.directory.path().join(format!("witness/host-{}/go-start", host + 1));
        fs::write(go, "").unwrap();
    }
    let end = world.api.run_end(&run).await;
    assert_eq!(end["status"], "succeeded", "{end}");
    ran_once(&world, "v1");
}

/// All logs of the installation, as stored.
fn logs(world: &World) -> String {
    let directory = world.directory.path().join("data/logs");
    let shards = fs::read_dir(directory).into_iter().flatten().flatten();
    let files = shards.flat_map(|shard| fs::read_dir(shard.path()).into_iter().flatten().flatten());
    files.map(|file| fs::read_to_string(file.path()).unwrap_or_default()).collect()
}

async fn wait_for_log(world: &World, text: &str) {
    wait::until(&format!("'{text}' in a log"), || async {
        logs(world).lines().any(|line| line.ends_with(text)).then_some(())
    })
    .await;
}
