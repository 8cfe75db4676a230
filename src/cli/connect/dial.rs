//! One attempt to reach the gateway: TCP, TLS where it is asked for, and the WebSocket upgrade.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::client::ClientRequestBuilder;
use tokio_tungstenite::tungstenite::http::Response;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config, tungstenite};

use super::address::Address;
use crate::ids::SessionId;
use crate::limits::FRAME_BYTES_MAX;

const SUBPROTOCOL: &str = "weir.v1";
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);
/// Where systems keep the authorities they trust.
const SYSTEM_AUTHORITIES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// What to connect to.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub address: Address,
    /// `None`: a new one.
    pub session: Option<SessionId>,
    pub language: Option<String>,
    /// PEM file; `None`: the system's.
    pub authorities: Option<PathBuf>,
}

/// Anything that carries bytes both ways.
pub(super) trait Transport: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Transport for T {}

pub(super) type Socket = WebSocketStream<Box<dyn Transport>>;

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    #[error("cannot reach {address}: {source}; `weir serve` starts a gateway")]
    Unreachable { address: Address, source: io::Error },
    #[error("{address} did not answer within {} s", DIAL_TIMEOUT.as_secs())]
    Silent { address: Address },
    #[error("the gateway refused: {message} ({status})")]
    Refused {
        status: u16,
        message: String,
        retry_after: Option<Duration>,
    },
    #[error("cannot use the authorities in {path}: {reason}; name a PEM file with --ca")]
    Authorities { path: String, reason: String },
    #[error("{address} does not speak Weir's protocol: {reason}")]
    Foreign { address: Address, reason: String },
}

impl DialError {
    /// Whether it may be otherwise a little later, and how much later at least.
    pub(super) fn passes(&self) -> Option<Duration> {
        match self {
            Self::Unreachable { .. } | Self::Silent { .. } => Some(Duration::ZERO),
            Self::Refused {
                status: 429 | 500..,
                retry_after,
                ..
            } => Some(retry_after.unwrap_or_default()),
            Self::Refused { .. } | Self::Authorities { .. } | Self::Foreign { .. } => None,
        }
    }
}

/// Connects, with `after` as the point from which events are wanted.
pub(super) async fn dial(
    target: &Target,
    after: Option<&str>,
    token: &str,
) -> Result<Socket, DialError> {
    match tokio::time::timeout(DIAL_TIMEOUT, attempt(target, after, token)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(DialError::Silent {
            address: target.address.clone(),
        }),
    }
}

async fn attempt(target: &Target, after: Option<&str>, token: &str) -> Result<Socket, DialError> {
    let address = &target.address;
    let unreachable = |source| DialError::Unreachable {
        address: address.clone(),
        source,
    };
    let tcp = TcpStream::connect((address.host.as_str(), address.port))
        .await
        .map_err(unreachable)?;
    tcp.set_nodelay(true).map_err(unreachable)?;
    let transport: Box<dyn Transport> = if address.secure {
        let connector = connector(target.authorities.as_deref())?;
        let name =
            ServerName::try_from(address.host.clone()).map_err(|error| DialError::Foreign {
                address: address.clone(),
                reason: error.to_string(),
            })?;
        Box::new(connector.connect(name, tcp).await.map_err(unreachable)?)
    } else {
        Box::new(tcp)
    };
    let foreign = |reason: String| DialError::Foreign {
        address: address.clone(),
        reason,
    };
    let uri = address.request(&query(target, after));
    let request = ClientRequestBuilder::new(uri.parse().map_err(|_| foreign(uri))?)
        .with_sub_protocol(SUBPROTOCOL)
        .with_header("Authorization", format!("Bearer {token}"));
    let limits = WebSocketConfig::default()
        .max_message_size(Some(FRAME_BYTES_MAX))
        .max_frame_size(Some(FRAME_BYTES_MAX));
    match client_async_with_config(request, transport, Some(limits)).await {
        Ok((socket, _)) => Ok(socket),
        Err(tungstenite::Error::Http(response)) => Err(refused(&response)),
        Err(tungstenite::Error::Io(source)) => Err(unreachable(source)),
        Err(error) => Err(foreign(error.to_string())),
    }
}

fn query(target: &Target, after: Option<&str>) -> Vec<(&'static str, String)> {
    let session = target.session.as_ref().map(SessionId::to_string);
    let language = target.language.as_deref().map(escape);
    [
        ("session", session),
        ("language", language),
        ("after", after.map(str::to_owned)),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect()
}

/// Percent-encodes all but what no URL gives a meaning to.
fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

/// What the gateway says is the better text, when all of it came.
fn refused(response: &Response<Option<Vec<u8>>>) -> DialError {
    let status = response.status();
    let body = response.body().as_deref().unwrap_or_default();
    let said = serde_json::from_slice::<Value>(body).ok();
    let said = said
        .as_ref()
        .and_then(|body| body["error"]["message"].as_str());
    let standard = status.canonical_reason().unwrap_or("no reason given");
    let header = response.headers().get("retry-after");
    let seconds = header.and_then(|value| value.to_str().ok()?.parse().ok());
    DialError::Refused {
        status: status.as_u16(),
        message: said.unwrap_or(standard).to_owned(),
        retry_after: seconds.map(Duration::from_secs),
    }
}

fn connector(authorities: Option<&Path>) -> Result<TlsConnector, DialError> {
    let path = match authorities {
        Some(path) => path,
        None => SYSTEM_AUTHORITIES
            .iter()
            .map(Path::new)
            .find(|path| path.exists())
            .unwrap_or(Path::new(SYSTEM_AUTHORITIES[0])),
    };
    let unusable = |reason: String| DialError::Authorities {
        path: path.display().to_string(),
        reason,
    };
    let mut roots = RootCertStore::empty();
    let certificates =
        CertificateDer::pem_file_iter(path).map_err(|error| unusable(error.to_string()))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
        // Systems trust some that this library cannot read; the others will do.
        let _ = roots.add(certificate);
    }
    if roots.is_empty() {
        return Err(unusable("it holds no certificate".into()));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_cannot_add_to_the_query() {
        assert_eq!(escape("ruby-4.0_x~"), "ruby-4.0_x~");
        assert_eq!(escape("a&token=b c/é"), "a%26token%3Db%20c%2F%C3%A9");
    }

    #[test]
    fn a_refusal_is_told_in_the_gateway_s_words() {
        let mut response = Response::new(Some(
            br#"{"error":{"code":"draining","message":"the gateway is stopping"}}"#.to_vec(),
        ));
        *response.status_mut() = tungstenite::http::StatusCode::SERVICE_UNAVAILABLE;
        response
            .headers_mut()
            .insert("retry-after", "7".parse().unwrap());
        let error = refused(&response);
        assert_eq!(
            error.to_string(),
            "the gateway refused: the gateway is stopping (503)"
        );
        assert_eq!(error.passes(), Some(Duration::from_secs(7)));
        let error = refused(&Response::new(None));
        assert_eq!(error.passes(), None);
    }
}
