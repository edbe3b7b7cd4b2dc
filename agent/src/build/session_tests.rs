//! A driver's words, and what people get to see of them.

use super::*;
use crate::build::plan::{Failure, Plan, Retry};
use crate::context::{ProgressSender, Spool};
use pipelines::ids::TaskId;
use pipelines::protocol::report::Step;
use pipelines::protocol::task::TaskKey;
use std::sync::Arc;

fn phase(name: &'static str, commands: &[&str]) -> Phase {
    Phase {
        name,
        run_as: None,
        commands: commands.iter().map(|c| (*c).to_owned()).collect(),
        finally: vec!["clean up".into()],
        retry: Some(Retry { count: 2, pattern: Some("time.?out".into()) }),
        after_failure: Failure::GoOn,
    }
}

fn job() -> Job {
    Job {
        key: TaskKey { task: TaskId(1), attempt: 1 },
        image: String::new(),
        plan: Plan {
            shell: "sh".into(),
            carries_over: true,
            phases: vec![phase("BUILD", &["make hunter2\nmore", "x"]), phase("POST_BUILD", &["p"])],
            env: Default::default(),
            exported: Vec::new(),
            expand: Vec::new(),
        },
        sources: Vec::new(),
        outputs: Vec::new(),
        secrets: Vec::new(),
        notes: Vec::new(),
    }
}

struct Seen {
    log: String,
    steps: Vec<Step>,
    answers: Vec<Answer>,
    failure: Option<CommandFailure>,
    end: Option<End>,
}

/// Lines beginning with `>` are the driver's; each comes ten milliseconds after the one before.
async fn session(job: &Job, script: &str) -> Seen {
    let dir = tempfile::tempdir().unwrap();
    let spool = Arc::new(Spool::open(&dir.path().join("log")).unwrap());
    let masks = Masks::new([("PASS", "hunter2")]);
    let mut session = Session::new(Begin {
        job,
        masks: &masks,
        nonce: "n",
        log: LogWriter::new(spool.clone()),
        log_base: 0,
        log_bytes_max: 1 << 20,
        steps: Steps::new(ProgressSender::new().0, Vec::new()),
        at: Millis(100),
    });
    for (index, line) in script.lines().enumerate() {
        let line = line.trim_start();
        let bytes = match line.strip_prefix('>') {
            Some(mark) => format!("\x1en {mark}\n"),
            None => line.replace('_', "\n"),
        };
        session.push(bytes.as_bytes(), Millis(100 + 10 * index as u64));
    }
    session.finish().await;
    Seen {
        log: String::from_utf8(spool.read(0, 1 << 20).unwrap()).unwrap(),
        answers: session.take_answers(),
        failure: session.failure().cloned(),
        end: session.end().cloned(),
        steps: session.steps.into_all(),
    }
}

#[tokio::test]
async fn commands_have_times_codes_and_their_place_in_the_log() {
    let seen = session(
        &job(),
        ">P 0 0
         >C 0 commands 0
         no newline
         >E 0 0
         >C 0 commands 1
         >E 3 0
         >C 0 finally 0
         >E 0 0
         >D 0 1
         >Z 0 0",
    )
    .await;
    let expected = "[pipeyard] Entering phase BUILD\n\
                    [pipeyard] Running command make ***PASS*** …\n\
                    no newline\n\
                    [pipeyard] Running command x\n\
                    [pipeyard] Error while executing command: x. Reason: exit status 3\n\
                    [pipeyard] Running command clean up\n\
                    [pipeyard] Phase complete: BUILD State: FAILED\n";
    assert_eq!(seen.log, expected);
    let build = &seen.steps[0];
    assert_eq!(
        (build.status, build.started, build.took),
        (StepStatus::Failed, Millis(100), Some(Millis(80)))
    );
    let commands: Vec<_> = build
        .commands
        .iter()
        .map(|c| (c.exit_code, c.took.unwrap().0, &seen.log[c.log_offset as usize..][..26]))
        .collect();
    assert_eq!(
        commands,
        [
            (Some(0), 20, "[pipeyard] Running command"),
            (Some(3), 10, "[pipeyard] Running command"),
            (Some(0), 10, "[pipeyard] Running command"),
        ]
    );
    assert_eq!(seen.steps[1].status, StepStatus::Skipped);
    assert_eq!(seen.steps[1].message.as_deref(), Some("BUILD ended the build"));
    assert_eq!(seen.failure.unwrap().command, "x");
    assert_eq!(seen.end, Some(End::Finished { succeeded: false, upload: false }));
}

#[tokio::test]
async fn a_question_is_answered_by_the_output_of_that_attempt_alone() {
    let seen = session(
        &job(),
        ">P 0 0
         >C 0 commands 0
         a timeout_
         >E 1 0
         >Q 0 0
         >D 0 retry
         >P 0 1
         >C 0 commands 0
         refused_
         >E 1 0
         >Q 0 1",
    )
    .await;
    let answer = |attempt, retry| Answer { phase: 0, attempt, retry };
    assert_eq!(seen.answers, [answer(0, true), answer(1, false)]);
    assert_eq!(seen.steps[0].message.as_deref(), Some("attempt 2 of 3"));
}

#[tokio::test]
async fn a_retried_phase_that_succeeds_leaves_no_failure() {
    let script = ">P 0 0\n>C 0 commands 0\n>E 1 0\n>D 0 retry\n>P 0 1\n>C 0 commands 0\n>E 0 0\n\
                  >D 0 0\n>P 1 0\n>D 1 0\n>Z 1 1";
    let seen = session(&job(), script).await;
    assert_eq!(seen.failure, None);
    assert_eq!(seen.steps[0].message.as_deref(), Some("succeeded in attempt 2"));
    assert_eq!(seen.end, Some(End::Finished { succeeded: true, upload: true }));
}

#[tokio::test]
async fn forged_marks_change_nothing_but_the_build_that_forged_them() {
    let script =
        ">C 9 commands 9\n>E 1 0\n>P 77 0\n>D 3 1\n>Q 5 5\n>P 0 0\n>C 0 commands 99\n>D 1 0";
    let seen = session(&job(), script).await;
    assert_eq!(seen.steps.len(), 1);
    assert!(seen.answers.is_empty());
    assert_eq!(seen.end, None);
}
