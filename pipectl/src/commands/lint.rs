//! `pipectl lint`: what is wrong with files, without a controller. Its flags, exit codes and JSON are
//! a promise to editors and CI systems.

use super::Context;
use super::problems::{Stream, print_problems};
use crate::exit::{Exit, Failure, Result};
use crate::output::Output;
use clap::{Args, ValueEnum};
use pipelines::spec::{self, Kind, Problem};
use serde::Serialize;
use std::io::Read as _;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pipectl lint buildspec.yml appspec.yml
  pipectl lint --strict --format json ci/*.yml
  pipectl lint --kind buildspec - < ci/build.yml

Exit codes: 0 no errors · 1 at least one error · 2 wrong usage, or a file that cannot be read or told")]
pub struct Arguments {
    /// What the files are; their names (buildspec*, appspec*, pipeline*, group*) say it when absent,
    /// then their contents.
    #[arg(long, value_enum)]
    kind: Option<KindWord>,
    /// Warnings count as errors.
    #[arg(long)]
    strict: bool,
    /// What to print; the same as --output.
    #[arg(long, value_enum)]
    format: Option<crate::cli::Format>,
    /// The files; `-` is standard input.
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
    // A file that cannot be read does not keep the others from being looked at.
    let mut unread = false;
    for path in &arguments.files {
        let file = match read(path, arguments.kind) {
            Ok(file) => file,
            Err(failure) => {
                output.failure_note(&failure);
                unread = true;
                continue;
            }
        };
        let problems = spec::lint_bytes(file.kind, &file.bytes);
        let valid = !problems.iter().any(|problem| counts(problem, arguments.strict));
        if !as_json {
            let text = spec::text_of(&file.bytes).0;
            print_problems(output, path, &text, &problems, Stream::Output);
        }
        let name = path.to_string_lossy().into_owned();
        checked.push(Checked { file: name, kind: file.kind.as_str(), valid, problems });
    }
    if as_json {
        // Printed from the type, so that the keys come in the order that is documented.
        output.line(serde_json::to_string_pretty(&checked).unwrap_or_default());
    } else if !checked.is_empty() {
        output.line(totals(output, &checked));
    }
    Ok(match () {
        () if unread => Exit::Usage,
        () if checked.iter().all(|file| file.valid) => Exit::Done,
        () => Exit::Failed,
    })
}

fn counts(problem: &Problem, strict: bool) -> bool {
    strict || problem.is_error()
}

/// `3 files: 2 errors, 1 warning`.
fn totals(output: &Output, checked: &[Checked]) -> String {
    let count = |number: usize, word: &str| {
        format!("{number} {word}{}", if number == 1 { "" } else { "s" })
    };
    let problems = || checked.iter().flat_map(|file| &file.problems);
    let errors = problems().filter(|problem| problem.is_error()).count();
    let warnings = problems().count() - errors;
    let files = count(checked.len(), "file");
    if errors + warnings == 0 {
        return output.painter.good(&format!("{files} without a problem"));
    }
    let mut parts = Vec::new();
    if errors > 0 {
        parts.push(output.painter.bad(&count(errors, "error")));
    }
    if warnings > 0 {
        parts.push(output.painter.wait(&count(warnings, "warning")));
    }
    format!("{files}: {}", parts.join(", "))
}

/// A file and what it is.
pub struct File {
    pub kind: Kind,
    pub bytes: Vec<u8>,
}

/// The bytes of a file, or of standard input for `-`.
pub fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    let bytes = if path == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else if path.is_dir() {
        let message = format!("{} is a directory", path.display());
        return Err(Failure::usage(message, "name the files in it"));
    } else {
        std::fs::read(path)
    };
    bytes.map_err(|error| {
        Failure::usage(format!("cannot read {}: {error}", path.display()), "check the path")
    })
}

pub fn read(path: &Path, kind: Option<KindWord>) -> Result<File> {
    let bytes = read_bytes(path)?;
    let text = spec::text_of(&bytes).0;
    let found = kind.map(Kind::from).or_else(|| Kind::of(&path.to_string_lossy(), &text));
    match found {
        Some(kind) => Ok(File { kind, bytes }),
        None => Err(Failure::usage(
            format!("cannot tell what {} is", path.display()),
            "pass --kind pipeline, group, buildspec or appspec",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::Parser as _;

    fn lint(files: &[(&str, &[u8])], flags: &[&str]) -> Result<Exit> {
        let directory = tempfile::tempdir().unwrap();
        let mut line = vec!["pipectl".to_owned(), "lint".to_owned()];
        line.extend(flags.iter().map(|flag| (*flag).to_owned()));
        for (name, bytes) in files {
            let path = directory.path().join(name);
            if !bytes.is_empty() || !name.starts_with("absent") {
                std::fs::write(&path, bytes).unwrap();
            }
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

    const GOOD: &[u8] = b"version: 0.2\nphases:\n  build:\n    commands: [make]\n";

    #[test]
    fn the_exit_code_says_whether_the_files_can_be_used() {
        assert_eq!(lint(&[("buildspec.yml", GOOD)], &[]), Ok(Exit::Done));
        let files: [(&str, &[u8]); 2] =
            [("buildspec.yml", GOOD), ("buildspec-2.yml", b"version: nine\n")];
        assert_eq!(lint(&files, &["--format", "json"]), Ok(Exit::Failed));
        assert_eq!(lint(&[("x.yml", b"- a\n")], &[]), Ok(Exit::Usage));
        assert_eq!(lint(&[("x.yml", GOOD)], &["--kind", "buildspec"]), Ok(Exit::Done));
        assert_eq!(lint(&[("BUILDSPEC.yml", b"")], &[]), Ok(Exit::Failed));
        assert_eq!(lint(&[("x.yml", b"")], &[]), Ok(Exit::Usage));
    }

    #[test]
    fn warnings_fail_only_where_it_is_strict() {
        let file: [(&str, &[u8]); 1] =
            [("buildspec.yml", b"version: 0.2\nphases:\n  build:\n    commands: [make]\nodd: 1\n")];
        assert_eq!(lint(&file, &[]), Ok(Exit::Done));
        assert_eq!(lint(&file, &["--strict"]), Ok(Exit::Failed));
    }

    #[test]
    fn a_file_that_cannot_be_read_does_not_hide_the_others() {
        let files: [(&str, &[u8]); 2] =
            [("absent.yml", b""), ("buildspec.yml", b"version: nine\n")];
        assert_eq!(lint(&files, &[]), Ok(Exit::Usage));
    }

    #[test]
    fn bytes_that_are_no_text_are_an_error_of_the_file() {
        let mut bytes = GOOD.to_vec();
        bytes.extend(b"# caf\xe9\n");
        assert_eq!(lint(&[("buildspec.yml", &bytes)], &[]), Ok(Exit::Failed));
    }
}
