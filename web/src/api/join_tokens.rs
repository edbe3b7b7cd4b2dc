//! Tokens that let a host join.

use super::shared;
use crate::Web;
use crate::auth::{Admin, ByToken};
use crate::error::{Error, Result};
use crate::extract::Body;
use crate::install;
use crate::install::line::{self, Fetcher, Proof};
use axum::Json;
use axum::extract::State;
use pipelines::protocol::join::{JoinToken, Role};
use pipelines::time::Millis;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Deserialize)]
pub struct NewToken {
    role: Role,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    uses: Option<i32>,
    valid_secs: Option<u64>,
}

#[derive(Serialize)]
pub struct TokenBody {
    /// Shown once.
    token: String,
    /// The one line to run on the host, as root.
    command: String,
    /// The same for a host without curl.
    command_wget: String,
    /// What a machine runs at its first start (EC2 user data): the same line, tried for a while.
    user_data: String,
    expires_at: String,
}

const VALID_DEFAULT: u64 = 3600;
const VALID_MAX: u64 = 30 * 24 * 3600;
const USES_MAX: i32 = 10_000;

pub async fn create(
    State(web): State<Web>,
    ByToken(Admin(person)): ByToken<Admin>,
    Body(wanted): Body<NewToken>,
) -> Result<Json<TokenBody>> {
    let (uses, valid) = (wanted.uses.unwrap_or(1), wanted.valid_secs.unwrap_or(VALID_DEFAULT));
    if !(1..=USES_MAX).contains(&uses) {
        return Err(Error::bad_request(
            format!("a token for {uses} uses cannot be made"),
            format!("use a number from 1 to {USES_MAX}"),
        ));
    }
    if !(1..=VALID_MAX).contains(&valid) {
        return Err(Error::bad_request(
            format!("a token cannot be valid for {valid} s"),
            "use at least a second and at most 30 days",
        ));
    }
    let valid = Millis::from_secs(valid);
    let mut conn = web.pool.acquire().await?;
    let (id, secret) = store::agents::create_join_token(
        &mut conn,
        wanted.role,
        &wanted.tags,
        uses,
        valid,
        person.name(),
    )
    .await?;
    let now = store::clock::now(&mut conn).await?;
    let token = JoinToken { id, secret, ca_sha256: web.ca_sha256.clone() }.to_string();
    let lines = Lines::of(&web, &token).await?;
    tracing::info!(by = person.name(), role = wanted.role.as_str(), uses, "a join token was made");
    Ok(Json(TokenBody {
        token,
        user_data: line::user_data(&lines.curl),
        command: lines.curl,
        command_wget: lines.wget,
        expires_at: shared::at((now + valid).0),
    }))
}

struct Lines {
    curl: String,
    wget: String,
}

impl Lines {
    async fn of(web: &Web, token: &str) -> Result<Lines> {
        // Without TLS the line proves the script, which has to be known for that.
        let in_the_clear = web.public_url.starts_with("http:");
        let script = if in_the_clear { install::script_text(web).await? } else { String::new() };
        let proof = match &web.ca_pem {
            _ if in_the_clear => Proof::Script(&script),
            Some(pem) => Proof::Authority(pem),
            None => Proof::System,
        };
        let with = |fetcher| line::line(&web.public_url, token, proof, fetcher);
        Ok(Lines { curl: with(Fetcher::Curl), wget: with(Fetcher::Wget) })
    }
}
