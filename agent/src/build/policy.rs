//! What the operator of an agent allows every build. Jobs cannot change any of it.

use std::time::Duration;

#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// None: no limit of the agent's own.
    pub memory_bytes_max: Option<i64>,
    pub cpus: Option<f64>,
    pub processes_max: i64,
    /// A Docker network; None: the engine's default bridge.
    pub network: Option<String>,
    /// How long fetching an image may take.
    pub pull_max: Duration,
    /// Bytes of commands' output that are kept.
    pub log_bytes_max: u64,
    /// Between TERM and KILL; what a build cleans up has to fit in.
    pub grace: Duration,
    /// Bytes of one source, unpacked.
    pub source_bytes_max: u64,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            memory_bytes_max: None,
            cpus: None,
            processes_max: 4096,
            network: None,
            pull_max: Duration::from_secs(600),
            log_bytes_max: 512 << 20,
            grace: Duration::from_secs(10),
            source_bytes_max: 32 << 30,
        }
    }
}

impl Policy {
    /// "Host" would put a build into this machine's network, "container:…" into a neighbour's.
    ///
    /// # Errors
    /// With what is wrong with it.
    pub fn check(&self) -> Result<(), String> {
        match self.network.as_deref() {
            Some(name) if name == "host" || name.starts_with("container:") => {
                Err(format!("builds cannot use the network '{name}'"))
            }
            _ => Ok(()),
        }
    }
}
