//! Certificates, keys and kubeconfigs of one plane. They are made anew for every plane and stay in its folder.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use glidepath_gocompat::yaml;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use serde_json::{Value, json};

/// The plane's certificate authority, and the folder in which it leaves what it makes.
pub(crate) struct Authority {
    folder: PathBuf,
    certificate: CertificateParams,
    key: KeyPair,
}

impl Authority {
    /// Makes an authority (`ca.crt`, `ca.key`) and the key pair of service accounts (`accounts.key`, `accounts.pub`).
    pub(crate) fn create(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        let key = KeyPair::generate()?;
        let mut certificate = CertificateParams::default();
        certificate.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        certificate.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        certificate.distinguished_name.push(DnType::CommonName, "glidepath-testplane-ca");
        let authority = Self { folder: folder.to_path_buf(), certificate, key };
        let signed = authority.certificate.self_signed(&authority.key)?;
        authority.write("ca.crt", &signed.pem())?;
        authority.write("ca.key", &authority.key.serialize_pem())?;
        let accounts = KeyPair::generate()?;
        authority.write("accounts.key", &accounts.serialize_pem())?;
        authority.write("accounts.pub", &accounts.public_key_pem())?;
        Ok(authority)
    }

    /// Where a file of the authority is.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A certificate for the API server on loopback: `server.crt`, `server.key`.
    pub(crate) fn issue_server(&self) -> Result<()> {
        let names = ["localhost", "kubernetes.default.svc", "127.0.0.1", "10.0.0.1"].map(str::to_owned);
        let mut server = CertificateParams::new(names)?;
        server.distinguished_name.push(DnType::CommonName, "kube-apiserver");
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue("server", &server)
    }

    /// A certificate for a client: `NAME.crt`, `NAME.key`.
    pub(crate) fn issue_client(&self, name: &str, user: &str, group: Option<&str>) -> Result<()> {
        let mut client = CertificateParams::default();
        client.distinguished_name.push(DnType::CommonName, user);
        if let Some(group) = group {
            client.distinguished_name.push(DnType::OrganizationName, group);
        }
        client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(name, &client)
    }

    fn issue(&self, name: &str, certificate: &CertificateParams) -> Result<()> {
        let key = KeyPair::generate()?;
        let signed = certificate.signed_by(&key, &Issuer::from_params(&self.certificate, &self.key))?;
        self.write(&format!("{name}.crt"), &signed.pem())?;
        self.write(&format!("{name}.key"), &key.serialize_pem())
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        write_private(&self.path(name), text)
    }

    /// A kubeconfig of a client that has a certificate.
    pub(crate) fn kubeconfig_with_certificate(&self, server: &str, name: &str) -> String {
        let user = json!({
            "client-certificate": self.path(&format!("{name}.crt")),
            "client-key": self.path(&format!("{name}.key")),
        });
        self.kubeconfig(server, &user)
    }

    /// A kubeconfig of a client that has a token.
    pub(crate) fn kubeconfig_with_token(&self, server: &str, token: &str) -> String {
        self.kubeconfig(server, &json!({"token": token}))
    }

    fn kubeconfig(&self, server: &str, user: &Value) -> String {
        yaml::render(&json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "real", "cluster": {
                "server": server, "certificate-authority": self.path("ca.crt"),
            }}],
            "users": [{"name": "real", "user": user}],
            "contexts": [{"name": "real", "context": {"cluster": "real", "user": "real", "namespace": "default"}}],
            "current-context": "real",
        }))
    }
}

/// Writes a file that only its owner may read.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<()> {
    let opened = fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path);
    opened
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("write {}", path.display()))
}
