//! `pipectl drift`: which files on a group's hosts are not what was installed.

use super::Context;
use super::planned::paths;
use super::target;
use crate::answer::plan::Change;
use crate::connect::parse;
use crate::exit::{Exit, Failure, Result};
use crate::output::{Painter, clean, table};
use clap::Args;
use serde::Deserialize;
use serde_json::json;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pipectl drift production                   exits with 1 when a host has drifted
  pipectl drift production --host host-2 -o json")]
pub struct Arguments {
    /// The deployment group.
    #[arg(value_parser = target::name)]
    group: String,
    /// Only this host.
    #[arg(long, value_parser = target::name)]
    host: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Drift {
    group: String,
    hosts: Vec<Host>,
    drifted: usize,
    silent: usize,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Host {
    name: String,
    state: String,
    message: Option<String>,
    revision: Option<String>,
    installed: Option<String>,
    files: u64,
    drifted: u64,
    altered: usize,
    removed: usize,
    drift: Vec<Change>,
}

pub async fn run(context: &Context<'_>, arguments: Arguments) -> Result<Exit> {
    let path = format!("/api/v1/groups/{}/drift", arguments.group);
    let answer = context.client()?.post(&path, json!({"host": arguments.host})).await?;
    let drift: Drift = parse(&answer)?;
    let output = context.output;
    if output.is_json() {
        output.json(&answer);
    } else {
        text(output.painter, &drift).iter().for_each(|line| output.line(line));
    }
    if drift.drifted > 0 {
        return Ok(Exit::Failed);
    }
    if !drift.hosts.is_empty() && drift.silent == drift.hosts.len() {
        // The answer is printed already; in JSON there is no room for a second one.
        let help = "bring their agents back: 'pipectl hosts' says since when they are silent";
        let message = format!("no host of {} answered", drift.group);
        output.failure_note(&Failure::failed(message, help));
        return Ok(Exit::Failed);
    }
    Ok(Exit::Done)
}

fn text(painter: Painter, drift: &Drift) -> Vec<String> {
    if drift.hosts.is_empty() {
        return vec![format!("No host belongs to {}.", clean(&drift.group))];
    }
    let rows = drift.hosts.iter().map(|host| {
        let (state, what) = cells(host);
        let revision = host.revision.as_deref().map_or_else(|| "–".to_owned(), clean);
        vec![clean(&host.name), state, revision, what]
    });
    let mut lines = vec![table(painter, &["host", "state", "revision", "files"], rows.collect())];
    for host in drift.hosts.iter().filter(|host| !host.drift.is_empty()) {
        lines.push(String::new());
        lines.push(painter.strong(&clean(&host.name)));
        lines.extend(paths(&host.drift, host.drifted));
    }
    if drift.drifted > 0 {
        lines.push(String::new());
        lines.push(format!(
            "To put back what was installed: pipectl deploy {}",
            clean(&drift.group)
        ));
    }
    lines
}

/// The state with its glyph, and what there is to say about files.
fn cells(host: &Host) -> (String, String) {
    let files = match host.files {
        1 => "1 file".to_owned(),
        files => format!("{files} files"),
    };
    let differs = match (host.drifted, host.altered, host.removed) {
        (0, ..) => String::new(),
        (_, altered, 0) => format!(", {altered} altered"),
        (_, 0, removed) => format!(", {removed} removed"),
        (_, altered, removed) => format!(", {altered} altered, {removed} removed"),
    };
    let message = || host.message.as_deref().map(clean).unwrap_or_default();
    match host.state.as_str() {
        "in-order" => ("✓ in order".into(), files),
        "drifted" => ("✗ drifted".into(), format!("{files}{differs}")),
        "other-revision" => {
            let short = clean(host.installed.as_deref().unwrap_or_default());
            let short: String = short.chars().take(12).collect();
            ("✗ other revision".into(), format!("{files} of {short}{differs}"))
        }
        "missing" => ("✗ missing".into(), "nothing is installed".to_owned()),
        "not-installed" => ("– not installed".into(), String::new()),
        "silent" => ("‖ silent".into(), "its agent did not answer".to_owned()),
        "failed" => ("‖ unknown".into(), message()),
        _ => ("– not asked".into(), message()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(value: serde_json::Value) -> Host {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn every_host_has_a_line_and_drifted_files_are_named() {
        let drift = Drift {
            group: "production".into(),
            drifted: 1,
            silent: 1,
            hosts: vec![
                host(
                    json!({"name": "host-1", "state": "in-order", "revision": "a1 First", "files": 3}),
                ),
                host(json!({
                    "name": "host-2", "state": "drifted", "revision": "a1 First", "files": 3,
                    "drifted": 2, "altered": 1, "removed": 1,
                    "drift": [{"path": "/srv/shop/a", "change": "altered"},
                              {"path": "/srv/shop/b", "change": "removed"}]
                })),
                host(json!({"name": "host-3", "state": "silent"})),
            ],
        };
        let text = text(Painter { colours: false }, &drift).join("\n");
        let expected = "HOST    STATE       REVISION  FILES
host-1  ✓ in order  a1 First  3 files
host-2  ✗ drifted   a1 First  3 files, 1 altered, 1 removed
host-3  ‖ silent    –         its agent did not answer

host-2
  ~ /srv/shop/a
  - /srv/shop/b

To put back what was installed: pipectl deploy production";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_host_on_another_revision_is_no_host_in_order() {
        let other =
            host(json!({"state": "other-revision", "installed": "ab".repeat(32), "files": 1}));
        assert_eq!(cells(&other), ("✗ other revision".into(), "1 file of abababababab".into()));
        let missing = host(json!({"state": "missing"}));
        assert_eq!(cells(&missing).1, "nothing is installed");
    }
}
