//! The sequence of a deployment: which steps, in which order, from which revision their scripts
//! come, and what their end means. The order and the environment are CodeDeploy's.

use super::events::is_of_the_old;
use super::fault::{Fault, Stop};
use super::group::{Home, Stand};
use super::preflight::{self, Read};
use super::recorder::Recorder;
use super::undo::{Settled, settle};
use super::{health, install, plan, release};
use crate::context::TaskContext;
use pipelines::protocol::report::{ErrorCode, Outcome, StepStatus, TaskError};
use pipelines::protocol::task::Deploy;
use pipelines::spec::appspec::{Appspec, Hook};
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

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    Download,
    Scripts(String),
    Install,
    Health,
}

impl Work {
    /// As people and the controller know it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Work::Download => "DownloadBundle",
            Work::Scripts(event) => event,
            Work::Install => "Install",
            Work::Health => "HealthCheck",
        }
    }

    /// The steps of a deployment without a router. The bundle comes first: it is verified and
    /// planned before the stop scripts run.
    #[must_use]
    pub fn in_place(with_health: bool) -> Vec<Work> {
        let scripts = |event: &str| Work::Scripts(event.to_owned());
        let mut steps = vec![
            Work::Download,
            scripts("ApplicationStop"),
            scripts("BeforeInstall"),
            Work::Install,
            scripts("AfterInstall"),
            scripts("ApplicationStart"),
            scripts("ValidateService"),
        ];
        steps.extend(with_health.then_some(Work::Health));
        steps
    }
}

/// The revision to be brought here, read and verified.
pub struct Target {
    pub path: PathBuf,
    pub appspec: Appspec,
}

/// Where a step's scripts come from.
pub struct Source {
    pub path: PathBuf,
    pub hooks: Vec<Hook>,
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
        if let Some(running) = record.interrupted() {
            return self.interrupted(&mut record, &running).await;
        }
        if let Err(fault) = settled {
            return failed(fault, Some("Install"), record.steps(), record.touched());
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
        match self.conclude().await {
            Ok(()) => {
                let (artifacts, exported) = (Vec::new(), BTreeMap::new());
                let steps = record.steps();
                Outcome::Succeeded { steps, artifacts, exported, answer: None }
            }
            Err(fault) => failed(fault, None, record.steps(), record.touched()),
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
        let target = match target {
            Some(target) => target.clone(),
            None => target.insert(Arc::new(self.read_target(false).await?)).clone(),
        };
        match work {
            Work::Download => Ok(None),
            Work::Scripts(event) => self.event(event, &target, record).await,
            Work::Install => self.install(&target, record).await.map(Some),
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

    async fn read_target(&self, aloud: bool) -> Result<Target, Fault> {
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

    /// The events whose scripts come from the revision that is deployed.
    #[must_use]
    pub fn events_of_the_new(steps: &[Work]) -> Vec<String> {
        let new = |work: &Work| match work {
            Work::Scripts(event) if !is_of_the_old(event) => Some(event.clone()),
            Work::Scripts(_) | Work::Download | Work::Install | Work::Health => None,
        };
        steps.iter().filter_map(new).collect()
    }

    async fn preflight(&self, target: Option<&Arc<Target>>) -> Result<(), Fault> {
        let Some(target) = target else { return Ok(()) };
        let events = Job::events_of_the_new(&self.steps);
        preflight::check_scripts(&target.path, &target.appspec, &events)?;
        let plan = self.plan(target).await?;
        for warning in &plan.warnings {
            self.say("DownloadBundle", &format!("warning: {warning}")).await;
        }
        let (files, removed) = (plan.items.len(), plan.removals.len());
        let text = format!("plan: {files} files to write, {removed} to remove, nothing in the way");
        self.say("DownloadBundle", &text).await;
        Ok(())
    }

    async fn plan(&self, target: &Arc<Target>) -> Result<plan::Plan, Fault> {
        let (home, target) = (self.home.clone(), target.clone());
        let of_group = self.deploy.file_exists_behavior;
        let planned =
            blocking(move || preflight::plan_now(&home, &target.path, &target.appspec, of_group));
        match planned.await? {
            Ok(plan) => Ok(plan),
            Err(problems) => {
                for problem in &problems {
                    self.say("DownloadBundle", &format!("error: {}", problem.text)).await;
                }
                Err(plan::fault(&problems))
            }
        }
    }

    async fn install(
        &self,
        target: &Arc<Target>,
        record: &mut Recorder<'_>,
    ) -> Result<String, Stop> {
        // Planned anew: a script may have changed the bundle or the host meanwhile.
        let plan = self.plan(target).await?;
        record.touch().await?;
        let (files, bytes) = (plan.items.len(), plan.bytes);
        let (home, stand) = (self.home.clone(), self.stand());
        blocking(move || install::install(&home, &plan, &stand)).await??;
        let message = format!("{files} files installed, {bytes} bytes");
        self.say("Install", &message).await;
        Ok(message)
    }

    fn stand(&self) -> Stand {
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

    pub async fn ended_early(&self, stop: Stop, name: &str, record: &mut Recorder<'_>) -> Outcome {
        let why = match &stop {
            Stop::Fault(fault) => fault.message.clone(),
            Stop::Told => "the task was told to stop".to_owned(),
        };
        record.end(name, StepStatus::Failed, Some(why));
        for work in &self.steps {
            record.skip(work.name(), &format!("{name} did not succeed"));
        }
        let touched = record.touched();
        match stop {
            Stop::Told => self.ctx.stopped(record.steps(), Some(name.to_owned()), touched),
            Stop::Fault(fault) => failed(fault, Some(name), record.steps(), touched),
        }
    }

    /// Only now is the revision the one to come back to.
    async fn conclude(&self) -> Result<(), Fault> {
        let (home, stand) = (self.home.clone(), self.stand());
        let (keep, pinned) = (self.deploy.keep_releases, self.deploy.pinned.clone());
        let removed = blocking(move || {
            let mut standing = home.standing()?;
            standing.history.retain(|digest| *digest != stand.digest);
            standing.history.push(stand.digest.clone());
            standing.good = Some(stand.clone());
            // Long histories help nobody; the controller has them.
            let old = standing.history.len().saturating_sub(100);
            standing.history.drain(..old);
            home.set_standing(&standing)?;
            let installed = home.manifest()?.map(|manifest| manifest.stand.digest);
            let wanted: Vec<_> = pinned.into_iter().chain(installed).collect();
            Ok(release::prune(&home, &standing, keep.saturating_add(1), &wanted))
        });
        let removed: std::io::Result<Vec<String>> = removed.await?;
        let removed = removed.map_err(|e| Fault::disk("noting the success", &e))?;
        if !removed.is_empty() {
            let names: Vec<&str> = removed.iter().map(|n| &n[..n.len().min(12)]).collect();
            self.ctx.log.say(&format!("old releases removed: {}", names.join(", "))).await;
        }
        Ok(())
    }
}

pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| Fault::new(ErrorCode::AgentError, format!("the agent made a mistake: {e}")))
}

fn failed(
    fault: Fault,
    step: Option<&str>,
    steps: Vec<pipelines::protocol::report::Step>,
    touched: bool,
) -> Outcome {
    let error = TaskError {
        code: fault.code,
        message: fault.message,
        step: step.map(str::to_owned),
        command: fault.script,
        touched,
    };
    Outcome::Failed { steps, error, artifacts: Vec::new() }
}
