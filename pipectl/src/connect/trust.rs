//! How the controller proves who it is: by the system's authorities, by a given one, or by the
//! fingerprint of its own. It cannot be switched off.

use crate::exit::{Failure, Result};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    System,
    /// An authority's certificate as PEM.
    Ca(String),
    /// SHA-256 of the authority's certificate, which the server shows in its chain.
    Fingerprint(String),
}

impl Trust {
    /// The TLS settings; None: reqwest's own, with the system's authorities.
    pub fn config(&self) -> Result<Option<ClientConfig>> {
        let builder = ClientConfig::builder();
        Ok(match self {
            Trust::System => None,
            Trust::Ca(pem) => {
                let roots = roots(pem)?;
                Some(builder.with_root_certificates(roots).with_no_client_auth())
            }
            Trust::Fingerprint(sha256) => {
                let provider = Arc::new(rustls::crypto::ring::default_provider());
                let verifier = Pinned { sha256: sha256.clone(), provider };
                let builder = builder.dangerous();
                let builder = builder.with_custom_certificate_verifier(Arc::new(verifier));
                Some(builder.with_no_client_auth())
            }
        })
    }
}

fn roots(pem: &str) -> Result<RootCertStore> {
    let bad =
        |why: String| Failure::usage(format!("the CA file is not usable: {why}"), "check --ca");
    let mut roots = RootCertStore::empty();
    for certificate in rustls_pemfile::certs(&mut pem.as_bytes()) {
        let certificate = certificate.map_err(|error| bad(error.to_string()))?;
        roots.add(certificate).map_err(|error| bad(error.to_string()))?;
    }
    if roots.is_empty() { Err(bad("it holds no certificate".to_owned())) } else { Ok(roots) }
}

/// Finds the authority in the chain by its fingerprint and then verifies the chain, the name and the
/// times against that authority alone.
#[derive(Debug)]
struct Pinned {
    sha256: String,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let pinned = chain.iter().find(|cert| hex::encode(Sha256::digest(cert)) == self.sha256);
        let Some(authority) = pinned else {
            return Err(Error::General("the server's CA has another fingerprint".to_owned()));
        };
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        let builder =
            WebPkiServerVerifier::builder_with_provider(roots.into(), self.provider.clone());
        let verifier = builder.build().map_err(|error| Error::General(error.to_string()))?;
        verifier.verify_server_cert(leaf, chain, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
