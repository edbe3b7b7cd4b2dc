//! The agent's real program, started by a test.

use super::{PATIENCE, Stub};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Instant;

/// Killed when dropped.
pub struct Agent(Child);

/// A command with nothing of the tester's own agent in its environment.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pipeyard-agent"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PIPEYARD_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

impl Agent {
    pub fn run(stub: &Stub, state: &Path) -> Agent {
        let child = program()
            .args(["run", "--join-token", "pyj1.k1.s1.plain", "--name", "host-1"])
            .args(["--stop-grace", "1", "--url", &stub.url])
            .arg("--state-dir")
            .arg(state)
            .spawn()
            .unwrap();
        Agent(child)
    }

    /// As a crash would: no chance to say or write anything.
    pub fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    pub fn ask_to_stop(&self) {
        let pid = nix::unistd::Pid::from_raw(self.0.id().cast_signed());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    }

    pub fn wait(mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the agent does not stop");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
