//! `pipectl completions`.

use super::Context;
use crate::cli::Cli;
use crate::exit::{Exit, Result};
use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

#[derive(Debug, Args)]
#[command(after_help = "Example: pipectl completions bash > /etc/bash_completion.d/pipectl")]
pub struct Arguments {
    shell: Shell,
}

pub fn run(context: &Context<'_>, arguments: Arguments) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "pipectl", &mut script);
    context.output.bytes(&script);
    Ok(Exit::Done)
}
