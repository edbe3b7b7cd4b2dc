//! Where new hosts come from, for strategies that want more of them than there are.

use crate::spec::codes;
use crate::spec::decode::{Fields, Report};
use crate::spec::group::{Bytes, Hosts};
use crate::spec::print;
use crate::spec::yaml::Node;
use crate::time::Millis;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A provider and what it makes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
pub struct Instances {
    #[serde(flatten)]
    pub provider: Provider,
    /// Hosts of a whole set; as many as the group has at that time where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub count: Option<u32>,
    /// Every new host has them. Those the group selects by are among them, unless they hold a `*`.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// For one host, from its launch until its agent has joined; 2m where absent.
    #[serde(with = "print::time")]
    #[schemars(with = "Option<Millis>")]
    pub join_timeout: Millis,
}

/// What makes new hosts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
pub enum Provider {
    Docker(Docker),
}

/// Containers as hosts, from an image that holds the agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
pub struct Docker {
    /// The agent whose Docker makes them.
    #[schemars(with = "crate::spec::schema::words::Name")]
    pub agent: String,
    /// An image that holds the agent.
    pub image: String,
    /// Docker's own default where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// Variables of the containers.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// At most so much memory each, such as 512MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Bytes>,
    /// At most so many processors each, in whole and part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<crate::spec::schema::words::Share>")]
    pub cpus: Option<f64>,
}

const JOIN_TIMEOUT: Millis = Millis::from_minutes(2);

/// `hosts` is what the group selects by, so that new hosts can be made to belong to it.
pub(super) fn read(report: &mut Report, node: &Node, hosts: Option<&Hosts>) -> Option<Instances> {
    let mut fields = Fields::open(report, node, "instances")?;
    let help = "name the provider: `docker: {agent: docker-1, image: …}`";
    let docker = fields.require(report, "docker", help);
    let docker = docker.and_then(|node| docker_settings(report, node));
    let count = fields.get("count");
    let count = count.map(|node| report.number(node, "instances.count", 1..=10_000));
    let mut tags = match fields.get("tags") {
        Some(node) => report.scalar_map(node, "instances.tags"),
        None => BTreeMap::new(),
    };
    let timeout = fields.get("join-timeout");
    let timeout = timeout.map(|node| report.time_limit(node, "instances.join-timeout"));
    if let Some(hosts) = hosts {
        for (key, value) in hosts.tags.iter().filter(|(_, value)| !value.contains('*')) {
            tags.entry(key.clone()).or_insert_with(|| value.clone());
        }
        if !hosts.matches(&tags) {
            let at = fields.key_at("tags").unwrap_or(fields.at);
            let message = "new hosts would not belong to the group: `hosts` does not select them";
            let help = "give them tags by which `hosts` does: `tags: {role: web}`";
            report.error(at, codes::NO_HOSTS, message, help);
        }
    }
    fields.finish(report);
    Some(Instances {
        provider: Provider::Docker(docker?),
        count: count.map_or(Some(None), |count| count.map(Some))?,
        tags,
        join_timeout: timeout.unwrap_or(Some(JOIN_TIMEOUT))?,
    })
}

fn docker_settings(report: &mut Report, node: &Node) -> Option<Docker> {
    let mut fields = Fields::open(report, node, "instances.docker")?;
    let agent = fields.require(report, "agent", "name the agent whose Docker makes the hosts");
    let agent = agent.and_then(|node| report.name(node, &fields.join("agent")));
    let image = fields.require(report, "image", "name an image that holds the agent");
    let image = image.and_then(|node| report.word(node, &fields.join("image")));
    let network = fields.get("network");
    let network = network.map(|node| report.name(node, &fields.join("network")));
    let mut env = BTreeMap::new();
    if let Some(node) = fields.get("env") {
        for (name, at, value) in report.scalars(node, &fields.join("env")) {
            report.variable_name(at, &name, &fields.join("env"));
            env.insert(name, value);
        }
    }
    let memory = fields.get("memory").map(|node| report.bytes(node, &fields.join("memory")));
    let cpus = fields.get("cpus").map(|node| report.positive(node, &fields.join("cpus")));
    fields.finish(report);
    Some(Docker {
        agent: agent?,
        image: image?,
        network: network.map_or(Some(None), |network| network.map(Some))?,
        env,
        memory: memory.map_or(Some(None), |memory| memory.map(Some))?,
        cpus: cpus.map_or(Some(None), |cpus| cpus.map(Some))?,
    })
}
