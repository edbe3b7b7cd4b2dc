//! `pipectl join-token create`.

use super::{Context, target};
use crate::exit::{Exit, Result};
use crate::output::clean;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value, json};

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a token and print the line to run on the host.
    ///
    /// The line fetches the agent from the controller, proves it, joins, and keeps it running. Running
    /// it on the same host again brings the agent there up to date.
    #[command(after_help = "Examples:
  pipectl join-token create --role deploy --tag role=web --uses 3
  pipectl join-token create --role deploy --uses 100 --valid 30d --user-data > user-data.sh
  pipectl join-token create --role build -o json | jq -r .token")]
    Create(Create),
}

#[derive(Debug, Args)]
struct Create {
    /// Build agents run builds, deploy agents are hosts.
    #[arg(long, value_enum)]
    role: Role,
    /// A tag every agent that joins with it gets; repeat it for more.
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = target::pair)]
    tags: Vec<(String, String)>,
    /// How many agents may join with it.
    #[arg(long, default_value_t = 1)]
    uses: u32,
    /// For how long: 30m, 1h, 7d.
    #[arg(long, default_value = "1h", value_parser = seconds)]
    valid: u64,
    /// Print the line for a host that has wget and no curl.
    #[arg(long, conflicts_with = "user_data")]
    wget: bool,
    /// Print a script that machines run at their first start (EC2 user data).
    #[arg(long)]
    user_data: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Role {
    Build,
    Deploy,
}

pub async fn run(context: &Context<'_>, arguments: Arguments) -> Result<Exit> {
    let Verb::Create(create) = arguments.verb;
    let tags: Map<String, Value> =
        create.tags.into_iter().map(|(key, value)| (key, json!(value))).collect();
    let role = match create.role {
        Role::Build => "build",
        Role::Deploy => "deploy",
    };
    let body = json!({
        "role": role, "tags": tags, "uses": create.uses, "valid_secs": create.valid
    });
    let answer = context.client()?.post("/api/v1/join-tokens", body).await?;
    let output = context.output;
    if output.is_json() {
        output.json(&answer);
        return Ok(Exit::Done);
    }
    let (key, note) = match (create.wget, create.user_data) {
        (_, true) => {
            ("user_data", "Whoever can read this script can join with it, while it is valid:")
        }
        (true, false) => ("command_wget", "Run this on the host, as root:"),
        (false, false) => ("command", "Run this on the host, as root:"),
    };
    output.note(note);
    // A script has lines; nothing else that moves a cursor belongs into it.
    let lines: Vec<String> = answer[key].as_str().unwrap_or_default().lines().map(clean).collect();
    output.line(lines.join("\n"));
    Ok(Exit::Done)
}

fn seconds(text: &str) -> Result<u64, String> {
    let bad = || "write a number and s, m, h or d: 30m, 1h, 7d".to_owned();
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3600,
        Some('d') => 86_400,
        _ => return Err(bad()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| bad())?;
    number.checked_mul(unit).filter(|seconds| *seconds > 0).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_has_a_unit() {
        assert_eq!(seconds("90s"), Ok(90));
        assert_eq!(seconds("1h"), Ok(3600));
        assert_eq!(seconds("7d"), Ok(604_800));
        for bad in ["", "h", "5", "0h", "-1h", "1w", "99999999999999999999d", "é"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
