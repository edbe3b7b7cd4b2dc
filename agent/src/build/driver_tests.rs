//! The driver against the shells of this machine: no container, the same script.

use super::*;
use crate::build::marks::{Mark, PhaseEnd, Piece, Scanner};
use crate::build::plan::{Phase, Retry};
use std::collections::BTreeMap;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

fn phase(name: &'static str, commands: &[&str]) -> Phase {
    Phase {
        name,
        run_as: None,
        commands: commands.iter().map(|c| (*c).to_owned()).collect(),
        finally: Vec::new(),
        retry: None,
        after_failure: if name == "INSTALL" || name == "PRE_BUILD" {
            Failure::EndBuild
        } else {
            Failure::GoOn
        },
    }
}

fn plan(phases: Vec<Phase>) -> Plan {
    Plan {
        shell: "sh".into(),
        carries_over: true,
        phases,
        env: BTreeMap::from([("FROM_SPEC".into(), "it's \"here\"\n$HOME".into())]),
        exported: Vec::new(),
        expand: Vec::new(),
    }
}

struct Ran {
    text: String,
    marks: Vec<Mark>,
    code: Option<i32>,
    control: tempfile::TempDir,
}

impl Ran {
    fn left(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.control.path().join("state/out").join(name)).ok()
    }

    fn phase_ends(&self) -> Vec<(usize, PhaseEnd)> {
        let end = |mark: &Mark| match mark {
            Mark::PhaseEnd { phase, end } => Some((*phase, *end)),
            _ => None,
        };
        self.marks.iter().filter_map(end).collect()
    }

    fn finished(&self) -> Option<&Mark> {
        self.marks.last().filter(|mark| matches!(mark, Mark::Finished { .. }))
    }
}

/// Runs the plan with `driver_shell` as the image's /bin/sh. `answers` are laid out beforehand.
fn run_in(driver_shell: &str, mut plan: Plan, answers: &[(&str, &str)]) -> Ran {
    let control = tempfile::tempdir().unwrap();
    let work = control.path().join("work");
    std::fs::create_dir(&work).unwrap();
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    plan.env.insert("CODEBUILD_SRC_DIR".into(), text(&work));
    let (control_text, work_text) = (text(control.path()), text(&work));
    let layout =
        Layout { control: &control_text, workspace: &work_text, source: &work_text, agent: None };
    write(&plan, "n0nce", &layout, control.path()).unwrap();
    for (name, answer) in answers {
        std::fs::write(control.path().join("answers").join(name), format!("{answer}\n")).unwrap();
    }
    // By the name it has in an image.
    let output = Command::new(driver_shell)
        .arg0("sh")
        .arg(control.path().join("driver.sh"))
        .arg(control.path())
        .output()
        .unwrap();
    let (mut bytes, mut marks) = (Vec::new(), Vec::new());
    let mut scanner = Scanner::new("n0nce");
    let mut each = |piece: Piece<'_>| match piece {
        Piece::Text(text) => bytes.extend_from_slice(text),
        Piece::Mark(mark) => marks.push(mark),
    };
    scanner.push(&output.stdout, &mut each);
    scanner.finish(&mut each);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "the driver itself complained");
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ran { text, marks, code: output.status.code(), control }
}

/// Every shell this machine has, as the driver's and as the commands'.
fn in_every_shell(plan: &Plan, check: impl Fn(&str, Ran)) {
    for (driver, commands) in [("sh", "sh"), ("dash", "bash"), ("bash", "sh"), ("sh", "bash")] {
        if Command::new(driver).arg("-c").arg("true").status().is_err() {
            continue;
        }
        let plan = Plan { shell: commands.into(), ..plan.clone() };
        check(&format!("{driver} running {commands}"), run_in(driver, plan, &[]));
    }
}

#[test]
fn variables_and_the_directory_carry_over_and_nothing_else() {
    let commands = [
        "export A=\"one two\" B='quo\"te'\\''s' && mkdir -p sub && cd sub && C=plain && set -e",
        "f() { echo function; }; alias g='echo alias'; trap 'echo trapped' INT",
        "false\necho \"A=$A B=$B C=${C-unset} $(basename \"$PWD\")\"",
        "f 2>/dev/null || echo no function",
        "export N='line\nbreak'; unset A; exit 0",
        "echo \"${A-gone} $N $#\"; printf '%s|' \"$FROM_SPEC\"",
    ];
    in_every_shell(&plan(vec![phase("BUILD", &commands)]), |shells, ran| {
        let expected = "A=one two B=quo\"te's C=plain sub\nno function\ngone line\nbreak 0\n\
                        it's \"here\"\n$HOME|";
        assert_eq!(ran.text, expected, "{shells}");
        assert_eq!(ran.code, Some(0), "{shells}");
        assert_eq!(ran.finished(), Some(&Mark::Finished { succeeded: true, upload: true }));
    });
}

#[test]
fn version_0_1_carries_nothing_over() {
    let commands = ["export A=1; cd /", "echo \"${A-unset} $(basename \"$PWD\")\""];
    let plan = Plan { carries_over: false, ..plan(vec![phase("BUILD", &commands)]) };
    in_every_shell(&plan, |shells, ran| assert_eq!(ran.text, "unset work\n", "{shells}"));
}

#[test]
fn state_survives_exit_traps_strict_mode_and_tracing() {
    let commands = [
        "trap 'echo own trap' EXIT; export A=1",
        "set -eux; export B=2",
        "set -C; export C=3; exit 0",
        "echo \"$A$B$C\"",
    ];
    in_every_shell(&plan(vec![phase("BUILD", &commands)]), |shells, ran| {
        assert!(ran.text.contains("own trap\n"), "{shells}: {}", ran.text);
        assert!(ran.text.ends_with("123\n"), "{shells}: {}", ran.text);
        assert!(!ran.text.contains("pipeyard"), "{shells}: {}", ran.text);
    });
}

#[test]
fn a_command_counts_by_its_last_line_and_the_first_failure_ends_the_list() {
    let commands = ["false\ntrue", "exit 7", "echo never"];
    in_every_shell(&plan(vec![phase("BUILD", &commands)]), |shells, ran| {
        assert_eq!(ran.text, "", "{shells}");
        let ends: Vec<i32> = ran
            .marks
            .iter()
            .filter_map(|m| match m {
                Mark::CommandEnd { status, .. } => Some(*status),
                _ => None,
            })
            .collect();
        assert_eq!(ends, [0, 7], "{shells}");
        assert_eq!(ran.code, Some(1), "{shells}");
    });
}

#[test]
fn a_command_that_is_no_shell_fails_and_the_build_goes_on_by_the_rules() {
    let phases = vec![
        phase("BUILD", &["export A=1", "if then fi ("]),
        phase("POST_BUILD", &["echo $A post"]),
    ];
    in_every_shell(&plan(phases), |shells, ran| {
        assert!(ran.text.ends_with("1 post\n"), "{shells}: {}", ran.text);
        assert_eq!(ran.phase_ends(), [(0, PhaseEnd::Failed), (1, PhaseEnd::Succeeded)]);
    });
}

#[test]
fn each_failed_phase_leads_where_codebuild_says() {
    let all = |failing: usize| -> Vec<Phase> {
        ["INSTALL", "PRE_BUILD", "BUILD", "POST_BUILD"]
            .into_iter()
            .enumerate()
            .map(|(i, name)| {
                phase(
                    name,
                    &[if i == failing { "exit 3" } else { "echo $CODEBUILD_BUILD_SUCCEEDING" }],
                )
            })
            .collect()
    };
    for (failing, text, upload) in
        [(0, "", false), (1, "1\n", false), (2, "1\n1\n0\n", true), (3, "1\n1\n1\n", true)]
    {
        let ran = run_in("sh", plan(all(failing)), &[]);
        assert_eq!(ran.text, text, "{failing}");
        assert_eq!(ran.finished(), Some(&Mark::Finished { succeeded: false, upload }), "{failing}");
    }
    let mut go_on = all(0);
    go_on[0].after_failure = Failure::GoOn;
    let ran = run_in("sh", plan(go_on), &[]);
    assert_eq!(ran.text, "0\n0\n0\n");
    assert_eq!(ran.finished(), Some(&Mark::Finished { succeeded: false, upload: true }));
    let mut abort = all(2);
    abort[2].after_failure = Failure::EndBuild;
    let ran = run_in("sh", plan(abort), &[]);
    assert_eq!(ran.finished(), Some(&Mark::Finished { succeeded: false, upload: false }));
}

#[test]
fn finally_runs_after_success_and_after_failure_and_counts() {
    let mut failing = phase("BUILD", &["exit 3"]);
    failing.finally = vec!["echo cleaned $CODEBUILD_BUILD_SUCCEEDING".into()];
    let mut spoiled = phase("POST_BUILD", &["true"]);
    spoiled.finally = vec!["exit 1".into(), "echo never".into()];
    let ran = run_in("sh", plan(vec![failing, spoiled]), &[]);
    assert_eq!(ran.text, "cleaned 0\n");
    assert_eq!(ran.phase_ends(), [(0, PhaseEnd::Failed), (1, PhaseEnd::Failed)]);
}

#[test]
fn a_phase_is_retried_and_may_still_succeed() {
    let mut flaky = phase("BUILD", &["echo try; [ -e seen ] || { touch seen; exit 1; }"]);
    flaky.retry = Some(Retry { count: 3, pattern: None });
    let ran = run_in(
        "sh",
        plan(vec![flaky.clone(), phase("POST_BUILD", &["echo $CODEBUILD_BUILD_SUCCEEDING"])]),
        &[],
    );
    assert_eq!(ran.text, "try\ntry\n1\n");
    assert_eq!(
        ran.phase_ends(),
        [(0, PhaseEnd::Retry), (0, PhaseEnd::Succeeded), (1, PhaseEnd::Succeeded)]
    );
    let mut hopeless = phase("BUILD", &["echo try; false"]);
    hopeless.retry = Some(Retry { count: 2, pattern: None });
    assert_eq!(run_in("sh", plan(vec![hopeless.clone()]), &[]).text, "try\ntry\ntry\n");
    hopeless.retry = Some(Retry { count: 5, pattern: Some("x".into()) });
    let ran = run_in("sh", plan(vec![hopeless]), &[("0-0", "retry"), ("0-1", "give-up")]);
    assert_eq!(ran.text, "try\ntry\n");
    assert_eq!(ran.phase_ends(), [(0, PhaseEnd::Retry), (0, PhaseEnd::Failed)]);
}

#[test]
fn exported_variables_and_expanded_texts_are_left_behind() {
    let commands = ["export V=\"1.2\n3\" EMPTY=; PLAIN=x"];
    let plan = Plan {
        exported: vec!["V".into(), "EMPTY".into(), "UNSET".into(), "PLAIN".into()],
        expand: vec!["out-$V\"x\"".into(), "$(".into(), "n-$(echo $((1 + 1)))".into()],
        ..plan(vec![phase("BUILD", &commands)])
    };
    in_every_shell(&plan, |shells, ran| {
        assert_eq!(ran.left("V").as_deref(), Some("1.2\n3"), "{shells}");
        assert_eq!(ran.left("EMPTY").as_deref(), Some(""), "{shells}");
        assert_eq!(ran.left("PLAIN").as_deref(), Some("x"), "{shells}");
        assert_eq!(ran.left("UNSET"), None, "{shells}");
        assert_eq!(ran.left("text-0").as_deref(), Some("out-1.2\n3\"x\""), "{shells}");
        assert_eq!(ran.left("text-2").as_deref(), Some("n-2"), "{shells}");
    });
}

#[test]
fn the_variables_of_the_build_cannot_break_the_driver() {
    let mut plan = plan(vec![phase("BUILD", &["echo \"$PATH $IFS_SEEN $ENV\""])]);
    for (name, value) in
        [("PATH", "$PATH:/opt"), ("IFS_SEEN", "x"), ("ENV", "/nowhere"), ("BASH_ENV", "/nowhere")]
    {
        plan.env.insert(name.into(), value.into());
    }
    in_every_shell(&plan, |shells, ran| {
        assert_eq!(ran.text, "$PATH:/opt x /nowhere\n", "{shells}");
    });
}

#[test]
fn a_missing_user_or_shell_is_found_before_anything_runs() {
    let mut as_nobody_here = phase("BUILD", &["echo never"]);
    as_nobody_here.run_as = Some("no-such-user".into());
    let ran = run_in("sh", plan(vec![phase("INSTALL", &["echo never"]), as_nobody_here]), &[]);
    assert_eq!(ran.text, "");
    let [Mark::Refused(reason)] = &ran.marks[..] else { panic!("{:?}", ran.marks) };
    assert!(reason.contains("no user 'no-such-user'"), "{reason}");
    let ran = run_in("sh", Plan { shell: "fish".into(), ..plan(vec![]) }, &[]);
    assert_eq!(ran.marks, [Mark::Refused("the image has no fish".into())]);
}

#[test]
fn a_stopped_build_runs_what_cleans_up_and_no_more() {
    let mut first = phase("BUILD", &["touch \"${0%/*}/stop\"", "echo never"]);
    first.finally = vec!["echo cleaned".into()];
    let ran = run_in("sh", plan(vec![first, phase("POST_BUILD", &["echo never"])]), &[]);
    assert_eq!(ran.text, "cleaned\n");
    assert_eq!(ran.finished(), Some(&Mark::Finished { succeeded: false, upload: false }));
}
