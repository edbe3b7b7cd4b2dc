//! `pipectl lint`: what is wrong with files, without a controller. Its flags, exit codes and JSON are
//! a promise to editors and CI systems.

use super::Context;
use crate::exit::{Exit, Failure, Result};
use crate::output::{Output, clean};
use clap::{Args, ValueEnum};
use pipelines::spec::{self, Kind, Problem, Severity};
use serde::Serialize;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
#[command(after_help = "Example: pipectl lint buildspec.yml appspec.yml")]
pub struct Arguments {
    /// What the files are; their names and contents say it when absent.
    #[arg(long, value_enum)]
    kind: Option<KindWord>,
    /// Warnings count as errors.
    #[arg(long)]
    strict: bool,
    /// What to print; the same as --output.
    #[arg(long, value_enum)]
    format: Option<crate::cli::Format>,
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum KindWord {
    Pipeline,
    Group,
    Buildspec,
    Appspec,
}

impl From<KindWord> for Kind {
    fn from(word: KindWord) -> Kind {
        match word {
            KindWord::Pipeline => Kind::Pipeline,
            KindWord::Group => Kind::Group,
            KindWord::Buildspec => Kind::Buildspec,
            KindWord::Appspec => Kind::Appspec,
        }
    }
}

/// One file's result, as JSON has it.
#[derive(Serialize)]
struct Checked {
    file: String,
    kind: &'static str,
    valid: bool,
    problems: Vec<Problem>,
}

pub fn run(context: &Context<'_>, arguments: &Arguments) -> Result<Exit> {
    let output = context.output;
    let as_json = match arguments.format {
        Some(format) => format == crate::cli::Format::Json,
        None => output.is_json(),
    };
    let mut checked = Vec::new();
    for path in &arguments.files {
        let (kind, text) = read(path, arguments.kind)?;
        let problems = spec::lint(kind, &text);
        let valid = problems.iter().all(|problem| !counts(problem, arguments.strict));
        if !as_json {
            print_problems(output, path, &text, &problems);
        }
        let file = path.to_string_lossy().into_owned();
        checked.push(Checked { file, kind: kind.as_str(), valid, problems });
    }
    if as_json {
        output.json(&serde_json::to_value(&checked).unwrap_or_default());
    } else if checked.iter().all(|file| file.problems.is_empty()) {
        let files = checked.len();
        output.line(format!("{files} file{} without a problem", if files == 1 { "" } else { "s" }));
    }
    Ok(if checked.iter().all(|file| file.valid) { Exit::Done } else { Exit::Failed })
}

fn counts(problem: &Problem, strict: bool) -> bool {
    strict || problem.is_error()
}

/// The file's text and what it is.
pub fn read(path: &Path, kind: Option<KindWord>) -> Result<(Kind, String)> {
    let bytes = std::fs::read(path).map_err(|error| {
        Failure::usage(format!("cannot read {}: {error}", path.display()), "check the path")
    })?;
    // Bytes that are no text become characters the reader complains about, with their place.
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let found = kind.map(Kind::from).or_else(|| Kind::of(&path.to_string_lossy(), &text));
    match found {
        Some(kind) => Ok((kind, text)),
        None => Err(Failure::usage(
            format!("cannot tell what {} is", path.display()),
            "pass --kind pipeline, group, buildspec or appspec",
        )),
    }
}

/// `file:3:5: error[unknown-key]: … — help`, then the line itself on a terminal.
pub fn print_problems(output: &Output, path: &Path, text: &str, problems: &[Problem]) {
    for problem in problems {
        let line = clean(&format!("{}:{problem}", path.display()));
        let word = problem.severity.to_string();
        let painted = match problem.severity {
            Severity::Error => output.painter.bad(&word),
            Severity::Warning => output.painter.wait(&word),
        };
        output.line(line.replacen(&format!("{word}["), &format!("{painted}["), 1));
        if output.terminal
            && let Some(excerpt) = problem.excerpt(text)
        {
            output.line(output.painter.dim(excerpt.trim_end()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::Parser as _;

    fn lint(files: &[(&str, &str)], flags: &[&str]) -> Result<Exit> {
        let directory = tempfile::tempdir().unwrap();
        let mut line = vec!["pipectl".to_owned(), "lint".to_owned()];
        line.extend(flags.iter().map(|flag| (*flag).to_owned()));
        for (name, text) in files {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            line.push(path.to_string_lossy().into_owned());
        }
        let cli = Cli::try_parse_from(line).unwrap();
        let output = Output::new(&cli.global);
        let context = Context { global: cli.global, output: &output };
        match &cli.command {
            crate::cli::Command::Lint(arguments) => run(&context, arguments),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_exit_code_says_whether_the_files_can_be_used() {
        let good = "version: 0.2\nphases:\n  build:\n    commands: [make]\n";
        assert_eq!(lint(&[("buildspec.yml", good)], &[]), Ok(Exit::Done));
        let bad = "version: 0.2\nphasez: {}\n";
        assert_eq!(lint(&[("buildspec.yml", good), ("b/x", bad)][..1], &[]), Ok(Exit::Done));
        let files = [("buildspec.yml", good), ("buildspec-2.yml", "version: nine\n")];
        assert_eq!(lint(&files, &["--format", "json"]), Ok(Exit::Failed));
        let unknown = lint(&[("x.yml", "- a\n")], &[]).unwrap_err();
        assert_eq!(unknown.exit, Exit::Usage);
        assert_eq!(lint(&[("x.yml", good)], &["--kind", "buildspec"]), Ok(Exit::Done));
    }
}
