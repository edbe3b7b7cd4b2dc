//! The files of the stories: a shop that is one text file and hooks that bear witness.

/// One pipeline: source, build, deploy.
pub const PIPELINE: &str = r#"version: 1
name: shop
stages:
  - name: source
    actions:
      - name: app
        source: {repository: shop, branch: main}
  - name: build
    actions:
      - name: compile
        build: {image: "debian:bookworm-slim"}
        outputs: [bundle]
  - name: release
    actions:
      - name: production
        deploy: {group: production, artifact: bundle}
"#;

pub const GROUP: &str = r#"version: 1
group: production
application: shop
hosts: {tags: {role: web}}
strategy: {rolling: {batch: 1}}
"#;

const APPSPEC: &str = r#"version: 0.0
os: linux
files:
  - source: app
    destination: /srv/shop
file_exists_behavior: OVERWRITE
hooks:
  ApplicationStop:
    - {location: hooks/stop.sh, timeout: 60}
  ApplicationStart:
    - {location: hooks/start.sh, timeout: 60}
  ValidateService:
    - {location: hooks/validate.sh, timeout: 60}
"#;

/// Every event of a host behind a balancer that may have scripts, in their order.
pub const EVENTS: [&str; 9] = [
    "BeforeBlockTraffic",
    "AfterBlockTraffic",
    "ApplicationStop",
    "BeforeInstall",
    "AfterInstall",
    "ApplicationStart",
    "ValidateService",
    "BeforeAllowTraffic",
    "AfterAllowTraffic",
];

/// One revision of the application. Hooks append to `/witness/<event>` on their host.
#[derive(Debug, Clone)]
pub struct Revision {
    pub version: String,
    /// Lines of the build, besides making the bundle.
    pub build: String,
    /// Lines of each hook, after it has borne witness.
    pub stop: String,
    pub start: String,
    pub validate: String,
    pub buildspec: Option<String>,
    /// Lines that every hook runs first. With them the revision has a hook for each of [`EVENTS`].
    pub every: Option<String>,
}

impl Revision {
    #[must_use]
    pub fn good(version: &str) -> Revision {
        Revision {
            version: version.to_owned(),
            build: "true".to_owned(),
            stop: "true".to_owned(),
            start: "true".to_owned(),
            validate: "true".to_owned(),
            buildspec: None,
            every: None,
        }
    }

    /// Builds well and fails on the host.
    #[must_use]
    pub fn bad(version: &str) -> Revision {
        let validate = "echo 'the shop does not answer'; false".to_owned();
        Revision { validate, ..Revision::good(version) }
    }

    /// A shop that answers on port 8080 with its version.
    #[must_use]
    pub fn web(version: &str) -> Revision {
        let stop =
            "start-stop-daemon --stop --oknodo --retry 5 --remove-pidfile --pidfile /run/shop.pid";
        let start = "start-stop-daemon --start --background --make-pidfile --pidfile /run/shop.pid \
                     --exec /bin/busybox -- httpd -f -p 8080 -h /srv/shop";
        let validate = format!(
            "for try in $(seq 50); do\n  \
             [ \"$(timeout 2 busybox wget -q -O - http://127.0.0.1:8080/version.txt)\" = {version} ] && exit 0\n  \
             sleep 0.1\ndone\nexit 1"
        );
        Revision {
            stop: stop.to_owned(),
            start: start.to_owned(),
            validate,
            ..Revision::good(version)
        }
    }

    /// Lines that wait until a file appears on the host, so that a story decides how long a hook runs.
    #[must_use]
    pub fn until(file: &str) -> String {
        format!("while [ ! -e /witness/{file} ]; do sleep 0.05; done")
    }

    pub(crate) fn files(&self) -> Vec<(&'static str, String)> {
        let every = self.every.clone().unwrap_or_default();
        let hook = |event: &str, lines: &str| {
            format!(
                "#!/bin/sh\n{every}\necho \"$DEPLOYMENT_ID {} begin\" >> /witness/{event}\n{lines}\n\
                 code=$?\necho \"$DEPLOYMENT_ID {} end\" >> /witness/{event}\nexit $code\n",
                self.version, self.version
            )
        };
        let buildspec = self.buildspec.clone().unwrap_or_else(|| {
            format!(
                "version: 0.2\nphases:\n  build:\n    commands:\n      - echo building {}\n      - |\n        {}\n\
                 artifacts:\n  files: ['appspec.yml', 'app/**/*', 'hooks/**/*']\n",
                self.version,
                self.build.replace('\n', "\n        ")
            )
        });
        vec![
            ("buildspec.yml", buildspec),
            ("appspec.yml", self.appspec()),
            ("hooks/other.sh", format!("#!/bin/sh\n{every}\n")),
            ("app/version.txt", self.version.clone()),
            ("hooks/stop.sh", hook("stop", &self.stop)),
            ("hooks/start.sh", hook("start", &self.start)),
            ("hooks/validate.sh", hook("validate", &self.validate)),
        ]
    }

    fn appspec(&self) -> String {
        let mut text = APPSPEC.to_owned();
        for event in EVENTS {
            if self.every.is_some() && !text.contains(event) {
                text.push_str(&format!("  {event}: [{{location: hooks/other.sh, timeout: 60}}]\n"));
            }
        }
        text
    }
}
