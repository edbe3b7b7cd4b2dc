//! Asking Prometheus for one number. Everything but exactly one finite number is no data.

use super::http::{Client, body, reason};
use pipelines::monitor::Look;
use pipelines::time::{Millis, Timestamp};
use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;

/// For one answer.
const TIMEOUT: Millis = Millis::from_secs(10);
/// Clocks may differ by as much; what seems older is somebody's old answer.
const STALE_MIN: Millis = Millis::from_minutes(5);
/// Of an error's text.
const TEXT_MAX: usize = 200;

#[derive(Deserialize)]
struct Answer {
    status: String,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    warnings: Vec<String>,
    #[serde(default)]
    data: Option<Data>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    result_type: String,
    result: serde_json::Value,
}

/// A point of a vector.
#[derive(Deserialize)]
struct Series {
    value: Point,
}

/// Seconds since the epoch, and a number as text: Prometheus's way to write NaN.
#[derive(Deserialize)]
struct Point(f64, String);

/// The answer to an instant query. `stale`: a value older than this (at least 5 minutes) is none.
pub(super) async fn look(
    client: &Client,
    url: &str,
    query: &str,
    (now, stale): (Timestamp, Millis),
) -> Look {
    let Ok(mut form) = Url::parse("form:") else { return Look::missing("no query") };
    form.query_pairs_mut().append_pair("query", query).append_pair("timeout", "10s");
    let at = format!("{}/api/v1/query", url.trim_end_matches('/'));
    let request = match client.post(&at).await {
        Ok(request) => request.timeout(TIMEOUT.to_std()),
        Err(why) => return Look::Missing { why },
    };
    let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    let response = match request.body(form.query().unwrap_or_default().to_owned()).send().await {
        Ok(response) => response,
        Err(error) => {
            return Look::missing(format!("no answer: {}", reason(&error, TIMEOUT)));
        }
    };
    let status = response.status();
    let body = match body(response, TIMEOUT).await {
        Ok(body) => body,
        Err(why) => return Look::Missing { why },
    };
    match serde_json::from_slice::<Answer>(&body) {
        Ok(answer) => value(answer, (now, Millis(stale.0.max(STALE_MIN.0)))),
        Err(_) => {
            Look::missing(format!("answered {}, and not as Prometheus does", status.as_u16()))
        }
    }
}

fn value(answer: Answer, (now, stale): (Timestamp, Millis)) -> Look {
    if answer.status != "success" {
        let error = answer.error.unwrap_or_else(|| "an error without words".to_owned());
        return Look::missing(format!("Prometheus: {}", cut(&error)));
    }
    if let Some(warning) = answer.warnings.first() {
        return Look::missing(format!("Prometheus warns: {}", cut(warning)));
    }
    let Some(data) = answer.data else { return Look::missing("Prometheus answered nothing") };
    let point = match data.result_type.as_str() {
        "scalar" => serde_json::from_value::<Point>(data.result),
        "vector" => match serde_json::from_value::<Vec<Series>>(data.result) {
            Ok(mut series) if series.len() == 1 => Ok(series.remove(0).value),
            Ok(series) if series.is_empty() => {
                return Look::missing("the query found no series");
            }
            Ok(series) => {
                let count = series.len();
                return Look::missing(format!("the query found {count} series; sum them up"));
            }
            Err(error) => Err(error),
        },
        other => {
            let other = cut(other);
            return Look::missing(format!("the query gives a {other}, not one number"));
        }
    };
    let Ok(Point(seconds, text)) = point else {
        return Look::missing("not as Prometheus answers");
    };
    let at = Timestamp((seconds * 1000.0) as i64);
    if !seconds.is_finite() || now.since(at) > stale {
        return Look::missing(format!("the value is {} old", now.since(at)));
    }
    match text.parse::<f64>() {
        Ok(value) => Look::value(value),
        Err(_) => Look::missing(format!("'{}' is no number", cut(&text))),
    }
}

fn cut(text: &str) -> String {
    text.chars().take(TEXT_MAX).collect()
}
