//! The gateway's own TLS: two PEM files in, encrypted streams out.
//!
//! TLS 1.2 and 1.3 by aws-lc, `h2` before `http/1.1`, no client certificates, no early data (it can
//! be replayed). Immutable: for a renewed certificate load again and swap; on an error what is in
//! use stays as it is. Custodian of `rustls` and `tokio-rustls`.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{Error, InconsistentKeys, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;

pub use tokio_rustls::server::TlsStream;

/// A PEM file longer than this is some other file.
const PEM_BYTES_MAX: u64 = 1 << 20;

/// What a client may ask for, the preferred one first.
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The server's half of every handshake. Cheap to clone; its `Debug` shows no key material.
#[derive(Clone)]
pub struct ServerTls(TlsAcceptor);

/// TLS, and what the operator should hear about its files.
#[derive(Debug)]
pub struct LoadedTls {
    pub tls: ServerTls,
    pub warnings: Vec<TlsWarning>,
}

impl ServerTls {
    /// Reads the certificate chain, the leaf first, and the leaf's private key (PKCS#8, PKCS#1 or
    /// SEC1). Both may be one file. Blocks on the file system.
    ///
    /// # Errors
    /// A file that cannot be read or holds no such thing, or a key that is not the certificate's.
    pub fn load(cert: &Path, key: &Path) -> Result<LoadedTls, TlsError> {
        let provider = default_provider();
        let chain = read_chain(cert)?;
        let (private, warnings) = read_key(key)?;
        let private = provider
            .key_provider
            .load_private_key(private)
            .map_err(|source| TlsError::UnusableKey {
                path: key.to_owned(),
                source,
            })?;
        let certified = CertifiedKey::new(chain, private);
        match certified.keys_match() {
            // Unknown: a key that cannot tell its public half, which no handshake needs.
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(Error::InconsistentKeys(_)) => {
                return Err(TlsError::Mismatch {
                    cert: cert.to_owned(),
                    key: key.to_owned(),
                });
            }
            Err(source) => {
                return Err(TlsError::BadCertificate {
                    path: cert.to_owned(),
                    source,
                });
            }
        }
        let mut config = ServerConfig::builder_with_provider(provider.into())
            .with_protocol_versions(&[&TLS13, &TLS12])
            .expect("aws-lc has cipher suites for both versions")
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        config.alpn_protocols = ALPN.map(<[u8]>::to_vec).into();
        Ok(LoadedTls {
            tls: Self(TlsAcceptor::from(Arc::new(config))),
            warnings,
        })
    }

    /// Shakes hands with a client. Sets no bound on the time that takes: the caller does. Dropped
    /// before its end, it closes the stream.
    ///
    /// # Errors
    /// A client that speaks no TLS, none of ours, or hangs up.
    pub async fn accept<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.0.accept(stream).await
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").finish_non_exhaustive()
    }
}

/// What an operator should know about files that loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsWarning {
    #[error("the TLS key {path:?} has mode {mode:04o}, so others may touch it; `chmod 600` it")]
    KeyExposed { path: PathBuf, mode: u32 },
}

/// Why there is no TLS. No message contains key material.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read the TLS file {path:?}")]
    Unreadable { path: PathBuf, source: io::Error },
    #[error(
        "{path:?} has more than {PEM_BYTES_MAX} bytes: it is no PEM file of a certificate or key"
    )]
    TooLarge { path: PathBuf },
    // The parser's own message may quote the file, so only what it is about is kept.
    #[error("{path:?} is broken PEM: {problem}")]
    Pem {
        path: PathBuf,
        problem: &'static str,
    },
    #[error(
        "{path:?} holds no certificate; give the chain in PEM, the gateway's own certificate first"
    )]
    NoCertificate { path: PathBuf },
    #[error("the first certificate of {path:?} is not X.509 as TLS wants it")]
    BadCertificate { path: PathBuf, source: Error },
    #[error(
        "{path:?} holds no private key; give it in PEM and unencrypted, as `openssl pkey` prints it"
    )]
    NoKey { path: PathBuf },
    #[error("the private key of {path:?} cannot be used; give an RSA, P-256, P-384 or Ed25519 key")]
    UnusableKey { path: PathBuf, source: Error },
    #[error(
        "the private key of {key:?} is not that of the first certificate of {cert:?}; give the key \
         that the certificate was made for, and put the gateway's own certificate first"
    )]
    Mismatch { cert: PathBuf, key: PathBuf },
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let (bytes, _) = read(path)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<_, _>>()
        .map_err(|error| broken(path, &error))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate {
            path: path.to_owned(),
        });
    }
    Ok(chain)
}

fn read_key(path: &Path) -> Result<(PrivateKeyDer<'static>, Vec<TlsWarning>), TlsError> {
    let (bytes, mode) = read(path)?;
    let key = match PrivateKeyDer::from_pem_slice(&bytes) {
        Ok(key) => key,
        Err(pem::Error::NoItemsFound) => {
            return Err(TlsError::NoKey {
                path: path.to_owned(),
            });
        }
        Err(error) => return Err(broken(path, &error)),
    };
    let exposed = (mode & 0o077 != 0).then(|| TlsWarning::KeyExposed {
        path: path.to_owned(),
        mode,
    });
    Ok((key, Vec::from_iter(exposed)))
}

/// The file's bytes and its permission bits, both of the one file that was opened.
fn read(path: &Path) -> Result<(Vec<u8>, u32), TlsError> {
    let unreadable = |source| TlsError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o777;
    let mut bytes = Vec::new();
    file.take(PEM_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > PEM_BYTES_MAX {
        return Err(TlsError::TooLarge {
            path: path.to_owned(),
        });
    }
    Ok((bytes, mode))
}

fn broken(path: &Path, error: &pem::Error) -> TlsError {
    let problem = match error {
        pem::Error::MissingSectionEnd { .. } => "a section has no END line",
        pem::Error::IllegalSectionStart { .. } => "a BEGIN line is malformed",
        pem::Error::Base64Decode(_) => "a section is not base64",
        // The type is open; of today's cases none other can come from bytes in memory.
        _ => "it cannot be parsed",
    };
    TlsError::Pem {
        path: path.to_owned(),
        problem,
    }
}

#[cfg(test)]
mod tests;
