//! What sends traffic to the hosts.

use crate::spec::codes;
use crate::spec::decode::{Fields, Report, suggest};
use crate::spec::group::cohort::{self, Cohort};
use crate::spec::print;
use crate::spec::yaml::Node;
use crate::time::Millis;
use serde::{Deserialize, Serialize};

/// A balancer, driven by the agent on its host, and how it treats the group's hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
pub struct Router {
    #[serde(flatten)]
    pub balancer: Balancer,
    /// The application's port on its hosts, for servers the balancer does not have yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
    /// The balancer's own check of a server.
    #[serde(default, skip_serializing_if = "Check::is_default")]
    pub check: Check,
    /// Requests that go to the new revision while it is being tried, whatever the weights.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cohorts: Vec<Cohort>,
}

/// The balancer, by its kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
#[derive(schemars::JsonSchema)]
pub enum Balancer {
    /// HAProxy, by its runtime socket.
    Haproxy {
        /// The agent on the balancer's host.
        agent: String,
        /// The backend that holds the hosts.
        backend: String,
        /// /run/haproxy/admin.sock where absent.
        #[schemars(with = "Option<String>")]
        socket: String,
        /// A second backend, for hosts of the revision that is being tried.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next_backend: Option<String>,
        /// The map file in which HAProxy looks up a request's backend.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        map: Option<String>,
    },
    /// nginx, by a file of servers.
    Nginx {
        /// The agent on the balancer's host.
        agent: String,
        /// The upstream that holds the hosts.
        upstream: String,
        /// The file that holds the upstream's servers, and nothing else.
        #[schemars(with = "Option<String>")]
        file: String,
        /// A second upstream, for hosts of the revision that is being tried.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next_upstream: Option<String>,
        /// The file, included in a `map` block, in which nginx looks up a request's upstream.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        map: Option<String>,
    },
}

/// How often the balancer asks a server, and how many answers change its mind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
#[schemars(transform = crate::spec::schema::forms::or_duration)]
pub struct Check {
    /// Between two questions.
    #[serde(with = "print::time")]
    #[schemars(with = "Option<Millis>")]
    pub every: Millis,
    /// Good answers in a row that make it up.
    #[schemars(with = "Option<u32>", range(min = 1, max = 100))]
    pub rise: u32,
    /// Bad ones that make it down.
    #[schemars(with = "Option<u32>", range(min = 1, max = 100))]
    pub fall: u32,
}

impl Default for Check {
    fn default() -> Self {
        Self { every: Millis::from_secs(1), rise: 2, fall: 2 }
    }
}

impl Check {
    /// Then it goes unsaid, because not every balancer has one.
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The balancer alone, with defaults for how it treats the hosts.
impl From<Balancer> for Router {
    fn from(balancer: Balancer) -> Self {
        Self { balancer, port: None, check: Check::default(), cohorts: Vec::new() }
    }
}

impl Balancer {
    /// The agent that drives it.
    #[must_use]
    pub fn agent(&self) -> &str {
        match self {
            Balancer::Haproxy { agent, .. } | Balancer::Nginx { agent, .. } => agent,
        }
    }

    /// Whether it can tell requests apart, and has a second place to send them.
    fn has_cohorts(&self) -> bool {
        match self {
            Balancer::Haproxy { next_backend: next, map, .. }
            | Balancer::Nginx { next_upstream: next, map, .. } => next.is_some() && map.is_some(),
        }
    }
}

const KINDS: [&str; 2] = ["haproxy", "nginx"];
const SOCKET: &str = "/run/haproxy/admin.sock";

/// `tried` says whether the strategy tries the new revision beside the old one.
pub(super) fn read(report: &mut Report, node: &Node, tried: bool) -> Option<Router> {
    let mut fields = Fields::open(report, node, "router")?;
    let balancer = balancer(report, &mut fields);
    let port = fields.get("port").map(|node| report.number(node, "router.port", 1..=65_535));
    let check = fields.get("check").map(|node| check(report, node));
    let cohorts = fields.get("cohorts");
    let cohorts = cohorts.map(|node| cohort::read(report, node)).unwrap_or_default();
    if let Some(balancer) = &balancer {
        if let (Balancer::Nginx { .. }, Some(_), Some(at)) =
            (balancer, check, fields.key_at("check"))
        {
            let message = "nginx does not check its servers: `check` has no effect";
            report.error(at, codes::IGNORED_KEY, message, "remove it; `health` is what counts");
        }
        if let Some(at) = fields.key_at("cohorts").filter(|_| !tried && !cohorts.is_empty()) {
            let message = "the strategy tries no revision beside the other: no `cohorts` for it";
            let help = "choose canary, linear or blue-green, or remove it";
            report.error(at, codes::IGNORED_KEY, message, help);
        } else if let Some(at) =
            fields.key_at("cohorts").filter(|_| !balancer.has_cohorts() && !cohorts.is_empty())
        {
            let (next, message) = match balancer {
                Balancer::Haproxy { .. } => ("next-backend", "cohorts need a second backend"),
                Balancer::Nginx { .. } => ("next-upstream", "cohorts need a second upstream"),
            };
            let help = format!("write `{next}` and `map` beside `agent`");
            report.error(at, codes::MISSING_KEY, message, help);
        }
    }
    fields.finish(report);
    let port =
        port.map_or(Some(None), |port| port.and_then(|port| u16::try_from(port).ok()).map(Some));
    Some(Router {
        balancer: balancer?,
        port: port?,
        check: check.unwrap_or_else(|| Some(Check::default()))?,
        cohorts,
    })
}

fn balancer(report: &mut Report, fields: &mut Fields<'_>) -> Option<Balancer> {
    match (fields.get("haproxy"), fields.get("nginx")) {
        (Some(node), None) => haproxy(report, node),
        (None, Some(node)) => nginx(report, node),
        _ => {
            let message = "`router` has to be exactly one router";
            let help = format!("write one of {}", suggest::list(&KINDS));
            report.error(fields.at, codes::ACTION_KIND, message, help);
            None
        }
    }
}

fn haproxy(report: &mut Report, node: &Node) -> Option<Balancer> {
    let mut fields = Fields::open(report, node, "router.haproxy")?;
    let agent = name(report, &mut fields, "agent");
    let backend = name(report, &mut fields, "backend");
    let socket = file(report, &mut fields, "socket").unwrap_or_else(|| Some(SOCKET.to_owned()));
    let next = next(report, &mut fields, "next-backend", backend.as_deref());
    let map = file(report, &mut fields, "map");
    fields.finish(report);
    Some(Balancer::Haproxy {
        agent: agent?,
        backend: backend?,
        socket: socket?,
        next_backend: next?,
        map: map.map_or(Some(None), |map| map.map(Some))?,
    })
}

fn nginx(report: &mut Report, node: &Node) -> Option<Balancer> {
    let mut fields = Fields::open(report, node, "router.nginx")?;
    let agent = name(report, &mut fields, "agent");
    let upstream = name(report, &mut fields, "upstream");
    let path = file(report, &mut fields, "file");
    let next = next(report, &mut fields, "next-upstream", upstream.as_deref());
    let map = file(report, &mut fields, "map");
    fields.finish(report);
    let upstream = upstream?;
    let default = || Some(format!("/etc/nginx/conf.d/{upstream}.servers.conf"));
    Some(Balancer::Nginx {
        agent: agent?,
        file: path.unwrap_or_else(default)?,
        upstream,
        next_upstream: next?,
        map: map.map_or(Some(None), |map| map.map(Some))?,
    })
}

/// The second backend, which is not the first.
fn next(
    report: &mut Report,
    fields: &mut Fields<'_>,
    key: &'static str,
    first: Option<&str>,
) -> Option<Option<String>> {
    let Some(node) = fields.get(key) else { return Some(None) };
    let next = report.name(node, &fields.join(key))?;
    if first == Some(next.as_str()) {
        let message = format!("`{}`: '{next}' is the first one already", fields.join(key));
        report.error(node.at, codes::DUPLICATE_NAME, message, "name another one");
    }
    Some(Some(next))
}

/// `1s`, or `{every: 1s, rise: 2, fall: 2}`.
fn check(report: &mut Report, node: &Node) -> Option<Check> {
    let default = Check::default();
    if node.text().is_some() {
        let every = report.time_limit(node, "router.check")?;
        return Some(Check { every, ..default });
    }
    let mut fields = Fields::open(report, node, "router.check")?;
    let every = fields.get("every").map(|node| report.time_limit(node, "router.check.every"));
    let mut count = |report: &mut Report, key, default| match fields.get(key) {
        Some(node) => report.number(node, &fields.join(key), 1..=100),
        None => Some(default),
    };
    let rise = count(report, "rise", default.rise);
    let fall = count(report, "fall", default.fall);
    fields.finish(report);
    Some(Check { every: every.unwrap_or(Some(default.every))?, rise: rise?, fall: fall? })
}

fn name(report: &mut Report, fields: &mut Fields<'_>, key: &'static str) -> Option<String> {
    let node = fields.require(report, key, &format!("name the {key}"))?;
    report.name(node, &fields.join(key))
}

/// An absolute path; nothing where the key is absent.
fn file(report: &mut Report, fields: &mut Fields<'_>, key: &'static str) -> Option<Option<String>> {
    let node = fields.get(key)?;
    let path = fields.join(key);
    let Some(text) = report.word(node, &path) else { return Some(None) };
    if text.starts_with('/') {
        return Some(Some(text));
    }
    let message = format!("`{path}`: '{text}' is not an absolute path");
    report.error(node.at, codes::BAD_PATH, message, "write a path that starts with `/`");
    Some(None)
}
