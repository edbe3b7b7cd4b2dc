//! From a task to a running container. Speed matters here: the container is made while the source
//! is fetched and unpacked, and nothing is asked of Docker that is not needed.

use super::docker::{CreateError, Engine, NewContainer};
use super::docker::{LABEL_AGENT, LABEL_ATTEMPT, LABEL_TASK};
use super::driver::{self, Layout};
use super::job::{CONTROL, SOURCE, Source, SourceContent, WORKSPACE};
use super::steps::Steps;
use super::{Clock, Entry, Record, Run, docker_error, error, failed};
use crate::archive::{self, Format, Links, Rules};
use crate::context::ContentError;
use pipelines::protocol::report::{ErrorCode, Outcome, StepStatus, TaskError};
use rand::RngCore as _;
use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

const PROVISIONING: &str = "PROVISIONING";
const DOWNLOAD_SOURCE: &str = "DOWNLOAD_SOURCE";

/// Both halves of a launch report into the same steps.
struct Shared(Mutex<Steps>);

impl Shared {
    fn steps(&self) -> MutexGuard<'_, Steps> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Run<'_> {
    /// Starts the build's container, or says how the build ended before it could.
    pub(super) async fn launch(&self, engine: &Engine) -> Result<Record, Box<Outcome>> {
        let steps = Shared(Mutex::new(Steps::new(self.ctx.progress.clone(), Vec::new())));
        let started = match self.start(engine, &steps).await {
            Ok(record) => return Ok(record),
            Err(error) => error,
        };
        let now = self.ctx.since.elapsed();
        let mut steps = steps.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        if self.ctx.cancel.is_cancelled() {
            steps.cut(now, "stopped");
            let step = Some(PROVISIONING.to_owned());
            return Err(Box::new(self.ctx.stopped(steps.into_all(), step, false)));
        }
        self.ctx.log.say(&self.masks.text(&format!("[pipeyard] {}", started.message))).await;
        if let Some(step) = &started.step {
            steps.end(step, StepStatus::Failed, now, Some(started.message.clone()));
        }
        steps.cut(now, "the build could not start");
        Err(Box::new(failed(steps.into_all(), started)))
    }

    async fn start(&self, engine: &Engine, steps: &Shared) -> Result<Record, TaskError> {
        self.say_notes().await;
        let nonce = nonce();
        let now = self.ctx.since.elapsed();
        let log_offset = self.ctx.log.size();
        steps.steps().begin(PROVISIONING, now, log_offset);
        steps.steps().begin(DOWNLOAD_SOURCE, now, log_offset);
        self.lay_out(&nonce).await.map_err(|e| disk_error(&e, PROVISIONING))?;
        let (made, fetched) =
            tokio::join!(self.make_container(engine, steps), self.fetch_sources(steps));
        made?;
        fetched?;
        if self.ctx.cancel.is_cancelled() {
            return Err(error(ErrorCode::AgentError, "stopped".into(), Some(PROVISIONING)));
        }
        let record = Record {
            nonce,
            clock: Clock::now(self.ctx.since.elapsed()),
            log_base: self.ctx.log.size(),
            steps: steps.steps().all().to_vec(),
        };
        let entry = Entry::Starting(Box::new(record.clone()));
        self.ctx.journal.note(&entry).await.map_err(|e| disk_error(&e, PROVISIONING))?;
        engine.start(&self.container).await.map_err(|cause| {
            let text = cause.to_string();
            // The engine's way of saying that the image has no shell.
            let no_shell = text.contains("/bin/sh") && text.contains("no such file");
            if no_shell {
                let message = format!("the image {} has no /bin/sh", self.job.image);
                return error(ErrorCode::ImageUnavailable, message, Some(PROVISIONING));
            }
            docker_error("starting the container", &cause, PROVISIONING)
        })?;
        Ok(record)
    }

    async fn say_notes(&self) {
        let mut lines = String::new();
        for note in &self.job.notes {
            lines.push_str(&format!("[pipeyard] {note}\n"));
        }
        for name in self.masks.too_short() {
            lines.push_str(&format!(
                "[pipeyard] the secret {name} is too short to be masked: it would show in the log\n"
            ));
        }
        self.ctx.log.write(self.masks.text(&lines).as_bytes()).await;
    }

    /// The directories the container will see, empty but for the driver.
    async fn lay_out(&self, nonce: &str) -> io::Result<()> {
        let (root, control, workspace) = (self.root.clone(), self.control(), self.workspace());
        let (plan, nonce) = (self.job.plan.clone(), nonce.to_owned());
        blocking(move || {
            match std::fs::remove_dir_all(&root) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
            std::fs::create_dir_all(&workspace)?;
            let uid = nix::unistd::getuid();
            let agent = (!uid.is_root()).then(|| (uid.as_raw(), nix::unistd::getgid().as_raw()));
            let layout = Layout { control: CONTROL, workspace: WORKSPACE, source: SOURCE, agent };
            driver::write(&plan, &nonce, &layout, &control)
        })
        .await
    }

    async fn make_container(&self, engine: &Engine, steps: &Shared) -> Result<(), TaskError> {
        let image = &self.job.image;
        let policy = &self.ctx.settings.build;
        let unusable = |why| error(ErrorCode::AgentError, why, Some(PROVISIONING));
        policy.check().map_err(unusable)?;
        let new = self.container();
        let mut result = engine.create(&new, policy).await;
        if matches!(result, Err(CreateError::NameTaken)) {
            // Of an attempt that ended before anything ran. One that runs is nobody's to end here.
            let remove = engine.remove_unstarted(&self.container).await;
            remove.map_err(|e| docker_error("removing a container", &e, PROVISIONING))?;
            result = engine.create(&new, policy).await;
        }
        let absent = matches!(result, Err(CreateError::NoImage));
        if absent {
            self.pull(engine, steps).await?;
            result = engine.create(&new, policy).await;
        }
        result.map_err(|cause| {
            let message = format!("making a container of {image}: {cause}");
            error(ErrorCode::AgentError, message, Some(PROVISIONING))
        })?;
        let id = engine.image_id(image).await.unwrap_or_else(|| "unknown".to_owned());
        self.ctx.log.say(&format!("[pipeyard] image {image} ({id})")).await;
        let how = if absent { "pulled" } else { "present" };
        steps.steps().say(PROVISIONING, &format!("image {image} {how} ({id})"));
        Ok(())
    }

    async fn pull(&self, engine: &Engine, steps: &Shared) -> Result<(), TaskError> {
        let image = &self.job.image;
        let limit = self.ctx.settings.build.pull_max;
        let began = self.ctx.since.elapsed();
        steps.steps().say(PROVISIONING, &format!("pulling {image}"));
        self.ctx.log.say(&format!("[pipeyard] pulling {image}: it is not on this host")).await;
        let unavailable = |why: String| {
            let message = format!("the image {image} cannot be had: {why}");
            error(ErrorCode::ImageUnavailable, message, Some(PROVISIONING))
        };
        let pulled = tokio::select! {
            pulled = tokio::time::timeout(limit, engine.pull(image)) => pulled,
            () = self.ctx.cancel.cancelled() => return Err(unavailable("stopped".to_owned())),
        };
        match pulled {
            Err(_) => return Err(unavailable(format!("no end after {} s", limit.as_secs()))),
            Ok(Err(cause)) => return Err(unavailable(cause.to_string())),
            Ok(Ok(())) => {}
        }
        let took = pipelines::time::Millis(self.ctx.since.elapsed().0 - began.0);
        self.ctx.log.say(&format!("[pipeyard] pulled {image} in {took}")).await;
        Ok(())
    }

    fn container(&self) -> NewContainer<'_> {
        let words = ["/bin/sh", "/pipeyard/driver.sh", CONTROL];
        let label = |name: &str, value: String| (name.to_owned(), value);
        let control = self.control();
        NewContainer {
            name: &self.container,
            image: &self.job.image,
            command: words.map(str::to_owned).to_vec(),
            directory: WORKSPACE,
            labels: HashMap::from([
                label(LABEL_AGENT, self.ctx.settings.agent_name.clone()),
                label(LABEL_TASK, self.job.key.task.to_string()),
                label(LABEL_ATTEMPT, self.job.key.attempt.to_string()),
            ]),
            binds: vec![
                (self.workspace(), WORKSPACE.to_owned(), false),
                (control.clone(), CONTROL.to_owned(), true),
                (control.join("state"), format!("{CONTROL}/state"), false),
            ],
        }
    }

    async fn fetch_sources(&self, steps: &Shared) -> Result<(), TaskError> {
        let mut bytes = 0;
        for source in &self.job.sources {
            bytes += self.fetch_source(source).await?;
        }
        let message = format!("{bytes} bytes of source");
        let now = self.ctx.since.elapsed();
        steps.steps().end(DOWNLOAD_SOURCE, StepStatus::Succeeded, now, Some(message));
        Ok(())
    }

    /// Returns how many bytes of files the source holds.
    async fn fetch_source(&self, source: &Source) -> Result<u64, TaskError> {
        let target = self.workspace().join(&source.directory);
        let artifact = match &source.content {
            SourceContent::Artifact(artifact) => artifact,
            SourceContent::Directory(from) => {
                let from = from.clone();
                let copied = blocking(move || copy_tree(&from, &target)).await;
                return copied.map_err(|e| disk_error(&e, DOWNLOAD_SOURCE));
            }
        };
        let file = self.root.join("source.tar.zst");
        let fetched = self.ctx.content.fetch(artifact, &file).await;
        fetched.map_err(|e: ContentError| e.into_task_error(DOWNLOAD_SOURCE))?;
        let bytes_max = self.ctx.settings.build.source_bytes_max;
        let unpacked = tokio::task::spawn_blocking(move || {
            // Links may lead anywhere: only the container follows them.
            let rules = Rules { links: Links::Any, bytes_max, ..Rules::default() };
            let unpacked = archive::unpack(&file, Format::TarZst, &target, &rules);
            // The next source comes to the same place.
            let _ = std::fs::remove_file(&file);
            unpacked
        })
        .await
        .map_err(|e| error(ErrorCode::AgentError, e.to_string(), Some(DOWNLOAD_SOURCE)))?;
        unpacked.map(|unpacked| unpacked.bytes).map_err(|e| {
            let full =
                if e.is_disk_full() { ErrorCode::OutOfDisk } else { ErrorCode::BundleInvalid };
            error(full, format!("unpacking the source: {e}"), Some(DOWNLOAD_SOURCE))
        })
    }
}

/// Copies a directory as it is: links stay links, modes and times stay.
fn copy_tree(from: &Path, to: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for item in walkdir::WalkDir::new(from) {
        let item = item.map_err(io::Error::from)?;
        let target = to.join(item.path().strip_prefix(from).unwrap_or(item.path()));
        let kind = item.file_type();
        if kind.is_dir() {
            std::fs::create_dir_all(&target)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(std::fs::read_link(item.path())?, &target)?;
        } else if kind.is_file() {
            bytes += std::fs::copy(item.path(), &target)?;
            let modified = item.metadata().map_err(io::Error::from)?.modified()?;
            // A file without the owner's right to write cannot be opened for it; its time is lost.
            if let Ok(file) = std::fs::File::options().append(true).open(&target) {
                file.set_modified(modified)?;
            }
        }
    }
    Ok(bytes)
}

fn nonce() -> String {
    let mut bytes = [0; 16];
    rand::rng().fill_bytes(&mut bytes);
    hex::encode(bytes)
}

fn disk_error(cause: &io::Error, step: &str) -> TaskError {
    let code = match cause.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorCode::OutOfDisk,
        _ => ErrorCode::AgentError,
    };
    error(code, format!("preparing the workspace: {cause}"), Some(step))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
