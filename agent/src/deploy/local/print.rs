//! What `deploy-local` prints: the log while it grows, then the result.

use super::Output;
use crate::context::Spool;
use crate::deploy::preview::Seen;
use anyhow::Result;
use pipelines::protocol::report::{ErrorCode, Outcome, Step, StepStatus, TaskError};
use pipelines::protocol::task::Deploy;
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Most of one script's output that the JSON holds, from its end.
const LOG_MAX: usize = 64 * 1024;

/// Copies the log to the terminal while it grows.
pub struct Follower {
    done: CancellationToken,
    task: JoinHandle<()>,
}

/// With JSON the log goes to stderr, so that stdout is the JSON alone.
pub fn follow(spool: Arc<Spool>, output: Output) -> Follower {
    let done = CancellationToken::new();
    let ended = done.clone();
    let task = tokio::spawn(async move {
        let mut size = spool.watch();
        let mut offset = 0;
        loop {
            let last = ended.is_cancelled();
            while let Ok(bytes) = spool.read(offset, 64 * 1024) {
                if bytes.is_empty() {
                    break;
                }
                offset += bytes.len() as u64;
                // A reader that went away is no reason to end a deployment.
                let _ = match output {
                    Output::Text => std::io::stdout().write_all(&bytes),
                    Output::Json => std::io::stderr().write_all(&bytes),
                };
            }
            if last {
                return;
            }
            tokio::select! {
                _ = size.changed() => {}
                () = ended.cancelled() => {}
            }
        }
    });
    Follower { done, task }
}

impl Follower {
    /// Waits until all of the log is out.
    pub async fn finish(self) {
        self.done.cancel();
        let _ = self.task.await;
    }
}

pub fn result(deploy: &Deploy, outcome: &Outcome, spool: &Spool, output: Output) -> Result<()> {
    let (steps, error) = match outcome {
        Outcome::Succeeded { steps, .. } => (steps, None),
        Outcome::Failed { steps, error, .. } => (steps, Some(error)),
        Outcome::Cancelled { steps, .. } => (steps, None),
    };
    let status = match outcome {
        Outcome::Succeeded { .. } => "Succeeded",
        Outcome::Failed { .. } | Outcome::Cancelled { .. } => "Failed",
    };
    let id = deploy.deployment.to_string();
    match output {
        Output::Text => {
            for step in steps {
                let took = step.took.map(|took| format!(" {took}")).unwrap_or_default();
                let why = step.message.as_deref().map(|m| format!("  {m}")).unwrap_or_default();
                println!("{:<10} {}{took}{why}", name(step.status), step.name);
            }
            println!("{status}: deployment {id}");
            if let Some(error) = error {
                println!("{}: {}", code(error.code), error.message);
            }
        }
        Output::Json => {
            let events: Vec<Value> =
                steps.iter().map(|step| event(step, steps, error, spool)).collect();
            let all = json!({"status": status, "deployment_id": id, "events": events});
            println!("{all}");
        }
    }
    Ok(())
}

fn name(status: StepStatus) -> &'static str {
    match status {
        StepStatus::Running => "Running",
        StepStatus::Succeeded => "Succeeded",
        StepStatus::Failed => "Failed",
        StepStatus::Skipped => "Skipped",
    }
}

fn code(code: ErrorCode) -> Value {
    serde_json::to_value(code).unwrap_or_default()
}

fn event(step: &Step, steps: &[Step], error: Option<&TaskError>, spool: &Spool) -> Value {
    let error = error.filter(|error| error.step.as_deref() == Some(&step.name));
    let error = error.map(|e| json!({"code": code(e.code), "message": e.message}));
    let scripts: Vec<Value> = step
        .commands
        .iter()
        .map(|command| {
            let log = log_of(step, &command.text, command.log_offset, steps, spool);
            json!({"location": command.text, "exit_code": command.exit_code, "log": log})
        })
        .collect();
    json!({"name": step.name, "status": name(step.status), "scripts": scripts, "error": error})
}

/// The lines a script wrote, without what the agent puts before them.
fn log_of(step: &Step, script: &str, from: u64, steps: &[Step], spool: &Spool) -> String {
    let next = |offset: &u64| *offset > from;
    let steps = steps.iter().map(|s| s.log_offset);
    let ends = step.commands.iter().map(|c| c.log_offset).chain(steps).filter(next);
    let end = ends.min().unwrap_or_else(|| *spool.watch().borrow());
    let len = usize::try_from(end.saturating_sub(from)).unwrap_or(LOG_MAX).min(LOG_MAX);
    let start = end.saturating_sub(len as u64);
    let bytes = spool.read(start, len).unwrap_or_default();
    let prefix = format!("[{}] [{script}] ", step.name);
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.lines().filter_map(|line| line.strip_prefix(&prefix));
    lines.map(|line| format!("{line}\n")).collect()
}

/// What a deployment would do.
pub fn plan(seen: &Seen, unpacked: &Path, output: Output) -> Result<()> {
    let all = plan_json(seen, unpacked);
    match output {
        Output::Json => println!("{all}"),
        Output::Text => print_plan(&all),
    }
    Ok(())
}

fn print_plan(all: &Value) {
    let list = |key: &str| all[key].as_array().cloned().unwrap_or_default();
    let word = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    for file in list("files") {
        let (action, to) = (word(&file, "action"), word(&file, "destination"));
        println!("{action:<8} {to}  from {}", word(&file, "source"));
    }
    for path in list("removals") {
        println!("remove   {}", path.as_str().unwrap_or_default());
    }
    for hook in list("hooks") {
        println!("run      {} at {}", word(&hook, "location"), word(&hook, "event"));
    }
    for warning in list("warnings") {
        println!("warning  {}", warning.as_str().unwrap_or_default());
    }
    for problem in list("problems") {
        println!("error    {}: {}", word(&problem, "code"), word(&problem, "message"));
    }
}

fn plan_json(seen: &Seen, unpacked: &Path) -> Value {
    let Seen { preview, problems, plan } = seen;
    let planned = plan.items.iter().filter(|(path, _)| !plan.clashing.contains(*path));
    let mut files: Vec<Value> = planned
        .map(|(path, item)| {
            let action = if item.replaces { "replace" } else { "create" };
            let source = item.source.strip_prefix(unpacked).unwrap_or(&item.source);
            json!({"source": source, "destination": path, "action": action})
        })
        .collect();
    let retained = plan.retained.iter();
    files.extend(retained.map(|p| json!({"source": null, "destination": p, "action": "retain"})));
    let hook = |(event, location): &(String, String)| json!({"event": event, "location": location});
    let hooks: Vec<Value> = preview.hooks.iter().map(hook).collect();
    let problems: Vec<Value> =
        problems.iter().map(|p| json!({"code": code(p.code), "message": p.text})).collect();
    json!({
        "status": if problems.is_empty() { "Succeeded" } else { "Failed" },
        "files": files,
        "bytes": preview.bytes,
        "changes": preview.changes,
        "removals": plan.removals,
        "hooks": hooks,
        "warnings": preview.warnings,
        "problems": problems,
        "fetched": preview.fetched,
    })
}
