//! The API over HTTPS, for `kubectl` and everything else that is not in this process.
//!
//! Every start makes its own certificate authority, a server certificate for loopback and a client
//! certificate for the administrator. They go into a kubeconfig of the caller's choosing; no other
//! file is touched.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use crate::call::User;
use crate::plane::Plane;
use crate::sandbox::Sandbox;
use crate::service::ApiService;

/// Why the API cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address is in use or not ours.
    #[error("cannot listen on {addr}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The certificates cannot be made.
    #[error("cannot make the certificates: {0}")]
    Certificates(String),
    /// The kubeconfig cannot be written.
    #[error("cannot write {path}")]
    Kubeconfig {
        /// Where to.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A served API. Dropping it stops serving.
#[derive(Debug)]
pub struct Running {
    addr: SocketAddr,
    identity: Identity,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// What a client needs to trust the server and be the administrator.
struct Identity {
    authority: String,
    issuer: Issuer<'static, KeyPair>,
    admin: Credentials,
    /// Everybody who was given a certificate, by that certificate.
    known: Known,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

type Known = Arc<RwLock<HashMap<CertificateDer<'static>, User>>>;

/// A client certificate with its key, PEM.
struct Credentials {
    certificate: String,
    key: String,
}

impl Identity {
    /// A certificate by which connections are `user`'s.
    fn issue(&self, user: &str, groups: &[&str]) -> Result<Credentials, rcgen::Error> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, user);
        for group in groups {
            params.distinguished_name.push(DnType::OrganizationName, *group);
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let mut all: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
        all.push("system:authenticated".into());
        let user = User { name: user.to_owned(), groups: all };
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(certificate.der().clone(), user);
        Ok(Credentials { certificate: certificate.pem(), key: key.serialize_pem() })
    }
}

impl Running {
    /// The address it listens on, with the port that was chosen.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `https://127.0.0.1:…`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.addr)
    }

    /// The certificate authority, PEM: the content of `kube-root-ca.crt`.
    #[must_use]
    pub fn authority_pem(&self) -> &str {
        &self.identity.authority
    }

    /// A kubeconfig for the administrator, as YAML.
    #[must_use]
    pub fn kubeconfig(&self) -> String {
        self.kubeconfig_with("admin", &self.identity.admin)
    }

    /// A kubeconfig with a client certificate for somebody else. What they may do is up to roles and bindings.
    ///
    /// # Errors
    /// When the certificate cannot be made.
    pub fn kubeconfig_for(&self, user: &str, groups: &[&str]) -> Result<String, ServeError> {
        let credentials =
            self.identity.issue(user, groups).map_err(|error| ServeError::Certificates(error.to_string()))?;
        Ok(self.kubeconfig_with(user, &credentials))
    }

    fn kubeconfig_with(&self, user: &str, credentials: &Credentials) -> String {
        let data = |pem: &str| STANDARD.encode(pem);
        let user = serde_json::Value::from(user);
        format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- name: sandbox\n  cluster:\n    server: {}\n    certificate-authority-data: {}\n\
             users:\n- name: {user}\n  user:\n    client-certificate-data: {}\n    client-key-data: {}\n\
             contexts:\n- name: sandbox\n  context:\n    cluster: sandbox\n    user: {user}\n    namespace: default\ncurrent-context: sandbox\n",
            self.url(),
            data(&self.identity.authority),
            data(&credentials.certificate),
            data(&credentials.key)
        )
    }

    /// Writes the kubeconfig to `path`, readable by its owner only.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_kubeconfig(&self, path: &Path) -> Result<(), ServeError> {
        let wrong = |source| ServeError::Kubeconfig { path: path.to_owned(), source };
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(wrong)?;
        }
        write_private(path, &self.kubeconfig()).map_err(wrong)
    }

    /// Stops serving and waits until every connection is closed.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        // The task ends by itself; if it panicked there is nothing left to wait for.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path)?.write_all(text.as_bytes())
}

impl Sandbox {
    /// Serves the API over HTTPS (HTTP/1.1 and HTTP/2) on `addr`; port 0 picks a free one.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn serve(&self, addr: SocketAddr) -> Result<Running, ServeError> {
        let listen = |source| ServeError::Listen { addr, source };
        let listener = TcpListener::bind(addr).await.map_err(listen)?;
        let local = listener.local_addr().map_err(listen)?;
        let (identity, acceptor) = make_identity(local).map_err(ServeError::Certificates)?;
        let (stop, stopped) = watch::channel(false);
        let plane = Arc::clone(&self.plane);
        let known = Arc::clone(&identity.known);
        let task = tokio::spawn(accept(listener, acceptor, plane, known, stopped));
        Ok(Running { addr: local, identity, stop, task })
    }
}

/// Takes connections until told to stop, then drops them all.
async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    plane: Arc<Plane>,
    known: Known,
    mut stopped: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = async { stopped.wait_for(|stop| *stop).await.map(drop).unwrap_or_default() } => break,
            taken = listener.accept() => match taken {
                Ok((stream, _)) => {
                    let one = connection(stream, acceptor.clone(), Arc::clone(&plane), Arc::clone(&known));
                    connections.spawn(one);
                }
                // Out of file descriptors: wait for connections to end rather than spin.
                Err(error) => {
                    tracing::warn!(%error, "cannot take a connection");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
    connections.shutdown().await;
}

async fn connection(stream: TcpStream, acceptor: TlsAcceptor, plane: Arc<Plane>, known: Known) {
    // Watches send many small pieces.
    let _ = stream.set_nodelay(true);
    let stream = match acceptor.accept(stream).await {
        Ok(stream) => stream,
        Err(error) => {
            tracing::debug!(%error, "TLS handshake failed");
            return;
        }
    };
    let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let user = certificates.first().and_then(|certificate| {
        known.read().unwrap_or_else(PoisonError::into_inner).get(certificate).cloned()
    });
    let user = user.unwrap_or_else(User::anonymous);
    let api = ApiService::new(plane, user);
    let service = service_fn(move |request| api.clone().oneshot(request));
    let builder = auto::Builder::new(TokioExecutor::new());
    let served = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
    if let Err(error) = served {
        tracing::debug!(%error, "connection ended");
    }
}

fn make_identity(addr: SocketAddr) -> Result<(Identity, TlsAcceptor), String> {
    let words = |error: rcgen::Error| error.to_string();
    let authority_key = KeyPair::generate().map_err(words)?;
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    authority.distinguished_name.push(DnType::CommonName, "glidepath-sandbox-ca");
    let authority_cert = authority.self_signed(&authority_key).map_err(words)?;
    let issuer = Issuer::new(authority, authority_key);

    let names = [
        "localhost".to_owned(),
        "kubernetes".to_owned(),
        "kubernetes.default".to_owned(),
        "kubernetes.default.svc".to_owned(),
        "127.0.0.1".to_owned(),
        "::1".to_owned(),
        "10.96.0.1".to_owned(),
        addr.ip().to_string(),
    ];
    let mut server = CertificateParams::new(names).map_err(words)?;
    server.distinguished_name.push(DnType::CommonName, "kube-apiserver");
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let server_key = KeyPair::generate().map_err(words)?;
    let server = server.signed_by(&server_key, &issuer).map_err(words)?;

    let acceptor = tls_acceptor(authority_cert.der(), server.der(), &server_key)?;
    let mut identity = Identity {
        authority: authority_cert.pem(),
        issuer,
        admin: Credentials { certificate: String::new(), key: String::new() },
        known: Known::default(),
    };
    identity.admin = identity.issue("kubernetes-admin", &["system:masters"]).map_err(words)?;
    Ok((identity, acceptor))
}

fn tls_acceptor(
    authority: &CertificateDer<'static>,
    server: &CertificateDer<'static>,
    server_key: &KeyPair,
) -> Result<TlsAcceptor, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone()).map_err(|error| error.to_string())?;
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .allow_unauthenticated()
        .build()
        .map_err(|error| error.to_string())?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(server_key.serialize_der()));
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![server.clone()], key)
        .map_err(|error| error.to_string())?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
