//! What things are called and how they are said: status marks, sentences, times. Pure functions; pages
//! and JSON say the same.

pub mod deployment;
pub mod history;
pub mod monitor;
pub mod next;
pub mod run;
pub mod status;
pub mod task;
pub mod time;
pub mod waiting;

/// `one host`, `3 hosts`.
pub fn count(number: usize, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

/// Text as the value of a query parameter.
pub fn escape_query(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
                escaped.push(char::from(byte));
            }
            other => escaped.push_str(&format!("%{other:02X}")),
        }
    }
    escaped
}

/// Where to go after signing in: a path of ours, whatever was asked for.
pub fn safe_path(next: Option<&str>) -> String {
    let path = next.unwrap_or("/");
    let ours = path.starts_with('/')
        && !path.starts_with("//")
        && !path.contains('\\')
        && path.bytes().all(|byte| byte.is_ascii_graphic());
    if ours { path.to_owned() } else { "/".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signing_in_never_leads_to_another_site() {
        assert_eq!(safe_path(Some("/runs/r-1?x=1")), "/runs/r-1?x=1");
        for bad in ["//evil", "/\\evil", "https://evil", "", "/a\r\nb", "evil", "/\t/evil"] {
            assert_eq!(safe_path(Some(bad)), "/", "{bad:?}");
        }
        assert_eq!(safe_path(None), "/");
        assert_eq!(escape_query("/a?b=c&d"), "/a%3Fb%3Dc%26d");
    }
}
