//! Mistakes are answered with file, line and remedy, and nothing is half-done.

use reqwest::StatusCode;
use system_tests::files::{GROUP, PIPELINE, Revision};
use system_tests::{Options, World};

#[tokio::test]
async fn a_spec_error_is_refused_at_apply_with_its_place_and_registers_nothing() {
    let world = World::start(Options { hosts: 0, ..Options::default() }).await;
    let good_group = GROUP.replace("production", "staging");
    let bad_pipeline =
        PIPELINE.replace("name: shop", "name: second").replace("inputs", "input").replace(
            "deploy: {group: production, artifact: bundle}",
            "deplyo: {group: staging, artifact: bundle}",
        );
    let files = [("group.yml", good_group.as_str()), ("pipeline.yml", bad_pipeline.as_str())];
    let (status, answer) = world.api.apply(&files).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{answer}");
    let said = answer.to_string();
    assert!(said.contains("pipeline.yml") && said.contains("\"line\":15"), "{said}");
    assert!(said.contains("deploy"), "the nearest key is offered: {said}");
    let groups = world.api.get("/api/v1/groups").await.to_string();
    assert!(!groups.contains("staging"), "nothing half-registered: {groups}");
    let pipelines = world.api.get("/api/v1/pipelines").await.to_string();
    assert!(!pipelines.contains("second"), "{pipelines}");
}

#[tokio::test]
async fn a_broken_buildspec_fails_before_any_agent_is_taken() {
    let world = World::start(Options { hosts: 0, ..Options::default() }).await;
    let buildspec =
        "version: 0.2\nphases:\n  build:\n    commands:\n      - echo a: b\n".to_owned();
    let broken = Revision { buildspec: Some(buildspec), ..Revision::good("v1") };
    world.repository.commit(&broken, "Break the buildspec");
    world.repository.push();
    let run = world.api.run_number(1).await;
    let end = world.api.run_end(&run).await;
    assert_eq!(end["status"], "failed", "{end}");
    let cause = end["cause"].to_string();
    assert!(cause.contains("buildspec.yml:5:"), "file and line: {cause}");
    let logs = std::fs::read_dir(world.directory.path().join("data/logs")).unwrap().count();
    assert_eq!(logs, 0, "no agent had anything to log");
}

#[tokio::test]
async fn strangers_can_neither_push_nor_fetch() {
    let world = World::start(Options { hosts: 0, ..Options::default() }).await;
    world.repository.commit(&Revision::good("v1"), "Open the shop");
    let mut stranger =
        world.repository.with_remote(|remote| remote.replace(&world.api.token, "not-a-token"));
    let output = stranger.output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("Authentication failed") || said.contains("401"), "{said}");
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for path in [
        "shop.git/info/refs?service=git-upload-pack",
        "..%2f..%2fetc/info/refs?service=git-upload-pack",
    ] {
        let url = format!("{}/git/{path}", world.controller.url());
        let status = client.get(url).send().await.unwrap().status();
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{path}");
    }
}
