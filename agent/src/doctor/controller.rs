//! The way to the controller, from its name to its answer. The first thing wrong ends it: what comes
//! after could not work.

use super::Finding;
use crate::controller::CallError;
use crate::host::SERVICE;
use crate::identity::Identity;
use crate::tls::ca_sha256;
use pipelines::protocol::VERSION;
use pipelines::protocol::whoami::WhoamiReply;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

/// For one step of the way.
const STEP: Duration = Duration::from_secs(5);
/// Clocks may differ by this much, in milliseconds. The agent measures lengths only; what is off is
/// the times in logs.
const SKEW_MAX: i64 = 60_000;

pub async fn look(identity: &Identity, allow_plain_http: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    let reached = match reach(&identity.url).await {
        Ok((address, finding)) => {
            findings.push(finding);
            address
        }
        Err(finding) => return vec![finding],
    };
    let controller = match identity.controller(allow_plain_http) {
        Ok(controller) => controller,
        Err(e) => {
            let remedy = "remove the agent with 'pipeyard-agent uninstall' and join again";
            findings.push(Finding::problem("tls", format!("{e:#}"), remedy));
            return findings;
        }
    };
    let asked_at = SystemTime::now();
    let answer = controller.whoami().await;
    match answer {
        Ok(reply) => {
            findings.push(proved(identity));
            findings.extend(known(&reply, asked_at));
        }
        Err(CallError::Unreachable(why)) if identity.url.starts_with("https:") => {
            findings.push(Finding::problem(
                "tls",
                format!("{reached} does not prove to be this agent's controller: {why}"),
                "is a proxy or another controller at that address? If the controller's certificate \
                 authority is new, uninstall and join again",
            ));
        }
        Err(e) => {
            // What it said came through a connection that was proved.
            if e.is_unknown_agent() {
                findings.push(proved(identity));
            }
            findings.push(refused(&e, identity));
        }
    }
    findings
}

/// Name, then connection.
async fn reach(url: &str) -> Result<(SocketAddr, Finding), Finding> {
    let parsed = reqwest::Url::parse(url).ok();
    let host = parsed.as_ref().and_then(|url| url.host_str());
    let port = parsed.as_ref().and_then(reqwest::Url::port_or_known_default);
    let (Some(host), Some(port)) = (host, port) else {
        let remedy = "uninstall, and join again with a new line of 'pipectl join-token create'";
        return Err(Finding::problem("controller", format!("'{url}' is no address"), remedy));
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let unknown = |why: String| {
        let remedy = format!("let this host's DNS or /etc/hosts know '{bare}'");
        Finding::problem("controller", format!("there is no address for {bare}: {why}"), remedy)
    };
    let found = timeout(STEP, lookup_host((bare.clone(), port))).await;
    let found = found.map_err(|_| unknown("no answer".to_owned()))?;
    let addresses: Vec<SocketAddr> = found.map_err(|e| unknown(e.to_string()))?.collect();
    let mut last = "no address".to_owned();
    for address in addresses {
        last = match timeout(STEP, TcpStream::connect(address)).await {
            Ok(Ok(_)) => {
                return Ok((address, Finding::ok("controller", format!("{url} ({address})"))));
            }
            Ok(Err(e)) => format!("{address}: {e}"),
            Err(_) => format!("{address}: no answer within {} s", STEP.as_secs()),
        };
    }
    let remedy = format!(
        "is pipeyard-controller running there, and does every firewall let this host reach port {port}?"
    );
    Err(Finding::problem("controller", format!("{url} cannot be reached: {last}"), remedy))
}

fn proved(identity: &Identity) -> Finding {
    let detail = match (&identity.ca_pem, identity.url.starts_with("https:")) {
        (Some(pem), _) => {
            let fingerprint = ca_sha256(pem).unwrap_or_default();
            format!("the certificate authority is the one of the join, SHA-256 {fingerprint}")
        }
        (None, true) => "a certificate authority that this system knows".to_owned(),
        (None, false) => "none: plain HTTP was allowed".to_owned(),
    };
    Finding::ok("tls", detail)
}

fn known(reply: &WhoamiReply, asked_at: SystemTime) -> Vec<Finding> {
    let mut findings = vec![credential(reply)];
    findings.push(if reply.protocol_floor <= VERSION {
        let (theirs, version) = (reply.protocol, &reply.version);
        Finding::ok(
            "protocol",
            format!("{VERSION} here, {theirs} at the controller (version {version})"),
        )
    } else {
        Finding::problem(
            "protocol",
            format!(
                "this agent speaks {VERSION}, the controller asks for {}",
                reply.protocol_floor
            ),
            "bring it up to date: run the line of 'pipectl join-token create' again",
        )
    });
    let waited = asked_at.elapsed().unwrap_or_default() / 2;
    let asked_at = asked_at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let here = i64::try_from((asked_at + waited).as_millis()).unwrap_or(i64::MAX);
    findings.push(clock(here, reply.now.0));
    findings
}

fn credential(reply: &WhoamiReply) -> Finding {
    if !reply.drained {
        return Finding::ok("credential", format!("the controller knows {}", reply.name));
    }
    Finding::note(
        "credential",
        format!("the controller knows {}, and gives it no new work: it is drained", reply.name),
        format!("give it work again with: pipectl agent undrain {}", reply.name),
    )
}

fn clock(here: i64, there: i64) -> Finding {
    let ahead = here.saturating_sub(there);
    if ahead.abs() <= SKEW_MAX {
        return Finding::ok("clock", "as the controller's");
    }
    let (seconds, side) = (ahead.abs() / 1000, if ahead > 0 { "ahead of" } else { "behind" });
    Finding::problem(
        "clock",
        format!("{seconds} s {side} the controller's"),
        "let chrony or systemd-timesyncd keep the clocks of this host and of the controller",
    )
}

fn refused(error: &CallError, identity: &Identity) -> Finding {
    if error.is_unknown_agent() {
        return Finding::problem(
            "credential",
            format!("the controller does not know {} any more: it was revoked", identity.name),
            "run the line of 'pipectl join-token create' to make this host an agent again, or \
             'pipeyard-agent uninstall'",
        );
    }
    match error {
        CallError::Refused { status: 404, .. } => Finding::note(
            "credential",
            "the controller is too old to be asked",
            format!("if the agent has no work, see the words of the service {SERVICE}"),
        ),
        CallError::Refused { status, .. } if *status >= 500 => Finding::problem(
            "controller",
            error.to_string(),
            "see the controller's log; its database may be away",
        ),
        _ => Finding::problem(
            "controller",
            error.to_string(),
            "something on the way answers in the controller's place: a proxy that wants a password?",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_clock_may_be_a_little_off() {
        assert_eq!(clock(1_000_000, 1_030_000).verdict, Verdict::Ok);
        let ahead = clock(10_000_000, 1_000_000);
        assert_eq!(ahead.verdict, Verdict::Problem);
        assert!(ahead.detail.starts_with("9000 s ahead"), "{}", ahead.detail);
        assert!(clock(0, 1_000_000).detail.contains("behind"));
    }

    #[tokio::test]
    async fn a_name_and_a_port_that_are_not_there_are_told_apart() {
        let name = reach("https://no-such-host.invalid:8470").await.unwrap_err();
        assert!(name.detail.contains("no address for no-such-host.invalid"), "{}", name.detail);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        assert!(reach(&url).await.is_ok());
        drop(listener);
        let port = reach(&url).await.unwrap_err();
        assert!(port.detail.contains("cannot be reached"), "{}", port.detail);
        assert!(port.remedy.unwrap().contains("firewall"));
    }
}
