use super::super::ask::measured_look;
use super::super::http::Client;
use super::super::prometheus;
use super::{client, serve};
use crate::destination::Policy;
use axum::Router;
use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use futures::stream;
use pipelines::deploy::event::Verdict;
use pipelines::monitor::Look;
use pipelines::protocol::answer::Measured;
use pipelines::spec::group::Monitor;
use pipelines::time::{Millis, Timestamp};
use std::time::Instant;

const SOON: Millis = Millis(700);
const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// A body that never ends.
async fn endless() -> Response {
    let piece = || Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 1 << 16]));
    Body::from_stream(stream::repeat_with(piece)).into_response()
}

async fn hang() -> Response {
    std::future::pending().await
}

/// One that begins and never goes on.
async fn stall() -> Response {
    let begin = stream::iter([Ok::<_, std::io::Error>(Bytes::from("{\"a\":"))]);
    Body::from_stream(futures::StreamExt::chain(begin, stream::pending())).into_response()
}

async fn strangers() -> String {
    let elsewhere = serve(Router::new().route("/", get(|| async { "here" }))).await;
    // Another name for the same machine is another host.
    let elsewhere = elsewhere.replace("127.0.0.1", "localhost");
    let json = |text: &'static str| get(move || async move { text });
    let router = Router::new()
        .route("/", get(|| async { "fine" }))
        .route("/broken", get(|| async { StatusCode::INTERNAL_SERVER_ERROR }))
        .route("/hang", get(hang))
        .route("/stall", get(stall))
        .route("/endless", get(endless))
        .route("/inside", get(|| async { Redirect::temporary("/") }))
        .route("/around", get(|| async { Redirect::temporary("/around") }))
        .route("/outside", get(move || async move { Redirect::temporary(&elsewhere) }))
        .route("/stats", json(r#"{"queue": {"length": 12.5, "name": "q", "big": 1e308}}"#))
        .route("/garbage", json("<html>"))
        .route("/deep", get(|| async { "[".repeat(100_000) }));
    serve(router).await
}

#[tokio::test]
async fn a_url_that_leads_inside_is_not_asked() {
    let url = strangers().await;
    let _ = client();
    let strict = Client::new(Policy::default()).unwrap();
    let named = url.replace("127.0.0.1", "localhost");
    for (url, why) in [
        (url.as_str(), "127.0.0.1 is this machine"),
        (named.as_str(), "localhost is this machine"),
        ("http://169.254.169.254/latest/meta-data", "may never use"),
    ] {
        let Look::Missing { why: said } = strict.look(url, None, 200, SOON).await else {
            panic!("{url} was asked")
        };
        assert!(said.contains(why), "{said}");
        let Look::Missing { why: said } = prometheus::look(&strict, url, "up", (NOW, SOON)).await
        else {
            panic!("{url} was asked")
        };
        assert!(said.contains(why), "{said}");
        let (verdict, said) = strict.trial(url).await;
        assert!(verdict == Verdict::Inconclusive && said.contains(why), "{said}");
    }
    // Not for those either who may ask this machine.
    let metadata = client().look("http://169.254.169.254/", None, 200, SOON).await;
    assert!(matches!(metadata, Look::Missing { .. }), "{metadata:?}");
}

#[tokio::test]
async fn a_url_that_does_not_answer_as_it_should_is_bad() {
    let (client, url) = (client(), strangers().await);
    let look =
        async |path: &str, status| client.look(&format!("{url}{path}"), None, status, SOON).await;
    assert_eq!(look("/", 200).await, Look::Good);
    assert_eq!(look("/inside", 200).await, Look::Good);
    assert_eq!(look("/inside", 307).await, Look::Good, "a redirection may be what is wanted");
    assert_eq!(look("/broken", 500).await, Look::Good);
    assert_eq!(look("/endless", 200).await, Look::Good, "the body is not asked for");
    for (path, why) in [
        ("/broken", "answered 500 instead of 200"),
        ("/outside", "not followed"),
        ("/around", "not followed"),
        ("/hang", "nothing within 700 ms"),
    ] {
        let Look::Bad { why: said } = look(path, 200).await else { panic!("{path} is good") };
        assert!(said.contains(why), "{path}: {said}");
    }
    let nobody = client.look("http://127.0.0.1:1/?token=secret", None, 200, SOON).await;
    let Look::Bad { why } = nobody else { panic!("{nobody:?}") };
    assert!(why.contains("refused") && !why.contains("secret"), "{why}");
}

#[tokio::test]
async fn a_number_in_an_answer_is_found_or_missing() {
    let (client, url) = (client(), strangers().await);
    let begun = Instant::now();
    let look = async |path: &str, pointer: &str| {
        client.look(&format!("{url}{path}"), Some(pointer), 200, SOON).await
    };
    assert_eq!(look("/stats", "/queue/length").await, Look::Value(12.5));
    assert!(matches!(look("/broken", "/queue/length").await, Look::Bad { .. }), "by its status");
    for (path, pointer, why) in [
        ("/stats", "/queue/size", "has no /queue/size"),
        ("/stats", "/queue/name", "is no number"),
        ("/garbage", "/a", "no JSON"),
        ("/deep", "/a", "no JSON"),
        ("/endless", "/a", "longer than"),
        ("/stall", "/a", "nothing within"),
        ("/hang", "/a", "nothing within"),
    ] {
        let look = look(path, pointer).await;
        let Look::Missing { why: said } = &look else { panic!("{path}: {look:?}") };
        assert!(said.contains(why), "{path}: {said}");
    }
    assert!(begun.elapsed().as_secs() < 20, "nobody is waited for longer than was said");
}

#[tokio::test]
async fn an_idle_set_is_tried_until_it_answers() {
    let (client, url) = (client(), strangers().await);
    let trial = async |path: &str| client.trial(&format!("{url}{path}")).await;
    assert_eq!(trial("/").await.0, Verdict::Pass);
    let (verdict, why) = trial("/broken").await;
    assert_eq!(verdict, Verdict::Inconclusive);
    assert!(why.contains("answered 500; it is tried again"), "{why}");
    assert_eq!(trial("/outside").await.0, Verdict::Inconclusive);
}

/// What is made of an answer of Prometheus.
async fn asked(answer: &'static str) -> Look {
    let reply = move |body: String| async move {
        assert_eq!(body, "query=up%7Bjob%3D%22a+b%22%7D&timeout=10s");
        ([(header::CONTENT_TYPE, "application/json")], answer)
    };
    let url = serve(Router::new().route("/prom/api/v1/query", post(reply))).await;
    let times = (NOW, Millis::from_secs(60));
    prometheus::look(&client(), &format!("{url}/prom/"), "up{job=\"a b\"}", times).await
}

#[tokio::test]
async fn prometheus_has_to_answer_with_exactly_one_number() {
    let vector = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1700000000,"0.021"]}]},"infos":["x"]}"#;
    assert_eq!(asked(vector).await, Look::Value(0.021));
    let scalar =
        r#"{"status":"success","data":{"resultType":"scalar","result":[1699999990.5,"3"]}}"#;
    assert_eq!(asked(scalar).await, Look::Value(3.0));
    let cases = [
        (r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#, "no series"),
        (
            r#"{"status":"success","data":{"resultType":"vector","result":[{"value":[1700000000,"1"]},{"value":[1700000000,"2"]}]}}"#,
            "2 series",
        ),
        (
            r#"{"status":"success","warnings":["partial"],"data":{"resultType":"scalar","result":[1700000000,"1"]}}"#,
            "warns: partial",
        ),
        (
            r#"{"status":"success","data":{"resultType":"scalar","result":[1700000000,"NaN"]}}"#,
            "NaN",
        ),
        (
            r#"{"status":"success","data":{"resultType":"scalar","result":[1700000000,"+Inf"]}}"#,
            "inf",
        ),
        (
            r#"{"status":"success","data":{"resultType":"scalar","result":[1700000000,"-Inf"]}}"#,
            "inf",
        ),
        (
            r#"{"status":"success","data":{"resultType":"scalar","result":[1700000000,"x"]}}"#,
            "no number",
        ),
        (r#"{"status":"success","data":{"resultType":"scalar","result":[1699999699,"1"]}}"#, "old"),
        (r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#, "a matrix"),
        (
            r#"{"status":"success","data":{"resultType":"vector","result":"x"}}"#,
            "not as Prometheus",
        ),
        (r#"{"status":"success"}"#, "answered nothing"),
        (r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#, "parse error"),
        (r#"{"hello": 1}"#, "not as Prometheus"),
    ];
    for (answer, why) in cases {
        let look = asked(answer).await;
        let Look::Missing { why: said } = &look else { panic!("{answer}: {look:?}") };
        assert!(said.contains(why), "{answer}: {said}");
    }
}

#[tokio::test]
async fn a_prometheus_that_is_none_gives_no_data() {
    let (client, url) = (client(), strangers().await);
    let times = (NOW, Millis::from_secs(60));
    for base in [url.as_str(), "http://127.0.0.1:1", "http://no such host/"] {
        let look = prometheus::look(&client, base, "up", times).await;
        assert!(matches!(look, Look::Missing { .. }), "{base}: {look:?}");
    }
}

fn command(rest: &str) -> Monitor {
    let text = format!(
        "group: shop\napplication: shop\nhosts: {{tags: {{role: web}}}}\nmonitors: [{{name: m, \
         command: {{agent: a, run: x}}{rest}}}]\n"
    );
    pipelines::spec::group::parse(&text).value.unwrap().monitors.remove(0)
}

#[test]
fn a_command_is_judged_by_its_number_or_by_its_end() {
    let ended = |exit_code, output: &str| Measured { exit_code, output: output.to_owned() };
    let (with, without) = (command(", fail-above: 5"), command(""));
    assert_eq!(measured_look(&with, &ended(Some(0), " 4.5\n")), Look::Value(4.5));
    assert_eq!(measured_look(&without, &ended(Some(0), "nonsense")), Look::Good);
    for bad in [ended(Some(1), ""), ended(None, "")] {
        assert!(matches!(measured_look(&without, &bad), Look::Bad { .. }));
    }
    for none in
        [ended(Some(1), "4"), ended(Some(0), ""), ended(Some(0), "4 5"), ended(Some(0), "NaN")]
    {
        assert!(matches!(measured_look(&with, &none), Look::Missing { .. }), "{none:?}");
    }
}
