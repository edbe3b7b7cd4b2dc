//! Tasks that only ask: what a deployment would change, and what became of the installed files. And
//! the paths that no deployment changes.

mod support;

use agent::context::{Cancel, Reason};
use pipelines::ids::TaskId;
use pipelines::protocol::answer::{Answer, Change, FileChange, Inspection, Preview};
use pipelines::protocol::join::Role;
use pipelines::protocol::report::{ErrorCode, Outcome};
use pipelines::protocol::task::{Artifact, Deploy, Inspect, Purpose};
use pipelines::protocol::task::{TaskKey, Work};
use pipelines::spec::appspec::FileExists;
use std::os::unix::fs::{PermissionsExt, symlink};
use support::Stub;
use support::agent::Agent;
use support::bundle::{Host, deploy, task};

const APPSPEC: &str = "version: 0.0\nos: linux\nfiles: [{source: app, destination: $HOST/app}]\n";

fn changes(of: &[FileChange], host: &Host) -> Vec<String> {
    let top = host.path("").display().to_string();
    let line = |c: &FileChange| format!("{:?} {}", c.change, c.path.replace(&top, ""));
    of.iter().map(line).collect()
}

/// The preview of a bundle as the hundredth task.
async fn preview(host: &Host, artifact: Artifact, change: impl FnOnce(&mut Deploy)) -> Outcome {
    let mut wish = deploy(100, artifact);
    change(&mut wish);
    agent::deploy::preview(&wish, &host.context(100, Cancel::default())).await
}

#[track_caller]
fn seen(outcome: Outcome) -> Preview {
    match outcome {
        Outcome::Succeeded { answer: Some(Answer::Preview(preview)), .. } => preview,
        other => panic!("{other:#?}"),
    }
}

async fn inspect(host: &Host) -> Inspection {
    let ctx = host.context(200, Cancel::default());
    match agent::deploy::inspect(&Inspect { group: "web".into() }, &ctx).await {
        Outcome::Succeeded { answer: Some(Answer::Inspection(found)), .. } => found,
        other => panic!("{other:#?}"),
    }
}

#[tokio::test]
async fn a_preview_says_all_that_would_change_and_touches_nothing() {
    let mut host = Host::new();
    let hooks = "hooks:\n  ApplicationStop: [{location: a.sh}]\n  \
                 AfterInstall: [{location: a.sh}, {location: b.sh}]\n  OnRollback: [{location: b.sh}]\n";
    let spec = format!("{APPSPEC}{hooks}");
    let scripts =
        [("appspec.yml", spec.as_str()), ("a.sh", "#!/bin/sh\n"), ("b.sh", "#!/bin/sh\n")];
    let v1 = [&scripts[..], &[("app/same", "s"), ("app/old", "x"), ("app/edit", "1")]].concat();
    host.deploy(&v1).await.succeeded();
    host.write("app/theirs", "theirs");
    let v2 = [
        &scripts[..],
        &[("app/same", "s"), ("app/edit", "2"), ("app/new", "n"), ("app/theirs", "x")],
    ]
    .concat();
    let before = (host.tree(""), state(&host));
    let artifact = host.offer(&host.bundle(&v2));

    let clash = seen(preview(&host, artifact.clone(), |_| {}).await);
    assert_eq!(clash.clashes.len(), 1, "{clash:?}");
    assert!(clash.clashes[0].contains("app/theirs is already there"), "{clash:?}");
    assert_eq!((clash.files, clash.fetched), (3, false));

    let wish = |d: &mut Deploy| d.file_exists_behavior = Some(FileExists::Retain);
    let good = seen(preview(&host, artifact.clone(), wish).await);
    let expected = ["Replaced app/edit", "Added app/new", "Removed app/old", "Retained app/theirs"];
    assert_eq!(changes(&good.changes, &host), expected);
    assert_eq!((good.files, good.bytes, good.changed, good.clashes.len()), (3, 3, 4, 0));
    let hooks: Vec<String> = good.hooks.iter().map(|(e, l)| format!("{e} {l}")).collect();
    assert_eq!(hooks, ["ApplicationStop a.sh", "AfterInstall a.sh", "AfterInstall b.sh"]);
    assert_eq!((host.tree(""), state(&host)), before);

    host.deploy_artifact(artifact.clone(), wish).await.succeeded();
    host.forget_offers();
    let again = seen(preview(&host, artifact, |d| d.purpose = Purpose::Rollback).await);
    assert_eq!(changes(&again.changes, &host), Vec::<String>::new());
    assert!(again.fetched);
}

/// What the agent keeps about groups and releases.
fn state(host: &Host) -> Vec<String> {
    let below = |name: &str| walkdir::WalkDir::new(host.state().join(name)).sort_by_file_name();
    let both = below("groups").into_iter().chain(below("releases"));
    both.map(|entry| entry.unwrap().path().display().to_string()).collect()
}

#[tokio::test]
async fn a_preview_of_what_cannot_be_deployed_says_why() {
    let host = Host::new();
    let broken = host.offer(&host.bundle(&[("appspec.yml", "version: 0.0\n")]));
    let found = seen(preview(&host, broken, |_| {}).await);
    assert!(found.clashes.iter().any(|clash| clash.contains("os")), "{found:?}");
    let missing = "version: 0.0\nos: linux\nfiles: [{source: no, destination: /proc}]\n\
                   hooks: {AfterInstall: [{location: no.sh}]}\n";
    let missing = host.offer(&host.bundle(&[("appspec.yml", missing)]));
    let found = seen(preview(&host, missing, |d| d.shared = vec!["not/absolute".into()]).await);
    assert_eq!(found.clashes.len(), 3, "{found:?}");
    let gone = Artifact { digest: "ab".repeat(32).parse().unwrap(), size: 1 };
    match preview(&host, gone, |_| {}).await {
        Outcome::Failed { error, .. } => assert!(!error.touched, "{error:?}"),
        other => panic!("{other:?}"),
    }
    assert!(!host.state().join("groups").exists());
}

#[tokio::test]
async fn a_preview_lists_two_hundred_changes_and_counts_all() {
    let host = Host::new();
    let names: Vec<String> = (0..250).map(|n| format!("app/{n:03}")).collect();
    let mut files = vec![("appspec.yml", APPSPEC)];
    files.extend(names.iter().map(|name| (name.as_str(), "x")));
    let artifact = host.offer(&host.bundle(&files));
    let found = seen(preview(&host, artifact, |_| {}).await);
    assert_eq!((found.changes.len(), found.changed, found.files), (200, 250, 250));
}

#[tokio::test]
async fn drift_is_what_was_altered_or_removed_since_the_installation() {
    let mut host = Host::new();
    assert_eq!(inspect(&host).await, Inspection::default());
    let files = [
        ("appspec.yml", APPSPEC),
        ("app/edited", "one"),
        ("app/longer", "one"),
        ("app/touched", "one"),
        ("app/gone", "one"),
        ("app/kind", "one"),
        ("app/link", "-> gone"),
        ("app/relinked", "-> gone"),
        ("app/moded", "one"),
        ("app/sub/fine", "one"),
    ];
    let done = host.deploy(&files).await;
    let clean = inspect(&host).await;
    assert_eq!(clean.installed.as_ref(), Some(&done.artifact.digest));
    assert_eq!((clean.files, clean.drifted), (9, 0));

    // Of the same size, and then written again as it was.
    host.write("app/edited", "two");
    host.write("app/longer", "longer");
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
    for name in ["app/edited", "app/touched"] {
        std::fs::File::options()
            .write(true)
            .open(host.path(name))
            .unwrap()
            .set_modified(later)
            .unwrap();
    }
    std::fs::remove_file(host.path("app/gone")).unwrap();
    std::fs::remove_file(host.path("app/kind")).unwrap();
    std::fs::create_dir(host.path("app/kind")).unwrap();
    std::fs::remove_file(host.path("app/relinked")).unwrap();
    symlink("kind", host.path("app/relinked")).unwrap();
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(host.path("app/moded"), mode).unwrap();
    host.write("app/new", "nobody's");
    let found = inspect(&host).await;
    assert_eq!(
        changes(&found.drift, &host),
        [
            "Altered app/edited",
            "Removed app/gone",
            "Altered app/kind",
            "Altered app/longer",
            "Altered app/relinked"
        ]
    );
    assert_eq!(found.drifted, 5);
    assert!(found.drift.iter().all(|c| matches!(c.change, Change::Altered | Change::Removed)));

    // What an older agent installed has no marks: what is gone is still found.
    let marks = std::fs::read_dir(host.state().join("groups/web")).unwrap().flatten();
    let marks: Vec<_> =
        marks.filter(|e| e.file_name().to_string_lossy().starts_with("marks-")).collect();
    assert_eq!(marks.len(), 1);
    std::fs::remove_file(marks[0].path()).unwrap();
    assert_eq!(
        changes(&inspect(&host).await.drift, &host),
        ["Removed app/gone", "Altered app/kind"]
    );
}

#[tokio::test]
async fn an_inspection_can_be_stopped_and_wants_a_group() {
    let mut host = Host::new();
    host.deploy(&[("appspec.yml", APPSPEC), ("app/a", "a")]).await.succeeded();
    let cancel = Cancel::default();
    cancel.cancel(Reason::Controller);
    let ask = Inspect { group: "web".into() };
    let stopped = agent::deploy::inspect(&ask, &host.context(200, cancel)).await;
    assert!(matches!(stopped, Outcome::Cancelled { touched: false, .. }), "{stopped:?}");
    let ask = Inspect { group: "../web".into() };
    let refused = agent::deploy::inspect(&ask, &host.context(201, Cancel::default())).await;
    assert!(matches!(refused, Outcome::Failed { .. }), "{refused:?}");
}

#[tokio::test]
async fn what_is_shared_is_made_once_and_never_removed_or_replaced() {
    let mut host = Host::new();
    let shared = vec![host.path("app/uploads").display().to_string()];
    let share = |d: &mut Deploy| {
        d.shared = shared.clone();
        d.file_exists_behavior = Some(FileExists::Overwrite);
    };
    let v1 = [("appspec.yml", APPSPEC), ("app/index", "1"), ("app/uploads/seed", "1")];
    let done = host.deploy_with(&v1, share).await;
    done.succeeded();
    let warning = "app/uploads, which is shared: what is there already stays as it is";
    assert!(done.log.contains(warning), "{}", done.log);
    assert_eq!(host.read("app/uploads/seed").as_deref(), Some("1"));
    host.write("app/uploads/photo", "mine");

    let v2 = [
        ("appspec.yml", APPSPEC),
        ("app/index", "2"),
        ("app/uploads/seed", "2"),
        ("app/uploads/photo", "2"),
    ];
    host.deploy_with(&v2, share).await.succeeded();
    assert_eq!(host.read("app/uploads/seed").as_deref(), Some("1"));
    assert_eq!(host.read("app/uploads/photo").as_deref(), Some("mine"));
    // Nor does it go with a revision that has nothing there, or when the group forgets about it.
    let v3 = [("appspec.yml", APPSPEC), ("app/index", "3")];
    host.deploy_with(&v3, share).await.succeeded();
    host.deploy(&[("appspec.yml", APPSPEC), ("app/index", "4")]).await.succeeded();
    assert_eq!(host.read("app/uploads/seed").as_deref(), Some("1"));

    // A directory that is only named is made, once; a file is somebody else's to make.
    let logs = host.path("logs").display().to_string();
    let named = |d: &mut Deploy| {
        d.shared = vec![logs.clone()];
        d.shared_directories = vec![logs.clone()];
    };
    let v5 = [("appspec.yml", APPSPEC), ("app/index", "5")];
    let done = host.deploy_with(&v5, named).await;
    done.succeeded();
    assert!(
        host.path("logs").is_dir() && done.log.contains("which the group shares"),
        "{}",
        done.log
    );
    let again = host.deploy_with(&v5, named).await;
    assert!(!again.log.contains("made "), "{}", again.log);

    // A file where the shared directory's parent is would take it along.
    let over = [
        ("appspec.yml", "version: 0.0\nos: linux\nfiles: [{source: app, destination: $HOST}]\n"),
        ("app/app", "f"),
    ];
    let refused = host.deploy_with(&over, share).await;
    assert!(!refused.failed(ErrorCode::FileExists).touched);
    assert_eq!(host.read("app/uploads/photo").as_deref(), Some("mine"));
}

#[tokio::test]
async fn what_was_installed_before_it_was_shared_stays_from_then_on() {
    let mut host = Host::new();
    let v1 = [("appspec.yml", APPSPEC), ("app/index", "1"), ("app/conf/app.ini", "1")];
    host.deploy(&v1).await.succeeded();
    let shared = vec![host.path("app/conf").display().to_string()];
    let done = host
        .deploy_with(&[("appspec.yml", APPSPEC), ("app/index", "2")], |d| d.shared = shared)
        .await;
    done.succeeded();
    assert_eq!(host.read("app/conf/app.ini").as_deref(), Some("1"));
    assert!(done.log.contains("app/conf/app.ini stays: the group shares it"), "{}", done.log);
}

#[tokio::test]
async fn the_agent_answers_both_questions_of_a_controller() {
    let host = Host::new();
    let stub = Stub::start(Role::Deploy).await;
    let state = host.dir().join("agent");
    let bytes = host.bundle(&[("appspec.yml", APPSPEC), ("app/index", "1")]);
    let wish = deploy(1, support::bundle::artifact(&bytes));
    let ask = |id: i64, work: Work| {
        let question =
            pipelines::protocol::task::Task { work, generation: 0, ..task(id, wish.clone()) };
        stub.change(|world| world.tasks.push(question));
    };
    stub.change(|world| {
        drop(world.artifacts.insert(wish.revision.bundle.digest.to_string(), bytes));
    });
    let _agent = Agent::run(&stub, &state);
    ask(1, Work::Preview(wish.clone()));
    let key = |id| TaskKey { task: TaskId(id), attempt: 1 };
    let found = seen(stub.outcome(key(1)).await);
    assert_eq!(changes(&found.changes, &host), ["Added app/index"]);
    assert!(!host.path("app").exists() && !state.join("releases").exists());
    ask(2, Work::Inspect(Inspect { group: "web".into() }));
    match stub.outcome(key(2)).await {
        Outcome::Succeeded { answer: Some(Answer::Inspection(found)), .. } => {
            assert_eq!(found, Inspection::default());
        }
        other => panic!("{other:?}"),
    }
}
