//! The agent's program.

use clap::Parser;
use std::io::IsTerminal;
use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything may speak TLS; the only other error is that it was done already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = agent::cli::Cli::parse();
    // Releases and what is installed have to be readable by whoever runs them.
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    let filter = tracing_subscriber::EnvFilter::try_from_env("PIPEYARD_LOG")
        .unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .with_target(false)
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(16)
        .thread_stack_size(1 << 20)
        .enable_all()
        .build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(agent::cli::main(cli)),
        Err(e) => Err(anyhow::Error::new(e).context("starting the runtime")),
    };
    match done {
        Ok(code) => code,
        Err(e) => {
            tracing::error!("{e:#}");
            ExitCode::FAILURE
        }
    }
}
