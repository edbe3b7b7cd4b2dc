//! `pipectl explain`: the answer to "why".

use super::Context;
use super::target::Target;
use super::watching::waiting;
use crate::answer::{Deployment, Run, Waiting};
use crate::connect::parse;
use crate::exit::{Exit, Result};
use crate::output::{Output, clean, clock, status_cell, table};
use clap::Args;

#[derive(Debug, Args)]
#[command(after_help = "Example: pipectl explain d-3")]
pub struct Arguments {
    /// A run (r-12 or 12) or a deployment (d-3).
    #[arg(value_name = "RUN|DEPLOYMENT")]
    target: Target,
}

pub async fn run(context: &Context<'_>, arguments: Arguments) -> Result<Exit> {
    let answer = context.client()?.get(&arguments.target.path()).await?;
    let output = context.output;
    if output.is_json() {
        output.json(&answer);
        return Ok(Exit::Done);
    }
    match arguments.target {
        Target::Run(_) => explain_run(output, &parse(&answer)?),
        Target::Deployment(_) => explain_deployment(output, &parse(&answer)?),
    }
    Ok(Exit::Done)
}

fn explain_run(output: &Output, run: &Run) {
    explain(output, &run.sentence, run.stuck.as_deref(), &run.waiting);
    for action in run.stages.iter().flat_map(|stage| &stage.actions) {
        if let Some(message) = &action.message {
            output.line(format!("{}: {}", clean(&action.name), clean(message)));
            let task = action.tasks.last().filter(|task| task.state == "failed");
            if task.is_some() {
                output.line(format!("  its log: pipectl logs {} {}", run.id, clean(&action.name)));
            }
        }
        if let Some(deployment) = &action.deployment {
            output.line(format!("{} is deployment {deployment}", clean(&action.name)));
        }
    }
    for entry in run.waiting.iter().filter(|entry| entry.person) {
        let action = entry.what.split(' ').next().unwrap_or_default();
        output.line(format!("  answer it: pipectl approve {} {}", run.id, clean(action)));
    }
}

fn explain_deployment(output: &Output, deployment: &Deployment) {
    explain(output, &deployment.sentence, deployment.stuck.as_deref(), &deployment.waiting);
    if let Some(next) = &deployment.next {
        output.line(clean(next));
    }
    if !deployment.hosts.is_empty() {
        output.line("");
        output.line(table(output.painter, &["host", "state", "runs", "why"], hosts(deployment)));
    }
    if !deployment.history.is_empty() {
        output.line("\nWhat happened:");
    }
    for entry in &deployment.history {
        output.line(format!("  {}  {}", clock(&entry.at), clean(&entry.text)));
    }
}

/// What runs where, for somebody who has to put it right.
fn hosts(deployment: &Deployment) -> Vec<Vec<String>> {
    let rows = deployment.hosts.iter().map(|host| {
        let why = host.message.as_deref().map(clean).unwrap_or_default();
        vec![clean(&host.name), status_cell(&host.state), clean(&host.runs), why]
    });
    rows.collect()
}

fn explain(output: &Output, sentence: &str, stuck: Option<&str>, reasons: &[Waiting]) {
    output.line(output.painter.strong(&clean(sentence)));
    if let Some(stuck) = stuck {
        output.line(format!("A defect stopped it: {}", clean(stuck)));
    }
    for reason in reasons {
        output.line(output.painter.wait(&waiting(reason)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_host_says_what_runs_on_it() {
        let deployment: Deployment = serde_json::from_value(json!({"hosts": [
            {"name": "host-1", "state": "rolled-back", "runs": "a11ce00 First"},
            {"name": "host-2", "state": "rollback-failed", "message": "failed in ApplicationStart",
             "runs": "nothing proved, half-way between a11ce00 First and 4f2c91e Fix"}
        ]}))
        .unwrap();
        let rows = hosts(&deployment);
        assert_eq!(rows[0], ["host-1", "↶ rolled back", "a11ce00 First", ""]);
        assert_eq!(
            rows[1][1..],
            [
                "✗ rollback failed",
                "nothing proved, half-way between a11ce00 First and 4f2c91e Fix",
                "failed in ApplicationStart"
            ]
        );
    }
}
