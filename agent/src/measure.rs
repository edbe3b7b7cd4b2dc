//! A command that measures something for a monitor: run by a shell, with an end by its own time.

use crate::context::TaskContext;
use crate::link::failed;
use pipelines::protocol::answer::{Answer, Measured};
use pipelines::protocol::report::{ErrorCode, Outcome};
use pipelines::protocol::task::Measure;
use std::collections::BTreeMap;
use std::io;
use std::process::Stdio;
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};

/// Runs it to its end, or to the end of its time.
pub async fn run(measure: &Measure, ctx: &TaskContext) -> Outcome {
    let mut child = match start(&measure.run) {
        Ok(child) => child,
        Err(error) => return failed(ErrorCode::AgentError, format!("/bin/sh: {error}"), false),
    };
    let ended = tokio::select! {
        ended = to_its_end(&mut child) => ended,
        () = tokio::time::sleep(measure.timeout.to_std()) => {
            kill(&mut child).await;
            let message = format!("the command had not ended after {}", measure.timeout);
            return failed(ErrorCode::ScriptTimedOut, message, false);
        }
        () = ctx.cancel.cancelled() => {
            kill(&mut child).await;
            return ctx.stopped(Vec::new(), None, false);
        }
    };
    match ended {
        Ok(measured) => Outcome::Succeeded {
            steps: Vec::new(),
            artifacts: Vec::new(),
            exported: BTreeMap::new(),
            answer: Some(Answer::Measured(measured)),
        },
        Err(error) => {
            kill(&mut child).await;
            failed(ErrorCode::AgentError, format!("reading the command's output: {error}"), false)
        }
    }
}

fn start(command: &str) -> io::Result<Child> {
    Command::new("/bin/sh")
        .args(["-c", command])
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

/// The beginning of what it prints; the rest is read and thrown away, so that it does not hang.
async fn to_its_end(child: &mut Child) -> io::Result<Measured> {
    let mut output = Vec::new();
    if let Some(mut stdout) = child.stdout.take() {
        let mut piece = [0; 4096];
        loop {
            let read = stdout.read(&mut piece).await?;
            if read == 0 {
                break;
            }
            let room = Measured::OUTPUT_MAX.saturating_sub(output.len());
            output.extend_from_slice(&piece[..read.min(room)]);
        }
    }
    let status = child.wait().await?;
    let output = String::from_utf8_lossy(&output).into_owned();
    Ok(Measured { exit_code: status.code(), output })
}

/// With everything it started.
async fn kill(child: &mut Child) {
    let group = child.id().and_then(|id| i32::try_from(id).ok());
    if let Some(group) = group {
        let group = nix::unistd::Pid::from_raw(group);
        let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
    }
    let _ = child.wait().await;
}
