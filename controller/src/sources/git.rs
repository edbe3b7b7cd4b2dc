//! The `git` program: mirrors, archives, and the environment it always runs in.

use super::FetchError;
use super::url::Policy;
use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use nix::fcntl::{Flock, FlockArg};
use sha2::{Digest as _, Sha256};
use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::sync::mpsc;

/// A fetch that takes longer is stopped.
const FETCH_TIMEOUT: Duration = Duration::from_secs(300);

/// `git` with nothing of this machine's or user's configuration, no prompts, no helpers, and only
/// harmless transports.
#[must_use]
pub fn base_command() -> std::process::Command {
    let mut command = std::process::Command::new("git");
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into()))
        .env("HOME", "/nonexistent")
        .env("LC_ALL", "C")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_ALLOW_PROTOCOL", "https")
        // The address was checked; what it redirects to was not.
        .args(["-c", "http.followRedirects=false"])
        .args(["-c", "protocol.ext.allow=never", "-c", "protocol.file.allow=never"])
        .args(["-c", "core.hooksPath=/dev/null", "-c", "safe.directory=*"])
        .args(["-c", "core.fsmonitor=false", "-c", "gc.auto=0"])
        .stdin(Stdio::null());
    command
}

/// Makes the bare repository if it is not there; made aside and moved, so it is whole or absent.
///
/// # Errors
/// When git or the file system refuses.
pub fn bare_repository(directory: &Path) -> Result<()> {
    if directory.join("HEAD").exists() {
        return Ok(());
    }
    let parent = directory.parent().context("a repository without a parent directory")?;
    std::fs::create_dir_all(parent)?;
    let aside = tempfile::tempdir_in(parent)?;
    let output = base_command()
        .args(["init", "--quiet", "--bare", "--initial-branch=main", "--template="])
        .arg(aside.path())
        .output()
        .context("running git init")?;
    if !output.status.success() {
        bail!("git init: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let settings = "[transfer]\n\tfsckObjects = true\n[receive]\n\tfsckObjects = true\n\
                    \tautogc = false\n\tmaxInputSize = 2147483648\n[uploadpack]\n\
                    \tallowReachableSHA1InWant = true\n[http]\n\treceivepack = true\n";
    let mut config = std::fs::OpenOptions::new().append(true).open(aside.path().join("config"))?;
    config.write_all(settings.as_bytes())?;
    match std::fs::rename(aside.path(), directory) {
        Ok(()) => {
            // Moved away: nothing left to clean up.
            let _ = aside.keep();
            Ok(())
        }
        Err(_) if directory.join("HEAD").exists() => Ok(()),
        Err(error) => Err(error).context("moving the new repository into place"),
    }
}

/// Brings the mirror of `address` to hold `commit` (or the branch's newest one) and returns it.
pub(super) async fn mirror(
    mirrors: &Path,
    address: &str,
    branch: &str,
    commit: Option<&str>,
    policy: Policy,
) -> Result<PathBuf, FetchError> {
    let name = hex::encode(Sha256::digest(address.as_bytes()));
    let directory = mirrors.join(format!("{name}.git"));
    let at = directory.clone();
    let made = tokio::task::spawn_blocking(move || -> Result<Flock<std::fs::File>> {
        bare_repository(&at)?;
        lock_mirror(&at)
    });
    // Held until the fetch is over: two fetches into one mirror disturb each other.
    let _lock = made
        .await
        .map_err(|e| FetchError::ForNow(e.to_string()))?
        .map_err(|e| FetchError::ForNow(format!("{e:#}")))?;
    let branch_ref = format!("+refs/heads/{branch}:refs/heads/{branch}");
    let exact = commit.map(|commit| format!("{commit}:refs/pipeyard/{commit}"));
    // The one commit when the server gives it; else the branch, which has it unless it was rewritten.
    let Some(exact) = exact else {
        fetch(&directory, address, &branch_ref, "--depth=1", policy).await?;
        return Ok(directory);
    };
    match fetch(&directory, address, &exact, "--depth=1", policy).await {
        Ok(()) => {}
        Err(FetchError::ForNow(said)) => return Err(FetchError::ForNow(said)),
        // The branch may have moved on, so it is fetched with its history.
        Err(FetchError::ForGood(_)) => {
            fetch(&directory, address, &branch_ref, "--depth=2147483647", policy).await?;
        }
    }
    Ok(directory)
}

/// Waits for the mirror and removes what a killed fetch left in it.
fn lock_mirror(directory: &Path) -> Result<Flock<std::fs::File>> {
    let path = directory.join("pipeyard.lock");
    let file = std::fs::OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
    let lock = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, error)| error)?;
    match std::fs::remove_file(directory.join("shallow.lock")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(lock),
    }
}

async fn fetch(
    directory: &Path,
    address: &str,
    refspec: &str,
    depth: &str,
    policy: Policy,
) -> Result<(), FetchError> {
    let mut command = tokio::process::Command::from(base_command());
    if policy.allow_local {
        command.env("GIT_ALLOW_PROTOCOL", "https:http");
    }
    command
        .arg("-C")
        .arg(directory)
        .args(["fetch", "--quiet", depth, "--no-tags", "--no-recurse-submodules", "--"])
        .args([address, refspec])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let child = command.output();
    let output = match tokio::time::timeout(FETCH_TIMEOUT, child).await {
        Ok(output) => {
            output.map_err(|error| FetchError::ForNow(format!("running git: {error}")))?
        }
        Err(_) => {
            let limit = FETCH_TIMEOUT.as_secs();
            return Err(FetchError::ForNow(format!("git fetch took longer than {limit} s")));
        }
    };
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim().replace(address, &super::url::without_credentials(address));
    let gone = ["couldn't find remote ref", "not found", "not our ref", "unadvertised object"];
    let missing = gone.iter().any(|text| said.contains(text));
    let said = format!("git fetch: {said}");
    Err(if missing { FetchError::ForGood(said) } else { FetchError::ForNow(said) })
}

/// A stream of packed pieces, and the work that makes them.
type Packing = tokio::task::JoinHandle<Result<()>>;

/// Packs the tree of `commit` as `.tar.zst`, streaming.
pub(super) fn archive(
    directory: &Path,
    commit: &str,
) -> (mpsc::Receiver<std::io::Result<Bytes>>, Packing) {
    let (sender, receiver) = mpsc::channel(8);
    let mut command = base_command();
    command.arg("-C").arg(directory).args(["archive", "--format=tar", commit]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let packing = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().context("running git archive")?;
        let mut tar = child.stdout.take().context("git archive has no output")?;
        // Level 1: sources are packed on the way to the first command of a build.
        let mut packed = zstd::Encoder::new(Sender { sender }, 1)?;
        let copied = std::io::copy(&mut tar, &mut packed).and_then(|_| packed.finish()?.flush());
        // With the pipe open, git would wait for a reader that has given up.
        drop(tar);
        if copied.is_err() {
            let _ = child.kill();
        }
        let mut complaint = String::new();
        if let Some(mut stderr) = child.stderr.take() {
            stderr.read_to_string(&mut complaint)?;
        }
        if !child.wait()?.success() && copied.is_ok() {
            bail!("git archive: {}", complaint.trim());
        }
        copied.context("packing the source")
    });
    (receiver, packing)
}

/// Writes into a channel of pieces.
struct Sender {
    sender: mpsc::Sender<std::io::Result<Bytes>>,
}

impl Write for Sender {
    fn write(&mut self, piece: &[u8]) -> std::io::Result<usize> {
        let sent = self.sender.blocking_send(Ok(Bytes::copy_from_slice(piece)));
        sent.map_err(|_| std::io::Error::other("the store stopped reading"))?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
