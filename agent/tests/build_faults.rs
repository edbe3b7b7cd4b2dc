//! The build engine against a real Docker engine: stops, crashes, limits and floods.

mod build_support;

use agent::build::docker::{Engine, State};
use agent::build::local::surroundings;
use agent::context::Reason;
use build_support::{Builder, Ran, run_within, wait_for};
use pipelines::protocol::report::{ErrorCode, Outcome, StepStatus};
use std::time::{Duration, Instant};

#[tokio::test]
async fn a_cancelled_build_stops_cleans_up_and_is_cancelled() {
    let builder = Builder::new(
        "phases:
  build:
    commands: ['echo started; sleep 300', echo never]
    finally: [echo cleaned up]
  post_build: {commands: [echo never]}
",
    );
    let (job, around) = builder.ready();
    let started = Instant::now();
    let stop = async {
        wait_for(&around, "started\n").await;
        around.ctx.cancel.cancel(Reason::Controller);
    };
    let (outcome, ()) = tokio::join!(run_within(&job, &around, false), stop);
    let ran = Ran::of(&builder.settings, outcome, &around).await;
    assert!(matches!(ran.outcome, Outcome::Cancelled { .. }), "{:?}", ran.outcome);
    // The command's shell may have a last word of its own.
    let output = ran.output().replace("Terminated\n", "");
    assert_eq!(output, "started\ncleaned up\n", "{}", ran.log);
    assert!(started.elapsed() < Duration::from_secs(8), "a build that takes hints stops at once");
}

#[tokio::test]
async fn a_build_that_takes_no_hint_is_killed_within_its_grace() {
    let mut builder = Builder::new(
        "phases:
  build: {commands: [\"trap '' TERM; echo started; while :; do sleep 1; done\"]}
",
    );
    builder.settings.build.grace = Duration::from_secs(3);
    let (job, around) = builder.ready();
    let stop = async {
        wait_for(&around, "started\n").await;
        around.ctx.cancel.cancel(Reason::TimedOut);
        Instant::now()
    };
    let (outcome, told) = tokio::join!(run_within(&job, &around, false), stop);
    assert!(told.elapsed() < Duration::from_secs(8), "{:?}", told.elapsed());
    let ran = Ran::of(&builder.settings, outcome, &around).await;
    assert_eq!(ran.code(), ErrorCode::TimedOut);
    assert_eq!(ran.step("BUILD").status, StepStatus::Failed);
}

#[tokio::test]
async fn a_build_goes_on_while_its_agent_is_dead_and_the_log_has_every_byte_once() {
    let builder = Builder::new(
        "env: {exported-variables: [V]}
phases:
  build: {commands: ['for i in 1 2 3 4 5 6 7 8; do echo line $i; sleep 0.25; done; export V=9']}
artifacts: {files: [input.txt]}
",
    )
    .file("input.txt", "x");
    let (job, around) = builder.ready();
    // The agent dies in the middle: its future is dropped wherever it is.
    tokio::select! {
        outcome = run_within(&job, &around, false) => panic!("too early: {outcome:?}"),
        () = wait_for(&around, "line 3\n") => {}
    }
    drop(around);
    let again = surroundings(builder.dir.path(), job.key, builder.settings.clone()).unwrap();
    let outcome = run_within(&job, &again, true).await;
    let ran = Ran::of(&builder.settings, outcome, &again).await;
    assert_eq!(ran.succeeded()["V"], "9");
    let expected: String = (1..=8).map(|i| format!("line {i}\n")).collect();
    assert_eq!(ran.output(), expected, "{}", ran.log);
    let took = ran.step("BUILD").took.unwrap().0;
    assert!((1900..6000).contains(&took), "Docker's times count, not the agent's: {took}");
    // Told once more, it remembers.
    let outcome = run_within(&job, &again, true).await;
    assert_eq!(outcome, ran.outcome);
}

#[tokio::test]
async fn a_build_is_waited_for_while_docker_is_away_and_still_takes_a_hint() {
    let builder = Builder::new("phases: {build: {commands: [echo started; sleep 1; echo over]}}\n");
    let (job, around) = builder.ready();
    tokio::select! {
        outcome = run_within(&job, &around, false) => panic!("too early: {outcome:?}"),
        () = wait_for(&around, "started\n") => {}
    }
    drop(around);
    // The next life finds no Docker at first.
    let socket = builder.dir.path().join("docker.sock");
    let mut settings = builder.settings.clone();
    settings.docker_host = Some(format!("unix://{}", socket.display()));
    let again = surroundings(builder.dir.path(), job.key, settings.clone()).unwrap();
    let back = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        std::os::unix::fs::symlink("/var/run/docker.sock", &socket).unwrap();
    };
    let (outcome, ()) = tokio::join!(run_within(&job, &again, true), back);
    let ran = Ran::of(&builder.settings, outcome, &again).await;
    ran.succeeded();
    assert_eq!(ran.output(), "started\nover\n", "{}", ran.log);

    let never = builder.dir.path().join("never.sock");
    settings.docker_host = Some(format!("unix://{}", never.display()));
    let again = surroundings(builder.dir.path(), job.key, settings).unwrap();
    again.ctx.cancel.cancel(Reason::Controller);
    let outcome = run_within(&job, &again, true).await;
    assert!(matches!(outcome, Outcome::Cancelled { .. }), "{outcome:?}");
}

#[tokio::test]
async fn a_container_that_vanished_while_the_agent_was_away_is_an_interrupted_build() {
    let builder = Builder::new("phases: {build: {commands: [echo started; sleep 300]}}\n");
    let (job, around) = builder.ready();
    tokio::select! {
        outcome = run_within(&job, &around, false) => panic!("too early: {outcome:?}"),
        () = wait_for(&around, "started\n") => {}
    }
    assert_eq!(
        agent::build::sweep(&builder.settings, || Ok(vec![job.key])).await.unwrap(),
        0,
        "held"
    );
    assert_eq!(agent::build::sweep(&builder.settings, || Ok(Vec::new())).await.unwrap(), 1);
    let outcome = run_within(&job, &around, true).await;
    let ran = Ran::of(&builder.settings, outcome, &around).await;
    assert_eq!(ran.code(), ErrorCode::Interrupted);
}

#[tokio::test]
async fn a_build_out_of_memory_says_so() {
    let mut builder =
        Builder::new("phases: {build: {commands: ['head -c 300m /dev/zero | tail']}}\n");
    builder.settings.build.memory_bytes_max = Some(64 << 20);
    let ran = builder.run().await;
    assert_eq!(ran.code(), ErrorCode::OutOfMemory, "{:?}\n{}", ran.outcome, ran.log);
}

#[tokio::test]
async fn an_image_nobody_has_is_named_with_the_engines_words() {
    let mut builder = Builder::new("phases: {build: {commands: [x]}}\n");
    builder.build.image = "registry.invalid/no/such:image".into();
    let ran = builder.run().await;
    assert_eq!(ran.code(), ErrorCode::ImageUnavailable);
    let step = ran.step("PROVISIONING");
    assert!(step.message.as_ref().unwrap().contains("registry.invalid"), "{step:?}");
}

#[tokio::test]
async fn long_lines_binary_and_floods_pass_and_are_bounded() {
    let mut builder = Builder::new(
        "phases:
  build:
    commands:
      - 'printf \"a\\000b\\377c\\n\"'
      - 'head -c 3000000 /dev/zero | tr \"\\000\" x'
      - echo end
",
    );
    builder.settings.build.log_bytes_max = 1_000_000;
    let (job, around) = builder.ready();
    let outcome = run_within(&job, &around, false).await;
    let raw = around.log.read(0, 8 << 20).unwrap();
    let ran = Ran::of(&builder.settings, outcome, &around).await;
    ran.succeeded();
    assert!(raw.windows(5).any(|w| w == b"a\x00b\xffc"), "binary is untouched");
    // Six bytes came before, and the command itself is shown.
    assert_eq!(raw.iter().filter(|b| **b == b'x').count(), 1_000_000 - 6 + 1);
    assert_eq!(ran.log.matches("the log is full").count(), 1);
    assert!(ran.log.contains("Running command echo end"));
}

#[tokio::test]
async fn a_container_that_never_started_is_made_anew_but_one_that_runs_is_left_alone() {
    let builder = Builder::new("phases: {build: {commands: [echo started; sleep 2]}}\n");
    let (job, around) = builder.ready();
    tokio::select! {
        outcome = run_within(&job, &around, false) => panic!("too early: {outcome:?}"),
        () = wait_for(&around, "started\n") => {}
    }
    let engine = Engine::at(None).await.unwrap();
    let name = engine.of_agent(&builder.settings.agent_name).await.unwrap().pop().unwrap();
    assert!(!engine.remove_unstarted(&name).await.unwrap(), "it runs");
    assert_eq!(engine.state(&name).await.unwrap(), Some(State::Running));
    engine.remove(&name).await.unwrap();
    // As if the agent had died between its note and the start.
    let image = builder.build.image.as_str();
    let docker = |args: &[&str]| std::process::Command::new("docker").args(args).output().unwrap();
    let made = docker(&["create", "--name", &name, image, "true"]);
    assert!(made.status.success(), "{made:?}");
    let outcome = run_within(&job, &around, true).await;
    let ran = Ran::of(&builder.settings, outcome, &around).await;
    ran.succeeded();
    assert_eq!(ran.output(), "started\nstarted\n", "{}", ran.log);
}
