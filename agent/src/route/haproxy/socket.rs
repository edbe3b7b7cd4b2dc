//! One question to HAProxy's socket, and the whole answer.

use crate::route::fault::Fault;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::{Instant, timeout};

/// HAProxy answers in microseconds. One that does not in this time is stuck.
const ANSWER: Duration = Duration::from_secs(5);
/// Longest answer taken: thousands of servers.
const ANSWER_MAX: u64 = 16 << 20;

/// How long nobody may listen, or an answer be cut off: a new process takes over.
const RELOAD: Duration = Duration::from_secs(1);
const AGAIN_EVERY: Duration = Duration::from_millis(20);

fn may_pass(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionRefused, ConnectionReset, NotFound, UnexpectedEof};
    matches!(
        error.kind(),
        BrokenPipe | ConnectionRefused | ConnectionReset | NotFound | UnexpectedEof
    )
}

/// Where HAProxy listens.
#[derive(Debug, Clone)]
pub struct Socket(PathBuf);

impl Socket {
    pub fn new(path: &Path) -> Socket {
        Socket(path.to_owned())
    }

    /// One line, which may hold several commands; it is answered by the process that takes it, in one go.
    ///
    /// Asked again when a reload came in between: every command of ours may be repeated.
    pub async fn ask(&self, line: &str) -> Result<String, Fault> {
        let deadline = Instant::now() + RELOAD;
        loop {
            match timeout(ANSWER, self.talk(line)).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(e)) if may_pass(&e) && Instant::now() < deadline => {
                    tokio::time::sleep(AGAIN_EVERY).await;
                }
                Ok(Err(e)) => return Err(self.fault(&e)),
                Err(_) => {
                    return Err(Fault::router(format!(
                        "HAProxy did not answer on {self} within {} s: look at what it is doing",
                        ANSWER.as_secs()
                    )));
                }
            }
        }
    }

    async fn talk(&self, line: &str) -> io::Result<String> {
        let mut stream = UnixStream::connect(&self.0).await?;
        stream.write_all(format!("{line}\n").as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(ANSWER_MAX).read_to_end(&mut answer).await?;
        // Even to what has nothing to say about itself it answers an empty line.
        if answer.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    fn fault(&self, error: &io::Error) -> Fault {
        let what = match error.kind() {
            io::ErrorKind::NotFound => format!(
                "there is no socket {self}: write `stats socket {self} mode 660 level admin` into the `global` \
                 section of haproxy.cfg and restart HAProxy, or correct `socket` in the group's router"
            ),
            io::ErrorKind::PermissionDenied => format!(
                "this agent may not open {self}: run the agent as root, or put its user into the group that owns \
                 the socket (`stats socket {self} group haproxy mode 660 level admin`)"
            ),
            io::ErrorKind::ConnectionRefused => {
                format!(
                    "nobody listens on {self}: start HAProxy (`systemctl status haproxy` says why not)"
                )
            }
            _ => format!("talking to HAProxy on {self}: {error}"),
        };
        Fault::router(what)
    }
}

impl fmt::Display for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}
