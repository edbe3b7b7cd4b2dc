//! `deploy-local`, by CodeDeploy's own conformance scenarios for deployments without a service:
//!
//! | scenario | test |
//! |---|---|
//! | 1 a directory, 2 the same again | `scenarios_01_and_02_…` |
//! | 3 a relative directory, 4 zip, 5 zip with one directory, 6 tgz, 7 tar | `scenarios_03_to_07_…` |
//! | 8 an object in S3 | out: bundles are fetched from the controller, or are on this disk |
//! | 9 two events, one of them custom; 10 two events | `scenarios_09_and_10_…` |
//! | 11 to 13 an existing file, by option; 16 to 18 by appspec | `scenarios_11_to_13_and_16_to_18_…` |
//! | 14 and 15 another name for the appspec | `scenarios_14_and_15_…` |

mod support;

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Output;
use support::agent::program;

/// A bundle directory, a host directory and the agent's root.
struct Scene {
    dir: tempfile::TempDir,
}

const EVENTS: [&str; 9] = [
    "BeforeBlockTraffic",
    "AfterBlockTraffic",
    "ApplicationStop",
    "BeforeInstall",
    "AfterInstall",
    "ApplicationStart",
    "ValidateService",
    "BeforeAllowTraffic",
    "AfterAllowTraffic",
];

impl Scene {
    fn new() -> Scene {
        let scene = Scene { dir: tempfile::tempdir().unwrap() };
        scene.bundle("appspec.yml", "");
        scene
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn bundle(&self, appspec: &str, extra: &str) {
        let bundle = self.path("bundle");
        let _ = std::fs::remove_dir_all(&bundle);
        std::fs::create_dir_all(bundle.join("files")).unwrap();
        let top = self.dir.path().display();
        let mut spec = format!(
            "version: 0.0\nos: linux\nfiles:\n  - source: files\n    \
             destination: {top}/host\n{extra}hooks:\n"
        );
        for event in EVENTS.iter().chain(&["CustomEvent"]) {
            spec.push_str(&format!("  {event}:\n    - location: hook.sh\n"));
        }
        let hook = format!(
            "#!/bin/sh\necho ran $LIFECYCLE_EVENT\necho $LIFECYCLE_EVENT >> {top}/witness\n"
        );
        std::fs::write(bundle.join(appspec), spec).unwrap();
        std::fs::write(bundle.join("hook.sh"), hook).unwrap();
        for n in 1..=6 {
            std::fs::write(bundle.join(format!("files/f{n}")), "bundle").unwrap();
        }
    }

    fn run(&self, words: &[&str]) -> (Output, Value) {
        self.run_bundle(&self.path("bundle"), words)
    }

    fn run_bundle(&self, bundle: &Path, words: &[&str]) -> (Output, Value) {
        let output = program()
            .args(["deploy-local", "-o", "json", "--bundle"])
            .arg(bundle)
            .arg("--root")
            .arg(self.path("root"))
            .args(words)
            .current_dir(self.dir.path())
            .output()
            .unwrap();
        let json = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        (output, json)
    }

    #[track_caller]
    fn succeeds(&self, words: &[&str]) -> Value {
        let (output, json) = self.run(words);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            (output.status.code(), &json["status"]),
            (Some(0), &"Succeeded".into()),
            "{json} {said}"
        );
        json
    }

    #[track_caller]
    fn fails(&self, words: &[&str], code: &str) -> Value {
        let (output, json) = self.run(words);
        assert_eq!((output.status.code(), &json["status"]), (Some(1), &"Failed".into()), "{json}");
        let events = json["events"].as_array().unwrap();
        let errors: Vec<&Value> = events.iter().filter(|e| !e["error"].is_null()).collect();
        assert_eq!(errors.len(), 1, "{json}");
        assert_eq!(errors[0]["error"]["code"], code, "{json}");
        assert_eq!(errors[0]["status"], "Failed");
        json
    }

    fn witness(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.path("witness")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn files(&self) -> usize {
        std::fs::read_dir(self.path("host")).map_or(0, Iterator::count)
    }
}

#[test]
fn scenarios_01_and_02_a_directory_is_deployed_with_all_hooks_but_those_of_an_old_revision() {
    let scene = Scene::new();
    let json = scene.succeeds(&[]);
    assert_eq!(scene.files(), 6);
    assert_eq!(scene.witness(), EVENTS[3..]);
    let events = json["events"].as_array().unwrap();
    let after = events.iter().find(|event| event["name"] == "AfterInstall").unwrap();
    let script = &after["scripts"][0];
    assert_eq!(script["location"], "hook.sh");
    assert_eq!((&script["exit_code"], &script["log"]), (&0.into(), &"ran AfterInstall\n".into()));
    // The second time there is an old revision.
    scene.succeeds(&[]);
    assert_eq!(scene.witness().len(), 6 + 9);
    assert_eq!(scene.witness()[6..9], EVENTS[..3]);
}

#[test]
fn scenarios_03_to_07_every_kind_of_bundle_works_and_so_does_one_top_directory() {
    let commands = [
        ("zip", "cd bundle && zip -qr ../b.zip ."),
        ("zip", "zip -qr b.zip bundle"),
        ("tgz", "tar -czf b.tgz -C bundle ."),
        ("tgz", "tar -czf b.tgz bundle"),
        ("tar", "tar -cf b.tar -C bundle ."),
    ];
    for (kind, command) in commands {
        let scene = Scene::new();
        let mut shell = std::process::Command::new("sh");
        let packed = shell.args(["-c", command]).current_dir(scene.dir.path()).status().unwrap();
        if !packed.success() {
            eprintln!("not tried: {command}");
            continue;
        }
        let bundle = scene.path(&format!("b.{kind}"));
        let (output, json) = scene.run_bundle(&bundle, &["--type", kind]);
        assert!(output.status.success(), "{command}: {json}");
        assert_eq!(scene.files(), 6, "{command}");
    }
    let scene = Scene::new();
    let (output, _) = scene.run_bundle(Path::new("bundle"), &["--type", "directory"]);
    assert!(output.status.success(), "a relative directory");
}

#[test]
fn scenarios_09_and_10_only_the_events_asked_for_run() {
    let scene = Scene::new();
    scene.succeeds(&["--events", "ApplicationStart,CustomEvent"]);
    assert_eq!(scene.witness(), ["ApplicationStart", "CustomEvent"]);
    assert_eq!(scene.files(), 6);
    let scene = Scene::new();
    scene.succeeds(&["--events", "BeforeInstall,ApplicationStart"]);
    assert_eq!(scene.witness(), ["BeforeInstall", "ApplicationStart"]);
    scene.fails(&["--events", "NoSuchEvent"], "AppspecInvalid");
}

#[test]
fn scenarios_11_to_13_and_16_to_18_an_existing_file_follows_the_option_and_the_appspec_before_it() {
    let cases: [(&str, &[&str], Option<&str>); 8] = [
        ("", &[], None),
        ("", &["--file-exists-behavior", "OVERWRITE"], Some("bundle")),
        ("", &["--file-exists-behavior", "RETAIN"], Some("old")),
        ("", &["--file-exists-behavior", "disallow"], None),
        ("DISALLOW", &["--file-exists-behavior", "OVERWRITE"], None),
        ("OVERWRITE", &[], Some("bundle")),
        ("RETAIN", &[], Some("old")),
        ("RETAIN", &["--file-exists-behavior", "OVERWRITE"], Some("old")),
    ];
    for (appspec, words, expected) in cases {
        let scene = Scene::new();
        if !appspec.is_empty() {
            scene.bundle("appspec.yml", &format!("file_exists_behavior: {appspec}\n"));
        }
        std::fs::create_dir(scene.path("host")).unwrap();
        std::fs::write(scene.path("host/f1"), "old").unwrap();
        let Some(expected) = expected else {
            scene.fails(words, "FileExists");
            assert_eq!(scene.witness(), ["BeforeInstall"]);
            continue;
        };
        scene.succeeds(words);
        assert_eq!(std::fs::read_to_string(scene.path("host/f1")).unwrap(), expected);
    }
}

#[test]
fn scenarios_14_and_15_another_name_for_the_appspec_has_to_exist() {
    let scene = Scene::new();
    scene.bundle("deploy.yml", "");
    scene.fails(&[], "AppspecInvalid");
    scene.fails(&["--appspec-filename", "other.yml"], "AppspecInvalid");
    scene.succeeds(&["--appspec-filename", "deploy.yml"]);
    scene.succeeds(&["--appspec-filename", "deploy.yml"]);
    assert!(scene.witness().contains(&"ApplicationStop".to_owned()));
    scene.bundle("appspec.yml", "");
    std::fs::copy(scene.path("bundle/appspec.yml"), scene.path("bundle/appspec.yaml")).unwrap();
    scene.fails(&[], "AppspecInvalid");
}

#[test]
fn a_plan_changes_nothing_and_wrong_usage_is_told_apart() {
    let scene = Scene::new();
    let (output, json) = scene.run(&["--plan"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(json["files"].as_array().unwrap().len(), 6);
    assert_eq!(json["files"][0]["source"], "files/f1");
    assert_eq!(json["hooks"].as_array().unwrap().len(), 6, "there is no old revision: {json}");
    assert_eq!(json["changes"][0]["change"], "added");
    assert!(!scene.path("root").exists() && !scene.path("host").exists());

    std::fs::create_dir(scene.path("host")).unwrap();
    std::fs::write(scene.path("host/f1"), "old").unwrap();
    std::fs::write(scene.path("host/f2"), "old").unwrap();
    let (output, json) = scene.run(&["--plan"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(json["problems"].as_array().unwrap().len(), 2, "{json}");
    assert_eq!(json["files"].as_array().unwrap().len(), 4, "{json}");
    std::fs::remove_dir_all(scene.path("host")).unwrap();
    scene.succeeds(&[]);
    let (_, json) = scene.run(&["--plan"]);
    assert_eq!(json["hooks"].as_array().unwrap().len(), 9, "{json}");
    assert_eq!(json["hooks"][0]["event"], "BeforeBlockTraffic");
    assert_eq!((&json["changes"], &json["fetched"]), (&serde_json::json!([]), &true.into()));

    for words in [&["--no-such-flag"][..], &["--group", "../x"], &["--type", "zip"]] {
        let (output, _) = scene.run(words);
        assert_eq!(output.status.code(), Some(2), "{words:?}");
    }
    let (output, _) = scene.run_bundle(&scene.path("nowhere"), &[]);
    assert_eq!(output.status.code(), Some(2));
}
