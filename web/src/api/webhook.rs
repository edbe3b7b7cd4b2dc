//! Where a forge sends its deliveries, and the secret it signs them with.

use crate::Web;
use crate::auth::{Admin, ByToken};
use crate::error::Result;
use crate::extract::Path;
use crate::intent;
use axum::Json;
use axum::extract::State;
use serde::Serialize;

#[derive(Serialize)]
pub struct WebhookBody {
    url: String,
    secret: String,
}

pub async fn show(
    State(web): State<Web>,
    ByToken(Admin(_)): ByToken<Admin>,
    Path(name): Path<String>,
) -> Result<Json<WebhookBody>> {
    let mut conn = web.pool.acquire().await?;
    let pipeline = intent::pipeline(&mut conn, &name).await?;
    Ok(Json(body(&web, &name, pipeline.webhook_counter)))
}

pub async fn rotate(
    State(web): State<Web>,
    ByToken(Admin(person)): ByToken<Admin>,
    Path(name): Path<String>,
) -> Result<Json<WebhookBody>> {
    let mut conn = web.pool.acquire().await?;
    let counter = store::pipelines::rotate_webhook(&mut conn, &name).await?;
    let counter = counter.ok_or_else(|| intent::no_pipeline(&name))?;
    tracing::info!(pipeline.name = name, by = person.name(), "a webhook secret was rotated");
    Ok(Json(body(&web, &name, counter)))
}

fn body(web: &Web, name: &str, counter: i32) -> WebhookBody {
    WebhookBody {
        url: format!("{}/hooks/github/{name}", web.public_url),
        secret: web.keys.webhook_secret(name, counter),
    }
}
