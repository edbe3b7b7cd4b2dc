//! Where this controller may be sent by a file somebody wrote: sources it fetches, URLs its monitors ask.
//! It must not become a way to this machine's own services, or to the secrets a cloud keeps beside it.

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What the operator allows beyond the safe default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Policy {
    /// This machine's own addresses; for sources also plain HTTP.
    pub allow_local: bool,
}

/// Who wants to go there, and the flag that lets it reach this machine.
#[derive(Debug, Clone, Copy)]
pub struct Traveller {
    pub who: &'static str,
    pub flag: &'static str,
}

pub const SOURCES: Traveller = Traveller { who: "sources", flag: "--allow-local-sources" };
pub const MONITORS: Traveller = Traveller { who: "monitors", flag: "--allow-local-monitors" };

/// Metadata services of clouds outside the link-local addresses.
const METADATA_V4: [Ipv4Addr; 2] =
    [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(192, 0, 0, 192)];
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Never to be reached.
    Metadata,
    /// This machine itself.
    Own,
}

fn kind(address: IpAddr) -> Option<Kind> {
    match address.to_canonical() {
        IpAddr::V4(v4) if v4.is_link_local() || METADATA_V4.contains(&v4) => Some(Kind::Metadata),
        IpAddr::V4(v4) if v4.is_loopback() || v4.is_unspecified() => Some(Kind::Own),
        IpAddr::V4(_) => None,
        IpAddr::V6(v6) if v6.is_unicast_link_local() || v6 == METADATA_V6 => Some(Kind::Metadata),
        IpAddr::V6(v6) if v6.is_loopback() || v6.is_unspecified() => Some(Kind::Own),
        IpAddr::V6(v6) => kind(IpAddr::V4(translated(v6)?)),
    }
}

/// The IPv4 address that a network with NAT64 makes of it.
fn translated(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = address.segments() else { return None };
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Some(Ipv4Addr::new(a, b, c, d))
}

/// Why these addresses of `host` are not gone to; None when they are. One that is refused is enough: which
/// of them a connection takes is not ours to say.
fn refusal(
    host: &str,
    addresses: impl IntoIterator<Item = IpAddr>,
    (traveller, policy): (Traveller, Policy),
) -> Option<String> {
    let Traveller { who, flag } = traveller;
    let found = addresses.into_iter().filter_map(kind);
    match found.filter(|kind| *kind == Kind::Metadata || !policy.allow_local).min_by_key(is_own)? {
        Kind::Metadata => Some(format!(
            "{host} is a link-local or metadata address, which {who} may never use; name another host"
        )),
        Kind::Own => {
            Some(format!("{host} is this machine, which {who} may not use; {flag} permits it"))
        }
    }
}

fn is_own(kind: &Kind) -> bool {
    *kind == Kind::Own
}

/// Why a URL's host cannot be gone to, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// Nobody knows where it is, at the moment at least.
    Unresolved(String),
    /// It may not be gone to, and what to do.
    Forbidden(String),
}

/// Whether the URL's host may be gone to now.
///
/// # Errors
/// [`Obstacle`].
pub async fn check(url: &Url, traveller: Traveller, policy: Policy) -> Result<(), Obstacle> {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let port = url.port_or_known_default().unwrap_or(443);
    let found = tokio::net::lookup_host((host, port)).await;
    let found =
        found.map_err(|error| Obstacle::Unresolved(format!("cannot resolve {host}: {error}")))?;
    let refused = refusal(host, found.map(|address| address.ip()), (traveller, policy));
    refused.map_or(Ok(()), |refused| Err(Obstacle::Forbidden(refused)))
}

/// Resolves names to addresses that may be gone to: what was checked a moment ago may have another
/// address when the connection is made.
pub struct Guard {
    pub traveller: Traveller,
    pub policy: Policy,
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let rule = (self.traveller, self.policy);
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let found: Vec<SocketAddr> = found.collect();
            match refusal(name.as_str(), found.iter().map(SocketAddr::ip), rule) {
                Some(refused) => Err(refused.into()),
                None => Ok(Box::new(found.into_iter()) as Addrs),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn checked(url: &str, allow_local: bool) -> Result<(), String> {
        let checked = check(&Url::parse(url).unwrap(), MONITORS, Policy { allow_local }).await;
        checked.map_err(|obstacle| match obstacle {
            Obstacle::Forbidden(why) => why,
            Obstacle::Unresolved(why) => panic!("{why}"),
        })
    }

    #[tokio::test]
    async fn metadata_is_never_reached_and_this_machine_by_the_operators_word() {
        for url in [
            "http://169.254.169.254/latest/meta-data",
            "http://[fd00:ec2::254]/",
            "http://[fe80::1]/",
            "http://[::ffff:169.254.169.254]/",
            "http://[64:ff9b::a9fe:a9fe]/",
            "http://0xa9fea9fe/",
            "http://100.100.100.200/",
        ] {
            for allow_local in [false, true] {
                let refused = checked(url, allow_local).await.unwrap_err();
                assert!(refused.contains("which monitors may never use"), "{url}: {refused}");
            }
        }
        for url in ["http://127.0.0.1:9090/", "http://localhost/", "http://[::1]/", "http://0/"] {
            let refused = checked(url, false).await.unwrap_err();
            assert!(refused.ends_with("--allow-local-monitors permits it"), "{url}: {refused}");
            assert_eq!(checked(url, true).await, Ok(()), "{url}");
        }
        for url in ["http://10.0.0.7:9090/", "http://192.168.1.1/", "http://[fd12::1]/"] {
            assert_eq!(checked(url, false).await, Ok(()), "{url}: somebody's own network");
        }
    }

    #[tokio::test]
    async fn a_name_is_checked_again_when_the_connection_is_made() {
        let guard = |allow_local| Guard { traveller: MONITORS, policy: Policy { allow_local } };
        let name = || "localhost".parse::<Name>().unwrap();
        let Err(refused) = guard(false).resolve(name()).await else { panic!("it is this machine") };
        assert!(refused.to_string().contains("localhost is this machine"), "{refused}");
        assert!(guard(true).resolve(name()).await.unwrap().all(|at| at.ip().is_loopback()));
    }
}
