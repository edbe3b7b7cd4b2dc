//! The one port. TLS for everybody; plain HTTP only from this machine itself (or when the operator
//! asked for it), told apart by the first byte: a TLS handshake starts with 0x16, a request never does.

use anyhow::{Context as _, Result};
use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use web::Peer;

/// Connections at once; more wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 10_000;
/// How long a peer may take to say what it wants.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long running requests get at shutdown; held polls and live logs simply end.
const GRACE: Duration = Duration::from_secs(2);

#[derive(Clone)]
pub struct Settings {
    /// None: plain HTTP for everybody, because the operator asked for it.
    pub tls: Option<Arc<ServerConfig>>,
}

/// Serves `router` until `stop`.
///
/// # Errors
/// When the listener fails for good.
pub async fn serve(
    listener: TcpListener,
    settings: Settings,
    router: Router,
    stop: CancellationToken,
) -> Result<()> {
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let acceptor = settings.tls.map(TlsAcceptor::from);
    loop {
        let place = tokio::select! {
            place = places.clone().acquire_owned() => place.context("waiting for a free place")?,
            () = stop.cancelled() => break,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, for example: not a reason to end.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (router, acceptor, watcher) = (router.clone(), acceptor.clone(), graceful.watcher());
        tokio::spawn(async move {
            if let Err(error) = connection(stream, address, acceptor, router, watcher).await {
                tracing::debug!(%error, peer = %address, "a connection ended badly");
            }
            drop(place);
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(GRACE, graceful.shutdown()).await;
    Ok(())
}

async fn connection(
    stream: TcpStream,
    address: SocketAddr,
    acceptor: Option<TlsAcceptor>,
    router: Router,
    watcher: hyper_util::server::graceful::Watcher,
) -> Result<()> {
    stream.set_nodelay(true)?;
    let Some(acceptor) = acceptor else {
        return http(stream, Peer { address, tls: false }, router, watcher).await;
    };
    let mut first = [0u8; 1];
    let seen = tokio::time::timeout(HEADER_TIMEOUT, stream.peek(&mut first)).await??;
    if seen == 1 && first[0] == 0x16 {
        let stream = tokio::time::timeout(HEADER_TIMEOUT, acceptor.accept(stream)).await??;
        return http(stream, Peer { address, tls: true }, router, watcher).await;
    }
    if address.ip().to_canonical().is_loopback() {
        return http(stream, Peer { address, tls: false }, router, watcher).await;
    }
    refuse_plain(stream).await
}

async fn refuse_plain(mut stream: TcpStream) -> Result<()> {
    let text = "This port speaks HTTPS; plain HTTP is answered on the machine itself only.\n";
    let reply = format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{text}",
        text.len()
    );
    stream.write_all(reply.as_bytes()).await?;
    stream.shutdown().await?;
    Ok(())
}

async fn http<S>(
    stream: S,
    peer: Peer,
    router: Router,
    watcher: hyper_util::server::graceful::Watcher,
) -> Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = tower::service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(peer);
        tower::ServiceExt::oneshot(router.clone(), request.map(axum::body::Body::new))
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        // hyper's buffer grows and never shrinks; thousands of idle agents must not cost megabytes.
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    watcher.watch(connection).await.map_err(Into::into)
}
