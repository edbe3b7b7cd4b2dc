//! The agent's command line.

use crate::build::policy::Policy;
use crate::context::Settings;
use crate::deploy;
use crate::deploy::local::LocalArgs;
use crate::identity::{Identity, Wish, join};
use crate::link::{self, Link, Setup};
use crate::state::State;
use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use pipelines::protocol::join::{JoinToken, Role};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

const EXAMPLES: &str = "Examples:
  Make this host an agent, and run it:
    pipeyard-agent join --url https://ci.example:8443 --token pyj1.… --name web-1 --tag role=web
    pipeyard-agent run

  The same in one step, as in a container:
    PIPEYARD_URL=https://ci.example:8443 PIPEYARD_JOIN_TOKEN=pyj1.… PIPEYARD_NAME=web-1 \\
      pipeyard-agent run

  Try a bundle on this host, without a controller; first only look:
    pipeyard-agent deploy-local --bundle ./bundle --root /tmp/try --plan
    pipeyard-agent deploy-local --bundle ./bundle --root /tmp/try";

/// Runs builds or deployments on this host for a Pipeyard controller.
#[derive(Debug, Parser)]
#[command(name = "pipeyard-agent", version, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Turn a one-time join token into this agent's own credential.
    Join(JoinArgs),
    /// Run the agent; joins first when this host has no identity yet and a token is given.
    Run(RunArgs),
    /// Deploy a bundle to this host with the agent's own code, no controller.
    ///
    /// Exit codes: 0 succeeded, 1 failed, 2 wrong usage.
    DeployLocal(LocalArgs),
}

#[derive(Debug, Args)]
struct Place {
    /// Where the agent keeps its identity, its journal, its cache and the releases.
    #[arg(long, env = "PIPEYARD_STATE_DIR", default_value = "/var/lib/pipeyard-agent")]
    state_dir: PathBuf,
    /// Send the credential over http:// also to other machines.
    #[arg(long, env = "PIPEYARD_ALLOW_PLAIN_HTTP")]
    allow_plain_http: bool,
}

#[derive(Debug, Args)]
struct JoinArgs {
    #[command(flatten)]
    place: Place,
    /// The controller's address.
    #[arg(long, env = "PIPEYARD_URL")]
    url: String,
    /// The token, from `pipectl join-token create`.
    #[arg(long, env = "PIPEYARD_JOIN_TOKEN", hide_env_values = true)]
    token: JoinToken,
    /// The agent's name, unique among agents; the host's name by default.
    #[arg(long, env = "PIPEYARD_NAME")]
    name: Option<String>,
    /// A tag that deployment groups can select by; repeat it for more.
    #[arg(long = "tag", value_name = "KEY=VALUE", env = "PIPEYARD_TAGS", value_delimiter = ',')]
    tags: Vec<String>,
}

#[derive(Debug, Args)]
struct RunArgs {
    #[command(flatten)]
    place: Place,
    /// The controller's address, if it is another than at the time of joining.
    #[arg(long, env = "PIPEYARD_URL")]
    url: Option<String>,
    /// Join with this token if this host has no identity yet.
    #[arg(long, env = "PIPEYARD_JOIN_TOKEN", hide_env_values = true)]
    join_token: Option<JoinToken>,
    /// The name to join by; the host's name by default.
    #[arg(long, env = "PIPEYARD_NAME")]
    name: Option<String>,
    /// A tag to join with; repeat it for more.
    #[arg(long = "tag", value_name = "KEY=VALUE", env = "PIPEYARD_TAGS", value_delimiter = ',')]
    tags: Vec<String>,
    /// Builds at a time.
    #[arg(long, env = "PIPEYARD_SLOTS", default_value_t = 1)]
    slots: u32,
    /// Where Docker listens, for build agents; Docker's own default otherwise.
    #[arg(long, env = "PIPEYARD_DOCKER_HOST")]
    docker_host: Option<String>,
    /// Memory of one build, in megabytes; no limit of the agent's own if left out.
    #[arg(long, env = "PIPEYARD_BUILD_MEMORY_MB")]
    build_memory_mb: Option<u32>,
    /// Processors of one build; no limit of the agent's own if left out.
    #[arg(long, env = "PIPEYARD_BUILD_CPUS")]
    build_cpus: Option<f64>,
    /// Docker network of builds; the engine's default bridge if left out. Never `host`.
    #[arg(long, env = "PIPEYARD_BUILD_NETWORK")]
    build_network: Option<String>,
    /// How nginx is called, where it is the balancer: `nginx -p /srv/nginx`, for example.
    #[arg(long, env = "PIPEYARD_NGINX")]
    nginx: Option<String>,
    /// Disk for artifacts kept to avoid fetching them again, in megabytes.
    #[arg(long, env = "PIPEYARD_CACHE_MB", default_value_t = 2048)]
    cache_mb: u64,
    /// Seconds that running work may go on when the agent is told to stop.
    #[arg(long, env = "PIPEYARD_STOP_GRACE", default_value_t = 30)]
    stop_grace: u64,
}

/// Does what the command line says.
///
/// # Errors
/// What the command could not do.
pub async fn main(cli: Cli) -> Result<ExitCode> {
    match cli.command {
        Command::Join(args) => {
            let state = State::open(&args.place.state_dir)?;
            if let Some(known) = Identity::load(state.root())? {
                let (name, url) = (known.name, known.url);
                bail!(
                    "this host is already agent '{name}' of {url}: remove identity.json to rejoin"
                );
            }
            let allow_plain_http = args.place.allow_plain_http;
            let wish = wish(args.url, args.token, args.name, &args.tags, allow_plain_http)?;
            let identity = join(state.root(), &wish).await?;
            announce(&identity);
            Ok(ExitCode::SUCCESS)
        }
        Command::Run(args) => run(args).await.map(|()| ExitCode::SUCCESS),
        Command::DeployLocal(args) => match deploy::local::run(args, told_to_stop()).await {
            Ok(true) => Ok(ExitCode::SUCCESS),
            Ok(false) => Ok(ExitCode::from(1)),
            Err(e) => {
                eprintln!("pipeyard-agent: {e:#}");
                Ok(ExitCode::from(2))
            }
        },
    }
}

async fn run(args: RunArgs) -> Result<()> {
    let state = State::open(&args.place.state_dir)?;
    let allow_plain_http = args.place.allow_plain_http;
    let mut identity = match Identity::load(state.root())? {
        Some(identity) => identity,
        None => join_first(&state, &args).await?,
    };
    if let Some(url) = &args.url {
        identity.url.clone_from(url);
    }
    let controller = identity.controller(allow_plain_http)?;
    let setup = Setup {
        role: identity.role,
        slots: args.slots,
        settings: Settings {
            agent_name: identity.unique_name(),
            docker_host: args.docker_host.clone(),
            build: policy(&args)?,
            nginx: args.nginx.clone(),
        },
        cache_bytes_max: args.cache_mb << 20,
        stop_grace: Duration::from_secs(args.stop_grace),
    };
    let link = Link::open(state, controller, setup)?;
    if identity.role == Role::Build {
        link.sweep().await;
    }
    let (name, role, url) = (&identity.name, identity.role.as_str(), &identity.url);
    tracing::info!("agent {name} ({role}) works for {url}");
    link::serve(link, told_to_stop()).await
}

fn policy(args: &RunArgs) -> Result<Policy> {
    let policy = Policy {
        memory_bytes_max: args.build_memory_mb.map(|megabytes| i64::from(megabytes) << 20),
        cpus: args.build_cpus,
        network: args.build_network.clone(),
        ..Policy::default()
    };
    policy.check().map_err(anyhow::Error::msg)?;
    Ok(policy)
}

async fn join_first(state: &State, args: &RunArgs) -> Result<Identity> {
    let (Some(url), Some(token)) = (args.url.clone(), args.join_token.clone()) else {
        bail!(
            "this host is no agent yet: pass --url and --join-token, or use 'pipeyard-agent join'"
        );
    };
    let wish = wish(url, token, args.name.clone(), &args.tags, args.place.allow_plain_http)?;
    let mut backoff = crate::backoff::Backoff::default();
    loop {
        match join(state.root(), &wish).await {
            Ok(identity) => {
                announce(&identity);
                return Ok(identity);
            }
            Err(e)
                if e.downcast_ref::<crate::controller::CallError>()
                    .is_some_and(|e| e.may_pass()) =>
            {
                tracing::warn!("{e:#}; trying again");
                backoff.wait().await;
            }
            Err(e) => return Err(e),
        }
    }
}

fn announce(identity: &Identity) {
    let Identity { name, role, agent, url, .. } = identity;
    tracing::info!("joined {url} as {name} ({agent}), in the role {}", role.as_str());
}

fn wish(
    url: String,
    token: JoinToken,
    name: Option<String>,
    tags: &[String],
    allow_plain_http: bool,
) -> Result<Wish> {
    let name = match name {
        Some(name) => name,
        None => nix::unistd::gethostname()
            .context("asking for the host's name")?
            .to_string_lossy()
            .into_owned(),
    };
    let mut map = BTreeMap::new();
    for tag in tags.iter().filter(|tag| !tag.is_empty()) {
        let Some((key, value)) = tag.split_once('=') else {
            bail!("'{tag}' is not a tag: write KEY=VALUE");
        };
        map.insert(key.to_owned(), value.to_owned());
    }
    Ok(Wish { url, token, name, tags: map, allow_plain_http })
}

async fn told_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut int)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("cannot listen for signals; stop this agent with KILL");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    tracing::info!("stopping");
}
