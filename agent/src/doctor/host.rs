//! What the agent needs on its own host.

use super::Finding;
use crate::build::docker::Engine;
use crate::context::free_bytes;
use crate::host::{Keeper, Layout, SERVICE, Settings};
use crate::identity::{self, Identity};
use crate::link::FREE_MIN;
use crate::route::{Kept, Target};
use crate::whoami::Service;
use anyhow::Result;
use pipelines::protocol::join::Role;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::time::timeout;

/// For an engine or a balancer to answer.
const ANSWER: Duration = Duration::from_secs(5);
/// Free disk below which it is worth a note, in bytes.
const FREE_COMFORTABLE: u64 = 1 << 30;
const JOIN: &str = "run the line that 'pipectl join-token create' prints";

/// Whether the state directory is there, this user's to write, and nobody else's.
pub fn state(dir: &Path) -> Vec<Finding> {
    let shown = dir.display();
    let meta = match dir.metadata() {
        Ok(meta) => meta,
        Err(e) => return vec![Finding::problem("state", format!("{shown}: {e}"), JOIN)],
    };
    let owner = meta.uid();
    let own = nix::unistd::geteuid();
    if owner != own.as_raw() {
        let detail = format!("{shown} belongs to user {owner}, and this is user {own}");
        let remedy = "run this as the user the agent runs as: root, unless set up otherwise";
        return vec![Finding::problem("state", detail, remedy)];
    }
    let mut findings = Vec::new();
    if meta.mode() & 0o022 != 0 {
        let detail = format!("others may write to {shown} (mode {:o})", meta.mode() & 0o7777);
        findings.push(Finding::problem("state", detail, format!("chmod go-w {shown}")));
    }
    findings.push(match tempfile::tempfile_in(dir) {
        Ok(_) => Finding::ok("state", format!("{shown} is there, private and writable")),
        Err(e) => {
            let remedy = "is the file system mounted read-only, or full?";
            Finding::problem("state", format!("{shown} cannot be written to: {e}"), remedy)
        }
    });
    findings
}

pub fn identity(dir: &Path, identity: &Result<Option<Identity>>) -> Finding {
    let path = identity::path(dir);
    match identity {
        Err(e) => {
            let remedy =
                "run this as root; if the file is damaged, 'pipeyard-agent uninstall' and join";
            Finding::problem("identity", format!("{e:#}"), remedy)
        }
        Ok(None) => Finding::problem("identity", "this host has not joined a controller", JOIN),
        Ok(Some(identity)) => {
            let Identity { name, role, .. } = identity;
            let others = path.metadata().map_or(0, |meta| meta.mode() & 0o077);
            if others != 0 {
                let (path, remedy) = (path.display(), format!("chmod 600 {}", path.display()));
                let detail = format!("others may read the credential in {path}");
                return Finding::problem("identity", detail, remedy);
            }
            Finding::ok("identity", format!("{name}, in the role {}", role.as_str()))
        }
    }
}

pub fn service(layout: &Layout, state_dir: &Path) -> Finding {
    let Service { keeper, running } = Service::look(layout, state_dir);
    let Some(keeper) = keeper else {
        return if running {
            let remedy = format!("{JOIN} if it should come back when the host starts");
            Finding::note("service", "the agent runs, and not as a service", remedy)
        } else {
            Finding::problem("service", "the agent does not run, and is no service", JOIN)
        };
    };
    if running {
        return Finding::ok("service", format!("{SERVICE} runs ({})", keeper.as_str()));
    }
    let start = match keeper {
        Keeper::Systemd => format!("systemctl restart {SERVICE}"),
        Keeper::Init => format!("{} start", layout.script().display()),
    };
    let remedy = format!("see {}; then: {start}", keeper.log_hint(layout));
    Finding::problem("service", format!("{SERVICE} does not run"), remedy)
}

pub fn disk(state_dir: &Path) -> Option<Finding> {
    // Of a directory that is not there, `state` has said so.
    let free = free_bytes(state_dir).ok()?;
    let detail = format!("{} MB free at {}", free >> 20, state_dir.display());
    Some(if free < FREE_MIN {
        let remedy = "make room: below 64 MB the agent takes no work";
        Finding::problem("disk", detail, remedy)
    } else if free < FREE_COMFORTABLE {
        Finding::note("disk", detail, "make room, or releases and artifacts will not fit")
    } else {
        Finding::ok("disk", detail)
    })
}

/// What only builders or only hosts need.
pub async fn for_role(role: Role, settings: &Settings, state_dir: &Path) -> Vec<Finding> {
    match role {
        Role::Build => vec![docker(settings).await],
        Role::Deploy => {
            let mut findings = vec![access_lists()];
            let state_dir = state_dir.to_owned();
            let kept = tokio::task::spawn_blocking(move || Kept::all(&state_dir)).await;
            for kept in kept.unwrap_or_default() {
                findings.push(balancer(&kept.target, settings).await);
            }
            findings
        }
    }
}

async fn docker(settings: &Settings) -> Finding {
    let host = settings.get("PIPEYARD_DOCKER_HOST");
    let at = host.clone().unwrap_or_else(|| "its usual place".to_owned());
    let why = match timeout(ANSWER, Engine::at(host.as_deref())).await {
        Ok(Ok(_)) => return Finding::ok("docker", format!("the engine answers at {at}")),
        Ok(Err(e)) => e.to_string(),
        Err(_) => format!("no answer within {} s", ANSWER.as_secs()),
    };
    Finding::problem(
        "docker",
        format!("no engine answers at {at}: {why}"),
        "builds run in Docker: install it (apt-get install docker.io), start it, or say where it is \
         with PIPEYARD_DOCKER_HOST in /etc/pipeyard-agent.env",
    )
}

fn access_lists() -> Finding {
    if on_path("setfacl") {
        return Finding::ok("tools", "setfacl is there");
    }
    Finding::note(
        "tools",
        "there is no setfacl",
        "an appspec with 'acls' in its permissions needs it: apt-get install acl",
    )
}

async fn balancer(target: &Target, settings: &Settings) -> Finding {
    match target {
        Target::Haproxy { socket, backend } => {
            let shown = socket.display();
            let why = match timeout(ANSWER, UnixStream::connect(socket)).await {
                Ok(Ok(_)) => {
                    let detail = format!("HAProxy answers at {shown} (backend {backend})");
                    return Finding::ok("balancer", detail);
                }
                Ok(Err(e)) => e.to_string(),
                Err(_) => "no answer".to_owned(),
            };
            Finding::problem(
                "balancer",
                format!("HAProxy does not answer at {shown} (backend {backend}): {why}"),
                format!("start it, with 'stats socket {shown} level admin' in its global section"),
            )
        }
        Target::Nginx { file, upstream } => {
            let shown = file.display();
            let nginx = settings.get("PIPEYARD_NGINX").unwrap_or_else(|| "nginx".to_owned());
            let program = nginx.split_whitespace().next().unwrap_or("nginx").to_owned();
            if let Err(e) = std::fs::File::open(file) {
                let detail = format!("the list of servers of upstream {upstream}, {shown}: {e}");
                return Finding::problem(
                    "balancer",
                    detail,
                    "see docs/routers.md for what it holds",
                );
            }
            if !on_path(&program) {
                let detail = format!("there is no {program} to reload upstream {upstream} with");
                let remedy =
                    "say how nginx is called with PIPEYARD_NGINX in /etc/pipeyard-agent.env";
                return Finding::problem("balancer", detail, remedy);
            }
            Finding::ok("balancer", format!("nginx, upstream {upstream} in {shown}"))
        }
    }
}

/// A program by its name or its path. The service's own path has the directories of servers too.
fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let more = ["/usr/sbin".into(), "/sbin".into()];
    std::env::split_paths(&path).chain(more).any(|dir| dir.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_state_directory_is_there_and_private() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(state(&dir.path().join("none"))[0].verdict, Verdict::Problem);
        assert_eq!(state(dir.path())[0].verdict, Verdict::Ok);
        std::fs::set_permissions(dir.path(), Permissions::from_mode(0o777)).unwrap();
        let open = &state(dir.path())[0];
        assert_eq!(open.verdict, Verdict::Problem);
        assert!(open.remedy.as_deref().is_some_and(|text| text.starts_with("chmod go-w")));
    }

    #[test]
    fn an_identity_that_others_can_read_is_a_problem() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(identity(dir.path(), &Ok(None)).verdict, Verdict::Problem);
        let path = identity::path(dir.path());
        let text = r#"{"url": "https://x", "agent": 1, "role": "deploy", "name": "host-1",
                       "credential": "c", "tags": {}, "ca_pem": null}"#;
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let loaded = Identity::load(dir.path());
        let open = identity(dir.path(), &loaded);
        assert!(open.detail.contains("others may read"), "{}", open.detail);
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(identity(dir.path(), &loaded).verdict, Verdict::Ok);
        std::fs::write(&path, "{").unwrap();
        assert_eq!(identity(dir.path(), &Identity::load(dir.path())).verdict, Verdict::Problem);
    }

    #[tokio::test]
    async fn a_balancer_that_is_away_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("admin.sock");
        let target = Target::Haproxy { socket: socket.clone(), backend: "shop".into() };
        let away = balancer(&target, &Settings::default()).await;
        assert_eq!(away.verdict, Verdict::Problem);
        assert!(away.detail.contains("shop"), "{}", away.detail);
        let _listening = tokio::net::UnixListener::bind(&socket).unwrap();
        assert_eq!(balancer(&target, &Settings::default()).await.verdict, Verdict::Ok);
    }
}
