//! Lifecycle events: from which revision their scripts come, and what it means when one fails. By
//! CodeDeploy's rules; where it hurts its users, by better ones.

use super::engine::{Job, Target};
use super::fault::{Fault, Stop};
use super::group::Standing;
use super::recorder::Recorder;
use super::script::{Ended, Script};
use super::sources::{From, Source, kept, source_of};
use super::steps::{ON_ROLLBACK, is_of_the_old};
use crate::context::Cancel;
use pipelines::protocol::report::ErrorCode;
use pipelines::protocol::task::Purpose;
use pipelines::spec::appspec::Hook;
use pipelines::time::Millis;
use std::time::Instant;

/// The scripts of one event, and what they are given.
pub struct Scripts<'e> {
    pub event: &'e str,
    pub source: Source,
    pub env: Vec<(String, String)>,
    /// For all of them together.
    pub limit: Millis,
    pub cancel: &'e Cancel,
}

impl Job<'_> {
    /// `target` is needed where the scripts are the new revision's.
    pub async fn event(
        &self,
        event: &str,
        target: Option<&Target>,
        record: &mut Recorder<'_>,
    ) -> Result<Option<String>, Stop> {
        let standing = self.standing()?;
        let Some(source) = self.source(event, target, &standing).await? else { return Ok(None) };
        let only_warns = self.only_warns(event);
        // A script may have failed just before the agent died. It is not run again, nor passed
        // over.
        if let Some(command) = record.failed_script(event)
            && !only_warns
        {
            let message = format!("script '{}' failed", command.text);
            return Err(Fault::of_script(ErrorCode::ScriptFailed, &command.text, message).into());
        }
        let env = self.environment(event, &standing);
        let (limit, cancel) = (self.deploy.hooks.timeout, &self.ctx.cancel);
        let scripts = Scripts { event, source, env, limit, cancel };
        match self.scripts(&scripts, record).await {
            Err(Stop::Fault(fault)) if only_warns => {
                let text = format!("warning: {}; going on all the same", fault.message);
                self.say(event, &text).await;
                Ok(Some(text))
            }
            result => result.map(|()| None),
        }
    }

    /// A rollback must not be held up by what it replaces.
    fn only_warns(&self, event: &str) -> bool {
        let forgiven = self.deploy.ignore_stop_failures || self.deploy.purpose == Purpose::Rollback;
        event == ON_ROLLBACK || (is_of_the_old(event) && forgiven)
    }

    pub fn standing(&self) -> Result<Standing, Fault> {
        self.home.standing().map_err(|e| Fault::disk("reading what was deployed before", &e))
    }

    /// None: there is no such revision, and so nothing to run. If somebody removed or broke it, the
    /// host heals with the next success; failing here for ever would help nobody.
    async fn source(
        &self,
        event: &str,
        target: Option<&Target>,
        standing: &Standing,
    ) -> Result<Option<Source>, Fault> {
        let digest = match source_of(event, self.deploy, &self.home, standing)? {
            From::New => {
                return Ok(target.map(|target| {
                    let hooks = target.appspec.hooks.get(event).cloned().unwrap_or_default();
                    Source { path: target.path.clone(), hooks }
                }));
            }
            From::Nobody => return Ok(None),
            From::Kept(digest) => digest,
        };
        match kept(event, &digest, &self.home, self.appspec_name.as_deref()) {
            Ok(source) => Ok(Some(source)),
            Err(why) => {
                self.say(event, &format!("warning: {why}")).await;
                Ok(None)
            }
        }
    }

    /// Runs those that have not run yet, in their order.
    pub async fn scripts(
        &self,
        scripts: &Scripts<'_>,
        record: &mut Recorder<'_>,
    ) -> Result<(), Stop> {
        for hook in scripts.source.hooks.iter().skip(record.scripts_done(scripts.event)) {
            if scripts.cancel.is_cancelled() {
                return Err(Stop::Told);
            }
            self.script(scripts, hook, record).await?;
        }
        Ok(())
    }

    async fn script(
        &self,
        scripts: &Scripts<'_>,
        hook: &Hook,
        record: &mut Recorder<'_>,
    ) -> Result<(), Stop> {
        let Scripts { event, source, env, limit, cancel } = scripts;
        let (event, location, release) = (*event, &hook.location, source.path.as_path());
        let used_up = || format!("all scripts of {event} together may take {limit}");
        let left = Millis(limit.0.saturating_sub(record.since_begin(event).0));
        if left == Millis::ZERO {
            let message = format!("script '{location}' is not run: {}", used_up());
            self.say(event, &message).await;
            return Err(Fault::of_script(ErrorCode::ScriptTimedOut, location, message).into());
        }
        let log = &self.ctx.log;
        let script = Script { event, release, hook, env, left, log, cancel };
        let started = Instant::now();
        let ended = script.run(|group| record.script_begins(event, location, group)).await;
        let took = Millis(u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX));
        let exit_code = ended.as_ref().ok().and_then(|ended| ended.exit_code());
        // Also when it could not be attended to: a later life would take it for interrupted.
        let noted = match record.interrupted() {
            Some(_) => record.script_ended(event, exit_code, took).await,
            None => Ok(()),
        };
        let ended = ended?;
        noted?;
        let (code, what) = match ended {
            Ended::Exit(0) => return Ok(()),
            Ended::Told => return Err(Stop::Told),
            Ended::Exit(code) => (ErrorCode::ScriptFailed, format!("exited with {code}")),
            Ended::Signal(signal) => {
                (ErrorCode::ScriptFailed, format!("was killed by signal {signal}"))
            }
            Ended::TimedOut(after) if after == left => {
                (ErrorCode::ScriptTimedOut, format!("was killed after {after}: {}", used_up()))
            }
            Ended::TimedOut(limit) => {
                (ErrorCode::ScriptTimedOut, format!("did not end within {limit} and was killed"))
            }
        };
        let message = format!("script '{location}' {what}");
        self.say(event, &message).await;
        Err(Fault::of_script(code, location, message).into())
    }
}
