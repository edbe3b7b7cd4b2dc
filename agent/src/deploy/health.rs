//! The group's own check of the application on this host: an HTTP GET, good for long enough without
//! a break.

use super::fault::{Fault, Stop};
use crate::context::Cancel;
use crate::controller::reason;
use crate::tls::{Trust, http_client};
use pipelines::protocol::report::ErrorCode;
use pipelines::spec::group::Health;
use pipelines::time::Millis;
use std::time::Duration;
use tokio::time::Instant;

/// Longest that one answer may take.
const ANSWER: Duration = Duration::from_secs(5);

/// Returns what to tell people once the application was healthy for long enough.
pub async fn check(health: &Health, cancel: &Cancel) -> Result<String, Stop> {
    let url = url_of(&health.http);
    let bad = |e: anyhow::Error| Fault::new(ErrorCode::HealthCheckFailed, format!("{e:#}"));
    let trust = if url.starts_with("https:") { Trust::System } else { Trust::Plain };
    let client = http_client(&url, trust).map_err(bad)?;
    let start = Instant::now();
    let deadline = start + health.timeout.to_std();
    let mut good_since = None;
    loop {
        let began = Instant::now();
        let answer = tokio::select! {
            () = cancel.cancelled() => return Err(Stop::Told),
            answer = ask(&client, &url, health.status) => answer,
        };
        let now = Instant::now();
        let last = match answer {
            Ok(()) => {
                let since = *good_since.get_or_insert(began);
                if now.duration_since(since) >= health.healthy_for.to_std() {
                    let took =
                        Millis(u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX));
                    return Ok(format!("{url} answered {} after {took}", health.status));
                }
                format!("it answered {}, but not for {} yet", health.status, health.healthy_for)
            }
            Err(why) => {
                good_since = None;
                why
            }
        };
        if now >= deadline {
            let message = format!("{url} was not healthy within {}: {last}", health.timeout);
            return Err(Fault::new(ErrorCode::HealthCheckFailed, message).into());
        }
        // Never past the deadline, so that the last question is asked at it.
        let pause = health.interval.to_std().max(Duration::from_millis(10));
        let wake = (now + pause).min(deadline);
        tokio::select! {
            () = cancel.cancelled() => return Err(Stop::Told),
            () = tokio::time::sleep_until(wake) => {}
        }
    }
}

/// A bare port or path means this host.
fn url_of(http: &str) -> String {
    match http {
        url if url.contains("://") => url.to_owned(),
        path if path.starts_with('/') => format!("http://127.0.0.1{path}"),
        port if port.starts_with(':') => format!("http://127.0.0.1{port}"),
        host => format!("http://{host}"),
    }
}

async fn ask(client: &reqwest::Client, url: &str, wanted: u16) -> Result<(), String> {
    let answer = client.get(url).timeout(ANSWER).send().await;
    match answer {
        Ok(response) if response.status().as_u16() == wanted => Ok(()),
        Ok(response) => Err(format!("it answered {}, not {wanted}", response.status().as_u16())),
        Err(e) => Err(format!("it did not answer: {}", reason(&e))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_port_or_path_means_this_host() {
        assert_eq!(url_of(":8080/up"), "http://127.0.0.1:8080/up");
        assert_eq!(url_of("/up"), "http://127.0.0.1/up");
        assert_eq!(url_of("http://h:1/x"), "http://h:1/x");
    }
}
