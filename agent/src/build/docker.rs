//! The Docker engine, as far as builds need it. Everything that knows bollard is here.
//!
//! Container options come from the agent's policy. Nothing of a job reaches them but the image's
//! name: no host network, no socket, no devices, no privileges to gain.

use super::policy::Policy;
use bollard::Docker;
use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::exec::{CreateExecOptions, StartExecOptions};
use bollard::models::{ContainerCreateBody, HostConfig, HostConfigLogConfig, Mount, MountType};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, CreateImageOptionsBuilder, InspectContainerOptions,
    KillContainerOptionsBuilder, ListContainersOptionsBuilder, LogsOptionsBuilder,
    RemoveContainerOptionsBuilder, StartContainerOptions,
};
use futures::{Stream, StreamExt as _};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tokio::runtime::{Handle, Id};

/// Labels by which the agent knows its containers again.
pub const LABEL_AGENT: &str = "pipeyard.agent";
pub const LABEL_TASK: &str = "pipeyard.task";
pub const LABEL_ATTEMPT: &str = "pipeyard.attempt";

/// A connection with its API version negotiated. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Engine {
    docker: Docker,
}

/// What a connection is kept under.
type Key = (Option<String>, Id);

/// A container to be made.
pub struct NewContainer<'c> {
    pub name: &'c str,
    pub image: &'c str,
    pub command: Vec<String>,
    pub directory: &'c str,
    pub labels: HashMap<String, String>,
    /// Host path, path inside, read-only.
    pub binds: Vec<(PathBuf, String, bool)>,
}

/// Why a container could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    #[error("there is no such image")]
    NoImage,
    /// One of an earlier attempt to make it.
    #[error("the name is taken")]
    NameTaken,
    #[error(transparent)]
    Engine(Error),
}

/// What the engine says about a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Made, and nothing of it has ever run.
    Created,
    Running,
    Ended {
        exit_code: i64,
        out_of_memory: bool,
    },
}

/// A piece of a container's log: when the engine took it, and the bytes.
pub struct Frame {
    pub at: Option<String>,
    pub bytes: bytes::Bytes,
}

impl Engine {
    /// The engine at `host` (None: what the environment says). Negotiates once per process, or
    /// rather per runtime: kept connections belong to the one that opened them.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn at(host: Option<&str>) -> Result<Engine, Error> {
        static KNOWN: Mutex<Vec<(Key, Engine)>> = Mutex::new(Vec::new());
        let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (host.map(str::to_owned), Handle::current().id());
        if let Some((_, engine)) = known().iter().find(|(other, _)| *other == key) {
            return Ok(engine.clone());
        }
        let docker = match host {
            Some(host) => Docker::connect_with_host(host)?,
            None => Docker::connect_with_defaults()?,
        };
        let engine = Engine { docker: docker.negotiate_version().await? };
        known().push((key, engine.clone()));
        Ok(engine)
    }

    /// For what only hosts are made with.
    pub fn api(&self) -> &Docker {
        &self.docker
    }

    /// # Errors
    /// See [`CreateError`].
    pub async fn create(&self, new: &NewContainer<'_>, policy: &Policy) -> Result<(), CreateError> {
        let body = ContainerCreateBody {
            image: Some(new.image.to_owned()),
            entrypoint: Some(new.command.clone()),
            cmd: Some(Vec::new()),
            user: Some("0".to_owned()),
            working_dir: Some(new.directory.to_owned()),
            labels: Some(new.labels.clone()),
            host_config: Some(host_config(new, policy)),
            ..ContainerCreateBody::default()
        };
        let options = CreateContainerOptionsBuilder::default().name(new.name).build();
        match self.docker.create_container(Some(options), body).await {
            Ok(_) => Ok(()),
            Err(error) => Err(match status_of(&error) {
                Some(404) => CreateError::NoImage,
                Some(409) => CreateError::NameTaken,
                _ => CreateError::Engine(error),
            }),
        }
    }

    /// Fetches an image. Bounded by the caller.
    ///
    /// # Errors
    /// With the registry's or the engine's words.
    pub async fn pull(&self, image: &str) -> Result<(), Error> {
        // Without a tag the engine would fetch every tag there is.
        let name = if has_tag(image) { image.to_owned() } else { format!("{image}:latest") };
        let options = CreateImageOptionsBuilder::default().from_image(&name).build();
        let mut words = self.docker.create_image(Some(options), None, None);
        while let Some(word) = words.next().await {
            word?;
        }
        Ok(())
    }

    /// The image's own name for its content, for people.
    pub async fn image_id(&self, image: &str) -> Option<String> {
        let found = self.docker.inspect_image(image).await.ok()?;
        let digest = found.repo_digests.into_iter().flatten().next();
        let digest = digest.and_then(|text| Some(text.split_once('@')?.1.to_owned()));
        digest.or(found.id)
    }

    /// # Errors
    /// When the engine cannot start it.
    pub async fn start(&self, name: &str) -> Result<(), Error> {
        self.docker.start_container(name, None::<StartContainerOptions>).await
    }

    /// The container's output from its beginning; with `follow`, until it ends.
    pub fn logs(
        &self,
        name: &str,
        follow: bool,
    ) -> impl Stream<Item = Result<Frame, Error>> + Send + use<> {
        let options = LogsOptionsBuilder::default()
            .follow(follow)
            .stdout(true)
            .stderr(true)
            .timestamps(true)
            .tail("all")
            .build();
        self.docker.logs(name, Some(options)).map(|output| output.map(frame))
    }

    /// None: there is no such container.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn state(&self, name: &str) -> Result<Option<State>, Error> {
        let found = self.docker.inspect_container(name, None::<InspectContainerOptions>).await;
        let state = match found {
            Ok(found) => found.state.unwrap_or_default(),
            Err(error) if status_of(&error) == Some(404) => return Ok(None),
            Err(error) => return Err(error),
        };
        let never_ran = state.started_at.as_deref().is_none_or(|at| at.starts_with("0001-"));
        Ok(Some(if state.running == Some(true) {
            State::Running
        } else if never_ran {
            State::Created
        } else {
            State::Ended {
                exit_code: state.exit_code.unwrap_or(-1),
                out_of_memory: state.oom_killed.unwrap_or(false),
            }
        }))
    }

    /// Sends a signal to everything in the container but its first process.
    ///
    /// # Errors
    /// When the container is gone, or so full of processes that it takes no more.
    pub async fn signal_all(&self, name: &str, signal: &str) -> Result<(), Error> {
        let options = CreateExecOptions {
            cmd: Some(vec!["/bin/sh", "-c", "kill -s \"$0\" -- -1", signal]),
            user: Some("0"),
            ..CreateExecOptions::default()
        };
        let exec = self.docker.create_exec(name, options).await?;
        let detached = StartExecOptions { detach: true, ..StartExecOptions::default() };
        self.docker.start_exec(&exec.id, Some(detached)).await?;
        Ok(())
    }

    /// # Errors
    /// When the container does not run.
    pub async fn kill(&self, name: &str) -> Result<(), Error> {
        let options = KillContainerOptionsBuilder::default().signal("KILL").build();
        self.docker.kill_container(name, Some(options)).await
    }

    /// Removes a container with its volumes, running or not. One that is gone is no error.
    ///
    /// # Errors
    /// When the engine cannot.
    pub async fn remove(&self, name: &str) -> Result<(), Error> {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        match self.docker.remove_container(name, Some(options)).await {
            // 409: it is being removed already.
            Err(error) if matches!(status_of(&error), Some(404 | 409)) => Ok(()),
            result => result,
        }
    }

    /// Removes a container nothing of which runs. False: it runs, and stays.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn remove_unstarted(&self, name: &str) -> Result<bool, Error> {
        let options = RemoveContainerOptionsBuilder::default().force(false).v(true).build();
        match self.docker.remove_container(name, Some(options)).await {
            Ok(()) => Ok(true),
            Err(error) if status_of(&error) == Some(404) => Ok(true),
            Err(error) if status_of(&error) == Some(409) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Names of all containers that an agent of this name made.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn of_agent(&self, agent: &str) -> Result<Vec<String>, Error> {
        let filters = HashMap::from([("label", vec![format!("{LABEL_AGENT}={agent}")])]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let found = self.docker.list_containers(Some(options)).await?;
        let name = |names: Option<Vec<String>>| {
            names.into_iter().flatten().next().map(|name| name.trim_start_matches('/').to_owned())
        };
        Ok(found.into_iter().filter_map(|container| name(container.names)).collect())
    }
}

fn host_config(new: &NewContainer<'_>, policy: &Policy) -> HostConfig {
    let mount = |(host, inside, read_only): &(PathBuf, String, bool)| Mount {
        typ: Some(MountType::BIND),
        source: Some(host_text(host)),
        target: Some(inside.clone()),
        read_only: Some(*read_only),
        ..Mount::default()
    };
    HostConfig {
        mounts: Some(new.binds.iter().map(mount).collect()),
        network_mode: policy.network.clone(),
        memory: policy.memory_bytes_max,
        // Swap would let a build that is out of memory crawl instead of fail.
        memory_swap: policy.memory_bytes_max,
        nano_cpus: policy.cpus.map(|cpus| (cpus * 1e9) as i64),
        pids_limit: Some(policy.processes_max),
        security_opt: Some(vec!["no-new-privileges".to_owned()]),
        log_config: Some(log_config()),
        auto_remove: Some(false),
        ..HostConfig::default()
    }
}

/// Kept whole and readable from the start: an agent that died reads it again. The `local` driver keeps
/// bytes as they are, where `json-file` replaces what is no UTF-8. The size is never reached; the
/// engine's default would throw old output away.
fn log_config() -> HostConfigLogConfig {
    let options = [("max-size", "1000g"), ("max-file", "1"), ("compress", "false")];
    let text = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    HostConfigLogConfig {
        typ: Some("local".to_owned()),
        config: Some(options.map(text).into_iter().collect()),
    }
}

fn host_text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// The engine's answer, in HTTP's words.
pub fn status_of(error: &Error) -> Option<u16> {
    match error {
        Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

fn has_tag(image: &str) -> bool {
    let last = image.rsplit('/').next().unwrap_or(image);
    last.contains(':') || image.contains('@')
}

/// Takes the engine's time off the front of a piece.
fn frame(output: LogOutput) -> Frame {
    let mut bytes = output.into_bytes();
    // RFC 3339 is shorter than this, and the engine's form of it holds no space.
    let space = bytes.iter().take(40).position(|b| *b == b' ');
    let Some(space) = space.filter(|_| bytes.first().is_some_and(u8::is_ascii_digit)) else {
        return Frame { at: None, bytes };
    };
    let at = String::from_utf8_lossy(&bytes.split_to(space)).into_owned();
    let bytes = bytes.slice(1..);
    Frame { at: Some(at), bytes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_without_a_tag_is_told_from_a_registry_with_a_port() {
        for tagged in ["debian:12", "r.example:5000/a/b:c", "debian@sha256:ab"] {
            assert!(has_tag(tagged), "{tagged}");
        }
        for bare in ["debian", "r.example:5000/a/b", "a/b"] {
            assert!(!has_tag(bare), "{bare}");
        }
    }

    #[test]
    fn the_engines_time_is_taken_off_and_nothing_else() {
        let framed = |text: &'static str| {
            let frame = frame(LogOutput::StdOut { message: text.into() });
            (frame.at, String::from_utf8(frame.bytes.to_vec()).unwrap())
        };
        let time = "2026-11-21T04:50:55.123456789Z";
        let with = framed("2026-11-21T04:50:55.123456789Z  two spaces\n");
        assert_eq!(with, (Some(time.to_owned()), " two spaces\n".to_owned()));
        assert_eq!(framed("no time\n"), (None, "no time\n".to_owned()));
    }

    #[test]
    fn a_container_gets_what_the_policy_says_and_no_privileges() {
        let new = NewContainer {
            name: "n",
            image: "i",
            command: Vec::new(),
            directory: "/build",
            labels: HashMap::new(),
            binds: vec![("/host".into(), "/inside".into(), true)],
        };
        let policy = Policy { cpus: Some(1.5), memory_bytes_max: Some(7), ..Policy::default() };
        let host = host_config(&new, &policy);
        assert_eq!(
            (host.nano_cpus, host.memory, host.memory_swap),
            (Some(1_500_000_000), Some(7), Some(7))
        );
        assert_eq!(host.pids_limit, Some(policy.processes_max));
        assert_eq!(host.security_opt, Some(vec!["no-new-privileges".to_owned()]));
        assert!(host.privileged.is_none() && host.devices.is_none() && host.cap_add.is_none());
        assert_eq!(host.mounts.unwrap().len(), 1);
        for network in ["host", "container:x"] {
            let policy = Policy { network: Some(network.into()), ..Policy::default() };
            assert!(policy.check().is_err(), "{network}");
        }
    }
}
