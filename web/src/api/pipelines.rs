//! Registered pipelines.

use super::shared;
use crate::Web;
use crate::auth::Viewer;
use crate::error::Result;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use store::pipelines::Row;

#[derive(Serialize)]
pub struct PipelineBody {
    name: String,
    version: i32,
    updated_at: String,
    stages: Vec<String>,
}

impl From<&Row> for PipelineBody {
    fn from(row: &Row) -> PipelineBody {
        PipelineBody {
            name: row.name.clone(),
            version: row.version,
            updated_at: shared::at(row.updated_at),
            stages: row.spec.stages.iter().map(|stage| stage.name.clone()).collect(),
        }
    }
}

#[derive(Serialize)]
pub struct PipelineList {
    pipelines: Vec<PipelineBody>,
}

pub async fn list(State(web): State<Web>, _: Viewer) -> Result<Json<PipelineList>> {
    let mut conn = web.pool.acquire().await?;
    let rows = store::pipelines::list(&mut conn).await?;
    Ok(Json(PipelineList { pipelines: rows.iter().map(PipelineBody::from).collect() }))
}
