//! Files as people write them: short forms, odd forms, and the reference files changed at random.
//! Whatever the readers accept, the schema accepts.

use crate::{as_editors_read, check_valid, complaints, reference, validator};
use pipelines::spec::{Kind, Problem, lint};
use proptest::prelude::*;
use serde_json::Value;

const GROUP: &str = "group: web\napplication: shop\nhosts: {tags: {role: web}}\n";
const PIPELINE: &str = "name: shop\nstages:\n  - name: source\n    actions:\n      - name: app\n        \
                        source: {repository: shop}\n  - {name: build, actions: [{name: make, \
                        build: {image: rust}}]}\n";
const BUILD: &str = "version: 0.2\nphases: {build: {commands: [make]}}\n";
const APP: &str = "version: 0.0\nos: linux\n";

/// A head, and what is put behind it, each by itself. All of them are right.
const GROUPS: &[&str] = &[
    "strategy: rolling\n",
    "strategy: CodeDeployDefault.AllAtOnce\nmin-healthy: 0\n",
    "strategy: HalfAtATime\n",
    "strategy: rolling-extra\nrouter: {nginx: {agent: lb, upstream: shop}, port: 80}\n\
     instances: {docker: {agent: d, image: a}}\n",
    "strategy: {all-at-once: }\n",
    "strategy: {all-at-once: {}}\n",
    "strategy: {rolling: {batch: 2, hold: 1m30s}}\n",
    "strategy: {rolling: {batch: 25%, first-batch: \"1\"}}\n",
    "strategy: CodeDeployDefault.ECSLinear10PercentEvery3Minutes\n\
     router: {haproxy: {agent: lb, backend: shop}}\n",
    "strategy: Canary20Percent15Minutes\nrouter: {nginx: {agent: lb, upstream: shop}}\n",
    "strategy: {linear: {step: 10%}}\nrouter: {haproxy: {agent: lb, backend: shop}}\n",
    "drain: 30s\n",
    "drain: {}\n",
    "rollback: never\n",
    "rollback: {on: []}\n",
    "rollback: {on: [alarm]}\n",
    "zones: zone\n",
    "health: http://127.0.0.1/\n",
    "health: {http: 'http://127.0.0.1/', status: \"204\"}\n",
    "windows:\n  - {days: mon-fri, from: \"09:00\", to: \"17:00\"}\n",
    "freeze: [{from: 2026-12-20, to: 2027-01-03T12:00}]\n",
    "min-healthy: 2\nkeep-releases: 3\n",
    "min-healthy:\nstrategy:\nwindows:\nversion:\n",
    "version: \"1\"\nignore-stop-failures: False\n",
    "hooks: {env: {LEVEL: 3, ON: true, EMPTY: }}\n",
    "hooks: {timeout: 1h30m}\ntimeout: 1d\n",
    "monitors: [{name: a, router: error-rate, fail-above: 2%, failures: 3}]\n\
     router: {haproxy: {agent: lb, backend: shop}}\n",
    "monitors: [{name: 5, http: {url: 'http://a/', value: /x}, fail-below: 1e3}]\n",
    "monitors: [{name: a, http: 'http://a/'}, {name: b, command: {agent: w, run: x}, failures: 2, of: 3}]\n",
    "strategy: {rolling: {batch: [1, 10%, 50%], bake: 5m}}\n",
    "strategy: {rolling: {batch: ['2']}}\nmax-failures: 10%\n",
    "max-failures: {total: 3, per-batch: 25%, in-a-row: \"2\"}\n",
    "keep-releases: \"3\"\n",
    "keep-releases: {bytes: 2 gb}\nshared: [/srv/a, {path: /srv/b, kind: file}]\n",
    "strategy: {canary: {steps: [{weight: 10%, hold: 5m, min-samples: 5}, {weight: 50, approve: true}]}}\n\
     router: {haproxy: {agent: lb, backend: shop}}\nanalysis:\n",
    "strategy: {linear: {step: 10}}\nrouter: {haproxy: {agent: lb, backend: shop}, check: 5s}\n\
     analysis: {every: 30s, errors: {ratio: 2, p: 1%}, latency: {slack: 0s}, inconclusive: pause}\n",
    "strategy: {linear: {step: 10}}\nrouter: {haproxy: {agent: lb, backend: a, next-backend: b, map: /m}, \
     port: \"80\", check: {rise: 3}, cohorts: [{cookie: c, value: 1}]}\n",
    "strategy: blue-green\nrouter: {haproxy: {agent: lb, backend: shop}, port: 80}\n\
     instances: {docker: {agent: d, image: a, memory: 1GiB, cpus: 0.5}, count: 2}\n",
    "strategy: {blue-green: }\nrouter: {haproxy: {agent: lb, backend: shop}, port: 80}\n\
     instances: {docker: {agent: d, image: a, env: {A: 1}}, join-timeout: 5m}\n",
];

const PIPELINES: &[&str] = &[
    "triggers: []\n",
    "triggers: [push]\n",
    "triggers: [pull-request, push: {branches: main}]\n",
    "triggers:\n  - push:\n  - schedule: \"0 3 * * *\"\n",
    "triggers: [{schedule: {cron: \"0 3 * * *\"}}]\n",
    "triggers:\n  - push: {branches: [1.0, main], tags: }\n",
    "variables:\n  A:\n  B: 3.10\n  C: true\n  D: {}\n  E: {default: 5}\n",
    "timeout: 90m\nmode: queued\nversion: 1\n",
    "  - name: next\n    actions:\n      - name: wait\n        approval:\n",
    "  - name: next\n    actions:\n      - {name: b, test: {image: rust}, timeout: 1h}\n",
    "  - name: next\n    actions:\n      - {name: b, build: {image: rust, env: {A: 1, B: }}}\n",
    "  - name: next\n    entry: {require: [{window: {from: \"09:00\", to: \"10:00\"}}]}\n    \
     on-failure: retry\n    actions: [{name: d, deploy: {group: web}, retries: 2}]\n",
    "  - name: 7\n    actions:\n      - {name: i, invoke: {webhook: 'https://a/', wait: callback}}\n",
];

const BUILDSPECS: &[&str] = &[
    "version: \"0.2\"\nphases: {install: {runtime-versions: {python: 3.10}}, build: {commands: make}}\n",
    "version: 0.1\nphases: {build: {commands: [make]}}\nenvironment_variables: {plaintext: {A: 1}}\n",
    "version: 0.2\nphases:\n  build:\n    commands: [make, ~, 5, true]\n    finally: [x]\n  post_build:\n",
    "version: 0.2\nphases: {build: {commands: [make], on-failure: RETRY-2-timed out}, odd: 1}\nodd: {}\n",
    "version: 0.2\nphases: {build: {commands: [make]}}\nenv:\n  variables: {A: 1, B: }\n  \
     git-credential-helper: yes\n  exported-variables: A\n",
    "version: 0.2\nphases: {build: {commands: [make]}}\nartifacts: {files: ['**/*'], discard-paths: no}\n",
    "version: 0.2\nphases: {build: {commands: [make]}}\nartifacts:\ncache:\nenv:\n",
    "version: 0.2\nphases: {build: {commands: [make]}}\nreports: {r: {files: [x], file-format: junitXml}}\n",
    "version: 0.2\nphases: {build: {commands: [make]}}\nartifacts: {secondary-artifacts: {a: {files: [x]}}}\n",
    "version: 0.2\nbatch: {build-matrix: {dynamic: {env: {image: a, variables: {V: [1, 2]}}}}}\n\
     phases: {build: {commands: [make]}}\n",
    "version: 0.2\nphases: &p {build: {commands: [make]}}\nx: *p\n",
];

const APPSPECS: &[&str] = &[
    "version: \"0.0\"\nos: linux\n",
    "version: 0\nos: windows\nfiles: [{source: /, destination: 'c:\\app'}]\n",
    "version: 0.0\nos: linux\nhooks:\nfiles:\npermissions:\n",
    "version: 0.0\nos: linux\nfiles: {}\npermissions: {}\n",
    "version: 0.0\nos: linux\nhooks: {BeforeInstall: , Odd: [{location: a}]}\n",
    "version: 0.0\nos: linux\nhooks: {AfterInstall: {}, OnRollback: [{location: a}]}\n",
    "version: 0.0\nos: linux\nhooks: {AfterInstall: [{location: a, timeout: \"60\", runas: root}]}\n",
    "version: 0.0\nos: linux\npermissions: [{object: /a, mode: 0644, type: [file], except: [x]}]\n",
    "version: 0.0\nos: linux\npermissions: [{object: /a, mode: '4755', pattern: '*.sh'}]\nodd: 1\n",
    "version: 0.0\nResources: [{S: {Type: 'AWS::ECS::Service', Properties: {TaskDefinition: a, \
     LoadBalancerInfo: {ContainerName: a, ContainerPort: 80}}}}]\nHooks: [{BeforeInstall: f}]\n",
];

#[test]
fn short_forms_are_valid() {
    let named = |texts: Vec<String>| texts.into_iter().map(|text| ("here".to_owned(), text));
    let behind = |head: &str, rest: &[&str]| -> Vec<String> {
        rest.iter().map(|rest| format!("{head}{rest}")).collect()
    };
    let plain = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let cases: [(Kind, Vec<String>); 6] = [
        (Kind::Group, behind(GROUP, GROUPS)),
        (Kind::Pipeline, behind(PIPELINE, PIPELINES)),
        (Kind::Buildspec, plain(BUILDSPECS)),
        (Kind::Appspec, plain(APPSPECS)),
        (Kind::Buildspec, plain(&[BUILD])),
        (Kind::Appspec, plain(&[APP])),
    ];
    for (kind, texts) in cases {
        let count = texts.len();
        assert_eq!(check_valid(kind, named(texts)), count, "a {} here is wrong", kind.as_str());
    }
}

#[test]
fn slips_are_refused_in_our_formats() {
    let cases = [
        (Kind::Group, "stratgy: rolling\n"),
        (Kind::Group, "strategy: {roling: {}}\n"),
        (Kind::Group, "strategy: {rolling: {batch: 2}, linear: {step: 10}}\n"),
        (Kind::Group, "strategy: rollin\n"),
        (Kind::Group, "drain: 30\n"),
        (Kind::Group, "min-healthy: 25 percent\n"),
        (Kind::Group, "windows: [{days: mo, from: \"09:00\", to: \"17:00\"}]\n"),
        (Kind::Group, "ignore-stop-failures: yes\n"),
        (Kind::Group, "keep-releases: {count: 5, size: 2GB}\n"),
        (Kind::Group, "keep-releases: {bytes: 2}\n"),
        (Kind::Group, "max-failures: {per-batch: 1}\n"),
        (Kind::Group, "monitors: [{name: a, http: 'http://a/', router: latency}]\n"),
        (Kind::Group, "instances: {count: 2}\n"),
        (Kind::Group, "router: {port: 80}\n"),
        (Kind::Group, "analysis: {latency: {slack: 50}}\n"),
        (Kind::Pipeline, "mode: queue\n"),
        (Kind::Pipeline, "triggers: [pushed]\n"),
        (Kind::Pipeline, "triggers: [{push: {branch: main}}]\n"),
        (Kind::Pipeline, "  - {name: x, actions: [{name: a}]}\n"),
        (Kind::Pipeline, "  - {name: x, actions: [{name: a, approval: , deploy: {group: g}}]}\n"),
        (Kind::Pipeline, "  - {name: x, actions: [{name: a, build: {img: rust}}]}\n"),
        (Kind::Pipeline, "  - {name: x, actions: [{name: a, build: {image: rust}, need: [b]}]}\n"),
    ];
    for (kind, rest) in cases {
        let head = if kind == Kind::Group { GROUP } else { PIPELINE };
        let text = format!("{head}{rest}");
        let value = as_editors_read(&text).expect("YAML");
        assert!(!complaints(validator(kind), &value).is_empty(), "accepted:\n{text}");
        assert!(lint(kind, &text).iter().any(Problem::is_error), "accepted by lint:\n{text}");
    }
}

/// At the `place`-th value: another one, or none.
fn change(value: &mut Value, mut place: usize, new: Option<&Value>) -> usize {
    let below: Vec<&mut Value> = match value {
        Value::Array(items) => {
            if new.is_none() && place < items.len() {
                items.remove(place);
                return usize::MAX;
            }
            items.iter_mut().collect()
        }
        Value::Object(fields) => {
            if new.is_none() && place < fields.len() {
                let key = fields.keys().nth(place).cloned().unwrap_or_default();
                fields.remove(&key);
                return usize::MAX;
            }
            fields.values_mut().collect()
        }
        _ => return place,
    };
    for item in below {
        if place == 0 {
            if let Some(new) = new {
                *item = new.clone();
            }
            return usize::MAX;
        }
        place = change(item, place - 1, new);
        if place == usize::MAX {
            return place;
        }
    }
    place
}

fn scalar() -> impl Strategy<Value = Value> {
    let texts =
        ["", "x", "5m", "0s", "25%", "3", "true", "yes", "main", "a: b", "RETRY-1", "never"];
    prop_oneof![
        proptest::sample::select(texts.to_vec()).prop_map(Value::from),
        (0u32..200).prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
        Just(Value::Array(Vec::new())),
        Just(Value::Object(serde_json::Map::new())),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_the_readers_accept_the_schema_accepts(
        kind in proptest::sample::select(Kind::ALL.to_vec()),
        document in any::<usize>(),
        changes in proptest::collection::vec((0usize..120, proptest::option::of(scalar())), 1..3),
    ) {
        let documents = reference(kind);
        let text = &documents[document % documents.len()];
        let mut value = as_editors_read(text).expect("the reference is YAML");
        for (place, new) in &changes {
            change(&mut value, *place, new.as_ref());
        }
        let text = serde_json::to_string_pretty(&value).expect("JSON can be printed");
        if !lint(kind, &text).iter().any(Problem::is_error) {
            let complaints = complaints(validator(kind), &value);
            prop_assert!(complaints.is_empty(), "{}: {complaints:#?}\n{text}", kind.as_str());
        }
    }
}
