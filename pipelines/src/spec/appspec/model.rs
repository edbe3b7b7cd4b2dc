//! What an appspec says, with the agent's defaults filled in.

use crate::spec::appspec::{Acl, Context};
use crate::spec::print;
use crate::time::Millis;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A whole appspec.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Appspec {
    /// Always `0.0`.
    pub version: String,
    #[serde(default)]
    pub platform: Platform,
    pub os: Os,
    #[serde(default)]
    pub files: Vec<FileMapping>,
    /// Wins over what the deployment says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_exists_behavior: Option<FileExists>,
    #[serde(default)]
    pub permissions: Vec<Permission>,
    /// Scripts by lifecycle event, in the order they run. Unknown events are kept: a local deployment
    /// may be told to run them.
    #[serde(default)]
    pub hooks: BTreeMap<String, Vec<Hook>>,
    /// Only for ECS and Lambda.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<Resource>,
}

/// What the appspec deploys to. Only [`Platform::Server`] can be deployed here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Platform {
    #[default]
    Server,
    Ecs,
    Lambda,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Os {
    Linux,
    Windows,
    /// An ECS or Lambda appspec names no system, and fits no host.
    None,
}

/// Copies `source` of the bundle into the directory `destination` of the host: a file under its
/// own name, a directory's contents without the directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileMapping {
    /// As written; `/` is the whole bundle.
    pub source: String,
    pub destination: String,
}

/// What to do about a file that is already there and not of the previous revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum FileExists {
    Disallow,
    Overwrite,
    Retain,
}

impl FileExists {
    pub(crate) const CHOICES: [(&'static str, FileExists); 3] = [
        ("DISALLOW", FileExists::Disallow),
        ("OVERWRITE", FileExists::Overwrite),
        ("RETAIN", FileExists::Retain),
    ];
}

/// Ownership and mode of what this deployment puts below `object`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Permission {
    pub object: String,
    /// `**`: everything below at any depth; anything else: names directly in `object`.
    pub pattern: String,
    #[serde(default)]
    pub except: Vec<String>,
    #[serde(rename = "type")]
    pub types: Vec<PermissionType>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The value of the octal digits: `0644` is 420.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "print::octal_option")]
    pub mode: Option<u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acls: Vec<Acl>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Context>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PermissionType {
    File,
    Directory,
}

/// One script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hook {
    /// Path in the bundle.
    pub location: String,
    /// One hour unless the file says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "print::seconds_option")]
    pub timeout: Option<Millis>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runas: Option<String>,
    #[serde(default)]
    pub sudo: bool,
}

/// An ECS service or Lambda function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    pub name: String,
    pub r#type: String,
    /// The properties that are single values, nested ones as `LoadBalancerInfo.ContainerName`.
    pub properties: BTreeMap<String, String>,
}
