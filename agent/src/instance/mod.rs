//! Hosts that a deployment makes: containers beside this agent's Docker engine, each with an agent of
//! its own inside that joins the controller by itself.

mod docker;

use crate::build::docker::Engine;
use crate::context::TaskContext;
use crate::link::failed;
use docker::Wanted;
use pipelines::protocol::join::JoinToken;
use pipelines::protocol::report::{ErrorCode, Outcome};
use pipelines::protocol::task::{Dismiss, Launch};
use std::collections::BTreeMap;

/// Makes a host, or finds the one that an earlier try made. Its agent joining is the controller's
/// business.
pub async fn launch(launch: &Launch, ctx: &TaskContext) -> Outcome {
    let name = &launch.name;
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
    tokio::select! {
        made = wanted.make(&engine) => match made {
            Ok(()) => {
                ctx.log.say(&format!("[instance] {name} runs from {}", launch.settings.image)).await;
                succeeded()
            }
            Err(message) => failed(ErrorCode::AgentError, message, false),
        },
        // What is half made is found by its name when it is dismissed.
        () = ctx.cancel.cancelled() => ctx.stopped(Vec::new(), None, true),
    }
}

/// Takes a host away with everything on it. One that is not there was taken away before.
pub async fn dismiss(dismiss: &Dismiss, ctx: &TaskContext) -> Outcome {
    let engine = match Engine::at(ctx.settings.docker_host.as_deref()).await {
        Ok(engine) => engine,
        Err(error) => return unreachable(&error),
    };
    match docker::remove(&engine, &dismiss.name, &dismiss.group).await {
        Ok(()) => {
            ctx.log.say(&format!("[instance] {} is gone", dismiss.name)).await;
            succeeded()
        }
        Err(message) => failed(ErrorCode::AgentError, message, false),
    }
}

fn unreachable(error: &bollard::errors::Error) -> Outcome {
    let message = format!("the Docker engine beside this agent does not answer: {error}");
    failed(ErrorCode::AgentError, message, false)
}

fn succeeded() -> Outcome {
    Outcome::Succeeded {
        steps: Vec::new(),
        artifacts: Vec::new(),
        exported: BTreeMap::new(),
        answer: None,
    }
}
