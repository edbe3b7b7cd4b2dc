//! `appspec.yml`, AWS's format for deployments to hosts.
//!
//! Rules are those of the CodeDeploy user guide ("AppSpec file reference") and of the agent's own
//! behaviour. ECS and Lambda AppSpecs are checked too, so that `lint` can answer for them, but
//! Pipeyard deploys to hosts only.

mod acl;
mod clash;
mod context;
#[cfg(test)]
mod file_tests;
mod files;
mod hooks;
mod mode;
mod model;
mod paths;
#[cfg(test)]
mod permission_tests;
mod permissions;
mod reach;
mod read;
mod resources;
#[cfg(test)]
mod tests;

pub use acl::{Acl, AclKind};
pub use context::Context;
pub use hooks::{OWN_EVENTS, RESERVED_EVENTS, SCRIPT_EVENTS};
pub use model::{
    Appspec, FileExists, FileMapping, Hook, Os, Permission, PermissionType, Platform, Resource,
};
pub use read::parse;
pub(crate) use read::read;

use crate::spec::decode::Report;
use crate::spec::yaml::{Node, Style, Value};

/// The entries of a list. `{}` is none as well, for the agent goes through both alike.
fn items<'n>(report: &mut Report, node: &'n Node, path: &str) -> &'n [Node] {
    match &node.value {
        Value::Map(entries) if entries.is_empty() => &[],
        Value::Map(_) | Value::List(_) | Value::Scalar { .. } => report.list(node, path),
    }
}

/// What YAML 1.1, which CodeDeploy's agents read until 2.0, takes digits with a zero in front for.
fn yaml_1_1_octal(node: &Node) -> Option<u64> {
    let Value::Scalar { text, style: Style::Plain } = &node.value else { return None };
    let digits = text.strip_prefix('0').filter(|digits| !digits.is_empty())?;
    u64::from_str_radix(digits, 8).ok().filter(|_| !digits.starts_with('+'))
}

/// What [`parse`] gives, by the same name in each of the four formats.
pub type Model = Appspec;
