//! What can be wrong with a pipeline, and what follows from what is left out.

mod sense;

use crate::spec::pipeline::{Mode, Pipeline, Trigger, Work, parse};
use crate::spec::{Kind, trial};
use crate::time::Millis;

/// The example of the manual's first page.
const SHOP: &str = "version: 1
name: shop
mode: superseded
variables:
  LOG_LEVEL: {default: info}
triggers:
  - push: {branches: [main, \"release/*\"], paths: [\"**\", \"!docs/**\"]}
  - schedule: {cron: \"0 3 * * *\", zone: Asia/Seoul}
stages:
  - name: source
    actions:
      - name: app
        source: {repository: shop, branch: main}
  - name: build
    actions:
      - name: compile
        build: {image: \"debian:bookworm-slim\", buildspec: buildspec.yml}
        inputs: [app]
        outputs: [bundle]
  - name: release
    actions:
      - name: sign-off
        approval: {approvers: [\"group:release\"], quorum: 1, timeout: 7d}
      - name: production
        needs: [sign-off]
        deploy: {group: production, artifact: bundle}
";

/// Six lines with a source stage and one of an approval, then `rest` as stages or keys of the top.
fn with(rest: &str) -> String {
    format!(
        "name: shop\nstages:\n  - {{name: source, actions: [{{name: app, source: {{repository: \
         shop}}}}]}}\n  - name: ask\n    actions:\n      - {{name: ask, approval: }}\n{rest}"
    )
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    trial::check(Kind::Pipeline, text, expected);
}

/// One more stage, from line 7 on, with these actions from line 9 on.
#[track_caller]
fn check_actions(actions: &[&str], expected: &[&str]) {
    let lines: String = actions.iter().map(|line| format!("      - {line}\n")).collect();
    check(&with(&format!("  - name: next\n    actions:\n{lines}")), expected);
}

#[track_caller]
fn read(text: &str) -> Pipeline {
    parse(text).into_result().unwrap().0
}

#[test]
fn the_example_reads_as_meant() {
    let shop = read(SHOP);
    assert_eq!((shop.mode, shop.triggers.len()), (Mode::Superseded, 2));
    let kinds: Vec<&str> =
        shop.stages.iter().flat_map(|s| &s.actions).map(|action| action.kind()).collect();
    assert_eq!(kinds, ["source", "build", "approval", "deploy"]);
    assert_eq!(shop.stages[0].actions[0].outputs, ["app"]);
    let Work::Approval(approval) = &shop.stages[2].actions[0].work else { panic!() };
    assert_eq!(approval.timeout, Some(Millis(7 * 86_400_000)));
    assert_eq!(shop.stages[2].actions[1].inputs, ["bundle"]);
}

#[test]
fn what_is_left_out_follows_from_the_rest() {
    let actions = "  - name: build\n    actions:\n      - name: compile\n        build: {image: \
                   debian}\n        outputs: [bundle]\n  - name: out\n    actions:\n      - name: \
                   live\n        deploy: {group: web}\n";
    let pipeline = read(&with(actions));
    assert_eq!(pipeline.triggers, [Trigger::branch("main", "app")]);
    assert!(pipeline.triggers[0].starts_on_branch("main", None));
    assert_eq!(pipeline.stages[2].actions[0].inputs, ["app"]);
    let Work::Deploy(deploy) = &pipeline.stages[3].actions[0].work else { panic!() };
    assert_eq!(deploy.artifact, "bundle");
    assert!(read(&format!("{}triggers: []\n", with(actions))).triggers.is_empty());
}

#[test]
fn unknown_and_repeated_keys_are_errors() {
    check(&with("nmae: x\n"), &["E unknown-key 7:1"]);
    check(&with("name: x\n"), &["E duplicate-key 7:1"]);
    check(&with("---\nname: x\n"), &["E extra-document 7:1"]);
    check(
        "version: 2\nstages: []\n",
        &["E missing-key 1:1", "E bad-version 1:10", "E empty-pipeline 2:9"],
    );
    check(
        "name: -x\nstages:\n  - name: a\n    actions: []\n",
        &["E bad-name 1:7", "E empty-pipeline 4:14"],
    );
}

#[test]
fn an_action_is_exactly_one_thing() {
    check_actions(&["name: a"], &["E action-kind 9:9"]);
    check_actions(&["{name: a, approval: , deploy: {group: g}}"], &["E action-kind 9:9"]);
    check_actions(&["{name: a, approval: }"], &[]);
    check_actions(&["{name: a, biuld: {image: x}}"], &["E action-kind 9:9", "E unknown-key 9:19"]);
}

#[test]
fn sources_are_in_the_first_stage_and_nothing_else_is() {
    check_actions(&["{name: b, source: {repository: x}}"], &["E source-place 9:9"]);
    check(
        "name: x\nstages:\n  - name: a\n    actions:\n      - {name: b, approval: {}}\n",
        &["E source-place 5:9"],
    );
    check_actions(&["{name: app, approval: }"], &["E duplicate-name 9:9"]);
    check(
        &with("  - name: source\n    actions:\n      - {name: a, approval: }\n"),
        &["E duplicate-name 7:5"],
    );
}

#[test]
fn source_settings_are_checked() {
    let source = |rest: &str| {
        format!(
            "name: x\nstages:\n  - name: a\n    actions:\n      - {{name: b, source: {rest}}}\n\
             \x20 - {{name: c, actions: [{{name: d, approval: }}]}}\n"
        )
    };
    for good in ["{git: 'https://h/x.git'}", "{git: 'git@h:x.git'}", "{git: 'ssh://h/x'}"] {
        check(&source(good), &[]);
    }
    for bad in ["ftp://h/x", "/srv/x", "-oProxyCommand=x", "https://", "https://u:p@h/x"] {
        check(&source(&format!("{{git: '{bad}'}}")), &["E bad-url 5:33"]);
    }
    check(&source("{}"), &["E missing-key 5:27"]);
    check(&source("{repository: a, git: 'https://h/x'}"), &["E action-kind 5:48"]);
    check(&source("{repository: a, branch: 'rel/*'}"), &["E bad-name 5:51"]);
}

#[test]
fn needs_stay_in_their_stage_and_form_no_cycle() {
    check_actions(&["{name: a, needs: [app], approval: }"], &["E unknown-name 9:27"]);
    let cycle = [
        "{name: a, needs: [c], approval: }",
        "{name: b, needs: [a], approval: }",
        "{name: c, needs: [b], approval: }",
    ];
    check_actions(&cycle, &["E cycle 9:27"]);
    let lines: String = cycle.iter().map(|line| format!("      - {line}\n")).collect();
    let problems = parse(&with(&format!("  - name: n\n    actions:\n{lines}"))).problems;
    assert!(problems[0].message.ends_with("a → c → b → a"), "{}", problems[0].message);
}

#[test]
fn artifacts_exist_before_they_are_taken() {
    let make = "{name: m, build: {image: x}, outputs: [out]}";
    let take = |needs: &str| format!("{{name: t, test: {{image: x}}, inputs: [out]{needs}}}");
    check_actions(&[make, &take("")], &["E too-early 10:46"]);
    check_actions(&[make, &take(", needs: [m]")], &[]);
    check_actions(&[make, "{name: g, needs: [m], approval: }", &take(", needs: [g]")], &[]);
    check_actions(&["{name: t, build: {image: x}, inputs: [ap]}"], &["E unknown-name 9:47"]);
    check_actions(
        &["{name: t, build: {image: x}, inputs: [o], outputs: [o]}"],
        &["E too-early 9:47"],
    );
    check_actions(
        &[make, "{name: n, build: {image: x}, outputs: [out]}"],
        &["E duplicate-name 10:48"],
    );
    check_actions(&["{name: d, deploy: {group: g, artifact: x}}"], &["E unknown-name 9:48"]);
    check_actions(&["{name: d, approval: , outputs: [x]}"], &["E ignored-key 9:9"]);
}

#[test]
fn a_broken_action_does_not_make_others_look_wrong() {
    check(
        &with(
            "  - name: b\n    actions:\n      - {name: m, build: {}, outputs: [out]}\n\
            \x20 - name: d\n    actions:\n      - {name: d, deploy: {group: g, artifact: out}}\n",
        ),
        &["E missing-key 9:26"],
    );
}

#[test]
fn several_sources_have_to_be_told_apart() {
    let text = "name: x\nstages:\n  - name: s\n    actions:\n\
                \x20     - {name: a, source: {repository: r}}\n\
                \x20     - {name: b, source: {repository: r}}\n\
                \x20 - name: n\n    actions:\n      - {name: c, build: {image: i}}\n";
    check(text, &["E no-input 9:9"]);
    assert_eq!(parse(text).problems[0].help, "write `inputs: [a]`");
}

#[test]
fn approvals_can_be_reached() {
    let approval = |rest: &str| format!("{{name: a, approval: {{{rest}}}}}");
    check_actions(&[&approval("approvers: [ann, 'user:bo'], quorum: 2")], &[]);
    check_actions(&[&approval("approvers: [ann], quorum: 2")], &["E unreachable-quorum 9:56"]);
    check_actions(&[&approval("approvers: ['group:x'], quorum: 2")], &[]);
    check_actions(&[&approval("approvers: ['team:x']")], &["E bad-value 9:42"]);
    check_actions(&[&approval("timeout: 7")], &["E bad-duration 9:39"]);
    check_actions(&[&approval("approvers: [ann, 'user:ann']")], &["E duplicate-name 9:47"]);
}

#[test]
fn references_name_what_is_known_by_then() {
    let env = |text: &str| format!("{{name: a, build: {{image: x, env: {{V: '{text}'}}}}}}");
    for good in ["#{run.id}", "#{app.commit}", "no #ref", "#{app.branch}-#{run.number}"] {
        check_actions(&[&env(good)], &[]);
    }
    for bad in ["#{variables.X}", "#{run.x}", "#{app.sha}", "#{nope.x}", "#{a.x}", "#{x}", "#{x"] {
        check_actions(&[&env(bad)], &["E bad-reference 9:43"]);
    }
    check(&with("variables: {X: 1}\n"), &[]);
}

#[test]
fn triggers_filter_branches_tags_and_paths() {
    let triggers = |list: &str| format!("{}triggers: {list}\n", with(""));
    let push =
        |settings: &str| read(&triggers(&format!("[push: {{{settings}}}]"))).triggers.remove(0);
    let main = push("branches: [main, 'rel/*'], paths: ['**', '!docs/**']");
    assert!(main.starts_on_branch("rel/1", Some(&["src/a".to_owned()])));
    assert!(!main.starts_on_branch("rel/1", Some(&["docs/a".to_owned()])));
    assert!(!main.starts_on_branch("dev", None) && !main.starts_on_tag("main"));
    let tags = push("tags: ['v*', '!v0*']");
    assert!(tags.starts_on_tag("v1") && !tags.starts_on_tag("v0.1"));
    assert!(!tags.starts_on_branch("main", None));
    check(&triggers("[push, pull-request]"), &[]);
    check(&triggers("[push: {branches: ['a[']}]"), &["E bad-glob 7:30"]);
    check(&triggers("[push: {paths: ['/src']}]"), &["E dead-glob 7:27"]);
    check(&triggers("[push: {paths: ['src/']}]"), &["E dead-glob 7:27"]);
    check(&triggers("[push: {branches: [a, '!a']}]"), &["E dead-glob 7:29"]);
    check(&triggers("[push: {tags: [v1], paths: [a]}]"), &["E ignored-key 7:31"]);
    check(&triggers("[push: {source: ap}]"), &["E unknown-name 7:27"]);
    check(&triggers("[schedule: '0 25 * * *']"), &["E bad-schedule 7:22"]);
    check(&triggers("[schedule: {cron: '0 5 * * *', zone: KST}]"), &["E bad-schedule 7:48"]);
    check(&triggers("[{push: , schedule: '0 5 * * *'}]"), &["E action-kind 7:12"]);
}

#[test]
fn conditions_say_what_happens_otherwise() {
    let entry = |text: &str| {
        with(&format!("  - name: n\n    entry: {text}\n    actions: [{{name: a, approval: }}]\n"))
    };
    check(&entry("{require: [http: {url: 'https://x'}], otherwise: wait}"), &[]);
    check(&entry("{require: [], otherwise: wait}"), &["E missing-key 8:22"]);
    check(
        &entry("{require: [monitor: {group: g, name: m}], otherwise: rollback}"),
        &["E bad-value 8:65"],
    );
    check(&entry("{require: [variable: {value: '#{run.id}'}]}"), &["E missing-key 8:33"]);
    check(&entry("{require: [window: {from: '25:00', to: '09:00'}]}"), &["E bad-schedule 8:38"]);
    check(&entry("{require: [{}]}"), &["E action-kind 8:23"]);
}

#[test]
fn freezes_are_dates_or_times_and_name_stages_that_exist() {
    let freeze = |text: &str| format!("{}freeze: [{text}]\n", with(""));
    check(&freeze("{from: 2026-12-20, to: 2027-01-03}"), &[]);
    check(&freeze("{from: 2026-12-20, to: 2026-01-03}"), &["E bad-schedule 7:17"]);
    check(&freeze("{from: 2026-12-20, to: '09:00'}"), &["E bad-schedule 7:17"]);
    check(&freeze("{from: 2026-02-30, to: 2026-03-01}"), &["E bad-schedule 7:17"]);
    check(&freeze("{from: '09:00', to: '10:00', stages: [relase]}"), &["E unknown-name 7:48"]);
}
