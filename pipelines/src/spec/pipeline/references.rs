//! `#{namespace.name}`: every reference has to name something that is known by then.

use crate::spec::codes;
use crate::spec::decode::{Report, suggest};
use crate::spec::pipeline::Variable;
use crate::spec::pipeline::check::waits_for;
use crate::spec::pipeline::read::StageDraft;
use crate::spec::yaml::Mark;
use std::collections::BTreeMap;

/// What every run knows about itself: `#{run.id}`.
const RUN: [&str; 6] = ["id", "number", "trigger", "actor", "pipeline", "started"];
/// What a source action leaves: `#{app.commit}`.
const SOURCE: [&str; 6] = ["commit", "short-commit", "branch", "tag", "author", "message"];

pub(super) fn check(
    report: &mut Report,
    stages: &[StageDraft],
    variables: &BTreeMap<String, Variable>,
) {
    for (index, stage) in stages.iter().enumerate() {
        for draft in &stage.actions {
            let before = waits_for(stage, draft);
            // Kind by name of every action that is done when this one starts.
            let mut known: BTreeMap<&str, &str> = BTreeMap::new();
            let earlier = stages[..index].iter().flat_map(|stage| &stage.actions);
            let needed = stage.actions.iter().filter(|other| before.contains(other.name.as_str()));
            known.extend(earlier.chain(needed).map(|other| (other.name.as_str(), other.kind)));
            let all: Vec<&str> =
                stages.iter().flat_map(|s| &s.actions).map(|d| d.name.as_str()).collect();
            for (at, text) in &draft.texts {
                references(report, *at, text, &|namespace, name| {
                    resolve(namespace, name, variables, &known, &all)
                });
            }
        }
    }
}

type Resolve<'r> = dyn Fn(&str, &str) -> Result<(), (String, String)> + 'r;

fn references(report: &mut Report, at: Mark, text: &str, resolve: &Resolve<'_>) {
    let mut rest = text;
    while let Some(start) = rest.find("#{") {
        let body = &rest[start + 2..];
        let Some(end) = body.find('}') else {
            let help = "write `#{namespace.name}`, or `# {` for the characters themselves";
            report.error(at, codes::BAD_REFERENCE, "`#{` is never closed", help);
            return;
        };
        let reference = &body[..end];
        rest = &body[end + 1..];
        let outcome = match reference.split_once('.') {
            Some((namespace, name)) if !name.is_empty() => resolve(namespace, name),
            _ => Err((
                format!("`#{{{reference}}}` has no namespace"),
                format!("write `#{{variables.{reference}}}`, for example"),
            )),
        };
        if let Err((message, help)) = outcome {
            report.error(at, codes::BAD_REFERENCE, message, help);
        }
    }
}

fn resolve(
    namespace: &str,
    name: &str,
    variables: &BTreeMap<String, Variable>,
    known: &BTreeMap<&str, &str>,
    all: &[&str],
) -> Result<(), (String, String)> {
    let unknown = |what: &str, names: &[&str]| {
        let message = format!("`#{{{namespace}.{name}}}`: there is no {what} '{name}'");
        Err((message, suggest::help(name, names)))
    };
    match (namespace, known.get(namespace)) {
        ("variables", _) if variables.contains_key(name) => Ok(()),
        ("variables", _) => {
            let names: Vec<&str> = variables.keys().map(String::as_str).collect();
            unknown("variable", &names)
        }
        ("run", _) if RUN.contains(&name) => Ok(()),
        ("run", _) => unknown("fact of a run", &RUN),
        (_, Some(&"source")) if !SOURCE.contains(&name) => unknown("fact of a source", &SOURCE),
        // A build exports what its buildspec says; that file is not at hand here.
        (_, Some(_)) => Ok(()),
        (_, None) if all.contains(&namespace) => Err((
            format!("`#{{{namespace}.{name}}}`: '{namespace}' is not done by then"),
            format!("write `needs: [{namespace}]`, or move the action to a later stage"),
        )),
        (_, None) => {
            let mut names = vec!["variables", "run"];
            names.extend(known.keys());
            let message = format!("`#{{{namespace}.{name}}}`: nothing is called '{namespace}'");
            Err((message, suggest::help(namespace, &names)))
        }
    }
}
