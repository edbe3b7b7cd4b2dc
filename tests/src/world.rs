//! A small installation: one controller, one builder, some hosts, one developer.

use crate::api::Api;
use crate::balancer::Balancer;
use crate::controller::Controller;
use crate::files::{GROUP, PIPELINE, Revision};
use crate::host::{Builder, Host, Instances, gateway, instance_image};
use crate::postgres::Postgres;
use crate::repository::Repository;
use crate::wait;
use serde_json::json;
use std::path::Path;
use tempfile::TempDir;

/// What a story needs beyond the usual.
#[derive(Debug, Clone)]
pub struct Options {
    pub hosts: usize,
    /// Seconds after which a silent agent counts as lost.
    pub silence: u64,
    /// A Postgres the story can restart, instead of the controller's own.
    pub own_postgres: bool,
    /// The hosts are tagged `set: blue` and `set: green` by turns.
    pub sets: bool,
    /// Where instances are made it has to be another one in every story: hosts are named after it.
    pub group_name: String,
    /// HAProxy on this machine, with an agent beside it.
    pub balancer: bool,
    /// The balancer is nginx instead.
    pub nginx: bool,
    pub pipeline: String,
    /// `INSTANCE` stands for an image that holds the agent; the balancer's places are in it by
    /// [`Balancer::places`].
    pub group: String,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            hosts: 2,
            silence: 30,
            own_postgres: false,
            sets: false,
            group_name: "production".to_owned(),
            balancer: false,
            nginx: false,
            pipeline: PIPELINE.to_owned(),
            group: GROUP.to_owned(),
        }
    }
}

/// Fields are dropped in order: agents first, the controller next, its database last.
pub struct World {
    pub instances: Instances,
    pub hosts: Vec<Host>,
    pub builder: Builder,
    pub balancer: Option<Balancer>,
    pub api: Api,
    pub repository: Repository,
    pub controller: Controller,
    pub postgres: Option<Postgres>,
    pub directory: TempDir,
}

impl World {
    /// Everything up, joined and registered.
    ///
    /// # Panics
    /// When any part does not come up.
    pub async fn start(options: Options) -> World {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let directory = tempfile::tempdir().expect("a directory for the world");
        pass_through(directory.path());
        let postgres = options.own_postgres.then(Postgres::start);
        let url = postgres.as_ref().map(Postgres::url);
        let data = directory.path().join("data");
        let mut controller = Controller::new(&data, url, &gateway(), options.silence);
        controller.start().await;
        let password = first_password(&data);
        let api = Api::login(&controller.url(), "admin", &password).await;
        let world = label(directory.path());
        let builder_token = api.join_token("build", json!({})).await;
        let builder = Builder::start(directory.path(), &controller.agents_url(), &builder_token);
        let mut tokens = Vec::new();
        for set in ["blue", "green"] {
            let tags = match options.sets {
                true => json!({ "role": "web", "set": set }),
                false => json!({ "role": "web" }),
            };
            tokens.push(api.join_token("deploy", tags).await);
        }
        let hosts = (1..=options.hosts)
            .map(|number| {
                let name = format!("host-{number}");
                let witness = directory.path().join("witness").join(&name);
                let token = &tokens[(number - 1) % 2];
                Host::start(&world, &name, &controller.agents_url(), token, witness)
            })
            .collect();
        let balancer = if options.balancer {
            let token = api.join_token("deploy", json!({ "role": "balancer" })).await;
            let url = controller.agents_url();
            Some(match options.nginx {
                true => Balancer::start_nginx(directory.path(), &url, &token).await,
                false => Balancer::start(directory.path(), &url, &token).await,
            })
        } else {
            None
        };
        let remote = format!("http://git:{}@127.0.0.1:{}/git/shop.git", api.token, controller.port);
        let world = World {
            instances: Instances { group: options.group_name.clone() },
            hosts,
            builder,
            balancer,
            api,
            repository: Repository::new(remote),
            controller,
            postgres,
            directory,
        };
        world.wait_for_agents(options.hosts + 1 + usize::from(options.balancer)).await;
        let (status, answer) = world
            .api
            .apply(&[
                ("pipeline.yml", &world.renamed(&options.pipeline)),
                ("group.yml", &world.group(&options.group)),
            ])
            .await;
        assert!(status.is_success(), "apply: {status} {answer}");
        world
    }

    fn renamed(&self, text: &str) -> String {
        text.replace("group: production", &format!("group: {}", self.instances.group))
    }

    /// A group file with its placeholders filled in.
    fn group(&self, text: &str) -> String {
        let text = self.renamed(text);
        let text = self.balancer.as_ref().map_or(text.clone(), |balancer| balancer.places(&text));
        if text.contains("INSTANCE") {
            return text.replace("INSTANCE", &instance_image());
        }
        text
    }

    /// Applies another version of the group.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn regroup(&self, text: &str) {
        let (status, answer) = self.api.apply(&[("group.yml", &self.group(text))]).await;
        assert!(status.is_success(), "apply: {status} {answer}");
    }

    /// Commits and pushes a revision and waits for the end of its run.
    pub async fn deliver(&self, revision: &Revision, run: usize) -> serde_json::Value {
        self.repository.commit(revision, &revision.version);
        self.repository.push();
        let run = self.api.run_number(run).await;
        self.api.run_end(&run).await
    }

    /// The hosts that deployments of a group have made, in order.
    #[must_use]
    pub fn instances(&self) -> Vec<String> {
        self.instances.names()
    }

    /// The balancer.
    ///
    /// # Panics
    /// When the story has none.
    #[must_use]
    pub fn balancer(&self) -> &Balancer {
        self.balancer.as_ref().expect("a story with a balancer")
    }

    async fn wait_for_agents(&self, count: usize) {
        wait::until(&format!("{count} agents"), || async {
            let agents = self.api.get("/api/v1/agents").await;
            let list = agents.as_array().or_else(|| agents["agents"].as_array())?;
            (list.len() >= count).then_some(())
        })
        .await;
    }

    /// A machine that is no host yet.
    #[must_use]
    pub fn bare_host(&self, name: &str) -> Host {
        let witness = self.directory.path().join("witness").join(name);
        Host::bare(&label(self.directory.path()), name, witness)
    }

    /// The version every host has installed.
    #[must_use]
    pub fn versions(&self) -> Vec<String> {
        self.hosts.iter().map(Host::version).collect()
    }

    /// Waits until a hook on a host has written this line.
    pub async fn witness(&self, host: usize, file: &str, line: &str) {
        let host = &self.hosts[host];
        let what = format!("'{line}' in {file} on {}", host.name);
        wait::until(&what, || async {
            host.witness(file).lines().any(|found| found.ends_with(line)).then_some(())
        })
        .await;
    }
}

/// What containers of a story are called by.
#[must_use]
pub fn label(directory: &Path) -> String {
    let name = directory.file_name().expect("a name").to_string_lossy().into_owned();
    name.trim_start_matches('.').to_owned()
}

/// The private Postgres runs as another user and must be able to reach its own directory.
///
/// # Panics
/// When the directory's mode cannot be set.
pub fn pass_through(directory: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o755))
        .expect("the world's directory");
}

/// What the first start of a controller wrote for its first admin.
///
/// # Panics
/// When it did not.
#[must_use]
pub fn first_password(data: &Path) -> String {
    let text = std::fs::read_to_string(data.join("first-admin")).expect("the first admin's file");
    let line = text.lines().find_map(|line| line.strip_prefix("password: "));
    line.expect("a password").to_owned()
}
