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
    check_phases("  build:\n  commands: [x]\n", &["W empty-section 3:3", "W misplaced-key 4:3"]);
    check_phases(
        "  build: {commands: [x]}\n  artifacts:\n    files: [a]\n",
        &["W misplaced-key 4:3"],
    );
    check_after("commands: [x]\n", &["W misplaced-key 3:1"]);
    check("version: 0.2\nphases: []\n", &["E wrong-type 2:9"]);
    check_phases("  install:\n    - a\n", &["E wrong-type 4:5"]);
    check("version: 0.2\n", &["E missing-key 1:1"]);
    check(
        "version: 0.2\nbatch:\n  build-list: [{identifier: a, buildspec: b.yml}]\n",
        &["W empty-section 1:1"],
    );
}

#[test]
fn versions_of_runtimes_keep_their_text() {
    let text = "version: 0.2\nphases:\n  install:\n    runtime-versions:\n      python: 3.10\n";
    let install = parse(text).value.unwrap().phases.install.unwrap();
    assert_eq!(install.runtime_versions["python"], "3.10");
    check_phases(
        "  build:\n    runtime-versions: {a: 1}\n    commands: [x]\n",
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
        "  build:\n    on-failure: ABORT | CONTINUE\n    commands: [x]\n",
        &["E bad-value 4:17"],
    );
}

#[test]
fn a_push_after_a_failed_build_is_warned_about_unless_guarded() {
    let push = "  build:\n    commands: [make]\n  post_build:\n    commands:\n";
    let warned = &["W unguarded-push 7:9"];
    check_phases(&format!("{push}      - docker push shop\n"), warned);
    check_phases(
        &format!("{push}      - test \"$CODEBUILD_BUILD_SUCCEEDING\" = 1\n      - docker push x\n"),
        &[],
    );
    check_phases(
        "  build:\n    on-failure: ABORT\n    commands: [make]\n  post_build:\n    commands: \
         [docker push shop]\n",
        &[],
    );
}

#[test]
fn variables_are_literal_and_have_usable_names() {
    let env = "env:\n  variables:\n";
    check_after(&format!("{env}    A: 0644\n    B:\n    C: yes\n    D: costs 5$\n"), &[]);
    check_after(&format!("{env}    PATH: \"$PATH:/x\"\n"), &["W literal-value 5:5"]);
    check_after(&format!("{env}    my-var: 1\n"), &["W bad-variable 5:5"]);
    check_after(&format!("{env}    CODEBUILD_X: 1\n"), &["W reserved-variable 5:5"]);
    check_after(&format!("{env}    A: [1]\n"), &["E wrong-type 5:8"]);
    check_after(&format!("{env}    A: 1\n    A: 2\n"), &["W duplicate-key 6:5"]);
    check_after("env:\n  exported-variables: [AWS_X]\n", &["W reserved-variable 4:23"]);
    check_after("env:\n  shell: zsh\n", &["W shell 4:10"]);
    let text = format!("{HEAD}{env}    A: 0644\n    A: 0755\n    B:\n");
    let variables = parse(&text).value.unwrap().env.variables;
    assert_eq!((variables["A"].as_str(), variables["B"].as_str()), ("0755", ""));
}

#[test]
fn secret_references_are_read_with_and_without_arn() {
    let good = [
        "shop",
        "shop:key",
        "shop:key:AWSCURRENT",
        "shop:key::id",
        "shop:::",
        "arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop-AbC:key:AWSPREVIOUS",
    ];
    for reference in good {
        check_after(&format!("env:\n  secrets-manager:\n    A: \"{reference}\"\n"), &[]);
    }
    for reference in ["", ":key", "shop:key:stage:id", "a:b:c::e", "arn:aws:secretsmanager"] {
        check_after(
            &format!("env:\n  secrets-manager:\n    A: \"{reference}\"\n"),
            &["E secret-reference 5:5"],
        );
    }
    check_after(
        "env:\n  variables: {A: 1}\n  parameter-store: {A: /a}\n",
        &["W duplicate-variable 5:21"],
    );
}

#[test]
fn booleans_of_yaml_1_1_are_read_and_warned_about() {
    let text = format!("{HEAD}artifacts:\n  files: [a]\n  discard-paths: Yes\n");
    assert!(parse(&text).value.unwrap().artifacts.unwrap().primary.unwrap().discard_paths);
    check(&text, &["W yaml-1-1-boolean 5:18"]);
    check(&text.replace("Yes", "maybe"), &["E bad-boolean 5:18"]);
}

#[test]
fn artifacts_need_files_unless_only_secondary_ones_are_there() {
    check_after("artifacts:\n  name: x\n", &["E missing-key 4:3"]);
    check_after("artifacts:\n", &["W empty-section 3:1"]);
    check_after("artifacts:\n  files:\n", &["E missing-key 4:3"]);
    check_after("artifacts:\n  files: []\n", &["W empty-section 4:10"]);
    let text = format!("{HEAD}artifacts:\n  secondary-artifacts:\n    a:\n      files: [b]\n");
    let artifacts = parse(&text).value.unwrap().artifacts.unwrap();
    assert_eq!((artifacts.primary, artifacts.secondary["a"].files.len()), (None, 1));
    check_after(
        "artifacts:\n  files: [a]\n  discard_paths: true\n  type: zip\n",
        &["W unknown-key 5:3", "W old-version-key 6:9"],
    );
}

#[test]
fn reports_and_caches_are_checked() {
    check_after("reports:\n  a:\n    files: [x]\n    file-format: junitxml\n", &[]);
    check_after("reports:\n  a:\n    files: [x]\n    file-format: JUNIT\n", &["E bad-value 6:18"]);
    check_after("reports:\n  a:\n", &["E missing-key 4:3"]);
    check_after("cache:\n  fallback-keys: [a]\n  paths: [b]\n", &["W ignored-key 4:3"]);
    check_after("cache:\n  key: a\n", &["W empty-section 3:1"]);
    check_after("cache:\n  paths: ['[']\n", &["W bad-glob 4:10"]);
}

#[test]
fn batches_are_graphs_without_cycles() {
    let graph = |tasks: &str| format!("{HEAD}batch:\n  build-graph:\n{tasks}");
    check(
        &graph("    - {identifier: a, depend-on: [b]}\n    - {identifier: b, depend-on: [a]}\n"),
        &["E cycle 5:5"],
    );
    let cycle =
        graph("    - {identifier: a, depend-on: [b]}\n    - {identifier: b, depend-on: [a]}\n");
    assert!(parse(&cycle).problems[0].message.ends_with("a → b → a"));
    check(&graph("    - {identifier: a, depend-on: [x]}\n"), &["E unknown-name 5:7"]);
    check(
        &graph("    - {identifier: a-b}\n    - {buildspec: x}\n"),
        &["W batch-identifier 5:20", "E missing-key 6:7"],
    );
    check(&graph("    - {identifier: a}\n    - {identifier: a}\n"), &["E batch-identifier 6:7"]);
    check_after("batch:\n  build-fanout: {parallelism: 0}\n", &["E bad-number 4:31"]);
}

#[test]
fn version_0_1_names_its_variables_differently() {
    let old = "version: 0.1\nenvironment_variables:\n  plaintext: {A: b}\n\
               phases: {build: {commands: [x]}}\n";
    assert_eq!(parse(old).value.unwrap().env.variables["A"], "b");
    check_after("environment_variables:\n  plaintext: {A: b}\n", &["W old-version-key 4:3"]);
}

#[test]
fn the_normal_form_has_the_keys_of_the_file() {
    let text = "version: 0.2\nphases: {build: {commands: [make]}}\nartifacts:\n  files: [a]\n  \
                secondary-artifacts: {b: {files: [c]}}\n";
    let json = parse(text).value.unwrap().normalised();
    assert_eq!(json["version"], "0.2");
    assert_eq!(json["artifacts"]["files"][0], "a");
    assert_eq!(json["artifacts"]["secondary-artifacts"]["b"]["files"][0], "c");
    assert_eq!(json["phases"]["build"]["commands"][0], "make");
    for absent in ["env", "cache", "batch", "reports", "run-as"] {
        assert!(json.get(absent).is_none(), "{absent}");
    }
}
