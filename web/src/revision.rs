//! Which revision somebody means who wants it deployed: a deployment's, a run's, or content by digest.

use crate::App;
use crate::auth::Person;
use crate::error::{Error, Result};
use crate::intent;
use pipelines::ids::DeploymentId;
use pipelines::protocol::task::{Purpose, Revision};
use pipelines::spec::pipeline::Work;
use store::{PgConnection, artifacts, deployments, groups};

/// A digest may be cut to this many digits.
const DIGITS_MIN: usize = 7;

/// Orders a deployment of the revision `text` names. Wake the engine after the commit.
pub async fn deploy(
    app: &App,
    conn: &mut PgConnection,
    group: &groups::Row,
    person: &Person,
    text: Option<&str>,
) -> Result<(DeploymentId, Revision)> {
    let revision = find(app, conn, group, text).await?;
    let (by, purpose) = (person.name(), Purpose::Forward);
    let order = deployments::Order { group: group.id, revision: &revision, purpose, by, run: None };
    Ok((intent::order(conn, group, &order).await?, revision))
}

/// The revision [`deploy`] would order: that of `d-3`, of `r-12`, with a digest, or without a name the one
/// the group is on. Its content is there.
pub async fn find(
    app: &App,
    conn: &mut PgConnection,
    group: &groups::Row,
    text: Option<&str>,
) -> Result<Revision> {
    let text = text.map(str::trim).filter(|text| !text.is_empty());
    let revision = match text {
        None => group.base.as_ref().map(|base| base.0.clone()).ok_or_else(|| {
            Error::conflict(
                format!("nothing was deployed to {} with success yet", group.name),
                "say what: a run (r-12), a deployment (d-3) or a digest; see 'pipectl runs'",
            )
        })?,
        Some(id) if id.starts_with("d-") => of_deployment(conn, group, id).await?,
        Some(id) if id.starts_with("r-") => of_run(conn, group, id).await?,
        Some(digest) => by_digest(conn, group, digest).await?,
    };
    match app.objects.find(&revision.bundle.digest).await {
        Ok(Some(_)) => Ok(revision),
        Ok(None) => Err(Error::conflict(
            format!("the artifact of {} is not kept any more", revision.label),
            "build it again: 'pipectl run PIPELINE --commit COMMIT'",
        )),
        Err(error) => Err(Error::internal(error)),
    }
}

async fn of_deployment(conn: &mut PgConnection, group: &groups::Row, id: &str) -> Result<Revision> {
    let row = intent::deployment(conn, id).await?;
    if row.group_id == group.id {
        return Ok(row.revision.0);
    }
    let other = intent::group(conn, &row.group_name).await?;
    let (theirs, ours) = (&other.spec.application, &group.spec.application);
    if theirs == ours {
        return Ok(row.revision.0);
    }
    Err(Error::conflict(
        format!("{id} deployed the application {theirs}, and {} serves {ours}", group.name),
        format!("choose a deployment of {ours}: 'pipectl deployments'"),
    ))
}

/// The artifact that the run's pipeline deploys to this group; of a pipeline that does not, the only one
/// there is.
async fn of_run(conn: &mut PgConnection, group: &groups::Row, id: &str) -> Result<Revision> {
    let row = intent::run(conn, id).await?;
    let actions = || row.spec.0.stages.iter().flat_map(|stage| &stage.actions);
    let meant = actions().find_map(|action| match &action.work {
        Work::Deploy(deploy) if deploy.group == group.name => Some(deploy.artifact.as_str()),
        _ => None,
    });
    let built: Vec<&str> = actions()
        .filter(|action| matches!(action.work, Work::Build(_)))
        .flat_map(|action| &action.outputs)
        .map(String::as_str)
        .collect();
    let name = match (meant, built.as_slice()) {
        (Some(name), _) => name,
        (None, [only]) => only,
        (None, _) => {
            return Err(Error::conflict(
                format!("pipeline {} does not deploy to {}", row.pipeline, group.name),
                format!("name the artifact by its digest: 'pipectl status {id} -o json' has them"),
            ));
        }
    };
    let Some(bundle) = row.state.artifact(name) else {
        return Err(Error::conflict(
            format!("run {id} has made no artifact '{name}': it is {}", row.status),
            format!("see 'pipectl status {id}'"),
        ));
    };
    Ok(row.state.deployable(&row.spec.0, row.number, bundle))
}

async fn by_digest(conn: &mut PgConnection, group: &groups::Row, text: &str) -> Result<Revision> {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    let is_digest = (DIGITS_MIN..=64).contains(&digits.len())
        && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if !is_digest {
        return Err(Error::bad_request(
            format!("'{text}' is no deployment, run or digest"),
            "write d-3, r-12, or at least seven digits of a SHA-256",
        ));
    }
    if let Some(known) = deployments::revision_by_digest(conn, group.id, digits).await? {
        return Ok(known);
    }
    let mut found = artifacts::by_prefix(conn, digits).await?;
    match (found.pop(), found.is_empty()) {
        (Some(bundle), true) => {
            let label = format!("artifact {}", bundle.digest.short());
            Ok(Revision { bundle, commit: None, label })
        }
        (None, _) => Err(Error::not_found(
            format!("artifact {digits}"),
            "see the digests in 'pipectl status RUN -o json'",
        )),
        (Some(_), false) => Err(Error::conflict(
            format!("several artifacts begin with {digits}"),
            "write more digits",
        )),
    }
}
