//! The overview: what needs somebody, what runs where, and the last runs.

use super::lines::{DeploymentLine, RunLine};
use crate::Web;
use crate::auth::Viewer;
use crate::error::Result;
use crate::headers::Nonce;
use crate::shell::Shell;
use crate::words::status::{Mark, mark};
use crate::words::time::Moment;
use crate::words::waiting::needs_person;
use askama::Template;
use axum::extract::State;
use axum::response::Html;
use pipelines::time::Timestamp;
use store::{agents, deployments, groups, pipelines as registered, runs};

#[derive(Template)]
#[template(path = "overview/page.html")]
struct Page {
    shell: Shell,
    public_url: String,
    view: View,
}

struct View {
    sentence: String,
    needs: Vec<Need>,
    groups: Vec<GroupLine>,
    pipelines: Vec<String>,
    runs: Vec<RunLine>,
}

/// Something that waits for a person.
struct Need {
    mark: Mark,
    text: String,
    url: String,
}

struct GroupLine {
    name: String,
    application: String,
    serves: Option<String>,
    last: Option<DeploymentLine>,
}

/// What the page is made of.
struct Rows {
    now: Timestamp,
    runs: Vec<runs::Summary>,
    deployments: Vec<deployments::Row>,
    groups: Vec<groups::Row>,
    pipelines: Vec<registered::Row>,
    agents: Vec<agents::Row>,
}

pub async fn show(State(web): State<Web>, viewer: Viewer, nonce: Nonce) -> Result<Html<String>> {
    let mut conn = web.pool.acquire().await?;
    let rows = Rows {
        now: store::clock::now(&mut conn).await?,
        runs: runs::list(&mut conn, None, None, 20).await?,
        deployments: deployments::list(&mut conn, None, None, 50).await?,
        groups: groups::list(&mut conn).await?,
        pipelines: registered::list(&mut conn).await?,
        agents: agents::list(&mut conn, web.lease.silent_for_max).await?,
    };
    drop(conn);
    let shell = Shell::new(nonce, Some(&viewer.0), "/");
    let page = Page { shell, public_url: web.public_url.clone(), view: view(&rows) };
    Ok(Html(page.render()?))
}

fn view(rows: &Rows) -> View {
    let needs = needs(rows);
    let running = rows.runs.iter().filter(|run| run.finished_at.is_none()).count();
    let moving = match running {
        0 => "nothing runs".to_owned(),
        1 => "1 run is under way".to_owned(),
        more => format!("{more} runs are under way"),
    };
    let sentence = match needs.len() {
        0 => format!("All is well: {moving}"),
        1 => format!("One thing needs you; {moving}"),
        more => format!("{more} things need you; {moving}"),
    };
    View {
        sentence,
        needs,
        groups: rows.groups.iter().map(|group| group_line(rows, group)).collect(),
        pipelines: rows.pipelines.iter().map(|pipeline| pipeline.name.clone()).collect(),
        runs: rows.runs.iter().map(|run| RunLine::new(run, rows.now)).collect(),
    }
}

fn needs(rows: &Rows) -> Vec<Need> {
    let asking = rows.runs.iter().filter(|run| needs_person(&run.waiting));
    let asking = asking.map(|run| {
        let line = RunLine::new(run, rows.now);
        let what = run.waiting.iter().find(|waiting| waiting.person);
        let what = what.map(|waiting| waiting.what.as_str()).unwrap_or_default();
        Need { mark: line.mark, text: format!("{}: {what}", line.name), url: line.url }
    });
    let paused = rows.deployments.iter().filter(|row| needs_person(&row.waiting));
    let paused = paused.map(|row| {
        let line = DeploymentLine::new(row, rows.now);
        Need { mark: line.mark, text: line.sentence, url: line.url }
    });
    // The newest deployment of a group says how the group is.
    let bad = rows.groups.iter().filter_map(|group| latest(rows, group)).filter(|row| {
        row.stuck.is_some() || matches!(row.status.as_str(), "failed" | "rollback-failed")
    });
    let bad = bad.map(|row| {
        let line = DeploymentLine::new(row, rows.now);
        Need { mark: line.mark, text: line.sentence, url: line.url }
    });
    let lost = rows.agents.iter().filter(|agent| !agent.alive).map(|agent| Need {
        mark: mark("lost", false),
        text: format!(
            "{} was last seen {}",
            agent.name,
            Moment::new(agent.seen_at(), rows.now).ago
        ),
        url: if agent.role == "build" { "/agents".to_owned() } else { "/hosts".to_owned() },
    });
    asking.chain(paused).chain(bad).chain(lost).collect()
}

fn latest<'a>(rows: &'a Rows, group: &groups::Row) -> Option<&'a deployments::Row> {
    rows.deployments.iter().find(|row| row.group_id == group.id)
}

fn group_line(rows: &Rows, group: &groups::Row) -> GroupLine {
    GroupLine {
        name: group.name.clone(),
        application: group.spec.application.clone(),
        serves: group.base.as_ref().map(|base| base.label.clone()),
        last: latest(rows, group).map(|row| DeploymentLine::new(row, rows.now)),
    }
}
