//! A deployment group: what it serves, its hosts, its deployments, and the way back.

use super::hosts::served_mark;
use super::lines::DeploymentLine;
use crate::Web;
use crate::api::drift;
use crate::auth::{Developer, Posted, Viewer};
use crate::error::Result;
use crate::extract::Path;
use crate::headers::Nonce;
use crate::intent;
use crate::shell::Shell;
use crate::words::count;
use crate::words::status::{Mark, Status};
use crate::words::time::Moment;
use askama::Template;
use axum::extract::State;
use axum::response::{Html, Redirect};
use pipelines::ids::DeploymentId;
use pipelines::protocol::task::Revision;
use pipelines::time::Timestamp;
use serde::Deserialize;
use store::users::Role;
use store::{deployments, groups};

#[derive(Template)]
#[template(path = "group/page.html")]
struct Page {
    shell: Shell,
    view: View,
    may_roll_back: bool,
    may_ask: bool,
    /// What hosts said last about their files.
    drift: Option<String>,
    csrf: String,
}

struct View {
    name: String,
    sentence: String,
    application: String,
    version: i32,
    text: String,
    hosts: Vec<HostLine>,
    /// Hosts that are not on the group's revision.
    behind: Option<String>,
    good: Vec<GoodLine>,
    deployments: Vec<DeploymentLine>,
}

struct HostLine {
    name: String,
    mark: Mark,
    serves: String,
    seen: Moment,
}

/// A revision the group could go back to.
struct GoodLine {
    deployment: String,
    label: String,
    is_current: bool,
}

pub async fn show(
    State(web): State<Web>,
    Viewer(person): Viewer,
    nonce: Nonce,
    Path(name): Path<String>,
) -> Result<Html<String>> {
    let mut conn = web.pool.acquire().await?;
    let group = intent::group(&mut conn, &name).await?;
    let hosts = groups::hosts(&mut conn, group.id, web.lease.silent_for_max).await?;
    let deployments = deployments::list(&mut conn, Some(&name), None, 20).await?;
    let good = deployments::good_revisions(&mut conn, group.id, 5).await?;
    let now = store::clock::now(&mut conn).await?;
    drop(conn);
    let view = view(&group, &hosts, &deployments, &good, now);
    let shell = Shell::new(nonce, Some(&person), "");
    let page = Page {
        shell,
        view,
        may_roll_back: person.may(Role::Operator),
        may_ask: person.may(Role::Developer),
        drift: web.drifts.known(&name).map(|known| known.line(now)),
        csrf: person.csrf().to_owned(),
    };
    Ok(Html(page.render()?))
}

/// A button without a choice.
#[derive(Deserialize)]
pub struct Nothing {}

/// Asks the hosts what is installed on them, and shows the group again.
pub async fn ask_drift(
    State(web): State<Web>,
    Developer(_): Developer,
    Path(name): Path<String>,
    Posted(Nothing {}): Posted<Nothing>,
) -> Result<Redirect> {
    drift::ask(&web, &name, None).await?;
    Ok(Redirect::to(&format!("/groups/{name}")))
}

fn view(
    group: &groups::Row,
    hosts: &[groups::HostRow],
    deployments: &[deployments::Row],
    good: &[(DeploymentId, Revision)],
    now: Timestamp,
) -> View {
    let members = hosts.iter().filter(|host| group.spec.hosts.matches(&host.tags));
    let base = group.base.as_ref().map(|base| &base.0);
    let behind = base.and_then(|base| behind(base, members.clone()));
    let hosts: Vec<HostLine> = members.map(|host| host_line(host, now)).collect();
    let all = count(hosts.len(), "host");
    let sentence = match base {
        Some(base) => {
            let serving = hosts.iter().filter(|host| host.mark.status == Status::Done);
            let serving = serving.filter(|host| host.serves == base.label).count();
            let on = if serving == hosts.len() { all } else { format!("{serving} of {all}") };
            format!("{} serves {} on {on}", group.name, base.label)
        }
        None => format!("Nothing was deployed to {} yet; it has {all}", group.name),
    };
    let good = good.iter().map(|(id, revision)| GoodLine {
        deployment: id.to_string(),
        label: revision.label.clone(),
        is_current: base.is_some_and(|base| base.bundle.digest == revision.bundle.digest),
    });
    View {
        name: group.name.clone(),
        sentence,
        application: group.spec.application.clone(),
        version: group.version,
        text: group.text.clone(),
        hosts,
        behind,
        good: good.collect(),
        deployments: deployments.iter().map(|row| DeploymentLine::new(row, now)).collect(),
    }
}

/// Those whose last known revision is another one than the group's.
fn behind<'a>(base: &Revision, hosts: impl Iterator<Item = &'a groups::HostRow>) -> Option<String> {
    let is_behind = |host: &&groups::HostRow| {
        let noted = host.revision.as_ref().map(|revision| &revision.0.bundle.digest);
        noted.is_some_and(|noted| *noted != base.bundle.digest)
    };
    let named = hosts.filter(is_behind).map(|host| {
        let label = host.revision.as_ref().map_or("", |revision| revision.0.label.as_str());
        format!("{} ({label})", host.name)
    });
    let named: Vec<String> = named.collect();
    (!named.is_empty()).then(|| {
        format!(
            "Not on {}: {}. The next deployment brings them there.",
            base.label,
            named.join(", ")
        )
    })
}

fn host_line(host: &groups::HostRow, now: Timestamp) -> HostLine {
    let (mark, serves) =
        served_mark(host.alive, host.serving.as_deref(), host.revision.as_ref().map(|r| &r.0));
    HostLine {
        name: host.name.clone(),
        mark,
        serves,
        seen: Moment::new(Timestamp(host.seen_at), now),
    }
}
