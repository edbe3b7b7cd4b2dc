//! Following a run or a deployment, and what either looks like in lines of text.

use super::target::Target;
use crate::answer::{Action, Deployment, Run, Waiting, needs_person};
use crate::connect::{Client, parse};
use crate::exit::{Exit, Result};
use crate::output::{Board, Output, Painter, ago, clean, rough};
use serde_json::Value;
use std::time::Duration;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);

/// Whether to go on waiting when only a person can move it on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    WaitForPeople,
    LeaveForPeople,
}

impl Patience {
    pub fn from_flag(no_wait: bool) -> Patience {
        if no_wait { Patience::LeaveForPeople } else { Patience::WaitForPeople }
    }
}

/// One look at what is watched.
struct Look {
    lines: Vec<String>,
    end: Option<Exit>,
    waits_for_person: bool,
}

/// Shows it until it ends.
pub async fn watch(
    client: &Client,
    output: &Output,
    target: Target,
    patience: Patience,
) -> Result<Exit> {
    let mut board = Board::new(output);
    loop {
        let answer = client.get_patiently(&target.path(), |text| board.note(output, text)).await?;
        let look = look(target, &answer, output)?;
        board.show(output, &look.lines);
        let leave = look.waits_for_person && patience == Patience::LeaveForPeople;
        let end = look.end.or(leave.then_some(Exit::WaitsForPerson));
        if let Some(exit) = end {
            board.finish();
            if output.is_json() {
                output.json(&answer);
            }
            return Ok(exit);
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn look(target: Target, answer: &Value, output: &Output) -> Result<Look> {
    // A pipe gets every change as a line, so nothing in a line may change by itself.
    let brief = !output.terminal;
    Ok(match target {
        Target::Run(_) => {
            let run: Run = parse(answer)?;
            Look {
                lines: if brief { run_news(&run) } else { run_lines(&run, output.painter) },
                end: ended(&run.status, run.stuck.is_some()),
                waits_for_person: needs_person(&run.waiting),
            }
        }
        Target::Deployment(_) => {
            let deployment: Deployment = parse(answer)?;
            Look {
                lines: if brief {
                    deployment_news(&deployment)
                } else {
                    deployment_lines(&deployment, output.painter)
                },
                end: ended(&deployment.status, deployment.stuck.is_some()),
                waits_for_person: needs_person(&deployment.waiting),
            }
        }
    })
}

fn ended(status: &str, stuck: bool) -> Option<Exit> {
    if stuck { Some(Exit::Failed) } else { Exit::of_status(status) }
}

/// The sentence, why it waits, and every action.
pub fn run_lines(run: &Run, painter: Painter) -> Vec<String> {
    let mut lines = vec![painter.strong(&clean(&run.sentence))];
    lines.extend(run.waiting.iter().map(|entry| painter.wait(&waiting(entry))));
    for stage in &run.stages {
        for action in &stage.actions {
            let place = format!("{} / {}", clean(&stage.name), clean(&action.name));
            let mut line = format!("{place:<28} {}", painter.status(&action.state));
            line.push_str(&painter.dim(&beside(action)));
            if let Some(message) = &action.message {
                line.push_str(&format!("  {}", clean(message)));
            }
            lines.push(line);
        }
    }
    lines
}

/// `  d-3`, `  on builder-1, BUILD`.
fn beside(action: &Action) -> String {
    if let Some(deployment) = &action.deployment {
        return format!("  {deployment}");
    }
    let Some(task) = action.tasks.last() else { return String::new() };
    let agent = task.agent.as_ref().map(|agent| format!("  on {}", clean(agent)));
    let step = task.steps.iter().rfind(|step| step.status == "running");
    let step = step.map(|step| format!(", {}", clean(&step.name)));
    format!("{}{}", agent.unwrap_or_default(), step.unwrap_or_default())
}

fn run_news(run: &Run) -> Vec<String> {
    let mut lines = vec![clean(&run.sentence)];
    lines.extend(run.waiting.iter().map(|entry| format!("  waits: {}", clean(&entry.what))));
    for (stage, action) in run.stages.iter().flat_map(|s| s.actions.iter().map(move |a| (s, a))) {
        if action.state != "pending" {
            let state = action.state.replace('-', " ");
            lines.push(format!("  {} / {}: {state}", clean(&stage.name), clean(&action.name)));
        }
    }
    lines
}

/// The sentence, why it waits, the steps, and the hosts.
pub fn deployment_lines(deployment: &Deployment, painter: Painter) -> Vec<String> {
    let mut lines = vec![painter.strong(&clean(&deployment.sentence))];
    lines.extend(deployment.waiting.iter().map(|entry| painter.wait(&waiting(entry))));
    for step in &deployment.steps {
        let text = format!("step {}: {}", step.number, clean(&step.sentence));
        lines.push(format!("{text:<40} {}", painter.status(&step.state)));
    }
    for host in &deployment.hosts {
        let mut line = format!("{:<20} {}", clean(&host.name), painter.status(&host.state));
        let step =
            host.tasks.last().and_then(|task| task.steps.iter().rfind(|s| s.status == "running"));
        if let Some(step) = step {
            line.push_str(&painter.dim(&format!("  {}", clean(&step.name))));
        }
        match &host.revision {
            Some(revision) => line.push_str(&painter.dim(&format!("  {}", clean(revision)))),
            // Said only where something went wrong: the others are on their way.
            None if host.message.is_some() && !host.runs.is_empty() => {
                line.push_str(&format!("  {};", clean(&host.runs)));
            }
            None => {}
        }
        if let Some(message) = &host.message {
            line.push_str(&format!("  {}", clean(message)));
        }
        lines.push(line);
    }
    lines.extend(next(deployment));
    lines
}

/// What to do now, where it does not go on by itself.
fn next(deployment: &Deployment) -> Option<String> {
    let at_work = matches!(deployment.status.as_str(), "failing" | "rolling-back");
    deployment.next.as_deref().filter(|_| !at_work).map(clean)
}

fn deployment_news(deployment: &Deployment) -> Vec<String> {
    let mut lines = vec![clean(&deployment.sentence)];
    lines.extend(deployment.waiting.iter().map(|entry| format!("  waits: {}", clean(&entry.what))));
    for host in deployment.hosts.iter().filter(|host| host.state != "pending") {
        let message = host.message.as_ref().map(|message| format!(": {}", clean(message)));
        let state = host.state.replace('-', " ");
        lines.push(format!("  {}: {state}{}", clean(&host.name), message.unwrap_or_default()));
    }
    lines.extend(next(deployment));
    lines
}

/// `waits 12 s: host-2 is running its update`, with until when, and a mark when a person is asked.
pub fn waiting(entry: &Waiting) -> String {
    let mark = if entry.person { "! " } else { "" };
    let mut text = format!("{mark}waits {}: {}", ago(&entry.since), clean(&entry.what));
    let until = entry.until.as_ref().and_then(|until| until.parse::<jiff::Timestamp>().ok());
    if let Some(until) = until {
        let left = until.as_millisecond() - jiff::Timestamp::now().as_millisecond();
        text.push_str(&format!(" (at most {} more)", rough(left)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_run_is_told_action_by_action() {
        let run: Run = serde_json::from_value(json!({
            "id": "r-1", "status": "running", "sentence": "Running shop #1",
            "waiting": [{"what": "compile runs on builder-1", "since": "2026-05-04T10:11:12Z"}],
            "stages": [{"name": "build", "actions": [
                {"name": "compile", "state": "running", "kind": "build", "tasks": [
                    {"id": "t-1", "agent": "builder-1", "steps": [{"name": "BUILD", "status": "running"}]}
                ]},
                {"name": "later", "state": "pending"}
            ]}],
        }))
        .unwrap();
        let lines = run_lines(&run, Painter { colours: false });
        assert_eq!(lines[0], "Running shop #1");
        assert!(lines[1].contains("compile runs on builder-1"));
        assert_eq!(lines[2], "build / compile              ● running  on builder-1, BUILD");
        let news = run_news(&run);
        assert_eq!(news[2], "  build / compile: running");
        assert_eq!(news.len(), 3, "what has not begun is no news");
    }

    #[test]
    fn foreign_text_is_cleaned_on_its_way_to_the_terminal() {
        let run = Run { sentence: "shop\x1b[2J failed".to_owned(), ..Run::default() };
        assert_eq!(run_lines(&run, Painter { colours: false })[0], "shop [2J failed");
    }

    #[test]
    fn only_when_everything_waits_for_people_do_we_leave() {
        let machine = Waiting::default();
        let person = Waiting { person: true, ..Waiting::default() };
        assert!(needs_person(std::slice::from_ref(&person)));
        assert!(!needs_person(&[person, machine]));
        assert!(!needs_person(&[]));
    }
}
