//! The way to a server: its address, TLS, the API key that goes with every call, and deadlines.
//!
//! The key comes from a file or the environment and never from a flag, since flags show in process
//! lists and shell histories. Plaintext is used where the address says `http://` or is on this
//! machine; everywhere else the connection is TLS.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Status};

use crate::config::DEFAULT_LISTEN;
use crate::transport::grpc::pb;
use pb::account_access_service_client::AccountAccessServiceClient;
use pb::account_service_client::AccountServiceClient;
use pb::audit_service_client::AuditServiceClient;
use pb::authentication_service_client::AuthenticationServiceClient;
use pb::peer_service_client::PeerServiceClient;
use pb::role_service_client::RoleServiceClient;

/// How long one call may take where nobody says otherwise, in seconds.
pub(super) const DEFAULT_TIMEOUT: u64 = 30;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A page of 1,000 peers with every field at its bound is larger than tonic's default of 4 MiB.
const RESPONSE_BYTES_MAX: usize = 64 * 1024 * 1024;
const KEY_VARIABLE: &str = "PEERAGE_API_KEY";

/// Which server to talk to, and as whom.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct Server {
    /// The server, as `host:port`, `http://host:port` or `https://host:port`
    #[arg(long, global = true, env = "PEERAGE_ADDRESS", default_value = DEFAULT_LISTEN, value_name = "ADDRESS")]
    pub(crate) address: String,

    /// A file with the API key to present; without it, the key stands in PEERAGE_API_KEY
    #[arg(long, global = true, env = "PEERAGE_API_KEY_FILE", value_name = "FILE", value_parser = file())]
    pub(crate) api_key_file: Option<PathBuf>,

    /// A PEM file with the authorities whose TLS certificate the server may show
    #[arg(long, global = true, env = "PEERAGE_CA_FILE", value_name = "FILE", value_parser = file())]
    pub(crate) ca_file: Option<PathBuf>,

    /// How long one call may take
    #[arg(long, global = true, default_value_t = DEFAULT_TIMEOUT, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) timeout: u64,
}

/// Reads the name of a file. An empty one passes here, since a variable that is set to nothing counts
/// as one that is not set.
pub(super) fn file() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// The file that was named, unless the name is empty.
pub(super) fn named(file: Option<PathBuf>) -> Option<PathBuf> {
    file.filter(|file| !file.as_os_str().is_empty())
}

impl Server {
    /// The same, where what is empty counts as not given.
    pub(super) fn settled(self) -> Self {
        let address = if self.address.is_empty() { DEFAULT_LISTEN.to_owned() } else { self.address };
        Self { address, api_key_file: named(self.api_key_file), ca_file: named(self.ca_file), ..self }
    }
}

/// A channel with the caller's credential on every call.
pub(crate) type Door = InterceptedService<Channel, Credential>;

/// Puts the API key and the deadline on each request.
#[derive(Clone)]
pub(crate) struct Credential {
    authorization: MetadataValue<Ascii>,
    timeout: Duration,
}

impl fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Credential").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl Interceptor for Credential {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.authorization.clone());
        request.set_timeout(self.timeout);
        Ok(request)
    }
}

/// A connection, from which a client of each service can be taken.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    channel: Channel,
    credential: Credential,
}

impl Connection {
    /// Connects as the flags and the environment say.
    pub(crate) async fn open(server: &Server) -> anyhow::Result<Self> {
        let key = find_key(server)?;
        Self::open_with_key(server, &key).await
    }

    /// Connects with a given API key.
    pub(crate) async fn open_with_key(server: &Server, key: &str) -> anyhow::Result<Self> {
        let mut authorization = MetadataValue::try_from(format!("Bearer {}", key.trim()))
            .context("the API key holds characters that no key has")?;
        authorization.set_sensitive(true);
        let credential = Credential { authorization, timeout: Duration::from_secs(server.timeout) };
        let uri = uri(&server.address, server.ca_file.is_some());
        let mut endpoint = Endpoint::from_shared(uri.clone())
            .with_context(|| format!("`{}` is no address", server.address))?
            .user_agent(concat!("peerage/", env!("CARGO_PKG_VERSION")))?
            .connect_timeout(CONNECT_TIMEOUT);
        if uri.starts_with("https://") {
            endpoint = endpoint.tls_config(tls(server)?)?;
        }
        let channel = endpoint.connect().await.with_context(|| {
            format!("cannot reach the server at {uri} (`--address` or PEERAGE_ADDRESS name another)")
        })?;
        Ok(Self { channel, credential })
    }

    fn door(&self) -> Door {
        InterceptedService::new(self.channel.clone(), self.credential.clone())
    }

    pub(crate) fn access(&self) -> AccountAccessServiceClient<Door> {
        AccountAccessServiceClient::new(self.door())
    }

    pub(crate) fn accounts(&self) -> AccountServiceClient<Door> {
        AccountServiceClient::new(self.door()).max_decoding_message_size(RESPONSE_BYTES_MAX)
    }

    pub(crate) fn audit(&self) -> AuditServiceClient<Door> {
        AuditServiceClient::new(self.door()).max_decoding_message_size(RESPONSE_BYTES_MAX)
    }

    pub(crate) fn authentication(&self) -> AuthenticationServiceClient<Door> {
        AuthenticationServiceClient::new(self.door())
    }

    pub(crate) fn peers(&self) -> PeerServiceClient<Door> {
        PeerServiceClient::new(self.door()).max_decoding_message_size(RESPONSE_BYTES_MAX)
    }

    pub(crate) fn roles(&self) -> RoleServiceClient<Door> {
        RoleServiceClient::new(self.door()).max_decoding_message_size(RESPONSE_BYTES_MAX)
    }
}

fn find_key(server: &Server) -> anyhow::Result<String> {
    if let Some(path) = &server.api_key_file {
        return std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the API key from `{}`", path.display()));
    }
    match std::env::var(KEY_VARIABLE) {
        Ok(key) if !key.trim().is_empty() => Ok(key),
        _ => bail!("no API key: set PEERAGE_API_KEY, or name a file with `--api-key-file` or PEERAGE_API_KEY_FILE"),
    }
}

fn tls(server: &Server) -> anyhow::Result<ClientTlsConfig> {
    let Some(path) = &server.ca_file else {
        bail!(
            "`{}` needs TLS, and `--ca-file` or PEERAGE_CA_FILE must name the authorities to trust \
             (public ones stand in /etc/ssl/certs/ca-certificates.crt on many systems)",
            server.address
        );
    };
    let pem = std::fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    // Two providers may be linked in; whoever installed one before is right too.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)))
}

/// The address with its scheme: as written, else plaintext on this machine alone.
fn uri(address: &str, has_authorities: bool) -> String {
    if address.contains("://") {
        return address.to_owned();
    }
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let is_here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    let scheme = if is_here && !has_authorities { "http" } else { "https" };
    format!("{scheme}://{address}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plaintext_is_for_this_machine_alone() {
        for (address, has_authorities, expected) in [
            ("127.0.0.1:7843", false, "http://127.0.0.1:7843"),
            ("[::1]:7843", false, "http://[::1]:7843"),
            ("localhost:7843", false, "http://localhost:7843"),
            ("localhost:7843", true, "https://localhost:7843"),
            ("peerage.example.com:443", false, "https://peerage.example.com:443"),
            ("192.0.2.7:7843", false, "https://192.0.2.7:7843"),
            ("http://192.0.2.7:7843", true, "http://192.0.2.7:7843"),
        ] {
            assert_eq!(uri(address, has_authorities), expected);
        }
    }

    #[test]
    fn a_credential_does_not_show_its_key() {
        let authorization = MetadataValue::try_from("Bearer prg_secret").unwrap();
        let credential = Credential { authorization, timeout: Duration::from_secs(1) };
        assert!(!format!("{credential:?}").contains("prg_"));
    }
}
