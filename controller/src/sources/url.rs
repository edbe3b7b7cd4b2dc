//! Which repository addresses may be fetched. An address is data from a file somebody wrote: it must
//! not become an option, a program, a local file, or a way to this machine's own services.

use crate::destination::{self, Obstacle, SOURCES};
use reqwest::Url;

pub use crate::destination::Policy;

/// Checks an address and returns it in its parsed form.
///
/// # Errors
/// What is wrong with it and what to write instead.
pub async fn check(address: &str, policy: &Policy) -> Result<String, String> {
    let url = parse(address, policy)?;
    match destination::check(&url, SOURCES, *policy).await {
        // Whether it is this machine does not matter then, and git says what it cannot find.
        Err(Obstacle::Unresolved(_)) if policy.allow_local => {}
        Err(Obstacle::Unresolved(why) | Obstacle::Forbidden(why)) => return Err(why),
        Ok(()) => {}
    }
    Ok(url.to_string())
}

fn parse(address: &str, policy: &Policy) -> Result<Url, String> {
    let url = Url::parse(address).map_err(|_| {
        format!("'{}' is not a repository address: write https://host/path.git", printable(address))
    })?;
    match url.scheme() {
        "https" => {}
        "http" if policy.allow_local => {}
        "http" => return Err("http:// sends sources unprotected: write https://".to_owned()),
        other => {
            return Err(format!("{other}:// is not allowed for sources: write https://"));
        }
    }
    if url.host_str().is_none_or(|host| host.is_empty() || host.starts_with('-')) {
        return Err("the address has no usable host".to_owned());
    }
    Ok(url)
}

fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

/// The address as it may be shown.
#[must_use]
pub fn without_credentials(address: &str) -> String {
    match Url::parse(address) {
        Ok(mut url) => {
            // Fails only for addresses that cannot carry credentials.
            let _ = url.set_username("");
            let _ = url.set_password(None);
            url.to_string()
        }
        Err(_) => printable(address),
    }
}

/// Whether two addresses name the same repository, as forges write them.
#[must_use]
pub fn same_repository(a: &str, b: &str) -> bool {
    let plain = |text: &str| {
        let text = without_credentials(text).to_ascii_lowercase();
        text.trim_end_matches('/').trim_end_matches(".git").to_owned()
    };
    plain(a) == plain(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn addresses_that_run_programs_or_reach_inside_are_refused() {
        let refused = [
            "ext::sh -c id",
            "EXT::sh",
            "file:///etc",
            "--upload-pack=id",
            "ssh://-oProxyCommand=x/y",
            "http://example.com/x.git",
            "https://127.0.0.1/x.git",
            "https://[::1]/x.git",
            "https://169.254.169.254/latest",
            "https://2130706433/x.git",
            "https://localhost/x.git",
            "https://0.0.0.0/x",
            "https://[::ffff:127.0.0.1]/x",
            "git://host/x",
            "/etc/passwd",
            "",
        ];
        for address in refused {
            assert!(check(address, &Policy::default()).await.is_err(), "{address}");
        }
    }

    #[tokio::test]
    async fn a_local_source_needs_the_operators_word() {
        let allowed = Policy { allow_local: true };
        assert!(check("http://127.0.0.1:3000/x.git", &allowed).await.is_ok());
        assert!(check("file:///srv/x.git", &allowed).await.is_err());
        assert!(check("https://169.254.169.254/latest", &allowed).await.is_err(), "never that one");
    }

    #[test]
    fn credentials_are_never_shown() {
        assert_eq!(without_credentials("https://me:secret@host/x.git"), "https://host/x.git");
    }

    #[test]
    fn forges_write_the_same_repository_in_several_ways() {
        assert!(same_repository("https://Host/a/b.git", "https://host/a/b"));
        assert!(!same_repository("https://host/a/b", "https://host/a/c"));
    }
}
