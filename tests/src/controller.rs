//! A controller process that can be killed and started again.

use crate::programs;
use crate::wait;
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

pub struct Controller {
    data: PathBuf,
    database: Option<String>,
    pub port: u16,
    gateway: String,
    silence: u64,
    /// Where the programs are that it gives to hosts, if not beside its own.
    pub programs: Option<PathBuf>,
    log: PathBuf,
    child: Option<Child>,
}

impl Controller {
    /// A controller on a free port; not started yet.
    #[must_use]
    pub fn new(data: &Path, database: Option<String>, gateway: &str, silence: u64) -> Controller {
        let port = free_port();
        let log = data.join(format!("controller-{port}.log"));
        let (data, gateway) = (data.to_owned(), gateway.to_owned());
        Controller { data, database, port, gateway, silence, programs: None, log, child: None }
    }

    /// Where people reach it: plain HTTP on this machine.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Where agents in containers reach it.
    #[must_use]
    pub fn agents_url(&self) -> String {
        format!("https://{}:{}", self.gateway, self.port)
    }

    /// Starts the process and waits until it answers.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn start(&mut self) {
        std::fs::create_dir_all(&self.data).expect("the data directory");
        let log = File::options().create(true).append(true).open(&self.log).expect("a log file");
        let mut command = Command::new(programs::path("pipeyard-controller"));
        command
            .arg("run")
            .arg("--data")
            .arg(&self.data)
            .args(["--listen", &format!("0.0.0.0:{}", self.port)])
            .args(["--public-url", &self.agents_url()])
            .args(["--agent-silence", &self.silence.to_string()])
            .args(["--allow-local-sources", "--allow-local-monitors"])
            .env_remove("DATABASE_URL")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log);
        if let Some(url) = &self.database {
            command.env("DATABASE_URL", url);
        }
        if let Some(programs) = &self.programs {
            command.arg("--programs").arg(programs);
        }
        self.child = Some(command.spawn().expect("starting the controller"));
        let url = format!("{}/readyz", self.url());
        let client = reqwest::Client::builder().no_proxy().build().expect("a plain client");
        wait::until("the controller to answer", || async {
            let answer = client.get(&url).send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("killing the controller");
            child.wait().expect("waiting for the killed controller");
        }
    }

    /// Kills it and starts it again.
    pub async fn kill_and_restart(&mut self) {
        self.kill();
        self.start().await;
    }

    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Resident memory in kilobytes.
    #[must_use]
    pub fn resident_kb(&self) -> u64 {
        let id = self.child.as_ref().map_or(0, Child::id);
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- controller log ---\n{}", self.log());
        }
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound port").port()
}
