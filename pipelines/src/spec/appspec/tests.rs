//! Traps that real appspecs hold.

use crate::spec::appspec::{Os, Platform, parse};
use crate::spec::{Kind, trial};
use crate::time::Millis;

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    trial::check(Kind::Appspec, text, expected);
}

/// After a head of two lines that is all right.
#[track_caller]
fn check_after(text: &str, expected: &[&str]) {
    check(&format!("version: 0.0\nos: linux\n{text}"), expected);
}

#[test]
fn version_and_system_are_required_and_exact() {
    for version in ["0.0", "0", "\"0.0\"", "0.00"] {
        check(&format!("version: {version}\nos: linux\n"), &[]);
    }
    check("version: 1\nos: Linux\n", &["E bad-version 1:10", "E bad-value 2:5"]);
    check("files: []\n", &["E missing-key 1:1", "E missing-key 1:1"]);
    check("# nothing\n", &["E empty-file 1:1"]);
}

#[test]
fn the_file_exists_behavior_is_upper_case() {
    check_after("file_exists_behavior: RETAIN\n", &[]);
    check_after("file_exists_behavior: retain\n", &["E bad-value 3:23"]);
    check_after("file_exists_behavior: DISALLOW|OVERWRITE|RETAIN\n", &["E bad-value 3:23"]);
}

#[test]
fn hooks_run_only_for_events_that_exist() {
    let hook = |event: &str| format!("hooks:\n  {event}:\n    - location: a.sh\n");
    check_after(&hook("AfterInstall"), &[]);
    check_after(&hook("AfterInstal"), &["W unknown-hook 4:3"]);
    check_after(&hook("Install"), &["W reserved-hook 4:3"]);
    for event in ["BeforeAllowTraffic", "AfterBlockTraffic", "OnFailure", "OnRollback"] {
        check_after(&hook(event), &[]);
    }
    check_after(&hook("OnRolback"), &["W unknown-hook 4:3"]);
    for nothing in ["", " []", " {}"] {
        check_after(&format!("hooks:\n  AfterInstall:{nothing}\n"), &["W empty-hook 4:3"]);
    }
    check_after("hooks:\n  AfterInstall: [a.sh]\n", &["E wrong-type 4:18"]);
    check_after("hooks:\n  AfterInstall: a.sh\n", &["E wrong-type 4:17"]);
    check_after("hooks: [AfterInstall]\n", &["E wrong-type 3:8"]);
    let twice = format!("{}  AfterInstall: [{{location: b.sh}}]\n", hook("AfterInstall"));
    check_after(&twice, &["W duplicate-key 6:3"]);
    let text = format!("version: 0.0\nos: linux\n{twice}");
    assert_eq!(parse(&text).value.unwrap().hooks["AfterInstall"][0].location, "b.sh");
    check_after("hooks:\n  AfterInstall: {location: a.sh}\n", &["E wrong-type 4:17"]);
    check_after("hooks:\n  AfterInstall: [{timeout: 3}]\n", &["E missing-key 4:18"]);
    check_after("hooks:\n", &["W empty-section 3:1"]);
    let text = format!("version: 0.0\nos: linux\n{}", hook("AfterInstal"));
    assert_eq!(parse(&text).problems[0].help, "write `AfterInstall`");
}

#[test]
fn a_location_is_one_path_in_the_bundle() {
    let hook = |location: &str| {
        format!(
            "files:\n  - {{source: opt, destination: /opt}}\nhooks:\n  AfterInstall:\n    \
             - location: {location}\n"
        )
    };
    for good in ["a.sh", "/scripts/a.sh", "/opt/a.sh", "./a"] {
        check_after(&hook(good), &[]);
    }
    for doubtful in ["sh a.sh", "a.sh --now", "/home/ubuntu/a.sh", "'c:\\a.bat'"] {
        check_after(&hook(doubtful), &["W bad-path 7:17"]);
    }
    check_after(&hook("../a.sh"), &["E bad-path 7:17"]);
    let text = format!("version: 0.0\nos: linux\n{}", hook("a/../b/c.sh"));
    assert_eq!(parse(&text).value.unwrap().hooks["AfterInstall"][0].location, "b/c.sh");
}

#[test]
fn timeouts_are_seconds_and_an_hour_in_all() {
    let hook = |timeout: &str| {
        format!("hooks:\n  AfterInstall:\n    - {{location: a.sh, timeout: {timeout}}}\n")
    };
    for good in ["60", "'60'", "~"] {
        check_after(&hook(good), &[]);
    }
    for bad in ["0", "-1", "5m", "x", "1.5", "1h", "'0'", "10 m"] {
        check_after(&hook(bad), &["E bad-number 5:33"]);
    }
    for doubtful in ["60s", "60 seconds", "60.0", "060"] {
        check_after(&hook(doubtful), &["W bad-number 5:33"]);
        let text = format!("version: 0.0\nos: linux\n{}", hook(doubtful));
        let hooks = parse(&text).value.unwrap().hooks;
        assert_eq!(hooks["AfterInstall"][0].timeout, Some(Millis::from_secs(60)), "{doubtful}");
    }
    check_after(&hook("3601"), &["W hook-timeout 4:3"]);
    let default =
        "version: 0.0\nos: linux\nhooks: {AfterInstall: [{location: a}, {location: b}]}\n";
    let appspec = parse(default).into_result().unwrap();
    assert!(appspec.1.is_empty(), "two default timeouts are no mistake: {:?}", appspec.1);
    assert_eq!(appspec.0.hooks["AfterInstall"][0].timeout, Some(Millis::from_secs(3600)));
}

#[test]
fn other_platforms_are_checked_and_fit_no_host() {
    let ecs = "version: 0.0\nResources:\n  - Service:\n      Type: AWS::ECS::Service\n\
               \x20     Properties:\n        TaskDefinition: <TASK_DEFINITION>\n\
               \x20       LoadBalancerInfo:\n          ContainerName: app\n\
               \x20         ContainerPort: 80\n";
    check(ecs, &["W other-platform 2:1", "W placeholder 6:25"]);
    let appspec = parse(ecs).value.unwrap();
    assert_eq!((appspec.platform, appspec.os), (Platform::Ecs, Os::None));
    assert_eq!(appspec.resources[0].properties["LoadBalancerInfo.ContainerPort"], "80");
    check(
        &ecs.replace("          ContainerPort: 80\n", ""),
        &["W other-platform 2:1", "E resource 6:9", "W placeholder 6:25"],
    );
    check(
        &ecs.replace("ECS::Service", "EC2::Instance"),
        &["W other-platform 2:1", "E bad-value 4:13"],
    );
    check(
        &ecs.replace("Resources", "resources").replace("TaskDef", "taskDef"),
        &["W other-platform 2:1", "W placeholder 6:25"],
    );
    check(
        &ecs.replace("<TASK_DEFINITION>", "!Ref a\n        Taskdef: b"),
        &["W other-platform 2:1", "W tag 6:25", "W unknown-key 7:9"],
    );
    let hooks = |text: &str| format!("{}{text}", ecs.replace("<TASK_DEFINITION>", "a"));
    check(&hooks("Hooks:\n  - AfterInstall: check\n"), &["W other-platform 2:1"]);
    check(
        &hooks("Hooks:\n  - AfterInstal: check\n  - AfterInstall: ''\n"),
        &["W other-platform 2:1", "W unknown-hook 11:5", "W empty-hook 12:5"],
    );
    check(&hooks("Hooks: {AfterInstall: check}\n"), &["W other-platform 2:1", "W wrong-type 10:8"]);
}

#[test]
fn the_form_of_the_text_makes_no_difference() {
    let json = "{\n\t\"version\": 0.0,\n\t\"os\": \"linux\",\n\t\"files\": [\n\t\t\
                {\"source\": \"/\", \"destination\": \"/srv\"}\n\t]\n}\n";
    check(json, &[]);
    let yaml = "version: 0.0\nos: linux\nfiles:\n  - source: /\n    destination: /srv\n";
    let crlf = yaml.replace('\n', "\r\n");
    check(&crlf, &[]);
    check(&format!("\u{feff}{yaml}"), &["W byte-order-mark 1:1"]);
    let expected = parse(yaml).value;
    assert!(expected.is_some());
    assert_eq!(parse(json).value, expected);
    assert_eq!(parse(&crlf).value, expected);
    for nothing in ["", " \n\t\n", "---\n", "{}"] {
        assert!(parse(nothing).value.is_none(), "{nothing:?}");
        assert!(!parse(nothing).problems.is_empty(), "{nothing:?}");
    }
}

#[test]
fn the_normal_form_has_the_keys_of_the_file() {
    let text = "version: 0\nos: linux\npermissions: [{object: /a, mode: 644}]\n\
                hooks: {AfterInstall: [{location: a, timeout: 60}]}\n";
    let json = parse(text).value.unwrap().normalised();
    assert_eq!(json["version"], "0.0");
    assert_eq!(json["permissions"][0]["mode"], "0644");
    assert_eq!(json["permissions"][0]["pattern"], "**");
    assert_eq!(json["hooks"]["AfterInstall"][0]["timeout"], 60);
}
