//! `pipeyard-agent whoami`: what this host is, to itself and to its controller. No secret is in it.

use crate::controller::CallError;
use crate::host::{Keeper, Layout, Settings};
use crate::identity::Identity;
use crate::state::State;
use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use pipelines::protocol::whoami::WhoamiReply;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    Text,
    Json,
}

#[derive(Debug, Args)]
pub struct WhoamiArgs {
    /// The agent's state directory; the installed one by default.
    #[arg(long, env = "PIPEYARD_STATE_DIR")]
    state_dir: Option<PathBuf>,
    /// What to print.
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
}

/// # Errors
/// When this host is no agent, or that cannot be read.
pub async fn run(args: WhoamiArgs) -> Result<ExitCode> {
    let layout = Layout::default();
    let settings = Settings::load(&layout)?;
    let state_dir = settings.state_dir(args.state_dir);
    let Some(identity) = Identity::load(&state_dir)? else {
        let dir = state_dir.display();
        bail!(
            "this host is no agent: there is no identity in {dir}. Make it one with the line that \
             'pipectl join-token create' prints"
        );
    };
    let asked = match identity.controller(settings.allow_plain_http()) {
        Ok(controller) => controller.whoami().await,
        Err(e) => Err(CallError::Unreachable(format!("{e:#}"))),
    };
    let service = Service::look(&layout, &state_dir);
    match args.output {
        Output::Json => println!("{:#}", as_json(&identity, &asked, &state_dir, service)),
        Output::Text => print!("{}", as_text(&identity, &asked, &state_dir, service)),
    }
    let unknown = asked.is_err_and(|e| e.is_unknown_agent());
    Ok(if unknown { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

/// Whether the agent is kept running here, and whether it runs.
#[derive(Debug, Clone, Copy)]
pub struct Service {
    /// None: nothing was installed; somebody may run it by hand or in a container.
    pub keeper: Option<Keeper>,
    pub running: bool,
}

impl Service {
    #[must_use]
    pub fn look(layout: &Layout, state_dir: &Path) -> Service {
        let keeper = Keeper::of_this_host();
        Service {
            keeper: keeper.is_installed(layout).then_some(keeper),
            running: State::is_held(state_dir),
        }
    }
}

fn as_json(
    identity: &Identity,
    asked: &Result<WhoamiReply, CallError>,
    state_dir: &Path,
    service: Service,
) -> Value {
    let known = match asked {
        Ok(_) => Some(true),
        Err(e) if e.is_unknown_agent() => Some(false),
        Err(_) => None,
    };
    let reply = asked.as_ref().ok();
    json!({
        "name": identity.name,
        "agent": identity.agent.to_string(),
        "role": identity.role.as_str(),
        "tags": identity.tags,
        "controller": identity.url,
        "controller_version": reply.map(|reply| reply.version.clone()),
        "known": known,
        "drained": reply.map(|reply| reply.drained),
        "state_dir": state_dir,
        "version": env!("CARGO_PKG_VERSION"),
        "service": service.keeper.map(Keeper::as_str),
        "running": service.running,
    })
}

fn as_text(
    identity: &Identity,
    asked: &Result<WhoamiReply, CallError>,
    state_dir: &Path,
    service: Service,
) -> String {
    let standing = match asked {
        Ok(reply) if reply.drained => "drained: it gets no new work".to_owned(),
        Ok(_) => "active".to_owned(),
        Err(e) if e.is_unknown_agent() => "revoked".to_owned(),
        Err(e) => format!("not known now: {e}"),
    };
    let tags: Vec<String> = identity.tags.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let running = if service.running { "running" } else { "not running" };
    let service = match service.keeper {
        Some(keeper) => format!("{}, {running}", keeper.as_str()),
        None => format!("not installed, {running}"),
    };
    let lines = [
        ("name", identity.name.clone()),
        ("agent", identity.agent.to_string()),
        ("role", identity.role.as_str().to_owned()),
        ("tags", tags.join(" ")),
        ("controller", identity.url.clone()),
        ("standing", standing),
        ("state", state_dir.display().to_string()),
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("service", service),
    ];
    lines.map(|(key, value)| format!("{key:<12}{value}\n")).concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipelines::ids::AgentId;
    use pipelines::protocol::join::Role;
    use pipelines::time::Timestamp;

    #[test]
    fn it_says_who_it_is_and_never_the_credential() {
        let identity = Identity {
            url: "https://ci.example".into(),
            agent: AgentId(7),
            role: Role::Deploy,
            name: "host-1".into(),
            credential: "pyaSECRET".into(),
            tags: [("role".to_owned(), "web".to_owned())].into(),
            ca_pem: Some("PEM".into()),
        };
        let reply = WhoamiReply {
            agent: AgentId(7),
            name: "host-1".into(),
            role: Role::Deploy,
            drained: true,
            version: "9".into(),
            protocol: 1,
            protocol_floor: 1,
            now: Timestamp(0),
        };
        let unknown = CallError::Refused {
            status: 401,
            code: Some(pipelines::protocol::UNKNOWN_AGENT.into()),
            message: "revoked".into(),
        };
        let service = Service { keeper: Some(Keeper::Systemd), running: true };
        let cases = [
            (Ok(reply), "drained", json!(true)),
            (Err(unknown), "revoked", json!(false)),
            (Err(CallError::Unreachable("x".into())), "cannot reach", json!(null)),
        ];
        for (asked, word, known) in cases {
            let text = as_text(&identity, &asked, "/state".as_ref(), service);
            assert!(text.contains(word) && text.contains("role=web"), "{text}");
            let json = as_json(&identity, &asked, "/state".as_ref(), service);
            assert_eq!((&json["known"], &json["agent"]), (&known, &json!("a-7")));
            assert!(!text.contains("SECRET") && !json.to_string().contains("SECRET"));
        }
    }
}
