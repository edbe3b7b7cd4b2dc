//! Builds against a real Docker engine, for tests. They need the image `debian:bookworm-slim`:
//! `scripts/base-image.sh debian:bookworm-slim` makes it, with or without a registry.
#![allow(dead_code, reason = "each test binary uses its own part")]

use agent::archive::{self, Format, Rules};
use agent::build::docker::Engine;
use agent::build::job::Job;
use agent::build::local::{LocalBuild, Surroundings, surroundings};
use agent::build::run_job;
use agent::context::Settings;
use pipelines::protocol::report::{ErrorCode, Outcome, Step, StepStatus};
use pipelines::protocol::task::EnvVar;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

pub const IMAGE: &str = "debian:bookworm-slim";
/// Longest any test waits for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// Makes the image if it is not there; once, however many tests there are.
pub fn need_image() {
    static MADE: OnceLock<Result<(), String>> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let made = std::process::Command::new("../scripts/base-image.sh").arg(IMAGE).output();
        let made = made.map_err(|e| e.to_string())?;
        let said = String::from_utf8_lossy(&made.stderr).into_owned();
        if made.status.success() { Ok(()) } else { Err(said) }
    });
    assert!(made.is_ok(), "these tests need Docker and {IMAGE}: {made:?}");
}

pub fn next() -> i64 {
    static NEXT: AtomicI64 = AtomicI64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

pub struct Builder {
    pub dir: tempfile::TempDir,
    pub build: LocalBuild,
    pub settings: Settings,
}

impl Builder {
    pub fn new(buildspec: &str) -> Builder {
        need_image();
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("source");
        std::fs::create_dir(&source).unwrap();
        // An agent of its own for every test: agents sweep up what is theirs.
        let agent_name = format!("test-{}-{}", std::process::id(), next());
        let settings = Settings { agent_name, ..Settings::default() };
        let build = LocalBuild {
            source,
            secondary: Vec::new(),
            buildspec: format!("version: 0.2\n{buildspec}"),
            image: IMAGE.to_owned(),
            env: Vec::new(),
        };
        Builder { dir, build, settings }
    }

    pub fn file(self, name: &str, text: &str) -> Builder {
        std::fs::write(self.build.source.join(name), text).unwrap();
        self
    }

    pub fn secret(mut self, name: &str, value: &str) -> Builder {
        let var = EnvVar { name: name.into(), value: value.into(), secret: true };
        self.build.env.push(var);
        self
    }

    /// The job, under a number of its own, and what it runs in.
    pub fn ready(&self) -> (Job, Surroundings) {
        let mut job = self.build.job().unwrap();
        job.key.task.0 = next();
        let around = surroundings(self.dir.path(), job.key, self.settings.clone()).unwrap();
        (job, around)
    }

    pub async fn run(&self) -> Ran {
        let (job, around) = self.ready();
        let outcome = run_within(&job, &around, false).await;
        Ran::of(&self.settings, outcome, &around).await
    }
}

/// A test that failed leaves nothing running either.
impl Drop for Builder {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let label = format!("label=pipeyard.agent={}", self.settings.agent_name);
        let docker = |args: &[&str]| std::process::Command::new("docker").args(args).output();
        let found = docker(&["ps", "-aq", "--filter", &label]).map(|found| found.stdout);
        for id in String::from_utf8_lossy(&found.unwrap_or_default()).lines() {
            let _ = docker(&["rm", "-fv", id]);
        }
    }
}

pub struct Ran {
    pub outcome: Outcome,
    pub log: String,
}

impl Ran {
    /// Checks what holds for every build: no container stays, no step runs on.
    pub async fn of(settings: &Settings, outcome: Outcome, around: &Surroundings) -> Ran {
        let key = around.ctx.key;
        let engine = Engine::at(None).await.unwrap();
        let left = engine.of_agent(&settings.agent_name).await.unwrap();
        let name = format!("-{}-{}", key.task, key.attempt);
        assert!(!left.iter().any(|other| other.ends_with(&name)), "left behind: {left:?}");
        let log = String::from_utf8_lossy(&around.log.read(0, 64 << 20).unwrap()).into_owned();
        let ran = Ran { outcome, log };
        let runs = ran.steps().iter().find(|step| step.status == StepStatus::Running);
        assert!(runs.is_none(), "{runs:?}\n{}", ran.log);
        ran
    }

    pub fn steps(&self) -> &[Step] {
        match &self.outcome {
            Outcome::Succeeded { steps, .. }
            | Outcome::Failed { steps, .. }
            | Outcome::Cancelled { steps, .. } => steps,
        }
    }

    pub fn step(&self, name: &str) -> &Step {
        let found = self.steps().iter().find(|step| step.name == name);
        found.unwrap_or_else(|| panic!("no step {name}: {:#?}\n{}", self.steps(), self.log))
    }

    pub fn code(&self) -> ErrorCode {
        match &self.outcome {
            Outcome::Failed { error, .. } => error.code,
            other => panic!("{other:?}\n{}", self.log),
        }
    }

    pub fn succeeded(&self) -> &BTreeMap<String, String> {
        match &self.outcome {
            Outcome::Succeeded { exported, .. } => exported,
            other => panic!("{other:?}\n{}", self.log),
        }
    }

    /// The log without the agent's own lines.
    pub fn output(&self) -> String {
        let own = |line: &&str| !line.starts_with("[pipeyard]");
        self.log.lines().filter(own).map(|line| format!("{line}\n")).collect()
    }

    pub async fn unpack(&self, around: &Surroundings, name: &str, to: &Path) {
        let (Outcome::Succeeded { artifacts, .. } | Outcome::Failed { artifacts, .. }) =
            &self.outcome
        else {
            panic!("{:?}", self.outcome)
        };
        let found = artifacts.iter().find(|artifact| artifact.name == name);
        let found = found.unwrap_or_else(|| panic!("no artifact {name}\n{}", self.log));
        let file = to.with_extension("tar.zst");
        around.ctx.content.fetch(&found.artifact, &file).await.unwrap();
        archive::unpack(&file, Format::TarZst, to, &Rules::default()).unwrap();
    }
}

/// Runs the job, with an end to all patience.
pub async fn run_within(job: &Job, around: &Surroundings, resume: bool) -> Outcome {
    let run = tokio::time::timeout(PATIENCE, run_job(job, &around.ctx, resume)).await;
    run.expect("the build ends")
}

/// Until the log holds `text`.
pub async fn wait_for(around: &Surroundings, text: &str) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let mut size = around.log.watch();
    loop {
        let log = around.log.read(0, 1 << 20).unwrap();
        let log = String::from_utf8_lossy(&log);
        if log.contains(&format!("\n{text}")) {
            return;
        }
        let changed = tokio::time::timeout_at(deadline, size.changed()).await;
        assert!(changed.is_ok(), "'{text}' never came: {log}");
    }
}
