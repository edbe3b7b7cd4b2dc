//! Builds on this machine without a controller, for `pipectl build --local` and for tests: the same
//! engine, with a directory for a source and a context that keeps everything to itself.

use super::job::{BadJob, Job, Source, SourceContent};
use crate::context::{
    Cache, Cancel, Content, Dirs, LogWriter, ProgressSender, Settings, Since, Spool, TaskContext,
    TaskJournal,
};
use pipelines::ids::{RunId, TaskId};
use pipelines::protocol::report::Step;
use pipelines::protocol::task::{Artifact, Build, EnvVar, TaskKey};
use pipelines::spec::buildspec;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;

/// The primary artifact's name where no pipeline gives it one.
pub const PRIMARY: &str = "primary";

/// What to build.
#[derive(Debug, Clone)]
pub struct LocalBuild {
    /// Copied; the build cannot change it.
    pub source: PathBuf,
    /// Directories by the names in `CODEBUILD_SRC_DIR_<name>`.
    pub secondary: Vec<(String, PathBuf)>,
    /// The buildspec's text.
    pub buildspec: String,
    pub image: String,
    /// Wins over the buildspec's variables; also holds the values of its secrets.
    pub env: Vec<EnvVar>,
}

impl LocalBuild {
    /// The job, with every artifact of the buildspec as an output.
    ///
    /// # Errors
    /// When the buildspec cannot be used.
    pub fn job(&self) -> Result<Job, BadJob> {
        let nothing = Artifact {
            digest: "0".repeat(64).parse().map_err(|_| BadJob("no digest".to_owned()))?,
            size: 0,
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let build = Build {
            run: RunId(1),
            pipeline: "local".to_owned(),
            action: "build".to_owned(),
            number: 1,
            image: self.image.clone(),
            buildspec: self.buildspec.clone(),
            source: nothing,
            secondary_sources: Vec::new(),
            env: self.env.clone(),
            outputs: outputs(&self.buildspec),
            initiator: std::env::var("USER").unwrap_or_else(|_| "local".to_owned()),
            source_version: String::new(),
            repository: self.source.display().to_string(),
            started_at: i64::try_from(now).unwrap_or(i64::MAX),
        };
        let key = TaskKey { task: TaskId(i64::from(std::process::id())), attempt: 1 };
        let mut job = Job::of(key, &build)?;
        let content = |path: &Path| SourceContent::Directory(path.to_owned());
        job.sources = vec![Source { directory: "src".into(), content: content(&self.source) }];
        for (name, path) in &self.secondary {
            let directory = Path::new("secondary").join(name);
            let inside = format!("{}/secondary/{name}", super::job::WORKSPACE);
            job.plan.env.insert(format!("CODEBUILD_SRC_DIR_{name}"), inside);
            job.sources.push(Source { directory, content: content(path) });
        }
        Ok(job)
    }
}

fn outputs(text: &str) -> Vec<String> {
    let spec = buildspec::parse(text).value;
    let Some(artifacts) = spec.and_then(|spec| spec.artifacts) else { return Vec::new() };
    let primary = artifacts.primary.is_some().then(|| PRIMARY.to_owned());
    primary.into_iter().chain(artifacts.secondary.into_keys()).collect()
}

/// A task's surroundings on this machine.
pub struct Surroundings {
    pub ctx: TaskContext,
    /// The log, to be followed.
    pub log: Arc<Spool>,
    pub steps: watch::Receiver<Vec<Step>>,
}

/// Makes surroundings in a directory of the caller's, who removes it afterwards. Artifacts are
/// fetched from `ctx.content` when the job is done.
///
/// # Errors
/// When the directory cannot be written.
pub fn surroundings(dir: &Path, key: TaskKey, settings: Settings) -> io::Result<Surroundings> {
    let work = dir.join("work");
    std::fs::create_dir_all(&work)?;
    let log = Arc::new(Spool::open(&dir.join("log"))?);
    let cache = Arc::new(Cache::open(&dir.join("cache"), u64::MAX)?);
    let cancel = Cancel::default();
    let (progress, steps) = ProgressSender::new();
    let ctx = TaskContext {
        key,
        log: LogWriter::new(log.clone()),
        progress,
        content: Content::local(cache, cancel.clone()),
        cancel,
        dirs: Dirs { state: dir.to_owned(), task: dir.to_owned(), work },
        journal: TaskJournal::open(&dir.join("journal"))?,
        settings: Arc::new(settings),
        since: Since::now_after(Duration::ZERO),
    };
    Ok(Surroundings { ctx, log, steps })
}
