//! Containers as hosts. A container carries its installation, its group and the token it was made with as
//! labels: by them a second try finds the first one's, and nothing else is ever touched. Several
//! controllers may share one Docker engine, with groups and hosts of the same names.

use crate::build::docker::{Engine, status_of};
use crate::context::Cancel;
use bollard::errors::Error;
use bollard::models::{ContainerCreateBody, HostConfig, RestartPolicy, RestartPolicyNameEnum};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, InspectContainerOptions, RemoveContainerOptionsBuilder,
};
use pipelines::protocol::task::{Dismiss, Launch};
use std::collections::HashMap;

const LABEL_INSTALLATION: &str = "pipeyard.instance.installation";
const LABEL_GROUP: &str = "pipeyard.instance.group";
/// The token's public half: a container of an earlier try waits with a token that is good no longer.
const LABEL_TOKEN: &str = "pipeyard.instance.token";

/// A host to be made.
pub struct Wanted<'a> {
    pub launch: &'a Launch,
    /// The half of its token that may be shown.
    pub token_id: String,
}

/// Whose a container is.
#[derive(Debug, Clone, Copy)]
pub struct Owner<'a> {
    pub installation: &'a str,
    group: &'a str,
}

/// How making a host ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    Runs,
    /// It was told to stop before; something may be there.
    Stopped,
}

/// A container that has the name.
struct Found {
    installation: Option<String>,
    group: Option<String>,
    token: Option<String>,
}

impl Wanted<'_> {
    /// What the engine was asked for is waited for, stop or not: who does not wait cannot know what to
    /// take away again. Only fetching an image is cut off.
    pub async fn make(&self, engine: &Engine, cancel: &Cancel) -> Result<Made, String> {
        let name = &self.launch.name;
        let image = &self.launch.settings.image;
        let owner = Owner::of_launch(self.launch);
        let found = find(engine, name).await?;
        if let Some(found) = &found {
            found.is_of(name, owner)?;
        }
        if !found.is_some_and(|found| self.is_mine(&found)) {
            remove(engine, name, owner).await?;
            if cancel.is_cancelled() || self.create(engine, cancel).await? == Made::Stopped {
                return Ok(Made::Stopped);
            }
        }
        if cancel.is_cancelled() {
            return Ok(Made::Stopped);
        }
        let said =
            |error: Error| format!("the container {name} from {image} does not start: {error}");
        engine.start(name).await.map_err(said)?;
        Ok(if cancel.is_cancelled() { Made::Stopped } else { Made::Runs })
    }

    /// Takes away what [`Wanted::make`] made, and nothing of anybody else.
    pub async fn unmake(&self, engine: &Engine) -> Result<(), String> {
        let (name, owner) = (&self.launch.name, Owner::of_launch(self.launch));
        match find(engine, name).await? {
            Some(found) if found.is_of(name, owner).is_ok() && self.is_mine(&found) => {
                remove(engine, name, owner).await
            }
            Some(_) | None => Ok(()),
        }
    }

    fn is_mine(&self, found: &Found) -> bool {
        found.token.as_deref() == Some(&self.token_id)
    }

    async fn create(&self, engine: &Engine, cancel: &Cancel) -> Result<Made, String> {
        let (name, image) = (&self.launch.name, &self.launch.settings.image);
        let cannot = |error: Error| format!("cannot make a container from {image}: {error}");
        match self.try_create(engine).await {
            Err(error) if status_of(&error) == Some(404) => {
                tokio::select! {
                    pulled = engine.pull(image) => pulled.map_err(|error| {
                        format!("the image {image} is not here and cannot be fetched: {error}")
                    })?,
                    () = cancel.cancelled() => return Ok(Made::Stopped),
                }
                self.try_create(engine).await.map_err(cannot)?;
            }
            Err(error) if status_of(&error) == Some(409) => {
                return Err(format!("another container has the name {name}; remove it"));
            }
            made => made.map_err(cannot)?,
        }
        Ok(Made::Runs)
    }

    async fn try_create(&self, engine: &Engine) -> Result<(), Error> {
        let settings = &self.launch.settings;
        let mut env: Vec<String> = settings
            .env
            .iter()
            .filter(|(name, _)| !name.starts_with("PIPEYARD_"))
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        env.push(format!("PIPEYARD_URL={}", self.launch.url));
        env.push(format!("PIPEYARD_JOIN_TOKEN={}", self.launch.token));
        env.push(format!("PIPEYARD_NAME={}", self.launch.name));
        let labels = [
            (LABEL_INSTALLATION, self.launch.installation.as_str()),
            (LABEL_GROUP, self.launch.group.as_str()),
            (LABEL_TOKEN, self.token_id.as_str()),
        ];
        let labels: HashMap<String, String> =
            labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let again = RestartPolicyNameEnum::UNLESS_STOPPED;
        let body = ContainerCreateBody {
            image: Some(settings.image.clone()),
            hostname: Some(self.launch.name.clone()),
            env: Some(env),
            labels: Some(labels),
            host_config: Some(HostConfig {
                // The agent must not be process 1: what its hooks leave behind is reaped.
                init: Some(true),
                network_mode: settings.network.clone(),
                memory: settings.memory.map(|bytes| i64::try_from(bytes.0).unwrap_or(i64::MAX)),
                nano_cpus: settings.cpus.map(nano),
                restart_policy: Some(RestartPolicy {
                    name: Some(again),
                    maximum_retry_count: None,
                }),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        let options = CreateContainerOptionsBuilder::default().name(&self.launch.name).build();
        engine.api().create_container(Some(options), body).await.map(|_| ())
    }
}

impl<'a> Owner<'a> {
    pub fn of_launch(launch: &'a Launch) -> Owner<'a> {
        Owner { installation: &launch.installation, group: &launch.group }
    }

    pub fn of_dismiss(dismiss: &'a Dismiss) -> Owner<'a> {
        Owner { installation: &dismiss.installation, group: &dismiss.group }
    }
}

impl Found {
    /// Err for people, when it is somebody else's.
    fn is_of(&self, name: &str, owner: Owner<'_>) -> Result<(), String> {
        match (self.installation.as_deref(), self.group.as_deref()) {
            (Some(installation), Some(_)) if installation != owner.installation => Err(format!(
                "the container {name} belongs to another installation of Pipeyard ({installation}), which \
                 uses the same Docker engine: give one of the two groups another name, or each \
                 installation an engine of its own"
            )),
            (Some(_), Some(group)) if group == owner.group => Ok(()),
            _ => Err(format!(
                "the container {name} was not made for group {} of this installation: remove or rename it",
                owner.group
            )),
        }
    }
}

async fn find(engine: &Engine, name: &str) -> Result<Option<Found>, String> {
    let found = engine.api().inspect_container(name, None::<InspectContainerOptions>).await;
    let mut labels = match found {
        Ok(found) => found.config.and_then(|config| config.labels).unwrap_or_default(),
        Err(error) if status_of(&error) == Some(404) => return Ok(None),
        Err(error) => return Err(format!("cannot look at the container {name}: {error}")),
    };
    Ok(Some(Found {
        installation: labels.remove(LABEL_INSTALLATION),
        group: labels.remove(LABEL_GROUP),
        token: labels.remove(LABEL_TOKEN),
    }))
}

/// The address others reach it at: in the network it was put into, else in any. None where it shares
/// this machine's.
pub async fn address(
    engine: &Engine,
    name: &str,
    network: Option<&str>,
) -> Result<Option<String>, String> {
    let found = engine.api().inspect_container(name, None::<InspectContainerOptions>).await;
    let found = found.map_err(|error| format!("cannot look for the address of {name}: {error}"))?;
    let networks = found.network_settings.and_then(|settings| settings.networks);
    let networks = networks.unwrap_or_default();
    let own = network.and_then(|network| networks.get(network));
    let endpoints = own.into_iter().chain(networks.values());
    let addresses = endpoints.flat_map(|at| [&at.ip_address, &at.global_ipv6_address]);
    Ok(addresses.flatten().find(|address| !address.is_empty()).cloned())
}

/// Removes a container of this owner with its volumes, running or not.
pub async fn remove(engine: &Engine, name: &str, owner: Owner<'_>) -> Result<(), String> {
    let Some(found) = find(engine, name).await? else { return Ok(()) };
    found.is_of(name, owner)?;
    let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
    match engine.api().remove_container(name, Some(options)).await {
        Ok(()) => Ok(()),
        Err(error) if status_of(&error) == Some(404) => Ok(()),
        Err(error) => Err(format!("the container {name} cannot be removed: {error}")),
    }
}

/// Docker counts processors in billionths.
#[expect(clippy::cast_possible_truncation, reason = "a limit of processors is small")]
fn nano(cpus: f64) -> i64 {
    (cpus * 1e9) as i64
}
