//! `pipeline.yml`: what runs, in which order, and what starts it.

mod action;
mod approval;
mod check;
mod condition;
mod freezes;
mod model;
mod read;
mod references;
mod sense;
mod stage;
#[cfg(test)]
mod tests;
mod trigger;
mod work;

pub use condition::{Comparison, Condition, OnStageFailure, Otherwise, Rule};
pub use model::{
    Action, Answer, Approval, Build, Deploy, Freeze, Invoke, Mode, Pipeline, Source, SourceFrom,
    Stage, Variable, Work,
};
pub use read::parse;
pub(crate) use read::read;
pub use trigger::{PullRequestEvent, Trigger};

/// What [`parse`] gives, by the same name in each of the four formats.
pub type Model = Pipeline;
