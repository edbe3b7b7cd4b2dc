//! Every setting of the controller, from flags or the environment.

use clap::{Args, Parser, Subcommand};
use pipelines::protocol::join::Lease;
use pipelines::time::Millis;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Pipeyard's controller: pipelines, deployments, git, agents and the dashboard on one port.
#[derive(Debug, Parser)]
#[command(name = "pipeyard-controller", version, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "Examples:
  pipeyard-controller run
  pipeyard-controller run --data ./data --listen 127.0.0.1:8470
  DATABASE_URL=postgres://pipeyard@db/pipeyard pipeyard-controller run --public-url https://ci.example.com:8470";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the controller and stay.
    #[command(after_help = EXAMPLES)]
    Run(Config),
}

#[derive(Debug, Clone, Args)]
pub struct Config {
    /// Where everything lives that is not in Postgres: keys, repositories, artifacts, logs, and the
    /// private Postgres if there is one.
    #[arg(long, env = "PIPEYARD_DATA", default_value = "/var/lib/pipeyard")]
    pub data: PathBuf,

    /// The one port. TLS for everybody; plain HTTP only for this machine itself.
    #[arg(long, env = "PIPEYARD_LISTEN", default_value = "0.0.0.0:8470")]
    pub listen: SocketAddr,

    /// How people and agents reach it, for links and join commands. Default: https:// and the host
    /// name and port.
    #[arg(long, env = "PIPEYARD_PUBLIC_URL")]
    pub public_url: Option<String>,

    /// More names and addresses for the TLS certificate.
    #[arg(long, env = "PIPEYARD_TLS_NAMES", value_delimiter = ',')]
    pub tls_names: Vec<String>,

    /// No TLS at all: plain HTTP for everybody. For a trusted proxy in front, or a closed network.
    #[arg(long, env = "PIPEYARD_PLAIN_HTTP")]
    pub plain_http: bool,

    /// An existing Postgres. Without it the controller runs a private one in its data directory.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<String>,

    /// Where initdb and postgres are, when not where the distribution puts them.
    #[arg(long, env = "PIPEYARD_POSTGRES_BIN")]
    pub postgres_bin: Option<PathBuf>,

    /// Connections to Postgres.
    #[arg(long, env = "PIPEYARD_DATABASE_CONNECTIONS", default_value_t = 12)]
    pub database_connections: u32,

    /// How long an agent may be silent before it counts as lost, in seconds.
    #[arg(long, env = "PIPEYARD_AGENT_SILENCE", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub agent_silence: u64,

    /// Where the programs are that hosts install: pipeyard-agent-linux-x86_64, pipectl-linux-aarch64 and
    /// so on. Those beside pipeyard-controller are found without it.
    #[arg(long, env = "PIPEYARD_PROGRAMS", value_name = "DIR")]
    pub programs: Option<PathBuf>,

    /// Let pipelines fetch from this machine's own addresses and over plain HTTP.
    #[arg(long, env = "PIPEYARD_ALLOW_LOCAL_SOURCES")]
    pub allow_local_sources: bool,

    /// Let monitors ask this machine's own addresses, such as a Prometheus beside the controller.
    #[arg(long, env = "PIPEYARD_ALLOW_LOCAL_MONITORS")]
    pub allow_local_monitors: bool,
}

impl Config {
    #[must_use]
    pub fn lease(&self) -> Lease {
        let silent_for_max = Millis::from_secs(self.agent_silence);
        // Three words in every lease: two may be lost.
        Lease { silent_for_max, heartbeat: Millis(silent_for_max.0 / 3) }
    }

    /// Where programs for hosts are looked for, the first first.
    #[must_use]
    pub fn program_directories(&self) -> Vec<PathBuf> {
        let own = std::env::current_exe().ok();
        let beside = own.as_deref().and_then(std::path::Path::parent).map(PathBuf::from);
        self.programs.clone().into_iter().chain(beside).collect()
    }

    /// The address people and agents use.
    #[must_use]
    pub fn public_url(&self, port: u16) -> String {
        if let Some(url) = &self.public_url {
            return url.trim_end_matches('/').to_owned();
        }
        let scheme = if self.plain_http { "http" } else { "https" };
        let host = if self.listen.ip().is_loopback() {
            self.listen.ip().to_string()
        } else {
            let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
            name.unwrap_or_else(|| "localhost".to_owned())
        };
        format!("{scheme}://{host}:{port}")
    }
}
