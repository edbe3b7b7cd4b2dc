//! A deployment whose agent, or whose host, went away under it: what was begun is reported, finished
//! or undone, and no script runs a second time.

mod support;

use agent::context::Cancel;
use pipelines::protocol::report::{ErrorCode, Outcome, StepStatus};
use pipelines::protocol::task::Deploy;
use serde_json::{Value, json};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use support::PATIENCE;
use support::bundle::{Host, deploy};

/// Every event waits in its script for a file `go-EVENT`, after saying that it began.
fn bundle(host: &Host, version: &str) -> Vec<u8> {
    let mut spec = "version: 0.0\nos: linux\nfiles: [{source: app, destination: $HOST/app}]\n\
                    hooks:\n"
        .to_owned();
    for event in ["ApplicationStop", "BeforeInstall", "AfterInstall", "OnFailure"] {
        spec.push_str(&format!("  {event}: [{{location: wait.sh}}]\n"));
    }
    let script = "#!/bin/sh\necho $LIFECYCLE_EVENT >> $HOST/witness\n\
                  while [ ! -e $HOST/go-$LIFECYCLE_EVENT ]; do [ -d $HOST ] || exit 9; sleep 0.02; done\n";
    host.bundle(&[
        ("appspec.yml", spec.as_str()),
        ("wait.sh", script),
        ("app/index", version),
        ("app/other", version),
    ])
}

fn go(host: &Host, events: &[&str]) {
    for event in events {
        host.write(&format!("go-{event}"), "");
    }
}

async fn wait_for(host: &Host, event: &str) {
    let deadline = Instant::now() + PATIENCE;
    while !host.witness().iter().any(|line| line == event) {
        assert!(Instant::now() < deadline, "waited too long for {event}: {:?}", host.witness());
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

/// Runs the task until `event` has begun; then the agent is no more.
async fn die_in(host: &Arc<Host>, wish: &Deploy, event: &str) {
    let ctx = host.context(wish.deployment.0, Cancel::default());
    let (running, again) = (host.clone(), wish.clone());
    let run = tokio::spawn(async move { running.run(again, &ctx, false).await });
    wait_for(host, event).await;
    run.abort();
    let _ = run.await;
}

async fn resume(host: &Host, wish: &Deploy) -> Outcome {
    let ctx = host.context(wish.deployment.0, Cancel::default());
    tokio::time::timeout(PATIENCE, host.run(wish.clone(), &ctx, true)).await.unwrap()
}

fn journal(host: &Host, id: i64) -> PathBuf {
    host.state().join(format!("tasks/{id}/journal"))
}

/// What the journal says last, changed.
fn rewrite(host: &Host, id: i64, change: impl FnOnce(&mut Value)) {
    let text = std::fs::read_to_string(journal(host, id)).unwrap();
    let mut last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    change(&mut last);
    std::fs::write(journal(host, id), format!("{text}{last}\n")).unwrap();
}

#[tokio::test]
async fn after_a_reboot_an_interrupted_script_is_reported_and_nobody_elses_process_ended() {
    let host = Arc::new(Host::new());
    let wish = deploy(1, host.offer(&bundle(&host, "1")));
    die_in(&host, &wish, "BeforeInstall").await;
    go(&host, &["BeforeInstall", "OnFailure"]);
    // After the reboot the number of the script's process group is somebody else's.
    let mut other = std::process::Command::new("sleep").arg("60").process_group(0).spawn().unwrap();
    // Even begun as long after the start of the machine; only the boot tells them apart.
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", other.id())).unwrap();
    let started: u64 = stat.split_whitespace().nth(21).unwrap().parse().unwrap();
    rewrite(&host, 1, |last| {
        last["running"]["group"]["pgid"] = other.id().into();
        last["running"]["group"]["started"] = started.into();
        last["running"]["group"]["boot"] = "the boot before".into();
    });
    let Outcome::Failed { error, steps, .. } = resume(&host, &wish).await else { panic!() };
    assert_eq!((error.code, error.touched), (ErrorCode::Interrupted, true), "{error:?}");
    assert_eq!(error.step.as_deref(), Some("BeforeInstall"));
    assert!(other.try_wait().unwrap().is_none(), "somebody else's process was ended");
    other.kill().unwrap();
    other.wait().unwrap();
    // It failed, after it had touched the application: that is what OnFailure is for.
    assert_eq!(host.witness(), ["BeforeInstall", "OnFailure"]);
    assert_eq!(steps.last().unwrap().status, StepStatus::Succeeded);
    assert!(!host.path("app").exists());
}

#[tokio::test]
async fn an_interrupted_on_failure_is_not_begun_anew_and_hides_no_reason() {
    let host = Arc::new(Host::new());
    go(&host, &["BeforeInstall"]);
    let spec = "version: 0.0\nos: linux\nhooks:\n  BeforeInstall: [{location: bad.sh}]\n  \
                OnFailure: [{location: wait.sh}, {location: wait.sh}]\n";
    let wait = "#!/bin/sh\necho $LIFECYCLE_EVENT >> $HOST/witness\nsleep 60\n";
    let bytes =
        host.bundle(&[("appspec.yml", spec), ("bad.sh", "#!/bin/sh\nexit 7\n"), ("wait.sh", wait)]);
    let wish = deploy(1, host.offer(&bytes));
    die_in(&host, &wish, "OnFailure").await;
    for _ in 0..2 {
        let Outcome::Failed { error, steps, .. } = resume(&host, &wish).await else { panic!() };
        assert_eq!(
            (error.code, error.step.as_deref()),
            (ErrorCode::ScriptFailed, Some("BeforeInstall"))
        );
        let last = steps.last().unwrap();
        assert_eq!((last.name.as_str(), last.status), ("OnFailure", StepStatus::Failed));
        assert_eq!(host.witness(), ["OnFailure"]);
    }
}

#[tokio::test]
async fn an_interrupted_installation_is_undone_and_then_made_whole() {
    let host = Arc::new(Host::new());
    go(&host, &["ApplicationStop", "BeforeInstall", "OnFailure"]);
    let wish = deploy(1, host.offer(&bundle(&host, "1")));
    die_in(&host, &wish, "AfterInstall").await;
    go(&host, &["AfterInstall"]);
    // As if the power had gone in the middle of Install: a directory made, one file in place, the other
    // written beside it, the manifest not yet there.
    std::fs::remove_file(host.state().join("groups/web/manifest.json")).unwrap();
    std::fs::remove_file(host.path("app/other")).unwrap();
    let at = |name: &str| host.path("app").join(name);
    std::fs::hard_link(at("index"), at(".pipeyard-x-1.new")).unwrap();
    std::fs::write(at(".pipeyard-x-2.new"), "half").unwrap();
    let placed =
        |name: &str, fresh: &str| json!({"path": at(name), "fresh": at(fresh), "old": null});
    let undo = json!({
        "install": "x", "asides": [], "directories": [host.path("app")],
        "items": [placed("index", ".pipeyard-x-1.new"), placed("other", ".pipeyard-x-2.new")],
        "removals": [], "leave": [], "attributes": [],
    });
    std::fs::write(host.state().join("groups/web/undo.json"), undo.to_string()).unwrap();
    rewrite(&host, 1, |last| {
        last["running"] = Value::Null;
        let steps = last["steps"].as_array_mut().unwrap();
        steps.retain(|step| step["name"] != "AfterInstall");
        steps.last_mut().unwrap()["status"] = "running".into();
        assert_eq!(steps.last().unwrap()["name"], "Install");
    });
    let outcome = resume(&host, &wish).await;
    assert!(matches!(outcome, Outcome::Succeeded { .. }), "{outcome:?}\n{}", host.log(1));
    assert!(host.log(1).contains("an installation that was cut off has been undone"));
    assert_eq!(host.tree("app"), ["index = \"1\" 644 0", "other = \"1\" 644 0"]);
    assert!(!host.state().join("groups/web/undo.json").exists());
    // BeforeInstall had run, and did not again; AfterInstall did, for the journal knew nothing of it.
    assert_eq!(host.witness(), ["BeforeInstall", "AfterInstall", "AfterInstall"]);
}

#[tokio::test]
async fn a_later_part_that_was_interrupted_knows_its_own_steps_only() {
    use pipelines::protocol::task::Part::{AfterAllow, Fetch, Install};
    let host = Arc::new(Host::new());
    go(&host, &["BeforeInstall", "AfterInstall"]);
    let spec = "version: 0.0\nos: linux\nhooks:\n  AfterInstall: [{location: ok.sh}]\n  \
                AfterAllowTraffic: [{location: ok.sh}, {location: wait.sh}, {location: ok.sh}]\n";
    let script = "#!/bin/sh\necho $LIFECYCLE_EVENT $0 >> $HOST/witness\n";
    let wait = "#!/bin/sh\necho waiting >> $HOST/witness\nsleep 60\n";
    let bytes = host.bundle(&[("appspec.yml", spec), ("ok.sh", script), ("wait.sh", wait)]);
    let mut wish = deploy(1, host.offer(&bytes));
    wish.parts = vec![Fetch, Install];
    let first = host.run(wish.clone(), &host.context(1, Cancel::default()), false).await;
    assert!(matches!(first, Outcome::Succeeded { .. }), "{first:?}");
    // The same deployment, in a task of its own.
    wish.parts = vec![AfterAllow];
    let ctx = host.context(2, Cancel::default());
    let (running, again) = (host.clone(), wish.clone());
    let run = tokio::spawn(async move { running.run(again, &ctx, false).await });
    wait_for(&host, "waiting").await;
    run.abort();
    let _ = run.await;
    let lines = host.witness().len();
    let ctx = host.context(2, Cancel::default());
    let Outcome::Failed { error, steps, .. } = host.run(wish, &ctx, true).await else { panic!() };
    assert_eq!((error.code, error.touched), (ErrorCode::Interrupted, true));
    assert_eq!(error.command.as_deref(), Some("wait.sh"));
    assert_eq!(steps[0].commands.len(), 2, "{steps:?}");
    assert_eq!(host.witness().len(), lines, "nothing ran again, and the third not at all");
}
