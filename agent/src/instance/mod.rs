//! Hosts that a deployment makes: containers beside this agent's Docker engine, each with an agent of
//! its own inside that joins the controller by itself.

mod docker;
mod seen;

use crate::build::docker::Engine;
use crate::context::TaskContext;
use crate::link::failed;
use docker::{Made, Owner, Wanted};
use pipelines::ids::DeploymentId;
use pipelines::protocol::answer::{Answer, Launched};
use pipelines::protocol::join::JoinToken;
use pipelines::protocol::report::{ErrorCode, Outcome};
use pipelines::protocol::task::{Dismiss, Launch};
use seen::Word;
use std::collections::BTreeMap;

/// Makes a host, or finds the one that an earlier try made. Its agent joining is the controller's
/// business. Stopped half-way, it takes away what it made.
pub async fn launch(launch: &Launch, ctx: &TaskContext) -> Outcome {
    let (name, owner) = (&launch.name, Owner::of_launch(launch));
    let _held = match turn(ctx, owner.installation, name, launch.deployment).await {
        Ok(held) => held,
        Err(outcome) => return outcome,
    };
    let engine = match Engine::at(ctx.settings.docker_host.as_deref()).await {
        Ok(engine) => engine,
        Err(error) => return unreachable(&error),
    };
    let Ok(token) = launch.token.parse::<JoinToken>() else {
        return failed(
            ErrorCode::AgentError,
            "the controller sent no join token".to_owned(),
            false,
        );
    };
    let wanted = Wanted { launch, token_id: token.id };
    match wanted.make(&engine, &ctx.cancel).await {
        Ok(Made::Runs) => {
            let network = launch.settings.network.as_deref();
            let address = match docker::address(&engine, name, network).await {
                Ok(address) => address,
                Err(message) => return failed(ErrorCode::AgentError, message, false),
            };
            let at = address.as_ref().map_or_else(String::new, |address| format!(" at {address}"));
            let image = &launch.settings.image;
            ctx.log.say(&format!("[instance] {name} runs from {image}{at}")).await;
            succeeded(Some(Answer::Launched(Launched { address })))
        }
        Ok(Made::Stopped) => {
            let touched = match wanted.unmake(&engine).await {
                Ok(()) => false,
                Err(message) => {
                    ctx.log.say(&format!("[instance] half made, and stays: {message}")).await;
                    true
                }
            };
            ctx.stopped(Vec::new(), None, touched)
        }
        Err(message) => failed(ErrorCode::AgentError, message, false),
    }
}

/// Takes a host away with everything on it. One that is not there was taken away before.
pub async fn dismiss(dismiss: &Dismiss, ctx: &TaskContext) -> Outcome {
    let (name, owner) = (&dismiss.name, Owner::of_dismiss(dismiss));
    let _held = match turn(ctx, owner.installation, name, dismiss.deployment).await {
        Ok(held) => held,
        Err(outcome) => return outcome,
    };
    let engine = match Engine::at(ctx.settings.docker_host.as_deref()).await {
        Ok(engine) => engine,
        Err(error) => return unreachable(&error),
    };
    match docker::remove(&engine, name, owner).await {
        Ok(()) => {
            ctx.log.say(&format!("[instance] {name} is gone")).await;
            succeeded(None)
        }
        Err(message) => failed(ErrorCode::AgentError, message, false),
    }
}

/// Waits until nobody else is at work on this name. Err with the outcome of a task that a later one
/// has overtaken, or that was stopped while it waited.
async fn turn(
    ctx: &TaskContext,
    installation: &str,
    name: &str,
    deployment: DeploymentId,
) -> Result<tokio::sync::OwnedMutexGuard<()>, Outcome> {
    let word = Word { deployment, attempt: ctx.key.attempt };
    // Before its turn, so that an earlier one that waits as well is overtaken.
    hear(ctx, installation, name, word).await?;
    let held = tokio::select! {
        held = seen::turn(name) => held,
        () = ctx.cancel.cancelled() => return Err(ctx.stopped(Vec::new(), None, false)),
    };
    hear(ctx, installation, name, word).await?;
    Ok(held)
}

async fn hear(
    ctx: &TaskContext,
    installation: &str,
    name: &str,
    word: Word,
) -> Result<(), Outcome> {
    let (state, of) = (ctx.dirs.state.clone(), (installation.to_owned(), name.to_owned()));
    let hear = move || seen::hear(&state, (of.0.as_str(), of.1.as_str()), word);
    match tokio::task::spawn_blocking(hear).await.map_err(std::io::Error::other).flatten() {
        Ok(true) => Ok(()),
        Ok(false) => {
            let message = format!(
                "attempt {} of {} on the container {name} came too late: a later one was heard of",
                word.attempt, word.deployment
            );
            Err(failed(ErrorCode::Fenced, message, false))
        }
        Err(e) => {
            let message = format!("keeping what was heard of the container {name}: {e}");
            Err(failed(ErrorCode::AgentError, message, false))
        }
    }
}

fn unreachable(error: &bollard::errors::Error) -> Outcome {
    let message = format!("the Docker engine beside this agent does not answer: {error}");
    failed(ErrorCode::AgentError, message, false)
}

fn succeeded(answer: Option<Answer>) -> Outcome {
    Outcome::Succeeded {
        steps: Vec::new(),
        artifacts: Vec::new(),
        exported: BTreeMap::new(),
        answer,
    }
}
