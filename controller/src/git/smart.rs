//! One smart HTTP exchange: the request goes to git's standard input, the answer comes from its
//! standard output.

use super::Service;
use crate::sources::base_command;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures::TryStreamExt as _;
use std::io::{self, Read as _};
use std::path::Path;
use std::process::Stdio;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio_util::io::{ReaderStream, StreamReader};

/// What a fetch may ask, unpacked; a negotiation is small.
const WANTS_MAX: u64 = 32 << 20;
/// The answer to a push: a report, never data.
const REPORT_MAX: u64 = 4 << 20;

impl Service {
    fn program(self) -> &'static str {
        match self {
            Service::UploadPack => "upload-pack",
            Service::ReceivePack => "receive-pack",
        }
    }
}

fn command(directory: &Path, service: Service, headers: &HeaderMap) -> Command {
    let mut command = Command::from(base_command());
    command.args([service.program(), "--stateless-rpc"]);
    // Protocol version 2, when the client offers it; the value is checked, not passed through.
    let offered = headers.get("git-protocol").and_then(|value| value.to_str().ok());
    if offered.is_some_and(|value| value.contains("version=2")) {
        command.env("GIT_PROTOCOL", "version=2");
    }
    command
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    command
}

pub(super) async fn advertise(directory: &Path, service: Service, headers: &HeaderMap) -> Response {
    let mut command = command(directory, service, headers);
    let output = command.args(["--advertise-refs", "."]).stdin(Stdio::null()).output().await;
    let output = match output {
        Ok(output) if output.status.success() => output.stdout,
        _ => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    };
    let line = format!("# service=git-{}\n", service.program());
    let mut body = format!("{:04x}{line}0000", line.len() + 4).into_bytes();
    body.extend(output);
    reply(service, "advertisement", Body::from(body))
}

fn reply(service: Service, what: &str, body: Body) -> Response {
    let kind = format!("application/x-git-{}-{what}", service.program());
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache".to_owned())];
    (headers, body).into_response()
}

pub(super) async fn serve(directory: &Path, service: Service, request: Request) -> Response {
    let child = command(directory, service, request.headers()).arg(".").spawn();
    let Ok(child) = child else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    match service {
        Service::UploadPack => upload(child, request).await,
        Service::ReceivePack => receive(child, request).await,
    }
}

/// A fetch: a small question, a large answer that is streamed.
async fn upload(mut child: Child, request: Request) -> Response {
    let Ok(wants) = question(request).await else { return StatusCode::BAD_REQUEST.into_response() };
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    tokio::spawn(async move {
        // git may answer and close before it has read everything.
        let _ = stdin.write_all(&wants).await;
        drop(stdin);
        let _ = child.wait().await;
    });
    reply(Service::UploadPack, "result", Body::from_stream(ReaderStream::new(stdout)))
}

async fn question(request: Request) -> io::Result<Vec<u8>> {
    let packed =
        request.headers().get(header::CONTENT_ENCODING).is_some_and(|value| value == "gzip");
    let limit = usize::try_from(WANTS_MAX).unwrap_or(usize::MAX);
    let body = axum::body::to_bytes(request.into_body(), limit).await.map_err(io::Error::other)?;
    if !packed {
        return Ok(body.into());
    }
    let mut wants = Vec::new();
    let read =
        flate2::read::GzDecoder::new(&body[..]).take(WANTS_MAX + 1).read_to_end(&mut wants)?;
    if read as u64 > WANTS_MAX {
        return Err(io::Error::other("the request is too large"));
    }
    Ok(wants)
}

/// A push: a large question that is streamed, a small answer that is complete only when git is done.
async fn receive(mut child: Child, request: Request) -> Response {
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let packed =
        request.headers().get(header::CONTENT_ENCODING).is_some_and(|value| value == "gzip");
    if packed {
        return StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response();
    }
    let mut body =
        StreamReader::new(request.into_body().into_data_stream().map_err(io::Error::other));
    let write = async {
        let copied = tokio::io::copy(&mut body, &mut stdin).await;
        drop(stdin);
        copied
    };
    let mut report = Vec::new();
    let mut answer = stdout.take(REPORT_MAX);
    let (_, read) = tokio::join!(write, answer.read_to_end(&mut report));
    // A report that was cut off must not keep git waiting for a reader.
    drop(answer);
    let ended = child.wait().await;
    match (read, ended) {
        // A refused push is a report too; git's exit code adds nothing to it.
        (Ok(_), Ok(_)) if !report.is_empty() => {
            reply(Service::ReceivePack, "result", Body::from(report))
        }
        _ => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
