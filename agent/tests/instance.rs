//! Containers as hosts, on a real Docker engine: whose they are, and in which order they come and go.

mod build_support;

use agent::build::local::surroundings;
use agent::context::{Cancel, Reason, Settings, TaskContext};
use agent::instance;
use build_support::{IMAGE, need_image, next};
use pipelines::ids::{DeploymentId, TaskId};
use pipelines::protocol::answer::Answer;
use pipelines::protocol::report::{ErrorCode, Outcome};
use pipelines::protocol::task::{Dismiss, Launch, TaskKey};
use pipelines::spec::group::Docker;
use std::path::{Path, PathBuf};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

const ENGINE: &str = "/var/run/docker.sock";

/// A host's name, and the agent that makes it. The container is removed in the end, whoever made it.
struct Host {
    name: String,
    dir: tempfile::TempDir,
    settings: Settings,
}

impl Host {
    fn new() -> Host {
        need_image();
        let name = format!("pipeyard-test-{}-{}", std::process::id(), next());
        Host { name, dir: tempfile::tempdir().unwrap(), settings: Settings::default() }
    }

    /// What a task is given; all of them share the agent's state directory.
    fn ctx(&self, attempt: u32) -> TaskContext {
        let key = TaskKey { task: TaskId(next()), attempt };
        let mut ctx = surroundings(self.dir.path(), key, self.settings.clone()).unwrap().ctx;
        ctx.cancel = Cancel::default();
        ctx
    }

    fn order(&self, installation: &str, token: &str) -> Launch {
        let settings = Docker {
            agent: "here".into(),
            image: IMAGE.into(),
            network: None,
            env: [].into(),
            memory: None,
            cpus: None,
        };
        Launch {
            installation: installation.into(),
            deployment: DeploymentId(1),
            group: "web".into(),
            name: self.name.clone(),
            settings,
            url: "http://127.0.0.1:1".into(),
            token: format!("pyj1.{token}.secret.plain"),
        }
    }

    async fn launch(&self, attempt: u32, installation: &str) -> Outcome {
        let order = self.order(installation, &format!("token{attempt}"));
        instance::launch(&order, &self.ctx(attempt)).await
    }

    async fn dismiss(&self, attempt: u32, installation: &str) -> Outcome {
        let order = Dismiss {
            installation: installation.into(),
            deployment: DeploymentId(1),
            group: "web".into(),
            name: self.name.clone(),
        };
        instance::dismiss(&order, &self.ctx(attempt)).await
    }

    /// The container's own id; None where there is none.
    fn id(&self) -> Option<String> {
        let found =
            docker(&["ps", "-aq", "--no-trunc", "--filter", &format!("name=^{}$", self.name)]);
        Some(found.trim().to_owned()).filter(|id| !id.is_empty())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let args = ["rm", "-fv", &self.name];
        let _ = std::process::Command::new("docker").args(args).output();
    }
}

fn docker(args: &[&str]) -> String {
    let done = std::process::Command::new("docker").args(args).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

#[track_caller]
fn succeeded(outcome: &Outcome) {
    assert!(matches!(outcome, Outcome::Succeeded { .. }), "{outcome:?}");
}

#[track_caller]
fn refused(outcome: &Outcome) -> (ErrorCode, &str) {
    match outcome {
        Outcome::Failed { error, .. } => (error.code, &error.message),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn whoever_makes_a_host_says_where_it_is() {
    let host = Host::new();
    // The usual image's own program ends at once, and with it the address is gone.
    let lasting = format!("{}-lasting", host.name);
    docker(&["create", "--name", &lasting, IMAGE]);
    docker(&["commit", "--change", "CMD [\"sleep\", \"600\"]", &lasting, &lasting]);
    docker(&["rm", &lasting]);
    let mut order = host.order("one", "token1");
    order.settings.image.clone_from(&lasting);
    let outcome = instance::launch(&order, &host.ctx(1)).await;
    let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    let address = docker(&["inspect", "--format", format, &host.name]);
    succeeded(&host.dismiss(2, "one").await);
    docker(&["rmi", &lasting]);
    let Outcome::Succeeded { answer: Some(Answer::Launched(launched)), .. } = &outcome else {
        panic!("{outcome:?}")
    };
    assert!(!address.trim().is_empty(), "it runs");
    assert_eq!(launched.address.as_deref(), Some(address.trim()));
}

#[tokio::test]
async fn another_installations_host_of_the_same_name_is_never_touched() {
    let host = Host::new();
    succeeded(&host.launch(1, "one").await);
    let made = host.id();
    assert!(made.is_some());
    // The same group, host and deployment, as another controller numbers them.
    for outcome in [host.launch(1, "two").await, host.dismiss(2, "two").await] {
        let (_, message) = refused(&outcome);
        let words = format!("{} belongs to another installation of Pipeyard (one)", host.name);
        assert!(message.contains(&words), "{message}");
    }
    assert_eq!(host.id(), made);
    succeeded(&host.dismiss(2, "one").await);
    assert_eq!(host.id(), None);
    // Once more: it was taken away before.
    succeeded(&host.dismiss(2, "one").await);
}

#[tokio::test]
async fn a_container_of_nobody_is_left_alone() {
    let host = Host::new();
    docker(&["create", "--name", &host.name, IMAGE, "true"]);
    let made = host.id();
    for outcome in [host.launch(1, "one").await, host.dismiss(2, "one").await] {
        let (_, message) = refused(&outcome);
        assert!(message.contains("was not made for group web of this installation"), "{message}");
    }
    assert_eq!(host.id(), made);
}

#[tokio::test]
async fn a_second_try_finds_the_first_and_a_new_token_makes_a_new_one() {
    let host = Host::new();
    succeeded(&host.launch(1, "one").await);
    let first = host.id();
    succeeded(&host.launch(1, "one").await);
    assert_eq!(host.id(), first);
    succeeded(&host.launch(2, "one").await);
    assert!(host.id().is_some() && host.id() != first);
}

#[tokio::test]
async fn a_word_that_comes_too_late_does_nothing() {
    let host = Host::new();
    succeeded(&host.dismiss(2, "one").await);
    let late = host.launch(1, "one").await;
    let (code, message) = refused(&late);
    assert_eq!(code, ErrorCode::Fenced);
    assert!(message.contains("came too late"), "{message}");
    assert_eq!(host.id(), None);
    succeeded(&host.launch(3, "one").await);
    assert_eq!(refused(&host.dismiss(2, "one").await).0, ErrorCode::Fenced);
    assert!(host.id().is_some());
}

/// Docker's socket, which is slow to make containers and tells what it is asked for.
fn slow_engine(dir: &Path, asked: impl Fn(&str) + Clone + Send + Sync + 'static) -> PathBuf {
    let path = dir.join("docker.sock");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let asked = asked.clone();
            tokio::spawn(async move {
                let engine = UnixStream::connect(ENGINE).await.unwrap();
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_engine, mut to_engine) = engine.into_split();
                tokio::spawn(async move {
                    let _ = tokio::io::copy(&mut from_engine, &mut to_client).await;
                });
                let mut piece = vec![0; 1 << 16];
                while let Ok(size @ 1..) = from_client.read(&mut piece).await {
                    let text = String::from_utf8_lossy(&piece[..size]).into_owned();
                    asked(&text);
                    if text.contains("/containers/create") {
                        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
                    }
                    if to_engine.write_all(&piece[..size]).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    path
}

#[tokio::test]
async fn a_launch_and_its_dismissal_at_once_leave_nothing() {
    let mut host = Host::new();
    let engine = slow_engine(host.dir.path(), |_| {});
    host.settings.docker_host = Some(format!("unix://{}", engine.display()));
    let (launched, dismissed) = tokio::join!(host.launch(1, "one"), host.dismiss(2, "one"));
    succeeded(&dismissed);
    // Whichever had its turn first.
    if let Outcome::Failed { error, .. } = &launched {
        assert_eq!(error.code, ErrorCode::Fenced);
    }
    assert_eq!(host.id(), None);
}

#[tokio::test]
async fn a_launch_that_is_stopped_half_way_takes_away_what_it_made() {
    for at in ["/containers/create", "/start"] {
        let mut host = Host::new();
        let cancel = Cancel::default();
        let stop = cancel.clone();
        let engine = slow_engine(host.dir.path(), move |asked| {
            if asked.contains(at) {
                stop.cancel(Reason::Controller);
            }
        });
        host.settings.docker_host = Some(format!("unix://{}", engine.display()));
        let mut ctx = host.ctx(1);
        ctx.cancel = cancel.clone();
        let outcome = instance::launch(&host.order("one", "t"), &ctx).await;
        assert!(cancel.is_cancelled());
        assert!(matches!(outcome, Outcome::Cancelled { touched: false, .. }), "{at}: {outcome:?}");
        assert_eq!(host.id(), None, "{at}");
    }
}
