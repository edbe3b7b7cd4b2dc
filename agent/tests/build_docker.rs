//! The build engine against a real Docker engine: what a build is and what it leaves.

mod build_support;

use build_support::{Builder, Ran, run_within};
use pipelines::protocol::report::{ErrorCode, Outcome, StepStatus};
use std::collections::BTreeMap;

#[tokio::test]
async fn a_build_runs_its_phases_and_leaves_artifacts_and_variables() {
    let builder = Builder::new(
        "env:
  shell: bash
  variables: {GREETING: hello}
  exported-variables: [VERSION, NEVER_SET]
phases:
  install: {commands: ['echo \"$HOME $CI $CODEBUILD_SRC_DIR $(id -un)\"; pwd']}
  pre_build: {commands: ['export VERSION=1.$((1 + 1)); mkdir -p out/sub; cd out']}
  build:
    commands:
      - |
        [[ $GREETING == hello ]] && tr a-z A-Z <../input.txt >sub/result.txt
        chmod 755 sub/result.txt
      - printf 'no newline at the end'
    finally: ['echo cleaned']
  post_build: {commands: ['echo done $CODEBUILD_BUILD_SUCCEEDING']}
artifacts:
  files: ['**/*']
  base-directory: $CODEBUILD_SRC_DIR/out
  secondary-artifacts: {input: {files: [input.txt]}}
",
    )
    .file("input.txt", "text\n");
    let (job, around) = builder.ready();
    let outcome = run_within(&job, &around, false).await;
    let ran = Ran::of(&builder.settings, outcome, &around).await;
    let exported = ran.succeeded();
    assert_eq!(exported, &BTreeMap::from([("VERSION".to_owned(), "1.2".to_owned())]));
    let expected =
        "/root true /build/src root\n/build/src\nno newline at the end\ncleaned\ndone 1\n";
    assert_eq!(ran.output(), expected, "{}", ran.log);
    let names: Vec<&str> = ran.steps().iter().map(|step| step.name.as_str()).collect();
    let phases = ["INSTALL", "PRE_BUILD", "BUILD", "POST_BUILD", "UPLOAD_ARTIFACTS", "FINALIZING"];
    assert_eq!(names, [&["PROVISIONING", "DOWNLOAD_SOURCE"], &phases[..]].concat());
    for step in ran.steps() {
        assert_eq!(step.status, StepStatus::Succeeded, "{step:?}");
        for command in &step.commands {
            assert_eq!(command.exit_code, Some(0), "{command:?}");
            assert!(ran.log[command.log_offset as usize..].starts_with("[pipeyard] Running"));
        }
    }
    let out = builder.dir.path().join("unpacked");
    ran.unpack(&around, "primary", &out).await;
    assert_eq!(std::fs::read_to_string(out.join("sub/result.txt")).unwrap(), "TEXT\n");
    let out = builder.dir.path().join("input");
    ran.unpack(&around, "input", &out).await;
    assert_eq!(std::fs::read_to_string(out.join("input.txt")).unwrap(), "text\n");
    assert_eq!(std::fs::read_dir(&builder.build.source).unwrap().count(), 1, "source is a copy");
}

#[tokio::test]
async fn a_failed_build_still_runs_post_build_and_uploads_what_there_is() {
    let builder = Builder::new(
        "phases:
  build: {commands: [touch part, 'exit 3', echo never]}
  post_build: {commands: ['echo post $CODEBUILD_BUILD_SUCCEEDING']}
artifacts: {files: [part]}
",
    );
    let (job, around) = builder.ready();
    let outcome = run_within(&job, &around, false).await;
    let ran = Ran::of(&builder.settings, outcome, &around).await;
    assert_eq!(ran.output(), "post 0\n");
    assert_eq!(ran.code(), ErrorCode::CommandFailed);
    let Outcome::Failed { error, .. } = &ran.outcome else { unreachable!() };
    assert_eq!(error.message, "Error while executing command: exit 3. Reason: exit status 3");
    assert_eq!((error.step.as_deref(), error.command.as_deref()), (Some("BUILD"), Some("exit 3")));
    assert_eq!(ran.step("BUILD").status, StepStatus::Failed);
    ran.unpack(&around, "primary", &builder.dir.path().join("out")).await;
}

#[tokio::test]
async fn a_failed_pre_build_ends_the_build() {
    let ran = Builder::new(
        "phases:
  pre_build: {commands: ['false']}
  build: {commands: [echo never]}
artifacts: {files: ['**/*']}
",
    )
    .run()
    .await;
    assert_eq!(ran.output(), "");
    assert_eq!(ran.step("BUILD").status, StepStatus::Skipped);
    assert_eq!(ran.step("UPLOAD_ARTIFACTS").status, StepStatus::Skipped);
}

#[tokio::test]
async fn secrets_do_not_show_in_logs_commands_messages_or_exported_variables() {
    let ran = Builder::new(
        "env: {secrets-manager: {TOKEN: prod/token}, exported-variables: [LEAK]}
phases:
  build:
    commands:
      - 'printf s3cr; sleep 0.2; printf 3t-v; sleep 0.2; echo alue'
      - 'echo \"$TOKEN\" | base64 -w0; echo; set -x; : \"$TOKEN\"; export LEAK=\"<$TOKEN>\"'
      - 'echo s3cr3t-value && exit 4'
",
    )
    .secret("TOKEN", "s3cr3t-value")
    .run()
    .await;
    let everything = format!("{:?}\n{}", ran.outcome, ran.log);
    assert!(
        !everything.contains("s3cr3t-value") && !everything.contains("czNjcjN0"),
        "{everything}"
    );
    let Outcome::Failed { error, .. } = &ran.outcome else { panic!("{everything}") };
    assert!(error.message.contains("echo ***TOKEN*** && exit 4"), "{}", error.message);
    assert!(ran.log.contains("\n***TOKEN***Cg==\n"), "{}", ran.log);
}

#[tokio::test]
async fn phases_run_as_the_user_they_name_and_the_user_can_build() {
    let ran = Builder::new(
        "run-as: nobody
phases:
  install: {run-as: root, commands: ['export A=1; id -un; echo $HOME']}
  build: {commands: ['id -un; touch made; echo $HOME $A; export B=2']}
  post_build: {run-as: root, commands: ['echo $HOME $B; stat -c %U made']}
",
    )
    .run()
    .await;
    ran.succeeded();
    let expected = "root\n/root\nnobody\n/nonexistent 1\n/root 2\nroot\n";
    assert_eq!(ran.output(), expected, "{}", ran.log);
    let missing = Builder::new("run-as: bob\nphases: {build: {commands: [echo never]}}\n");
    let ran = missing.run().await;
    assert_eq!(ran.code(), ErrorCode::BuildspecInvalid);
    assert_eq!(ran.step("PROVISIONING").status, StepStatus::Failed);
    assert!(ran.log.contains("the image has no user 'bob'"), "{}", ran.log);
}

#[tokio::test]
async fn a_phase_is_retried_when_its_output_matches() {
    let ran = Builder::new(
        "phases:
  build:
    on-failure: RETRY-2-flaky
    commands: ['echo x >>tries; [ $(wc -l <tries) -ge 2 ] || { echo so flaky; exit 1; }']
  post_build:
    on-failure: RETRY-2-flaky
    commands: [echo solid; exit 1]
",
    )
    .run()
    .await;
    assert_eq!(ran.output(), "so flaky\nsolid\n", "{}", ran.log);
    assert_eq!(ran.step("BUILD").status, StepStatus::Succeeded);
    let codes: Vec<_> = ran.step("BUILD").commands.iter().map(|c| c.exit_code).collect();
    assert_eq!(codes, [Some(1), Some(0)]);
}

#[tokio::test]
async fn a_build_gains_no_privileges_and_sees_no_docker() {
    let ran = Builder::new(
        "phases:
  build:
    commands:
      - 'grep NoNewPrivs /proc/self/status'
      - 'ls /var/run/docker.sock 2>&1 || true'
      - 'touch /pipeyard/plan.sh 2>&1 || echo read-only'
      - 'ln -s /etc/passwd /pipeyard/state/out/LEAK; mknod d b 8 0 && dd if=d bs=1 count=1 || echo no disk'
",
    )
    .run()
    .await;
    ran.succeeded();
    for part in ["NoNewPrivs:\t1", "No such file", "read-only", "no disk"] {
        assert!(ran.log.contains(part), "{part}: {}", ran.log);
    }
}

#[tokio::test]
async fn a_file_behind_a_link_out_of_the_state_is_not_exported() {
    let ran = Builder::new(
        "env: {exported-variables: [LEAK]}
phases: {build: {commands: ['rm -rf /pipeyard/state/out; ln -s /etc /pipeyard/state/out; export LEAK=x']}}
",
    )
    .run()
    .await;
    assert!(ran.succeeded().is_empty());
}
