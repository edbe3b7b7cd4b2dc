//! `appspec.yml`, AWS's format for deployments to hosts.
//!
//! Rules are those of the CodeDeploy user guide ("AppSpec file reference") and of the agent's own
//! behaviour. ECS and Lambda AppSpecs are checked too, so that `lint` can answer for them, but
//! Pipeyard deploys to hosts only.

mod acl;
mod context;
mod files;
mod hooks;
mod model;
mod permissions;
mod read;
mod resources;
#[cfg(test)]
mod tests;

pub use acl::{Acl, AclKind};
pub use context::Context;
pub use hooks::{RESERVED_EVENTS, SCRIPT_EVENTS};
pub use model::{
    Appspec, FileExists, FileMapping, Hook, Os, Permission, PermissionType, Platform, Resource,
};
pub use read::parse;
pub(crate) use read::read;

/// What [`parse`] gives, by the same name in each of the four formats.
pub type Model = Appspec;
