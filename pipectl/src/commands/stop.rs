//! `pipectl stop`.

use super::Context;
use crate::exit::{Exit, Result};
use clap::Args;
use pipelines::ids::RunId;
use serde_json::json;

#[derive(Debug, Args)]
#[command(after_help = "Example: pipectl stop r-12 -m 'wrong branch'")]
pub struct Arguments {
    run: RunId,
    /// Why.
    #[arg(long, short = 'm', default_value = "")]
    message: String,
    /// Also stop builds and abort deployments that are running.
    #[arg(long)]
    abandon: bool,
}

pub async fn run(context: &Context<'_>, arguments: Arguments) -> Result<Exit> {
    let Arguments { run, message, abandon } = arguments;
    let body = json!({"reason": message, "abandon": abandon});
    let answer = context.client()?.post(&format!("/api/v1/runs/{run}/stop"), body).await?;
    if context.output.is_json() {
        context.output.json(&answer);
    } else {
        context.output.line(format!("{run} is asked to stop; follow it with: pipectl watch {run}"));
    }
    Ok(Exit::Done)
}
