//! The one line that makes a host an agent.
//!
//! It is run as root by a person, or at a machine's first start. Whatever it fetches first is fetched
//! unproved and compared with a digest in the line itself; so nobody in between can put anything of
//! his own in its place. The token goes to the script in the environment: arguments are for everybody
//! on the host to read.

use super::script::quoted;
use sha2::{Digest as _, Sha256};

/// With what the host fetches things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetcher {
    Curl,
    Wget,
}

/// How the first thing that is fetched proves itself.
#[derive(Debug, Clone, Copy)]
pub enum Proof<'a> {
    /// The controller's own authority, as PEM: its digest is in the line.
    Authority(&'a str),
    /// An authority the host knows already.
    System,
    /// There is no TLS: the digest of the script is in the line.
    Script(&'a str),
}

/// The line. `url` is how hosts reach the controller.
pub fn line(url: &str, token: &str, proof: Proof<'_>, fetcher: Fetcher) -> String {
    let script = format!("{url}/install.sh");
    let (fetch, extra) = match proof {
        Proof::Authority(pem) => {
            let ca = unproved(fetcher, "ca.pem", &format!("{url}/install/ca.pem"));
            let script = by_authority(fetcher, "install.sh", &script);
            (format!("{ca} && {} && {script}", compared(pem, "ca.pem")), "")
        }
        Proof::System => (plainly(fetcher, "install.sh", &script), ""),
        Proof::Script(text) => {
            let fetched = plainly(fetcher, "install.sh", &script);
            let checked = compared(text, "install.sh");
            (format!("{fetched} && {checked}"), "PIPEYARD_ALLOW_PLAIN_HTTP=true ")
        }
    };
    format!(
        "(d=$(mktemp -d) && trap 'rm -rf \"$d\"' EXIT && cd \"$d\" && {fetch} && \
         {extra}PIPEYARD_JOIN_TOKEN={token} sh install.sh)"
    )
}

/// What a machine runs at its first start: the line, again for a while if the network or the controller
/// is not there yet.
pub fn user_data(line: &str) -> String {
    format!(
        "#!/bin/sh\n\
         # Makes this machine a Pipeyard agent. Running it again upgrades the agent and joins nothing.\n\
         for wait in 5 10 20 40 60 0; do\n\
         {line} && exit\n\
         sleep $wait\n\
         done\n\
         exit 1\n"
    )
}

fn unproved(fetcher: Fetcher, file: &str, url: &str) -> String {
    let url = word(url);
    match fetcher {
        Fetcher::Curl => format!("curl -fsSko {file} {url}"),
        Fetcher::Wget => format!("wget -qO {file} --no-check-certificate {url}"),
    }
}

fn by_authority(fetcher: Fetcher, file: &str, url: &str) -> String {
    let url = word(url);
    match fetcher {
        Fetcher::Curl => format!("curl -fsSo {file} --cacert ca.pem {url}"),
        Fetcher::Wget => format!("wget -qO {file} --ca-certificate=ca.pem {url}"),
    }
}

fn plainly(fetcher: Fetcher, file: &str, url: &str) -> String {
    let url = word(url);
    match fetcher {
        Fetcher::Curl => format!("curl -fsSo {file} {url}"),
        Fetcher::Wget => format!("wget -qO {file} {url}"),
    }
}

fn compared(text: &str, file: &str) -> String {
    let sha256 = hex::encode(Sha256::digest(text));
    format!("echo '{sha256}  {file}' | sha256sum -c -")
}

fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || ":/.-_[]".contains(c);
    // Brackets of an IPv6 address are a pattern to a shell, and a range to curl.
    if text.chars().all(plain) && !text.contains('[') { text.to_owned() } else { quoted(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://ci.example:8470";

    #[test]
    fn what_is_fetched_unproved_is_compared_before_it_is_used() {
        for fetcher in [Fetcher::Curl, Fetcher::Wget] {
            let line = line(URL, "pyj1.a.b.c", Proof::Authority("abc"), fetcher);
            let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  ca.pem";
            let at = |text: &str| line.find(text).unwrap_or_else(|| panic!("no {text} in {line}"));
            assert!(at("/install/ca.pem") < at(digest), "{line}");
            assert!(at(digest) < at("/install.sh"), "{line}");
            assert!(at("/install.sh") < at(" sh install.sh"), "{line}");
            assert!(at("PIPEYARD_JOIN_TOKEN=pyj1.a.b.c sh ") > at(digest), "not as an argument");
            assert!(!line.contains('\n'));
        }
    }

    #[test]
    fn without_tls_the_script_itself_is_compared() {
        let line = line("http://ci.example", "t", Proof::Script("abc"), Fetcher::Curl);
        assert!(line.contains("ad  install.sh' | sha256sum -c - && "), "{line}");
        assert!(!line.contains("-k") && !line.contains("ca.pem"), "{line}");
        let line = super::line(URL, "t", Proof::System, Fetcher::Curl);
        assert!(!line.contains("-fsSk") && !line.contains("sha256sum"), "{line}");
    }

    #[test]
    fn an_address_is_one_word() {
        assert_eq!(word("https://a:1/x"), "https://a:1/x");
        assert_eq!(word("https://[::1]:1/x"), "'https://[::1]:1/x'");
        assert_eq!(word("https://a/$(reboot)"), "'https://a/$(reboot)'");
    }
}
