//! A run or a deployment, told apart by the prefix.

use pipelines::ids::{BadId, DeploymentId, RunId};
use std::fmt;
use std::str::FromStr;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    Run(RunId),
    Deployment(DeploymentId),
}

impl Target {
    /// Where the API has it.
    pub fn path(self) -> String {
        match self {
            Target::Run(id) => format!("/api/v1/runs/{id}"),
            Target::Deployment(id) => format!("/api/v1/deployments/{id}"),
        }
    }
}

impl FromStr for Target {
    type Err = BadId;

    /// `r-12` or `12` is a run, `d-3` a deployment.
    fn from_str(text: &str) -> Result<Target, BadId> {
        if text.starts_with("d-") {
            text.parse().map(Target::Deployment)
        } else {
            text.parse().map(Target::Run)
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Run(id) => id.fmt(f),
            Target::Deployment(id) => id.fmt(f),
        }
    }
}

/// `KEY=VALUE`.
pub fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE".to_owned()),
    }
}

/// A name as a part of a path.
pub fn name(text: &str) -> Result<String, String> {
    if pipelines::ids::is_name(text) {
        Ok(text.to_owned())
    } else {
        Err("a name has letters, digits, '-', '_' and '.', and starts with one of the first two"
            .into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_tells_runs_from_deployments() {
        assert_eq!("12".parse(), Ok(Target::Run(RunId(12))));
        assert_eq!("r-12".parse(), Ok(Target::Run(RunId(12))));
        assert_eq!("d-3".parse(), Ok(Target::Deployment(DeploymentId(3))));
        assert!("x-3".parse::<Target>().is_err() && "../x".parse::<Target>().is_err());
        assert_eq!("d-3".parse::<Target>().unwrap().path(), "/api/v1/deployments/d-3");
    }
}
