//! Files against each other, against what is registered, and against what this server can do.

use super::not_yet;
use super::read::{File, Spec};
use pipelines::deploy::strategy::{self, Order};
use pipelines::ids::{DeploymentId, Digest};
use pipelines::protocol::task::{Artifact, Purpose, Revision};
use pipelines::spec::group::Group;
use pipelines::spec::pipeline::{Pipeline, Work};

/// Adds what is wrong to the files; `registered` are the names of groups the server has.
pub fn across(files: &mut [File], registered: &[String]) {
    let names: Vec<Option<(&'static str, String)>> = files.iter().map(identity).collect();
    let mut groups: Vec<String> = registered.to_vec();
    groups.extend(names.iter().flatten().filter(|(kind, _)| *kind == "group").map(|n| n.1.clone()));
    for (index, file) in files.iter_mut().enumerate() {
        let Some((kind, name)) = &names[index] else { continue };
        if names[..index].contains(&names[index]) {
            let key = if *kind == "group" { "group" } else { "name" };
            let message = format!("{kind} '{name}' is in another of these files as well");
            file.refuse((key, name), "duplicate-name", message, "keep one of them".to_owned());
        }
        match file.spec.take() {
            Some(Spec::Pipeline(pipeline)) => {
                check_pipeline(file, &pipeline, &groups);
                not_yet::pipeline(file, &pipeline);
                file.spec = Some(Spec::Pipeline(pipeline));
            }
            Some(Spec::Group(group)) => {
                check_group(file, &group);
                not_yet::group(file, &group);
                file.spec = Some(Spec::Group(group));
            }
            None => {}
        }
    }
}

fn identity(file: &File) -> Option<(&'static str, String)> {
    match file.spec.as_ref()? {
        Spec::Pipeline(pipeline) => Some(("pipeline", pipeline.name.clone())),
        Spec::Group(group) => Some(("group", group.name.clone())),
    }
}

fn check_pipeline(file: &mut File, pipeline: &Pipeline, groups: &[String]) {
    for action in pipeline.stages.iter().flat_map(|stage| &stage.actions) {
        match &action.work {
            Work::Deploy(deploy) if !groups.contains(&deploy.group) => {
                let help = match nearest(&deploy.group, groups) {
                    Some(name) => format!("write `{name}`, or apply the group's file as well"),
                    None if groups.is_empty() => "apply the group's file as well".to_owned(),
                    None => format!("apply its file as well; registered: {}", groups.join(", ")),
                };
                let message = format!(
                    "action '{}' deploys to an unknown group '{}'",
                    action.name, deploy.group
                );
                file.refuse(("group", &deploy.group), "unknown-group", message, help);
            }
            Work::Invoke(_) => {
                let message = format!("action '{}' is of a kind not available yet", action.name);
                let help = "remove the action, or use a build".to_owned();
                file.refuse(("name", &action.name), "not-available", message, help);
            }
            Work::Source(_) | Work::Build(_) | Work::Approval(_) | Work::Deploy(_) => {}
        }
    }
}

/// What a deployment would refuse for every fleet is better refused now.
fn check_group(file: &mut File, group: &Group) {
    if let Err(error) = strategy::compile(group, &strategy::Fleet::default(), rehearsal()) {
        let help = "all-at-once and rolling can be used".to_owned();
        file.refuse(("strategy", ""), "not-available", error.0, help);
    }
}

fn rehearsal() -> Order {
    let digest: Digest = "0".repeat(64).parse().expect("64 zeros are a digest");
    let revision = Revision {
        bundle: Artifact { digest, size: 0 },
        commit: None,
        label: "rehearsal".to_owned(),
    };
    Order { deployment: DeploymentId(0), revision, purpose: Purpose::Forward }
}

/// The name that was probably meant.
fn nearest<'a>(name: &str, known: &'a [String]) -> Option<&'a String> {
    let allowed = (name.chars().count() / 3).clamp(1, 4);
    let near = known.iter().map(|candidate| (edits(name, candidate), candidate));
    near.filter(|(edits, _)| *edits <= allowed).min().map(|(_, candidate)| candidate)
}

/// How many letters have to be changed, added or left out.
fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let best = (diagonal + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], best);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::sample;

    fn file(path: &str, text: &str) -> File {
        File::read(path.to_owned(), text.to_owned())
    }

    #[test]
    fn a_group_may_come_in_the_same_call_and_a_misspelt_one_is_offered() {
        let pipeline = || file("pipeline.yml", sample::PIPELINE);
        let mut both = [pipeline(), file("group.yml", sample::GROUP)];
        across(&mut both, &[]);
        assert!(both.iter().all(|file| !file.is_refused()), "{:?}", both[0].problems);
        let mut alone = [pipeline()];
        across(&mut alone, &["prodction".to_owned()]);
        let problem = &alone[0].problems[0];
        assert_eq!(problem.code, "unknown-group");
        assert!(problem.help.starts_with("write `prodction`"), "{}", problem.help);
        assert!(problem.line.is_some());
    }

    #[test]
    fn one_name_in_two_files_is_a_mistake() {
        let mut files = [file("group.yml", sample::GROUP), file("group-2.yml", sample::GROUP)];
        across(&mut files, &[]);
        assert!(!files[0].is_refused());
        assert_eq!(files[1].problems[0].code, "duplicate-name");
    }

    #[test]
    fn a_strategy_nobody_carries_out_is_refused_before_it_is_needed() {
        let text = sample::GROUP.replace("strategy: {rolling: {batch: 2}}", "strategy: blue-green");
        let mut files = [file("group.yml", &text)];
        across(&mut files, &[]);
        assert!(files[0].is_refused(), "{:?}", files[0].problems);
    }

    #[test]
    fn the_nearest_name_is_near() {
        let known = ["production".to_owned(), "staging".to_owned()];
        assert_eq!(nearest("prodution", &known).map(String::as_str), Some("production"));
        assert_eq!(nearest("qa", &known), None);
    }
}
