//! From task and buildspec to a plan.

use super::*;
use pipelines::ids::{RunId, TaskId};
use pipelines::protocol::task::{EnvVar, NamedArtifact};

fn build(buildspec: &str, outputs: &[&str]) -> Build {
    let artifact = Artifact { digest: "ab".repeat(32).parse().unwrap(), size: 1 };
    Build {
        run: RunId(7),
        pipeline: "shop".into(),
        action: "compile".into(),
        number: 41,
        image: "debian:bookworm-slim".into(),
        buildspec: buildspec.into(),
        source: artifact.clone(),
        secondary_sources: vec![NamedArtifact { name: "lib-a".into(), artifact }],
        env: vec![EnvVar { name: "OVER".into(), value: "task".into(), secret: false }],
        outputs: outputs.iter().map(|o| (*o).to_owned()).collect(),
        initiator: "mallory".into(),
        source_version: "4f2c91e".into(),
        repository: "shop".into(),
        started_at: 1_700_000_000_123,
    }
}

fn job(build: &Build) -> Result<Job, BadJob> {
    Job::of(TaskKey { task: TaskId(12), attempt: 2 }, build)
}

const SPEC: &str = "
version: 0.2
run-as: builder
env:
  shell: bash
  variables: {OVER: spec, KEEP: '$HOME', UID: x, CODEBUILD_X: y}
  exported-variables: [VERSION, AWS_KEY]
phases:
  install: {runtime-versions: {python: 3.10}, commands: [i]}
  pre_build: {run-as: root, on-failure: CONTINUE, commands: [p]}
  build: {on-failure: RETRY-2-timed out, commands: [b, c], finally: [f]}
  post_build: {on-failure: ABORT, commands: [q]}
artifacts:
  files: ['**/*']
  base-directory: out-$VERSION
  secondary-artifacts:
    docs: {files: [d], name: 'docs-$(date +%F)'}
";

#[test]
fn a_plan_says_everything_the_buildspec_does() {
    let job = job(&build(SPEC, &["bundle", "docs"])).unwrap();
    let plan = &job.plan;
    assert_eq!(plan.shell, "bash");
    assert!(plan.carries_over);
    let shape: Vec<_> =
        plan.phases.iter().map(|p| (p.name, p.run_as.as_deref(), p.after_failure)).collect();
    assert_eq!(
        shape,
        [
            ("INSTALL", Some("builder"), Failure::EndBuild),
            ("PRE_BUILD", None, Failure::GoOn),
            ("BUILD", Some("builder"), Failure::GoOn),
            ("POST_BUILD", Some("builder"), Failure::EndBuild),
        ]
    );
    let retry = Retry { count: 2, pattern: Some("timed out".into()) };
    assert_eq!(plan.phases[2].retry, Some(retry));
    assert_eq!(plan.exported, ["VERSION"]);
    assert_eq!(plan.expand, ["out-$VERSION", "docs-$(date +%F)"]);
    assert_eq!(job.outputs[0].base_directory_text, Some(0));
    assert_eq!(job.outputs[1].title_text, Some(1));
    let notes = job.notes.join("\n");
    for part in ["UID has no effect", "CODEBUILD_X", "AWS_KEY", "runtime-versions", "4 phases"] {
        assert!(notes.contains(part), "{part}: {notes}");
    }
}

#[test]
fn the_tasks_variables_win_and_codebuilds_names_have_true_values() {
    let env = job(&build(SPEC, &[])).unwrap().plan.env;
    let expected = [
        ("OVER", "task"),
        ("KEEP", "$HOME"),
        ("HOME", "/root"),
        ("CI", "true"),
        ("CODEBUILD_SRC_DIR", "/build/src"),
        ("CODEBUILD_SRC_DIR_lib_a", "/build/secondary/lib-a"),
        ("CODEBUILD_BUILD_ID", "shop-compile:r-7-t-12-2"),
        ("CODEBUILD_BUILD_NUMBER", "41"),
        ("CODEBUILD_RESOLVED_SOURCE_VERSION", "4f2c91e"),
        ("CODEBUILD_START_TIME", "1700000000123"),
    ];
    for (name, value) in expected {
        assert_eq!(env.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert!(!env.contains_key("UID") && !env.contains_key("CODEBUILD_X"));
}

#[test]
fn what_cannot_work_is_refused_before_anything_starts() {
    let refused = |build: &Build| job(build).unwrap_err().to_string();
    let spec = |rest: &str| format!("version: 0.2\nphases: {{build: {{commands: [x]}}}}\n{rest}");
    assert!(refused(&build("phases: [", &[])).starts_with("buildspec: "));
    let message = refused(&build(&spec(""), &["bundle"]));
    assert!(message.contains("no definition for primary artifacts in buildspec"), "{message}");
    let message = refused(&build(SPEC, &["bundle", "other"]));
    assert!(message.contains("secondary-artifacts.other`; the buildspec has docs"), "{message}");
    let message = refused(&build(&spec("env: {parameter-store: {KEY: /a/b}}"), &[]));
    assert!(message.contains("KEY ('/a/b')"), "{message}");
    let mut reserved = build(&spec(""), &[]);
    reserved.env[0].name = "CODEBUILD_SRC_DIR".into();
    assert!(refused(&reserved).contains("CODEBUILD_SRC_DIR is reserved"));
}

#[test]
fn secrets_are_known_to_the_log_and_never_exported() {
    let mut build = build(SPEC, &[]);
    build.env.push(EnvVar { name: "VERSION".into(), value: "s3cret".into(), secret: true });
    let job = job(&build).unwrap();
    assert_eq!(job.secrets, [("VERSION".to_owned(), "s3cret".to_owned())]);
    assert!(job.plan.exported.is_empty());
}
