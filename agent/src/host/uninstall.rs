//! `pipeyard-agent uninstall`: everything the agent made on this host goes, but for what deployments
//! put there.

use super::{Keeper, Layout, Settings, need_root};
use crate::context;
use crate::controller::CallError;
use crate::durable::remove_tree;
use crate::identity::Identity;
use crate::state::State;
use anyhow::{Context, Result, bail};
use clap::Args;
use pipelines::protocol::join::Role;
use pipelines::protocol::whoami::LeaveRequest;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub struct UninstallArgs {
    /// The agent's state directory; the installed one by default.
    #[arg(long, env = "PIPEYARD_STATE_DIR")]
    state_dir: Option<PathBuf>,
    /// Also while the agent has work. That work then counts as failed.
    #[arg(long)]
    force: bool,
}

/// # Errors
/// When the agent has work, does not stop, or something cannot be removed.
pub async fn run(args: UninstallArgs) -> Result<()> {
    need_root("uninstall")?;
    let layout = Layout::default();
    let keeper = Keeper::of_this_host();
    let settings = Settings::load(&layout)?;
    let state_dir = settings.state_dir(args.state_dir);
    let identity = Identity::load(&state_dir).unwrap_or_else(|e| {
        say(&format!("{e:#}; it is removed all the same"));
        None
    });
    if let Some(identity) = &identity {
        leave(identity, settings.allow_plain_http(), args.force).await?;
    }
    keeper.stop(&layout)?;
    if State::is_held(&state_dir) {
        bail!(
            "an agent is still at work in {}, and not as this host's service: stop it and repeat",
            state_dir.display()
        );
    }
    if let Some(identity) = identity.filter(|identity| identity.role == Role::Build) {
        remove_containers(&identity, &settings).await;
    }
    let mut removed = layout.made();
    if is_state(&state_dir) {
        removed.push(state_dir);
    }
    for path in &removed {
        remove(path)?;
    }
    keeper.forget();
    report(&removed, &layout)
}

/// Tells the controller, so that nobody has to. What it says decides only whether there is work.
async fn leave(identity: &Identity, allow_plain_http: bool, force: bool) -> Result<()> {
    let Identity { name, url, .. } = identity;
    let left = match identity.controller(allow_plain_http) {
        Ok(controller) => controller.leave(LeaveRequest { force }).await,
        Err(e) => Err(CallError::Unreachable(format!("{e:#}"))),
    };
    match left {
        Ok(_) => say(&format!("{name} left {url}")),
        Err(e) if e.is_unknown_agent() => say(&format!("{url} does not know {name} any more")),
        Err(CallError::Refused { status: 409, message, .. }) => bail!(
            "{message}. Wait for it, with no more to come: 'pipectl agent drain {name}'; or repeat \
             with --force, and that work counts as failed"
        ),
        Err(e) => {
            say(&format!("{url} could not be told ({e}); do it with: pipectl agent revoke {name}"));
        }
    }
    Ok(())
}

/// Containers of builds that were cut off.
async fn remove_containers(identity: &Identity, settings: &Settings) {
    let settings = context::Settings {
        agent_name: identity.unique_name(),
        docker_host: settings.get("PIPEYARD_DOCKER_HOST"),
        ..context::Settings::default()
    };
    match crate::build::sweep(&settings, || Ok(Vec::new())).await {
        Ok(0) => {}
        Ok(count) => say(&format!("removed {count} containers of builds")),
        Err(e) => say(&format!("cannot look for containers of builds: {e:#}")),
    }
}

/// Never anything that only was given as one.
fn is_state(dir: &Path) -> bool {
    dir.join("lock").is_file() && dir.join("tasks").is_dir()
}

fn remove(path: &Path) -> Result<()> {
    let is_dir = path.symlink_metadata().is_ok_and(|meta| meta.is_dir());
    let done = if is_dir { remove_tree(path) } else { std::fs::remove_file(path) };
    match done {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(e).with_context(|| format!("removing {}", path.display()))
        }
        _ => Ok(()),
    }
}

fn report(removed: &[PathBuf], layout: &Layout) -> Result<()> {
    for path in removed {
        say(&format!("removed {}", path.display()));
    }
    let mut left = layout.made();
    left.extend(removed.iter().filter(|path| path.symlink_metadata().is_ok()).cloned());
    if !left.is_empty() {
        let left: Vec<String> = left.iter().map(|path| path.display().to_string()).collect();
        bail!("still there: {}; remove it by hand", left.join(", "));
    }
    say("nothing of the agent is left; what deployments put on this host stays as it is");
    Ok(())
}

fn say(text: &str) {
    println!("pipeyard: {text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_state_directory_is_removed_as_one() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!is_state(dir.path()));
        assert!(!is_state("/".as_ref()) && !is_state("/var/lib".as_ref()));
        drop(State::open(dir.path()).unwrap());
        assert!(is_state(dir.path()));
    }
}
