//! `deploy-local`: a deployment to this host by the same code, without a controller.
//!
//! Its flags, its exit codes and its JSON are promises to scripts.

mod bundle;
mod print;

use super::engine::Job;
use super::group::Home;
use super::preview::{self, Sight};
use super::release;
use super::steps::{Work, is_of_the_old};
use crate::context::{
    Cache, Cancel, Content, Dirs, LogWriter, ProgressSender, Reason, Settings, Since, Spool,
    TaskContext, TaskJournal,
};
use crate::state::State;
use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use pipelines::ids::{DeploymentId, TaskId, is_name};
use pipelines::protocol::report::Outcome;
use pipelines::protocol::task::{Artifact, Deploy, Part, Purpose, Revision, TaskKey};
use pipelines::spec::appspec::{FileExists, SCRIPT_EVENTS};
use pipelines::spec::group::HooksPolicy;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[derive(Debug, Args)]
pub struct LocalArgs {
    /// The bundle: a directory, or an archive.
    #[arg(long)]
    bundle: PathBuf,
    /// What the bundle is; found out by looking at it if left out.
    #[arg(long = "type", value_enum)]
    kind: Option<BundleKind>,
    /// The agent's state directory. A second deployment with the same one is an update.
    #[arg(long, env = "PIPEYARD_STATE_DIR", default_value = "/var/lib/pipeyard-agent")]
    root: PathBuf,
    /// The deployment group that owns what is installed.
    #[arg(long, default_value = "LocalFleet")]
    group: String,
    /// The application's name, for hooks.
    #[arg(long, default_value = "local")]
    application: String,
    /// Only these events, in this order; DownloadBundle and Install are added.
    #[arg(long, value_delimiter = ',')]
    events: Vec<String>,
    /// For files that are in the way and of no earlier revision; an appspec's own choice wins.
    #[arg(long, value_enum, ignore_case = true)]
    file_exists_behavior: Option<Behavior>,
    /// The appspec's name, if it is neither appspec.yml nor appspec.yaml.
    #[arg(long)]
    appspec_filename: Option<String>,
    /// Change nothing; list files, hooks and what is in the way.
    #[arg(long)]
    plan: bool,
    /// How to print the result.
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum BundleKind {
    Directory,
    Zip,
    Tar,
    Tgz,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Behavior {
    #[value(name = "DISALLOW")]
    Disallow,
    #[value(name = "OVERWRITE")]
    Overwrite,
    #[value(name = "RETAIN")]
    Retain,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

impl From<Behavior> for FileExists {
    fn from(behavior: Behavior) -> FileExists {
        match behavior {
            Behavior::Disallow => FileExists::Disallow,
            Behavior::Overwrite => FileExists::Overwrite,
            Behavior::Retain => FileExists::Retain,
        }
    }
}

/// Whether it went well. `stop` resolves when the person at the keyboard has had enough.
///
/// # Errors
/// Wrong usage: what was asked for cannot be begun.
pub async fn run(args: LocalArgs, stop: impl Future<Output = ()>) -> Result<bool> {
    if !is_name(&args.group) {
        bail!("'{}' cannot name a group: use letters, digits, '-', '_' and '.'", args.group);
    }
    if !args.bundle.exists() {
        bail!("there is no bundle at {}", args.bundle.display());
    }
    if args.plan { show_plan(&args) } else { deploy(&args, stop).await }
}

async fn deploy(args: &LocalArgs, stop: impl Future<Output = ()>) -> Result<bool> {
    let state = State::open(&args.root)?;
    let own = tempfile::Builder::new().prefix("local-").tempdir_in(state.root())?;
    let archive = bundle::archive(&args.bundle, args.kind, own.path())?;
    let cache = Cache::open(&own.path().join("cache"), u64::MAX)?;
    let artifact = crate::context::measure(&archive)?;
    cache.take(&archive, &artifact, &own.path().join("spare"))?;

    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let id = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
    let cancel = Cancel::default();
    let spool = Arc::new(Spool::open(&own.path().join("log"))?);
    let ctx = context(id, &state, own.path(), cache, &spool, &cancel)?;
    let deploy = wish(args, id, artifact);
    let home = Home::open(state.root(), &args.group)?;
    let steps = steps(&args.events);
    let job = Job {
        deploy: &deploy,
        ctx: &ctx,
        home,
        steps,
        appspec_name: args.appspec_filename.clone(),
    };
    let shown = print::follow(spool.clone(), args.output);
    let running = job.run();
    tokio::pin!(running, stop);
    let outcome = tokio::select! {
        outcome = &mut running => outcome,
        () = &mut stop => {
            cancel.cancel(Reason::Shutdown);
            running.await
        }
    };
    shown.finish().await;
    print::result(&deploy, &outcome, &spool, args.output)?;
    Ok(matches!(outcome, Outcome::Succeeded { .. }))
}

fn context(
    id: i64,
    state: &State,
    own: &std::path::Path,
    cache: Cache,
    spool: &Arc<Spool>,
    cancel: &Cancel,
) -> Result<TaskContext> {
    let (progress, _) = ProgressSender::new();
    Ok(TaskContext {
        key: TaskKey { task: TaskId(id), attempt: 1 },
        log: LogWriter::new(spool.clone()),
        progress,
        cancel: cancel.clone(),
        content: Content::local(Arc::new(cache), cancel.clone()),
        dirs: Dirs { state: state.root().to_owned(), task: own.to_owned(), work: own.to_owned() },
        journal: TaskJournal::open(&own.join("journal"))?,
        settings: Arc::new(Settings::default()),
        since: Since::now_after(Duration::ZERO),
    })
}

fn wish(args: &LocalArgs, id: i64, bundle: Artifact) -> Deploy {
    let label = args.bundle.display().to_string();
    Deploy {
        deployment: DeploymentId(id),
        group: args.group.clone(),
        application: args.application.clone(),
        revision: Revision { bundle, commit: None, label },
        purpose: Purpose::Forward,
        parts: Part::WITHOUT_ROUTER.to_vec(),
        ignore_stop_failures: false,
        file_exists_behavior: args.file_exists_behavior.map(FileExists::from),
        keep_releases: 5,
        keep_bytes: None,
        health: None,
        hooks: HooksPolicy::default(),
        shared: Vec::new(),
        shared_directories: Vec::new(),
        pinned: Vec::new(),
    }
}

/// All events, as behind a load balancer; or those asked for, with the two that are always needed.
fn steps(asked: &[String]) -> Vec<Work> {
    let scripts = |event: &String| match event.as_str() {
        "Install" => Work::Install,
        _ => Work::Scripts(event.clone()),
    };
    let mut steps = vec![Work::Download];
    if asked.is_empty() {
        let all: Vec<String> = SCRIPT_EVENTS.iter().map(|&event| event.to_owned()).collect();
        steps.extend(all.iter().map(scripts));
        let after = all.iter().position(|event| event == "BeforeInstall").map_or(0, |at| at + 2);
        steps.insert(after, Work::Install);
        return steps;
    }
    steps.extend(asked.iter().filter(|event| *event != "DownloadBundle").map(scripts));
    if !steps.contains(&Work::Install) {
        // Before the first event that needs the new revision in place.
        let of_the_old = |work: &Work| match work {
            Work::Scripts(event) => is_of_the_old(event),
            Work::Download => true,
            Work::Install | Work::Health => false,
        };
        let at = steps.iter().position(|work| !of_the_old(work)).unwrap_or(steps.len());
        steps.insert(at, Work::Install);
    }
    steps
}

fn show_plan(args: &LocalArgs) -> Result<bool> {
    let temporary = tempfile::tempdir().context("making room to look into the bundle")?;
    let archive = bundle::archive(&args.bundle, args.kind, temporary.path())?;
    let deploy = wish(args, 0, crate::context::measure(&archive)?);
    let release = temporary.path().join("release");
    let (home, steps) = (Home::at(&args.root, &args.group), steps(&args.events));
    let seen = match release::put_in_place(&archive, temporary.path(), &release) {
        Ok(_) => preview::look(&Sight {
            home: &home,
            release: &release,
            deploy: &deploy,
            steps: &steps,
            appspec_name: args.appspec_filename.as_deref(),
            fetched: release::look(&home.release(&deploy.revision.bundle.digest), true).is_ok(),
        }),
        Err(fault) => preview::Seen::refused(fault),
    };
    print::plan(&seen, &release, args.output)?;
    Ok(seen.problems.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(asked: &[&str], expected: &[&str]) {
        let asked: Vec<String> = asked.iter().map(|&event| event.to_owned()).collect();
        let steps = steps(&asked);
        let names: Vec<&str> = steps.iter().map(Work::name).collect();
        assert_eq!(names, expected);
    }

    #[test]
    fn the_two_events_that_are_always_needed_are_added_where_they_are_needed() {
        check(
            &["ApplicationStart", "Custom"],
            &["DownloadBundle", "Install", "ApplicationStart", "Custom"],
        );
        check(
            &["ApplicationStop", "BeforeInstall"],
            &["DownloadBundle", "ApplicationStop", "Install", "BeforeInstall"],
        );
        check(
            &["BeforeInstall", "Install", "DownloadBundle"],
            &["DownloadBundle", "BeforeInstall", "Install"],
        );
        check(
            &[],
            &[
                "DownloadBundle",
                "BeforeBlockTraffic",
                "AfterBlockTraffic",
                "ApplicationStop",
                "BeforeInstall",
                "Install",
                "AfterInstall",
                "ApplicationStart",
                "ValidateService",
                "BeforeAllowTraffic",
                "AfterAllowTraffic",
            ],
        );
    }
}
