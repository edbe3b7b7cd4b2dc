//! `pipectl watch`.

use super::Context;
use super::target::Target;
use super::watching::{Patience, watch};
use crate::exit::{Exit, Result};
use clap::Args;

#[derive(Debug, Args)]
#[command(after_help = "Example: pipectl watch r-12 && echo deployed")]
pub struct Arguments {
    /// A run (r-12 or 12) or a deployment (d-3).
    #[arg(value_name = "RUN|DEPLOYMENT")]
    target: Target,
    /// Exit with 5 as soon as only a person can move it on.
    #[arg(long)]
    no_wait: bool,
}

pub async fn run(context: &Context<'_>, arguments: Arguments) -> Result<Exit> {
    let patience = Patience::from_flag(arguments.no_wait);
    watch(&context.client()?, context.output, arguments.target, patience).await
}
