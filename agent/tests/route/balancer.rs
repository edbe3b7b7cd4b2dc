//! Real balancers, started in directories of their own as whoever runs the tests.

use crate::web::Web;
use crate::{load, wait_until};
use agent::context::Settings;
use pipelines::spec::group::{self, Cohort, CohortBy, Router};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Haproxy,
    Nginx,
}

/// How it is set up; everything else is the same in every test.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    pub kind: Kind,
    pub algorithm: &'static str,
    /// The balancer checks its servers, where it can.
    pub checks: bool,
    /// Requests with the same cookie go to the same server.
    pub sticky: bool,
    /// HAProxy tells cohorts apart as the documentation says.
    pub cohorts: bool,
}

impl Setup {
    pub const fn new(kind: Kind) -> Setup {
        Setup { kind, algorithm: "roundrobin", checks: true, sticky: false, cohorts: false }
    }
}

/// Killed when dropped.
pub struct Balancer {
    pub kind: Kind,
    dir: tempfile::TempDir,
    child: Child,
    port: u16,
}

impl Balancer {
    /// With these servers at weight 100; those whose names begin with `off` get nothing at first.
    pub async fn start(setup: Setup, servers: &[&Web]) -> Balancer {
        let dir = tempfile::tempdir().unwrap();
        // Free a moment ago; nobody else on this machine picks ports one by one.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (program, text, args) = match setup.kind {
            Kind::Haproxy => {
                ("haproxy", haproxy(setup, dir.path(), port, servers), vec!["-W", "-f"])
            }
            Kind::Nginx => {
                std::fs::write(dir.path().join("servers"), entries(servers)).unwrap();
                ("nginx", nginx(setup, dir.path(), port), vec!["-c"])
            }
        };
        let conf = dir.path().join("conf");
        std::fs::write(&conf, text).unwrap();
        let out = std::fs::File::create(dir.path().join("out")).unwrap();
        let mut command = Command::new(program);
        // Where distributions put them, which is not in everybody's path.
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{path}:/usr/sbin:/usr/local/sbin"));
        command
            .args(args)
            .arg(&conf)
            .stdin(Stdio::null())
            .stderr(out.try_clone().unwrap())
            .stdout(out);
        let child = command.spawn().unwrap_or_else(|e| {
            panic!("cannot start {program} ({e}): run 'scripts/setup.sh balancer'")
        });
        let balancer = Balancer { kind: setup.kind, dir, child, port };
        balancer.listening().await;
        balancer
    }

    async fn listening(&self) {
        let connects =
            async || tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_ok();
        wait_until(&format!("{:?}: {}", self.kind, self.said()), connects).await;
        match self.kind {
            Kind::Haproxy => wait_until("its socket", async || self.socket().exists()).await,
            Kind::Nginx => wait_until("its pid", async || self.dir().join("pid").exists()).await,
        }
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.dir().join("out")).unwrap_or_default()
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub fn socket(&self) -> PathBuf {
        self.dir().join("admin.sock")
    }

    pub fn servers_file(&self) -> PathBuf {
        self.dir().join("servers")
    }

    pub fn settings(&self) -> Settings {
        let nginx = format!("nginx -c {}", self.dir().join("conf").display());
        Settings { nginx: Some(nginx), ..Settings::default() }
    }

    pub fn router(&self) -> Router {
        self.router_of("shop")
    }

    /// With a second backend and two cohorts.
    pub fn router_with_cohorts(&self) -> Router {
        let next = Some("shop-next".to_owned());
        let file = Some(self.map_file().display().to_string());
        let mut router = self.router();
        if let group::Balancer::Haproxy { next_backend, map, .. } = &mut router.balancer {
            (*next_backend, *map) = (next, file);
        }
        let by = [CohortBy::Header("X-Canary".into()), CohortBy::Cookie("tester".into())];
        let cohorts = by.into_iter().zip(["1", "yes"]);
        let cohorts = cohorts.map(|(by, value)| Cohort { by, value: value.into() });
        Router { cohorts: cohorts.collect(), ..router }
    }

    pub fn map_file(&self) -> PathBuf {
        self.dir().join("shop.map")
    }

    pub fn router_of(&self, name: &str) -> Router {
        let (agent, name) = ("lb".to_owned(), name.to_owned());
        let show = |path: PathBuf| path.display().to_string();
        match self.kind {
            Kind::Haproxy => group::Balancer::Haproxy {
                agent,
                backend: name,
                socket: show(self.socket()),
                next_backend: None,
                map: None,
            }
            .into(),
            Kind::Nginx => group::Balancer::Nginx {
                agent,
                upstream: name,
                file: show(self.servers_file()),
                next_upstream: None,
                map: None,
            }
            .into(),
        }
    }

    /// One question to HAProxy's socket, as an operator would ask it.
    pub fn ask(&self, line: &str) -> String {
        let mut stream = UnixStream::connect(self.socket()).unwrap();
        stream.write_all(format!("{line}\n").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// The administrative state and the weight of a server of HAProxy; None where it has none.
    pub fn admin(&self, name: &str) -> Option<(u32, u32)> {
        self.admin_in("shop", name)
    }

    /// The same in another backend.
    pub fn admin_in(&self, backend: &str, name: &str) -> Option<(u32, u32)> {
        let state = self.ask(&format!("show servers state {backend}"));
        let line = state.lines().find(|line| line.split(' ').nth(3) == Some(name))?;
        let number = |at: usize| line.split(' ').nth(at).unwrap().parse().unwrap();
        Some((number(6), number(7)))
    }

    /// The process that answers now.
    pub fn worker(&self) -> String {
        let info = self.ask("show info");
        info.lines().find_map(|line| line.strip_prefix("Pid: ")).unwrap().to_owned()
    }

    /// As an operator would.
    pub async fn reload(&self) {
        let signal = match self.kind {
            Kind::Haproxy => nix::sys::signal::Signal::SIGUSR2,
            Kind::Nginx => nix::sys::signal::Signal::SIGHUP,
        };
        let before = (self.kind == Kind::Haproxy).then(|| self.worker());
        let pid = nix::unistd::Pid::from_raw(self.child.id().cast_signed());
        nix::sys::signal::kill(pid, signal).unwrap();
        if let Some(before) = before {
            wait_until("a new process", async || self.socket().exists() && self.worker() != before)
                .await;
        }
    }

    /// Waits until a plain request is answered by it.
    pub async fn answers(&self, name: &str) {
        let client = load::client(false);
        let url = self.url("/");
        wait_until(&format!("an answer of {name}"), async || {
            load::get(&client, &url).await.as_deref() == Ok(name)
        })
        .await;
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        // TERM, so that it takes its workers along.
        let pid = nix::unistd::Pid::from_raw(self.child.id().cast_signed());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.child.wait();
    }
}

fn haproxy(setup: Setup, dir: &Path, port: u16, servers: &[&Web]) -> String {
    let Setup { algorithm, checks, .. } = setup;
    let socket = dir.join("admin.sock");
    let (socket, user) = (socket.display(), dir.join("user.sock"));
    let frontend = match setup.cohorts {
        true => documented(dir, port),
        false => format!("frontend f\n  bind 127.0.0.1:{port}\n  default_backend shop\n"),
    };
    let mut text = format!(
        "global\n  stats socket {socket} mode 600 level admin expose-fd listeners\n  \
         stats socket {user} mode 600 level user\n\
         defaults\n  mode http\n  timeout connect 2s\n  timeout check 5s\n  timeout client 60s\n  timeout server 60s\n\
         {frontend}backend api\n  server api-1 127.0.0.1:1\n\
         backend shop\n  balance {algorithm}\n  cookie SRV insert indirect nocache\n  \
         default-server inter 100 rise 2 fall 2 weight 100\n",
        user = user.display()
    );
    if checks {
        text.push_str("  option httpchk GET /up\n");
    }
    for Web { name, address, .. } in servers {
        let check = if checks { "check" } else { "" };
        let off = if name.starts_with("off") { "disabled" } else { "" };
        text.push_str(&format!("  server {name} {address} {check} {off} cookie {name}\n"));
    }
    text
}

/// The frontend and the second backend that docs/routers.md tells people to write.
fn documented(dir: &Path, port: u16) -> String {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/routers.md");
    let docs = std::fs::read_to_string(docs).unwrap();
    let (_, block) = docs.split_once("```\nfrontend ").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let map = dir.join("shop.map");
    std::fs::write(&map, "").unwrap();
    let changes = [
        ("bind :80", format!("bind 127.0.0.1:{port}")),
        ("/etc/haproxy/shop.map", map.display().to_string()),
        ("/healthz", "/up".to_owned()),
    ];
    let mut text = format!("frontend {block}");
    for (from, to) in changes {
        assert!(text.contains(from), "{text}");
        text = text.replace(from, &to);
    }
    text
}

fn nginx(setup: Setup, dir: &Path, port: u16) -> String {
    let temp: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("  {kind}_temp_path {};\n", dir.join(kind).display()))
        .concat();
    let user = if nix::unistd::Uid::effective().is_root() { "user root;" } else { "" };
    let algorithm = if setup.sticky { "hash $cookie_SRV consistent;" } else { "" };
    let dir = dir.display();
    format!(
        "{user}\ndaemon off;\npid {dir}/pid;\nerror_log {dir}/error.log;\nworker_processes 2;\n\
         events {{ worker_connections 512; }}\nhttp {{\n  access_log off;\n{temp}  \
         upstream api {{ server 127.0.0.1:1; }}\n  \
         upstream shop {{\n    {algorithm}\n    zone shop 64k;\n    include {dir}/servers;\n  }}\n  \
         server {{\n    listen 127.0.0.1:{port};\n    location / {{\n      proxy_pass http://shop;\n      \
         proxy_next_upstream off;\n    }}\n  }}\n}}\n"
    )
}

fn entries(servers: &[&Web]) -> String {
    let line = |web: &&Web| {
        let Web { name, address, .. } = web;
        let down = if name.starts_with("off") { " down" } else { "" };
        format!("server {address} weight=100{down}; # {name}\n")
    };
    servers.iter().map(line).collect()
}
