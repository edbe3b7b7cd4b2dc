//! One file on its own.

use pipelines::spec::group::Group;
use pipelines::spec::pipeline::Pipeline;
use pipelines::spec::{Kind, Problem, Severity, group, pipeline};
use std::borrow::Cow;

pub struct File {
    pub path: String,
    pub text: String,
    /// There exactly when no problem is an error.
    pub spec: Option<Spec>,
    pub problems: Vec<Problem>,
}

pub enum Spec {
    Pipeline(Box<Pipeline>),
    Group(Box<Group>),
}

impl Spec {
    pub fn name(&self) -> &str {
        match self {
            Spec::Pipeline(pipeline) => &pipeline.name,
            Spec::Group(group) => &group.name,
        }
    }
}

impl File {
    pub fn read(path: String, text: String) -> File {
        let (spec, problems) = match Kind::of(&path, &text) {
            Some(Kind::Pipeline) => {
                let parsed = pipeline::parse(&text);
                (parsed.value.map(|value| Spec::Pipeline(Box::new(value))), parsed.problems)
            }
            Some(Kind::Group) => {
                let parsed = group::parse(&text);
                (parsed.value.map(|value| Spec::Group(Box::new(value))), parsed.problems)
            }
            Some(kind @ (Kind::Buildspec | Kind::Appspec)) => {
                let message = format!("this is a file of kind {}", kind.as_str());
                let help = "it stays in the repository; apply takes pipelines and groups";
                (None, vec![problem("wrong-kind", message, help.to_owned())])
            }
            None => {
                let message = "this is neither a pipeline nor a group".to_owned();
                let help = "a pipeline has `stages:`, a group has `group:` and `strategy:`";
                (None, vec![problem("wrong-kind", message, help.to_owned())])
            }
        };
        File { path, text, spec, problems }
    }

    pub fn is_refused(&self) -> bool {
        self.problems.iter().any(Problem::is_error)
    }

    /// Adds an error at the place in the file where `key: value` is written.
    pub fn refuse(&mut self, at: (&str, &str), code: &'static str, message: String, help: String) {
        self.add(at, problem(code, message, help));
    }

    /// Adds a warning there.
    pub fn warn(&mut self, at: (&str, &str), code: &'static str, message: &str, help: &str) {
        let problem = problem(code, message.to_owned(), help.to_owned());
        self.add(at, Problem { severity: Severity::Warning, ..problem });
    }

    fn add(&mut self, at: (&str, &str), mut problem: Problem) {
        if let Some((line, column)) = place(&self.text, at.0, at.1) {
            (problem.line, problem.column) = (Some(line), Some(column));
        }
        self.problems.push(problem);
    }
}

fn problem(code: &'static str, message: String, help: String) -> Problem {
    let code = Cow::Borrowed(code);
    Problem { severity: Severity::Error, code, message, help, line: None, column: None }
}

/// Line and column of the value in `key: value`, counted from 1. A search in the text: the models
/// keep no places, and what names something else is written in one of these ways.
fn place(text: &str, key: &str, value: &str) -> Option<(u32, u32)> {
    let needle = format!("{key}:");
    for (index, line) in text.lines().enumerate() {
        for (start, _) in line.match_indices(&needle) {
            let rest = &line[start + needle.len()..];
            let plain = rest.trim_start_matches([' ', '"', '\'']);
            let ends = value.is_empty()
                || plain.strip_prefix(value).is_some_and(|after| {
                    !after.starts_with(|c: char| c.is_alphanumeric() || "-_.".contains(c))
                });
            if ends {
                let column = line[..line.len() - plain.len()].chars().count() + 1;
                return Some((u32::try_from(index + 1).ok()?, u32::try_from(column).ok()?));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_name_is_found_however_it_is_written() {
        let text = "a: 1\n  deploy: {group: prod, artifact: x}\n- group: \"prod-eu\"\n";
        assert_eq!(place(text, "group", "prod"), Some((2, 19)));
        assert_eq!(place(text, "group", "prod-eu"), Some((3, 11)));
        assert_eq!(place(text, "group", "pro"), None);
    }

    #[test]
    fn what_is_not_ours_is_refused_with_what_is() {
        let file = File::read("buildspec.yml".to_owned(), "version: 0.2\n".to_owned());
        assert!(file.is_refused());
        let file = File::read("x.yml".to_owned(), "- a\n".to_owned());
        assert!(file.problems[0].help.contains("stages:"));
    }
}
