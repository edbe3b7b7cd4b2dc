//! Agents: hosts are containers with their own address and file system, the builder a process beside
//! the Docker engine.

use crate::programs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Where a host's witness files are inside it; a directory of the story's outside.
pub const WITNESS: &str = "/witness";

/// No procps in a minimal image: the process is found by its name in /proc.
const KILL: &str = "for p in /proc/[0-9]*; do \
                    [ \"$(cat $p/comm 2>/dev/null)\" = pipeyard-agent ] && kill -9 ${p#/proc/}; \
                    done; true";

/// A host. The agent is started again whenever it ends, as a service manager would.
pub struct Host {
    pub name: String,
    container: String,
    witness: PathBuf,
}

impl Host {
    /// Starts a host and lets its agent join.
    ///
    /// # Panics
    /// When Docker refuses.
    #[must_use]
    pub fn start(world: &str, name: &str, url: &str, token: &str, witness: PathBuf) -> Host {
        std::fs::create_dir_all(&witness).expect("a directory for witness files");
        let container = format!("pipeyard-story-{world}-{name}");
        let agent = programs::path("pipeyard-agent");
        let image = std::env::var("PIPEYARD_HOST_IMAGE");
        let image = image.unwrap_or_else(|_| "debian:bookworm-slim".to_owned());
        docker(&[
            "run",
            "--detach",
            "--init",
            "--label=pipeyard.story",
            "--name",
            &container,
            "--hostname",
            name,
            "--volume",
            &format!("{}:/usr/local/bin/pipeyard-agent:ro", agent.display()),
            "--volume",
            &format!("{}:{WITNESS}", witness.display()),
            "--env",
            &format!("PIPEYARD_URL={url}"),
            "--env",
            &format!("PIPEYARD_JOIN_TOKEN={token}"),
            "--env",
            &format!("PIPEYARD_NAME={name}"),
            "--env",
            "RUST_BACKTRACE=1",
            "--entrypoint",
            "/bin/sh",
            &image,
            "-c",
            "while :; do pipeyard-agent run; sleep 0.1; done",
        ]);
        Host { name: name.to_owned(), container, witness }
    }

    /// A machine that has never heard of Pipeyard.
    ///
    /// # Panics
    /// When Docker refuses.
    #[must_use]
    pub fn bare(world: &str, name: &str, witness: PathBuf) -> Host {
        std::fs::create_dir_all(&witness).expect("a directory for witness files");
        let container = format!("pipeyard-story-{world}-{name}");
        let image = std::env::var("PIPEYARD_HOST_IMAGE");
        let image =
            image.expect("PIPEYARD_HOST_IMAGE names an image with curl: 'make test' sets it");
        let volume = format!("{}:{WITNESS}", witness.display());
        let (named, hostname) = (["--name", &container], ["--hostname", name]);
        let mut words = vec!["run", "--detach", "--init", "--label=pipeyard.story"];
        words.extend(named);
        words.extend(hostname);
        words.extend(["--volume", &volume, "--entrypoint", "/bin/sh", &image]);
        words.extend(["-c", "while :; do sleep 3600; done"]);
        docker(&words);
        Host { name: name.to_owned(), container, witness }
    }

    /// What a hook wrote into a witness file; empty when there is none.
    #[must_use]
    pub fn witness(&self, file: &str) -> String {
        std::fs::read_to_string(self.witness.join(file)).unwrap_or_default()
    }

    /// Runs a command inside and returns its output; None when it fails.
    #[must_use]
    pub fn run(&self, command: &str) -> Option<String> {
        let output = Command::new("docker")
            .args(["exec", &self.container, "/bin/sh", "-c", command])
            .output()
            .expect("running docker exec");
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Runs a command inside as a person at its keyboard would: its exit code, and all it printed.
    ///
    /// # Panics
    /// When Docker does not run it.
    #[must_use]
    pub fn type_in(&self, command: &str) -> (i32, String) {
        let output = Command::new("docker")
            .args(["exec", &self.container, "/bin/sh", "-c", &format!("{{ {command}\n}} 2>&1")])
            .output()
            .expect("running docker exec");
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        (output.status.code().unwrap_or(-1), said)
    }

    /// Every file there is: its path, kind, mode, owner, and size or target. Not of directories the
    /// kernel or the story fills.
    ///
    /// # Panics
    /// When they cannot be listed.
    #[must_use]
    pub fn files(&self) -> Vec<String> {
        let find = "find / -xdev \\( -path /proc -o -path /sys -o -path /dev -o -path /witness \\) \
                    -prune -o -type d -printf '%p d %m %U\\n' -o -printf '%p %y %m %U %s %l\\n'";
        let found = self.run(find).expect("listing the files");
        let mut files: Vec<String> = found.lines().map(str::to_owned).collect();
        assert!(files.len() > 1000, "a Debian has more than {} files", files.len());
        files.sort();
        files
    }

    /// The version the application's file says is installed; empty when there is none.
    #[must_use]
    pub fn version(&self) -> String {
        self.run("cat /srv/shop/version.txt 2>/dev/null").unwrap_or_default()
    }

    /// `kill -9` of the agent; what it started lives on, and the agent comes back by itself.
    pub fn kill_agent(&self) {
        self.run(KILL).expect("killing the agent");
    }

    /// The same as soon as a condition holds.
    ///
    /// # Panics
    /// When it does not hold within a minute.
    pub fn kill_agent_when(&self, condition: &str) {
        self.signal_agent_when("KILL", condition);
    }

    /// The agent stands still as soon as a condition holds, so that the story comes in time for the
    /// moment. [`Host::reboot`] ends that.
    ///
    /// # Panics
    /// When it does not hold within a minute.
    pub fn stop_agent_when(&self, condition: &str) {
        self.signal_agent_when("STOP", condition);
    }

    /// Looked at inside: the way from outside is too long for moments that are short.
    fn signal_agent_when(&self, signal: &str, condition: &str) {
        let wait = format!("for look in $(seq 6000); do {condition} && break; sleep 0.01; done");
        let act = KILL.replace("-9", &format!("-{signal}"));
        let held = self.run(&format!("{wait}; {condition} && {{ {act}; }}"));
        assert!(held.is_some(), "waited a minute in vain on {} for: {condition}", self.name);
    }

    /// The agent is told to stop, as by a service manager that starts it again: for an upgrade, say.
    pub fn restart_agent(&self) {
        self.run(&KILL.replace("-9", "-TERM")).expect("telling the agent to stop");
    }

    /// Power off and on: everything that runs is gone at once, the disk is as it was, and the agent is
    /// started with the host.
    pub fn reboot(&self) {
        docker(&["restart", "--time", "0", &self.container]);
    }

    /// The whole host stands still: silent, but not dead.
    pub fn freeze(&self) {
        docker(&["pause", &self.container]);
    }

    pub fn thaw(&self) {
        docker(&["unpause", &self.container]);
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = Command::new("docker").args(["logs", "--tail=40", &self.container]).output();
            if let Ok(log) = log {
                let text = String::from_utf8_lossy(&log.stderr);
                eprintln!("--- {} ---\n{text}", self.name);
            }
        }
        let _ =
            Command::new("docker").args(["rm", "--force", "--volumes", &self.container]).output();
    }
}

/// The build agent: a process on this machine.
pub struct Builder {
    child: Child,
    state: PathBuf,
    log: PathBuf,
    url: String,
    token: String,
}

impl Builder {
    #[must_use]
    pub fn start(directory: &Path, url: &str, token: &str) -> Builder {
        let (state, log) = (directory.join("builder"), directory.join("builder.log"));
        let child = spawn(&state, &log, url, token);
        Builder { child, state, log, url: url.to_owned(), token: token.to_owned() }
    }

    /// `kill -9`, then started again.
    pub fn kill_and_restart(&mut self) {
        self.kill();
        self.restart();
    }

    /// Started again after it was killed.
    pub fn restart(&mut self) {
        self.child = spawn(&self.state, &self.log, &self.url, &self.token);
    }

    pub fn kill(&mut self) {
        self.child.kill().expect("killing the builder");
        self.child.wait().expect("waiting for the killed builder");
    }
}

fn spawn(state: &Path, log: &Path, url: &str, token: &str) -> Child {
    let log = std::fs::File::options().create(true).append(true).open(log).expect("a log file");
    Command::new(programs::path("pipeyard-agent"))
        .args(["run", "--slots", "2", "--name", "builder", "--url", url, "--join-token", token])
        .arg("--state-dir")
        .arg(state)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a second handle"))
        .stderr(log)
        .spawn()
        .expect("starting the builder")
}

impl Drop for Builder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let text = std::fs::read_to_string(&self.log).unwrap_or_default();
            eprintln!("--- builder ---\n{text}");
        }
    }
}

/// The address of this machine as containers see it. Not asked of Docker: it names no gateway before
/// the first container uses the bridge.
///
/// # Panics
/// When there is no bridge.
#[must_use]
pub fn gateway() -> String {
    let output = Command::new("ip").args(["-4", "-o", "addr", "show", "docker0"]).output();
    let text = String::from_utf8_lossy(&output.expect("running ip").stdout).into_owned();
    let address = text.split_whitespace().skip_while(|word| *word != "inet").nth(1);
    let address = address.and_then(|address| address.split('/').next());
    address.expect("an address on docker0: is the Docker engine running?").to_owned()
}

/// The image of a host that a deployment makes: the usual one with the agent in it.
///
/// # Panics
/// When Docker refuses.
#[must_use]
pub fn instance_image() -> String {
    let base = std::env::var("PIPEYARD_HOST_IMAGE");
    let base = base.unwrap_or_else(|_| "debian:bookworm-slim".to_owned());
    let directory = tempfile::tempdir().expect("a directory for the image");
    let agent = directory.path().join("pipeyard-agent");
    std::fs::copy(programs::path("pipeyard-agent"), agent).expect("copying the agent");
    let text = format!(
        "FROM {base}\nCOPY pipeyard-agent /usr/local/bin/\nENTRYPOINT [\"/bin/sh\", \"-c\", \
         \"mkdir -p /witness; while :; do pipeyard-agent run; sleep 0.1; done\"]\n"
    );
    std::fs::write(directory.path().join("Dockerfile"), text).expect("writing a Dockerfile");
    let name = "pipeyard-story-instance".to_owned();
    docker(&["build", "--quiet", "--tag", &name, &directory.path().display().to_string()]);
    name
}

/// The hosts that deployments of a group have made; none of them outlives the story.
pub struct Instances {
    pub group: String,
}

impl Instances {
    /// Their names, in order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let filter = format!("label=pipeyard.instance.group={}", self.group);
        let list = docker(&["ps", "--all", "--filter", &filter, "--format", "{{.Names}}"]);
        let mut names: Vec<String> = list.lines().map(str::to_owned).collect();
        names.sort();
        names
    }
}

impl Drop for Instances {
    fn drop(&mut self) {
        for name in self.names() {
            let _ = Command::new("docker").args(["rm", "--force", "--volumes", &name]).output();
        }
    }
}

fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().expect("running docker");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "docker {}: {said}", arguments.join(" "));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
