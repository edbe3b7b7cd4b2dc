//! What shells and phases do in silence.

use crate::spec::{Kind, lint, trial};

#[track_caller]
fn check_phases(text: &str, expected: &[&str]) {
    trial::check(Kind::Buildspec, &format!("version: 0.2\nphases:\n{text}"), expected);
}

/// One command of `build`, as a quoted text.
#[track_caller]
fn check(command: &str, expected: &[&str]) {
    let json = serde_json::Value::from(command).to_string();
    check_phases(&format!("  build: {{commands: [{json}]}}\n"), expected);
}

const AT: &str = "3:22";

#[test]
fn a_push_after_a_failed_build_is_warned_about_unless_guarded() {
    let push = "  build:\n    commands: [make]\n  post_build:\n    commands:\n";
    let post = |commands: &str, expected: &[&str]| {
        check_phases(&format!("{push}{commands}"), expected);
    };
    let warned = &["W unguarded-push 7:9"];
    post("      - docker push shop\n", warned);
    post("      - cd x && docker -D push shop\n", warned);
    post("      - aws --region eu-west-1 s3 sync dist s3://shop\n", warned);
    post("      - 'if true; then kubectl apply -f x; fi'\n", warned);
    post("      - echo $CODEBUILD_BUILD_SUCCEEDING && helm upgrade x\n", warned);
    post("      - test \"$CODEBUILD_BUILD_SUCCEEDING\" = 1\n      - docker push x\n", &[]);
    post("      - '[ \"${CODEBUILD_BUILD_SUCCEEDING}\" -eq 1 ] && docker push x'\n", &[]);
    post("      - echo docker push shop\n", &[]);
    post("      - echo 'now docker push shop'\n", &[]);
    post("      - aws s3 sync s3://shop/reports reports\n", &[]);
    check_phases(
        "  build:\n    on-failure: ABORT\n    commands: [make]\n  post_build:\n    commands: \
         [docker push shop]\n",
        &[],
    );
    // Without a build there is no failed one.
    check_phases("  post_build:\n    commands: [docker push shop]\n", &[]);
}

#[test]
fn syntax_of_bash_is_named_where_sh_runs_it() {
    let bashisms = [
        "if [[ -n $A ]]; then b; fi",
        "source venv/bin/activate",
        "cd x && source a",
        "function f() { a; }",
        "if [ \"$A\" == main ]; then b; fi",
        "set -euo pipefail",
        "LIST=(a b)",
        "A+=b",
        "(( n++ ))",
        "for ((i=0; i<3; i++)); do a; done",
        "diff <(a) b",
        "cat <<< $A",
        "a &> log",
        "for i in {1..5}; do a; done",
        "TAG=${CODEBUILD_RESOLVED_SOURCE_VERSION:0:7}",
        "echo \"${A//x/y} b\"",
        "echo ${A^^}",
        "echo ${!A}",
        "X=\"$(pushd y)\"",
    ];
    for command in bashisms {
        check(command, &[&format!("W bashism {AT}")]);
    }
    let text = |shell: &str| {
        format!(
            "version: 0.2\nenv: {{shell: {shell}}}\nphases: {{build: {{commands: ['[[ a ]]']}}}}\n"
        )
    };
    assert!(lint(Kind::Buildspec, &text("bash")).is_empty());
    assert_eq!(lint(Kind::Buildspec, &text("/bin/sh")).len(), 1);
    check_phases("  build: {commands: ['$env:A = 1', '[[ a ]]']}\n", &[]);
}

#[test]
fn what_every_shell_knows_is_left_alone() {
    let fine = [
        "if [ \"$A\" = main ]; then b; fi",
        ". venv/bin/activate",
        "echo 'source x' \"[[ y ]]\" # [[ z ]]",
        "bash -c 'source x; [[ a == b ]]'",
        "echo ${A:-b} ${A:=b} ${A:?b} ${A:+b} ${A#b} ${A%%b} ${#A}",
        "echo $((1 + (2 << 1))) $(( n ))",
        "a 2>&1 | tee log; b >&2; c &",
        "cat <<'EOF' > x\n[[ source ]]\nEOF\n",
        "jq '.[] | select(.a == \"b\")' x",
        "awk '{print $1}' x",
        "echo data source",
        "find . -name '*.x' -exec rm {} \\;",
        "printf '[{\"name\":\"a\"}]' > x.json",
        "sed -i \"s|\\${AWS::Region}|x|\" y",
        "echo ${AWS::Region}",
        "export A=$(b | cut -d= -f2)",
        "pip install -e .[dev] a==1.0",
    ];
    for command in fine {
        check(command, &[]);
    }
}

#[test]
fn a_failure_before_the_last_line_is_lost() {
    let warned = &[format!("W lost-failure {AT}")];
    let warned: Vec<&str> = warned.iter().map(String::as_str).collect();
    for command in [
        "npm ci\nnpm test",
        "cd x\nA=b ./gradlew build\necho done",
        "if a; then\n  docker build .\n  echo built\nfi\n",
        "terraform init && terraform plan\necho done\n",
        "pytest\nset -e\nb",
    ] {
        check(command, &warned);
    }
    for command in [
        "set -e\nnpm ci\nnpm test",
        "set -eu\nnpm ci\nnpm test",
        "npm ci &&\n  npm test",
        "npm ci \\\n  --quiet",
        "npm ci || exit 1\nnpm test",
        "echo a\nb=c\nnpm test\n",
        "if npm test; then\n  echo good\nfi\n",
        "npm test\nif [ $? -ne 0 ]; then exit 1; fi",
        "cat > x <<EOF\nnpm ci\nnpm test\nEOF\n",
        "if a; then\n  npm ci\nelse\n  npm test\nfi\n",
        "python - 'npm ci\nnpm test'",
    ] {
        check(command, &[]);
    }
}
