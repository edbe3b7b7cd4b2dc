//! One module per verb: its arguments, its example, and what it does.

pub mod agent;
pub mod agents;
pub mod apply;
pub mod approve;
mod asking;
pub mod completions;
pub mod deploy;
pub mod deployments;
pub mod drift;
pub mod explain;
mod group_file;
pub mod hosts;
pub mod import;
pub mod join_token;
pub mod lint;
pub mod list;
pub mod login;
pub mod logs;
pub mod monitor;
mod ordered;
mod planned;
mod problems;
pub mod rollback;
pub mod run;
pub mod runs;
pub mod schema;
pub mod simulate;
pub mod spec;
pub mod status;
pub mod steer;
pub mod stop;
mod target;
pub mod watch;
mod watching;
pub mod webhook;
pub mod whoami;

use crate::cli::{Cli, Command, Global};
use crate::connect::{Client, connect};
use crate::exit::{Exit, Result};
use crate::output::Output;

/// What every verb gets.
pub struct Context<'a> {
    pub global: Global,
    pub output: &'a Output,
}

impl Context<'_> {
    pub fn client(&self) -> Result<Client> {
        connect(&self.global)
    }
}

pub async fn run(cli: Cli, output: &Output) -> Result<Exit> {
    let context = Context { global: cli.global, output };
    let context = &context;
    match cli.command {
        Command::Login(arguments) => login::run(context, arguments).await,
        Command::Whoami(arguments) => whoami::run(context, arguments).await,
        Command::Lint(arguments) => lint::run(context, &arguments),
        Command::Spec(arguments) => spec::run(context, &arguments),
        Command::Simulate(arguments) => simulate::run(context, &arguments),
        Command::Schema(arguments) => schema::run(context, &arguments),
        Command::Import(arguments) => import::run(context, &arguments),
        Command::Apply(arguments) => apply::run(context, arguments).await,
        Command::Pipelines(arguments) => list::pipelines(context, arguments).await,
        Command::Groups(arguments) => list::groups(context, arguments).await,
        Command::Run(arguments) => run::run(context, arguments).await,
        Command::Runs(arguments) => runs::run(context, arguments).await,
        Command::Status(arguments) => status::run(context, arguments).await,
        Command::Watch(arguments) => watch::run(context, arguments).await,
        Command::Logs(arguments) => logs::run(context, arguments).await,
        Command::Explain(arguments) => explain::run(context, arguments).await,
        Command::Stop(arguments) => stop::run(context, arguments).await,
        Command::Approve(arguments) => approve::approve(context, arguments).await,
        Command::Reject(arguments) => approve::reject(context, arguments).await,
        Command::Deployments(arguments) => deployments::run(context, arguments).await,
        Command::Deploy(arguments) => deploy::run(context, arguments).await,
        Command::Drift(arguments) => drift::run(context, arguments).await,
        Command::Abort(arguments) => steer::abort(context, arguments).await,
        Command::Pause(arguments) => steer::pause(context, arguments).await,
        Command::Resume(arguments) => steer::resume(context, arguments).await,
        Command::Promote(arguments) => steer::promote(context, arguments).await,
        Command::Retry(arguments) => steer::retry(context, arguments).await,
        Command::Exclude(arguments) => steer::exclude(context, arguments).await,
        Command::Override(arguments) => steer::overrule(context, arguments).await,
        Command::Rollback(arguments) => rollback::run(context, arguments).await,
        Command::Hosts(arguments) => hosts::run(context, arguments).await,
        Command::Agents(arguments) => agents::run(context, arguments).await,
        Command::Agent(arguments) => agent::run(context, arguments).await,
        Command::JoinToken(arguments) => join_token::run(context, arguments).await,
        Command::Monitor(arguments) => monitor::run(context, arguments).await,
        Command::Webhook(arguments) => webhook::run(context, arguments).await,
        Command::Completions(arguments) => completions::run(context, arguments),
    }
}
