//! Lifecycle events: from which revision their scripts come, what the scripts are told, and what it
//! means when one fails. By CodeDeploy's rules; where it hurts its users, by better ones.

use super::engine::{Job, Source, Target, blocking};
use super::fault::{Fault, Stop};
use super::group::Standing;
use super::preflight;
use super::processes::MARK;
use super::recorder::{Recorder, Running};
use super::script::{Ended, Script};
use pipelines::protocol::report::{ErrorCode, Outcome};
use pipelines::protocol::task::Purpose;
use pipelines::spec::appspec::Hook;
use pipelines::time::Millis;
use std::path::Path;
use std::time::Instant;

/// Whether an event is about what ran before, and so uses the last successful revision's scripts.
pub fn is_of_the_old(event: &str) -> bool {
    matches!(event, "ApplicationStop" | "BeforeBlockTraffic" | "AfterBlockTraffic")
}

impl Job<'_> {
    pub async fn event(
        &self,
        event: &str,
        target: &Target,
        record: &mut Recorder<'_>,
    ) -> Result<Option<String>, Stop> {
        let standing = self.standing()?;
        let of_the_old = is_of_the_old(event);
        let source = if of_the_old {
            self.old_source(event, &standing).await
        } else {
            let hooks = target.appspec.hooks.get(event).cloned().unwrap_or_default();
            Some(Source { path: target.path.clone(), hooks })
        };
        let Some(source) = source else { return Ok(None) };
        // A script may have failed just before the agent died. It is not run again, nor passed
        // over.
        if let Some(command) = record.failed_script(event)
            && !(of_the_old && self.forgives_stop_failures())
        {
            let message = format!("script '{}' failed", command.text);
            return Err(Fault::of_script(ErrorCode::ScriptFailed, &command.text, message).into());
        }
        let env = self.environment(event, &standing);
        for hook in source.hooks.iter().skip(record.scripts_done(event)) {
            if self.ctx.cancel.is_cancelled() {
                return Err(Stop::Told);
            }
            match self.script(event, hook, &source.path, &env, record).await {
                Err(Stop::Fault(fault)) if of_the_old && self.forgives_stop_failures() => {
                    let text = format!("warning: {}; going on all the same", fault.message);
                    self.say(event, &text).await;
                    return Ok(Some(text));
                }
                result => result?,
            }
        }
        Ok(None)
    }

    /// A rollback must not be held up by what it replaces.
    fn forgives_stop_failures(&self) -> bool {
        self.deploy.ignore_stop_failures || self.deploy.purpose == Purpose::Rollback
    }

    fn standing(&self) -> Result<Standing, Fault> {
        self.home.standing().map_err(|e| Fault::disk("reading what was deployed before", &e))
    }

    /// The last successful revision's scripts. If somebody removed or broke it, the host heals with
    /// the next success; failing here for ever would help nobody.
    async fn old_source(&self, event: &str, standing: &Standing) -> Option<Source> {
        let good = standing.good.as_ref()?;
        let path = self.home.release(&good.digest);
        // The old revision may have used the usual name, whatever this one is called.
        let named = self.appspec_name.as_deref().filter(|name| path.join(name).exists());
        match preflight::read_appspec(&path, named) {
            Ok(mut read) => {
                let hooks = read.appspec.hooks.remove(event).unwrap_or_default();
                Some(Source { path, hooks })
            }
            Err(fault) => {
                let short = good.digest.short();
                let why = fault.message;
                let text =
                    format!("warning: nothing is run: the old revision {short} is gone: {why}");
                self.say(event, &text).await;
                None
            }
        }
    }

    async fn script(
        &self,
        event: &str,
        hook: &Hook,
        release: &Path,
        env: &[(String, String)],
        record: &mut Recorder<'_>,
    ) -> Result<(), Stop> {
        let location = &hook.location;
        let (log, cancel) = (&self.ctx.log, &self.ctx.cancel);
        let script = Script { event, release, hook, env, log, cancel };
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
            Ended::TimedOut(limit) => {
                (ErrorCode::ScriptTimedOut, format!("did not end within {limit} and was killed"))
            }
        };
        let message = format!("script '{location}' {what}");
        self.say(event, &message).await;
        Err(Fault::of_script(code, location, message).into())
    }

    fn environment(&self, event: &str, standing: &Standing) -> Vec<(String, String)> {
        let deploy = self.deploy;
        let purpose = match deploy.purpose {
            Purpose::Forward => "forward",
            Purpose::Rollback => "rollback",
        };
        let previous = standing.good.as_ref().map_or("", |good| good.digest.as_str());
        let key = self.ctx.key;
        let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        [
            ("LIFECYCLE_EVENT", event),
            ("DEPLOYMENT_ID", &deploy.deployment.to_string()),
            ("APPLICATION_NAME", &deploy.application),
            ("DEPLOYMENT_GROUP_NAME", &deploy.group),
            ("DEPLOYMENT_GROUP_ID", &deploy.group),
            ("BUNDLE_COMMIT", deploy.revision.commit.as_deref().unwrap_or("")),
            ("PIPEYARD_PURPOSE", purpose),
            ("PIPEYARD_REVISION", deploy.revision.bundle.digest.as_str()),
            ("PIPEYARD_PREVIOUS_REVISION", previous),
            (MARK, &format!("{}.{}", key.task, key.attempt)),
        ]
        .map(pair)
        .to_vec()
    }

    /// Ends what an interrupted script left running. It is not run again: nobody knows how far it
    /// got.
    pub async fn interrupted(&self, record: &mut Recorder<'_>, running: &Running) -> Outcome {
        let (event, location) = (&running.event, &running.location);
        let mark = format!("{}.{}", self.ctx.key.task, self.ctx.key.attempt);
        let group = running.group.clone();
        let was_there = blocking(move || group.end_leftover(&mark)).await.unwrap_or(false);
        let rest = if was_there { "; what was left of it was ended" } else { "" };
        let message = format!(
            "the agent died while script '{location}' of {event} ran; it is not run again{rest}"
        );
        self.say(event, &message).await;
        let fault = Fault::of_script(ErrorCode::Interrupted, location, message);
        self.ended_early(fault.into(), event, record).await
    }
}
