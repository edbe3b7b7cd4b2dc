//! Joining a controller: whom the agent believes, and what a lost answer costs.

mod support;

use agent::identity::{Identity, Wish, join};
use axum::serve::Listener;
use pipelines::protocol::join::Role;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use support::agent::Agent;
use support::{PATIENCE, Stub};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

struct TlsListener {
    tcp: TcpListener,
    tls: TlsAcceptor,
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let Ok((stream, from)) = self.tcp.accept().await else { continue };
            // A client that does not like the certificate goes away here.
            if let Ok(stream) = self.tls.accept(stream).await {
                return (stream, from);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    der: CertificateDer<'static>,
}

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let der = params.self_signed(&key).unwrap().der().clone();
        Authority { issuer: Issuer::new(params, key), der }
    }

    fn fingerprint(&self) -> String {
        hex::encode(Sha256::digest(&self.der))
    }

    /// Serves the stub with a certificate for `name`, issued by this authority, showing `shown`.
    async fn serve(&self, name: &str, shown: &CertificateDer<'static>) -> Stub {
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let leaf = leaf.signed_by(&key, &self.issuer).unwrap();
        let chain = vec![leaf.der().clone(), shown.clone()];
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = tcp.local_addr().unwrap().port();
        let stub = Stub::new(Role::Deploy, format!("https://localhost:{port}"));
        let listener = TlsListener { tcp, tls: TlsAcceptor::from(Arc::new(config)) };
        let router = stub.router();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        stub
    }
}

fn install_provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn wish(stub: &Stub, ca: &str) -> Wish {
    Wish {
        url: stub.url.clone(),
        token: format!("pyj1.k1.s1.{ca}").parse().unwrap(),
        name: "host-1".into(),
        tags: BTreeMap::from([("role".into(), "web".into())]),
        allow_plain_http: false,
    }
}

#[tokio::test]
async fn the_fingerprint_in_the_token_decides_whom_the_agent_believes() {
    install_provider();
    let ours = Authority::new();
    let stub = ours.serve("localhost", &ours.der).await;
    let state = tempfile::tempdir().unwrap();
    join(state.path(), &wish(&stub, &ours.fingerprint())).await.unwrap();
    assert_eq!(stub.world().joins[0].token, "k1");

    // The stored CA alone is enough afterwards, and only that one is.
    let identity = Identity::load(state.path()).unwrap().unwrap();
    let asked = pipelines::protocol::poll::PollRequest {
        protocol: 1,
        version: "0".into(),
        boot: "b".into(),
        holding: Vec::new(),
        free_slots: 1,
        installed: Vec::new(),
        wait: pipelines::time::Millis::ZERO,
        unfit: None,
    };
    identity.controller(false).unwrap().poll(&asked).await.unwrap();
    let other = Authority::new();
    let elsewhere = other.serve("localhost", &other.der).await;
    let moved = Identity { url: elsewhere.url.clone(), ..identity };
    moved.controller(false).unwrap().poll(&asked).await.unwrap_err();
    assert!(elsewhere.world().polls.is_empty());
}

#[tokio::test]
async fn a_controller_that_only_pretends_gets_no_token() {
    install_provider();
    let ours = Authority::new();
    let theirs = Authority::new();
    // Another CA; the right CA shown beside a leaf it never signed; the right CA, but a wrong name.
    let other_ca = theirs.serve("localhost", &theirs.der).await;
    let borrowed_ca = theirs.serve("localhost", &ours.der).await;
    let wrong_name = ours.serve("elsewhere.example", &ours.der).await;
    for stub in [other_ca, borrowed_ca, wrong_name] {
        let state = tempfile::tempdir().unwrap();
        let tried = join(state.path(), &wish(&stub, &ours.fingerprint())).await;
        assert!(tried.is_err(), "{} was believed", stub.url);
        assert!(stub.world().joins.is_empty());
        assert!(Identity::load(state.path()).unwrap().is_none());
    }
}

#[tokio::test]
async fn a_join_whose_answer_was_lost_is_asked_again_in_the_same_words() {
    install_provider();
    let stub = Stub::start(Role::Build).await;
    stub.change(|world| world.lose_answers = 1);
    let state = tempfile::tempdir().unwrap();
    let wish = wish(&stub, "plain");
    let first = tokio::time::timeout(PATIENCE, join(state.path(), &wish)).await.unwrap();
    assert!(first.is_err());
    let identity = join(state.path(), &wish).await.unwrap();
    assert_eq!((identity.role, identity.ca_pem.clone()), (Role::Build, None));
    let world = stub.world();
    assert_eq!(world.joins.len(), 2);
    assert_eq!(world.joins[0].idempotency, world.joins[1].idempotency);
    assert!(!state.path().join("joining.json").exists());
}

#[tokio::test]
async fn an_agent_that_was_revoked_ends_with_a_code_of_its_own() {
    let stub = Stub::start(Role::Deploy).await;
    let second = pipelines::time::Millis::from_secs(1);
    stub.change(|world| world.lease.silent_for_max = second);
    let state = tempfile::tempdir().unwrap();
    let agent = Agent::run(&stub, state.path());
    stub.wait("a poll", |world| (!world.polls.is_empty()).then_some(())).await;
    // A proxy that wants a password is not the controller, however long it does.
    stub.change(|world| world.refuse = Some("who are you?"));
    let began = std::time::Instant::now();
    stub.wait("many refusals", |world| {
        let long = began.elapsed() > std::time::Duration::from_secs(2);
        (long && world.refused > 3).then_some(())
    })
    .await;
    let words = r#"{"error": {"code": "unknown-agent", "message": "revoked"}}"#;
    stub.change(|world| world.refuse = Some(words));
    let status = tokio::task::spawn_blocking(move || agent.wait()).await.unwrap();
    assert_eq!(status.code(), Some(i32::from(agent::host::REVOKED)));
}
