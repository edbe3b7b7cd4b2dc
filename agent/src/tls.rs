//! Whom the agent believes. The first connection is verified by the fingerprint in the join token,
//! all later ones by the CA certificate that was seen then. There is no way to switch this off.

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, danger};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The CA certificate met during a handshake that was verified by fingerprint.
pub type SeenCa = Arc<OnceLock<CertificateDer<'static>>>;

/// How the controller proves itself.
pub enum Trust {
    /// No TLS; [`check_url`] has said where that is allowed.
    Plain,
    /// A CA of the system's own store: the controller stands behind a proxy with a public name.
    System,
    /// The SHA-256 of the CA's certificate; the certificate itself is left in the slot.
    Fingerprint(String, SeenCa),
    /// Exactly this CA, as PEM.
    Ca(String),
}

/// Refuses plain HTTP to anywhere but this machine, unless the operator asked for it.
///
/// # Errors
/// When the text is no URL, or would send the credential in the clear.
pub fn check_url(url: &str, allow_plain_http: bool) -> Result<()> {
    let parsed = reqwest::Url::parse(url).with_context(|| format!("reading the URL '{url}'"))?;
    match parsed.scheme() {
        "https" => Ok(()),
        "http" if allow_plain_http || is_loopback(&parsed) => Ok(()),
        "http" => bail!(
            "'{url}' would send this agent's credential in the clear: use https://, or pass \
             --allow-plain-http if the network is trusted"
        ),
        other => bail!("'{url}' has the scheme '{other}': write https://HOST:PORT"),
    }
}

fn is_loopback(url: &reqwest::Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// A client with a small pool: an agent talks to one controller only.
///
/// # Errors
/// When the CA's text is not a certificate.
pub fn http_client(url: &str, trust: Trust) -> Result<reqwest::Client> {
    let mut client = reqwest::Client::builder()
        .pool_max_idle_per_host(2)
        .pool_idle_timeout(Duration::from_secs(20))
        .connect_timeout(Duration::from_secs(5))
        .tcp_keepalive(Duration::from_secs(10))
        .redirect(reqwest::redirect::Policy::none());
    if is_loopback(&reqwest::Url::parse(url)?) {
        client = client.no_proxy();
    }
    client = match trust {
        Trust::System => client,
        Trust::Plain => client.tls_backend_preconfigured(rooted(RootCertStore::empty())),
        Trust::Fingerprint(sha256, seen) => {
            client.tls_backend_preconfigured(pinned(sha256, seen)).https_only(true)
        }
        Trust::Ca(pem) => {
            client.tls_backend_preconfigured(rooted(roots_of(&pem)?)).https_only(true)
        }
    };
    client.build().context("setting up the HTTP client")
}

fn roots_of(pem: &str) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in rustls_pemfile::certs(&mut pem.as_bytes()) {
        roots.add(certificate.context("reading the controller's CA certificate")?)?;
    }
    if roots.is_empty() {
        bail!("the controller's CA certificate is empty: join again");
    }
    Ok(roots)
}

fn rooted(roots: RootCertStore) -> ClientConfig {
    ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()
}

fn pinned(sha256: String, seen: SeenCa) -> ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = PinnedCa { sha256, seen, provider };
    ClientConfig::builder()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth()
}

/// The text form of a certificate.
#[must_use]
pub fn pem(certificate: &CertificateDer<'_>) -> String {
    let text = STANDARD.encode(certificate);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|c| std::str::from_utf8(c).unwrap_or_default()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

/// The fingerprint of the first certificate in a PEM text, as it stands in join tokens.
#[must_use]
pub fn ca_sha256(pem: &str) -> Option<String> {
    let first = rustls_pemfile::certs(&mut pem.as_bytes()).next()?.ok()?;
    Some(hex::encode(Sha256::digest(first)))
}

/// Picks the CA out of the chain by its fingerprint, then verifies the chain against that CA alone,
/// with name, times and signatures as always.
#[derive(Debug)]
struct PinnedCa {
    sha256: String,
    seen: SeenCa,
    provider: Arc<CryptoProvider>,
}

impl PinnedCa {
    fn is_it(&self, certificate: &CertificateDer<'_>) -> bool {
        // Both sides are public, so there is nothing to learn from how long comparing takes.
        hex::encode(Sha256::digest(certificate)).eq_ignore_ascii_case(&self.sha256)
    }
}

fn general(text: impl std::fmt::Display) -> rustls::Error {
    rustls::Error::General(text.to_string())
}

impl ServerCertVerifier for PinnedCa {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let ca = chain.iter().find(|c| self.is_it(c)).ok_or_else(|| {
            general("it does not show the CA of the join token; is this the right controller?")
        })?;
        let mut roots = RootCertStore::empty();
        roots.add(ca.clone().into_owned())?;
        let verifier: Arc<WebPkiServerVerifier> =
            WebPkiServerVerifier::builder_with_provider(roots.into(), self.provider.clone())
                .build()
                .map_err(general)?;
        let verdict = danger::ServerCertVerifier::verify_server_cert(
            verifier.as_ref(),
            leaf,
            chain,
            name,
            ocsp,
            now,
        )?;
        self.seen.get_or_init(|| ca.clone().into_owned());
        Ok(verdict)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_go_in_the_clear_only_to_this_machine_or_when_asked() {
        for fine in ["https://a.example", "http://127.0.0.1:80", "http://localhost", "http://[::1]"]
        {
            assert!(check_url(fine, false).is_ok(), "{fine}");
        }
        for bad in
            ["http://10.0.0.1", "http://localhost.example", "ftp://x", "x", "http://128.0.0.1"]
        {
            assert!(check_url(bad, false).is_err(), "{bad}");
        }
        assert!(check_url("http://10.0.0.1", true).is_ok());
    }
}
