//! The top of a buildspec.

use crate::spec::buildspec::{Batch, Buildspec, Env, PhaseName, Phases, Proxy, Version, lists};
use crate::spec::decode::{self, Fields, Report};
use crate::spec::problem::Parsed;
use crate::spec::yaml::{Mark, Node};
use crate::spec::{Kind, codes};

/// The keys at the margin, for telling where a misplaced one belongs.
pub(super) const TOP_KEYS: [&str; 9] =
    ["version", "run-as", "env", "proxy", "batch", "phases", "reports", "artifacts", "cache"];

/// Reads a buildspec, all mistakes at once.
#[must_use]
pub fn parse(text: &str) -> Parsed<Buildspec> {
    decode::read(Kind::Buildspec, text, read)
}

pub(crate) fn read(report: &mut Report, mut top: Fields<'_>) -> Option<Buildspec> {
    let version = version(report, &mut top);
    // Everything else is read even without a version, so that all problems come out.
    let assumed = version.unwrap_or(Version::V02);
    let run_as = top.get("run-as").and_then(|node| report.word(node, "run-as"));
    let env = env(report, &mut top, assumed);
    let proxy = lists::section(report, &mut top, "proxy").and_then(|node| proxy(report, node));
    let batch =
        lists::section(report, &mut top, "batch").and_then(|node| super::batch::read(report, node));
    let phases = phases(report, &mut top, batch.as_ref());
    let reports = super::reports::read(report, &mut top);
    let artifacts = super::artifacts::read(report, &mut top, assumed);
    let cache = super::cache::read(report, &mut top);
    finish(report, top);
    if let Some(phases) = &phases {
        super::hints::check(report, phases);
        super::shell::check(report, phases, env.shell.as_deref());
    }
    Some(Buildspec {
        version: version?,
        run_as,
        env,
        proxy,
        batch,
        phases: phases.map(|found| found.phases).unwrap_or_default(),
        reports,
        artifacts,
        cache,
    })
}

fn version(report: &mut Report, top: &mut Fields<'_>) -> Option<Version> {
    let help = "write `version: 0.2` at the top";
    let node = top.require(report, "version", help)?;
    let text = report.word(node, "version")?;
    match text.as_str() {
        "0.2" => Some(Version::V02),
        "0.1" => Some(Version::V01),
        _ => {
            let message = format!("there is no buildspec version '{text}'");
            report.error(node.at, codes::BAD_VERSION, message, "write `version: 0.2`");
            None
        }
    }
}

fn env(report: &mut Report, top: &mut Fields<'_>, version: Version) -> Env {
    let mut env = match lists::section(report, top, "env") {
        Some(node) => super::env::read(report, node),
        None => Env::default(),
    };
    if let Some(at) = top.key_at("env").filter(|_| version == Version::V01) {
        let message = "`env` came with version 0.2; CodeBuild ignores it in version 0.1";
        report.warn(at, codes::OLD_VERSION_KEY, message, "write `version: 0.2`");
    }
    // Version 0.1 has `environment_variables.plaintext` for what 0.2 calls `env.variables`.
    if let Some(node) = top.get("environment_variables") {
        if version == Version::V02 {
            let message = "`environment_variables` is of version 0.1; version 0.2 ignores it";
            report.warn(node.at, codes::OLD_VERSION_KEY, message, "write `env:` `variables:`");
        } else if let Some(mut fields) = Fields::open(report, node, "environment_variables") {
            if let Some(node) = fields.get("plaintext") {
                env.variables = super::env::variables(report, node, &fields.join("plaintext"));
            }
            fields.finish(report);
        }
    }
    env
}

fn proxy(report: &mut Report, node: &Node) -> Option<Proxy> {
    let mut fields = Fields::open(report, node, "proxy")?;
    let mut flag = |report: &mut Report, key| {
        let node = fields.get(key)?;
        report.boolean(node, &fields.join(key))
    };
    let upload_artifacts = flag(report, "upload-artifacts").unwrap_or(false);
    let logs = flag(report, "logs").unwrap_or(false);
    fields.finish(report);
    Some(Proxy { upload_artifacts, logs })
}

/// A command with its phase and place.
pub(super) type Command = (PhaseName, Mark, String);

/// The phases with the places that later checks talk about.
pub(super) struct FoundPhases {
    pub phases: Phases,
    /// Whether any of the four phases is there, be it a broken one.
    pub any: bool,
    pub commands: Vec<Command>,
}

fn phases(report: &mut Report, top: &mut Fields<'_>, batch: Option<&Batch>) -> Option<FoundPhases> {
    if let Some(node) = top.get("phases") {
        let found = super::phases::read(report, node)?;
        if found.any || batch.is_some() {
            return Some(found);
        }
    }
    let at = top.key_at("phases").unwrap_or(top.at);
    let stray = top.entries().find(|(key, ..)| lists::is_phase(key));
    if let Some((key, stray_at, _)) = stray {
        let message = format!("`phases` is empty, and `{key}` stands at the margin");
        let help = format!("indent `{key}` (line {}) below `phases:`", stray_at.line);
        report.error(at, codes::LOST_INDENTATION, message, help);
    } else if let Some(batch) = batch {
        if let Some(task) = batch.without_buildspec() {
            let at = top.key_at("batch").unwrap_or(at);
            let message =
                format!("there are no phases, and `{task}` names no buildspec of its own");
            report.warn(at, codes::EMPTY_SECTION, message, "give it a `buildspec:`, or add phases");
        }
    } else {
        let message = "no phase is there that could run";
        let help = "write `phases:`, `build:` and `commands:`, each indented below the other";
        report.error(at, codes::MISSING_KEY, message, help);
    }
    None
}

/// Top-level keys that belong elsewhere get a better answer than "unknown".
fn finish(report: &mut Report, top: Fields<'_>) {
    let mut answered = Vec::new();
    for (key, at, _) in top.unknown() {
        let home = match key {
            _ if lists::is_phase(key) => "phases",
            "commands" | "finally" | "on-failure" | "steps" => "phases.build",
            "runtime-versions" => "phases.install",
            "variables"
            | "parameter-store"
            | "secrets-manager"
            | "exported-variables"
            | "shell"
            | "git-credential-helper" => "env",
            "files"
            | "base-directory"
            | "discard-paths"
            | "exclude-paths"
            | "s3-prefix"
            | "enable-symlinks"
            | "secondary-artifacts" => "artifacts",
            "paths" | "fallback-keys" => "cache",
            "build-list" | "build-graph" | "build-matrix" | "build-fanout" | "fast-fail" => "batch",
            "upload-artifacts" => "proxy",
            "file-format" => "reports",
            _ => continue,
        };
        answered.push(key);
        let message = format!("`{key}` stands at the margin; it is ignored there");
        let help = format!("indent it below `{home}`");
        report.warn(at, codes::MISPLACED_KEY, message, help);
    }
    top.finish_except(report, &answered);
}
