//! The session cookie. Over TLS it has the `__Host-` prefix, so no neighbour can plant one.

use crate::Peer;
use axum::http::HeaderMap;
use axum_extra::extract::CookieJar;
use axum_extra::extract::cookie::{Cookie, SameSite};

fn name(tls: bool) -> &'static str {
    if tls { "__Host-pipeyard" } else { "pipeyard" }
}

pub fn session_cookie(peer: Peer, secret: String) -> Cookie<'static> {
    Cookie::build((name(peer.tls), secret))
        .path("/")
        .http_only(true)
        .secure(peer.tls)
        .same_site(SameSite::Lax)
        .build()
}

/// Makes the browser forget its session.
pub fn ended_session_cookie(peer: Peer) -> Cookie<'static> {
    let mut cookie = session_cookie(peer, String::new());
    cookie.make_removal();
    cookie
}

/// The session secret a browser sent.
pub fn session_secret(peer: Peer, headers: &HeaderMap) -> Option<String> {
    CookieJar::from_headers(headers).get(name(peer.tls)).map(|cookie| cookie.value().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(tls: bool) -> Peer {
        Peer { address: ([127, 0, 0, 1], 1).into(), tls }
    }

    #[test]
    fn the_cookie_is_out_of_reach_of_scripts_neighbours_and_plain_http() {
        let text = session_cookie(peer(true), "s3".to_owned()).to_string();
        assert_eq!(text, "__Host-pipeyard=s3; HttpOnly; SameSite=Lax; Secure; Path=/");
        let text = session_cookie(peer(false), "s3".to_owned()).to_string();
        assert_eq!(text, "pipeyard=s3; HttpOnly; SameSite=Lax; Path=/");
    }

    #[test]
    fn a_cookie_without_the_prefix_is_not_taken_over_tls() {
        let mut headers = HeaderMap::new();
        headers.insert("cookie", "pipeyard=planted".parse().unwrap());
        assert_eq!(session_secret(peer(true), &headers), None);
        assert_eq!(session_secret(peer(false), &headers).as_deref(), Some("planted"));
    }
}
