//! Source actions: finding the commit, packing its tree, reading the specs a run will need.
//!
//! Networks are git's business (the `git` program, never a shell); reading is libgit2's, off the async
//! threads. What comes out is content-addressed and the same for the same commit.

mod git;
mod read;
pub mod url;

use bytes::Bytes;
use futures::Stream;
use pipelines::protocol::task::Artifact;
use pipelines::run::SourceRevision;
use pipelines::run::trigger::sources;
use pipelines::spec::pipeline::{Action, Build, Pipeline, Source, SourceFrom, Work};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use store::objects::Objects;
use store::runs::Row;

pub use git::{bare_repository, base_command};
pub use read::changed_paths;

/// The largest source tree, in bytes as packed.
const SOURCE_MAX: u64 = 4 << 30;

/// What a source action needs of this controller.
#[derive(Clone)]
pub struct Sources {
    inner: Arc<Inner>,
}

struct Inner {
    /// Repositories of the built-in git server.
    repositories: PathBuf,
    /// Bare mirrors of repositories elsewhere, one per URL.
    mirrors: PathBuf,
    objects: Objects,
    policy: url::Policy,
}

/// What a fetch brought.
pub struct Fetched {
    pub revision: SourceRevision,
    pub artifact: Artifact,
    /// Build action and the text of its buildspec, parsed without errors.
    pub buildspecs: Vec<(String, String)>,
}

/// Why a fetch failed. The text is for the run's page.
#[derive(Debug)]
pub enum FetchError {
    /// Trying again may help: the network, a busy server.
    ForNow(String),
    /// It will not: no such branch, a spec with errors.
    ForGood(String),
}

impl Sources {
    #[must_use]
    pub fn new(data: &Path, objects: Objects, policy: url::Policy) -> Sources {
        let (repositories, mirrors) = (data.join("repositories"), data.join("mirrors"));
        Sources { inner: Arc::new(Inner { repositories, mirrors, objects, policy }) }
    }

    /// Where a repository of the built-in server lives; its name was checked by `is_name`.
    #[must_use]
    pub fn repository(&self, name: &str) -> PathBuf {
        self.inner.repositories.join(format!("{name}.git"))
    }

    /// Fetches the revision of a source action and everything the run needs to know of it.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn fetch(&self, row: &Row, action: &str) -> Result<Fetched, FetchError> {
        let pipeline = &row.spec.0;
        let (action, source) = sources(pipeline)
            .find(|(found, _)| found.name == action)
            .ok_or_else(|| FetchError::ForGood(format!("no source action {action}")))?;
        let pushed = row.trigger.0.push.as_ref().filter(|push| push.from == source.from);
        let branch = pushed.map_or(&source.branch, |push| &push.branch);
        let wanted = pushed.map(|push| push.commit.clone()).filter(|commit| !commit.is_empty());
        let (repository, directory) = self.locate(source, branch, wanted.as_deref()).await?;
        let what = read::What {
            branch: branch.clone(),
            commit: wanted,
            buildspecs: builds(pipeline, action),
        };
        let path = directory.clone();
        let found = tokio::task::spawn_blocking(move || read::read(&path, &what))
            .await
            .map_err(|error| FetchError::ForNow(error.to_string()))??;
        let artifact = self.pack(&directory, &found.commit).await?;
        Ok(Fetched {
            revision: SourceRevision {
                repository,
                branch: branch.clone(),
                commit: found.commit,
                subject: found.subject,
                author: found.author,
            },
            artifact,
            buildspecs: found.buildspecs,
        })
    }

    /// The repository's name for people, and a bare repository that has the commit.
    async fn locate(
        &self,
        source: &Source,
        branch: &str,
        commit: Option<&str>,
    ) -> Result<(String, PathBuf), FetchError> {
        match &source.from {
            SourceFrom::Repository(name) => {
                let directory = self.repository(name);
                if directory.exists() {
                    return Ok((name.clone(), directory));
                }
                Err(FetchError::ForGood(format!("nothing was pushed to {name} yet")))
            }
            SourceFrom::Git(address) => {
                let mirrors = &self.inner.mirrors;
                let checked = url::check(address, &self.inner.policy).await;
                let address = checked.map_err(FetchError::ForGood)?;
                let directory =
                    git::mirror(mirrors, &address, branch, commit, self.inner.policy).await?;
                Ok((url::without_credentials(&address), directory))
            }
        }
    }

    /// The tree of a commit as a `.tar.zst` in the store.
    async fn pack(&self, directory: &Path, commit: &str) -> Result<Artifact, FetchError> {
        let (content, packing) = git::archive(directory, commit);
        let stored = self.inner.objects.put(pinned(content), None, SOURCE_MAX).await;
        // git's own complaint says more than the broken stream it left.
        let packed = packing.await.map_err(|error| FetchError::ForNow(error.to_string()))?;
        packed.map_err(|error| FetchError::ForGood(format!("packing {commit}: {error:#}")))?;
        stored.map_err(|error| FetchError::ForNow(format!("storing the source: {error}")))
    }
}

fn pinned(
    content: tokio::sync::mpsc::Receiver<std::io::Result<Bytes>>,
) -> impl Stream<Item = std::io::Result<Bytes>> + Unpin {
    Box::pin(futures::stream::unfold(content, async |mut content| {
        content.recv().await.map(|piece| (piece, content))
    }))
}

/// The builds that take their buildspec from this source: those whose first input it makes, and those
/// whose first input no source makes, if this is the pipeline's first source.
fn builds(pipeline: &Pipeline, source: &Action) -> Vec<(String, String)> {
    let first = sources(pipeline).next().is_some_and(|(first, _)| first.name == source.name);
    let makes = |input: &String, by: &Action| by.outputs.contains(input) || *input == by.name;
    let all = pipeline.stages.iter().flat_map(|stage| &stage.actions);
    let builds = all.filter_map(|action| match &action.work {
        Work::Build(Build { buildspec, .. }) => Some((action, buildspec)),
        _ => None,
    });
    builds
        .filter(|(action, _)| match action.inputs.first() {
            Some(input) => {
                makes(input, source)
                    || (first && !sources(pipeline).any(|(other, _)| makes(input, other)))
            }
            None => first,
        })
        .map(|(action, path)| (action.name.clone(), path.clone()))
        .collect()
}
