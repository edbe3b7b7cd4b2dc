//! The list of verbs. Arguments and examples of each are beside its code.

use crate::commands::{
    agent, agents, apply, approve, completions, deploy, deployments, drift, explain, hosts, import,
    join_token, lint, list, login, logs, monitor, rollback, run, runs, schema, simulate, spec,
    status, steer, stop, watch, webhook, whoami,
};
use clap::builder::styling::{AnsiColor, Effects, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Pipeyard from the command line.
#[derive(Debug, Parser)]
#[command(
    name = "pipectl",
    version,
    max_term_width = 100,
    styles = STYLES,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = EXIT_CODES
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done · 1 failed · 2 wrong usage · 3 rolled back · \
    4 superseded or cancelled · 5 waiting for a person (with --no-wait) · 6 cannot reach the controller";

const STYLES: Styles = Styles::plain()
    .header(AnsiColor::Green.on_default().effects(Effects::BOLD))
    .usage(AnsiColor::Green.on_default().effects(Effects::BOLD))
    .literal(AnsiColor::Cyan.on_default().effects(Effects::BOLD))
    .placeholder(AnsiColor::Cyan.on_default());

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// The controller's address; the one of the last login by default.
    #[arg(long, global = true, env = "PIPEYARD_URL", value_name = "URL")]
    pub url: Option<String>,
    /// An API token; the one of the last login to this address by default.
    #[arg(
        long,
        global = true,
        env = "PIPEYARD_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true
    )]
    pub token: Option<String>,
    /// The controller's CA certificate: tls/ca.pem in its data directory.
    #[arg(long, global = true, env = "PIPEYARD_CA", value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// The SHA-256 of that certificate instead; it is also the last part of a join token.
    #[arg(long, global = true, env = "PIPEYARD_CA_SHA256", value_name = "HEX")]
    pub ca_sha256: Option<String>,
    /// Send the token over http:// also to other machines.
    #[arg(long, global = true, env = "PIPEYARD_ALLOW_PLAIN_HTTP")]
    pub allow_plain_http: bool,
    /// What to print.
    #[arg(long, short, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: Format,
    /// No colours; NO_COLOR in the environment does the same.
    #[arg(long, global = true)]
    pub no_color: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    #[default]
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Get a token for this machine and remember it.
    Login(login::Arguments),
    /// Who the token belongs to.
    Whoami(whoami::Arguments),
    /// What is wrong with files, all at once; needs no controller.
    Lint(lint::Arguments),
    /// How a file was understood, as JSON; needs no controller.
    Spec(spec::Arguments),
    /// Rehearse a group's strategy against a virtual fleet, with faults.
    Simulate(simulate::Arguments),
    /// The JSON Schema of a format, for editors; needs no controller.
    Schema(schema::Arguments),
    /// A pipeline file from a pipeline elsewhere; needs no controller.
    Import(import::Arguments),
    /// Register pipelines and deployment groups; shows the difference first.
    Apply(apply::Arguments),
    /// The registered pipelines.
    Pipelines(list::Pipelines),
    /// The registered deployment groups and what they serve.
    Groups(list::Groups),
    /// Start a run of a pipeline.
    Run(run::Arguments),
    /// Recent runs, newest first.
    Runs(runs::Arguments),
    /// Where a run stands.
    Status(status::Arguments),
    /// Follow a run or a deployment to its end.
    Watch(watch::Arguments),
    /// What a run's builds and hosts printed.
    Logs(logs::Arguments),
    /// Why a run or a deployment does not move, or why it ended as it did.
    Explain(explain::Arguments),
    /// Stop a run.
    Stop(stop::Arguments),
    /// Answer an approval with yes.
    Approve(approve::Approve),
    /// Answer an approval with no, and say why.
    Reject(approve::Reject),
    /// Recent deployments, newest first.
    Deployments(deployments::Arguments),
    /// Stop a deployment; its group says whether it is rolled back.
    Abort(steer::Abort),
    /// Let a deployment finish what runs and start nothing more.
    Pause(steer::Pause),
    /// Go on with a paused deployment.
    Resume(steer::Resume),
    /// End the hold a deployment is in, or all that come.
    Promote(steer::Promote),
    /// Try a failed host of a deployment again.
    Retry(steer::Retry),
    /// Leave a host out of a deployment.
    Exclude(steer::Exclude),
    /// Go on with a deployment or a run although a window or a freeze is against it.
    Override(steer::Override),
    /// Bring a revision that was built or deployed before to a group's hosts.
    Deploy(deploy::Arguments),
    /// Which files on a group's hosts are not what was installed.
    Drift(drift::Arguments),
    /// Bring a group back to an earlier revision.
    Rollback(rollback::Arguments),
    /// Hosts and what they serve.
    Hosts(hosts::Arguments),
    /// Agents and whether they are alive.
    Agents(agents::Arguments),
    /// Take an agent out of service, or for good.
    Agent(agent::Arguments),
    /// Tokens that let a host join.
    JoinToken(join_token::Arguments),
    /// What the monitors of a group say, and setting one by hand for a drill.
    Monitor(monitor::Arguments),
    /// Where a forge sends its pushes for a pipeline, and the secret it signs them with.
    Webhook(webhook::Arguments),
    /// A script that teaches a shell to complete pipectl's arguments.
    Completions(completions::Arguments),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent_and_every_verb_has_an_example() {
        let command = Cli::command();
        command.clone().debug_assert();
        let mut missing = Vec::new();
        for verb in command.get_subcommands() {
            let leaves: Vec<_> = verb.get_subcommands().collect();
            for leaf in if leaves.is_empty() { vec![verb] } else { leaves } {
                let help = leaf.get_after_help().map(ToString::to_string).unwrap_or_default();
                if !help.contains("pipectl ") {
                    missing.push(format!("{} {}", verb.get_name(), leaf.get_name()));
                }
            }
        }
        assert!(missing.is_empty(), "no example: {missing:?}");
    }

    #[test]
    fn an_approval_is_of_a_run_or_of_a_deployment() {
        for good in [
            vec!["pipectl", "approve", "r-12", "sign-off"],
            vec!["pipectl", "approve", "d-3", "--yes"],
            vec!["pipectl", "reject", "d-3", "-y", "-m", "too many errors"],
            vec!["pipectl", "promote", "d-3", "--full"],
            vec!["pipectl", "retry", "d-3", "host-1"],
            vec!["pipectl", "exclude", "d-3", "host-1", "--reason", "its disk"],
            vec!["pipectl", "override", "d-3", "--reason", "an outage"],
            vec!["pipectl", "override", "r-12", "-m", "an outage"],
        ] {
            assert!(Cli::try_parse_from(&good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn arguments_are_read_as_documented() {
        let cli = Cli::try_parse_from([
            "pipectl", "run", "shop", "--var", "A=b=c", "--branch", "main", "--watch", "-o", "json",
        ])
        .unwrap();
        assert_eq!(cli.global.output, Format::Json);
        let Command::Run(run) = cli.command else { panic!("not a run") };
        assert_eq!(run.variables, [("A".to_owned(), "b=c".to_owned())]);
        for bad in [
            vec!["pipectl", "run"],
            vec!["pipectl", "run", "shop", "--var", "A"],
            vec!["pipectl", "status", "x-1"],
            vec!["pipectl", "join-token", "create", "--role", "king"],
            vec!["pipectl", "reject", "r-1", "x"],
            vec!["pipectl", "reject", "d-1"],
            vec!["pipectl", "exclude", "d-1", "host-1"],
            vec!["pipectl", "override", "d-1"],
            vec!["pipectl", "promote", "r-1"],
        ] {
            assert!(Cli::try_parse_from(&bad).is_err(), "{bad:?}");
        }
    }
}
