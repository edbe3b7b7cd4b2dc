//! Batches: lists, graphs, matrices, fanouts.

use crate::spec::buildspec::{Batch, parse};
use crate::spec::{Kind, trial};

const HEAD: &str = "version: 0.2\nphases: {build: {commands: [make]}}\nbatch:\n";

/// After a head of three lines that is all right.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    trial::check(Kind::Buildspec, &format!("{HEAD}{text}"), expected);
}

fn batch(text: &str) -> Batch {
    parse(&format!("{HEAD}{text}")).value.unwrap().batch.unwrap()
}

#[test]
fn graphs_have_no_cycles() {
    let graph = "  build-graph:\n    - {identifier: a, depend-on: [b]}\n    \
                 - {identifier: b, depend-on: [c]}\n    - {identifier: c, depend-on: [b]}\n";
    check(graph, &["E cycle 5:5"]);
    let problems = parse(&format!("{HEAD}{graph}")).problems;
    assert!(problems[0].message.ends_with("b → c → b"), "{problems:?}");
    check("  build-graph: [{identifier: a, depend-on: [a]}]\n", &["E cycle 4:16"]);
}

#[test]
fn an_unknown_dependency_is_shown_where_it_stands_with_the_nearest_name() {
    let graph = "  build-graph:\n    - identifier: unit_tests\n    - identifier: package\n      \
                 depend-on:\n        - unit_tests\n        - unit_test\n";
    check(graph, &["E unknown-name 9:11"]);
    assert_eq!(parse(&format!("{HEAD}{graph}")).problems[0].help, "write `unit_tests`");
}

#[test]
fn identifiers_are_there_once_and_usable() {
    check(
        "  build-list:\n    - {identifier: a-b}\n    - {buildspec: x}\n",
        &["W batch-identifier 5:20", "E missing-key 6:7"],
    );
    check(
        "  build-list:\n    - {identifier: a}\n    - {identifier: a}\n",
        &["E batch-identifier 6:7"],
    );
    check("  build-list: [{identifier: a, depend-on: [b]}]\n", &["W ignored-key 4:43"]);
}

#[test]
fn a_batch_makes_at_least_one_build_and_at_most_a_hundred() {
    check("  fast-fail: true\n", &["W batch-size 4:3"]);
    check("  build-list: []\n", &["W batch-size 4:3"]);
    check("  build-fanout: {parallelism: 0}\n", &["E bad-number 4:31"]);
    check("  build-matrix: {static: {ignore-failure: yes}}\n", &["W batch-size 4:17"]);
    check("  build-matrix: {dynamic: {env: {image: []}}}\n", &["W batch-size 4:41"]);
    let values = (0..11).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
    let matrix = |second: &str| {
        format!(
            "  build-matrix: {{dynamic: {{env: {{variables: {{A: [{values}], B: [{second}]}}}}}}}}\n"
        )
    };
    check(&matrix("1, 2, 3, 4, 5, 6, 7, 8, 9"), &[]);
    check(&matrix(&values), &["W batch-size 4:3"]);
    assert_eq!(batch(&matrix(&values)).builds(), 121);
}

#[test]
fn a_matrix_reads_back_from_its_normal_form() {
    let text = format!(
        "{HEAD}  build-matrix: {{dynamic: {{buildspec: [a.yml], env: {{image: [a, b], \
         compute-type: [c], variables: {{V: [1, 2]}}}}}}}}\n"
    );
    let spec = parse(&text).value.unwrap();
    let json = spec.normalised();
    assert_eq!(json["batch"]["build-matrix"]["dynamic"]["env"]["image"][1], "b");
    assert_eq!(parse(&json.to_string()).value, Some(spec));
}

#[test]
fn a_batch_needs_no_phases_where_every_build_brings_its_own() {
    let check = |text: &str, expected: &[&str]| {
        trial::check(Kind::Buildspec, &format!("version: 0.2\nbatch:\n{text}"), expected);
    };
    check("  build-list: [{identifier: a, buildspec: b.yml}]\n", &[]);
    check("  build-matrix: {dynamic: {buildspec: [a.yml, b.yml]}}\n", &[]);
    check("  build-list: [{identifier: a}]\n", &["W empty-section 2:1"]);
    check("  build-fanout: {parallelism: 2}\n", &["W empty-section 2:1"]);
    let text = "version: 0.2\nbatch:\n  build-list:\n    - {identifier: a, buildspec: a.yml}\n    \
                - {identifier: b}\n";
    assert!(parse(text).problems[0].message.contains("`b`"));
}

#[test]
fn variables_of_a_batch_follow_the_rules_of_env() {
    check(
        "  build-list: [{identifier: a, env: {variables: {CODEBUILD_X: 1}}}]\n",
        &["W reserved-variable 4:50"],
    );
    check("  build-matrix: {dynamic: {env: {variables: {a-b: [1]}}}}\n", &["W bad-variable 4:46"]);
}
