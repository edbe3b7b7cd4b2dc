//! Traps that real buildspecs hold.

use crate::spec::buildspec::{OnFailure, Version, parse};
use crate::spec::{Kind, trial};

const HEAD: &str = "version: 0.2\nphases: {build: {commands: [make]}}\n";

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    trial::check(Kind::Buildspec, text, expected);
}

/// After a head of two lines that is all right.
#[track_caller]
fn check_after(text: &str, expected: &[&str]) {
    check(&format!("{HEAD}{text}"), expected);
}

#[track_caller]
fn check_phases(text: &str, expected: &[&str]) {
    check(&format!("version: 0.2\nphases:\n{text}"), expected);
}

#[test]
fn the_version_is_text_and_required() {
    assert_eq!(parse(HEAD).value.unwrap().version, Version::V02);
    check("version: \"0.1\"\nphases: {build: {commands: [make]}}\n", &[]);
    check("phases: {build: {commands: [make]}}\n", &["E missing-key 1:1"]);
    check("version: 0.3\nphases: {build: {commands: [make]}}\n", &["E bad-version 1:10"]);
    check("version: 0.20\nphases: {build: {commands: [make]}}\n", &["E bad-version 1:10"]);
}

#[test]
fn all_mistakes_are_found_at_once() {
    check(
        "phases:\n  build:\n    commands:\n      - echo a: b\n    on-failure: STOP\nartifacts:\n  \
         files: x\nodd: 1\n",
        &[
            "E missing-key 1:1",
            "E command-is-mapping 4:9",
            "E bad-value 5:17",
            "E wrong-type 7:10",
            "W unknown-key 8:1",
        ],
    );
}

#[test]
fn a_syntax_error_does_not_hide_what_comes_behind_it() {
    check_phases(
        "  build:\n    commands:\n      - [ -z x ] && y\n      - echo a: b\n      - **/*\n    \
         on-failure: STOP\n",
        &[
            "E yaml-syntax 5:18",
            "E command-is-mapping 6:9",
            "E yaml-syntax 7:9",
            "E bad-value 8:17",
        ],
    );
    // What may only be missing because of the broken line is not reported.
    check("verison 0.2\nphases:\n  build: {commands: [make]}\n", &["E yaml-syntax 2:7"]);
}

#[test]
fn a_tab_hides_nothing_else_either() {
    check_phases("\t\n  build:\n    commands: make\n", &["E tab 3:1", "W not-a-list 5:15"]);
    check_after(": x\n", &["E yaml-syntax 3:1"]);
}

#[test]
fn commands_are_texts_in_a_list() {
    check_phases("  build:\n    commands:\n      - [ls]\n", &["E command-is-list 5:9"]);
    check_phases("  build:\n    commands:\n      -\n      - ls\n", &["W empty-command 5:8"]);
    check_phases("  build:\n    commands:\n      - # make\n      - ls\n", &[]);
    check_phases("  build:\n    commands: make\n", &["W not-a-list 4:15"]);
    check_phases("  build:\n    commands: {a: b}\n", &["E wrong-type 4:15"]);
    check_phases("  build:\n    commands:\n", &["W empty-section 4:5"]);
    check_phases("  build:\n    commands: [make, 3, true, 1.10]\n", &[]);
    let text = "version: 0.2\nphases:\n  build:\n    commands:\n      - |\n        a\n        b\n";
    let commands = parse(text).value.unwrap().phases.build.unwrap().commands;
    assert_eq!(commands, ["a\nb\n"]);
}

#[test]
fn a_mapped_command_is_offered_back_in_quotes() {
    let text = "version: 0.2\nphases:\n  build:\n    commands:\n      - echo it's: so\n";
    let problem = parse(text).problems.remove(0);
    assert_eq!(problem.help, "quote it: 'echo it''s: so'");
    let help = |command: &str| {
        let text = format!("version: 0.2\nphases:\n  build:\n    commands:\n      - {command}\n");
        parse(&text).problems.remove(0).help
    };
    assert_eq!(help("echo done:"), "quote it: 'echo done:'");
    assert_eq!(help("[ -f x ]"), "quote it: '[ -f x ]'");
    assert!(help("{{ x }}").contains("- |"), "{}", help("{{ x }}"));
}

#[test]
fn lost_indentation_and_misplaced_keys_are_recognised() {
    check(
        "version: 0.2\nphases:\nbuild:\n  commands: [make]\n",
        &["E lost-indentation 2:1", "W misplaced-key 3:1"],
    );
    check_phases(
        "  pre-build:\n    commands: [x]\n",
        &["E missing-key 2:1", "W unknown-phase 3:3"],
    );
    check("version: 0.2\nphases: {}\n", &["E missing-key 2:1"]);
    check_phases(
        "  install:\n    commands: [a]\n    build: {commands: [b]}\n    artifacts: {files: [c]}\n",
        &["W misplaced-key 5:5", "W misplaced-key 6:5"],
    );
    check_phases("  build:\n  commands: [x]\n", &["W empty-section 3:3", "W misplaced-key 4:3"]);
    check_phases(
        "  build: {commands: [x]}\n  artifacts:\n    files: [a]\n",
        &["W misplaced-key 4:3"],
    );
    check_after("commands: [x]\n", &["W misplaced-key 3:1"]);
    check("version: 0.2\nphases: []\n", &["E wrong-type 2:9"]);
    check_phases("  install:\n    - a\n", &["E wrong-type 4:5"]);
    check("version: 0.2\n", &["E missing-key 1:1"]);
}

#[test]
fn versions_of_runtimes_keep_their_text() {
    let text = "version: 0.2\nphases:\n  install:\n    runtime-versions:\n      python: 3.10\n";
    let install = parse(text).value.unwrap().phases.install.unwrap();
    assert_eq!(install.runtime_versions["python"], "3.10");
    check_phases(
        "  build:\n    runtime-versions: {java: 1}\n    commands: [x]\n",
        &["W misplaced-key 4:5"],
    );
}

#[test]
fn on_failure_has_few_forms() {
    let text =
        "version: 0.2\nphases:\n  build:\n    on-failure: RETRY-2-out of.*\n    commands: [x]";
    let build = parse(text).value.unwrap().phases.build.unwrap();
    let pattern = Some("out of.*".to_owned());
    assert_eq!(build.on_failure, OnFailure::Retry { count: 2, pattern });
    check_phases(
        "  build:\n    on-failure: RETRY-2-(oops\n    commands: [x]\n",
        &["E bad-value 4:17"],
    );
    let text = "version: 0.2\nphases: {build: {on-failure: continue, commands: [x]}}\n";
    assert_eq!(parse(text).problems[0].help, "write CONTINUE");
    check_phases(
        "  build:\n    on-failure: ABORT | CONTINUE\n    commands: [x]\n",
        &["E bad-value 4:17"],
    );
}

#[test]
fn runtimes_are_known_by_name() {
    let install = |runtimes: &str, expected: &[&str]| {
        check_phases(&format!("  install:\n    runtime-versions: {runtimes}\n"), expected);
    };
    install("{nodejs: 20, python: 3.12, java: corretto17, ruby: $V, golang: latest}", &[]);
    install("{node: 20}", &["W unknown-name 4:24"]);
    install("{nodejs: }", &["W empty-section 4:24"]);
    install("[nodejs: 20]", &["E wrong-type 4:23"]);
}

#[test]
fn steps_are_read_whole_and_said_to_be_idle() {
    let text = "version: 0.2\nphases:\n  build:\n    steps:\n      - {id: a, if: success(), run: b, \
                continue-on-error: true, timeout-minutes: 3}\n      - {name: c}\n";
    check(text, &["W unsupported 5:7", "E missing-key 6:9"]);
    let text = text.replace("name", "uses");
    let step = parse(&text).value.unwrap().phases.build.unwrap().steps.remove(0);
    assert_eq!(
        (step.r#if.as_deref(), step.timeout_minutes.as_deref()),
        (Some("success()"), Some("3"))
    );
}

#[test]
fn a_phase_of_finally_alone_is_a_phase() {
    check_phases("  post_build:\n    finally: [x]\n", &[]);
}

#[test]
fn json_reads_like_yaml_also_with_tabs_and_other_line_ends() {
    let json = "{\n\t\"version\":\t\"0.2\",\n\t\"phases\": {\n\t\t\"build\": {\"commands\": [\n\t\t\t\
                \"echo a: b\",\t\"make\"\n\t\t]}\n\t}\n}";
    check(json, &[]);
    check(&json.replace('\n', "\r\n"), &[]);
    assert_eq!(parse(json).value.unwrap().phases.build.unwrap().commands, ["echo a: b", "make"]);
}
