//! Drift: what is installed on a group's hosts, compared with what was installed there.

use super::plan::ChangeBody;
use crate::Web;
use crate::auth::{ByToken, Developer};
use crate::drifts;
use crate::error::{Error, Result};
use crate::extract::{Body, Path};
use crate::intent;
use crate::questions::{self, ASKED_MAX, PATIENCE, Question, Reply};
use axum::Json;
use axum::extract::State;
use pipelines::ids::AgentId;
use pipelines::protocol::answer::{Answer, Change, Inspection};
use pipelines::protocol::task::{Inspect, Work};
use serde::{Deserialize, Serialize};
use store::groups::{self, HostRow};

#[derive(Deserialize)]
pub struct Wanted {
    /// Only this one.
    host: Option<String>,
}

#[derive(Serialize)]
pub struct DriftBody {
    group: String,
    hosts: Vec<HostBody>,
    /// How many hosts differ from what was installed, and how many did not say.
    drifted: usize,
    silent: usize,
}

#[derive(Serialize)]
struct HostBody {
    name: String,
    /// in-order, drifted, other-revision, missing, not-installed, silent, failed, not-asked
    state: &'static str,
    message: Option<String>,
    /// Label of the revision that was noted to be served.
    revision: Option<String>,
    /// Digest of what is installed.
    installed: Option<String>,
    files: u64,
    altered: usize,
    removed: usize,
    /// How many files differ; the list is cut at 200.
    drifted: u64,
    drift: Vec<ChangeBody>,
}

pub async fn show(
    State(web): State<Web>,
    _: ByToken<Developer>,
    Path(name): Path<String>,
    Body(wanted): Body<Wanted>,
) -> Result<Json<DriftBody>> {
    Ok(Json(ask(&web, &name, wanted.host.as_deref()).await?))
}

/// Asks the hosts of a group, or only one of them; the pages show what all of them said.
pub async fn ask(web: &Web, name: &str, only: Option<&str>) -> Result<DriftBody> {
    let mut conn = web.pool.acquire().await?;
    let group = intent::group(&mut conn, name).await?;
    let mut hosts = groups::hosts(&mut conn, group.id, web.lease.silent_for_max).await?;
    drop(conn);
    hosts.retain(|host| host.state == "active" && group.spec.hosts.matches(&host.tags));
    if let Some(only) = only {
        hosts.retain(|host| host.name == only);
        if hosts.is_empty() {
            let help = "see 'pipectl hosts'; the group's selector decides who belongs to it";
            return Err(Error::not_found(format!("host '{only}' in group {name}"), help));
        }
    }
    let question = |host: &HostRow| Question {
        agent: AgentId(host.id),
        work: Work::Inspect(Inspect { group: name.to_owned() }),
        needs: Vec::new(),
    };
    let asked: Vec<Question> =
        hosts.iter().filter(|host| host.alive).take(ASKED_MAX).map(question).collect();
    let replies = questions::ask(web, asked, PATIENCE).await?;
    let hosts: Vec<HostBody> =
        hosts.iter().map(|host| HostBody::new(host, replies.get(&AgentId(host.id)))).collect();
    let is_off = |host: &&HostBody| matches!(host.state, "drifted" | "other-revision" | "missing");
    let is_silent = |host: &&HostBody| matches!(host.state, "silent" | "failed" | "not-asked");
    let drifted = hosts.iter().filter(is_off).count();
    if only.is_none() {
        let mut conn = web.pool.acquire().await?;
        let at = store::clock::now(&mut conn).await?;
        let said: Vec<drifts::Host<'_>> =
            hosts.iter().map(|host| (host.name.as_str(), host.state, host.drifted)).collect();
        let sentence = drifts::sentence(&said);
        web.drifts.keep(name, drifts::Known { at, sentence, is_off: drifted > 0 });
    }
    Ok(DriftBody {
        group: name.to_owned(),
        drifted,
        silent: hosts.iter().filter(is_silent).count(),
        hosts,
    })
}

impl HostBody {
    fn new(host: &HostRow, reply: Option<&Reply>) -> HostBody {
        let mut body = HostBody {
            name: host.name.clone(),
            state: if host.alive { "not-asked" } else { "silent" },
            message: None,
            revision: host.revision.as_ref().map(|revision| revision.label.clone()),
            installed: None,
            files: 0,
            altered: 0,
            removed: 0,
            drifted: 0,
            drift: Vec::new(),
        };
        match reply {
            Some(Reply::Answered(Answer::Inspection(found))) => body.found(host, found),
            Some(Reply::Answered(_)) => {
                body.state = "failed";
                body.message = Some("its agent answered something else".to_owned());
            }
            Some(Reply::Failed(why)) => {
                (body.state, body.message) = ("failed", Some(why.clone()));
            }
            Some(Reply::Silent) => body.state = "silent",
            None => {}
        }
        body
    }

    fn found(&mut self, host: &HostRow, found: &Inspection) {
        let noted = host.revision.as_ref().map(|revision| &revision.bundle.digest);
        let of = |change: Change| found.drift.iter().filter(|c| c.change == change).count();
        self.installed = found.installed.as_ref().map(ToString::to_string);
        self.files = found.files;
        (self.altered, self.removed) = (of(Change::Altered), of(Change::Removed));
        self.drifted = found.drifted;
        self.drift = found.drift.iter().map(ChangeBody::from).collect();
        self.state = match (noted, &found.installed) {
            (Some(_), None) => "missing",
            (None, None) => "not-installed",
            (Some(noted), Some(installed)) if noted != installed => "other-revision",
            _ if found.drifted > 0 => "drifted",
            _ => "in-order",
        };
    }
}
