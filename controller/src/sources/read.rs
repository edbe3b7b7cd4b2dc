//! Reading a repository with libgit2: which commit, who wrote it, what its specs say. Blocking; call
//! it off the async threads.

use super::FetchError;
use anyhow::{Context as _, Result};
use git2::{Commit, ErrorCode, ObjectType, Oid, Repository};
use pipelines::spec::buildspec;
use std::path::Path;

/// A spec larger than this is not read at all.
const SPEC_MAX: usize = 1 << 20;
/// More changed paths than this are not told apart: the push then concerns every path filter.
const CHANGED_MAX: usize = 10_000;

/// What to read.
pub(super) struct What {
    pub branch: String,
    /// None: the branch's newest commit.
    pub commit: Option<String>,
    /// Build action and the path of its buildspec.
    pub buildspecs: Vec<(String, String)>,
}

pub(super) struct Found {
    pub commit: String,
    pub subject: String,
    pub author: String,
    /// Build action and text.
    pub buildspecs: Vec<(String, String)>,
}

pub(super) fn read(directory: &Path, what: &What) -> Result<Found, FetchError> {
    let repository = Repository::open_bare(directory)
        .map_err(|error| FetchError::ForNow(format!("opening the repository: {error}")))?;
    let commit = commit(&repository, what)?;
    let mut texts = Vec::new();
    let mut problems = Vec::new();
    for (action, path) in &what.buildspecs {
        match spec(&repository, &commit, path) {
            Ok(text) => texts.push((action.clone(), text)),
            Err(found) => problems.extend(found),
        }
    }
    if !problems.is_empty() {
        problems.dedup();
        return Err(FetchError::ForGood(problems.join("\n")));
    }
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).chars().take(200).collect::<String>();
    let message = commit.message_bytes();
    let subject = message.split(|byte| *byte == b'\n').next().unwrap_or_default();
    Ok(Found {
        commit: commit.id().to_string(),
        subject: lossy(subject),
        author: lossy(commit.author().name_bytes()),
        buildspecs: texts,
    })
}

fn commit<'r>(repository: &'r Repository, what: &What) -> Result<Commit<'r>, FetchError> {
    if let Some(wanted) = &what.commit {
        let oid = Oid::from_str(wanted)
            .map_err(|_| FetchError::ForGood(format!("{wanted} is not a commit id")))?;
        return repository.find_commit(oid).map_err(|_| {
            FetchError::ForGood(format!("commit {wanted} is not in the repository (any more)"))
        });
    }
    let reference = format!("refs/heads/{}", what.branch);
    let found = repository.find_reference(&reference).and_then(|found| found.peel_to_commit());
    found.map_err(|error| match error.code() {
        ErrorCode::NotFound | ErrorCode::InvalidSpec => {
            FetchError::ForGood(format!("there is no branch {}", what.branch))
        }
        _ => FetchError::ForNow(error.to_string()),
    })
}

/// The text of a spec, or everything that is wrong with it, a line each.
fn spec(repository: &Repository, commit: &Commit<'_>, path: &str) -> Result<String, Vec<String>> {
    let one = |text: String| vec![text];
    let tree = commit.tree().map_err(|error| one(error.to_string()))?;
    let entry = tree.get_path(Path::new(path)).map_err(|_| {
        one(format!(
            "{path}: not in commit {}; add it, or name another with buildspec:",
            commit.id()
        ))
    })?;
    if entry.kind() != Some(ObjectType::Blob) {
        return Err(one(format!("{path}: not a file")));
    }
    let blob = repository.find_blob(entry.id()).map_err(|error| one(error.to_string()))?;
    if blob.size() > SPEC_MAX {
        return Err(one(format!("{path}: larger than 1 MiB")));
    }
    let text = std::str::from_utf8(blob.content())
        .map_err(|_| one(format!("{path}: not UTF-8; save it as UTF-8")))?;
    match buildspec::parse(text).into_result() {
        Ok(_) => Ok(text.to_owned()),
        Err(problems) => Err(problems.iter().map(|problem| format!("{path}:{problem}")).collect()),
    }
}

/// The paths that differ between two commits; None when that cannot be said, or there are too many.
#[must_use]
pub fn changed_paths(directory: &Path, old: Option<&str>, new: &str) -> Option<Vec<String>> {
    try_changed(directory, old?, new).ok().flatten()
}

fn try_changed(directory: &Path, old: &str, new: &str) -> Result<Option<Vec<String>>> {
    let repository = Repository::open_bare(directory)?;
    let tree = |id: &str| -> Result<git2::Tree<'_>> {
        let object = repository.find_object(Oid::from_str(id)?, None)?;
        object.peel_to_tree().context("not a tree")
    };
    let diff = repository.diff_tree_to_tree(Some(&tree(old)?), Some(&tree(new)?), None)?;
    if diff.deltas().len() > CHANGED_MAX {
        return Ok(None);
    }
    let mut paths = Vec::new();
    for delta in diff.deltas() {
        for file in [delta.old_file(), delta.new_file()] {
            if let Some(path) = file.path() {
                paths.push(path.to_string_lossy().into_owned());
            }
        }
    }
    paths.sort();
    paths.dedup();
    Ok(Some(paths))
}
