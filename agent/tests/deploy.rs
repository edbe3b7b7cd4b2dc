//! Deployments to a host: order of hooks, what is installed, what is left alone.

mod support;

use pipelines::protocol::report::{ErrorCode, Outcome, StepStatus};
use pipelines::protocol::task::Purpose;
use std::os::unix::fs::PermissionsExt;
use support::bundle::Host;

/// All events, each with a script that writes event, revision and deployment to the witness file.
const APPSPEC: &str = "\
version: 0.0
os: linux
files:
  - source: app
    destination: $HOST/app
hooks:
  ApplicationStop: [{location: hook.sh}]
  BeforeInstall: [{location: hook.sh}]
  AfterInstall: [{location: hook.sh}]
  ApplicationStart: [{location: hook.sh}]
  ValidateService: [{location: hook.sh}]
";

fn hook(version: &str) -> String {
    format!("#!/bin/sh\necho \"$LIFECYCLE_EVENT {version}\" >> $HOST/witness\n")
}

fn revision<'a>(hook: &'a str, files: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut all = vec![("appspec.yml", APPSPEC), ("hook.sh", hook)];
    all.extend_from_slice(files);
    all
}

#[tokio::test]
async fn events_run_in_order_and_the_stop_script_is_the_old_ones() {
    let mut host = Host::new();
    let (one, two) = (hook("1"), hook("2"));
    let first = host.deploy(&revision(&one, &[("app/index", "one"), ("app/gone", "x")])).await;
    first.succeeded();
    let names: Vec<String> = first.steps().into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        names,
        [
            "DownloadBundle",
            "ApplicationStop",
            "BeforeInstall",
            "Install",
            "AfterInstall",
            "ApplicationStart",
            "ValidateService"
        ]
    );
    assert_eq!(
        host.witness(),
        ["BeforeInstall 1", "AfterInstall 1", "ApplicationStart 1", "ValidateService 1"]
    );

    host.deploy(&revision(&two, &[("app/index", "two"), ("app/sub/new", "n")])).await.succeeded();
    assert_eq!(
        host.witness()[4..],
        [
            "ApplicationStop 1",
            "BeforeInstall 2",
            "AfterInstall 2",
            "ApplicationStart 2",
            "ValidateService 2"
        ]
    );
    let tree = host.tree("app");
    assert_eq!(tree, ["index = \"two\" 644 0", "sub/ 755 0", "sub/new = \"n\" 644 0"]);
}

#[tokio::test]
async fn a_kept_release_is_deployed_again_without_its_bundle() {
    let mut host = Host::new();
    let (one, two) = (hook("1"), hook("2"));
    let first = host.deploy(&revision(&one, &[("app/index", "one")])).await;
    host.deploy(&revision(&two, &[("app/index", "two"), ("app/extra", "x")])).await.succeeded();
    host.forget_offers();
    let back = |deploy: &mut pipelines::protocol::task::Deploy| deploy.purpose = Purpose::Rollback;
    host.deploy_artifact(first.artifact.clone(), back).await.succeeded();
    assert_eq!(host.tree("app"), ["index = \"one\" 644 0"]);
    let installed = host.installed().remove(0);
    assert_eq!(installed.digest, Some(first.artifact.digest));
}

#[tokio::test]
async fn a_kept_release_that_was_changed_is_fetched_again_or_refused() {
    let mut host = Host::new();
    let (one, two) = (hook("1"), hook("2"));
    let files = revision(&one, &[("app/index", "one"), ("app/lib", "one")]);
    let first = host.deploy(&files).await.artifact;
    host.deploy(&revision(&two, &[("app/index", "two")])).await.succeeded();
    let release = host.state().join("releases/web").join(first.digest.as_str());
    let damage = || {
        std::fs::write(release.join("app/left"), "by a hook").unwrap();
        std::fs::write(release.join("app/index"), "bad").unwrap();
        std::fs::remove_file(release.join("app/lib")).unwrap();
    };

    damage();
    host.forget_offers();
    let witness = host.witness();
    let failed = host.deploy_artifact(first.clone(), |d| d.purpose = Purpose::Rollback).await;
    let Outcome::Failed { error, .. } = failed.outcome else { panic!("{}", failed.log) };
    assert!(!error.touched);
    assert_eq!((host.witness(), host.tree("app")), (witness, vec!["index = \"two\" 644 0".into()]));

    host.offer(&host.bundle(&files));
    host.deploy_artifact(first, |d| d.purpose = Purpose::Rollback).await.succeeded();
    assert_eq!(host.tree("app"), ["index = \"one\" 644 0", "lib = \"one\" 644 0"]);
}

#[tokio::test]
async fn last_successful_moves_only_at_the_end_and_a_rollback_removes_the_failed_ones_files() {
    let mut host = Host::new();
    let one = hook("1");
    let bad = "#!/bin/sh\necho \"$LIFECYCLE_EVENT bad\" >> $HOST/witness\n\
               [ \"$LIFECYCLE_EVENT\" != ValidateService ]\n";
    let first = host.deploy(&revision(&one, &[("app/index", "one")])).await;
    let failed = host.deploy(&revision(bad, &[("app/index", "bad"), ("app/extra", "x")])).await;
    let error = failed.failed(ErrorCode::ScriptFailed);
    assert_eq!(error.step.as_deref(), Some("ValidateService"));
    assert_eq!(error.command.as_deref(), Some("hook.sh"));
    assert!(error.touched);
    assert_eq!(host.installed()[0].digest, Some(failed.artifact.digest.clone()));
    let count = host.witness().len();

    let back = host.deploy_artifact(first.artifact, |d| d.purpose = Purpose::Rollback).await;
    back.succeeded();
    assert_eq!(host.witness()[count], "ApplicationStop 1", "the broken one never was good");
    assert_eq!(host.tree("app"), ["index = \"one\" 644 0"]);
}

#[tokio::test]
async fn everything_wrong_is_said_at_once_before_anything_is_touched() {
    let mut host = Host::new();
    let one = hook("1");
    host.deploy(&revision(&one, &[("app/index", "one")])).await.succeeded();
    host.write("app/foreign", "theirs");
    host.write("app/sub/foreign", "theirs");
    let before = (host.tree("app"), host.witness());
    let appspec = format!(
        "{APPSPEC}  AfterAllowTraffic: [{{location: x.sh}}]\n\
         permissions:\n  - {{object: $HOST/app, owner: nobody-here}}\n"
    );
    let appspec = appspec.replace(
        "files:\n",
        "files:\n  - {source: missing, destination: $HOST/x}\n  \
         - {source: app, destination: /proc}\n",
    );
    let two = hook("2");
    let mut files = revision(
        &two,
        &[("app/index", "two"), ("app/foreign", "mine"), ("app/sub/foreign", "mine")],
    );
    files[0].1 = &appspec;
    let failed = host.deploy(&files).await;
    let error = failed.failed(ErrorCode::MissingSource);
    assert!(!error.touched);
    assert_eq!(error.step.as_deref(), Some("DownloadBundle"));
    for part in ["'missing'", "/proc", "nobody-here"] {
        assert!(error.message.contains(part), "{part}: {}", error.message);
    }
    // Something in the way may be gone after BeforeInstall, so it is only warned about here.
    for path in ["app/foreign", "app/sub/foreign"] {
        let warning = format!("{} is already there", host.path(path).display());
        assert!(failed.log.contains(&format!("warning: {warning}")), "{}", failed.log);
    }
    assert_eq!((host.tree("app"), host.witness()), before);
    let skipped = failed.steps().iter().filter(|(_, s)| *s == StepStatus::Skipped).count();
    assert_eq!(skipped, 6);
}

#[tokio::test]
async fn an_installation_that_fails_half_way_leaves_everything_as_it_was() {
    let mut host = Host::new();
    let one = hook("1");
    let v1 = [("app/a", "1"), ("app/gone", "1"), ("app/link", "-> a"), ("app/z/z", "1")];
    host.deploy(&revision(&one, &v1)).await.succeeded();
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(host.path("app/a"), mode).unwrap();
    let before = host.tree("");
    // The plan is fine; then a script puts something in the way that only the last rename meets.
    let bad = "#!/bin/sh\nif [ $LIFECYCLE_EVENT = AfterInstall ]; then exit 0; fi\n\
               if [ $LIFECYCLE_EVENT = BeforeInstall ]; then chattr +i $HOST/app/z/z; fi\n";
    let can = std::process::Command::new("chattr").arg("+i").arg(host.path("app/z/z")).status();
    if !can.is_ok_and(|status| status.success()) {
        eprintln!("not tried: this file system has no immutable files");
        return;
    }
    let v2 = [("app/a", "2"), ("app/link/x", "2"), ("app/new/n", "2"), ("app/z/z", "2")];
    let failed = host.deploy(&revision(bad, &v2)).await;
    let _ = std::process::Command::new("chattr").arg("-i").arg(host.path("app/z/z")).status();
    let error = failed.failed(ErrorCode::InstallFailed);
    assert!(error.message.contains("everything was put back"), "{}", error.message);
    let after: Vec<String> = host.tree("");
    let without_witness = |tree: &[String]| -> Vec<String> {
        tree.iter().filter(|line| !line.starts_with("witness")).cloned().collect()
    };
    assert_eq!(without_witness(&after), without_witness(&before));
    host.deploy(&revision(&one, &v2)).await.succeeded();
    assert_eq!(host.read("app/z/z").as_deref(), Some("2"));
}

#[tokio::test]
async fn old_releases_go_and_pinned_ones_stay() {
    let mut host = Host::new();
    let one = hook("1");
    let mut artifacts = Vec::new();
    for n in 0..5 {
        let content = n.to_string();
        let files = revision(&one, &[("app/index", &content)]);
        let pinned: Vec<_> = artifacts.first().cloned().into_iter().collect();
        let done = host
            .deploy_with(&files, |d| {
                d.keep_releases = 1;
                d.pinned = pinned;
            })
            .await;
        done.succeeded();
        artifacts.push(done.artifact.digest);
    }
    let kept = |n: usize| host.state().join("releases/web").join(artifacts[n].as_str()).is_dir();
    assert_eq!([0, 1, 2, 3, 4].map(kept), [true, false, false, true, true]);
}

#[tokio::test]
async fn a_link_leads_a_deployment_elsewhere_only_if_root_made_it_and_never_to_the_agent() {
    let mut host = Host::new();
    let one = hook("1");
    let files = [("app/conf.d/job", "one")];
    host.deploy(&revision(&one, &files)).await.succeeded();
    std::fs::create_dir(host.path("elsewhere")).unwrap();
    std::fs::remove_dir_all(host.path("app/conf.d")).unwrap();
    let link = host.path("app/conf.d");
    std::os::unix::fs::symlink(host.path("elsewhere"), &link).unwrap();

    std::os::unix::fs::lchown(&link, Some(65534), Some(65534)).unwrap();
    let refused = host.deploy(&revision(&one, &files)).await;
    let message = &refused.failed(ErrorCode::FileExists).message;
    assert!(message.contains("conf.d is a link made by user 65534"), "{message}");
    assert_eq!(host.tree("elsewhere").len(), 0);

    // Nor is anything removed there.
    host.write("elsewhere/job", "theirs");
    host.deploy(&revision(&one, &[("app/other", "x")])).await.succeeded();
    assert_eq!(host.read("elsewhere/job").as_deref(), Some("theirs"));
    std::fs::remove_file(host.path("elsewhere/job")).unwrap();

    std::os::unix::fs::lchown(&link, Some(0), Some(0)).unwrap();
    host.deploy(&revision(&one, &files)).await.succeeded();
    assert_eq!(host.read("elsewhere/job").as_deref(), Some("one"));

    std::fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(host.state().join("groups"), &link).unwrap();
    let refused = host.deploy(&revision(&one, &files)).await;
    let message = &refused.failed(ErrorCode::AppspecInvalid).message;
    assert!(message.contains("the agent's own directory"), "{message}");
    assert!(!host.state().join("groups/job").exists());
}

#[tokio::test]
async fn the_applications_own_link_leads_to_its_own_release() {
    let mut host = Host::new();
    let one = hook("1");
    host.write("app/v1/keep", "theirs");
    std::os::unix::fs::symlink("v1", host.path("app/current")).unwrap();
    for path in ["app", "app/v1", "app/current"] {
        std::os::unix::fs::lchown(host.path(path), Some(65534), Some(65534)).unwrap();
    }
    host.deploy(&revision(&one, &[("app/current/file", "one")])).await.succeeded();
    assert_eq!(host.read("app/v1/file").as_deref(), Some("one"));
    // And what was put there through it is removed there.
    host.deploy(&revision(&one, &[("app/other", "one")])).await.succeeded();
    assert_eq!(host.tree("app/v1"), ["keep = \"theirs\" 644 0"]);
    assert!(host.path("app/current").symlink_metadata().unwrap().is_symlink());
}
