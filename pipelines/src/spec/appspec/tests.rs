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
fn files_name_a_source_and_an_absolute_directory() {
    check_after("files:\n  - source: /\n    destination: /opt/shop\n", &[]);
    check_after("files:\n  - source: /\n", &["E missing-key 4:5"]);
    check_after("files:\n  source: /\n  destination: /x\n", &["E wrong-type 4:3"]);
    check_after(
        "files:\n  - {source: ../x, destination: opt}\n",
        &["E bad-path 4:14", "W bad-path 4:33"],
    );
    check_after(
        "files:\n  - {source: a, destination: /b, overwrite: yes}\n",
        &["W misplaced-key 4:34"],
    );
    check_after(
        "files:\n  - {source: '*', destination: ~/b}\n",
        &["W bad-path 4:14", "W bad-path 4:32"],
    );
    check("version: 0.0\nos: windows\nfiles:\n  - {source: \\, destination: 'c:\\x'}\n", &[]);
    check_after("files:\n", &[]);
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
    check_after("hooks:\n  AfterInstall:\n", &["W empty-hook 4:3"]);
    check_after("hooks:\n  AfterInstall: {location: a.sh}\n", &["E wrong-type 4:17"]);
    check_after("hooks:\n  AfterInstall: [{timeout: 3}]\n", &["E missing-key 4:18"]);
    check_after("hooks:\n", &["W empty-section 3:1"]);
    let text = format!("version: 0.0\nos: linux\n{}", hook("AfterInstal"));
    assert_eq!(parse(&text).problems[0].help, "write `AfterInstall`");
}

#[test]
fn timeouts_are_seconds_and_an_hour_in_all() {
    let hook = |timeout: &str| {
        format!("hooks:\n  AfterInstall:\n    - {{location: a.sh, timeout: {timeout}}}\n")
    };
    for bad in ["0", "-1", "5m", "x", "1.5"] {
        check_after(&hook(bad), &["E bad-number 5:33"]);
    }
    check_after(&hook("3601"), &["W hook-timeout 4:3"]);
    let default =
        "version: 0.0\nos: linux\nhooks: {AfterInstall: [{location: a}, {location: b}]}\n";
    let appspec = parse(default).into_result().unwrap();
    assert!(appspec.1.is_empty(), "two default timeouts are no mistake: {:?}", appspec.1);
    assert_eq!(appspec.0.hooks["AfterInstall"][0].timeout, Some(Millis::from_secs(3600)));
}

#[test]
fn windows_has_neither_users_nor_permissions() {
    check(
        "version: 0.0\nos: windows\nhooks: {AfterInstall: [{location: a, runas: b}]}\n\
         permissions:\n  - {object: /x, owner: y}\n",
        &["W not-on-windows 3:45", "E not-on-windows 5:3"],
    );
}

#[test]
fn permissions_are_checked_entry_by_entry() {
    let entry = |rest: &str| format!("permissions:\n  - object: /opt/shop\n    {rest}\n");
    check_after(&entry("mode: 0644"), &[]);
    let text = format!("version: 0.0\nos: linux\n{}", entry("mode: 0644"));
    assert_eq!(parse(&text).value.unwrap().permissions[0].mode, Some(0o644));
    for bad in ["0888", "00644", "u+x", "''"] {
        let code = if bad == "''" { "E missing-key 5:11" } else { "E bad-mode 5:11" };
        check_after(&entry(&format!("mode: {bad}")), &[code]);
    }
    check_after(&entry("owner: x\n    type: [files]"), &["E bad-value 6:12"]);
    check_after(&entry("owner: x\n    type: file"), &["W not-a-list 6:11"]);
    check_after(&entry("owner: x\n    except: [a/b]"), &["W bad-pattern 6:13"]);
    check_after(&entry("owner: x\n    pattern: a/*"), &["W bad-pattern 6:14"]);
    check_after(&entry("owner: x\n    mode: 4755"), &["W bad-mode 6:11"]);
    check_after(&entry("acls: ['u:a:rwx', 'u::r']"), &["E bad-acl 5:23"]);
    check_after(&entry("context: {name: a}"), &["E missing-key 5:14"]);
    check_after(&entry("context: {name: a, type: b, range: s9-s1}"), &["E bad-context 5:40"]);
    check_after(&entry("context: {user: a, type: b}"), &["W bad-context 5:21"]);
    check_after("permissions:\n  - object: opt\n", &["W ignored-key 4:5", "W bad-path 4:13"]);
    check_after(
        "permissions:\n  - {object: /a, owner: b}\n  - {object: /a/, group: c}\n",
        &["W duplicate-permission 5:5"],
    );
    check_after("permissions:\n  - {owner: a}\n", &["E missing-key 4:5"]);
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
        &["W other-platform 2:1", "E bad-value 4:13", "W placeholder 6:25"],
    );
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
