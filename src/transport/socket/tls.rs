//! TLS and mutual TLS whose files may change while the server runs.
//!
//! The files are read at the interval of `tls.reload_interval_ms` and at SIGHUP, by content, so that a
//! renewed link, as Kubernetes makes it, counts as a change. A pair that is not good is logged once and
//! the old one stays; a good one is for connections from then on, and open ones go on as they are.
//!
//! A client's certificate says here that its machine may connect. Who is calling is still said by the
//! credential of each call.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, ensure};
use arc_swap::ArcSwap;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use sha2::{Digest as _, Sha256};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::config::{self, ClientCertificate};

/// What the server offers: HTTP/2, and HTTP/1 for web pages where those are let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocols {
    Http2,
    Http2AndHttp1,
}

/// The certificate in use, and the files that it came from.
#[derive(Debug)]
pub struct Tls {
    files: config::Tls,
    protocols: Protocols,
    current: ArcSwap<ServerConfig>,
    /// The hash of what was last read, good or not.
    seen: Mutex<[u8; 32]>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// One line that names the file that cannot be used, and why.
    pub fn open(files: &config::Tls, protocols: Protocols) -> anyhow::Result<Self> {
        let texts = Texts::read(files)?;
        let current = ArcSwap::from_pointee(texts.server_config(files, protocols)?);
        Ok(Self { files: files.clone(), protocols, current, seen: Mutex::new(texts.hash()) })
    }

    /// What the next connection is secured with.
    #[must_use]
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current.load_full())
    }

    /// Follows the files until it is told to stop.
    ///
    /// # Errors
    /// Where signals cannot be listened for.
    pub async fn follow(self: Arc<Self>, stop: CancellationToken) -> anyhow::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut hang_up = signal(SignalKind::hangup())?;
        let mut ticks = tokio::time::interval(self.files.reload_interval());
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = ticks.tick() => {}
                _ = hang_up.recv() => {}
            }
            let tls = Arc::clone(&self);
            tokio::task::spawn_blocking(move || tls.look()).await?;
        }
    }

    /// Looks at the files once.
    fn look(&self) {
        let texts = match Texts::read(&self.files) {
            Ok(texts) => texts,
            // A file that is just being replaced is there at the next look.
            Err(error) => return tracing::warn!(error = %error, "the certificate's files cannot be read"),
        };
        let hash = texts.hash();
        let was = std::mem::replace(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner), hash);
        if was == hash {
            return;
        }
        match texts.server_config(&self.files, self.protocols) {
            Ok(config) => {
                self.current.store(Arc::new(config));
                tracing::info!("a new certificate is in use");
            }
            Err(error) => {
                let error = format!("{error:#}");
                tracing::error!(error, "the new certificate cannot be used; the old one stays");
            }
        }
    }
}

/// The files as they are on disk.
struct Texts {
    certificate: Vec<u8>,
    key: zeroize::Zeroizing<Vec<u8>>,
    client_ca: Option<Vec<u8>>,
}

impl Texts {
    fn read(files: &config::Tls) -> anyhow::Result<Self> {
        let read = |file: &Path| std::fs::read(file).with_context(|| format!("cannot read `{}`", file.display()));
        Ok(Self {
            certificate: read(&files.certificate_file)?,
            key: read(&files.key_file)?.into(),
            client_ca: files.client_ca_file.as_deref().map(read).transpose()?,
        })
    }

    fn hash(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for text in [&self.certificate, &*self.key, self.client_ca.as_ref().unwrap_or(&Vec::new())] {
            hash.update(text.len().to_le_bytes());
            hash.update(text);
        }
        hash.finalize().into()
    }

    fn server_config(&self, files: &config::Tls, protocols: Protocols) -> anyhow::Result<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let chain = certificates(&self.certificate, &files.certificate_file)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .with_context(|| format!("`{}` holds no private key in PEM", files.key_file.display()))?;
        // It says so too where the key is not the certificate's.
        let pair = CertifiedKey::from_der(chain, key, &provider).with_context(|| {
            format!("`{}` and `{}` are no pair", files.certificate_file.display(), files.key_file.display())
        })?;
        let builder =
            ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
        let builder = match (&self.client_ca, &files.client_ca_file) {
            (Some(text), Some(file)) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(text, file)? {
                    roots.add(certificate).with_context(|| format!("`{}`", file.display()))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier = match files.client_certificate {
                    ClientCertificate::Required => verifier,
                    ClientCertificate::Optional => verifier.allow_unauthenticated(),
                };
                builder.with_client_cert_verifier(verifier.build()?)
            }
            _ => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(pair)));
        config.alpn_protocols = match protocols {
            Protocols::Http2 => vec![b"h2".to_vec()],
            Protocols::Http2AndHttp1 => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        };
        Ok(config)
    }
}

fn certificates(text: &[u8], file: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    let found = found.with_context(|| format!("`{}` is no PEM", file.display()))?;
    ensure!(!found.is_empty(), "`{}` holds no certificate in PEM", file.display());
    Ok(found)
}
