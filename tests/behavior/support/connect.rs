//! How a client connects: every part of the handshake can be chosen, wrong ones included.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::http::Request;

use super::client::{Client, Socket};
use super::gateway::Gateway;
use super::http::{self, Response};

/// A connection to be opened.
#[derive(Clone)]
pub struct Connect<'g> {
    gateway: &'g Gateway,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    protocols: Vec<String>,
    receive_buffer_bytes: Option<u32>,
    trusted: Option<Vec<u8>>,
}

#[derive(Debug, Clone, Copy)]
pub enum Role {
    Writer,
    Viewer,
}

impl<'g> Connect<'g> {
    /// Without a credential.
    pub fn to(gateway: &'g Gateway) -> Self {
        Self {
            gateway,
            query: Vec::new(),
            headers: Vec::new(),
            protocols: vec!["weir.v1".into()],
            receive_buffer_bytes: None,
            trusted: None,
        }
    }

    /// Bearer token in the header.
    pub fn token(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// Bearer token as a browser must send it.
    pub fn token_as_protocol(mut self, token: &str) -> Self {
        self.protocols.push(format!(
            "base64url.bearer.authorization.weir.{}",
            URL_SAFE_NO_PAD.encode(token)
        ));
        self
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.query.push((name.into(), value.into()));
        self
    }

    pub fn role(self, role: Role) -> Self {
        self.query(
            "role",
            match role {
                Role::Writer => "writer",
                Role::Viewer => "viewer",
            },
        )
    }

    /// From the event after `seq` of `epoch`.
    pub fn after(self, epoch: &str, seq: u64) -> Self {
        self.query("after", &format!("{epoch}:{seq}"))
    }

    /// From the first event that the journal still has.
    pub fn after_zero(self) -> Self {
        self.query("after", "0")
    }

    /// The subprotocols offered, in place of `weir.v1`.
    pub fn protocols(mut self, offered: &[&str]) -> Self {
        self.protocols = offered.iter().map(|&name| name.into()).collect();
        self
    }

    /// A small buffer in the kernel, so that what is not read soon waits in the gateway.
    pub fn receive_buffer(mut self, bytes: u32) -> Self {
        self.receive_buffer_bytes = Some(bytes);
        self
    }

    /// TLS, trusting this certificate alone.
    pub fn tls(mut self, certificate: &[u8]) -> Self {
        self.trusted = Some(certificate.to_vec());
        self
    }

    /// The open connection. Panics when it is refused.
    pub async fn open(self) -> Client {
        let request = self
            .upgrade_headers()
            .into_iter()
            .fold(Request::builder(), |request, (name, value)| {
                request.header(name, value)
            })
            .header("host", self.gateway.address.to_string())
            .uri(format!("ws://{}{}", self.gateway.address, self.target()))
            .body(())
            .unwrap();
        let handshake = async {
            let tcp = tcp(self.gateway.address, self.receive_buffer_bytes).await;
            let socket: Box<dyn Socket> = match &self.trusted {
                Some(certificate) => Box::new(tls(tcp, certificate).await),
                None => Box::new(tcp),
            };
            client_async(request, socket).await
        };
        let (socket, response) = tokio::time::timeout(Duration::from_secs(10), handshake)
            .await
            .unwrap_or_else(|_| panic!("no upgrade within 10 s:\n{}", self.gateway.log_tail()))
            .unwrap_or_else(|refused| {
                panic!(
                    "refused: {refused:?}\ngateway log:\n{}",
                    self.gateway.log_tail()
                )
            });
        let protocol = response
            .headers()
            .get("sec-websocket-protocol")
            .map(|chosen| chosen.to_str().unwrap().to_owned());
        Client::start(socket, protocol).await
    }

    /// The HTTP answer in place of an upgrade. Panics when there is an upgrade.
    pub async fn refused(self) -> Response {
        let response = self.answer().await.unwrap();
        assert_ne!(response.status, 101, "not refused: {}", self.target());
        response
    }

    /// The HTTP answer, whatever it is.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn answer(&self) -> std::io::Result<Response> {
        http::get(
            self.gateway.address,
            &self.target(),
            &self.upgrade_headers(),
        )
        .await
    }

    fn target(&self) -> String {
        let pairs: Vec<_> = self
            .query
            .iter()
            .map(|(name, value)| format!("{name}={}", percent_encode(value)))
            .collect();
        match pairs.as_slice() {
            [] => "/v1/connect".into(),
            pairs => format!("/v1/connect?{}", pairs.join("&")),
        }
    }

    fn upgrade_headers(&self) -> Vec<(String, String)> {
        let mut headers: Vec<(String, String)> = vec![
            ("connection".into(), "Upgrade".into()),
            ("upgrade".into(), "websocket".into()),
            ("sec-websocket-version".into(), "13".into()),
            ("sec-websocket-key".into(), generate_key()),
        ];
        if !self.protocols.is_empty() {
            headers.push(("sec-websocket-protocol".into(), self.protocols.join(", ")));
        }
        headers.extend(self.headers.iter().cloned());
        headers
    }
}

async fn tcp(address: SocketAddr, receive_buffer_bytes: Option<u32>) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    if let Some(bytes) = receive_buffer_bytes {
        socket.set_recv_buffer_size(bytes).unwrap();
    }
    let stream = socket.connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

async fn tls(tcp: TcpStream, certificate: &[u8]) -> impl Socket + use<> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from(certificate.to_vec()))
        .unwrap();
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, tcp)
        .await
        .unwrap()
}

/// Everything but the characters that mean nothing in a URL, as `%XX`.
fn percent_encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
