//! `pipectl hosts`.

use super::agents::{Agent, condition, tags};
use super::{Context, group_file};
use crate::answer::Revision;
use crate::connect::parse;
use crate::exit::{Exit, Result};
use crate::output::{ago, clean, table};
use clap::Args;
use pipelines::spec::group::Group;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pipectl hosts -o json
  pipectl hosts --group group.yml     which hosts a group's selector takes, before it is applied")]
pub struct Arguments {
    /// Only the hosts that this group file selects.
    #[arg(long, value_name = "FILE")]
    group: Option<PathBuf>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Host {
    #[serde(flatten)]
    agent: Agent,
    groups: Vec<Served>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Served {
    group: String,
    serving: String,
    revision: Option<Revision>,
}

pub async fn run(context: &Context<'_>, arguments: Arguments) -> Result<Exit> {
    let group = arguments.group.as_deref().map(group_file::read).transpose()?;
    let mut answer = context.client()?.get("/api/v1/hosts").await?;
    let output = context.output;
    if let (Some(group), Some(hosts)) = (&group, answer["hosts"].as_array_mut()) {
        hosts.retain(|host| is_selected(group, host));
        if hosts.is_empty() && !output.is_json() {
            output.line("The group selects none of the hosts there are.");
            return Ok(Exit::Done);
        }
    }
    if output.is_json() {
        output.json(&answer);
        return Ok(Exit::Done);
    }
    let hosts: Vec<Host> = parse(&answer["hosts"])?;
    if hosts.is_empty() {
        output.line("There are no hosts yet: pipectl join-token create --role deploy");
        return Ok(Exit::Done);
    }
    let rows = hosts.iter().map(|host| {
        let serves: Vec<String> = host.groups.iter().map(serves).collect();
        vec![
            clean(&host.agent.name),
            condition(&host.agent),
            ago(&host.agent.seen_at),
            serves.join(", "),
            tags(&host.agent),
        ]
    });
    output.line(table(
        output.painter,
        &["host", "state", "seen", "serves", "tags"],
        rows.collect(),
    ));
    Ok(Exit::Done)
}

fn is_selected(group: &Group, host: &serde_json::Value) -> bool {
    let tags = serde_json::from_value::<BTreeMap<String, String>>(host["tags"].clone());
    tags.is_ok_and(|tags| group.hosts.matches(&tags))
}

fn serves(served: &Served) -> String {
    let what = match (&served.revision, served.serving.as_str()) {
        (Some(revision), _) => clean(&revision.label),
        (None, "broken") => "broken".to_owned(),
        (None, _) => "unknown".to_owned(),
    };
    format!("{}: {what}", clean(&served.group))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_selector_takes_hosts_by_their_tags() {
        let text = "version: 1\ngroup: g\napplication: a\nhosts:\n  tags: {role: web}\n  \
                    selector: {not: {tags: {state: retired}}}\n";
        let group = pipelines::spec::group::parse(text).value.unwrap();
        let host = |tags: serde_json::Value| json!({"name": "host-1", "tags": tags});
        assert!(is_selected(&group, &host(json!({"role": "web"}))));
        assert!(!is_selected(&group, &host(json!({"role": "web", "state": "retired"}))));
        assert!(!is_selected(&group, &host(json!({"role": "db"}))));
        assert!(!is_selected(&group, &json!({"name": "host-1"})));
    }
}
