//! `pipectl status`.

use super::Context;
use super::target::Target;
use super::watching::{deployment_lines, run_lines};
use crate::connect::parse;
use crate::exit::{Exit, Result};
use clap::Args;

#[derive(Debug, Args)]
#[command(after_help = "Example: pipectl status r-12")]
pub struct Arguments {
    /// A run (r-12 or 12) or a deployment (d-3).
    #[arg(value_name = "RUN")]
    target: Target,
}

pub async fn run(context: &Context<'_>, arguments: Arguments) -> Result<Exit> {
    let answer = context.client()?.get(&arguments.target.path()).await?;
    let output = context.output;
    if output.is_json() {
        output.json(&answer);
        return Ok(Exit::Done);
    }
    let lines = match arguments.target {
        Target::Run(_) => run_lines(&parse(&answer)?, output.painter),
        Target::Deployment(_) => deployment_lines(&parse(&answer)?, output.painter),
    };
    lines.iter().for_each(|line| output.line(line));
    Ok(Exit::Done)
}
