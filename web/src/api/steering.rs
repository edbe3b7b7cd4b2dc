//! What people want of deployments at work, one call each.

use crate::Web;
use crate::auth::{ByToken, Operator, Person};
use crate::error::Result;
use crate::extract::{Body, Path};
use crate::intent::approving::{self, Answer, Seen};
use crate::intent::{self, Steer};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

/// The wish was recorded; what becomes of it, the deployment shows.
#[derive(Serialize)]
pub struct Heard {
    accepted: bool,
    /// What there is to say beyond that.
    message: Option<String>,
}

type Answered = Result<(StatusCode, Json<Heard>)>;

#[derive(Deserialize)]
pub struct Reason {
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
pub struct Abort {
    #[serde(default)]
    reason: String,
    /// It turns back, and that is what is to stop.
    #[serde(default)]
    halt: bool,
}

#[derive(Deserialize)]
pub struct Promote {
    #[serde(default)]
    full: bool,
    /// The step it was seen held at, counted from 1; without it the one in progress is meant.
    step: Option<usize>,
    /// Of the orders that were seen; both stand in the deployment under `at`.
    generation: Option<u64>,
}

/// What was looked at stands in the deployment under `approval`.
#[derive(Deserialize)]
pub struct Decision {
    #[serde(flatten)]
    seen: Seen,
    #[serde(default)]
    comment: String,
}

pub async fn abort(
    State(web): State<Web>,
    ByToken(Operator(person)): ByToken<Operator>,
    Path(deployment): Path<String>,
    Body(Abort { reason, halt }): Body<Abort>,
) -> Answered {
    let wanted = if halt { Steer::Halt { reason } } else { Steer::Abort { reason } };
    steer(&web, &person, &deployment, wanted).await
}

pub async fn pause(
    State(web): State<Web>,
    ByToken(Operator(person)): ByToken<Operator>,
    Path(deployment): Path<String>,
    Body(Reason { reason }): Body<Reason>,
) -> Answered {
    steer(&web, &person, &deployment, Steer::Pause { reason }).await
}

pub async fn resume(
    State(web): State<Web>,
    ByToken(Operator(person)): ByToken<Operator>,
    Path(deployment): Path<String>,
    Body(_): Body<Reason>,
) -> Answered {
    steer(&web, &person, &deployment, Steer::Resume).await
}

pub async fn promote(
    State(web): State<Web>,
    ByToken(Operator(person)): ByToken<Operator>,
    Path(deployment): Path<String>,
    Body(Promote { full, step, generation }): Body<Promote>,
) -> Answered {
    steer(&web, &person, &deployment, Steer::Promote { full, step, generation }).await
}

pub async fn overrule(
    State(web): State<Web>,
    ByToken(Operator(person)): ByToken<Operator>,
    Path(deployment): Path<String>,
    Body(Reason { reason }): Body<Reason>,
) -> Answered {
    steer(&web, &person, &deployment, Steer::Override { reason }).await
}

pub async fn retry(
    State(web): State<Web>,
    ByToken(Operator(person)): ByToken<Operator>,
    Path((deployment, host)): Path<(String, String)>,
) -> Answered {
    steer(&web, &person, &deployment, Steer::Retry { host }).await
}

pub async fn exclude(
    State(web): State<Web>,
    ByToken(Operator(person)): ByToken<Operator>,
    Path((deployment, host)): Path<(String, String)>,
    Body(Reason { reason }): Body<Reason>,
) -> Answered {
    steer(&web, &person, &deployment, Steer::Exclude { host, reason }).await
}

async fn steer(web: &Web, person: &Person, deployment: &str, wanted: Steer) -> Answered {
    let mut tx = web.pool.begin().await?;
    let row = intent::deployment(&mut tx, deployment).await?;
    let silence = web.lease.silent_for_max;
    let message = intent::steer(&mut tx, &row, person, wanted, silence).await?;
    tx.commit().await?;
    web.wakes.engine();
    Ok((StatusCode::ACCEPTED, Json(Heard { accepted: true, message })))
}

pub async fn approve(
    State(web): State<Web>,
    ByToken(Operator(person)): ByToken<Operator>,
    Path(deployment): Path<String>,
    Body(decision): Body<Decision>,
) -> Answered {
    decide(&web, &person, &deployment, true, &decision).await
}

pub async fn reject(
    State(web): State<Web>,
    ByToken(Operator(person)): ByToken<Operator>,
    Path(deployment): Path<String>,
    Body(decision): Body<Decision>,
) -> Answered {
    decide(&web, &person, &deployment, false, &decision).await
}

async fn decide(
    web: &Web,
    person: &Person,
    deployment: &str,
    approved: bool,
    Decision { seen, comment }: &Decision,
) -> Answered {
    let mut tx = web.pool.begin().await?;
    let row = intent::deployment(&mut tx, deployment).await?;
    let answer = Answer { seen, approved, comment };
    approving::decide(&mut tx, &row, person, &answer).await?;
    tx.commit().await?;
    web.wakes.engine();
    Ok((StatusCode::ACCEPTED, Json(Heard { accepted: true, message: None })))
}
