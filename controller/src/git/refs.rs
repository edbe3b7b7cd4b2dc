//! Noticing pushes: what the refs are against what they were when last looked at.

use crate::sources::changed_paths;
use crate::state::Controller;
use anyhow::Result;
use git2::Repository;
use pipelines::run::trigger::{Push, Trigger, TriggerKind, concerns};
use pipelines::spec::pipeline::SourceFrom;
use std::collections::BTreeMap;
use std::path::Path;
use store::{repositories, runs};

/// Looks at one repository and starts the runs its new commits ask for. Returns how many.
///
/// # Errors
/// When the database or the repository cannot be read; nothing is noted then.
pub async fn notice_pushes(controller: &Controller, name: &str, by: &str) -> Result<usize> {
    let directory = controller.sources.repository(name);
    let mut tx = controller.pool.begin().await?;
    let before = repositories::seen_refs(&mut tx, name).await?;
    let at = directory.clone();
    let after = tokio::task::spawn_blocking(move || refs(&at)).await??;
    if before == after {
        return Ok(0);
    }
    let mut started = 0;
    let pipelines = store::pipelines::list(&mut tx).await?;
    for (reference, commit) in &after {
        let old = before.get(reference);
        if old == Some(commit) {
            continue;
        }
        repositories::note_ref(&mut tx, name, reference, Some(commit)).await?;
        let push = Push {
            from: SourceFrom::Repository(name.to_owned()),
            reference: reference.clone(),
            commit: commit.clone(),
            changed: changed_paths(&directory, old.map(String::as_str), commit),
        };
        for pipeline in &pipelines {
            let Some(pushed) = concerns(&pipeline.spec.0, &push) else { continue };
            let trigger = Trigger {
                kind: TriggerKind::Push,
                by: by.to_owned(),
                push: Some(pushed),
                variables: BTreeMap::new(),
            };
            let label = commit.get(..7).unwrap_or(commit);
            runs::create(&mut tx, pipeline.id, &trigger, label).await?;
            started += 1;
        }
    }
    for reference in before.keys().filter(|reference| !after.contains_key(*reference)) {
        repositories::note_ref(&mut tx, name, reference, None).await?;
    }
    tx.commit().await?;
    if started > 0 {
        controller.wakes.engine();
        controller.wakes.pages();
    }
    Ok(started)
}

/// Looks at every repository: at the start, and now and then.
///
/// # Errors
/// When the database cannot be read. A repository that cannot be read is logged and left out.
pub async fn notice_all(controller: &Controller) -> Result<()> {
    let names = repositories::names(&mut *controller.pool.acquire().await?).await?;
    for name in names {
        if let Err(error) = notice_pushes(controller, &name, "git").await {
            tracing::warn!(error = %format!("{error:#}"), repository = name, "cannot look at a repository");
        }
    }
    Ok(())
}

/// Branches and tags with the commits they point to. A repository nobody pushed to has none.
fn refs(directory: &Path) -> Result<BTreeMap<String, String>> {
    if !directory.exists() {
        return Ok(BTreeMap::new());
    }
    let repository = Repository::open_bare(directory)?;
    let mut found = BTreeMap::new();
    for reference in repository.references()? {
        let reference = reference?;
        let Ok(name) = std::str::from_utf8(reference.name_bytes()) else { continue };
        let wanted = name.starts_with("refs/heads/") || name.starts_with("refs/tags/");
        if let (true, Ok(commit)) = (wanted, reference.peel_to_commit()) {
            found.insert(name.to_owned(), commit.id().to_string());
        }
    }
    Ok(found)
}
