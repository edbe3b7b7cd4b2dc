//! Hosts: what each serves, silent ones first.

use super::agents::{AgentLine, line};
use crate::Web;
use crate::auth::Viewer;
use crate::error::Result;
use crate::headers::Nonce;
use crate::shell::Shell;
use crate::words::count;
use crate::words::status::{Mark, mark};
use askama::Template;
use axum::extract::State;
use axum::response::Html;
use pipelines::protocol::join::Role;
use pipelines::protocol::task::Revision;
use pipelines::time::Timestamp;
use store::agents;
use store::groups::{self, ServedRow};

#[derive(Template)]
#[template(path = "hosts/page.html")]
struct Page {
    shell: Shell,
    view: View,
}

struct View {
    sentence: String,
    hosts: Vec<HostLine>,
}

struct HostLine {
    agent: AgentLine,
    serves: Vec<ServesLine>,
}

struct ServesLine {
    group: String,
    mark: Mark,
    text: String,
}

pub async fn show(
    State(web): State<Web>,
    Viewer(person): Viewer,
    nonce: Nonce,
) -> Result<Html<String>> {
    let mut conn = web.pool.acquire().await?;
    let agents = agents::list(&mut conn, web.lease.silent_for_max).await?;
    let served = groups::served(&mut conn).await?;
    let now = store::clock::now(&mut conn).await?;
    drop(conn);
    let shell = Shell::new(nonce, Some(&person), "/hosts");
    Ok(Html(Page { shell, view: view(&agents, &served, now) }.render()?))
}

fn view(agents: &[agents::Row], served: &[ServedRow], now: Timestamp) -> View {
    let mut rows: Vec<&agents::Row> =
        agents.iter().filter(|agent| agent.role() == Role::Deploy).collect();
    rows.sort_by_key(|agent| agent.alive);
    let silent = rows.iter().filter(|agent| !agent.alive).count();
    let sentence = match (rows.len(), silent) {
        (0, _) => "No host has joined yet".to_owned(),
        (all, 0) => format!("{}, all heard from", count(all, "host")),
        (all, silent) => format!("{silent} of {} silent", count(all, "host")),
    };
    let hosts = rows.iter().map(|agent| HostLine {
        agent: line(agent, now),
        serves: served
            .iter()
            .filter(|served| served.agent_id == agent.id)
            .map(|served| serves_line(agent.alive, served))
            .collect(),
    });
    View { sentence, hosts: hosts.collect() }
}

fn serves_line(alive: bool, served: &ServedRow) -> ServesLine {
    let revision = served.revision.as_ref().map(|revision| &revision.0);
    let (mark, text) = served_mark(alive, Some(&served.serving), revision);
    ServesLine { group: served.group_name.clone(), mark, text }
}

/// What a host is known to serve. Never green for one that is silent.
pub fn served_mark(
    alive: bool,
    serving: Option<&str>,
    revision: Option<&Revision>,
) -> (Mark, String) {
    let label = revision.map(|revision| revision.label.clone());
    match (alive, serving, label) {
        (false, _, Some(label)) => (mark("lost", false), format!("{label} when last seen")),
        (false, _, None) => (mark("lost", false), "unknown".to_owned()),
        (true, Some("revision"), Some(label)) => {
            (Mark { word: "serving".to_owned(), ..mark("succeeded", false) }, label)
        }
        (true, Some("broken"), _) => (
            Mark { word: "broken".to_owned(), ..mark("failed", false) },
            "nothing that works".to_owned(),
        ),
        (true, None, _) => {
            (Mark { word: "empty".to_owned(), ..mark("pending", false) }, "nothing yet".to_owned())
        }
        (true, Some(_), _) => {
            (Mark { word: "unknown".to_owned(), ..mark("waiting", false) }, "unknown".to_owned())
        }
    }
}
