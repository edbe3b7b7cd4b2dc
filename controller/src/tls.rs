//! The controller's own certificate authority, made at the first start, and the certificate it serves
//! with. Agents learn the authority's fingerprint from their join token, so the very first connection
//! is verified.

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject as _};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

/// What the controller serves with.
pub struct Tls {
    pub config: Arc<ServerConfig>,
    /// SHA-256 of the authority's certificate in DER form, in hexadecimal.
    pub fingerprint: String,
    /// That certificate as PEM, and nothing else that may be in the file.
    pub ca_pem: String,
}

impl Tls {
    /// Loads the authority from `data/tls`, making it at the first start, and issues a certificate for
    /// `names` and every address of this machine.
    ///
    /// # Errors
    /// When the files cannot be read or written, or are not a certificate and its key.
    pub fn load(data: &Path, names: &[String]) -> Result<Tls> {
        let directory = data.join("tls");
        std::fs::create_dir_all(&directory).context("creating the tls directory")?;
        let (cert_path, key_path) = (directory.join("ca.pem"), directory.join("ca.key"));
        if !key_path.exists() {
            create_authority(&cert_path, &key_path)?;
        }
        let ca_text = std::fs::read_to_string(&cert_path).context("reading tls/ca.pem")?;
        let key_pem = std::fs::read_to_string(&key_path).context("reading tls/ca.key")?;
        let ca =
            CertificateDer::from_pem_slice(ca_text.as_bytes()).context("parsing tls/ca.pem")?;
        let key = KeyPair::from_pem(&key_pem).context("parsing tls/ca.key")?;
        let issuer = Issuer::from_ca_cert_der(&ca, key).context("using tls/ca.pem")?;
        let config = serve_with(&issuer, ca.clone(), names)?;
        let fingerprint = hex::encode(Sha256::digest(&ca));
        Ok(Tls { config: Arc::new(config), fingerprint, ca_pem: pem(&ca) })
    }
}

fn pem(certificate: &CertificateDer<'_>) -> String {
    let text = STANDARD.encode(certificate);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap_or_default())
        .collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

fn create_authority(cert_path: &Path, key_path: &Path) -> Result<()> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, "Pipeyard controller CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = rcgen::date_time_ymd(2024, 1, 1);
    params.not_after = rcgen::date_time_ymd(2044, 1, 1);
    let key = KeyPair::generate()?;
    let cert = params.self_signed(&key)?;
    std::fs::write(cert_path, cert.pem()).context("writing tls/ca.pem")?;
    // The key comes last: without it the pair is made anew at the next start.
    write_secret(key_path, key.serialize_pem().as_bytes()).context("writing tls/ca.key")
}

fn serve_with(
    issuer: &Issuer<'_, KeyPair>,
    ca: CertificateDer<'static>,
    names: &[String],
) -> Result<ServerConfig> {
    let mut params = CertificateParams::new(subject_names(names))?;
    params.distinguished_name.push(DnType::CommonName, "Pipeyard controller");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.not_before = rcgen::date_time_ymd(2024, 1, 1);
    params.not_after = rcgen::date_time_ymd(2044, 1, 1);
    let key = KeyPair::generate()?;
    let cert = params.signed_by(&key, issuer)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone(), ca], key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// The given names, this host's name, and the address of every interface.
fn subject_names(names: &[String]) -> Vec<String> {
    let mut all: BTreeSet<String> = names.iter().cloned().collect();
    all.insert("localhost".to_owned());
    if let Ok(hostname) = nix::unistd::gethostname() {
        all.extend(hostname.into_string().ok());
    }
    for interface in nix::ifaddrs::getifaddrs().into_iter().flatten() {
        let Some(address) = interface.address else { continue };
        if let Some(v4) = address.as_sockaddr_in() {
            all.insert(v4.ip().to_string());
        } else if let Some(v6) = address.as_sockaddr_in6() {
            all.insert(v6.ip().to_string());
        }
    }
    all.into_iter().collect()
}

/// Writes a file only its owner can read, whole or not at all.
///
/// # Errors
/// When it cannot be written.
pub fn write_secret(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let temporary = path.with_extension("new");
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authority_survives_a_restart_and_its_key_is_private() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let first = Tls::load(dir.path(), &[]).unwrap();
        let second = Tls::load(dir.path(), &["ci.example".to_owned()]).unwrap();
        assert_eq!(first.fingerprint, second.fingerprint);
        assert_eq!(first.fingerprint.len(), 64);
        // What hosts are given is the certificate alone, even if its key was put into the same file.
        let key = std::fs::read_to_string(dir.path().join("tls/ca.key")).unwrap();
        std::fs::write(dir.path().join("tls/ca.pem"), format!("{}{key}", first.ca_pem)).unwrap();
        let third = Tls::load(dir.path(), &[]).unwrap();
        assert_eq!((third.fingerprint, &third.ca_pem), (first.fingerprint, &first.ca_pem));
        let mode = std::os::unix::fs::MetadataExt::mode(
            &std::fs::metadata(dir.path().join("tls/ca.key")).unwrap(),
        );
        assert_eq!(mode & 0o777, 0o600);
    }
}
