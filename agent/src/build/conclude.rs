//! How a build went, and what it left: artifacts and exported variables.

use super::artifacts::{self, NothingThere};
use super::beneath::Tree;
use super::docker::State;
use super::job::{CONTROL, Output, SOURCE, WORKSPACE};
use super::session::End;
use super::steps::Steps;
use super::watch::Watched;
use super::{Run, error, failed};
use pipelines::protocol::report::{ErrorCode, Outcome, StepStatus, TaskError};
use pipelines::protocol::task::NamedArtifact;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

const UPLOAD_ARTIFACTS: &str = "UPLOAD_ARTIFACTS";
const FINALIZING: &str = "FINALIZING";
/// Longest value of an exported variable, and longest expanded text.
const TEXT_MAX: u64 = 64 << 10;
/// Warnings about single files that are worth reading.
const WARNINGS_MAX: usize = 20;

impl Run<'_> {
    pub(super) async fn conclude(&self, watched: Watched<'_>) -> Outcome {
        let failure = self.failure(&watched);
        let Watched { session, .. } = watched;
        let at = session.at();
        let phase = session.phase();
        let upload = matches!(session.end(), Some(End::Finished { upload: true, .. }));
        let mut steps = session.steps;
        if self.ctx.cancel.is_cancelled() {
            steps.cut(at, "stopped");
            return self.ctx.stopped(steps.into_all(), phase.map(str::to_owned), false);
        }
        if let Some(error) = &failure {
            steps.cut(at, &error.message);
        }
        let (artifacts, missed) = self.upload(&mut steps, upload).await;
        if self.ctx.cancel.is_cancelled() {
            return self.ctx.stopped(steps.into_all(), Some(UPLOAD_ARTIFACTS.to_owned()), false);
        }
        let now = self.ctx.since.elapsed();
        steps.begin(FINALIZING, now, self.ctx.log.size());
        let exported = self.exported().await;
        steps.end(FINALIZING, StepStatus::Succeeded, self.ctx.since.elapsed(), None);
        let steps = steps.into_all();
        match failure.or(missed) {
            None => Outcome::Succeeded { steps, artifacts, exported, answer: None },
            Some(error) if artifacts.is_empty() => failed(steps, error),
            Some(error) => Outcome::Failed { steps, error, artifacts },
        }
    }

    /// Why the build failed, if it did.
    fn failure(&self, watched: &Watched<'_>) -> Option<TaskError> {
        let session = &watched.session;
        let out_of_memory = matches!(watched.state, Some(State::Ended { out_of_memory: true, .. }));
        match (session.end(), session.failure()) {
            (Some(End::Finished { succeeded: true, .. }), _) => None,
            (Some(End::Refused(why)), _) => {
                Some(error(ErrorCode::BuildspecInvalid, why.clone(), Some("PROVISIONING")))
            }
            (Some(End::Finished { .. }), Some(failure)) => {
                // The engine's word counts only when nothing else explains the signal.
                let memory = failure.out_of_memory || out_of_memory && failure.status == 137;
                let code = if memory { ErrorCode::OutOfMemory } else { ErrorCode::CommandFailed };
                let mut error = error(code, failure.sentence(), Some(failure.phase));
                error.command = Some(failure.command.clone());
                Some(error)
            }
            (Some(End::Finished { .. }), None) => {
                let message = "the build was stopped from inside its container".to_owned();
                Some(error(ErrorCode::CommandFailed, message, session.phase()))
            }
            (None, _) => Some(self.killed(watched, out_of_memory)),
        }
    }

    /// The driver never said how it ended.
    fn killed(&self, watched: &Watched<'_>, out_of_memory: bool) -> TaskError {
        let step = watched.session.phase();
        if out_of_memory {
            let message = "the build ran out of memory and was killed".to_owned();
            return error(ErrorCode::OutOfMemory, message, step);
        }
        let message = match (&watched.trouble, watched.state) {
            (Some(trouble), _) => trouble.clone(),
            (None, Some(State::Ended { exit_code, .. })) => {
                format!("the build's container was ended from outside (exit code {exit_code})")
            }
            (None, Some(State::Created | State::Running) | None) => {
                "the build's container is gone".to_owned()
            }
        };
        error(ErrorCode::AgentError, message, step)
    }

    async fn upload(
        &self,
        steps: &mut Steps,
        upload: bool,
    ) -> (Vec<NamedArtifact>, Option<TaskError>) {
        let now = self.ctx.since.elapsed();
        let log = self.ctx.log.size();
        let skipped = match (upload, self.job.outputs.is_empty()) {
            (false, _) => Some("the build ended before there was anything to upload"),
            (true, true) => Some("nobody asked for an artifact"),
            (true, false) => None,
        };
        if let Some(why) = skipped {
            steps.skip(UPLOAD_ARTIFACTS, now, log, why);
            return (Vec::new(), None);
        }
        steps.begin(UPLOAD_ARTIFACTS, now, log);
        let mut artifacts = Vec::new();
        let mut missed = None;
        for output in &self.job.outputs {
            match self.upload_one(output).await {
                Ok(artifact) => artifacts.push(artifact),
                Err(error) => {
                    self.ctx.log.say(&format!("[pipeyard] {}", error.message)).await;
                    missed.get_or_insert(error);
                }
            }
        }
        let status = if missed.is_none() { StepStatus::Succeeded } else { StepStatus::Failed };
        let message = missed.as_ref().map(|error| error.message.clone());
        steps.end(UPLOAD_ARTIFACTS, status, self.ctx.since.elapsed(), message);
        (artifacts, missed)
    }

    async fn upload_one(&self, output: &Output) -> Result<NamedArtifact, TaskError> {
        let name = output.name.clone();
        let mut set = output.set.clone();
        if let Some(text) = output.base_directory_text.and_then(|index| self.expanded(index)) {
            set.base_directory = Some(text);
        }
        let tree = Tree { host: self.workspace(), inside: WORKSPACE.into() };
        let file = self.root.join(format!("{name}.tar.zst"));
        let to = file.clone();
        let packed = tokio::task::spawn_blocking(move || {
            let selected = artifacts::select(&tree, Path::new(SOURCE), &set)?;
            artifacts::pack(&selected, &to)?;
            Ok::<_, NothingThere>((selected.entries.len(), selected.warnings))
        })
        .await
        .map_err(|e| error(ErrorCode::AgentError, e.to_string(), Some(UPLOAD_ARTIFACTS)))?;
        let (files, warnings) = packed.map_err(|cause| nothing_there(&name, &cause))?;
        let mut lines = String::new();
        for warning in warnings.iter().take(WARNINGS_MAX) {
            lines.push_str(&format!("[pipeyard] {warning}\n"));
        }
        if warnings.len() > WARNINGS_MAX {
            let more = warnings.len() - WARNINGS_MAX;
            lines.push_str(&format!("[pipeyard] artifacts: {more} more warnings\n"));
        }
        let artifact = self.ctx.content.upload(&file).await;
        let artifact = artifact.map_err(|e| e.into_task_error(UPLOAD_ARTIFACTS))?;
        let title = output.title_text.and_then(|index| self.expanded(index));
        let title = title.map(|title| format!(" '{title}'")).unwrap_or_default();
        let (size, digest) = (artifact.size, artifact.digest.short());
        lines.push_str(&format!(
            "[pipeyard] artifact {name}{title}: {files} files, {size} bytes, sha256:{digest}\n"
        ));
        self.ctx.log.write(self.masks.text(&lines).as_bytes()).await;
        Ok(NamedArtifact { name, artifact })
    }

    async fn exported(&self) -> BTreeMap<String, String> {
        let names = self.job.plan.exported.iter();
        // A value that came from a secret must not leave by this door either.
        names.filter_map(|name| Some((name.clone(), self.masks.text(&self.left(name)?)))).collect()
    }

    fn expanded(&self, index: usize) -> Option<String> {
        self.left(&format!("text-{index}")).filter(|text| !text.is_empty())
    }

    /// What the driver left under that name. The directory was writable for the build: it may hold
    /// anything, links to this host's files above all.
    fn left(&self, name: &str) -> Option<String> {
        let state = format!("{CONTROL}/state");
        let tree = Tree { host: self.control().join("state"), inside: state.into() };
        let path = tree.find(&Path::new("out").join(name)).ok()?;
        let mut bytes = Vec::new();
        Tree::open(&path).ok()?.take(TEXT_MAX).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }
}

fn nothing_there(name: &str, cause: &NothingThere) -> TaskError {
    let code = match cause {
        NothingThere::Base { .. } | NothingThere::Files(_) => ErrorCode::ArtifactMissing,
        NothingThere::Io(e) if e.kind() == std::io::ErrorKind::StorageFull => ErrorCode::OutOfDisk,
        NothingThere::Io(_) => ErrorCode::AgentError,
    };
    error(code, format!("artifact {name}: {cause}"), Some(UPLOAD_ARTIFACTS))
}
