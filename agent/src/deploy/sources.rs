//! From which revision the scripts of an event come on this host.

use super::fault::Fault;
use super::group::{Home, Standing};
use super::preflight;
use super::steps::{Whose, whose};
use pipelines::ids::Digest;
use pipelines::protocol::task::Deploy;
use pipelines::spec::appspec::Hook;
use std::path::PathBuf;

/// Scripts, and the release they are in.
pub struct Source {
    pub path: PathBuf,
    pub hooks: Vec<Hook>,
}

/// Whose scripts they are.
#[derive(Debug, PartialEq, Eq)]
pub enum From {
    /// The revision that is deployed.
    New,
    /// One from before, which should be on this host.
    Kept(Digest),
    /// There is none yet, and so nothing to run.
    Nobody,
}

/// Looks up whose scripts `event` runs.
///
/// # Errors
/// When what this host knows of the group cannot be read.
pub fn source_of(
    event: &str,
    deploy: &Deploy,
    home: &Home,
    standing: &Standing,
) -> Result<From, Fault> {
    let good = || standing.good.as_ref().map(|good| good.digest.clone());
    let digest = match whose(event, deploy) {
        Whose::New => return Ok(From::New),
        Whose::LastGood => good(),
        Whose::Installed => installed(home)?.or_else(good),
        // The revision that failed here, installed or not; else the one that is installed.
        Whose::Left => {
            let left = match &standing.failed {
                Some(failed) => Some(failed.stand.digest.clone()),
                None => installed(home)?,
            };
            left.filter(|digest| *digest != deploy.revision.bundle.digest)
        }
    };
    Ok(digest.map_or(From::Nobody, From::Kept))
}

fn installed(home: &Home) -> Result<Option<Digest>, Fault> {
    let manifest = home.manifest().map_err(|e| Fault::disk("reading what is installed", &e))?;
    Ok(manifest.map(|manifest| manifest.stand.digest))
}

/// The scripts of a revision from before. `name`: of the appspec, if it is not one of the usual ones.
///
/// # Errors
/// Why there is nothing to run: somebody removed or broke it.
pub fn kept(
    event: &str,
    digest: &Digest,
    home: &Home,
    name: Option<&str>,
) -> Result<Source, String> {
    let path = home.release(digest);
    // The old revision may have used the usual name, whatever this one is called.
    let name = name.filter(|name| path.join(name).exists());
    match preflight::read_appspec(&path, name) {
        Ok(mut read) => {
            let hooks = read.appspec.hooks.remove(event).unwrap_or_default();
            Ok(Source { path, hooks })
        }
        Err(fault) => {
            let (short, why) = (digest.short(), fault.message);
            Err(format!("nothing is run: the old revision {short} is gone: {why}"))
        }
    }
}
