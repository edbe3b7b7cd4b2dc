//! `pipectl spec`: how a file was understood, as JSON, without a controller.

use super::Context;
use super::lint::{KindWord, read};
use super::problems::{Stream, print_problems};
use crate::exit::{Exit, Result};
use clap::Args;
use pipelines::spec::{self, Problem};
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pipectl spec buildspec.yml
  pipectl spec --kind group - < group.yml | jq .strategy

Exit codes: 0 understood · 1 the file has errors, which go to standard error
· 2 wrong usage, or a file that cannot be read or told")]
pub struct Arguments {
    /// What the file is; its name and content say it when absent.
    #[arg(long, value_enum)]
    kind: Option<KindWord>,
    /// The file; `-` is standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub fn run(context: &Context<'_>, arguments: &Arguments) -> Result<Exit> {
    let file = read(&arguments.file, arguments.kind)?;
    let (text, encoding) = spec::text_of(&file.bytes);
    let parsed = spec::normalised_text(file.kind, &text);
    match (parsed.value, encoding) {
        (Some(value), None) => {
            // Warnings are lint's business: what is printed here is read by programs.
            context.output.line(value);
            Ok(Exit::Done)
        }
        _ => {
            let problems = spec::lint_bytes(file.kind, &file.bytes);
            let errors: Vec<Problem> = problems.into_iter().filter(Problem::is_error).collect();
            print_problems(context.output, &arguments.file, &text, &errors, Stream::Error);
            Ok(Exit::Failed)
        }
    }
}
