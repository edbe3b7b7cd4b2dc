//! The main story, and ways back.

use serde_json::json;
use system_tests::api::text;
use system_tests::files::Revision;
use system_tests::{Options, World};

#[tokio::test]
async fn a_push_is_built_and_reaches_every_host() {
    let world = World::start(Options::default()).await;
    let commit = world.repository.commit(&Revision::good("v1"), "Open the shop");
    world.repository.push();
    let run = world.api.run_number(1).await;
    let run = world.api.run_end(&run).await;
    assert_eq!(run["status"], "succeeded", "{run}");
    assert!(text(&run, "label").starts_with(&commit[..7]), "{run}");
    assert_eq!(world.versions(), ["v1", "v1"]);
    for host in &world.hosts {
        assert_eq!(host.witness("start").lines().count(), 2, "start ran once: begin and end");
        assert_eq!(host.witness("stop"), "", "nothing was there to stop");
    }
    // A second push of the same commit starts nothing.
    world.repository.push();
    let second = world.repository.commit(&Revision::good("v2"), "Wider doors");
    world.repository.push();
    let run = world.api.run_number(2).await;
    let run = world.api.run_end(&run).await;
    assert!(text(&run, "label").starts_with(&second[..7]), "{run}");
    assert_eq!(world.versions(), ["v2", "v2"]);
    for host in &world.hosts {
        let stop = host.witness("stop");
        assert!(stop.contains("v1 end"), "the stop hook is that of the revision before: {stop}");
    }
}

#[tokio::test]
async fn a_bad_revision_is_rolled_back_while_the_other_host_keeps_serving_the_old_one() {
    let world = World::start(Options::default()).await;
    world.repository.commit(&Revision::good("v1"), "Open the shop");
    world.repository.push();
    let run = world.api.run_number(1).await;
    world.api.run_end(&run).await;
    world.repository.commit(&Revision::bad("v2"), "Break the shop");
    world.repository.push();
    let run = world.api.run_number(2).await;
    let run = world.api.run_end(&run).await;
    assert_eq!(run["status"], "rolled-back", "{run}");
    let cause = text(&run, "cause");
    assert!(cause.contains("host-1") && cause.contains("ValidateService"), "{cause}");
    assert_eq!(world.versions(), ["v1", "v1"]);
    let untouched = world.hosts[1].witness("start");
    assert!(!untouched.contains("v2"), "host-2 never saw the bad revision: {untouched}");
    let back = world.hosts[0].witness("validate");
    let back: Vec<&str> = back.lines().map(|line| line.split_once(' ').unwrap().1).collect();
    assert_eq!(back[..4], ["v1 begin", "v1 end", "v2 begin", "v2 end"][..4], "{back:?}");
    assert_eq!(back[4..], ["v1 begin", "v1 end"], "the old revision was validated again");
}

#[tokio::test]
async fn an_operator_rolls_back_to_an_earlier_revision() {
    let world = World::start(Options::default()).await;
    for (number, version) in ["v1", "v2", "v3"].into_iter().enumerate() {
        world.repository.commit(&Revision::good(version), version);
        world.repository.push();
        let run = world.api.run_number(number + 1).await;
        let run = world.api.run_end(&run).await;
        assert_eq!(run["status"], "succeeded", "{run}");
    }
    let path = "/api/v1/groups/production/rollback";
    let answer = world.api.post(path, &json!({})).await;
    let end = world.api.deployment_end(&text(&answer, "deployment")).await;
    assert_eq!(end["status"], "succeeded", "{end}");
    assert_eq!(world.versions(), ["v2", "v2"]);
    let answer = world.api.post(path, &json!({ "to": "d-1" })).await;
    world.api.deployment_end(&text(&answer, "deployment")).await;
    assert_eq!(world.versions(), ["v1", "v1"]);
    let (status, answer) = world.api.send(path, &json!({ "to": "d-999" })).await;
    assert!(status.is_client_error(), "{status} {answer}");
}
