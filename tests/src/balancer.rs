//! HAProxy or nginx from the distribution on this machine, and the agent beside it.

pub use crate::load::{Load, Tally, answers};

use crate::programs;
use crate::wait;
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The name of the agent beside it.
pub const AGENT: &str = "lb-1";

pub struct Balancer {
    program: Child,
    agent: Child,
    port: u16,
    directory: PathBuf,
    beside: Beside,
}

/// How the agent beside it is started.
struct Beside {
    url: String,
    token: String,
    /// How nginx is called, where it is nginx.
    nginx: Option<String>,
}

impl Balancer {
    /// Starts HAProxy with an empty backend `shop`, and another one for cohorts as docs/routers.md says,
    /// and lets its agent join.
    ///
    /// # Panics
    /// When HAProxy does not come up.
    pub async fn start(directory: &Path, url: &str, token: &str) -> Balancer {
        let directory = directory.join("balancer");
        std::fs::create_dir_all(&directory).expect("a directory for the balancer");
        let port = free_port();
        let config = directory.join("haproxy.cfg");
        std::fs::write(&config, configuration(&directory, port)).expect("its configuration");
        std::fs::write(directory.join("shop.map"), "").expect("its map");
        let program = Command::new("haproxy")
            .arg("-W")
            .arg("-f")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log(&directory, "haproxy.log"))
            .spawn()
            .expect("starting haproxy: 'scripts/setup.sh balancer' installs it");
        let beside = Beside { url: url.to_owned(), token: token.to_owned(), nginx: None };
        let agent = beside.start(&directory);
        let balancer = Balancer { program, agent, port, directory, beside };
        wait::until("HAProxy to open its socket", || async {
            UnixStream::connect(balancer.socket()).is_ok().then_some(())
        })
        .await;
        balancer
    }

    /// Starts nginx with an upstream `shop` of one server that is down, and lets its agent join.
    ///
    /// # Panics
    /// When nginx does not come up.
    pub async fn start_nginx(directory: &Path, url: &str, token: &str) -> Balancer {
        let directory = directory.join("balancer");
        std::fs::create_dir_all(&directory).expect("a directory for the balancer");
        let port = free_port();
        let config = directory.join("nginx.conf");
        std::fs::write(&config, nginx_configuration(&directory, port)).expect("its configuration");
        // nginx takes no upstream without a server.
        let nobody = "server 127.0.0.1:1 down; # nobody\n";
        std::fs::write(directory.join("shop.servers"), nobody).expect("its servers");
        let program = Command::new("nginx")
            .arg("-c")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log(&directory, "nginx.log"))
            .spawn()
            .expect("starting nginx: 'scripts/setup.sh balancer' installs it");
        let nginx = Some(format!("nginx -c {}", config.display()));
        let beside = Beside { url: url.to_owned(), token: token.to_owned(), nginx };
        let agent = beside.start(&directory);
        let balancer = Balancer { program, agent, port, directory, beside };
        wait::until("nginx to listen", || async {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok().then_some(())
        })
        .await;
        balancer
    }

    /// A group file with this balancer's places in it: `SOCKET`, `MAP` and `SERVERS`.
    #[must_use]
    pub fn places(&self, group: &str) -> String {
        let at = |name: &str| self.directory.join(name).display().to_string();
        group
            .replace("SOCKET", &at("admin.sock"))
            .replace("MAP", &at("shop.map"))
            .replace("SERVERS", &at("shop.servers"))
    }

    /// What nginx's upstream is made of: the names of those that are not down.
    ///
    /// # Panics
    /// When the file is not there.
    #[must_use]
    pub fn in_upstream(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.directory.join("shop.servers"));
        let text = text.expect("the upstream's servers");
        let servers = text.lines().filter(|line| !line.contains(" down"));
        servers.filter_map(|line| Some(line.split_once("# ")?.1.to_owned())).collect()
    }

    /// The entries of HAProxy's map now: keys and backends.
    #[must_use]
    pub fn map(&self) -> BTreeMap<String, String> {
        let answer = self.ask(&format!("show map {}", self.directory.join("shop.map").display()));
        let lines = answer.lines().filter_map(|line| line.split_once(' ')?.1.split_once(' '));
        lines.map(|(key, backend)| (key.to_owned(), backend.to_owned())).collect()
    }

    fn ask(&self, line: &str) -> String {
        let mut socket = UnixStream::connect(self.socket()).expect("the admin socket");
        socket.write_all(format!("{line}\n").as_bytes()).expect("asking HAProxy");
        let mut text = String::new();
        socket.read_to_string(&mut text).expect("HAProxy's answer");
        text
    }

    /// Its admin socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.directory.join("admin.sock")
    }

    /// What clients ask.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// `kill -9` of the agent beside it, which then is started again.
    pub fn kill_agent(&mut self) {
        self.stop_agent();
        self.start_agent();
    }

    /// `kill -9` of the agent beside it; HAProxy goes on.
    pub fn stop_agent(&mut self) {
        self.agent.kill().expect("killing the balancer's agent");
        self.agent.wait().expect("waiting for the killed agent");
    }

    /// Started again after it was stopped.
    pub fn start_agent(&mut self) {
        self.agent = self.beside.start(&self.directory);
    }

    /// Every server with its state word and weight, by HAProxy's own word.
    #[must_use]
    pub fn servers(&self) -> BTreeMap<String, (String, u32)> {
        let text = self.ask("show stat shop 4 -1");
        let mut lines = text.lines();
        let names: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
        let at = |name: &str| names.iter().position(|column| *column == name).unwrap_or(0);
        let (name, status, weight) = (at("svname"), at("status"), at("weight"));
        let rows = lines.map(|line| line.split(',').collect::<Vec<_>>());
        rows.filter(|row| row.len() > status.max(weight))
            .map(|row| {
                let weight = row[weight].parse().unwrap_or(0);
                (row[name].to_owned(), (row[status].to_owned(), weight))
            })
            .collect()
    }

    /// The servers that get traffic.
    #[must_use]
    pub fn serving(&self) -> Vec<String> {
        let all = self.servers().into_iter();
        all.filter(|(_, (status, weight))| status.starts_with("UP") && *weight > 0)
            .map(|(name, _)| name)
            .collect()
    }
}

impl Beside {
    fn start(&self, directory: &Path) -> Child {
        let nginx = self.nginx.iter().flat_map(|nginx| ["--nginx", nginx.as_str()]);
        Command::new(programs::path("pipeyard-agent"))
            .args(["run", "--name", AGENT, "--url", &self.url, "--join-token", &self.token])
            .args(nginx)
            .arg("--state-dir")
            .arg(directory.join("agent"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log(directory, "agent.log"))
            .spawn()
            .expect("starting the balancer's agent")
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        for child in [&mut self.agent, &mut self.program] {
            let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
            let _ = child.wait();
        }
        if std::thread::panicking() {
            for name in ["agent.log", "haproxy.log", "nginx.log", "error.log"] {
                let text = std::fs::read_to_string(self.directory.join(name)).unwrap_or_default();
                eprintln!("--- {name} ---\n{text}");
            }
        }
    }
}

fn log(directory: &Path, name: &str) -> std::fs::File {
    let path = directory.join(name);
    std::fs::File::options().create(true).append(true).open(path).expect("a log file")
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound port").port()
}

/// No redispatch and no retries: what goes wrong at a server is seen by the client.
fn configuration(directory: &Path, port: u16) -> String {
    format!(
        "global\n  stats socket {0}/admin.sock mode 600 level admin expose-fd listeners\n\
         defaults\n  mode http\n  retries 0\n  timeout connect 2s\n  timeout client 30s\n  timeout server 30s\n\
         frontend people\n  bind 127.0.0.1:{port}\n  http-request set-var(txn.canary) req.hdr(X-Canary)\n  \
         acl is_canary str(header:X-Canary:),concat(,txn.canary),map({0}/shop.map) -m found\n  \
         acl next_serves nbsrv(shop-next) gt 0\n  use_backend shop-next if next_serves is_canary\n  \
         default_backend shop\n\
         backend shop-next\n  balance roundrobin\n  option httpchk GET /version.txt\n\
         backend shop\n  balance roundrobin\n  option httpchk GET /version.txt\n",
        directory.display()
    )
}

/// No next upstream: what goes wrong at a server is seen by the client.
fn nginx_configuration(directory: &Path, port: u16) -> String {
    let temp: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("  {kind}_temp_path {};\n", directory.join(kind).display()))
        .concat();
    let user = if nix::unistd::Uid::effective().is_root() { "user root;\n" } else { "" };
    let directory = directory.display();
    format!(
        "{user}daemon off;\npid {directory}/nginx.pid;\nerror_log {directory}/error.log;\nworker_processes 2;\n\
         events {{ worker_connections 512; }}\n\
         http {{\n  access_log off;\n{temp}  \
         upstream shop {{\n    zone shop 64k;\n    include {directory}/shop.servers;\n  }}\n  \
         server {{\n    listen 127.0.0.1:{port};\n    location / {{\n      proxy_pass http://shop;\n      \
         proxy_next_upstream off;\n    }}\n  }}\n}}\n"
    )
}
