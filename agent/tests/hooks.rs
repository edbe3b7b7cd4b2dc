//! Scripts of lifecycle events: what they are given, how they end, and what they leave behind.

mod support;

use agent::context::{Cancel, Reason};
use axum::http::StatusCode;
use pipelines::protocol::report::{ErrorCode, Outcome};
use pipelines::protocol::task::Purpose;
use pipelines::spec::group::Health;
use pipelines::time::Millis;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::PATIENCE;
use support::bundle::{Host, deploy};

/// An appspec with these hooks and nothing to install.
fn appspec(hooks: &str) -> String {
    format!("version: 0.0\nos: linux\nhooks:\n{hooks}\n")
}

async fn wait_until(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < deadline, "waited too long for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

#[tokio::test]
async fn a_script_knows_what_it_is_for_and_nothing_else() {
    let mut host = Host::new();
    let script = "#!/bin/sh\nenv | sort > $HOST/env\npwd -P > $HOST/pwd\ncat > $HOST/stdin\n\
                  echo to out; echo to err >&2; printf 'no end'\n";
    let spec = appspec("  AfterInstall: [{location: scripts/s.sh}]");
    let done = host.deploy(&[("appspec.yml", &spec), ("scripts/s.sh", script)]).await;
    done.succeeded();
    let digest = &done.artifact.digest;
    let env = host.read("env").unwrap();
    let expected = format!(
        "APPLICATION_NAME=shop\nBUNDLE_COMMIT=c0ffee\nDEPLOYMENT_GROUP_ID=web\n\
         DEPLOYMENT_GROUP_NAME=web\nDEPLOYMENT_ID=d-1\nHOME=/root\nLANG=C.UTF-8\n\
         LIFECYCLE_EVENT=AfterInstall\nLOGNAME=root\n\
         PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n\
         PIPEYARD_PREVIOUS_REVISION=\nPIPEYARD_PURPOSE=forward\nPIPEYARD_REVISION={digest}\n\
         PIPEYARD_TASK=t-1.1\n"
    );
    let without_shells_own: String = env
        .lines()
        .filter(|line| {
            !["PWD=", "OLDPWD=", "SHLVL=", "_=", "USER="].iter().any(|p| line.starts_with(p))
        })
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(without_shells_own, expected);
    assert!(env.contains("USER=root\n"));
    let release = host.state().join("releases/web").join(digest.as_str()).canonicalize().unwrap();
    assert_eq!(host.read("pwd").unwrap().trim(), release.display().to_string());
    assert_eq!(host.read("stdin").unwrap(), "");
    let prefix = "[AfterInstall] [scripts/s.sh]";
    for line in ["to out", "to err", "no end"] {
        assert!(done.log.contains(&format!("{prefix} {line}\n")), "{}", done.log);
    }
}

#[tokio::test]
async fn scripts_without_mode_or_interpreter_line_run_and_missing_ones_are_found_early() {
    let mut host = Host::new();
    let spec = appspec("  BeforeInstall: [{location: plain}]");
    let done = host.deploy(&[("appspec.yml", &spec), ("plain", "echo $0 > $HOST/ran")]).await;
    done.succeeded();
    assert!(host.read("ran").unwrap().ends_with("/plain\n"));

    let spec = appspec(
        "  BeforeInstall: [{location: plain}]\n  \
         ValidateService: [{location: no.sh}, {location: sub}]",
    );
    let failed = host.deploy(&[("appspec.yml", &spec), ("plain", "touch $HOST/touched")]).await;
    let error = failed.failed(ErrorCode::ScriptMissing);
    assert!(error.message.contains("no.sh") && error.message.contains("sub"), "{error:?}");
    assert!(!error.touched && host.read("touched").is_none());
}

#[tokio::test]
async fn a_script_that_ignores_term_is_killed_with_all_it_started() {
    let mut host = Host::new();
    let script = "#!/bin/sh\ntrap '' TERM\n\
                  sleep 300 & echo $! > $HOST/child\necho started\nwait\nsleep 300\n";
    let spec = appspec(
        "  BeforeInstall: [{location: slow.sh, timeout: 1}]\n  AfterInstall: [{location: slow.sh}]",
    );
    let started = Instant::now();
    let failed = host.deploy(&[("appspec.yml", &spec), ("slow.sh", script)]).await;
    let error = failed.failed(ErrorCode::ScriptTimedOut);
    assert_eq!(error.step.as_deref(), Some("BeforeInstall"));
    assert!(failed.log.contains("started"));
    assert!(started.elapsed() >= Duration::from_secs(1));
    let child = host.read("child").unwrap();
    wait_until("the child to end", || !is_alive(&child)).await;
}

#[tokio::test]
async fn runas_is_that_user_with_all_its_groups() {
    let mut host = Host::new();
    std::fs::set_permissions(host.path(""), std::os::unix::fs::PermissionsExt::from_mode(0o777))
        .unwrap();
    let script = "#!/bin/sh\n(id -un; id -G; echo $HOME $USER) > $HOST/who\n";
    let spec = appspec("  AfterInstall: [{location: who.sh, runas: daemon}]");
    host.deploy(&[("appspec.yml", &spec), ("who.sh", script)]).await.succeeded();
    let groups = std::process::Command::new("id").args(["-G", "daemon"]).output().unwrap();
    let groups = String::from_utf8(groups.stdout).unwrap();
    assert_eq!(host.read("who").unwrap(), format!("daemon\n{groups}/usr/sbin daemon\n"));

    let spec = appspec("  AfterInstall: [{location: who.sh, runas: no-such-user}]");
    let failed = host.deploy(&[("appspec.yml", &spec), ("who.sh", script)]).await;
    assert!(failed.failed(ErrorCode::AppspecInvalid).message.contains("no-such-user"));
}

#[tokio::test]
async fn a_child_that_keeps_the_output_open_is_named_and_lives_on() {
    let mut host = Host::new();
    let script = "#!/bin/sh\n(sleep 1; while :; do echo beat; \
                   echo x >> $HOST/beats; sleep 0.05; done) &\n\
                  echo $! > $HOST/child\n";
    let spec = appspec("  ApplicationStart: [{location: start.sh}]");
    let started = Instant::now();
    let done = host.deploy(&[("appspec.yml", &spec), ("start.sh", script)]).await;
    done.succeeded();
    assert!(started.elapsed() < Duration::from_secs(10));
    let child = host.read("child").unwrap();
    let warning = done.log.lines().find(|line| line.contains("keeps its output open"));
    let warning = warning.unwrap_or_else(|| panic!("no warning: {}", done.log));
    assert!(warning.contains(&format!("pid {}", child.trim())), "{warning}");
    // It would die of its next line if nobody read it.
    let beats = || host.read("beats").unwrap_or_default().len();
    let now = beats();
    wait_until("the child to go on", || beats() > now + 10).await;
    let pid = nix::unistd::Pid::from_raw(child.trim().parse().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
}

#[tokio::test]
async fn a_cancel_kills_the_script_but_a_lapsed_lease_lets_it_finish() {
    for (reason, finishes) in [(Reason::Controller, false), (Reason::LeaseLapsed, true)] {
        let host = Arc::new(Host::new());
        let script = "#!/bin/sh\necho $LIFECYCLE_EVENT >> $HOST/witness\n\
                      while [ ! -e $HOST/go ]; do [ -d $HOST ] || exit 9; sleep 0.02; done\n\
                      echo end >> $HOST/witness\n";
        let spec = appspec(
            "  BeforeInstall: [{location: s.sh}, {location: s.sh}]\n  \
             AfterInstall: [{location: s.sh}]",
        );
        let bundle = host.bundle(&[("appspec.yml", &spec), ("s.sh", script)]);
        let deploy = deploy(1, host.offer(&bundle));
        let cancel = Cancel::default();
        let ctx = host.context(1, cancel.clone());
        let running = host.clone();
        let run = tokio::spawn(async move { running.run(deploy, &ctx, false).await });
        wait_until("the script", || !host.witness().is_empty()).await;
        cancel.cancel(reason);
        if finishes {
            host.write("go", "");
        }
        let outcome = tokio::time::timeout(PATIENCE, run).await.unwrap().unwrap();
        let expected: &[&str] =
            if finishes { &["BeforeInstall", "end"] } else { &["BeforeInstall"] };
        assert_eq!(host.witness(), expected);
        match outcome {
            Outcome::Cancelled { touched, .. } if !finishes => assert!(touched),
            Outcome::Failed { error, .. } if finishes => {
                assert_eq!((error.code, error.touched), (ErrorCode::LeaseLapsed, true));
            }
            other => panic!("{reason:?}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn what_may_have_been_half_installed_before_a_restart_is_not_called_untouched() {
    let host = Host::new();
    for resume in [false, true] {
        let mut deploy = deploy(1, host.offer(b"never looked at"));
        deploy.group = "no/name".into();
        let ctx = host.context(1, Cancel::default());
        match host.run(deploy, &ctx, resume).await {
            Outcome::Failed { error, .. } => assert_eq!(error.touched, resume, "{error:?}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn an_interrupted_script_does_not_keep_a_half_installation_from_being_undone() {
    let host = Arc::new(Host::new());
    let script = "#!/bin/sh\necho begun >> $HOST/witness\nsleep 60\n";
    let spec = appspec("  AfterInstall: [{location: s.sh}]");
    let bundle = host.bundle(&[("appspec.yml", &spec), ("s.sh", script)]);
    let wish = deploy(1, host.offer(&bundle));
    let ctx = host.context(1, Cancel::default());
    let (running, again) = (host.clone(), wish.clone());
    let run = tokio::spawn(async move { running.run(again, &ctx, false).await });
    wait_until("the script", || !host.witness().is_empty()).await;
    run.abort();
    let _ = run.await;
    std::fs::create_dir(host.path("half")).unwrap();
    let half = serde_json::json!({
        "install": "x", "asides": [], "directories": [host.path("half")], "items": [],
        "removals": [], "leave": [], "attributes": [],
    });
    let undo = host.state().join("groups/web/undo.json");
    std::fs::write(&undo, half.to_string()).unwrap();
    let ctx = host.context(1, Cancel::default());
    match host.run(wish, &ctx, true).await {
        Outcome::Failed { error, .. } => assert_eq!(error.code, ErrorCode::Interrupted),
        other => panic!("{other:?}"),
    }
    assert!(!host.path("half").exists() && !undo.exists());
}

#[tokio::test]
async fn a_broken_stop_script_fails_the_deployment_unless_it_is_forgiven() {
    let mut host = Host::new();
    let script = "#!/bin/sh\necho $LIFECYCLE_EVENT >> $HOST/witness\n\
                  [ $LIFECYCLE_EVENT != ApplicationStop ]\n";
    let spec = appspec("  ApplicationStop: [{location: s.sh}]\n  AfterInstall: [{location: s.sh}]");
    let files = [("appspec.yml", spec.as_str()), ("s.sh", script)];
    host.deploy(&files).await.succeeded();
    let failed = host.deploy(&files).await;
    assert_eq!(failed.failed(ErrorCode::ScriptFailed).step.as_deref(), Some("ApplicationStop"));
    let forgiven = host.deploy_with(&files, |d| d.ignore_stop_failures = true).await;
    forgiven.succeeded();
    assert!(forgiven.log.contains("warning: script 's.sh' exited with 1"), "{}", forgiven.log);
    host.deploy_with(&files, |d| d.purpose = Purpose::Rollback).await.succeeded();

    // Somebody cleaned up by hand: nothing to run, and no reason to fail for ever.
    let good = host.installed()[0].digest.clone().unwrap();
    std::fs::remove_dir_all(host.state().join("releases/web").join(good.as_str())).unwrap();
    let other = [("appspec.yml", spec.as_str()), ("s.sh", script), ("new", "")];
    host.deploy(&other).await.succeeded();
}

/// An application that is healthy from its third answer on, except for the fifth; and when that
/// was.
async fn application() -> (String, Arc<Mutex<Option<Instant>>>) {
    let relapse = Arc::new(Mutex::new(None));
    let (seen, asked) = (relapse.clone(), Arc::new(AtomicU32::new(0)));
    let answer = move || {
        let n = asked.fetch_add(1, Ordering::SeqCst) + 1;
        if n == 5 {
            *seen.lock().unwrap() = Some(Instant::now());
        }
        let healthy = n >= 3 && n != 5;
        let status = if healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        async move { status }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/health", listener.local_addr().unwrap());
    let router = axum::Router::new().route("/health", axum::routing::get(answer));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, relapse)
}

#[tokio::test]
async fn health_has_to_last_without_a_break() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut host = Host::new();
    let (url, relapse) = application().await;
    let spec = appspec("  AfterInstall: [{location: s.sh}]");
    let files = [("appspec.yml", spec.as_str()), ("s.sh", "#!/bin/sh\n")];
    let health = |http: &str, timeout| Health {
        http: http.into(),
        status: 200,
        timeout: Millis(timeout),
        interval: Millis(10),
        healthy_for: Millis(300),
    };
    let done = host.deploy_with(&files, |d| d.health = Some(health(&url, 20_000))).await;
    done.succeeded();
    assert_eq!(done.steps().last().unwrap().0, "HealthCheck");
    let since = relapse.lock().unwrap().expect("it was asked five times").elapsed();
    assert!(since >= Duration::from_millis(300), "healthy for {since:?} only");

    let closed = health("http://127.0.0.1:9/health", 100);
    let failed = host.deploy_with(&files, |d| d.health = Some(closed)).await;
    let error = failed.failed(ErrorCode::HealthCheckFailed);
    assert!(error.touched && error.message.contains("127.0.0.1:9"), "{error:?}");
}
