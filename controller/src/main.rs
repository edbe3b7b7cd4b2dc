//! `pipeyard-controller`.

use clap::Parser as _;
use controller::config::{Cli, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    // One provider for everybody, before anything can ask for one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let filter = EnvFilter::try_from_env("PIPEYARD_LOG")
        .unwrap_or_else(|_| EnvFilter::new("info,sqlx=warn,hyper=warn"));
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours);
    log.with_writer(std::io::stderr).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let stop = CancellationToken::new();
        tokio::spawn(stop_on_signal(stop.clone()));
        match cli.command {
            Command::Run(config) => controller::app::run(config, stop).await,
        }
    })
}

/// TERM and INT ask for a clean end; a second one does not wait for it.
async fn stop_on_signal(stop: CancellationToken) {
    let (Ok(mut term), Ok(mut int)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return;
    };
    for times in 0.. {
        tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
        if times > 0 {
            std::process::exit(130);
        }
        tracing::info!("stopping");
        stop.cancel();
    }
}
