//! Settings that are right one by one and make no sense together.

use super::{check, check_actions, read, with};
use crate::spec::pipeline::parse;

/// One more stage, from line 7 on, with these keys before its one action, an approval.
#[track_caller]
fn check_stage(keys: &str, expected: &[&str]) {
    let actions = "actions: [{name: a, approval: {timeout: 1m}}]";
    check(&with(&format!("  - {{name: n, {keys}, {actions}}}\n")), expected);
}

#[test]
fn something_happens_after_the_sources() {
    let text = "name: x\nstages:\n  - {name: s, actions: [{name: a, source: {repository: r}}]}\n";
    check(text, &["E empty-pipeline 3:5"]);
}

#[test]
fn actions_are_not_named_like_what_references_mean() {
    check_actions(&["{name: run, build: {image: x}}"], &["E reserved-name 9:9"]);
    check_actions(&["{name: variables, build: {image: x}}"], &["E reserved-name 9:9"]);
    check_actions(&["{name: runs, build: {image: x}}"], &[]);
}

#[test]
fn what_is_listed_twice_is_said_once() {
    check_actions(
        &["{name: a, build: {image: x}, inputs: [app, app]}"],
        &["E duplicate-name 9:52"],
    );
    check_actions(
        &["{name: a, approval: }", "{name: b, needs: [a, a], approval: }"],
        &["E duplicate-name 10:30"],
    );
    check(&format!("{}triggers: [push, push]\n", with("")), &["E duplicate-name 7:18"]);
}

#[test]
fn needs_say_where_the_other_action_is() {
    let help = |text: &str| parse(text).problems.remove(0).help;
    let stage = |name: &str, needs: &str| {
        format!(
            "  - {{name: s{name}, actions: [{{name: {name}, needs: [{needs}], approval: }}]}}\n"
        )
    };
    let earlier = with(&stage("b", "ask"));
    assert_eq!(help(&earlier), "remove it: stage 'ask' is done before");
    let later = with(&format!("{}{}", stage("b", "c"), stage("c", "")));
    assert_eq!(help(&later), "move 'b' behind it: stage 'sc' comes later");
    assert_eq!(help(&with(&stage("bob", "bbo"))), "write `bob`");
}

#[test]
fn inputs_that_nothing_reads_are_mistakes() {
    check_actions(&["{name: a, approval: , inputs: [app]}"], &["E ignored-key 9:40"]);
    let make = "{name: m, build: {image: x}, outputs: [one, two]}";
    let deploy = |rest: &str| format!("{{name: d, needs: [m], {rest}}}");
    let both = deploy("inputs: [one, two], deploy: {group: g}");
    check_actions(&[make, &both], &["E ignored-key 10:45"]);
    let other = deploy("inputs: [one], deploy: {group: g, artifact: two}");
    check_actions(&[make, &other], &["E ignored-key 10:40"]);
    check_actions(&[make, &deploy("inputs: [two], deploy: {group: g, artifact: two}")], &[]);
}

#[test]
fn approvals_end_once_and_remind_before() {
    let approval = |rest: &str| format!("{{name: a, {rest}}}");
    check_actions(&[&approval("approval: {timeout: 0s}")], &["E bad-duration 9:39"]);
    check_actions(&[&approval("approval: {remind: 8d}")], &["E ignored-key 9:30"]);
    check_actions(&[&approval("approval: {remind: 4h, timeout: 5h}")], &[]);
    check_actions(&[&approval("approval: , retries: 2")], &["E ignored-key 9:31"]);
    check_actions(&[&approval("approval: , timeout: 2d")], &["W capacity-doubt 9:31"]);
    // One name that cannot be read makes no statement about how many there are.
    check_actions(
        &[&approval("approval: {approvers: ['team:x', ann], quorum: 2}")],
        &["E bad-value 9:42"],
    );
}

#[test]
fn times_fit_into_the_times_around_them() {
    check_stage("timeout: 2m", &[]);
    check_stage("timeout: 30s", &["W capacity-doubt 7:39"]);
    check_stage("timeout: 0s", &["E bad-duration 7:24"]);
    let timed = |run: &str| {
        let build = "[{name: b, build: {image: i}, timeout: 2h}]";
        format!("{}timeout: {run}\n", with(&format!("  - {{name: n, actions: {build}}}\n")))
    };
    check(&timed("8d"), &[]);
    // The approval of a week on line 6 as well.
    check(&timed("1h"), &["W capacity-doubt 6:9", "W capacity-doubt 7:54"]);
}

#[test]
fn there_is_something_to_go_back_to() {
    check_stage("on-failure: rollback", &[]);
    check(
        &with(
            "  - {name: n, on-failure: rollback, actions: [{name: a, approval: }]}\nmode: parallel\n",
        ),
        &["E ignored-key 7:15"],
    );
    check(
        "name: x\nstages:\n  - {name: s, on-failure: rollback, actions: [{name: a, source: \
         {repository: r}}]}\n  - {name: n, actions: [{name: b, approval: }]}\n",
        &["E ignored-key 3:15"],
    );
}

#[test]
fn conditions_compare_what_can_change() {
    let entry = |text: &str| format!("entry: {{require: [variable: {{{text}}}]}}");
    check_stage(&entry("value: '#{run.number}', equals: '1'"), &[]);
    check_stage(&entry("value: '#{run.number}', equals: "), &["E missing-key 7:43"]);
    check_stage(&entry("value: REGION, equals: eu"), &["E literal-value 7:51"]);
    check_stage(&entry("value: '#{variables.REGION}', equals: eu"), &["E bad-reference 7:51"]);
    check_stage(&entry("value: '#{app.commit}', not: '#{app.comit}'"), &["E bad-reference 7:73"]);
    check_stage(&entry("value: '#{a.x}', not: y"), &["E bad-reference 7:51"]);
    check_stage(&entry("value: '#{run.number}', not: "), &["E missing-key 7:43"]);
    let help =
        parse(&with(&format!("  - {{name: n, {}, actions: []}}\n", entry("value: $R, not: x"))))
            .problems
            .remove(0)
            .help;
    assert_eq!(help, "write '#{variables.R}', if that is the variable meant");
    let success = "success: {require: [variable: {value: '#{b.RESULT}', equals: ok}]}";
    check(
        &with(&format!(
            "  - {{name: n, {success}, actions: [{{name: b, build: {{image: i}}}}]}}\n"
        )),
        &[],
    );
}

#[test]
fn references_name_actions_that_leave_something() {
    let env = |text: &str| format!("{{name: a, build: {{image: x, env: {{V: '{text}'}}}}}}");
    check_actions(&[&env("#{ask.comment}")], &["E bad-reference 9:43"]);
    let make = "{name: m, build: {image: x}}";
    let take =
        |text: &str| format!("{{name: t, needs: [m], test: {{image: x, env: {{V: '{text}'}}}}}}");
    check_actions(&[make, &take("#{m.VERSION}")], &[]);
    check_actions(&[make, &take("#{m.VER SION}")], &["E bad-reference 10:54"]);
}

#[test]
fn a_trigger_has_no_value_for_a_variable_without_one() {
    let text = |triggers: &str| format!("{}variables: {{T: }}\n{triggers}", with(""));
    check(&text(""), &["W unset-variable 7:13"]);
    check(&text("triggers: []\n"), &[]);
    check(&text("triggers: [schedule: '0 3 * * *']\n"), &["W unset-variable 7:13"]);
}

#[test]
fn triggers_can_come() {
    let push = |settings: &str| format!("{}triggers: [push: {{{settings}}}]\n", with(""));
    check(&push("branches: [mian]"), &["W unknown-name 7:30"]);
    check(&push("branches: [develop]"), &["W unknown-name 7:30"]);
    check(&push("branches: [main, develop]"), &[]);
    check(&push("branches: ['feature/*']"), &[]);
    check(&push("branches: []"), &["E missing-key 7:29"]);
    check(&push("branches: [main, '!dev']"), &["W dead-glob 7:29"]);
    check(&push("branches: ['**', '!dev']"), &[]);
    check(&push("branches: [refs/heads/main]"), &["E dead-glob 7:30"]);
    check(&push("tags: ['refs/tags/v*']"), &["E dead-glob 7:26"]);
    let schedule = |cron: &str| format!("{}triggers: [schedule: '{cron}']\n", with(""));
    check(&schedule("0 3 30 2 *"), &["E bad-schedule 7:22"]);
    check(&schedule("0 3 29 2 *"), &[]);
    let events = format!("{}triggers: [pull-request: {{events: [open]}}]\n", with(""));
    check(&events, &["E bad-value 7:36"]);
}

#[test]
fn a_freeze_ends_and_leaves_some_time() {
    let freeze = |text: &str| format!("{}freeze: [{text}]\n", with(""));
    check(&freeze("{from: 2026-12-20, to: 2026-12-20}"), &[]);
    check(&freeze("{from: 2026-12-20T18:00, to: 2026-12-20}"), &[]);
    check(&freeze("{from: 2026-12-20T18:00, to: 2026-12-20T18:00}"), &["E bad-schedule 7:17"]);
    check(&freeze("{from: '00:00', to: '24:00'}"), &["E bad-schedule 7:10"]);
    check(&freeze("{from: '00:00', to: '24:00', stages: [ask]}"), &[]);
    check(&freeze("{days: [], from: '00:00', to: '01:00'}"), &["E bad-schedule 7:17"]);
}

#[test]
fn headers_are_headers() {
    let invoke = |name: &str| {
        format!("{{name: a, invoke: {{webhook: 'https://h/', headers: {{{name}: x}}}}}}")
    };
    check_actions(&[&invoke("X-A")], &[]);
    check_actions(&[&invoke("'X A'")], &["E bad-name 9:61"]);
}

#[test]
fn a_misspelt_key_is_not_missing_as_well() {
    let make = "{name: m, build: {image: x}, outputs: [one, two]}";
    let next = |action: &str| {
        with(&format!("  - {{name: n, actions: [{make}]}}\n  - {{name: o, actions: [{action}]}}\n"))
    };
    check(&next("{name: d, deploy: {group: g, artefact: one}}"), &["E unknown-key 8:54"]);
    check(&next("{name: d, input: [one], deploy: {group: g}}"), &["E unknown-key 8:35"]);
    check(&next("{name: d, deploy: {group: g}}"), &["E no-input 8:25"]);
}

#[test]
fn empty_patterns_are_not_printed() {
    let printed = read(&with("")).normalised();
    assert_eq!(printed["triggers"][0]["push"].get("paths"), None);
}
