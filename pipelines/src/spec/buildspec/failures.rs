//! Failures that no status tells of: in a command of several lines only the last one's counts.

use crate::spec::buildspec::script::{Script, Statement};
use crate::spec::buildspec::shell::command;

/// Programs whose failure is meant to fail a build.
const TOOLS: [&str; 46] = [
    "ansible-playbook",
    "aws",
    "bazel",
    "bundle",
    "cargo",
    "cdk",
    "cmake",
    "composer",
    "ctest",
    "docker",
    "docker-compose",
    "dotnet",
    "eslint",
    "flake8",
    "go",
    "gradle",
    "gradlew",
    "helm",
    "jest",
    "kubectl",
    "make",
    "mocha",
    "mvn",
    "mvnw",
    "mypy",
    "ng",
    "npm",
    "npx",
    "nuget",
    "phpunit",
    "pip",
    "pip3",
    "pnpm",
    "podman",
    "poetry",
    "pylint",
    "pytest",
    "rake",
    "ruff",
    "sam",
    "sbt",
    "serverless",
    "sls",
    "terraform",
    "tox",
    "yarn",
];

/// The first command of several whose failure nobody will see.
pub(super) fn lost(text: &str, script: &Script) -> Option<String> {
    // Whoever looks at `$?` or sets a trap has thought of it.
    if !text.trim_end().contains('\n') || text.contains("$?") || text.contains("trap ") {
        return None;
    }
    let statements = script.statements();
    let strict = statements.iter().position(exits_on_failure).unwrap_or(statements.len());
    statements[..strict].iter().filter(|statement| statement.goes_on).find_map(tool)
}

/// `set -e`, `set -euo pipefail`, `set -o errexit`.
fn exits_on_failure(statement: &Statement) -> bool {
    let is_flag = |word: &String| {
        word == "errexit" || word.starts_with('-') && !word.starts_with("--") && word.contains('e')
    };
    command(&statement.words) == Some("set") && statement.words.iter().any(is_flag)
}

/// `npm ci`, if the statement is such a thing and nothing catches its failure.
fn tool(statement: &Statement) -> Option<String> {
    if statement.words.iter().any(|word| word == "||") {
        return None;
    }
    statement.words.split(|word| word == "&&" || word == "|").find_map(|words| {
        let name = command(words)?;
        let known = TOOLS.contains(&name.rsplit('/').next().unwrap_or(name));
        let at = words.iter().position(|word| word == name)?;
        // A test in a condition is not a step of the build.
        let asked = at > 0 && ["while", "until", "if", "elif", "!"].contains(&words[0].as_str());
        (known && !asked).then(|| words[at..].iter().take(2).cloned().collect::<Vec<_>>().join(" "))
    })
}
