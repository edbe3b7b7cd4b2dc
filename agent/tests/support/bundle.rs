//! Bundles made from a list of files, and a host to deploy them to without any controller.

use agent::context::{
    Cache, Cancel, Content, Dirs, LogWriter, ProgressSender, Settings, Since, Spool, TaskContext,
    TaskJournal,
};
use pipelines::ids::{DeploymentId, TaskId};
use pipelines::protocol::poll::Installed;
use pipelines::protocol::report::{ErrorCode, Outcome, Step, StepStatus, TaskError};
use pipelines::protocol::task::{Artifact, Deploy, Part, Purpose, Revision, Task, TaskKey, Work};
use pipelines::spec::appspec::FileExists;
use pipelines::spec::group::{Health, HooksPolicy};
use pipelines::time::Millis;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Files by path. A content of `-> x` is a link to x; names ending in `.sh` are executable.
pub fn tar_zst(files: &[(&str, &str)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(zstd::Encoder::new(Vec::new(), 1).unwrap());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(if path.ends_with(".sh") { 0o755 } else { 0o644 });
        if let Some(to) = content.strip_prefix("-> ") {
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            tar.append_link(&mut header, path, to).unwrap();
        } else {
            header.set_size(content.len() as u64);
            tar.append_data(&mut header, path, content.as_bytes()).unwrap();
        }
    }
    tar.into_inner().unwrap().finish().unwrap()
}

pub fn artifact(bytes: &[u8]) -> Artifact {
    let digest = hex::encode(Sha256::digest(bytes)).parse().unwrap();
    Artifact { digest, size: bytes.len() as u64 }
}

/// A host: a state directory, and a directory that appspecs may write to.
pub struct Host {
    dir: tempfile::TempDir,
    cache: Arc<Cache>,
    next: i64,
}

/// What one deployment did.
pub struct Done {
    pub outcome: Outcome,
    pub log: String,
    pub artifact: Artifact,
}

impl Host {
    pub fn new() -> Host {
        let dir = tempfile::tempdir().unwrap();
        // Other users run hooks here.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(dir.path(), open).unwrap();
        std::fs::create_dir(dir.path().join("host")).unwrap();
        let cache = Cache::open(&dir.path().join("state/cache"), 1 << 30).unwrap();
        Host { dir, cache: Arc::new(cache), next: 0 }
    }

    pub fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// A path on the host.
    pub fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join("host").join(path)
    }

    pub fn read(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.path(path)).ok()
    }

    pub fn write(&self, path: &str, content: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// The lines of the witness file, to which hooks append.
    pub fn witness(&self) -> Vec<String> {
        self.read("witness").unwrap_or_default().lines().map(str::to_owned).collect()
    }

    /// Everything below a directory, for comparing before and after.
    pub fn tree(&self, below: &str) -> Vec<String> {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        let top = self.path(below);
        let mut lines = Vec::new();
        for entry in walkdir::WalkDir::new(&top).sort_by_file_name().min_depth(1) {
            let entry = entry.unwrap();
            let meta = entry.metadata().unwrap();
            let name = entry.path().strip_prefix(&top).unwrap().display().to_string();
            let content = match entry.file_type() {
                kind if kind.is_dir() => "/".to_owned(),
                kind if kind.is_symlink() => {
                    format!(" -> {}", std::fs::read_link(entry.path()).unwrap().display())
                }
                _ => format!(" = {:?}", std::fs::read_to_string(entry.path()).unwrap()),
            };
            let (mode, uid) = (meta.permissions().mode() & 0o7777, meta.uid());
            lines.push(format!("{name}{content} {mode:o} {uid}"));
        }
        lines
    }

    /// A bundle whose texts may say `$HOST` for the host's directory.
    pub fn bundle(&self, files: &[(&str, &str)]) -> Vec<u8> {
        let host = self.path("").display().to_string();
        let host = host.trim_end_matches('/');
        let texts: Vec<(&str, String)> =
            files.iter().map(|(path, text)| (*path, text.replace("$HOST", host))).collect();
        let texts: Vec<(&str, &str)> = texts.iter().map(|(p, t)| (*p, t.as_str())).collect();
        tar_zst(&texts)
    }

    /// Puts bytes where the agent looks before it asks a controller.
    pub fn offer(&self, bytes: &[u8]) -> Artifact {
        let part = self.cache.dir().join(".part-test");
        std::fs::write(&part, bytes).unwrap();
        let artifact = artifact(bytes);
        self.cache.take(&part, &artifact, &self.dir.path().join("offered")).unwrap();
        artifact
    }

    pub fn forget_offers(&self) {
        for entry in std::fs::read_dir(self.cache.dir()).unwrap() {
            std::fs::remove_file(entry.unwrap().path()).unwrap();
        }
    }

    pub async fn deploy(&mut self, files: &[(&str, &str)]) -> Done {
        self.deploy_with(files, |_| {}).await
    }

    pub async fn deploy_with(
        &mut self,
        files: &[(&str, &str)],
        change: impl FnOnce(&mut Deploy),
    ) -> Done {
        let artifact = self.offer(&self.bundle(files));
        self.deploy_artifact(artifact, change).await
    }

    pub async fn deploy_artifact(
        &mut self,
        artifact: Artifact,
        change: impl FnOnce(&mut Deploy),
    ) -> Done {
        self.next += 1;
        let mut deploy = deploy(self.next, artifact.clone());
        change(&mut deploy);
        let ctx = self.context(self.next, Cancel::default());
        let outcome = self.run(deploy, &ctx, false).await;
        Done { outcome, log: self.log(self.next), artifact }
    }

    pub async fn run(&self, deploy: Deploy, ctx: &TaskContext, resume: bool) -> Outcome {
        let task = task(ctx.key.task.0, deploy.clone());
        agent::deploy::run(&task, &deploy, ctx, resume).await
    }

    pub fn context(&self, id: i64, cancel: Cancel) -> TaskContext {
        let task = self.dir.path().join(format!("state/tasks/{id}"));
        let work = task.join("work");
        std::fs::create_dir_all(&work).unwrap();
        let (progress, _) = ProgressSender::new();
        TaskContext {
            key: TaskKey { task: TaskId(id), attempt: 1 },
            log: LogWriter::new(Arc::new(Spool::open(&task.join("log")).unwrap())),
            progress,
            content: Content::local(self.cache.clone(), cancel.clone()),
            cancel,
            journal: TaskJournal::open(&task.join("journal")).unwrap(),
            dirs: Dirs { state: self.state(), task, work },
            settings: Arc::new(Settings::default()),
            since: Since::now_after(Duration::ZERO),
        }
    }

    pub fn log(&self, id: i64) -> String {
        let path = self.dir.path().join(format!("state/tasks/{id}/log"));
        String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned()
    }

    pub fn installed(&self) -> Vec<Installed> {
        agent::deploy::installed(&self.state())
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }
}

pub fn deploy(id: i64, bundle: Artifact) -> Deploy {
    Deploy {
        deployment: DeploymentId(id),
        group: "web".into(),
        application: "shop".into(),
        revision: Revision { bundle, commit: Some("c0ffee".into()), label: "test".into() },
        purpose: Purpose::Forward,
        parts: Part::WITHOUT_ROUTER.to_vec(),
        ignore_stop_failures: false,
        file_exists_behavior: None::<FileExists>,
        keep_releases: 5,
        keep_bytes: None,
        health: None::<Health>,
        hooks: HooksPolicy::default(),
        shared: Vec::new(),
        shared_directories: Vec::new(),
        pinned: Vec::new(),
    }
}

pub fn task(id: i64, deploy: Deploy) -> Task {
    Task {
        key: TaskKey { task: TaskId(id), attempt: 1 },
        epoch: 1,
        generation: 1,
        timeout: Millis::from_secs(120),
        work: Work::Deploy(deploy),
    }
}

impl Done {
    #[track_caller]
    pub fn succeeded(&self) -> &[Step] {
        match &self.outcome {
            Outcome::Succeeded { steps, .. } => steps,
            other => panic!("{other:#?}\n{}", self.log),
        }
    }

    #[track_caller]
    pub fn failed(&self, code: ErrorCode) -> &TaskError {
        match &self.outcome {
            Outcome::Failed { error, .. } if error.code == code => error,
            other => panic!("wanted {code:?}: {other:#?}\n{}", self.log),
        }
    }

    /// Step names and how they ended, one letter each: S, F, s(kipped), R.
    pub fn steps(&self) -> Vec<(String, StepStatus)> {
        let (Outcome::Succeeded { steps, .. }
        | Outcome::Failed { steps, .. }
        | Outcome::Cancelled { steps, .. }) = &self.outcome;
        steps.iter().map(|step| (step.name.clone(), step.status)).collect()
    }
}
