//! What commands find in their environment: the buildspec's variables, the task's over them, and
//! CodeBuild's own names with the values that are true here.

use super::job::{BadJob, SOURCE, WORKSPACE};
use pipelines::protocol::task::{Build, TaskKey};
use pipelines::spec::buildspec::Buildspec;
use std::collections::BTreeMap;

/// Names that shells keep to themselves: setting them fails, or does harm.
const OF_SHELLS: [&str; 14] = [
    "BASHOPTS",
    "BASH_VERSINFO",
    "DIRSTACK",
    "EUID",
    "FUNCNAME",
    "GROUPS",
    "LINENO",
    "OLDPWD",
    "PPID",
    "PWD",
    "RANDOM",
    "SHELLOPTS",
    "SHLVL",
    "UID",
];

/// # Errors
/// When the task sets a reserved name, or a secret the buildspec wants has no value.
pub fn of(
    key: TaskKey,
    build: &Build,
    spec: &Buildspec,
    notes: &mut Vec<String>,
) -> Result<BTreeMap<String, String>, BadJob> {
    let mut env = BTreeMap::from(
        [("HOME", "/root"), ("CI", "true")].map(|(n, v)| (n.to_owned(), v.to_owned())),
    );
    for (name, value) in &spec.env.variables {
        if name.starts_with("CODEBUILD_") {
            notes.push(format!("env.variables: {name} is reserved and has no effect"));
        } else {
            set(&mut env, name, value, notes);
        }
    }
    for var in &build.env {
        if var.name.starts_with("CODEBUILD_") {
            return Err(BadJob(format!(
                "the variable {} is reserved: choose another name",
                var.name
            )));
        }
        set(&mut env, &var.name, &var.value, notes);
    }
    let wanted = spec.env.parameter_store.iter().chain(&spec.env.secrets_manager);
    for (name, reference) in wanted {
        if !build.env.iter().any(|var| var.name == *name) {
            return Err(BadJob(format!("no value came with the build for {name} ('{reference}')")));
        }
    }
    env.extend(built_in(key, build));
    Ok(env)
}

fn set(env: &mut BTreeMap<String, String>, name: &str, value: &str, notes: &mut Vec<String>) {
    if !is_name(name) {
        notes.push(format!("the variable '{name}' has no effect: no shell can read that name"));
    } else if OF_SHELLS.contains(&name) {
        notes.push(format!("the variable {name} has no effect: it is the shell's own"));
    } else if value.contains('\0') {
        notes.push(format!("the variable {name} has no effect: its value holds a NUL byte"));
    } else {
        env.insert(name.to_owned(), value.to_owned());
    }
}

/// Whether a shell takes this for a variable's name.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    !name.is_empty() && !name.as_bytes()[0].is_ascii_digit() && name.bytes().all(fits)
}

fn built_in(key: TaskKey, build: &Build) -> Vec<(String, String)> {
    let project = format!("{}-{}", build.pipeline, build.action);
    let id = format!("{project}:{}-{}-{}", build.run, key.task, key.attempt);
    let mut vars = vec![
        ("BUILD_ARN".to_owned(), format!("arn:pipeyard:codebuild:::build/{id}")),
        ("BUILD_ID".into(), id),
        ("BUILD_IMAGE".into(), build.image.clone()),
        ("BUILD_NUMBER".into(), build.number.to_string()),
        ("BUILD_SUCCEEDING".into(), "1".into()),
        ("CI".into(), "true".into()),
        ("INITIATOR".into(), build.initiator.clone()),
        ("LOG_PATH".into(), format!("{}-{}", key.task, key.attempt)),
        ("PROJECT_ARN".into(), format!("arn:pipeyard:codebuild:::project/{project}")),
        ("RESOLVED_SOURCE_VERSION".into(), build.source_version.clone()),
        ("SOURCE_REPO_URL".into(), build.repository.clone()),
        ("SOURCE_VERSION".into(), build.source_version.clone()),
        ("SRC_DIR".into(), SOURCE.to_owned()),
        ("START_TIME".into(), build.started_at.to_string()),
    ];
    for source in &build.secondary_sources {
        let fits = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        let name: String = source.name.chars().map(fits).collect();
        let directory = format!("{WORKSPACE}/secondary/{}", source.name);
        vars.push((format!("SRC_DIR_{name}"), directory));
    }
    vars.into_iter().map(|(name, value)| (format!("CODEBUILD_{name}"), value)).collect()
}
