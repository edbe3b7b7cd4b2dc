//! `pipectl logs`.

use super::Context;
use super::target::Target;
use crate::answer::{Deployment, Run, Task};
use crate::connect::{Client, parse};
use crate::exit::{Exit, Failure, Result};
use crate::output::{Output, clean, clean_log};
use clap::Args;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How long the server may hold a request for more of a log.
const HOLD: Duration = Duration::from_secs(10);
/// Between two looks for new tasks.
const LOOK: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pipectl logs r-12 compile -f     a build, until it ends
  pipectl logs d-3 host-2          what the hooks printed on one host")]
pub struct Arguments {
    /// A run (r-12 or 12) or a deployment (d-3).
    #[arg(value_name = "RUN|DEPLOYMENT")]
    target: Target,
    /// Only of this action; of a deployment: only of this host.
    #[arg(value_name = "ACTION|HOST")]
    action: Option<String>,
    /// Go on until it ends.
    #[arg(long, short)]
    follow: bool,
}

/// A log with the name it is shown under.
struct Part {
    title: String,
    task: Task,
}

pub async fn run(context: &Context<'_>, arguments: Arguments) -> Result<Exit> {
    let (client, output) = (context.client()?, context.output);
    let wanted = arguments.action.as_deref();
    let mut shown = BTreeSet::new();
    loop {
        let (parts, is_over) = parts(&client, output, arguments.target, wanted).await?;
        let fresh: Vec<&Part> =
            parts.iter().filter(|part| !shown.contains(&part.task.id)).collect();
        if let Some(part) = fresh.first() {
            if parts.len() > 1 || wanted.is_none() {
                output.note(output.painter.dim(&format!("── {}", clean(&part.title))));
            }
            print(&client, output, &part.task.id, arguments.follow).await?;
            shown.insert(part.task.id.clone());
            continue;
        }
        if is_over || !arguments.follow {
            break;
        }
        tokio::time::sleep(LOOK).await;
    }
    if shown.is_empty() {
        output.note("Nothing was logged yet");
    }
    Ok(Exit::Done)
}

/// Every log there is so far, in order, and whether there may be more.
async fn parts(
    client: &Client,
    output: &Output,
    target: Target,
    wanted: Option<&str>,
) -> Result<(Vec<Part>, bool)> {
    let answer = client.get_patiently(&target.path(), |text| output.note(text)).await?;
    match target {
        Target::Run(_) => {
            let run: Run = parse(&answer)?;
            let mut parts = Vec::new();
            let actions: Vec<_> = run.stages.iter().flat_map(|stage| &stage.actions).collect();
            if let Some(name) = wanted
                && !actions.iter().any(|action| action.name == name)
            {
                let known: Vec<&str> = actions.iter().map(|action| action.name.as_str()).collect();
                return Err(Failure::usage(
                    format!("{target} has no action '{name}'"),
                    format!("its actions: {}", known.join(", ")),
                ));
            }
            for action in actions {
                if wanted.is_some_and(|name| name != action.name) {
                    continue;
                }
                for task in &action.tasks {
                    let title = title(&action.name, task);
                    parts.push(Part { title, task: task.clone() });
                }
                if let Some(id) = &action.deployment {
                    let id = id.parse().map_err(|e| Failure::failed(format!("{e}"), ""))?;
                    let path = Target::Deployment(id).path();
                    let deployment: Deployment = parse(&client.get(&path).await?)?;
                    parts.extend(host_parts(&deployment, None));
                }
            }
            Ok((parts, Exit::of_status(&run.status).is_some()))
        }
        Target::Deployment(_) => {
            let deployment: Deployment = parse(&answer)?;
            let is_over = Exit::of_status(&deployment.status).is_some();
            Ok((host_parts(&deployment, wanted), is_over))
        }
    }
}

fn host_parts(deployment: &Deployment, wanted: Option<&str>) -> Vec<Part> {
    let hosts = deployment.hosts.iter();
    let hosts = hosts.filter(|host| wanted.is_none_or(|name| name == host.name));
    let parts = hosts.flat_map(|host| {
        let name = format!("{} {}", deployment.id, host.name);
        host.tasks.iter().map(move |task| Part { title: title(&name, task), task: task.clone() })
    });
    let mut parts: Vec<Part> = parts.collect();
    // In the order the work was handed out, not by host: ids rise.
    parts.sort_by_key(|part| part.task.id.trim_start_matches("t-").parse::<i64>().unwrap_or(0));
    parts
}

fn title(name: &str, task: &Task) -> String {
    let attempt =
        if task.attempt > 1 { format!(", attempt {}", task.attempt) } else { String::new() };
    let agent = task.agent.as_ref().filter(|agent| !name.ends_with(agent.as_str()));
    let agent = agent.map(|agent| format!(" on {agent}")).unwrap_or_default();
    format!("{name}{agent}{attempt} ({})", task.id)
}

/// Prints one log to its end, or to where it is now.
async fn print(client: &Client, output: &Output, task: &str, follow: bool) -> Result<()> {
    let wait = if follow { HOLD } else { Duration::ZERO };
    let (mut offset, mut held) = (0, Vec::new());
    let mut lost: Option<Instant> = None;
    loop {
        let piece = match client.log(task, offset, wait).await {
            Ok(piece) => piece,
            Err(failure) if failure.exit == Exit::Unreachable => {
                let since = *lost.get_or_insert_with(|| {
                    output.note("lost the controller, trying again for 60 s");
                    Instant::now()
                });
                if since.elapsed() > PATIENCE {
                    return Err(failure);
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
            Err(failure) => return Err(failure),
        };
        lost = None;
        let is_empty = piece.bytes.is_empty();
        held.extend(piece.bytes);
        offset = piece.next;
        let is_last = piece.is_final || (is_empty && !follow);
        put(output, &mut held, is_last);
        if is_last {
            return Ok(());
        }
    }
}

/// Prints whole lines and keeps the rest, so that no character is cut in two.
fn put(output: &Output, held: &mut Vec<u8>, is_last: bool) {
    if !output.terminal {
        output.bytes(held);
        return held.clear();
    }
    let whole = held.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let whole = if is_last { held.len() } else { whole };
    let lines: Vec<u8> = held.drain(..whole).collect();
    let text = clean_log(&String::from_utf8_lossy(&lines), output.painter.colours);
    output.bytes(text.as_bytes());
    if output.painter.colours && !text.is_empty() {
        // A colour left on would run into what follows.
        output.bytes(b"\x1b[0m");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_titled_by_where_it_ran() {
        let task = Task {
            id: "t-9".to_owned(),
            attempt: 2,
            agent: Some("host-1".to_owned()),
            ..Task::default()
        };
        assert_eq!(title("compile", &task), "compile on host-1, attempt 2 (t-9)");
        assert_eq!(title("d-3 host-1", &task), "d-3 host-1, attempt 2 (t-9)");
    }
}
