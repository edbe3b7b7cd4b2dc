//! What a buildspec says, with AWS's defaults filled in.

use crate::spec::buildspec::{Artifacts, Batch, Cache, OnFailure, ReportGroup, Step};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Defaults are left out when a model is written: absent sections stay absent.
pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The format's version. 0.1 runs every command in a fresh shell; 0.2 carries the working
/// directory and exported variables from command to command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Version {
    #[serde(rename = "0.1")]
    V01,
    #[serde(rename = "0.2")]
    V02,
}

/// A whole buildspec.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
#[schemars(transform = crate::spec::schema::forms::buildspec)]
pub struct Buildspec {
    /// 0.2; 0.1 runs every command in a fresh shell.
    #[schemars(with = "crate::spec::schema::words::BuildspecVersion")]
    pub version: Version,
    /// The Linux user for all phases that name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_as: Option<String>,
    /// Variables, secrets, and what goes back to the pipeline.
    #[serde(default, skip_serializing_if = "is_default")]
    pub env: Env,
    /// Read only where an explicit proxy server is set up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Proxy>,
    /// What runs, in a fixed order.
    #[serde(default, skip_serializing_if = "is_default")]
    pub phases: Phases,
    /// The files a build leaves behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifacts: Option<Artifacts>,
    /// Test results and coverage, by the name of their report group.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reports: BTreeMap<String, ReportGroup>,
    /// What later builds find again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<Cache>,
    /// One start, many builds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<Batch>,
}

/// `env`. Values are literal: `$NAME` in them is never expanded.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
pub struct Env {
    /// `bash` or `/bin/sh`; `sh` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shell: Option<String>,
    /// Name and value; nothing in a value is expanded.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
    /// Variable → parameter name.
    #[serde(default)]
    pub parameter_store: BTreeMap<String, String>,
    /// Variable → `secret-id[:json-key[:version-stage[:version-id]]]`.
    #[serde(default)]
    pub secrets_manager: BTreeMap<String, String>,
    /// Their values at the end of `post_build` go to the pipeline.
    #[serde(default)]
    #[schemars(with = "crate::spec::schema::words::OneOrMany<String>")]
    pub exported_variables: Vec<String>,
    /// Whether git may use the credentials of the source.
    #[serde(default)]
    pub git_credential_helper: bool,
}

/// `proxy`, read only where an explicit proxy server is set up.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
pub struct Proxy {
    /// Whether artifacts are uploaded through it.
    #[schemars(with = "Option<bool>")]
    pub upload_artifacts: bool,
    /// Whether logs are sent through it.
    #[schemars(with = "Option<bool>")]
    pub logs: bool,
}

/// The four phases users fill.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Phases {
    /// Sets up what the build needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub install: Option<Phase>,
    /// Before the build; a failure ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pre_build: Option<Phase>,
    /// The build itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<Phase>,
    /// After the build, also after one that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_build: Option<Phase>,
}

impl Phases {
    /// The phases that are there, in the order in which they run.
    pub fn in_order(&self) -> impl Iterator<Item = (PhaseName, &Phase)> {
        PhaseName::ALL.into_iter().filter_map(|name| Some((name, self.get(name)?)))
    }

    #[must_use]
    pub fn get(&self, name: PhaseName) -> Option<&Phase> {
        match name {
            PhaseName::Install => self.install.as_ref(),
            PhaseName::PreBuild => self.pre_build.as_ref(),
            PhaseName::Build => self.build.as_ref(),
            PhaseName::PostBuild => self.post_build.as_ref(),
        }
    }
}

/// CodeBuild's name of a phase; as text `PRE_BUILD`, as a key `pre_build`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PhaseName {
    Install,
    PreBuild,
    Build,
    PostBuild,
}

impl PhaseName {
    pub const ALL: [PhaseName; 4] =
        [PhaseName::Install, PhaseName::PreBuild, PhaseName::Build, PhaseName::PostBuild];

    /// The key in the file.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            PhaseName::Install => "install",
            PhaseName::PreBuild => "pre_build",
            PhaseName::Build => "build",
            PhaseName::PostBuild => "post_build",
        }
    }
}

impl fmt::Display for PhaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PhaseName::Install => "INSTALL",
            PhaseName::PreBuild => "PRE_BUILD",
            PhaseName::Build => "BUILD",
            PhaseName::PostBuild => "POST_BUILD",
        })
    }
}

/// One phase.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
pub struct Phase {
    /// The Linux user for this phase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_as: Option<String>,
    /// ABORT, CONTINUE, RETRY, RETRY-<count>, RETRY-<regex> or RETRY-<count>-<regex>.
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_failure: OnFailure,
    /// One entry is one command, of one line or many.
    #[serde(default)]
    #[schemars(with = "crate::spec::schema::words::OneOrMany<Option<String>>")]
    pub commands: Vec<String>,
    /// Runs after `commands`, also after a failure.
    #[serde(default)]
    #[schemars(with = "crate::spec::schema::words::OneOrMany<Option<String>>")]
    pub finally: Vec<String>,
    /// Only `install` has it. Versions are source text: `3.10` is not 3.1.
    #[serde(default)]
    pub runtime_versions: BTreeMap<String, String>,
    /// GitHub-Actions style steps, instead of commands.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_come_in_the_order_they_run() {
        let phases = Phases {
            post_build: Some(Phase::default()),
            install: Some(Phase::default()),
            ..Phases::default()
        };
        let names: Vec<_> = phases.in_order().map(|(name, _)| name.to_string()).collect();
        assert_eq!(names, ["INSTALL", "POST_BUILD"]);
    }
}
