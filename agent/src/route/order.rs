//! What a task wants of a balancer, checked before the balancer hears of it. Names become part of
//! commands and of configuration: nothing that is more than a name passes.

use super::fault::Fault;
use super::haproxy::Entries;
use pipelines::ids::is_name;
use pipelines::protocol::route::{Route, ServerOrder, Traffic};
use pipelines::spec::group::{Balancer, Cohort, CohortBy, Router};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

/// One list of servers of one balancer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    Haproxy { socket: PathBuf, backend: String },
    Nginx { file: PathBuf, upstream: String },
}

/// Where the requests of a group's cohorts go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Second {
    pub target: Target,
    /// No keys: the group knows no cohorts.
    pub entries: Entries,
}

/// A server and what it is to get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub name: String,
    pub address: Option<SocketAddr>,
    pub traffic: Traffic,
}

/// Everything wanted of one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    pub servers: Vec<Wanted>,
    /// How long a server that goes out may still be asked by clients that stick to it.
    pub linger: Duration,
    /// How long, after that, its open requests may go on.
    pub finish: Duration,
    pub ready: Duration,
    /// All of it or nothing of it, and never without a server that answers.
    pub strict: bool,
    /// Unless the group lets all of its hosts be out.
    pub may_empty: bool,
    /// Servers that do not prove themselves hold up nobody who does.
    pub partial: bool,
}

impl Target {
    /// # Errors
    /// When a name could be more than a name, or a path is not absolute.
    pub fn of(router: &Router) -> Result<Target, Fault> {
        let (target, name, path) = match &router.balancer {
            Balancer::Haproxy { backend, socket, .. } => {
                let socket = PathBuf::from(socket);
                let target = Target::Haproxy { socket: socket.clone(), backend: backend.clone() };
                (target, backend, socket)
            }
            Balancer::Nginx { upstream, file, .. } => {
                let file = PathBuf::from(file);
                let target = Target::Nginx { file: file.clone(), upstream: upstream.clone() };
                (target, upstream, file)
            }
        };
        named(name)?;
        plain_path(&path)?;
        Ok(target)
    }

    /// The backend or upstream.
    pub fn name(&self) -> &str {
        match self {
            Target::Haproxy { backend, .. } => backend,
            Target::Nginx { upstream, .. } => upstream,
        }
    }

    /// Unlike that of every other target.
    pub fn key(&self) -> String {
        match self {
            Target::Haproxy { socket, backend } => {
                format!("haproxy {} {backend}", socket.display())
            }
            Target::Nginx { file, upstream } => format!("nginx {} {upstream}", file.display()),
        }
    }
}

impl Second {
    /// None where the router names none.
    ///
    /// # Errors
    /// When a name or a path could be more than that, or there are cohorts and no place to send them.
    pub fn of(router: &Router) -> Result<Option<Second>, Fault> {
        let Balancer::Haproxy { socket, next_backend: Some(next), map: Some(map), .. } =
            &router.balancer
        else {
            if router.cohorts.is_empty() {
                return Ok(None);
            }
            return Err(Fault::router(
                "the group's router has `cohorts` and no place to send them: write `next-backend` and `map` \
                 beside `agent`; only HAProxy has them",
            ));
        };
        named(next)?;
        plain_path(Path::new(socket))?;
        plain_path(Path::new(map))?;
        for part in router.cohorts.iter().flat_map(parts).chain([map.trim_start_matches('/')]) {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~!%*+/".contains(&byte);
            if part.is_empty() || !part.bytes().all(plain) {
                return Err(Fault::router(format!(
                    "{part:?} cannot be a part of a map: use letters, digits and '-_.~!%*+'"
                )));
            }
        }
        let target = Target::Haproxy { socket: PathBuf::from(socket), backend: next.clone() };
        let keys = router.cohorts.iter().map(key).collect();
        let entries = Entries { file: map.clone(), backend: next.clone(), keys };
        Ok(Some(Second { target, entries }))
    }
}

fn parts(cohort: &Cohort) -> [&str; 2] {
    let (CohortBy::Header(name) | CohortBy::Cookie(name)) = &cohort.by;
    [name, &cohort.value]
}

/// As haproxy.cfg has to make it from a request.
fn key(cohort: &Cohort) -> String {
    match &cohort.by {
        CohortBy::Header(name) => format!("header:{name}:{}", cohort.value),
        CohortBy::Cookie(name) => format!("cookie:{name}:{}", cohort.value),
    }
}

impl Wish {
    /// # Errors
    /// When an order is not one: see [`Wanted`].
    pub fn of(route: &Route) -> Result<Wish, Fault> {
        if let Some(order) = route.servers.iter().find(|order| order.cohort)
            && Second::of(&route.router)?.is_none_or(|second| second.entries.keys.is_empty())
        {
            return Err(Fault::router(format!(
                "server '{}' is to get the requests of cohorts, and the group's router names none: write \
                 `cohorts`, `next-backend` and `map` into the group, and deploy again",
                order.name
            )));
        }
        let mut names = BTreeSet::new();
        let mut servers = Vec::with_capacity(route.servers.len());
        for order in &route.servers {
            if !names.insert(&order.name) {
                return Err(Fault::router(format!("two orders for server '{}'", order.name)));
            }
            servers.push(wanted(order)?);
        }
        let drain = route.drain.to_std();
        // Clients that stick are moved while there is still time for their last requests to end.
        let finish = drain / 4;
        let linger = drain.saturating_sub(finish);
        Ok(Wish {
            servers,
            linger,
            finish,
            ready: route.ready.to_std(),
            strict: true,
            may_empty: route.may_empty,
            partial: route.partial,
        })
    }
}

fn wanted(order: &ServerOrder) -> Result<Wanted, Fault> {
    named(&order.name)?;
    if let Traffic::In { weight } = order.traffic
        && !(1..=256).contains(&weight)
    {
        let message = format!("server '{}': {weight} is no weight, use 1 to 256", order.name);
        return Err(Fault::router(message));
    }
    let address = order.address.as_deref().map(|text| address(&order.name, text)).transpose()?;
    Ok(Wanted { name: order.name.clone(), address, traffic: order.traffic })
}

/// An address and a port. A name would be taken without a word when it does not resolve.
fn address(server: &str, text: &str) -> Result<SocketAddr, Fault> {
    let usable = |address: &SocketAddr| {
        address.port() > 0 && !address.ip().is_unspecified() && !address.ip().is_multicast()
    };
    text.parse().ok().filter(usable).ok_or_else(|| {
        let shown: String = text.chars().take(80).collect();
        Fault::router(format!(
            "server '{server}': {shown:?} is no address a balancer can use; write an IP address and a \
             port, as in 10.0.0.7:8080"
        ))
    })
}

fn named(name: &str) -> Result<(), Fault> {
    if is_name(name) {
        return Ok(());
    }
    let shown: String = name.chars().take(80).collect();
    Err(Fault::router(format!(
        "{shown:?} cannot name a server or a backend: use 1 to 64 letters, digits, '-', '_' and '.', a \
         letter or digit first"
    )))
}

fn plain_path(path: &Path) -> Result<(), Fault> {
    let plain = path.is_absolute()
        && !path.components().any(|part| part == Component::ParentDir)
        && !path.to_string_lossy().contains(char::is_control);
    if plain {
        return Ok(());
    }
    Err(Fault::router(format!(
        "{path:?} is no path to a balancer: write an absolute one without '..'"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipelines::ids::DeploymentId;
    use pipelines::time::Millis;

    fn route(name: &str, address: Option<&str>, traffic: Traffic) -> Route {
        let address = address.map(str::to_owned);
        Route {
            deployment: DeploymentId(1),
            group: "web".into(),
            router: haproxy("/run/a.sock", "shop"),
            servers: vec![ServerOrder { name: name.into(), address, traffic, cohort: false }],
            drain: Millis(1000),
            ready: Millis(1000),
            may_empty: false,
            partial: false,
        }
    }

    fn haproxy(socket: &str, backend: &str) -> Router {
        let (socket, backend) = (socket.into(), backend.into());
        Balancer::Haproxy { agent: "lb".into(), backend, socket, next_backend: None, map: None }
            .into()
    }

    #[test]
    fn nothing_but_names_and_addresses_reaches_a_balancer() {
        let good = route("web-1", Some("[2001:db8::1]:80"), Traffic::In { weight: 256 });
        assert_eq!(Wish::of(&good).unwrap().servers[0].name, "web-1");
        let long = "x".repeat(65);
        for name in ["", "a;b", "a b", "a\nset", "a/b", "-a", "@1", "#1", "a\\", &long] {
            assert!(Wish::of(&route(name, None, Traffic::Out)).is_err(), "{name:?}");
        }
        for address in [
            "",
            "host:80",
            "10.0.0.1",
            "10.0.0.1:0",
            "0.0.0.0:80",
            "224.0.0.1:80",
            "10.0.0.1:80 check",
            "10.0.0.1:80;",
            "unix@/run/x",
            "10.0.0.1:80\n",
        ] {
            assert!(Wish::of(&route("a", Some(address), Traffic::Out)).is_err(), "{address:?}");
        }
        for weight in [0, 257, u16::MAX] {
            assert!(Wish::of(&route("a", None, Traffic::In { weight })).is_err(), "{weight}");
        }
        for router in [haproxy("/a/../b", "x"), haproxy("a.sock", "x"), haproxy("/a", "x;y")] {
            assert!(Target::of(&router).is_err(), "{router:?}");
        }
    }

    #[test]
    fn the_same_server_twice_is_a_mistake() {
        let mut twice = route("a", None, Traffic::Out);
        twice.servers.push(twice.servers[0].clone());
        assert!(Wish::of(&twice).unwrap_err().message.contains("two orders for server 'a'"));
    }
}
