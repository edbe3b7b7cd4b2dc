//! Deployments in parts, as behind a balancer: whose scripts run in which task, what a later task
//! takes for granted, and what runs when one of them fails.

mod support;

use pipelines::ids::DeploymentId;
use pipelines::protocol::report::{ErrorCode, Outcome, StepStatus};
use pipelines::protocol::task::{Artifact, Deploy, Part, Purpose};
use pipelines::time::Millis;
use support::bundle::{Done, Host};

use Part::{AfterAllow, AfterBlock, BeforeAllow, BeforeBlock, Fetch, Install};

const EVENTS: [&str; 11] = [
    "BeforeBlockTraffic",
    "AfterBlockTraffic",
    "ApplicationStop",
    "BeforeInstall",
    "AfterInstall",
    "ApplicationStart",
    "ValidateService",
    "BeforeAllowTraffic",
    "AfterAllowTraffic",
    "OnFailure",
    "OnRollback",
];

/// A bundle that writes every event with its version to the witness file; `FAIL` in the environment of
/// the group names the event that fails.
fn bundle(host: &Host, version: &str) -> Artifact {
    let mut spec = "version: 0.0\nos: linux\nfiles: [{source: app, destination: $HOST/app}]\n\
                    hooks:\n"
        .to_owned();
    for event in EVENTS {
        spec.push_str(&format!("  {event}: [{{location: hook.sh}}]\n"));
    }
    let hook = format!(
        "#!/bin/sh\necho \"$LIFECYCLE_EVENT {version}${{PIPEYARD_FAILED_EVENT:+ of \
         $PIPEYARD_FAILED_EVENT $PIPEYARD_FAILED_SCRIPT $PIPEYARD_ERROR}}\" >> $HOST/witness\n\
         [ \"$LIFECYCLE_EVENT\" != \"$FAIL\" ]\n"
    );
    host.offer(&host.bundle(&[
        ("appspec.yml", spec.as_str()),
        ("hook.sh", hook.as_str()),
        ("app/index", version),
    ]))
}

/// A task of deployment `deployment` on a host.
struct Wish<'w> {
    deployment: i64,
    bundle: &'w Artifact,
    parts: &'w [Part],
    purpose: Purpose,
    fail: &'w str,
}

impl Wish<'_> {
    async fn run(self, host: &mut Host) -> Done {
        let wish = |deploy: &mut Deploy| {
            deploy.deployment = DeploymentId(self.deployment);
            deploy.parts = self.parts.to_vec();
            deploy.purpose = self.purpose;
            deploy.hooks.env.insert("FAIL".into(), self.fail.into());
        };
        host.deploy_artifact(self.bundle.clone(), wish).await
    }
}

fn wish<'w>(deployment: i64, bundle: &'w Artifact, parts: &'w [Part]) -> Wish<'w> {
    Wish { deployment, bundle, parts, purpose: Purpose::Forward, fail: "" }
}

fn back<'w>(deployment: i64, bundle: &'w Artifact, parts: &'w [Part]) -> Wish<'w> {
    Wish { purpose: Purpose::Rollback, ..wish(deployment, bundle, parts) }
}

const BEHIND: [&[Part]; 3] =
    [&[Fetch, BeforeBlock], &[AfterBlock, Install, BeforeAllow], &[AfterAllow]];

/// The lines that were written since the last look.
fn news(host: &Host) -> Vec<String> {
    let lines = host.witness();
    let _ = std::fs::remove_file(host.path("witness"));
    lines
}

async fn whole(host: &mut Host, deployment: i64, bundle: &Artifact) {
    for parts in BEHIND {
        wish(deployment, bundle, parts).run(host).await.succeeded();
    }
}

#[tokio::test]
async fn each_task_does_exactly_its_parts_with_the_scripts_of_codedeploys_table() {
    let mut host = Host::new();
    let (one, two) = (bundle(&host, "1"), bundle(&host, "2"));
    whole(&mut host, 1, &one).await;
    let first = "BeforeInstall 1,AfterInstall 1,ApplicationStart 1,ValidateService 1,\
                 BeforeAllowTraffic 1,AfterAllowTraffic 1";
    assert_eq!(news(&host).join(","), first);

    host.forget_offers();
    let missing = wish(2, &two, BEHIND[1]).run(&mut host).await;
    let error = missing.failed(ErrorCode::AgentError);
    assert!(!error.touched && error.message.contains("not on this host"), "{error:?}");
    assert_eq!(news(&host).len(), 0, "not even AfterBlockTraffic of the old one");

    let two = bundle(&host, "2");
    let fetched = wish(2, &two, BEHIND[0]).run(&mut host).await;
    assert_eq!(fetched.steps().len(), 2);
    assert_eq!(news(&host), ["BeforeBlockTraffic 1"]);
    assert_eq!(host.read("app/index").as_deref(), Some("1"));
    host.forget_offers();
    wish(2, &two, BEHIND[1]).run(&mut host).await.succeeded();
    let second = "AfterBlockTraffic 1,ApplicationStop 1,BeforeInstall 2,AfterInstall 2,\
                  ApplicationStart 2,ValidateService 2,BeforeAllowTraffic 2";
    assert_eq!(news(&host).join(","), second);
    assert_eq!(host.read("app/index").as_deref(), Some("2"));
    wish(2, &two, BEHIND[2]).run(&mut host).await.succeeded();
    assert_eq!(news(&host), ["AfterAllowTraffic 2"]);
}

#[tokio::test]
async fn a_release_that_was_changed_between_two_tasks_is_not_installed() {
    let mut host = Host::new();
    let (one, two) = (bundle(&host, "1"), bundle(&host, "2"));
    whole(&mut host, 1, &one).await;
    wish(2, &two, BEHIND[0]).run(&mut host).await.succeeded();
    news(&host);
    let release = host.state().join("releases/web").join(two.digest.as_str());
    std::fs::write(release.join("app/index"), "X").unwrap();
    let failed = wish(2, &two, BEHIND[1]).run(&mut host).await;
    let error = failed.failed(ErrorCode::AgentError);
    assert!(error.touched, "BeforeBlockTraffic has run: {error:?}");
    assert!(error.message.contains("'app/index' has been changed"), "{error:?}");
    assert_eq!(host.read("app/index").as_deref(), Some("1"));
}

#[tokio::test]
async fn blue_hosts_that_retire_and_come_back_run_what_they_have_and_install_nothing() {
    let mut blue = Host::new();
    let (one, two) = (bundle(&blue, "1"), bundle(&blue, "2"));
    whole(&mut blue, 1, &one).await;
    news(&blue);
    // The new revision never was on this host.
    for part in [BeforeBlock, AfterBlock] {
        wish(2, &two, &[part]).run(&mut blue).await.succeeded();
    }
    assert_eq!(news(&blue), ["BeforeBlockTraffic 1", "AfterBlockTraffic 1"]);
    for part in [BeforeAllow, AfterAllow] {
        back(2, &one, &[part]).run(&mut blue).await.succeeded();
    }
    assert_eq!(news(&blue), ["BeforeAllowTraffic 1", "AfterAllowTraffic 1"]);
    assert_eq!(blue.installed()[0].digest.as_ref(), Some(&one.digest));

    // A green host that failed has never been good: on the way back its installed revision counts.
    let mut green = Host::new();
    let two = bundle(&green, "2");
    let broken = Wish { fail: "ValidateService", ..wish(2, &two, &[Fetch, Install]) };
    broken.run(&mut green).await.failed(ErrorCode::ScriptFailed);
    news(&green);
    for part in [BeforeBlock, AfterBlock] {
        back(2, &two, &[part]).run(&mut green).await.succeeded();
    }
    assert_eq!(news(&green), ["BeforeBlockTraffic 2", "AfterBlockTraffic 2"]);
}

#[tokio::test]
async fn a_later_task_that_fails_knows_that_an_earlier_one_touched_the_application() {
    let mut host = Host::new();
    let (one, two) = (bundle(&host, "1"), bundle(&host, "2"));
    whole(&mut host, 1, &one).await;
    wish(2, &two, BEHIND[0]).run(&mut host).await.succeeded();
    wish(2, &two, BEHIND[1]).run(&mut host).await.succeeded();
    std::fs::remove_dir_all(host.state().join("releases/web").join(two.digest.as_str())).unwrap();
    assert!(wish(2, &two, BEHIND[2]).run(&mut host).await.failed(ErrorCode::AgentError).touched);
    // The next deployment starts from a host that nobody has touched for it.
    let three = Artifact { digest: "ab".repeat(32).parse().unwrap(), size: 1 };
    assert!(!wish(3, &three, BEHIND[1]).run(&mut host).await.failed(ErrorCode::AgentError).touched);
}

#[tokio::test]
async fn on_failure_runs_once_for_what_failed_and_on_rollback_before_the_application_stops() {
    let mut host = Host::new();
    let (one, two) = (bundle(&host, "1"), bundle(&host, "2"));
    wish(1, &one, &[Fetch, Install]).run(&mut host).await.succeeded();
    news(&host);
    let broken = Wish { fail: "ApplicationStart", ..wish(2, &two, &[Fetch, Install]) };
    let failed = broken.run(&mut host).await;
    let error = failed.failed(ErrorCode::ScriptFailed);
    assert_eq!(error.step.as_deref(), Some("ApplicationStart"), "OnFailure is not to blame");
    assert_eq!(
        news(&host)[4..],
        ["OnFailure 2 of ApplicationStart hook.sh ScriptFailed".to_owned()],
    );
    let last = failed.steps().pop().unwrap();
    assert_eq!(last, ("OnFailure".into(), StepStatus::Succeeded));

    let returned = back(2, &one, &[Fetch, Install]).run(&mut host).await;
    returned.succeeded();
    let lines = news(&host);
    assert_eq!(lines[0], "OnRollback 2 of ApplicationStart hook.sh ScriptFailed");
    assert_eq!(lines[1], "ApplicationStop 1");
    // After a success nothing has failed any more, and nothing is left behind by going nowhere.
    back(3, &one, &[Fetch, Install]).run(&mut host).await.succeeded();
    assert_eq!(news(&host)[0], "ApplicationStop 1");
}

#[tokio::test]
async fn what_on_failure_and_on_rollback_do_changes_no_outcome() {
    let mut host = Host::new();
    let (one, two) = (bundle(&host, "1"), bundle(&host, "2"));
    wish(1, &one, &[Fetch, Install]).run(&mut host).await.succeeded();
    wish(2, &two, &[Fetch, Install]).run(&mut host).await.succeeded();
    news(&host);
    let warned = Wish { fail: "OnRollback", ..back(3, &one, &[Fetch, Install]) };
    let done = warned.run(&mut host).await;
    done.succeeded();
    assert_eq!(news(&host)[..2], ["OnRollback 2", "ApplicationStop 2"], "nothing had failed");
    assert!(done.log.contains("warning: script 'hook.sh' exited with 1"), "{}", done.log);

    let spec = "version: 0.0\nos: linux\nhooks:\n  BeforeInstall: [{location: f.sh}]\n  \
                OnFailure: [{location: f.sh}, {location: f.sh}]\n";
    let script = "#!/bin/sh\necho $LIFECYCLE_EVENT >> $HOST/witness; exit 3\n";
    let failed = host.deploy(&[("appspec.yml", spec), ("f.sh", script)]).await;
    let error = failed.failed(ErrorCode::ScriptFailed);
    assert_eq!(error.step.as_deref(), Some("BeforeInstall"));
    assert_eq!(news(&host)[1..], ["BeforeInstall", "OnFailure"], "the second one is not run");
    assert_eq!(failed.steps().pop().unwrap(), ("OnFailure".into(), StepStatus::Failed));
    assert!(!failed.log.contains("there is no event"), "{}", failed.log);

    // Before anything was touched there is nothing to clean up.
    let spec = format!("{spec}files: [{{source: missing, destination: $HOST/x}}]\n");
    let failed = host.deploy(&[("appspec.yml", &spec), ("f.sh", script)]).await;
    assert!(!failed.failed(ErrorCode::MissingSource).touched);
    assert_eq!(news(&host).len(), 0);
}

#[tokio::test]
async fn all_scripts_of_an_event_share_the_time_that_the_group_gives() {
    let mut host = Host::new();
    let spec = "version: 0.0\nos: linux\nhooks:\n  AfterInstall:\n    \
                - {location: nap.sh, timeout: 300}\n    - {location: long.sh, timeout: 300}\n";
    let files = [
        ("appspec.yml", spec),
        ("nap.sh", "#!/bin/sh\nsleep 0.5\n"),
        ("long.sh", "#!/bin/sh\nsleep 60\n"),
    ];
    let started = std::time::Instant::now();
    let failed = host.deploy_with(&files, |d| d.hooks.timeout = Millis(1500)).await;
    let error = failed.failed(ErrorCode::ScriptTimedOut);
    assert_eq!(error.command.as_deref(), Some("long.sh"));
    assert!(error.message.contains("all scripts of AfterInstall together"), "{error:?}");
    let whole = format!("killed after {}:", Millis(1500));
    assert!(!error.message.contains(&whole), "it had all of the time for itself: {error:?}");
    let took = started.elapsed();
    assert!(took.as_millis() >= 1500 && took.as_secs() < 30, "{took:?}");
}

#[tokio::test]
async fn the_groups_environment_is_added_and_codedeploys_own_names_win() {
    let mut host = Host::new();
    let spec = "version: 0.0\nos: linux\nhooks: {AfterInstall: [{location: e.sh}]}\n";
    let script = "#!/bin/sh\necho $COLOR $APPLICATION_NAME $LIFECYCLE_EVENT > $HOST/env\n";
    let env = [("COLOR", "never"), ("APPLICATION_NAME", "x"), ("LIFECYCLE_EVENT", "x")];
    let done = host
        .deploy_with(&[("appspec.yml", spec), ("e.sh", script)], |d| {
            d.hooks.env = env.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        })
        .await;
    done.succeeded();
    assert_eq!(host.read("env").as_deref(), Some("never shop AfterInstall\n"));
}

#[tokio::test]
async fn a_task_without_installation_moves_no_pointers() {
    let mut host = Host::new();
    let (one, two) = (bundle(&host, "1"), bundle(&host, "2"));
    whole(&mut host, 1, &one).await;
    wish(2, &two, BEHIND[0]).run(&mut host).await.succeeded();
    let books = || {
        let text = std::fs::read_to_string(host.state().join("groups/web/group.json")).unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()
    };
    assert_eq!(books()["good"]["digest"], one.digest.as_str());
    assert_eq!(books()["history"].as_array().unwrap().len(), 1);
    let outcome = &wish(2, &two, &[]).run(&mut Host::new()).await.outcome;
    assert!(matches!(outcome, Outcome::Succeeded { steps, .. } if steps.is_empty()));
}
