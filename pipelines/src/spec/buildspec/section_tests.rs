//! What stands beside the phases: variables, artifacts, reports, caches.

use crate::spec::buildspec::parse;
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

#[test]
fn variables_are_literal_and_have_usable_names() {
    let env = "env:\n  variables:\n";
    check_after(&format!("{env}    A: 0644\n    B:\n    C: yes\n    D: costs 5$\n"), &[]);
    check_after(&format!("{env}    PATH: \"$PATH:/x\"\n"), &["W literal-value 5:5"]);
    check_after(&format!("{env}    my-var: 1\n"), &["W bad-variable 5:5"]);
    check_after(&format!("{env}    CODEBUILD_X: 1\n"), &["W reserved-variable 5:5"]);
    check_after(&format!("{env}    A: [1]\n"), &["E wrong-type 5:8"]);
    check_after(&format!("{env}    A: 1\n    A: 2\n"), &["W duplicate-key 6:5"]);
    check_after("env:\n  exported-variables: [A, AWS_X]\n", &["W reserved-variable 4:27"]);
    check_after(
        "env:\n  secrets-manager: {A: shop}\n  exported-variables: [A]\n",
        &["W exported-secret 5:24"],
    );
    check_after("env:\n  A: b\n  artifacts: {}\n", &["W unknown-key 4:3", "W misplaced-key 5:3"]);
    check_after("env:\n  variables: [{name: A, value: b}]\n", &["E wrong-type 4:14"]);
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
fn booleans_are_read_in_every_spelling_of_the_guide() {
    let text = format!("{HEAD}artifacts:\n  files: [a]\n  discard-paths: Yes\n");
    assert!(parse(&text).value.unwrap().artifacts.unwrap().primary.unwrap().discard_paths);
    for usual in ["yes", "YES", "on", "true", "Off", "no", "'yes'", "\"true\""] {
        check(&text.replace("Yes", usual), &[]);
    }
    for odd in ["y", "N"] {
        check(&text.replace("Yes", odd), &["W yaml-1-1-boolean 5:18"]);
    }
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
    let text = format!("{HEAD}reports: {{a: {{files: [x], file-format: jacoco}}}}\n");
    assert_eq!(parse(&text).problems[0].help, "write `JACOCOXML`");
    check_after("reports:\n  a:\n", &["E missing-key 4:3"]);
    let six: String = (0..6).map(|n| format!("  g{n}: {{files: [x]}}\n")).collect();
    check_after(&format!("reports:\n{six}"), &["W bad-value 4:3"]);
    check_after(
        "cache:\n  key: k\n  fallback-keys: [a, b, c, d, e, f]\n  paths: [x]\n",
        &["E bad-value 5:3"],
    );
    check_after("cache:\n  fallback-keys: [a]\n  paths: [b]\n", &["W ignored-key 4:3"]);
    check_after("cache:\n  key: a\n", &["W empty-section 3:1"]);
    check_after("cache:\n  paths: ['[']\n", &["W bad-glob 4:11"]);
    check_after("cache:\n  paths: [/root/.m2/**/*, node_modules/, ~/x]\n", &[]);
    check_after("reports:\ncache:\n", &["W empty-section 3:1", "W empty-section 4:1"]);
}

#[test]
fn version_0_1_names_its_variables_differently() {
    let old = "version: 0.1\nenvironment_variables:\n  plaintext: {A: b}\n\
               phases: {build: {commands: [x]}}\n";
    assert_eq!(parse(old).value.unwrap().env.variables["A"], "b");
    check_after("environment_variables:\n  plaintext: {A: b}\n", &["W old-version-key 4:3"]);
    let new = "version: 0.1\nenv: {variables: {A: b}}\nphases: {build: {commands: [x]}}\n";
    check(new, &["W old-version-key 2:1"]);
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

#[test]
fn the_base_directory_is_not_named_twice() {
    let files = |base: &str, file: &str, expected: &[&str]| {
        check_after(
            &format!("artifacts:\n  base-directory: {base}\n  files: [{file}]\n"),
            expected,
        );
    };
    files("dist", "dist/**/*", &["W dead-glob 5:11"]);
    files("./dist/", "./dist/x", &["W dead-glob 5:11"]);
    files("dist", "distro/x", &[]);
    files("d*", "dist/x", &[]);
    files("$D", "$D/x", &[]);
    files(".", "./x", &[]);
    check_after(
        "reports: {a: {base-directory: target, files: [target/x.xml]}}\n",
        &["W dead-glob 3:47"],
    );
}

#[test]
fn patterns_that_match_no_file_are_named() {
    let files = |text: &str, expected: &[&str]| {
        check_after(&format!("artifacts:\n  files: [\"{text}\"]\n"), expected);
    };
    for dead in ["", "dist/", "./", ".", "../x", "!x", "~/x"] {
        files(dead, &["W dead-glob 4:11"]);
    }
    files("/tmp/x", &["W unsupported 4:11"]);
    for good in ["**/*", "dist/**", "./x", "a b", "x", "/build/src/x", "/codebuild/output/x", "..."]
    {
        files(good, &[]);
    }
}
