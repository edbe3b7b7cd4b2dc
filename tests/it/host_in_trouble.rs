//! Agents that die or fall silent.

use std::fs;
use system_tests::files::Revision;
use system_tests::{Options, World};

async fn first_revision(world: &World) {
    world.repository.commit(&Revision::good("v1"), "Open the shop");
    world.repository.push();
    let run = world.api.run_number(1).await;
    let end = world.api.run_end(&run).await;
    assert_eq!(end["status"], "succeeded", "{end}");
}

#[tokio::test]
async fn an_agent_killed_in_a_hook_reports_it_interrupted_and_never_runs_it_again() {
    let world = World::start(Options::default()).await;
    first_revision(&world).await;
    let slow = Revision { start: Revision::until("never"), ..Revision::good("v2") };
    world.repository.commit(&slow, "Hang");
    world.repository.push();
    let run = world.api.run_number(2).await;
    world.witness(0, "start", "v2 begin").await;
    world.hosts[0].kill_agent();
    let end = world.api.run_end(&run).await;
    assert_eq!(end["status"], "rolled-back", "{end}");
    let cause = end["cause"].to_string();
    assert!(cause.contains("host-1") && cause.contains("ApplicationStart"), "{cause}");
    assert_eq!(world.versions(), ["v1", "v1"]);
    let begun = world.hosts[0].witness("start");
    assert_eq!(begun.matches("v2 begin").count(), 1, "{begun}");
    assert_eq!(begun.matches("v2 end").count(), 0, "the orphan was ended, not left running");
}

#[tokio::test]
async fn a_silent_host_counts_as_unhealthy_and_the_deployment_does_not_hang() {
    let world = World::start(Options { silence: 3, ..Options::default() }).await;
    first_revision(&world).await;
    let slow = Revision { start: Revision::until("go-start"), ..Revision::good("v2") };
    world.repository.commit(&slow, "Fall silent");
    world.repository.push();
    let run = world.api.run_number(2).await;
    world.witness(0, "start", "v2 begin").await;
    world.hosts[0].freeze();
    let end = world.api.run_end(&run).await;
    assert_eq!(end["status"], "failed", "{end}");
    assert!(end["cause"].to_string().contains("silent"), "{end}");
    let deployment = world.api.newest_deployment(2).await;
    let deployment = world.api.deployment_end(&deployment).await;
    assert_eq!(
        deployment["status"], "rollback-failed",
        "what host-1 runs is not known: {deployment}"
    );
    let next = deployment["next"].to_string();
    assert!(next.contains("Not as they were: host-1."), "{next}");
    assert!(next.contains("'pipectl rollback production'"), "{next}");
    assert!(!world.hosts[1].witness("start").contains("v2"), "nobody else was touched");
    // It comes back, and the next deployment puts it right.
    world.hosts[0].thaw();
    fs::write(world.directory.path().join("witness/host-1/go-start"), "").unwrap();
    wait_until_alive(&world).await;
    world.repository.commit(&Revision::good("v3"), "Mend");
    world.repository.push();
    let run = world.api.run_number(3).await;
    let end = world.api.run_end(&run).await;
    assert_eq!(end["status"], "succeeded", "{end}");
    assert_eq!(world.versions(), ["v3", "v3"]);
}

#[tokio::test]
async fn a_host_that_reboots_in_a_hook_says_so_and_one_that_reboots_in_install_goes_on() {
    let world = World::start(Options::default()).await;
    first_revision(&world).await;
    let slow = Revision { start: Revision::until("never"), ..Revision::good("v2") };
    world.repository.commit(&slow, "Hang");
    world.repository.push();
    let run = world.api.run_number(2).await;
    world.witness(0, "start", "v2 begin").await;
    world.hosts[0].reboot();
    let end = world.api.run_end(&run).await;
    assert_eq!(end["status"], "rolled-back", "{end}");
    let cause = end["cause"].to_string();
    assert!(cause.contains("host-1 failed in ApplicationStart"), "{cause}");
    assert!(cause.contains("it is not run again"), "{cause}");
    assert_eq!(world.versions(), ["v1", "v1"]);
    assert_eq!(world.hosts[0].witness("start").matches("v2 begin").count(), 1);
    // In the middle of Install no script is in doubt: it is undone, done again, and goes on.
    let build = "mkdir app/many; for i in $(seq 300); do echo v3 > app/many/$i; done".to_owned();
    world.repository.commit(&Revision { build, ..Revision::good("v3") }, "Sell more");
    world.repository.push();
    world.hosts[0].stop_agent_when("[ -e /var/lib/pipeyard-agent/groups/production/undo.json ]");
    world.hosts[0].reboot();
    let run = world.api.run_number(3).await;
    let end = world.api.run_end(&run).await;
    assert_eq!(end["status"], "succeeded", "{end}");
    assert_eq!(world.versions(), ["v3", "v3"]);
    assert_eq!(world.hosts[0].run("ls -A /srv/shop/many | wc -l").as_deref(), Some("300"));
    for event in ["stop", "start", "validate"] {
        let begun = world.hosts[0].witness(event);
        let of = if event == "stop" { "v1 begin" } else { "v3 begin" };
        let since = begun.lines().filter(|line| line.starts_with("d-3 ") && line.ends_with(of));
        assert_eq!(since.count(), 1, "{event}: {begun}");
    }
}

/// An upgrade of the agent, say: what runs may come to its end, and what does not is ended and said.
#[tokio::test]
async fn an_agent_whose_service_is_restarted_lets_its_hook_end_or_says_that_it_did_not() {
    let world = World::start(Options { hosts: 1, ..Options::default() }).await;
    first_revision(&world).await;
    let slow = Revision { start: Revision::until("go-start"), ..Revision::good("v2") };
    world.repository.commit(&slow, "Take a while");
    world.repository.push();
    let run = world.api.run_number(2).await;
    world.witness(0, "start", "v2 begin").await;
    world.hosts[0].restart_agent();
    fs::write(world.directory.path().join("witness/host-1/go-start"), "").unwrap();
    let end = world.api.run_end(&run).await;
    assert_eq!(end["status"], "succeeded", "{end}");
    let begun = world.hosts[0].witness("start");
    assert_eq!((begun.matches("v2 begin").count(), begun.matches("v2 end").count()), (1, 1));

    let hangs = Revision { start: Revision::until("never"), ..Revision::good("v3") };
    world.repository.commit(&hangs, "Hang");
    world.repository.push();
    let run = world.api.run_number(3).await;
    world.witness(0, "start", "v3 begin").await;
    world.hosts[0].restart_agent();
    let end = world.api.run_end(&run).await;
    assert_eq!(end["status"], "rolled-back", "{end}");
    let cause = end["cause"].to_string();
    assert!(
        cause.contains("ApplicationStart: the agent was stopped while the task ran"),
        "{cause}"
    );
    assert_eq!(world.versions(), ["v2"]);
    let begun = world.hosts[0].witness("start");
    assert_eq!((begun.matches("v3 begin").count(), begun.matches("v3 end").count()), (1, 0));
    let left = world.hosts[0].run("cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -c 'start[.]sh'");
    assert_eq!(left, None, "the script was ended with it");
}

#[tokio::test]
async fn hosts_that_reboot_after_a_deployment_are_what_they_were() {
    let world = World::start(Options::default()).await;
    first_revision(&world).await;
    for host in &world.hosts {
        host.reboot();
    }
    wait_until_alive(&world).await;
    assert_eq!(world.versions(), ["v1", "v1"]);
    world.repository.commit(&Revision::good("v2"), "Sell more");
    world.repository.push();
    let run = world.api.run_number(2).await;
    let end = world.api.run_end(&run).await;
    assert_eq!(end["status"], "succeeded", "{end}");
    assert_eq!(world.versions(), ["v2", "v2"]);
    for host in &world.hosts {
        let stops = host.witness("stop");
        assert_eq!(
            stops.matches("v1 begin").count(),
            1,
            "the scripts of before are known: {stops}"
        );
    }
}

async fn wait_until_alive(world: &World) {
    system_tests::wait::until("both hosts to be alive", || async {
        let hosts = world.api.get("/api/v1/hosts").await;
        let list = hosts.as_array().or_else(|| hosts["hosts"].as_array())?.clone();
        list.iter().all(|host| host["alive"] == true).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_build_agent_killed_in_a_build_takes_its_container_up_again() {
    let mut world = World::start(Options { hosts: 1, ..Options::default() }).await;
    let build = "for i in $(seq 40); do echo tick $i; sleep 0.1; done".to_owned();
    world.repository.commit(&Revision { build, ..Revision::good("v1") }, "Open the shop");
    world.repository.push();
    let run = world.api.run_number(1).await;
    system_tests::wait::until("the build to be under way", || async {
        log_of_task_1(&world).contains("tick 5").then_some(())
    })
    .await;
    world.builder.kill_and_restart();
    let end = world.api.run_end(&run).await;
    assert_eq!(end["status"], "succeeded", "{end}");
    let log = log_of_task_1(&world);
    let ticks = log.lines().filter(|line| line.contains("tick ") && !line.contains("seq")).count();
    assert_eq!(ticks, 40, "one attempt, a complete log, nothing twice:\n{log}");
}

fn log_of_task_1(world: &World) -> String {
    let path = world.directory.path().join("data/logs/0/1-1.log");
    fs::read_to_string(path).unwrap_or_default()
}
