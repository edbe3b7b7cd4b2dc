//! What sends traffic to the hosts.

use crate::spec::codes;
use crate::spec::decode::{Fields, Report, suggest};
use crate::spec::yaml::Node;
use serde::{Deserialize, Serialize};

/// A balancer, driven by the agent on its host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
#[derive(schemars::JsonSchema)]
#[schemars(transform = crate::spec::schema::forms::one_key)]
pub enum Router {
    /// HAProxy, by its runtime socket.
    Haproxy {
        /// The agent on the balancer's host.
        agent: String,
        /// The backend that holds the hosts.
        backend: String,
        /// /run/haproxy/admin.sock where absent.
        #[schemars(with = "Option<String>")]
        socket: String,
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
    },
}

const KINDS: [&str; 2] = ["haproxy", "nginx"];
const SOCKET: &str = "/run/haproxy/admin.sock";

pub(super) fn read(report: &mut Report, node: &Node) -> Option<Router> {
    let mut fields = Fields::open(report, node, "router")?;
    let haproxy = fields.get("haproxy");
    let nginx = fields.get("nginx");
    fields.finish(report);
    match (haproxy, nginx) {
        (Some(node), None) => {
            let mut fields = Fields::open(report, node, "router.haproxy")?;
            let agent = name(report, &mut fields, "agent");
            let backend = name(report, &mut fields, "backend");
            let socket = fields.get("socket").map(|node| file(report, node, "socket"));
            fields.finish(report);
            let socket = socket.unwrap_or_else(|| Some(SOCKET.to_owned()))?;
            Some(Router::Haproxy { agent: agent?, backend: backend?, socket })
        }
        (None, Some(node)) => {
            let mut fields = Fields::open(report, node, "router.nginx")?;
            let agent = name(report, &mut fields, "agent");
            let upstream = name(report, &mut fields, "upstream");
            let path = fields.get("file").map(|node| file(report, node, "file"));
            fields.finish(report);
            let upstream = upstream?;
            let default = || Some(format!("/etc/nginx/conf.d/{upstream}.servers.conf"));
            Some(Router::Nginx { agent: agent?, file: path.unwrap_or_else(default)?, upstream })
        }
        _ => {
            let message = "`router` has to be exactly one router";
            let help = format!("write one of {}", suggest::list(&KINDS));
            report.error(node.at, codes::ACTION_KIND, message, help);
            None
        }
    }
}

fn name(report: &mut Report, fields: &mut Fields<'_>, key: &'static str) -> Option<String> {
    let node = fields.require(report, key, &format!("name the {key}"))?;
    report.name(node, &fields.join(key))
}

fn file(report: &mut Report, node: &Node, path: &str) -> Option<String> {
    let text = report.word(node, path)?;
    if text.starts_with('/') {
        return Some(text);
    }
    let message = format!("`{path}`: '{text}' is not an absolute path");
    report.error(node.at, codes::BAD_PATH, message, "write a path that starts with `/`");
    None
}
