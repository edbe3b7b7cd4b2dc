//! Asking a URL. Whatever answers is a stranger: it may hang, send without end, point elsewhere, or
//! talk nonsense, and none of that is more than a bad or missing value.

use crate::destination::{self, Guard, MONITORS, Obstacle, Policy};
use pipelines::deploy::event::Verdict;
use pipelines::monitor::Look;
use pipelines::time::Millis;
use reqwest::redirect::{self, Attempt};
use reqwest::{RequestBuilder, Response, Url};
use std::time::Duration;

/// Bytes of an answer that are looked at; what is longer is no answer to a monitor.
const BODY_MAX: usize = 1 << 20;
const REDIRECTS_MAX: usize = 5;
const CONNECT: Duration = Duration::from_secs(10);
/// For one trial of an idle set.
const TRIAL: Millis = Millis::from_secs(10);

/// Cheap to clone.
#[derive(Clone)]
pub(super) struct Client {
    follows: reqwest::Client,
    /// For answers that are to be redirections.
    stays: reqwest::Client,
    policy: Policy,
}

impl Client {
    /// `policy`: which addresses it may ask.
    pub fn new(policy: Policy) -> reqwest::Result<Client> {
        let client = |redirect: redirect::Policy| {
            reqwest::Client::builder()
                .redirect(redirect)
                .dns_resolver(Guard { traveller: MONITORS, policy })
                .connect_timeout(CONNECT)
                .user_agent(concat!("pipeyard-controller/", env!("CARGO_PKG_VERSION")))
                // A kept connection would be the first to break when the host is redeployed.
                .pool_max_idle_per_host(0)
                .build()
        };
        let follows = client(redirect::Policy::custom(within_host))?;
        Ok(Client { follows, stays: client(redirect::Policy::none())?, policy })
    }

    /// A request, if the URL may be asked at all.
    ///
    /// # Errors
    /// Why it may not.
    pub async fn post(&self, url: &str) -> Result<RequestBuilder, String> {
        self.check(url).await?;
        Ok(self.stays.post(url))
    }

    async fn check(&self, url: &str) -> Result<(), String> {
        let url = Url::parse(url).map_err(|error| format!("the URL cannot be read: {error}"))?;
        match destination::check(&url, MONITORS, self.policy).await {
            Err(Obstacle::Forbidden(why)) => Err(why),
            // Being nowhere is an answer of its own, which the question finds.
            Err(Obstacle::Unresolved(_)) | Ok(()) => Ok(()),
        }
    }

    /// A monitor's look at a URL. No answer at all is bad where the answer itself is what is watched,
    /// and missing where a number in it is.
    pub async fn look(&self, url: &str, value: Option<&str>, status: u16, timeout: Millis) -> Look {
        // A mistake in the group's file: it says nothing about what is deployed.
        if let Err(why) = self.check(url).await {
            return Look::Missing { why };
        }
        let client = if (300..400).contains(&status) { &self.stays } else { &self.follows };
        let response = match client.get(url).timeout(timeout.to_std()).send().await {
            Ok(response) => response,
            Err(error) => {
                let why = format!("no answer: {}", reason(&error, timeout));
                return if value.is_some() { Look::Missing { why } } else { Look::Bad { why } };
            }
        };
        if response.status().as_u16() != status {
            let why = format!("answered {} instead of {status}", answered(&response));
            return Look::Bad { why };
        }
        let Some(pointer) = value else { return Look::Good };
        match body(response, timeout).await {
            Ok(body) => number_at(&body, pointer),
            Err(why) => Look::Missing { why },
        }
    }

    /// Whether an idle set answers.
    pub async fn trial(&self, url: &str) -> (Verdict, String) {
        if let Err(why) = self.check(url).await {
            return (Verdict::Inconclusive, format!("inconclusive, {why}"));
        }
        let answer = self.follows.get(url).timeout(TRIAL.to_std()).send().await;
        match answer {
            Ok(response) if response.status().is_success() => {
                (Verdict::Pass, format!("pass, {url} answered {}", answered(&response)))
            }
            Ok(response) => {
                let text = format!("{url} answered {}; it is tried again", answered(&response));
                (Verdict::Inconclusive, format!("inconclusive, {text}"))
            }
            Err(error) => {
                let reason = reason(&error, TRIAL);
                (Verdict::Inconclusive, format!("inconclusive, {url}: {reason}; it is tried again"))
            }
        }
    }
}

fn within_host(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let first = attempt.previous().first().and_then(|url| url.host_str());
    if attempt.previous().len() > REDIRECTS_MAX || first != attempt.url().host_str() {
        return attempt.stop();
    }
    attempt.follow()
}

/// The status, and where it points where it was not followed.
fn answered(response: &Response) -> String {
    let status = response.status().as_u16();
    if response.status().is_redirection() {
        return format!("{status}, a redirection that is not followed,");
    }
    status.to_string()
}

/// The whole of an answer.
pub(super) async fn body(mut response: Response, timeout: Millis) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(piece)) if body.len() + piece.len() <= BODY_MAX => {
                body.extend_from_slice(&piece);
            }
            Ok(Some(_)) => return Err(format!("the answer is longer than {BODY_MAX} bytes")),
            Ok(None) => return Ok(body),
            Err(error) => return Err(format!("the answer broke off: {}", reason(&error, timeout))),
        }
    }
}

fn number_at(body: &[u8], pointer: &str) -> Look {
    let Ok(json) = serde_json::from_slice::<serde_json::Value>(body) else {
        return Look::missing("the answer is no JSON");
    };
    match json.pointer(pointer) {
        None => Look::missing(format!("the answer has no {pointer}")),
        Some(value) => match value.as_f64() {
            Some(value) => Look::value(value),
            None => Look::missing(format!("{pointer} is no number")),
        },
    }
}

/// The innermost reason, without the URL, which may hold a password.
pub(super) fn reason(error: &reqwest::Error, timeout: Millis) -> String {
    if error.is_timeout() {
        return format!("nothing within {timeout}");
    }
    let mut reason: &dyn std::error::Error = error;
    while let Some(inner) = reason.source() {
        reason = inner;
    }
    reason.to_string()
}
