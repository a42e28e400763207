//! TLS and mutual TLS, and certificates that change while the server runs.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use peerage::config::{ClientCertificate, Tls};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::support::Server;

pub(super) type Issuer = CertifiedIssuer<'static, KeyPair>;

pub(super) fn authority(name: &str) -> Issuer {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate with its key, both PEM.
pub(super) fn issue(authority: &Issuer, name: &str) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    (params.signed_by(&key, authority).unwrap().pem(), key.serialize_pem())
}

/// The files of a server, in a folder of their own.
struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn new(pair: &(String, String)) -> Self {
        let files = Self { folder: tempfile::tempdir().unwrap() };
        files.put(pair);
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn put(&self, (certificate, key): &(String, String)) {
        std::fs::write(self.path("tls.key"), key).unwrap();
        std::fs::write(self.path("tls.crt"), certificate).unwrap();
    }

    fn settings(&self) -> Tls {
        Tls { reload_interval_ms: 20, ..Tls::new(self.path("tls.crt"), self.path("tls.key")) }
    }
}

fn endpoint(server: &Server, authority: &Issuer, identity: Option<&(String, String)>) -> Endpoint {
    let mut tls =
        ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority.pem())).domain_name("localhost");
    if let Some((certificate, key)) = identity {
        tls = tls.identity(Identity::from_pem(certificate, key));
    }
    Endpoint::from_shared(format!("https://{}", server.address())).unwrap().tls_config(tls).unwrap()
}

async fn answers(channel: Channel) -> bool {
    HealthClient::new(channel).check(HealthCheckRequest::default()).await.is_ok()
}

/// Whether a new connection that trusts this authority alone gets an answer.
async fn connects(server: &Server, authority: &Issuer, identity: Option<&(String, String)>) -> bool {
    answers(endpoint(server, authority, identity).connect_lazy()).await
}

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.unwrap_or_else(|_| panic!("{what}"));
}

#[tokio::test]
async fn tls_is_spoken_when_it_is_configured() {
    let authority = authority("one");
    let files = Files::new(&issue(&authority, "localhost"));
    let server = Server::start_with(|config| config.tls = Some(files.settings())).await;
    assert!(connects(&server, &authority, None).await);
    assert!(!connects(&server, &self::authority("other"), None).await, "an unknown authority is not trusted");
    let plain = Endpoint::from_shared(format!("http://{}", server.address())).unwrap().connect_lazy();
    assert!(!answers(plain).await, "plaintext is refused");
    server.stop().await;
}

#[tokio::test]
async fn a_renewed_certificate_is_for_new_connections_and_a_bad_one_for_none() {
    let (old, new) = (authority("old"), authority("new"));
    let files = Files::new(&issue(&old, "localhost"));
    let server = Server::start_with(|config| config.tls = Some(files.settings())).await;
    let open = endpoint(&server, &old, None).connect().await.unwrap();
    assert!(answers(open.clone()).await);

    // A key that is not the certificate's, then text that is no certificate.
    let (certificate, _) = issue(&new, "localhost");
    let (_, foreign) = issue(&new, "localhost");
    files.put(&(certificate, foreign));
    for _ in 0..20 {
        assert!(connects(&server, &old, None).await, "the old pair stays");
    }
    files.put(&("nothing".to_owned(), "nothing".to_owned()));
    for _ in 0..20 {
        assert!(connects(&server, &old, None).await, "the old pair stays");
    }

    files.put(&issue(&new, "localhost"));
    until("the new certificate is picked up", async || connects(&server, &new, None).await).await;
    assert!(!connects(&server, &old, None).await, "new connections get the new one alone");
    assert!(answers(open).await, "an open connection goes on");
    server.stop().await;
}

#[tokio::test]
async fn mutual_tls_lets_in_whom_the_authority_names() {
    let (own, clients, others) = (authority("own"), authority("clients"), authority("others"));
    let files = Files::new(&issue(&own, "localhost"));
    std::fs::write(files.path("clients.crt"), clients.pem()).unwrap();
    let settings = || Tls { client_ca_file: Some(files.path("clients.crt")), ..files.settings() };
    let (good, bad) = (issue(&clients, "portal"), issue(&others, "portal"));

    let server = Server::start_with(|config| config.tls = Some(settings())).await;
    assert!(connects(&server, &own, Some(&good)).await);
    assert!(!connects(&server, &own, Some(&bad)).await);
    assert!(!connects(&server, &own, None).await);
    // The authority changes like the pair does.
    std::fs::write(files.path("clients.crt"), others.pem()).unwrap();
    until("the new authority is picked up", async || connects(&server, &own, Some(&bad)).await).await;
    assert!(!connects(&server, &own, Some(&good)).await);
    server.stop().await;

    std::fs::write(files.path("clients.crt"), clients.pem()).unwrap();
    let optional = Tls { client_certificate: ClientCertificate::Optional, ..settings() };
    let server = Server::start_with(|config| config.tls = Some(optional)).await;
    assert!(connects(&server, &own, Some(&good)).await);
    assert!(connects(&server, &own, None).await);
    assert!(!connects(&server, &own, Some(&bad)).await, "a certificate that is shown must be good");
    server.stop().await;
}

#[test]
fn the_files_are_checked_before_a_start() {
    let authority = authority("one");
    let pair = issue(&authority, "localhost");
    let files = Files::new(&pair);
    let check = |text: &str| {
        let config = files.path("peerage.toml");
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_peerage"));
        command.args(["config", "check", "--config"]).arg(&config);
        let output = command.output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let section = |key: &Path, more: &str| {
        format!(
            "[tls]\ncertificate_file = \"{}\"\nkey_file = \"{}\"\n{more}",
            files.path("tls.crt").display(),
            key.display()
        )
    };
    let (is_good, said) = check(&section(&files.path("tls.key"), ""));
    assert!(is_good && said.contains("TLS"), "{said}");
    let (_, foreign) = issue(&authority, "localhost");
    std::fs::write(files.path("foreign.key"), foreign).unwrap();
    let ca = format!("client_ca_file = \"{}\"", files.path("foreign.key").display());
    for (text, part) in [
        (section(&files.path("foreign.key"), ""), "are no pair"),
        (section(&files.path("tls.crt"), ""), "holds no private key"),
        (section(&files.path("missing.key"), ""), "missing.key"),
        (section(&files.path("tls.key"), &ca), "holds no certificate"),
        (section(&files.path("tls.key"), "reload_interval_ms = 0"), "reload_interval_ms"),
    ] {
        let (is_good, said) = check(&text);
        assert!(!is_good && said.contains(part), "{said}");
        assert_eq!(said.trim().lines().count(), 1, "{said}");
    }
}
