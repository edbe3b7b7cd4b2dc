//! `pipectl apply`: shows the difference, then registers.

use super::Context;
use crate::connect::{parse, refused};
use crate::exit::{Exit, Failure, Result};
use crate::output::{Output, clean, clean_log};
use clap::Args;
use pipelines::spec::Kind;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
#[command(after_help = "Example: pipectl apply -f pipeline.yml -f group.yml --dry-run")]
pub struct Arguments {
    /// A file, or a directory whose pipeline and group files are taken; repeat it for more.
    #[arg(short = 'f', long = "file", value_name = "PATH", required = true, num_args = 1..)]
    files: Vec<PathBuf>,
    /// Show what would change and change nothing.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Applied {
    changes: Vec<Change>,
    warnings: Vec<FileProblems>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Change {
    kind: String,
    name: String,
    change: String,
    version: i32,
    diff: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct FileProblems {
    file: String,
    problems: Vec<ProblemText>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ProblemText {
    severity: String,
    code: String,
    message: String,
    help: String,
    line: Option<u32>,
    column: Option<u32>,
}

pub async fn run(context: &Context<'_>, arguments: Arguments) -> Result<Exit> {
    let (client, output) = (context.client()?, context.output);
    let files = read(&arguments.files)?;
    let send = async |dry_run: bool| {
        let body = json!({"files": files, "dry_run": dry_run});
        client.call(Method::POST, "/api/v1/apply", Some(body)).await
    };
    let rehearsal = send(true).await?;
    if rehearsal.status == StatusCode::UNPROCESSABLE_ENTITY {
        return refuse(output, &rehearsal.body);
    }
    if !rehearsal.status.is_success() {
        return Err(refused(&rehearsal));
    }
    let planned: Applied = parse(&rehearsal.body)?;
    if !output.is_json() {
        planned.warnings.iter().for_each(|file| print_problems(output, file));
        planned.changes.iter().for_each(|change| print_diff(output, change));
    }
    if arguments.dry_run {
        report(output, &rehearsal.body, &planned, true);
        return Ok(Exit::Done);
    }
    let reply = send(false).await?;
    if !reply.status.is_success() {
        return Err(refused(&reply));
    }
    report(output, &reply.body, &parse(&reply.body)?, false);
    Ok(Exit::Done)
}

fn refuse(output: &Output, body: &Value) -> Result<Exit> {
    if output.is_json() {
        output.json(body);
        return Ok(Exit::Failed);
    }
    let files: Vec<FileProblems> = parse(&body["files"])?;
    files.iter().for_each(|file| print_problems(output, file));
    let text = |key: &str| body["error"][key].as_str().unwrap_or_default().to_owned();
    Err(Failure::failed(text("message"), text("help")))
}

/// `file:line:col: error[code]: … — help`.
fn print_problems(output: &Output, file: &FileProblems) {
    for problem in &file.problems {
        let place = match (problem.line, problem.column) {
            (Some(line), Some(column)) => format!("{line}:{column}: "),
            _ => String::new(),
        };
        let kind = format!("{}[{}]", problem.severity, problem.code);
        let kind = match problem.severity.as_str() {
            "error" => output.painter.bad(&kind),
            _ => output.painter.wait(&kind),
        };
        let help = match problem.help.as_str() {
            "" => String::new(),
            help => format!(" — {help}"),
        };
        let text = clean(&format!("{}{help}", problem.message));
        output.line(format!("{}:{place}{kind}: {text}", clean(&file.file)));
    }
}

fn print_diff(output: &Output, change: &Change) {
    for line in clean_log(&change.diff, false).lines() {
        output.line(match line.as_bytes().first() {
            Some(b'+') => output.painter.good(line),
            Some(b'-') => output.painter.bad(line),
            _ => line.to_owned(),
        });
    }
}

fn report(output: &Output, body: &Value, applied: &Applied, is_rehearsal: bool) {
    if output.is_json() {
        return output.json(body);
    }
    for Change { kind, name, change, version, .. } in &applied.changes {
        let (kind, name) = (clean(kind), output.painter.strong(&clean(name)));
        output.line(match (is_rehearsal, change.as_str()) {
            (_, "unchanged") => format!("{kind} {name}: unchanged, version {version}"),
            (true, change) => format!("{kind} {name}: would be {change}, version {version}"),
            (false, change) => format!("{kind} {name}: {change}, version {version}"),
        });
    }
}

/// The files with their text; directories are searched for pipelines and groups, not deeper.
fn read(paths: &[PathBuf]) -> Result<Vec<Value>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let found = read_directory(path)?;
            if found.is_empty() {
                return Err(Failure::usage(
                    format!("there is no pipeline and no group in {}", path.display()),
                    "name the files: -f pipeline.yml",
                ));
            }
            files.extend(found);
        } else {
            files.push(sent(path, read_file(path)?));
        }
    }
    Ok(files)
}

fn read_directory(directory: &Path) -> Result<Vec<Value>> {
    let entries = std::fs::read_dir(directory).map_err(|error| unreadable(directory, &error))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.retain(|path| path.extension().is_some_and(|end| end == "yml" || end == "yaml"));
    let mut files = Vec::new();
    for path in paths {
        let text = read_file(&path)?;
        let kind = Kind::of(&path.to_string_lossy(), &text);
        if matches!(kind, Some(Kind::Pipeline | Kind::Group)) {
            files.push(sent(&path, text));
        }
    }
    Ok(files)
}

fn read_file(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))
}

fn sent(path: &Path, text: String) -> Value {
    json!({"path": path.to_string_lossy(), "text": text})
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(format!("cannot read {}: {error}", path.display()), "check the path")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_gives_its_pipelines_and_groups_only() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text);
        write("pipeline.yml", "stages: []").unwrap();
        write("prod.yaml", "group: prod\n").unwrap();
        write("buildspec.yml", "version: 0.2").unwrap();
        write("notes.txt", "group: x").unwrap();
        let files = read(&[directory.path().to_owned()]).unwrap();
        let names: Vec<&str> = files.iter().map(|file| file["path"].as_str().unwrap()).collect();
        assert!(names[0].ends_with("pipeline.yml") && names[1].ends_with("prod.yaml"));
        assert_eq!(names.len(), 2);
        assert_eq!(read(&["/nowhere/x.yml".into()]).unwrap_err().exit, Exit::Usage);
    }
}
