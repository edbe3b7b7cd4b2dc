//! URLs, as far as a file can be wrong about them. What may be reached is decided where it is.

use crate::spec::codes;
use crate::spec::decode::Report;
use crate::spec::yaml::Node;

impl Report {
    /// `http://` or `https://` with a host, no spaces, no credentials.
    pub(crate) fn http_url(&mut self, node: &Node, path: &str) -> Option<String> {
        let text = self.word(node, path)?;
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        self.url(node, path, &text, rest, "write https://host/path")
    }

    /// What git can fetch: https, http, ssh, file, or `user@host:path`.
    pub(crate) fn git_url(&mut self, node: &Node, path: &str) -> Option<String> {
        let text = self.word(node, path)?;
        let schemes = ["https://", "http://", "ssh://", "file://"];
        let rest = schemes.iter().find_map(|scheme| text.strip_prefix(scheme));
        let scp = !text.contains("://")
            && !text.starts_with('-')
            && text.split_once(':').is_some_and(|(host, path)| {
                host.contains('@') && !host.contains('/') && !path.is_empty()
            });
        let rest = if scp { Some("host") } else { rest };
        self.url(node, path, &text, rest, "write https://host/path.git or git@host:path.git")
    }

    fn url(
        &mut self,
        node: &Node,
        path: &str,
        text: &str,
        rest: Option<&str>,
        help: &str,
    ) -> Option<String> {
        let secret = rest.is_some_and(|rest| {
            let host = rest.split('/').next().unwrap_or("");
            host.split_once('@').is_some_and(|(user, _)| user.contains(':'))
        });
        if secret {
            let message = format!("`{path}` holds a password");
            let help = "take it out: a file keeps no secrets; such sources are to come";
            self.error(node.at, codes::BAD_URL, message, help);
            return None;
        }
        let good = rest.is_some_and(|rest| !rest.is_empty())
            && !text.contains(|c: char| c.is_whitespace() || c.is_control());
        if !good {
            let message = format!("`{path}`: '{text}' is not a URL that can be used here");
            self.error(node.at, codes::BAD_URL, message, help);
        }
        good.then(|| text.to_owned())
    }
}
