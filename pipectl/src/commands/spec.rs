//! `pipectl spec`: how a file was understood, as JSON, without a controller.

use super::Context;
use super::lint::{KindWord, print_problems, read};
use crate::exit::{Exit, Result};
use clap::Args;
use pipelines::spec;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "Example: pipectl spec buildspec.yml")]
pub struct Arguments {
    /// What the file is; its name and content say it when absent.
    #[arg(long, value_enum)]
    kind: Option<KindWord>,
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub fn run(context: &Context<'_>, arguments: &Arguments) -> Result<Exit> {
    let (kind, text) = read(&arguments.file, arguments.kind)?;
    let parsed = spec::normalised(kind, &text);
    match parsed.value {
        Some(value) => {
            // Warnings are lint's business: what is printed here is read by programs.
            context.output.line(spec::print(&value));
            Ok(Exit::Done)
        }
        None => {
            print_problems(context.output, &arguments.file, &text, &parsed.problems);
            Ok(Exit::Failed)
        }
    }
}
