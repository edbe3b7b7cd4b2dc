//! `pipeyard-agent install`: this host becomes an agent and stays one over restarts. Doing it again
//! brings program and service up to date and joins nothing.

use super::{Keeper, Layout, STATE_DIR, Settings, need_root};
use crate::backoff::Backoff;
use crate::cli::{JoinArgs, wish};
use crate::context::measure;
use crate::controller::CallError;
use crate::durable::{remove_if_there, remove_tree, sync_parent, write_json};
use crate::identity::{self, Identity, Wish, join};
use crate::state::State;
use crate::tls::ca_sha256;
use anyhow::{Context, Result, bail};
use pipelines::protocol::join::JoinToken;
use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a controller may be away when a host joins.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the service may take to come up.
const START: Duration = Duration::from_secs(15);

/// # Errors
/// What could not be done. A host that could not join is left as it was.
pub async fn run(args: JoinArgs) -> Result<()> {
    need_root("install")?;
    let layout = Layout::default();
    let keeper = Keeper::of_this_host();
    let given = Settings::from_environment()?;
    let default = args.place.state_dir == Path::new(STATE_DIR);
    let state_dir = if default {
        Settings::load(&layout)?.state_dir(given.get("PIPEYARD_STATE_DIR").map(Into::into))
    } else if given.get("PIPEYARD_STATE_DIR").is_some() {
        args.place.state_dir.clone()
    } else {
        bail!("set PIPEYARD_STATE_DIR instead of --state-dir: the service has to know it as well");
    };
    if State::is_held(&state_dir) && !keeper.is_running(&layout) {
        bail!(
            "an agent runs in {} that is not this host's service: stop it and repeat",
            state_dir.display()
        );
    }
    let identity = become_agent(args, &state_dir, keeper, &layout).await?;
    let (name, url, role) = (&identity.name, &identity.url, identity.role.as_str());
    let fresh = [
        place_program(&layout.program()).context("installing the program")?,
        given.keep(&layout)?,
        keeper.write(&layout)?,
    ];
    let runs = keeper.is_running(&layout) && State::is_held(&state_dir);
    if fresh.contains(&true) || !runs {
        keeper.restart(&layout)?;
        wait_until_up(&state_dir, keeper, &layout).await?;
    }
    let version = env!("CARGO_PKG_VERSION");
    let by = keeper.as_str();
    println!("pipeyard: this host is agent {name} ({role}) of {url}");
    println!("pipeyard: version {version} runs as the service pipeyard-agent ({by})");
    println!(
        "pipeyard: 'pipeyard-agent doctor' looks at it, 'pipeyard-agent uninstall' removes it"
    );
    Ok(())
}

/// The identity that is here, or a new one.
async fn become_agent(
    args: JoinArgs,
    state_dir: &Path,
    keeper: Keeper,
    layout: &Layout,
) -> Result<Identity> {
    let allow_plain_http = args.place.allow_plain_http;
    let Some(known) = Identity::load(state_dir)? else {
        let wish = wish_of(args)?;
        return join_anew(state_dir, &wish).await;
    };
    let known = same_controller(known, &args.url, args.token.as_ref(), state_dir)?;
    let asked = known.controller(allow_plain_http)?.whoami().await;
    if !asked.is_err_and(|e| e.is_unknown_agent()) || args.token.is_none() {
        return Ok(known);
    }
    // Revoked: the credential is worth nothing, the token is.
    let wish = wish_of(args)?;
    keeper.stop(layout)?;
    remove_if_there(&identity::path(state_dir))?;
    println!("pipeyard: {} was revoked; this host joins again", known.name);
    join_anew(state_dir, &wish).await
}

fn wish_of(args: JoinArgs) -> Result<Wish> {
    let Some(token) = args.token else {
        bail!(
            "this host is no agent yet: set PIPEYARD_JOIN_TOKEN to a token from 'pipectl join-token \
             create'"
        );
    };
    wish(args.url, token, args.name, &args.tags, args.place.allow_plain_http)
}

/// A controller may move; another one may not take over a host.
fn same_controller(
    known: Identity,
    url: &str,
    token: Option<&JoinToken>,
    state_dir: &Path,
) -> Result<Identity> {
    if known.url == url {
        return Ok(known);
    }
    let expected = token.and_then(|token| token.ca_sha256.clone());
    if expected.is_none() || known.ca_pem.as_deref().and_then(ca_sha256) != expected {
        let Identity { name, url: theirs, .. } = known;
        bail!(
            "this host is agent {name} of {theirs}, and {url} may be another controller: run \
             'pipeyard-agent uninstall' first if it should change over"
        );
    }
    let moved = Identity { url: url.to_owned(), ..known };
    write_json(&identity::path(state_dir), &moved)
        .context("keeping the controller's new address")?;
    Ok(moved)
}

/// Joins; a host that could not is left without a trace of it.
async fn join_anew(state_dir: &Path, wish: &Wish) -> Result<Identity> {
    let was_there = state_dir.exists();
    let joined = join_patiently(state_dir, wish).await;
    if joined.is_err() && !was_there {
        remove_tree(state_dir).context("removing what a join in vain left")?;
    }
    joined
}

async fn join_patiently(state_dir: &Path, wish: &Wish) -> Result<Identity> {
    let state = State::open(state_dir)?;
    let deadline = Instant::now() + PATIENCE;
    let mut backoff = Backoff::default();
    loop {
        match join(state.root(), wish).await {
            Err(e)
                if e.downcast_ref::<CallError>().is_some_and(CallError::may_pass)
                    && Instant::now() < deadline =>
            {
                tracing::warn!("{e:#}; trying again");
                backoff.wait().await;
            }
            done => return done,
        }
    }
}

/// Puts the running program into its place, as a whole; says whether it is another one than before.
fn place_program(place: &Path) -> io::Result<bool> {
    let own = std::env::current_exe()?;
    if measure(place).ok() == Some(measure(&own)?) {
        return Ok(false);
    }
    let fresh = place.with_extension("new");
    std::fs::copy(&own, &fresh)?;
    std::fs::set_permissions(&fresh, Permissions::from_mode(0o755))?;
    File::open(&fresh)?.sync_all()?;
    std::fs::rename(&fresh, place)?;
    sync_parent(place)?;
    Ok(true)
}

async fn wait_until_up(state_dir: &Path, keeper: Keeper, layout: &Layout) -> Result<()> {
    let deadline = Instant::now() + START;
    while !(keeper.is_running(layout) && State::is_held(state_dir)) {
        if Instant::now() >= deadline {
            let log = keeper.log_hint(layout);
            bail!("the service does not come up; its words are in: {log}");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipelines::ids::AgentId;
    use pipelines::protocol::join::Role;
    use sha2::{Digest as _, Sha256};

    fn identity(url: &str, ca_pem: Option<String>) -> Identity {
        Identity {
            url: url.into(),
            agent: AgentId(1),
            role: Role::Deploy,
            name: "host-1".into(),
            credential: "c".into(),
            tags: Default::default(),
            ca_pem,
        }
    }

    #[test]
    fn a_controller_may_move_and_another_may_not_take_over() {
        let dir = tempfile::tempdir().unwrap();
        let ca = rcgen::generate_simple_self_signed(vec!["ca".into()]).unwrap().cert;
        let fingerprint = hex::encode(Sha256::digest(ca.der()));
        let token = |ca: &str| format!("pyj1.a.b.{ca}").parse::<JoinToken>().unwrap();
        let known = identity("https://old", Some(ca.pem()));
        let try_with = |url: &str, token: Option<&JoinToken>| {
            same_controller(known.clone(), url, token, dir.path())
        };
        assert!(try_with("https://old", None).is_ok());
        let moved = try_with("https://new", Some(&token(&fingerprint))).unwrap();
        assert_eq!(moved.url, "https://new");
        assert!(Identity::load(dir.path()).unwrap().is_some_and(|kept| kept == moved));
        for other in [None, Some(token(&"0f".repeat(32))), Some(token("plain"))] {
            let refused = try_with("https://new", other.as_ref());
            assert!(refused.is_err_and(|e| e.to_string().contains("uninstall")), "{other:?}");
        }
    }

    #[test]
    fn a_program_is_put_in_place_once() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("pipeyard-agent");
        assert!(place_program(&place).unwrap());
        assert!(!place_program(&place).unwrap());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing beside it");
    }
}
