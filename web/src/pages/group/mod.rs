//! A deployment group: what it serves, its hosts, its deployments, and the way back.

use super::hosts::served_mark;
use super::lines::DeploymentLine;
use crate::Web;
use crate::auth::Viewer;
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
use axum::response::Html;
use pipelines::ids::DeploymentId;
use pipelines::protocol::task::Revision;
use pipelines::time::Timestamp;
use store::users::Role;
use store::{deployments, groups};

#[derive(Template)]
#[template(path = "group/page.html")]
struct Page {
    shell: Shell,
    view: View,
    may_roll_back: bool,
}

struct View {
    name: String,
    sentence: String,
    application: String,
    version: i32,
    text: String,
    hosts: Vec<HostLine>,
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
    let may_roll_back = person.may(Role::Operator);
    Ok(Html(Page { shell, view, may_roll_back }.render()?))
}

fn view(
    group: &groups::Row,
    hosts: &[groups::HostRow],
    deployments: &[deployments::Row],
    good: &[(DeploymentId, Revision)],
    now: Timestamp,
) -> View {
    let members = hosts.iter().filter(|host| group.spec.hosts.matches(&host.tags));
    let hosts: Vec<HostLine> = members.map(|host| host_line(host, now)).collect();
    let base = group.base.as_ref().map(|base| &base.0);
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
        good: good.collect(),
        deployments: deployments.iter().map(|row| DeploymentLine::new(row, now)).collect(),
    }
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
