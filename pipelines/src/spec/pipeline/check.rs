//! Sense across actions: names, order, artifacts. Also fills in what follows from the rest.

use crate::spec::codes;
use crate::spec::decode::{Report, suggest};
use crate::spec::graph;
use crate::spec::pipeline::action::{Draft, Placed};
use crate::spec::pipeline::stage::StageDraft;
use crate::spec::pipeline::{Deploy, Work};
use crate::spec::short::ENTRIES_MAX;
use crate::spec::yaml::Mark;
use std::collections::{BTreeMap, BTreeSet};

/// Whether there are few enough actions to look at each beside each other; says so if not.
pub(super) fn is_comparable(report: &mut Report, stages: &[StageDraft]) -> bool {
    let mut actions = stages.iter().flat_map(|stage| &stage.actions).map(Draft::at);
    let action = actions.nth(ENTRIES_MAX);
    let Some(at) = action.or(stages.get(ENTRIES_MAX).map(|stage| stage.at)) else { return true };
    let message = format!("more than {ENTRIES_MAX} stages or actions in one pipeline");
    report.error(at, codes::TOO_LARGE, message, "split the pipeline");
    false
}

pub(super) fn check(report: &mut Report, stages: &mut [StageDraft]) {
    unique_names(report, stages);
    source_places(report, stages);
    for stage in &mut *stages {
        for draft in stage.actions.iter_mut().filter(|draft| draft.kind == "source") {
            source_output(report, draft);
        }
    }
    for index in 0..stages.len() {
        needs(report, stages, index);
    }
    let makers = makers(report, stages);
    fill_inputs(report, stages);
    for index in 0..stages.len() {
        artifacts(report, stages, index, &makers);
    }
}

fn unique_names(report: &mut Report, stages: &[StageDraft]) {
    let mut twice = |seen: &mut BTreeMap<String, Mark>, what: &str, name: &str, at: Mark| {
        if name.is_empty() {
            return;
        }
        if let Some(first) = seen.get(name) {
            let message = format!("two {what} are named '{name}'");
            let help = format!("rename one; line {} has the other", first.line);
            report.error(at, codes::DUPLICATE_NAME, message, help);
        } else {
            seen.insert(name.to_owned(), at);
        }
    };
    let (mut stage_names, mut action_names) = (BTreeMap::new(), BTreeMap::new());
    for stage in stages {
        twice(&mut stage_names, "stages", &stage.stage.name, stage.at);
        for draft in &stage.actions {
            twice(&mut action_names, "actions", &draft.name, draft.at());
        }
    }
}

fn source_places(report: &mut Report, stages: &[StageDraft]) {
    for (index, stage) in stages.iter().enumerate() {
        for draft in stage.actions.iter().filter(|draft| !draft.kind.is_empty()) {
            if (draft.kind == "source") == (index == 0) {
                continue;
            }
            let (message, help) = if index == 0 {
                let message = format!("'{}' is in the first stage and not a source", draft.name);
                (message, "the first stage holds only source actions; move it to a later one")
            } else {
                let message = format!("source action '{}' is not in the first stage", draft.name);
                (message, "move it to the first stage")
            };
            report.error(draft.at(), codes::SOURCE_PLACE, message, help);
        }
    }
}

/// The one output of a source action has its name unless the file says another.
fn source_output(report: &mut Report, draft: &mut Draft) {
    if let [_, (at, _), ..] = draft.outputs.as_slice() {
        let message = format!("source action '{}' makes one artifact", draft.name);
        report.error(*at, codes::BAD_VALUE, message, "name one output");
    }
    if let Some((at, _)) = draft.inputs.first() {
        let message = format!("source action '{}' takes no inputs", draft.name);
        report.error(*at, codes::IGNORED_KEY, message, "remove `inputs`");
    }
    if draft.outputs.is_empty() && !draft.name.is_empty() {
        draft.outputs.push((draft.at(), draft.name.clone()));
    }
}

fn needs(report: &mut Report, stages: &[StageDraft], index: usize) {
    let stage = &stages[index];
    let names: Vec<&str> = stage.actions.iter().map(|draft| draft.name.as_str()).collect();
    for draft in &stage.actions {
        for (at, need) in &draft.needs {
            if names.contains(&need.as_str()) {
                continue;
            }
            let is_there = |stage: &StageDraft| stage.actions.iter().any(|d| d.name == *need);
            let elsewhere = stages.iter().position(is_there);
            let message = format!("'{}' needs '{need}', which is not in its stage", draft.name);
            let help = match elsewhere {
                Some(other) if other < index => {
                    format!("remove it: stage '{}' is done before", stages[other].stage.name)
                }
                Some(other) => {
                    let later = &stages[other].stage.name;
                    format!("move '{}' behind it: stage '{later}' comes later", draft.name)
                }
                None => suggest::help(need, &names),
            };
            report.error(*at, codes::UNKNOWN_NAME, message, help);
        }
    }
    let lists: Vec<(String, Vec<String>)> = stage
        .actions
        .iter()
        .map(|d| (d.name.clone(), d.needs.iter().map(|(_, name)| name.clone()).collect()))
        .collect();
    let edges: Vec<(&str, &[String])> =
        lists.iter().map(|(name, needs)| (name.as_str(), needs.as_slice())).collect();
    if let Some(cycle) = graph::cycle(&edges) {
        let first = stage.actions.iter().find(|draft| draft.name == cycle[0]);
        let at = first.and_then(|draft| draft.needs.first()).map_or(stage.at, |(at, _)| *at);
        let message = format!("actions wait for each other: {}", cycle.join(" → "));
        report.error(at, codes::CYCLE, message, "remove one `needs` of these");
    }
}

/// Which action makes each artifact: (stage, action name).
type Makers = BTreeMap<String, (usize, String)>;

fn makers(report: &mut Report, stages: &[StageDraft]) -> Makers {
    let mut makers = Makers::new();
    for (index, stage) in stages.iter().enumerate() {
        for draft in &stage.actions {
            for (at, output) in &draft.outputs {
                let before = makers.insert(output.clone(), (index, draft.name.clone()));
                if let Some((_, other)) = before {
                    let message =
                        format!("artifact '{output}' is made by '{other}' and '{}'", draft.name);
                    let help = "give each output its own name";
                    report.error(*at, codes::DUPLICATE_NAME, message, help);
                }
            }
            let (at, kind) = (draft.at(), draft.kind);
            if matches!(kind, "approval" | "deploy" | "invoke") && !draft.outputs.is_empty() {
                let message = format!("{kind} action '{}' makes no artifacts", draft.name);
                report.error(at, codes::IGNORED_KEY, message, "remove `outputs`");
            }
        }
    }
    makers
}

/// A build without inputs takes the only source; a deployment without an artifact the only
/// artifact that is not a source, or the only source.
fn fill_inputs(report: &mut Report, stages: &mut [StageDraft]) {
    let outputs = |source: bool, upto: usize, stages: &[StageDraft]| -> Vec<String> {
        let drafts = stages[..upto].iter().flat_map(|stage| &stage.actions);
        let drafts = drafts.filter(|draft| (draft.kind == "source") == source);
        let names: BTreeSet<&String> =
            drafts.flat_map(|draft| draft.outputs.iter().map(|(_, name)| name)).collect();
        names.into_iter().cloned().collect()
    };
    for index in 0..stages.len() {
        let sources = outputs(true, index, stages);
        let made = outputs(false, index, stages);
        for draft in &mut stages[index].actions {
            match draft.kind {
                "build" | "test" if draft.inputs.is_empty() => {
                    fill(report, draft, &sources, "a source");
                }
                "deploy" => {
                    if draft.inputs.is_empty() {
                        let candidates = if made.is_empty() { &sources } else { &made };
                        fill(report, draft, candidates, "an artifact");
                    }
                    let input = draft.inputs.first().map(|(_, name)| name.clone());
                    if let (Some(Work::Deploy(Deploy { artifact, .. })), Some(input)) =
                        (&mut draft.work, input)
                        && artifact.is_empty()
                    {
                        *artifact = input;
                    }
                }
                _ => {}
            }
        }
    }
}

fn fill(report: &mut Report, draft: &mut Draft, candidates: &[String], what: &str) {
    if let [only] = candidates {
        draft.inputs.push((draft.at(), only.clone()));
        return;
    }
    if draft.misspelt {
        return;
    }
    let message = match candidates {
        [] => format!("'{}' takes {what}, and there is none before it", draft.name),
        _ => format!("'{}' has to say which artifact it takes", draft.name),
    };
    let help = match candidates {
        [] => "add an action that makes one to an earlier stage".to_owned(),
        several => format!("write `inputs: [{}]`", several[0]),
    };
    report.error(draft.at(), codes::NO_INPUT, message, help);
}

fn artifacts(report: &mut Report, stages: &[StageDraft], index: usize, makers: &Makers) {
    let names: Vec<&str> = makers.keys().map(String::as_str).collect();
    let stage = &stages[index];
    for draft in &stage.actions {
        let before = waits_for(stage, draft);
        for (at, input) in &draft.inputs {
            let Some((made_in, maker)) = makers.get(input) else {
                let message = format!("'{}' takes '{input}', which nothing makes", draft.name);
                report.error(*at, codes::UNKNOWN_NAME, message, suggest::help(input, &names));
                continue;
            };
            if *made_in < index || *made_in == index && before.contains(maker.as_str()) {
                continue;
            }
            let (message, help) = if *maker == draft.name {
                let message = format!("'{}' takes '{input}', which it makes itself", draft.name);
                (message, "take an artifact of an earlier action".to_owned())
            } else if *made_in == index {
                let message = format!("'{}' takes '{input}' while '{maker}' makes it", draft.name);
                (message, format!("write `needs: [{maker}]`"))
            } else {
                let later = &stages[*made_in].stage.name;
                let message =
                    format!("'{}' takes '{input}' before stage '{later}' makes it", draft.name);
                (message, format!("move '{}' behind '{maker}'", draft.name))
            };
            report.error(*at, codes::TOO_EARLY, message, help);
        }
    }
}

/// The actions of its stage that are done when `draft` starts.
pub(super) fn waits_for<'s>(stage: &'s StageDraft, draft: &'s Draft) -> BTreeSet<&'s str> {
    let mut before: BTreeSet<&str> = BTreeSet::new();
    let mut todo: Vec<&Placed> = draft.needs.iter().collect();
    while let Some((_, name)) = todo.pop() {
        if before.insert(name) {
            let needed = stage.actions.iter().find(|other| other.name == *name);
            todo.extend(needed.into_iter().flat_map(|other| &other.needs));
        }
    }
    before
}
