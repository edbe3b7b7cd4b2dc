//! `#{namespace.name}`: every reference has to name something that is known by then.

use crate::spec::codes;
use crate::spec::decode::{Report, suggest};
use crate::spec::pipeline::action::{Draft, Placed};
use crate::spec::pipeline::check::waits_for;
use crate::spec::pipeline::stage::StageDraft;
use crate::spec::yaml::Mark;
use std::collections::BTreeMap;

/// What every run knows about itself: `#{run.id}`.
const RUN: [&str; 6] = ["id", "number", "trigger", "actor", "pipeline", "started"];
/// What a source action leaves: `#{app.commit}`.
const SOURCE: [&str; 6] = ["commit", "short-commit", "branch", "tag", "author", "message"];

/// Checks every text of the pipeline; `variables` are the names of its own.
pub(super) fn check(report: &mut Report, stages: &[StageDraft], variables: &[&str]) {
    let all: Vec<&str> =
        stages.iter().flat_map(|stage| &stage.actions).map(|draft| draft.name.as_str()).collect();
    for (index, stage) in stages.iter().enumerate() {
        // Kind by name of every action that is done when the stage starts.
        let earlier: BTreeMap<&str, &str> =
            stages[..index].iter().flat_map(|stage| &stage.actions).map(named).collect();
        let mut texts = |texts: &[Placed], known: &BTreeMap<&str, &str>| {
            for (at, text) in texts {
                references(report, *at, text, &|namespace, name| {
                    resolve(namespace, name, variables, known, &all)
                });
            }
        };
        texts(&stage.entry_texts, &earlier);
        for draft in &stage.actions {
            let before = waits_for(stage, draft);
            let needed = stage.actions.iter().filter(|other| before.contains(other.name.as_str()));
            let mut known = earlier.clone();
            known.extend(needed.map(named));
            texts(&draft.texts, &known);
        }
        let mut done = earlier;
        done.extend(stage.actions.iter().map(named));
        texts(&stage.success_texts, &done);
    }
}

fn named(draft: &Draft) -> (&str, &str) {
    (draft.name.as_str(), draft.kind)
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
    variables: &[&str],
    known: &BTreeMap<&str, &str>,
    all: &[&str],
) -> Result<(), (String, String)> {
    let unknown = |what: &str, names: &[&str]| {
        let message = format!("`#{{{namespace}.{name}}}`: there is no {what} '{name}'");
        Err((message, suggest::help(name, names)))
    };
    match (namespace, known.get(namespace)) {
        ("variables", _) if variables.contains(&name) => Ok(()),
        ("variables", _) => unknown("variable", variables),
        ("run", _) if RUN.contains(&name) => Ok(()),
        ("run", _) => unknown("fact of a run", &RUN),
        (_, Some(&"source")) if !SOURCE.contains(&name) => unknown("fact of a source", &SOURCE),
        (_, Some(kind @ (&"approval" | &"deploy"))) => Err((
            format!("`#{{{namespace}.{name}}}`: an action of kind {kind} leaves no variables"),
            "builds, tests, sources and invocations leave some".to_owned(),
        )),
        (_, Some(_)) if !is_variable(name) => Err((
            format!("`#{{{namespace}.{name}}}`: '{name}' cannot be a variable"),
            "use letters, digits and `_`".to_owned(),
        )),
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

fn is_variable(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
}
