//! Whether a request that changes something comes from one of our own pages.

use crate::error::{Error, Result};
use axum::http::{HeaderMap, header};

/// Refuses what a browser sends on behalf of another site. Programs send neither header.
pub fn require_same_origin(headers: &HeaderMap) -> Result<()> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let ours = match (text("sec-fetch-site"), text(header::ORIGIN.as_str())) {
        // Pages with `no-referrer` send `Origin: null` with their own forms, so this comes first.
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => {
            let host = text(header::HOST.as_str());
            host.is_some() && origin.split_once("://").map(|(_, rest)| rest) == host
        }
        (None, None) => true,
    };
    if ours {
        return Ok(());
    }
    Err(Error::forbidden(
        "this request comes from another site",
        "open the page here and press the button there",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_pages_may_send_forms() {
        let cases: [(&[(&str, &str)], bool); 8] = [
            (&[], true),
            (&[("origin", "https://py.example:8443"), ("host", "py.example:8443")], true),
            (&[("origin", "https://evil.example"), ("host", "py.example:8443")], false),
            (&[("origin", "https://py.example:8443.evil"), ("host", "py.example:8443")], false),
            (&[("origin", "null"), ("host", "py.example")], false),
            (&[("origin", "null"), ("sec-fetch-site", "same-origin")], true),
            (&[("origin", "null"), ("sec-fetch-site", "cross-site")], false),
            (&[("sec-fetch-site", "same-site")], false),
        ];
        for (given, expected) in cases {
            let mut headers = HeaderMap::new();
            for (name, value) in given {
                headers.insert(
                    axum::http::HeaderName::from_bytes(name.as_bytes()).unwrap(),
                    value.parse().unwrap(),
                );
            }
            assert_eq!(require_same_origin(&headers).is_ok(), expected, "{given:?}");
        }
    }
}
