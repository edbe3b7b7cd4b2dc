//! Agents of both roles, silent ones first.

use crate::Web;
use crate::auth::Viewer;
use crate::error::Result;
use crate::headers::Nonce;
use crate::shell::Shell;
use crate::words::count;
use crate::words::status::{Mark, mark};
use crate::words::time::Moment;
use askama::Template;
use axum::extract::State;
use axum::response::Html;
use pipelines::time::Timestamp;
use store::agents::{self, Row};

#[derive(Template)]
#[template(path = "agents/page.html")]
struct Page {
    shell: Shell,
    view: View,
}

struct View {
    sentence: String,
    agents: Vec<AgentLine>,
}

pub struct AgentLine {
    pub name: String,
    pub role: &'static str,
    pub mark: Mark,
    pub unfit: Option<String>,
    pub seen: Moment,
    pub version: String,
    pub address: String,
    pub tags: String,
}

pub async fn show(
    State(web): State<Web>,
    Viewer(person): Viewer,
    nonce: Nonce,
) -> Result<Html<String>> {
    let mut conn = web.pool.acquire().await?;
    let agents = agents::list(&mut conn, web.lease.silent_for_max).await?;
    let now = store::clock::now(&mut conn).await?;
    drop(conn);
    let shell = Shell::new(nonce, Some(&person), "/agents");
    Ok(Html(Page { shell, view: view(&agents, now) }.render()?))
}

fn view(agents: &[Row], now: Timestamp) -> View {
    let mut rows: Vec<&Row> = agents.iter().collect();
    rows.sort_by_key(|agent| agent.alive);
    let silent = rows.iter().filter(|agent| !agent.alive).count();
    let builders = rows.iter().filter(|agent| agent.role == "build" && agent.alive).count();
    let sentence = match (rows.len(), silent, builders) {
        (0, ..) => "No agent has joined yet".to_owned(),
        (all, 0, 0) => format!("{}, but none that builds", count(all, "agent")),
        (all, 0, _) => format!("{}, all heard from", count(all, "agent")),
        (all, silent, _) => format!("{silent} of {} silent", count(all, "agent")),
    };
    View { sentence, agents: rows.iter().map(|agent| line(agent, now)).collect() }
}

pub fn line(agent: &Row, now: Timestamp) -> AgentLine {
    let word = match (agent.alive, &agent.unfit) {
        (false, _) => "lost",
        (true, Some(_)) => "unfit",
        (true, None) => agent.state.as_str(),
    };
    let tags = agent.tags.iter().map(|(key, value)| format!("{key}={value}"));
    AgentLine {
        name: agent.name.clone(),
        role: agent.role().as_str(),
        mark: mark(word, false),
        unfit: agent.unfit.clone(),
        seen: Moment::new(agent.seen_at(), now),
        version: agent.version.clone(),
        address: agent.address.clone().unwrap_or_default(),
        tags: tags.collect::<Vec<_>>().join(" "),
    }
}
