//! Hosts that have nothing to do: many agents in one process that join, take deployments and report at
//! once that they succeeded. What is left of a deployment then is orchestration: `make bench`.
//!
//! `pipeyard-swarm URL JOIN-TOKEN COUNT [TAG=VALUE...]` plays until it is killed.

use agent::controller::Controller;
use agent::identity::{Wish, join};
use anyhow::{Context as _, Result, bail};
use pipelines::protocol::VERSION;
use pipelines::protocol::poll::{Installed, PollRequest};
use pipelines::protocol::report::{Body, Outcome, Report};
use pipelines::protocol::task::{Part, Task, Work};
use pipelines::time::Millis;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::task::JoinSet;

/// How long the controller may hold a poll.
const WAIT: Millis = Millis::from_secs(10);
/// After an answer that was none.
const PAUSE: Duration = Duration::from_millis(500);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, token, count, tags @ ..] = arguments.as_slice() else {
        bail!("usage: pipeyard-swarm URL JOIN-TOKEN COUNT [TAG=VALUE...]");
    };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let tags: BTreeMap<String, String> = tags
        .iter()
        .map(|tag| tag.split_once('=').context("a tag is KEY=VALUE"))
        .map(|pair| pair.map(|(key, value)| (key.to_owned(), value.to_owned())))
        .collect::<Result<_>>()?;
    let mut hosts = JoinSet::new();
    for number in 1..=count.parse::<u32>().context("how many?")? {
        let wish = Wish {
            url: url.clone(),
            token: token.parse()?,
            name: format!("swarm-{number:03}"),
            tags: tags.clone(),
            allow_plain_http: false,
        };
        hosts.spawn(host(wish));
    }
    while let Some(ended) = hosts.join_next().await {
        ended??;
    }
    Ok(())
}

async fn host(wish: Wish) -> Result<()> {
    let place = tempfile::tempdir()?;
    let controller = join(place.path(), &wish).await?.controller(wish.allow_plain_http)?;
    let mut installed: BTreeMap<String, Installed> = BTreeMap::new();
    loop {
        let question = PollRequest {
            protocol: VERSION,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            boot: wish.name.clone(),
            holding: Vec::new(),
            free_slots: 1,
            installed: installed.values().cloned().collect(),
            wait: WAIT,
            unfit: None,
        };
        match controller.poll(&question).await {
            Ok(reply) => {
                for task in reply.tasks {
                    done(&controller, &wish.name, &task, &mut installed).await;
                }
            }
            Err(e) => {
                eprintln!("{}: {e}", wish.name);
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Says that it is done. A report that gets lost is no harm: the next poll holds nothing, so the
/// controller gives the task again.
async fn done(
    controller: &Controller,
    boot: &str,
    task: &Task,
    installed: &mut BTreeMap<String, Installed>,
) {
    if let Work::Deploy(deploy) = &task.work
        && deploy.parts.contains(&Part::Install)
    {
        let now = Installed {
            group: deploy.group.clone(),
            digest: Some(deploy.revision.bundle.digest.clone()),
            deployment: Some(deploy.deployment),
        };
        installed.insert(deploy.group.clone(), now);
    }
    let outcome = Outcome::Succeeded {
        steps: Vec::new(),
        artifacts: Vec::new(),
        exported: BTreeMap::new(),
        answer: None,
    };
    let body = Body::Finished { outcome, log_size: 0 };
    let report = Report { key: task.key, boot: boot.to_owned(), seq: 1, body };
    if let Err(e) = controller.report(&report).await {
        eprintln!("{boot}: {e}");
    }
}
