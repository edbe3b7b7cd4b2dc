//! The sequence of a deployment: which steps, in which order, from which revision their scripts
//! come, and what their end means. The order and the environment are CodeDeploy's.

use super::ending::failed;
use super::fault::{Fault, Stop};
use super::group::{Home, Stand};
use super::plan::Problem;
use super::preflight::{self, Read};
use super::recorder::Recorder;
use super::steps::{Whose, Work, events_to_check, whose};
use super::undo::{Settled, settle};
use super::{health, install, plan, release};
use crate::context::TaskContext;
use pipelines::protocol::report::{ErrorCode, Outcome, StepStatus};
use pipelines::protocol::task::Deploy;
use pipelines::spec::appspec::Appspec;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// A deployment on this host.
pub struct Job<'a> {
    pub deploy: &'a Deploy,
    pub ctx: &'a TaskContext,
    pub home: Home,
    pub steps: Vec<Work>,
    /// Another name for the appspec than the usual ones.
    pub appspec_name: Option<String>,
}

/// The revision to be brought here, read and verified.
pub struct Target {
    pub path: PathBuf,
    pub appspec: Appspec,
}

impl Job<'_> {
    /// Runs it to its end, from where an earlier life of the agent left it.
    pub async fn run(self) -> Outcome {
        let mut record = match Recorder::open(self.ctx) {
            Ok(record) => record,
            Err(e) => {
                let fault = Fault::disk("reading the journal", &e);
                return failed(fault, None, Vec::new(), true);
            }
        };
        // Half an installation is never left behind, however the task ends.
        let settled = self.settle().await;
        if let Err(fault) = &settled {
            self.say("Install", &fault.message).await;
        }
        if let Some(failure) = record.failure() {
            return self.had_failed(&mut record, failure).await;
        }
        if let Some(running) = record.interrupted() {
            return self.interrupted(&mut record, &running).await;
        }
        if let Err(fault) = settled {
            return failed(fault, Some("Install"), record.steps(), true);
        }
        if let Err(fault) = self.look_at_before(&mut record).await {
            return failed(fault, None, record.steps(), record.touched());
        }
        let mut target = None;
        for work in &self.steps {
            if record.is_done(work.name()) {
                continue;
            }
            let name = work.name();
            if self.ctx.cancel.is_cancelled() {
                return self.ctx.stopped(record.steps(), Some(name.to_owned()), record.touched());
            }
            record.begin(name);
            match self.step(work, &mut target, &mut record).await {
                Ok(message) => record.end(name, StepStatus::Succeeded, message),
                Err(stop) => return self.ended_early(stop, name, &mut record).await,
            }
            if let Err(fault) = record.keep().await {
                return self.ended_early(fault.into(), name, &mut record).await;
            }
        }
        match self.conclude(&record).await {
            Ok(()) => {
                let (artifacts, exported) = (Vec::new(), BTreeMap::new());
                let steps = record.steps();
                Outcome::Succeeded { steps, artifacts, exported, answer: None }
            }
            Err(fault) => failed(fault, None, record.steps(), record.touched()),
        }
    }

    /// What earlier tasks of this deployment did, and whether what they fetched is still there.
    async fn look_at_before(&self, record: &mut Recorder<'_>) -> Result<(), Fault> {
        if self.touched_before()? {
            record.was_touched();
        }
        let fetches = self.steps.contains(&Work::Download);
        // Scripts may change their own revision, so it is compared before any of them runs.
        if fetches || !record.steps().is_empty() || !self.steps.iter().any(|w| self.needs_new(w)) {
            return Ok(());
        }
        let path = self.home.release(&self.bundle().digest);
        let whole = self.steps.contains(&Work::Install);
        match blocking(move || release::look(&path, whole)).await? {
            Ok(()) => Ok(()),
            Err(why) => Err(Fault::new(
                ErrorCode::AgentError,
                format!(
                    "revision {} was fetched earlier in this deployment, and now {why}; nothing \
                     was done. Start the deployment again",
                    self.bundle().digest.short()
                ),
            )),
        }
    }

    fn needs_new(&self, work: &Work) -> bool {
        match work {
            Work::Scripts(event) => whose(event, self.deploy) == Whose::New,
            Work::Install => true,
            Work::Download | Work::Health => false,
        }
    }

    pub async fn say(&self, step: &str, text: &str) {
        for line in text.lines() {
            self.ctx.log.say(&format!("[{step}] {line}")).await;
        }
    }

    async fn step(
        &self,
        work: &Work,
        target: &mut Option<Arc<Target>>,
        record: &mut Recorder<'_>,
    ) -> Result<Option<String>, Stop> {
        if *work == Work::Download {
            let message = release::provide(self.ctx, &self.home, self.bundle()).await?;
            self.say(work.name(), &message).await;
            *target = Some(Arc::new(self.read_target(true).await?));
            self.preflight(target.as_ref()).await?;
            return Ok(Some(message));
        }
        // After a restart of the agent the bundle is here, but what it says has to be read again.
        if target.is_none() && self.needs_new(work) {
            *target = Some(Arc::new(self.read_target(false).await?));
        }
        let new = target.clone();
        match work {
            Work::Scripts(event) => self.event(event, new.as_deref(), record).await,
            Work::Install => match new {
                Some(new) => self.install(&new, record).await.map(Some),
                None => Ok(None),
            },
            Work::Download => Ok(None),
            Work::Health => match &self.deploy.health {
                Some(health) => {
                    let message = health::check(health, &self.ctx.cancel).await?;
                    self.say(work.name(), &message).await;
                    Ok(Some(message))
                }
                None => Ok(None),
            },
        }
    }

    fn bundle(&self) -> &pipelines::protocol::task::Artifact {
        &self.deploy.revision.bundle
    }

    pub async fn read_target(&self, aloud: bool) -> Result<Target, Fault> {
        let path = self.home.release(&self.bundle().digest);
        let Read { appspec, warnings } =
            preflight::read_appspec(&path, self.appspec_name.as_deref())?;
        if aloud {
            for warning in warnings {
                self.say("DownloadBundle", &warning).await;
            }
        }
        Ok(Target { path, appspec })
    }

    async fn preflight(&self, target: Option<&Arc<Target>>) -> Result<(), Fault> {
        let Some(target) = target else { return Ok(()) };
        let events = events_to_check(&self.steps, self.deploy);
        preflight::check_scripts(&target.path, &target.appspec, &events)?;
        let (plan, mut problems) = self.plan(target).await?;
        let mut warnings = plan.warnings;
        if preflight::may_cure(&target.appspec, &self.steps) {
            let curable = problems.extract_if(.., |problem| problem.curable);
            warnings.extend(curable.map(|problem| problem.text + preflight::CURE));
        }
        for warning in &warnings {
            self.say("DownloadBundle", &format!("warning: {warning}")).await;
        }
        self.none_of(&problems).await?;
        let (files, removed) = (plan.items.len(), plan.removals.len());
        let rest = match plan.clashing.len() {
            0 => "nothing in the way".to_owned(),
            n => format!("{n} in the way"),
        };
        let text = format!("plan: {files} files to write, {removed} to remove, {rest}");
        self.say("DownloadBundle", &text).await;
        Ok(())
    }

    async fn plan(&self, target: &Arc<Target>) -> Result<(plan::Plan, Vec<Problem>), Fault> {
        let (home, target, deploy) = (self.home.clone(), target.clone(), self.deploy.clone());
        blocking(move || preflight::plan_now(&home, &target.path, &target.appspec, &deploy)).await
    }

    async fn none_of(&self, problems: &[Problem]) -> Result<(), Fault> {
        for problem in problems {
            self.say("DownloadBundle", &format!("error: {}", problem.text)).await;
        }
        if problems.is_empty() { Ok(()) } else { Err(plan::fault(problems)) }
    }

    async fn install(
        &self,
        target: &Arc<Target>,
        record: &mut Recorder<'_>,
    ) -> Result<String, Stop> {
        for directory in &self.deploy.shared_directories {
            self.make_shared(directory).await?;
        }
        // Planned anew: a script may have changed the bundle or the host meanwhile.
        let (plan, problems) = self.plan(target).await?;
        self.none_of(&problems).await?;
        record.touch().await?;
        let (files, bytes) = (plan.items.len(), plan.bytes);
        let (home, stand) = (self.home.clone(), self.stand());
        blocking(move || install::install(&home, &plan, &stand)).await??;
        let message = format!("{files} files installed, {bytes} bytes");
        self.say("Install", &message).await;
        Ok(message)
    }

    /// It belongs to no release, so nothing takes it back.
    async fn make_shared(&self, path: &str) -> Result<(), Stop> {
        let directory = PathBuf::from(path);
        if directory.exists() {
            return Ok(());
        }
        let made = blocking(move || std::fs::create_dir_all(&directory)).await?;
        made.map_err(|e| {
            let text = format!("cannot make the group's shared directory {path}: {e}");
            Fault::new(ErrorCode::InstallFailed, text)
        })?;
        self.say("Install", &format!("made {path}, which the group shares")).await;
        Ok(())
    }

    pub fn stand(&self) -> Stand {
        Stand { digest: self.bundle().digest.clone(), deployment: self.deploy.deployment }
    }

    async fn settle(&self) -> Result<(), Fault> {
        let home = self.home.clone();
        let settled = blocking(move || settle(&home)).await?;
        match settled {
            Ok(Settled::Undone) => {
                self.say("Install", "an installation that was cut off has been undone").await;
                Ok(())
            }
            Ok(Settled::Nothing | Settled::Finished) => Ok(()),
            Err(e) => Err(Fault::new(
                ErrorCode::InstallFailed,
                format!("an earlier installation was cut off and cannot be put back: {e}"),
            )),
        }
    }
}

pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| Fault::new(ErrorCode::AgentError, format!("the agent made a mistake: {e}")))
}
