//! `pipectl runs`.

use super::Context;
use super::target;
use crate::answer::Run;
use crate::connect::parse;
use crate::exit::{Exit, Result};
use crate::output::{ago, clean, status_cell, table};
use clap::Args;
use pipelines::ids::RunId;

#[derive(Debug, Args)]
#[command(after_help = "Example: pipectl runs shop --limit 5")]
pub struct Arguments {
    /// Only of this pipeline.
    #[arg(value_parser = target::name)]
    pipeline: Option<String>,
    /// How many.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
    /// Only older ones than this run.
    #[arg(long, value_name = "RUN")]
    before: Option<RunId>,
}

pub async fn run(context: &Context<'_>, arguments: Arguments) -> Result<Exit> {
    let mut path = format!("/api/v1/runs?limit={}", arguments.limit);
    if let Some(pipeline) = &arguments.pipeline {
        path.push_str(&format!("&pipeline={pipeline}"));
    }
    if let Some(before) = arguments.before {
        path.push_str(&format!("&before={before}"));
    }
    let answer = context.client()?.get(&path).await?;
    let output = context.output;
    if output.is_json() {
        output.json(&answer);
        return Ok(Exit::Done);
    }
    let runs: Vec<Run> = parse(&answer["runs"])?;
    if runs.is_empty() {
        output.line("There are no runs yet: push to a pipeline's branch, or pipectl run PIPELINE");
        return Ok(Exit::Done);
    }
    let rows = runs.iter().map(|run| {
        let status = if run.stuck.is_some() { "stuck" } else { run.status.as_str() };
        vec![
            run.id.clone(),
            clean(&format!("{} #{}", run.pipeline, run.number)),
            status_cell(status),
            clean(&run.label),
            clean(&format!("{} by {}", run.trigger.kind, run.trigger.by)),
            ago(&run.created_at),
        ]
    });
    output.line(table(
        output.painter,
        &["run", "name", "status", "revision", "cause", "age"],
        rows.collect(),
    ));
    Ok(Exit::Done)
}
