//! Deployment groups, and going back to an earlier revision.

use super::shared::{self, RevisionBody};
use crate::Web;
use crate::auth::{ByToken, Operator, Viewer};
use crate::error::Result;
use crate::extract::{Body, Path};
use crate::{intent, revision};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use store::groups::Row;

#[derive(Serialize)]
pub struct GroupBody {
    name: String,
    application: String,
    version: i32,
    /// The revision of the last successful deployment.
    revision: Option<RevisionBody>,
    updated_at: String,
}

impl From<&Row> for GroupBody {
    fn from(row: &Row) -> GroupBody {
        GroupBody {
            name: row.name.clone(),
            application: row.spec.application.clone(),
            version: row.version,
            revision: row.base.as_ref().map(|base| RevisionBody::from(&base.0)),
            updated_at: shared::at(row.updated_at),
        }
    }
}

#[derive(Serialize)]
pub struct GroupList {
    groups: Vec<GroupBody>,
}

pub async fn list(State(web): State<Web>, _: Viewer) -> Result<Json<GroupList>> {
    let mut conn = web.pool.acquire().await?;
    let rows = store::groups::list(&mut conn).await?;
    Ok(Json(GroupList { groups: rows.iter().map(GroupBody::from).collect() }))
}

#[derive(Deserialize)]
pub struct Target {
    /// A deployment (`d-3`) or a digest.
    to: Option<String>,
}

#[derive(Serialize)]
pub struct Created {
    deployment: String,
    revision: RevisionBody,
}

pub async fn rollback(
    State(web): State<Web>,
    ByToken(Operator(person)): ByToken<Operator>,
    Path(name): Path<String>,
    Body(target): Body<Target>,
) -> Result<(StatusCode, Json<Created>)> {
    let mut tx = web.pool.begin().await?;
    let group = intent::group(&mut tx, &name).await?;
    let (deployment, revision) =
        intent::roll_back(&mut tx, &group, &person, target.to.as_deref()).await?;
    tx.commit().await?;
    web.wakes.engine();
    web.wakes.pages();
    let revision = RevisionBody::from(&revision);
    Ok((StatusCode::CREATED, Json(Created { deployment: deployment.to_string(), revision })))
}

#[derive(Deserialize)]
pub struct Wanted {
    /// A run (`r-12`), a deployment (`d-3`) or a digest; the revision the group is on by default.
    revision: Option<String>,
    /// Why it is to start although a window or a freeze is against it.
    #[serde(rename = "override")]
    overrule: Option<String>,
}

pub async fn deploy(
    State(web): State<Web>,
    ByToken(Operator(person)): ByToken<Operator>,
    Path(name): Path<String>,
    Body(wanted): Body<Wanted>,
) -> Result<(StatusCode, Json<Created>)> {
    let mut tx = web.pool.begin().await?;
    let group = intent::group(&mut tx, &name).await?;
    let Wanted { revision, overrule } = wanted;
    let (deployment, revision) =
        revision::deploy(&web, &mut tx, &group, &person, revision.as_deref()).await?;
    if let Some(reason) = overrule {
        intent::let_through(&mut tx, &group, deployment, &person, &reason).await?;
    }
    tx.commit().await?;
    web.wakes.engine();
    web.wakes.pages();
    let revision = RevisionBody::from(&revision);
    Ok((StatusCode::CREATED, Json(Created { deployment: deployment.to_string(), revision })))
}
