//! `pipectl import codepipeline`: a pipeline of AWS CodePipeline as a pipeline file, without a
//! controller and without AWS: it reads what `aws codepipeline get-pipeline` printed.

mod action;
mod aws;
mod build;
mod condition;
mod convert;
mod names;
mod source;
#[cfg(test)]
mod tests;
mod trigger;
mod yaml;

use super::Context;
use super::lint::read_bytes;
use super::problems::{Stream, print_problems};
use crate::exit::{Exit, Failure, Result};
use crate::output::clean;
use clap::{Args, Subcommand};
use convert::Note;
use pipelines::spec::{self, Kind, Problem};
use std::io::Write as _;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    from: From,
}

#[derive(Debug, Subcommand)]
enum From {
    /// The JSON of `aws codepipeline get-pipeline`, with or without its metadata.
    Codepipeline(Codepipeline),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  aws codepipeline get-pipeline --name shop | pipectl import codepipeline - > pipeline.yml
  pipectl import codepipeline shop.json --write pipeline.yml
  pipectl import codepipeline shop.json -o json

The file goes to standard output, the list of what did not carry over to standard error; what
somebody has to decide also stands in comments of the file. With -o json both are one answer:
{\"pipeline\", \"notes\": [{\"place\", \"decide\", \"what\", \"instead\"}], \"problems\"}.

Exit codes: 0 the file can be used as it is · 1 the JSON is no pipeline, or the file has
errors · 2 wrong usage or unreadable file")]
struct Codepipeline {
    /// The JSON; `-` is standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Write the file here instead of to standard output.
    #[arg(long, short, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Overwrite a file that is there.
    #[arg(long, requires = "write")]
    force: bool,
}

pub fn run(context: &Context<'_>, arguments: &Arguments) -> Result<Exit> {
    let From::Codepipeline(arguments) = &arguments.from;
    let bytes = read_bytes(&arguments.file)?;
    let name = arguments.file.display();
    let text = String::from_utf8(bytes)
        .map_err(|_| Failure::failed(format!("{name} is not UTF-8"), "save it as UTF-8"))?;
    let pipeline = aws::read(&text).map_err(|why| {
        let help = "pass what `aws codepipeline get-pipeline --name NAME --output json` prints: \
                    {\"pipeline\": {\"name\": …, \"stages\": […]}}";
        Failure::failed(format!("{name}: {why}"), help)
    })?;
    let (file, notes) = convert::convert(&pipeline);
    let problems = spec::lint(Kind::Pipeline, &file);
    if let Some(path) = &arguments.write {
        write(path, &file, arguments.force)?;
    }
    print(context, arguments, &file, &notes, &problems);
    Ok(if problems.iter().any(Problem::is_error) { Exit::Failed } else { Exit::Done })
}

fn write(path: &Path, text: &str, force: bool) -> Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true);
    // Never over a file that is there, not even one that came in between.
    if force {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Failure::usage(
            format!("{} is there already", path.display()),
            "pass --force to overwrite it",
        ),
        _ => Failure::usage(format!("cannot write {}: {error}", path.display()), "check the path"),
    })
}

fn print(
    context: &Context<'_>,
    arguments: &Codepipeline,
    file: &str,
    notes: &[Note],
    problems: &[Problem],
) {
    let output = context.output;
    if output.is_json() {
        output.json(&serde_json::json!({"pipeline": file, "notes": notes, "problems": problems}));
        return;
    }
    if arguments.write.is_none() {
        output.bytes(file.as_bytes());
    }
    let line = |note: &Note| {
        let place = if note.place.is_empty() { String::new() } else { format!("{}: ", note.place) };
        clean(&format!("  {place}{} — {}", note.what, note.instead))
    };
    for (decide, title) in [(true, "To decide:"), (false, "For the record:")] {
        let mut chosen = notes.iter().filter(|note| note.decide == decide).peekable();
        if chosen.peek().is_some() {
            output.note(title);
            chosen.for_each(|note| output.note(line(note)));
        }
    }
    let path = arguments.write.as_deref().unwrap_or(Path::new("pipeline.yml"));
    print_problems(output, path, file, problems, Stream::Error);
}
