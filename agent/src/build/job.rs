//! A build task, checked and made into something the engine can run. Everything that can be found
//! wrong without a container is found here.

use super::artifacts::FileSet;
use super::env;
use super::plan::{Failure, Phase, Plan, Retry};
use pipelines::protocol::task::{Artifact, Build, TaskKey};
use pipelines::spec::buildspec::{self, ArtifactSet, Buildspec, OnFailure, PhaseName, Version};
use std::path::PathBuf;

/// Where things are in the container.
pub const WORKSPACE: &str = "/build";
pub const SOURCE: &str = "/build/src";
pub const CONTROL: &str = "/pipeyard";

/// A build, ready for the engine.
#[derive(Debug, Clone)]
pub struct Job {
    pub key: TaskKey,
    pub image: String,
    pub plan: Plan,
    /// The first is the primary one.
    pub sources: Vec<Source>,
    pub outputs: Vec<Output>,
    /// Names and values that no log may show.
    pub secrets: Vec<(String, String)>,
    /// For the beginning of the log.
    pub notes: Vec<String>,
}

/// A directory of the workspace and what it is filled with.
#[derive(Debug, Clone)]
pub struct Source {
    /// Below the workspace.
    pub directory: PathBuf,
    pub content: SourceContent,
}

#[derive(Debug, Clone)]
pub enum SourceContent {
    /// A `.tar.zst` in the content store.
    Artifact(Artifact),
    /// A directory of this machine, copied.
    Directory(PathBuf),
}

/// One artifact the build is to leave.
#[derive(Debug, Clone)]
pub struct Output {
    pub name: String,
    pub set: FileSet,
    /// Which of the plan's texts is the expanded base directory, if it needs expanding.
    pub base_directory_text: Option<usize>,
    /// The same for `artifacts.name`, which people see in the log.
    pub title_text: Option<usize>,
}

/// The build cannot be run as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadJob(pub String);

impl Job {
    /// # Errors
    /// When the buildspec cannot be used, or does not make what the task wants.
    pub fn of(key: TaskKey, build: &Build) -> Result<Job, BadJob> {
        let parsed = buildspec::parse(&build.buildspec);
        let Some(spec) = parsed.value else {
            let errors = parsed.problems.iter().filter(|p| p.is_error()).map(ToString::to_string);
            return Err(BadJob(format!("buildspec: {}", errors.collect::<Vec<_>>().join("; "))));
        };
        let mut notes: Vec<String> =
            parsed.problems.iter().map(|problem| format!("buildspec:{problem}")).collect();
        notes.extend(unused(&spec));
        let env = env::of(key, build, &spec, &mut notes)?;
        let exported = exported(&spec, build, &mut notes);
        let mut expand = Vec::new();
        let outputs = outputs(build, &spec, &mut expand)?;
        let phases = phases(&spec)?;
        notes.push(summary(&phases));
        let plan = Plan {
            shell: spec.env.shell.clone().unwrap_or_else(|| "sh".to_owned()),
            carries_over: spec.version == Version::V02,
            phases,
            env,
            exported,
            expand,
        };
        let secret = build.env.iter().filter(|var| var.secret);
        Ok(Job {
            key,
            image: build.image.clone(),
            plan,
            sources: sources(build),
            outputs,
            secrets: secret.map(|var| (var.name.clone(), var.value.clone())).collect(),
            notes,
        })
    }
}

fn sources(build: &Build) -> Vec<Source> {
    let primary = ("src".into(), build.source.clone());
    let others = build
        .secondary_sources
        .iter()
        .map(|source| (PathBuf::from("secondary").join(&source.name), source.artifact.clone()));
    std::iter::once(primary)
        .chain(others)
        .map(|(directory, artifact)| Source {
            directory,
            content: SourceContent::Artifact(artifact),
        })
        .collect()
}

fn phases(spec: &Buildspec) -> Result<Vec<Phase>, BadJob> {
    let mut phases = Vec::new();
    for (name, phase) in spec.phases.in_order() {
        if !phase.steps.is_empty() {
            return Err(BadJob(format!(
                "phases.{}.steps: GitHub Actions steps are not supported; write `commands:`",
                name.key()
            )));
        }
        let retry = match &phase.on_failure {
            OnFailure::Retry { count, pattern } => {
                if let Some(pattern) = pattern {
                    super::retry::compile(pattern).map_err(|why| {
                        BadJob(format!("phases.{}.on-failure: '{pattern}' {why}", name.key()))
                    })?;
                }
                Some(Retry { count: *count, pattern: pattern.clone() })
            }
            OnFailure::Default | OnFailure::Abort | OnFailure::Continue => None,
        };
        phases.push(Phase {
            name: in_capitals(name),
            run_as: phase.run_as.clone().or_else(|| spec.run_as.clone()).filter(|u| u != "root"),
            commands: phase.commands.clone(),
            finally: phase.finally.clone(),
            retry,
            after_failure: after_failure(name, &phase.on_failure),
        });
    }
    Ok(phases)
}

fn in_capitals(name: PhaseName) -> &'static str {
    match name {
        PhaseName::Install => "INSTALL",
        PhaseName::PreBuild => "PRE_BUILD",
        PhaseName::Build => "BUILD",
        PhaseName::PostBuild => "POST_BUILD",
    }
}

/// CodeBuild's transitions: a failed `build` goes on to `post_build`, and what either left is still
/// uploaded; a failed `install` or `pre_build` ends the build. ABORT ends it in any phase.
fn after_failure(name: PhaseName, on_failure: &OnFailure) -> Failure {
    match (on_failure, name) {
        (OnFailure::Abort, _) => Failure::EndBuild,
        (OnFailure::Continue, _) => Failure::GoOn,
        (
            OnFailure::Default | OnFailure::Retry { .. },
            PhaseName::Install | PhaseName::PreBuild,
        ) => Failure::EndBuild,
        (OnFailure::Default | OnFailure::Retry { .. }, PhaseName::Build | PhaseName::PostBuild) => {
            Failure::GoOn
        }
    }
}

/// The task's outputs against the buildspec's sets: a secondary one by its identifier, else the
/// primary one for the first.
fn outputs(
    build: &Build,
    spec: &Buildspec,
    expand: &mut Vec<String>,
) -> Result<Vec<Output>, BadJob> {
    let artifacts = spec.artifacts.clone().unwrap_or_default();
    let mut outputs = Vec::new();
    for (index, name) in build.outputs.iter().enumerate() {
        let by_id = artifacts.secondary.get(name);
        let set = match (by_id, index, &artifacts.primary) {
            (Some(set), _, _) | (None, 0, Some(set)) => set,
            (None, 0, None) => {
                return Err(BadJob(format!(
                    "no definition for primary artifacts in buildspec: the action's output \
                     '{name}' needs `artifacts:` with `files:`"
                )));
            }
            (None, _, _) => {
                let known: Vec<&str> = artifacts.secondary.keys().map(String::as_str).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(BadJob(format!(
                    "the action's output '{name}' needs \
                     `artifacts.secondary-artifacts.{name}`; the buildspec has {known}"
                )));
            }
        };
        outputs.push(output(name, set, expand));
    }
    Ok(outputs)
}

fn output(name: &str, set: &ArtifactSet, expand: &mut Vec<String>) -> Output {
    let mut text = |text: &Option<String>| {
        let text = text.as_ref().filter(|text| text.contains(['$', '`']))?;
        expand.push(text.clone());
        Some(expand.len() - 1)
    };
    let base_directory_text = text(&set.base_directory);
    let title_text = text(&set.name);
    Output {
        name: name.to_owned(),
        base_directory_text,
        title_text,
        set: FileSet {
            files: set.files.clone(),
            base_directory: set.base_directory.clone(),
            discard_paths: set.discard_paths,
            exclude_paths: set.exclude_paths.clone(),
            enable_symlinks: set.enable_symlinks,
        },
    }
}

fn exported(spec: &Buildspec, build: &Build, notes: &mut Vec<String>) -> Vec<String> {
    let mut names = Vec::new();
    for name in &spec.env.exported_variables {
        let secret = build.env.iter().any(|var| var.secret && var.name == *name);
        if secret {
            notes.push(format!("env.exported-variables: {name} is a secret and stays here"));
        } else if name.starts_with("AWS_") || !env::is_name(name) {
            notes.push(format!("env.exported-variables: '{name}' cannot be exported"));
        } else {
            names.push(name.clone());
        }
    }
    names
}

/// What the buildspec asks for and this engine does not do. Said, not swallowed.
fn unused(spec: &Buildspec) -> Vec<String> {
    let mut notes = Vec::new();
    if spec.phases.install.as_ref().is_some_and(|phase| !phase.runtime_versions.is_empty()) {
        notes.push("install.runtime-versions has no effect: the image decides".to_owned());
    }
    if spec.cache.is_some() {
        notes.push("cache has no effect: this agent keeps no build caches".to_owned());
    }
    if !spec.reports.is_empty() {
        notes.push("reports has no effect: this agent does not collect reports".to_owned());
    }
    notes
}

fn summary(phases: &[Phase]) -> String {
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let each: Vec<String> = phases
        .iter()
        .map(|phase| {
            let commands = phase.commands.len() + phase.finally.len();
            format!("{} ({})", phase.name, count(commands, "command"))
        })
        .collect();
    format!("found {}: {}", count(phases.len(), "phase"), each.join(", "))
}

#[cfg(test)]
#[path = "job_tests.rs"]
mod tests;
