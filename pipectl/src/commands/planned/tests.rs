//! Plans as people read them.

use super::files::PATHS_MAX;
use super::*;
use crate::answer::plan::Change;
use serde_json::json;

fn host(name: &str, preview: Value) -> Value {
    json!({"name": name, "serves": "a11ce00 First", "will_serve": "b0b5 Second",
           "asked": "answered", "preview": preview})
}

fn plan(hosts: Vec<Value>) -> Plan {
    let clashing = hosts
        .iter()
        .filter(|host| host["preview"]["clashes"].as_array().is_some_and(|list| !list.is_empty()));
    let clashing = clashing.count();
    serde_json::from_value(json!({
        "group": "production", "application": "shop", "purpose": "forward",
        "revision": {"label": "b0b5 Second", "digest": "b".repeat(64), "size": 2048},
        "strategy": "rolling, 1 at a time", "least_secs": 90,
        "capacity": ["2 hosts; at least 1 stays in service (min-healthy 1), so 1 at a time"],
        "steps": [
            {"number": 1, "sentence": "update host-1"},
            {"number": 2, "sentence": "send 25 % of the traffic to the new revision",
             "weights": [{"host": "host-1", "weight": 85}, {"host": "host-2", "weight": 256},
                         {"host": "host-3", "weight": 256}]},
        ],
        "hosts": hosts, "clashing": clashing,
    }))
    .unwrap()
}

fn shown(plan: &Plan) -> String {
    text(Painter { colours: false }, plan).join("\n")
}

#[test]
fn hosts_that_say_the_same_are_told_once() {
    let preview = json!({"files": 3, "changed": 1, "replaced": 1,
        "changes": [{"path": "/srv/shop/version.txt", "change": "replaced"}],
        "hooks": [{"event": "ApplicationStop", "script": "hooks/stop.sh"}]});
    let text = shown(&plan(vec![host("host-1", preview.clone()), host("host-2", preview)]));
    let expected = "Deployment of b0b5 Second to production (shop)
  artifact  bbbbbbbbbbbb (2.00 KiB)
  strategy  rolling, 1 at a time; at least 1 min 30 s of waiting

Capacity
  ·  2 hosts; at least 1 stays in service (min-healthy 1), so 1 at a time

Steps
  1  update host-1
  2  send 25 % of the traffic to the new revision
     host-1 weight 85 · host-2, host-3 weight 256

#  HOST    SERVES         WILL SERVE   FILES
1  host-1  a11ce00 First  b0b5 Second  ✓ 1 of 3 change, to be downloaded
2  host-2  a11ce00 First  b0b5 Second  ✓ 1 of 3 change, to be downloaded

host-1, host-2
  files: 1 replaced
  ~ /srv/shop/version.txt
  hooks, in this order:
    ApplicationStop  hooks/stop.sh

Nothing stands in its way. Nothing was touched.";
    assert_eq!(text, expected);
}

#[test]
fn clashes_are_said_in_full_and_decide_the_verdict() {
    let clash = "/srv/shop/version.txt is there and belongs to nobody\u{1b}[2J";
    let text = shown(&plan(vec![
        host("host-1", json!({"files": 3, "clashes": [clash], "fetched": true})),
        host("host-2", json!({"files": 3, "fetched": true})),
    ]));
    assert!(text.contains("✗ 1 clash\n"), "{text}");
    assert!(
        text.contains("clash:  /srv/shop/version.txt is there and belongs to nobody"),
        "{text}"
    );
    assert!(!text.contains('\u{1b}'), "an agent's words cannot drive the terminal");
    assert!(text.contains("It would fail on 1 host for the clashes above"), "{text}");
}

#[test]
fn who_did_not_answer_is_not_said_to_be_fine() {
    let mut plan = plan(vec![json!({"name": "host-1", "asked": "silent"})]);
    plan.silent = 1;
    let text = shown(&plan);
    assert!(text.contains("‖ its agent is silent"), "{text}");
    assert!(text.contains("1 host did not answer. Nothing was touched."), "{text}");
    plan.refused = Some("the agent is silent on host-1; nothing was touched".to_owned());
    assert!(shown(&plan).ends_with("It would not start. Nothing was touched."));
}

#[test]
fn long_sentences_are_broken_and_long_lists_cut() {
    let mut plan = plan(Vec::new());
    plan.notes = vec!["word ".repeat(40)];
    let text = shown(&plan);
    assert!(text.lines().all(|line| line.chars().count() <= 104), "{text}");
    let change = |n: usize| Change { path: format!("/srv/{n}"), change: "added".to_owned() };
    let lines = paths(&(0..200).map(change).collect::<Vec<_>>(), 1000);
    assert_eq!(lines.len(), PATHS_MAX + 1);
    assert_eq!(lines[PATHS_MAX], "    and 995 more (-o json lists them)");
}

#[test]
fn what_holds_it_back_and_who_guards_it_is_said() {
    let mut plan = plan(Vec::new());
    assert!(!shown(&plan).contains("Start"), "nothing holds it back");
    plan.start = serde_json::from_value(json!({
        "at_once": false, "sentences": ["It would wait until d-3 has ended, which is running."]
    }))
    .unwrap();
    plan.approvals = vec!["Step 2 asks anybody with the role operator or admin.".to_owned()];
    plan.monitors = serde_json::from_value(json!({
        "deployment": "d-3", "over": false, "sentences": ["Each is looked at before it starts."],
        "monitors": [{"name": "errors", "state": "alarm", "reason": "0.07, fails above 0.02"}]
    }))
    .unwrap();
    let text = shown(&plan);
    for said in [
        "Start\n  ·  It would wait until d-3 has ended, which is running.",
        "Approvals\n  ·  Step 2 asks anybody",
        "Monitors, as d-3 sees them\n  MONITOR  STATE    WHY                     LOOKED AT\n  errors   ✗ alarm  \
         0.07, fails above 0.02",
        "but it would not start at once",
    ] {
        assert!(text.contains(said), "'{said}' is not in:\n{text}");
    }
}
