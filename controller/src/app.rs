//! Putting it together: database, store, port, engine; and taking it apart in the right order.

use crate::agents::seen::Seen;
use crate::config::Config;
use crate::engine::{Identity, Joining, lead};
use crate::postgres::Server;
use crate::slot::Slot;
use crate::sources::{Sources, url::Policy};
use crate::state::Controller;
use crate::tls::Tls;
use crate::{agents, first_start, git, hooks, listen, wakes};
use anyhow::{Context as _, Result, bail};
use axum::Router;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use store::keys::Keys;
use store::logs::Logs;
use store::objects::Objects;
use store::wake::Wakes;
use store::{PgPool, pool};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How long to wait for a database that is not there yet.
const DATABASE_PATIENCE: Duration = Duration::from_secs(60);
/// How often all repositories are looked at for pushes whose notice was lost.
const REPOSITORY_LOOK: Duration = Duration::from_secs(15);

/// Runs the controller until `stop`.
///
/// # Errors
/// When it cannot start; the text says what to change.
pub async fn run(config: Config, stop: CancellationToken) -> Result<()> {
    std::fs::create_dir_all(&config.data)
        .with_context(|| format!("creating the data directory {}", config.data.display()))?;
    private_directory(&config.data)?;
    // Outlives everything that uses it: it is stopped last.
    let database = CancellationToken::new();
    let (url, server) = match &config.database_url {
        Some(url) => (url.clone(), None),
        None => {
            let server = start_postgres(&config).await?;
            let url = server.url().to_owned();
            (url, Some(tokio::spawn(keep_postgres(server, config.clone(), database.clone()))))
        }
    };
    let options = pool::options(&url).context("reading the database URL")?;
    let pool = pool::pool(options, config.database_connections);
    let result = match migrate(&pool, &stop).await {
        Ok(()) => serve(&config, pool.clone(), &stop).await,
        Err(error) => Err(error),
    };
    stop.cancel();
    // An idle connection that does not close must not keep us from ending.
    let _ = tokio::time::timeout(Duration::from_secs(3), pool.close()).await;
    database.cancel();
    if let Some(server) = server {
        server.await?;
    }
    result
}

/// Starts the private Postgres again whenever it ends by itself, and stops it at the end.
async fn keep_postgres(mut server: Server, config: Config, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = server.ended() => {}
            () = stop.cancelled() => {
                let stopped = tokio::task::spawn_blocking(move || server.stop()).await;
                return stopped.unwrap_or_default();
            }
        }
        tracing::error!("the private Postgres ended; starting it again (see postgres.log)");
        server = loop {
            match start_postgres(&config).await {
                Ok(server) => break server,
                Err(error) => tracing::error!(error = %format!("{error:#}"), "it does not start"),
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            if stop.is_cancelled() {
                return;
            }
        };
    }
}

/// Keys, sources and logs are nobody else's business; the private Postgres must still reach its own
/// directory, which is why others may pass through but not look.
fn private_directory(data: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(data, std::fs::Permissions::from_mode(0o711))?;
    for name in ["tls", "repositories", "mirrors", "objects", "logs"] {
        let directory = data.join(name);
        std::fs::create_dir_all(&directory)?;
        std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

async fn start_postgres(config: &Config) -> Result<Server> {
    let (data, programs) = (config.data.clone(), config.postgres_bin.clone());
    let started = std::time::Instant::now();
    let server =
        tokio::task::spawn_blocking(move || Server::start(&data, programs.as_deref())).await??;
    tracing::info!(took_ms = started.elapsed().as_millis(), "the private Postgres is up");
    Ok(server)
}

async fn migrate(pool: &PgPool, stop: &CancellationToken) -> Result<()> {
    let deadline = tokio::time::Instant::now() + DATABASE_PATIENCE;
    loop {
        let error = match pool.acquire().await {
            Ok(_) => return pool::migrate(pool).await.context("bringing the schema up to date"),
            Err(error) => error,
        };
        if tokio::time::Instant::now() > deadline {
            return Err(error).context("connecting to the database");
        }
        tracing::warn!(%error, "the database is not reachable yet");
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
            () = stop.cancelled() => bail!("stopped while waiting for the database"),
        }
    }
}

async fn serve(config: &Config, pool: PgPool, stop: &CancellationToken) -> Result<()> {
    let slot = Slot::take(&config.data).context("taking a place in the data directory")?;
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("listening on {}", config.listen))?;
    let address = listener.local_addr()?;
    let public_url = config.public_url(address.port());
    let tls = if config.plain_http { None } else { Some(tls(config, &public_url)?) };
    first_start::first_admin(&pool, &config.data, &public_url).await?;
    let controller = controller(config, &pool, stop)?;
    let web = web_app(config, &controller, tls.as_ref(), &public_url);
    let router = router(controller.clone(), web);
    let fingerprint = tls.as_ref().map(|tls| tls.fingerprint.clone());
    let settings = listen::Settings { tls: tls.map(|tls| tls.config) };
    let me = Identity {
        holder: slot.id,
        pool: pool.clone(),
        wakes: controller.wakes.clone(),
        lease: controller.lease,
        sources: controller.sources.clone(),
        monitors: Policy { allow_local: config.allow_local_monitors },
        joining: Joining { url: public_url.clone(), ca_sha256: fingerprint.clone() },
    };
    let silence = config.lease().silent_for_max.to_std();
    let background = [
        tokio::spawn(lead(me, stop.clone())),
        tokio::spawn(controller.seen.clone().keep_writing(pool.clone(), silence, stop.clone())),
        tokio::spawn(wakes::exchange(pool.clone(), controller.wakes.clone(), stop.clone())),
        tokio::spawn(watch_repositories(controller, stop.clone())),
    ];
    announce(address, &public_url, config, fingerprint.as_deref());
    let served = listen::serve(listener, settings, router, stop.clone()).await;
    stop.cancel();
    for task in background {
        let _ = tokio::time::timeout(Duration::from_secs(5), task).await;
    }
    served
}

fn announce(address: SocketAddr, public_url: &str, config: &Config, fingerprint: Option<&str>) {
    let ca_sha256 = fingerprint.unwrap_or("no TLS");
    tracing::info!(%address, url = public_url, ca_sha256, "the controller is up");
    if config.plain_http && !address.ip().is_loopback() {
        tracing::warn!("plain HTTP for everybody: --plain-http was given");
    }
}

fn tls(config: &Config, public_url: &str) -> Result<Tls> {
    let mut names = config.tls_names.clone();
    names.extend(
        reqwest::Url::parse(public_url)
            .ok()
            .and_then(|url| url.host_str().map(|host| host.trim_matches(['[', ']']).to_owned())),
    );
    Tls::load(&config.data, &names)
}

fn controller(config: &Config, pool: &PgPool, stop: &CancellationToken) -> Result<Controller> {
    let objects = Objects::local(&config.data.join("objects"))?;
    let policy = Policy { allow_local: config.allow_local_sources };
    Ok(Controller {
        pool: pool.clone(),
        wakes: Wakes::default(),
        sources: Sources::new(&config.data, objects.clone(), policy),
        objects,
        logs: Logs::new(config.data.join("logs"))?,
        keys: Keys::load(&config.data.join("master.key")).context("loading master.key")?,
        lease: config.lease(),
        seen: Seen::default(),
        conditions: crate::state::Conditions::default(),
        polls: crate::state::Polls::default(),
        stop: stop.clone(),
    })
}

fn web_app(
    config: &Config,
    controller: &Controller,
    tls: Option<&Tls>,
    public_url: &str,
) -> web::App {
    web::App {
        pool: controller.pool.clone(),
        objects: controller.objects.clone(),
        logs: controller.logs.clone(),
        wakes: controller.wakes.clone(),
        keys: controller.keys.clone(),
        lease: controller.lease,
        ca_sha256: tls.map(|tls| tls.fingerprint.clone()),
        ca_pem: tls.map(|tls| tls.ca_pem.clone()),
        programs: web::Programs::new(config.program_directories()),
        public_url: public_url.to_owned(),
        version: env!("CARGO_PKG_VERSION"),
    }
}

/// Machines and people on one port. Machines' routes carry their own authentication.
pub fn router(controller: Controller, web: web::App) -> Router {
    let machines = Router::new()
        .merge(agents::router())
        .merge(git::router())
        .merge(hooks::router())
        .with_state(controller);
    machines.merge(web::router(web))
}

async fn watch_repositories(controller: Controller, stop: CancellationToken) {
    loop {
        if let Err(error) = git::notice_all(&controller).await {
            tracing::warn!(error = %format!("{error:#}"), "cannot look at the repositories");
        }
        tokio::select! {
            () = tokio::time::sleep(REPOSITORY_LOOK) => {}
            () = stop.cancelled() => return,
        }
    }
}
