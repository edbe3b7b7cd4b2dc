//! What an appspec says, with the agent's defaults filled in.

use crate::spec::appspec::{Acl, Context};
use crate::spec::print;
use crate::time::Millis;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A whole appspec.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(transform = crate::spec::schema::forms::appspec)]
pub struct Appspec {
    /// Always `0.0`.
    #[schemars(with = "crate::spec::schema::words::AppspecVersion")]
    pub version: String,
    #[serde(default, skip_serializing_if = "Platform::is_server")]
    #[schemars(skip)]
    pub platform: Platform,
    /// What the hosts are; absent in a file for ECS or Lambda.
    #[schemars(with = "Option<Os>")]
    pub os: Os,
    /// What is copied where.
    #[serde(default)]
    #[schemars(transform = crate::spec::schema::forms::list_or_empty)]
    pub files: Vec<FileMapping>,
    /// Wins over what the deployment says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_exists_behavior: Option<FileExists>,
    /// Owners and modes of what was copied, on Linux.
    #[serde(default)]
    #[schemars(transform = crate::spec::schema::forms::list_or_empty)]
    pub permissions: Vec<Permission>,
    /// Scripts by lifecycle event, in the order they run. Unknown events are kept: a local deployment
    /// may be told to run them.
    #[serde(default)]
    #[schemars(with = "crate::spec::schema::forms::HooksForm")]
    pub hooks: BTreeMap<String, Vec<Hook>>,
    /// Only for ECS and Lambda.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        rename = "Resources",
        with = "Vec<std::collections::BTreeMap<String, crate::spec::schema::forms::ResourceForm>>"
    )]
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

impl Platform {
    /// What a file for hosts says by having no such key.
    fn is_server(&self) -> bool {
        *self == Platform::Server
    }
}

/// What the hosts run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[derive(schemars::JsonSchema)]
pub enum Os {
    Linux,
    Windows,
    /// An ECS or Lambda appspec names no system, and fits no host.
    #[schemars(skip)]
    None,
}

/// Copies `source` of the bundle into the directory `destination` of the host: a file under its
/// own name, a directory's contents without the directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct FileMapping {
    /// As written; `/` is the whole bundle.
    pub source: String,
    /// An absolute directory of the host.
    pub destination: String,
}

/// What to do about a file that is already there and not of the previous revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[derive(schemars::JsonSchema)]
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Permission {
    /// An absolute path of the host.
    pub object: String,
    /// `**`: everything below at any depth; anything else: names directly in `object`.
    #[schemars(with = "Option<String>")]
    pub pattern: String,
    /// Patterns of names to leave out.
    #[serde(default)]
    pub except: Vec<String>,
    /// Files, directories or both; both where absent.
    #[serde(rename = "type")]
    #[schemars(with = "Option<Vec<PermissionType>>")]
    pub types: Vec<PermissionType>,
    /// A user of the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// A group of the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The value of the octal digits: `0644` is 420.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "print::octal_option")]
    #[schemars(with = "Option<crate::spec::schema::words::OctalMode>")]
    pub mode: Option<u32>,
    /// Entries such as `u:deploy:rwx`, as setfacl has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acls: Vec<Acl>,
    /// The SELinux context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Context>,
}

/// What a permission is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[derive(schemars::JsonSchema)]
pub enum PermissionType {
    File,
    Directory,
}

/// One script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Hook {
    /// Path in the bundle.
    pub location: String,
    /// One hour unless the file says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "print::seconds_option")]
    #[schemars(with = "Option<crate::spec::schema::words::Seconds>")]
    pub timeout: Option<Millis>,
    /// The user it runs as; the agent's own where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runas: Option<String>,
    /// Whether it runs by way of sudo.
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
