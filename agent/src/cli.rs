//! The agent's command line.

use crate::build::policy::Policy;
use crate::context::Settings;
use crate::deploy;
use crate::deploy::local::LocalArgs;
use crate::doctor;
use crate::host::{REVOKED, STATE_DIR, install, uninstall};
use crate::identity::{Identity, Wish, join};
use crate::link::{self, End, Link, Setup};
use crate::state::State;
use crate::whoami;
use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use pipelines::protocol::join::{JoinToken, Role};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

const EXAMPLES: &str = "Examples:
  Make this host an agent for good, with the line that 'pipectl join-token create' prints; then:
    pipeyard-agent whoami
    pipeyard-agent doctor
    pipeyard-agent uninstall

  The same by hand, without a service:
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
    /// Make this host an agent that stays one over restarts, or bring the one here up to date.
    ///
    /// Joins if this host is no agent yet, puts this very program to /usr/local/bin/pipeyard-agent, and
    /// has systemd run it (a script in /etc/init.d elsewhere). What PIPEYARD_SLOTS and its like say in
    /// the environment is kept in /etc/pipeyard-agent.env.
    #[command(after_help = "Example:
  PIPEYARD_JOIN_TOKEN=pyj1.… ./pipeyard-agent install --url https://ci.example:8443 --name web-1")]
    Install(JoinArgs),
    /// Remove the agent from this host: its credential, its service, its state, its program.
    ///
    /// What deployments installed and started stays.
    #[command(after_help = "Example: pipeyard-agent uninstall")]
    Uninstall(uninstall::UninstallArgs),
    /// Say what is wrong with this agent, and what to do about it.
    ///
    /// Exit codes: 0 nothing is wrong, 1 something is.
    #[command(after_help = "Example: pipeyard-agent doctor -o json")]
    Doctor(doctor::DoctorArgs),
    /// Say who this agent is.
    ///
    /// Exit codes: 0 an agent, 1 none, or one that its controller does not know.
    #[command(after_help = "Example: pipeyard-agent whoami")]
    Whoami(whoami::WhoamiArgs),
    /// Turn a one-time join token into this agent's own credential.
    Join(JoinArgs),
    /// Run the agent; joins first when this host has no identity yet and a token is given.
    ///
    /// Exit codes: 0 told to stop, 77 the controller does not know this agent any more, 1 anything else.
    Run(RunArgs),
    /// Deploy a bundle to this host with the agent's own code, no controller.
    ///
    /// Exit codes: 0 succeeded, 1 failed, 2 wrong usage.
    DeployLocal(LocalArgs),
}

#[derive(Debug, Args)]
pub struct Place {
    /// Where the agent keeps its identity, its journal, its cache and the releases.
    #[arg(long, env = "PIPEYARD_STATE_DIR", default_value = STATE_DIR)]
    pub state_dir: PathBuf,
    /// Send the credential over http:// also to other machines.
    #[arg(long, env = "PIPEYARD_ALLOW_PLAIN_HTTP")]
    pub allow_plain_http: bool,
}

#[derive(Debug, Args)]
pub struct JoinArgs {
    #[command(flatten)]
    pub place: Place,
    /// The controller's address.
    #[arg(long, env = "PIPEYARD_URL")]
    pub url: String,
    /// The token, from `pipectl join-token create`. Rather in the environment than here: everybody on a
    /// host can read the arguments of its programs.
    #[arg(long, env = "PIPEYARD_JOIN_TOKEN", hide_env_values = true)]
    pub token: Option<JoinToken>,
    /// The agent's name, unique among agents; the host's name by default.
    #[arg(long, env = "PIPEYARD_NAME")]
    pub name: Option<String>,
    /// A tag that deployment groups can select by; repeat it for more.
    #[arg(long = "tag", value_name = "KEY=VALUE", env = "PIPEYARD_TAGS", value_delimiter = ',')]
    pub tags: Vec<String>,
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
        Command::Install(args) => install::run(args).await.map(|()| ExitCode::SUCCESS),
        Command::Uninstall(args) => uninstall::run(args).await.map(|()| ExitCode::SUCCESS),
        Command::Doctor(args) => doctor::run(args).await,
        Command::Whoami(args) => whoami::run(args).await,
        Command::Join(args) => join_only(args).await.map(|()| ExitCode::SUCCESS),
        Command::Run(args) => run(args).await,
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

async fn join_only(args: JoinArgs) -> Result<()> {
    let state = State::open(&args.place.state_dir)?;
    if let Some(known) = Identity::load(state.root())? {
        let (name, url) = (known.name, known.url);
        bail!("this host is already agent '{name}' of {url}: remove identity.json to rejoin");
    }
    let Some(token) = args.token else {
        bail!("a token is needed: pass --token, or set PIPEYARD_JOIN_TOKEN");
    };
    let wish = wish(args.url, token, args.name, &args.tags, args.place.allow_plain_http)?;
    let identity = join(state.root(), &wish).await?;
    announce(&identity);
    Ok(())
}

async fn run(args: RunArgs) -> Result<ExitCode> {
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
    match link::serve(link, told_to_stop()).await {
        End::Told => Ok(ExitCode::SUCCESS),
        End::Revoked => {
            tracing::error!(
                "agent {name} was revoked, so it ends. To make this host an agent again, run the line \
                 that 'pipectl join-token create' prints; to remove it, 'pipeyard-agent uninstall'"
            );
            Ok(ExitCode::from(REVOKED))
        }
    }
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

/// What an operator wants, checked.
///
/// # Errors
/// When a tag is none, or the host does not tell its name.
pub fn wish(
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
