//! nginx's own program: what it says of its configuration, and how it is told.

use crate::route::fault::Fault;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::time::timeout;

/// Longest that one call may take; resolving names of upstreams can be slow.
const CALL: Duration = Duration::from_secs(30);
const DEFAULT: &str = "nginx";
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What of the configuration matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conf {
    pub pid_file: PathBuf,
    pub upstreams: BTreeSet<String>,
    /// Every file it consists of.
    pub files: BTreeSet<PathBuf>,
}

/// How nginx is called on this host.
#[derive(Debug, Clone)]
pub struct Command(Vec<String>);

impl Command {
    /// `nginx -p /srv/nginx -c nginx.conf`; plain `nginx` without a wish.
    pub fn new(wish: Option<&str>) -> Command {
        Command(wish.unwrap_or(DEFAULT).split_whitespace().map(str::to_owned).collect())
    }

    pub async fn dump(&self) -> Result<Conf, Fault> {
        let (dump, _) = self.call(&["-T"]).await?;
        let (_, built) = self.call(&["-V"]).await?;
        Ok(parse(&dump, &built, self.prefix()))
    }

    pub async fn test(&self) -> Result<(), Fault> {
        self.call(&["-t"]).await.map(|_| ())
    }

    pub async fn reload(&self) -> Result<(), Fault> {
        self.call(&["-s", "reload"]).await.map(|_| ())
    }

    fn prefix(&self) -> Option<&Path> {
        let at = self.0.iter().position(|word| word == "-p")?;
        self.0.get(at + 1).map(Path::new)
    }

    /// What it printed, and what it said beside it.
    async fn call(&self, args: &[&str]) -> Result<(String, String), Fault> {
        let program = self.0.first().map_or(DEFAULT, String::as_str);
        let shown = format!("{} {}", self.0.join(" "), args.join(" "));
        let child = tokio::process::Command::new(program)
            .args(self.0.get(1..).unwrap_or_default())
            .args(args)
            .env_clear()
            .env("PATH", PATH)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let done = match timeout(CALL, child).await {
            Ok(Ok(done)) => done,
            Ok(Err(e)) => {
                return Err(Fault::router(format!(
                    "`{program}` cannot be started ({e}): install nginx on this host, or say how it is called \
                     with `pipeyard-agent run --nginx`"
                )));
            }
            Err(_) => {
                let message = format!("`{shown}` did not end within {} s", CALL.as_secs());
                return Err(Fault::router(message));
            }
        };
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        if !done.status.success() {
            return Err(Fault::router(format!("`{shown}` failed: {}", words(&said))));
        }
        Ok((String::from_utf8_lossy(&done.stdout).into_owned(), said))
    }
}

/// What a failing nginx says, without its prefixes and in one line.
fn words(said: &str) -> String {
    const LINES_MAX: usize = 5;
    let lines = said.lines().filter_map(|line| {
        let line = line.trim().trim_start_matches("nginx: ");
        (line.contains('[') || !line.contains("test failed")).then_some(line)
    });
    lines.take(LINES_MAX).collect::<Vec<_>>().join("; ")
}

/// From `nginx -T` and `nginx -V`.
fn parse(dump: &str, built: &str, prefix: Option<&Path>) -> Conf {
    let built_in = |key: &str| {
        let found = built.split_whitespace().find_map(|word| word.strip_prefix(key));
        PathBuf::from(found.unwrap_or_default())
    };
    let files = dump
        .lines()
        .filter_map(|line| line.strip_prefix("# configuration file ")?.strip_suffix(':'))
        .map(PathBuf::from)
        .collect();
    let mut upstreams = BTreeSet::new();
    let mut pid_file = None;
    let statements = dump.lines().filter(|line| !line.trim_start().starts_with('#'));
    for statement in statements.flat_map(|line| line.split_inclusive([';', '{', '}'])) {
        let mut words = statement.trim().trim_end_matches([';', '{']).split_whitespace();
        match (words.next(), words.next()) {
            (Some("upstream"), Some(name)) => {
                upstreams.insert(name.trim_matches(['"', '\'']).to_owned());
            }
            (Some("pid"), Some(path)) => pid_file = Some(PathBuf::from(path)),
            _ => {}
        }
    }
    let prefix = prefix.map_or_else(|| built_in("--prefix="), Path::to_owned);
    let pid_file = prefix.join(pid_file.unwrap_or_else(|| built_in("--pid-path=")));
    Conf { pid_file, upstreams, files }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMP: &str = "# configuration file /etc/nginx/nginx.conf:\n# pid /old;\nuser www-data;\n\
        http {\n  upstream shop { include /etc/nginx/shop.servers; }\n  upstream \"api\"\n  {\n}\n}\n\
        # configuration file /etc/nginx/shop.servers:\nserver 10.0.0.1:80;\n";

    #[test]
    fn a_dump_says_what_upstreams_and_files_there_are() {
        let conf = parse(DUMP, "configure arguments: --prefix=/usr --pid-path=/run/n.pid", None);
        assert_eq!(conf.upstreams.iter().collect::<Vec<_>>(), ["api", "shop"]);
        assert!(conf.files.contains(Path::new("/etc/nginx/shop.servers")));
        assert_eq!(conf.pid_file, Path::new("/run/n.pid"));
        let conf = parse("pid logs/n.pid;\n", "", Some(Path::new("/srv/n")));
        assert_eq!(conf.pid_file, Path::new("/srv/n/logs/n.pid"));
    }

    #[test]
    fn a_refusal_is_told_in_nginxs_words() {
        let said = "nginx: [emerg] invalid parameter \"x\" in /a:3\nnginx: configuration file /b test \
                    failed\n";
        assert_eq!(words(said), "[emerg] invalid parameter \"x\" in /a:3");
    }
}
