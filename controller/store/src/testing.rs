//! A real Postgres for tests: one private server per test process, one fresh migrated database per
//! test. Nothing here is part of the product; the `testing` feature is for test builds only.
//!
//! `PIPEYARD_TEST_DATABASE_URL` names a server to use instead; its user must be allowed to create
//! databases. What an earlier test process left behind is removed by the next one.

use nix::sys::signal::Signal;
use nix::unistd::{User, chown, geteuid};
use sqlx::{Connection as _, Executor as _, PgConnection, PgPool};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

/// A database of its own, with every migration applied.
pub struct TestDatabase {
    pub pool: PgPool,
    /// What a process under test would get as `DATABASE_URL`.
    pub url: String,
}

/// A fresh database.
///
/// # Panics
/// When no server can be started or reached; the text says what is missing.
pub async fn database() -> TestDatabase {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let server = tokio::task::spawn_blocking(server).await.expect("starting the test server");
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("pipeyard_test_{}_{number}", std::process::id());
    let mut conn = PgConnection::connect(&server.url).await.expect("connecting to the test server");
    let copy = format!("create database {name} template {}", server.template);
    conn.execute(sqlx::AssertSqlSafe(copy)).await.expect("creating a test database");
    let url = with_database(&server.url, &name);
    let options = crate::pool::options(&url).expect("the test server's URL is valid");
    TestDatabase { pool: crate::pool::pool(options, 8), url }
}

struct TestServer {
    url: String,
    template: String,
}

/// Starts the server at the first call. The thread that starts it never ends, because the server is
/// told to stop when its parent thread does: with the process, however that dies.
fn server() -> &'static TestServer {
    static SERVER: OnceLock<TestServer> = OnceLock::new();
    SERVER.get_or_init(|| {
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let given = std::env::var("PIPEYARD_TEST_DATABASE_URL").ok();
            let private = given.is_none().then(start);
            let url = given.or_else(|| private.as_ref().map(|(url, _)| url.clone()));
            let url = url.expect("either a URL was given or a server was started");
            let template = format!("pipeyard_template_{}", std::process::id());
            prepare(&url, &template);
            // The receiver is gone only when the process is ending.
            let _ = sender.send(TestServer { url, template });
            loop {
                std::thread::park();
            }
        });
        receiver.recv().expect("the test server did not start; its error is above")
    })
}

/// Makes the migrated database that all others are copies of.
fn prepare(url: &str, template: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let mut conn = PgConnection::connect(url).await.expect("connecting to the test server");
        let databases: Vec<String> = sqlx::query_scalar(
            "select datname from pg_database where datname like 'pipeyard\\_te%\\_%'",
        )
        .fetch_all(&mut conn)
        .await
        .expect("listing databases");
        for left_over in databases.iter().filter(|name| !is_alive(process_of(name))) {
            let drop = format!("drop database if exists {left_over} with (force)");
            // Another test process may be removing the same one.
            let _ = conn.execute(sqlx::AssertSqlSafe(drop)).await;
        }
        let create = format!("create database {template}");
        conn.execute(sqlx::AssertSqlSafe(create)).await.expect("creating the template");
        let options = crate::pool::options(&with_database(url, template)).expect("a valid URL");
        let pool = crate::pool::pool(options, 1);
        crate::pool::migrate(&pool).await.expect("migrating the template");
        pool.close().await;
    });
}

/// `pipeyard_template_123` and `pipeyard_test_123_4` belong to process 123.
fn process_of(database: &str) -> u32 {
    database.split('_').nth(2).and_then(|id| id.parse().ok()).unwrap_or(0)
}

fn is_alive(process: u32) -> bool {
    Path::new("/proc").join(process.to_string()).exists()
}

fn with_database(url: &str, name: &str) -> String {
    let (base, options) = url.split_once('?').map_or((url, None), |(b, o)| (b, Some(o)));
    let server = base.rsplit_once('/').map_or(base, |(server, _)| server);
    match options {
        Some(options) => format!("{server}/{name}?{options}"),
        None => format!("{server}/{name}"),
    }
}

/// Starts a private server and returns its URL.
fn start() -> (String, Child) {
    let programs = programs();
    let owner = geteuid().is_root().then(|| {
        let user = User::from_name("postgres").ok().flatten();
        user.expect("user postgres exists: tests as root need it to run PostgreSQL as")
    });
    let home = std::env::temp_dir().join(format!("pipeyard-tests-{}", geteuid()));
    remove_left_over(&home);
    let directory = home.join(std::process::id().to_string());
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).expect("creating the server's directory");
    std::fs::set_permissions(&home, PermissionsExt::from_mode(0o711)).expect("opening the way");
    if let Some(owner) = &owner {
        chown(&directory, Some(owner.uid), Some(owner.gid)).expect("giving the directory away");
    }
    let cluster = directory.join("data");
    let prepared = |program: &str| {
        let mut command = Command::new(programs.join(program));
        command.stdin(Stdio::null()).current_dir("/").env_remove("PGDATA");
        if let Some(owner) = &owner {
            command.uid(owner.uid.as_raw()).gid(owner.gid.as_raw());
        }
        command
    };
    let made = prepared("initdb")
        .args([
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
            "-U",
            "postgres",
        ])
        .arg("--pgdata")
        .arg(&cluster)
        .output()
        .expect("running initdb");
    assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
    let mut command = prepared("postgres");
    command.arg("-D").arg(&cluster).arg("-k").arg(&directory).stdout(Stdio::null());
    // Tests need no durability.
    for setting in [
        "listen_addresses=",
        "fsync=off",
        "full_page_writes=off",
        "synchronous_commit=off",
        "max_connections=300",
        "shared_buffers=64MB",
        "logging_collector=on",
    ] {
        command.args(["-c", setting]);
    }
    die_with_this_thread(&mut command);
    let server = command.stderr(Stdio::null()).spawn().expect("starting postgres");
    wait_until_ready(&programs, &directory);
    let host = directory.to_string_lossy().replace('/', "%2F");
    (format!("postgres://postgres@{host}/postgres"), server)
}

fn wait_until_ready(programs: &Path, sockets: &Path) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut ready = Command::new(programs.join("pg_isready"));
        let status = ready.args(["--quiet", "--host"]).arg(sockets).status();
        if status.is_ok_and(|status| status.success()) {
            return;
        }
        assert!(Instant::now() < deadline, "the test server in {} is silent", sockets.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[expect(unsafe_code, reason = "pre_exec has no safe form; the closure makes one system call only")]
fn die_with_this_thread(command: &mut Command) {
    // SAFETY: between fork and exec only prctl is called, which is async-signal-safe.
    unsafe {
        command.pre_exec(|| {
            nix::sys::prctl::set_pdeathsig(Signal::SIGQUIT).map_err(std::io::Error::from)
        });
    }
}

/// Directories of test processes that are gone.
fn remove_left_over(home: &Path) {
    for entry in std::fs::read_dir(home).into_iter().flatten().flatten() {
        let process = entry.file_name().to_str().and_then(|name| name.parse().ok());
        if process.is_some_and(|process| !is_alive(process)) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// The newest server programs of the distribution.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions
        .map(|entry| entry.path().join("bin"))
        .filter(|programs| programs.join("initdb").exists())
        .max();
    newest.expect("PostgreSQL server programs: apt-get install postgresql")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_test_has_a_database_of_its_own() {
        let (a, b) = (database().await, database().await);
        let mut conn = a.pool.acquire().await.unwrap();
        crate::repositories::ensure(&mut conn, "shop").await.unwrap();
        let mut other = b.pool.acquire().await.unwrap();
        assert_eq!(crate::repositories::names(&mut conn).await.unwrap(), ["shop"]);
        assert!(crate::repositories::names(&mut other).await.unwrap().is_empty());
        assert!(crate::pool::is_ready(&b.pool).await.unwrap());
    }

    #[test]
    fn a_database_name_replaces_only_the_database() {
        assert_eq!(with_database("postgres://u@h:1/x?a=b", "t"), "postgres://u@h:1/t?a=b");
        assert_eq!(process_of("pipeyard_test_12_3"), 12);
        assert_eq!(process_of("pipeyard_template_12"), 12);
    }
}
