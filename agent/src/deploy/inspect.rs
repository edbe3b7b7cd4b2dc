//! Drift: what is installed, compared with what was installed.

use super::engine::blocking;
use super::group::Home;
use super::marks::drift;
use crate::context::TaskContext;
use crate::link::failed;
use pipelines::ids::is_name;
use pipelines::protocol::answer::{Answer, FileChange, Inspection, Preview};
use pipelines::protocol::report::{ErrorCode, Outcome};
use pipelines::protocol::task::Inspect;
use std::collections::BTreeMap;
use std::io;

/// Runs the task; nothing is touched.
pub async fn run(inspect: &Inspect, ctx: &TaskContext) -> Outcome {
    if !is_name(&inspect.group) {
        let message = format!("'{}' cannot name a deployment group", inspect.group);
        return failed(ErrorCode::AgentError, message, false);
    }
    let home = Home::at(&ctx.dirs.state, &inspect.group);
    let cancel = ctx.cancel.clone();
    let looked = blocking(move || look(&home, &cancel)).await;
    let found = match looked {
        Ok(Ok(found)) => found,
        Ok(Err(_)) if ctx.cancel.is_cancelled() => return ctx.stopped(Vec::new(), None, false),
        Ok(Err(e)) => {
            return failed(ErrorCode::AgentError, format!("looking at the files: {e}"), false);
        }
        Err(fault) => return failed(fault.code, fault.message, false),
    };
    let (files, drifted) = (found.files, found.drifted);
    ctx.log.say(&format!("{files} files are installed, {drifted} differ")).await;
    let answer = Some(Answer::Inspection(found));
    Outcome::Succeeded {
        steps: Vec::new(),
        artifacts: Vec::new(),
        exported: BTreeMap::new(),
        answer,
    }
}

fn look(home: &Home, cancel: &crate::context::Cancel) -> io::Result<Inspection> {
    let Some(manifest) = home.whole_manifest()? else { return Ok(Inspection::default()) };
    // An older agent noted nothing; what is gone or of another kind is still found.
    let marks = home.marks(&manifest.install)?.unwrap_or_default();
    let found = drift(&manifest, &marks, cancel)?;
    let listed = found.iter().take(Preview::LISTED_MAX);
    let change = |(path, change): &(std::path::PathBuf, _)| FileChange {
        path: path.display().to_string(),
        change: *change,
    };
    let files = manifest.entries.values().filter(|kind| **kind != super::group::Kind::Directory);
    Ok(Inspection {
        installed: Some(manifest.stand.digest.clone()),
        files: files.count() as u64,
        drift: listed.map(change).collect(),
        drifted: found.len() as u64,
    })
}
