//! Containers as hosts. A container carries its group and the token it was made with as labels: by
//! them a second try finds the first one's, and nothing else is ever touched.

use crate::build::docker::{Engine, status_of};
use bollard::errors::Error;
use bollard::models::{ContainerCreateBody, HostConfig, RestartPolicy, RestartPolicyNameEnum};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, InspectContainerOptions, RemoveContainerOptionsBuilder,
};
use pipelines::protocol::task::Launch;
use std::collections::HashMap;

const LABEL_GROUP: &str = "pipeyard.instance.group";
/// The token's public half: a container of an earlier try waits with a token that is good no longer.
const LABEL_TOKEN: &str = "pipeyard.instance.token";

/// A host to be made.
pub struct Wanted<'a> {
    pub launch: &'a Launch,
    /// The half of its token that may be shown.
    pub token_id: String,
}

/// A container that has the name.
struct Found {
    group: Option<String>,
    token: Option<String>,
}

impl Wanted<'_> {
    pub async fn make(&self, engine: &Engine) -> Result<(), String> {
        let name = &self.launch.name;
        let image = &self.launch.settings.image;
        match find(engine, name).await? {
            Some(found) if found.token.as_deref() == Some(&self.token_id) => {}
            Some(found) => {
                found.is_of(name, &self.launch.group)?;
                remove(engine, name, &self.launch.group).await?;
                self.create(engine).await?;
            }
            None => self.create(engine).await?,
        }
        let said =
            |error: Error| format!("the container {name} from {image} does not start: {error}");
        engine.start(name).await.map_err(said)
    }

    async fn create(&self, engine: &Engine) -> Result<(), String> {
        let (name, image) = (&self.launch.name, &self.launch.settings.image);
        let cannot = |error: Error| format!("cannot make a container from {image}: {error}");
        match self.try_create(engine).await {
            Err(error) if status_of(&error) == Some(404) => {
                engine.pull(image).await.map_err(|error| {
                    format!("the image {image} is not here and cannot be fetched: {error}")
                })?;
                self.try_create(engine).await.map_err(cannot)
            }
            Err(error) if status_of(&error) == Some(409) => {
                Err(format!("another container has the name {name}; remove it"))
            }
            made => made.map_err(cannot),
        }
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
        let labels =
            [(LABEL_GROUP, self.launch.group.as_str()), (LABEL_TOKEN, self.token_id.as_str())];
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

impl Found {
    fn is_of(&self, name: &str, group: &str) -> Result<(), String> {
        if self.group.as_deref() == Some(group) {
            return Ok(());
        }
        Err(format!("the container {name} is not one of group {group}; remove or rename it"))
    }
}

async fn find(engine: &Engine, name: &str) -> Result<Option<Found>, String> {
    let found = engine.api().inspect_container(name, None::<InspectContainerOptions>).await;
    let mut labels = match found {
        Ok(found) => found.config.and_then(|config| config.labels).unwrap_or_default(),
        Err(error) if status_of(&error) == Some(404) => return Ok(None),
        Err(error) => return Err(format!("cannot look at the container {name}: {error}")),
    };
    Ok(Some(Found { group: labels.remove(LABEL_GROUP), token: labels.remove(LABEL_TOKEN) }))
}

/// Removes a container of the group with its volumes, running or not.
pub async fn remove(engine: &Engine, name: &str, group: &str) -> Result<(), String> {
    let Some(found) = find(engine, name).await? else { return Ok(()) };
    found.is_of(name, group)?;
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
