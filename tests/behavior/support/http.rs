//! Plain HTTP/1.1 to the gateway, read whole: what it says before any upgrade, and what anybody
//! may ask it.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// An answer.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    pub body: String,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The message of an error body, which must have this status and code.
    #[track_caller]
    pub fn refusal(&self, status: u16, code: &str) -> String {
        assert_eq!(self.status, status, "{self:?}");
        let error = &self.json()["error"];
        assert_eq!(error["code"], code, "{self:?}");
        error["message"].as_str().expect("a message").to_owned()
    }
}

/// The answer to a `GET`.
///
/// # Errors
/// When nobody answers: the connection was refused or cut.
pub async fn get(
    address: SocketAddr,
    target: &str,
    headers: &[(String, String)],
) -> std::io::Result<Response> {
    let mut request = format!("GET {target} HTTP/1.1\r\nhost: {address}\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    let exchange = async {
        let mut socket = TcpStream::connect(address).await?;
        socket.write_all(request.as_bytes()).await?;
        read_response(&mut socket).await
    };
    timeout(Duration::from_secs(10), exchange)
        .await
        .unwrap_or_else(|_| panic!("no answer to GET {target} within 10 s"))
}

async fn read_response(socket: &mut TcpStream) -> std::io::Result<Response> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(at) = find(&bytes, b"\r\n\r\n") {
            break at;
        }
        if socket.read_buf(&mut bytes).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    };
    let text = String::from_utf8(bytes[..head].to_vec()).expect("the head is text");
    let mut lines = text.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1)?.parse().ok())
        .unwrap_or_else(|| panic!("no status in {text:?}"));
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let mut response = Response {
        status,
        headers,
        body: String::new(),
    };
    bytes.drain(..head + 4);
    if status == 101 {
        // What follows is frames.
        return Ok(response);
    }
    if response.header("transfer-encoding") == Some("chunked") {
        while find(&bytes, b"0\r\n\r\n").is_none() && socket.read_buf(&mut bytes).await? > 0 {}
        bytes = unchunk(&bytes);
    } else {
        let length = response
            .header("content-length")
            .map_or(usize::MAX, |text| text.parse().unwrap());
        while bytes.len() < length && socket.read_buf(&mut bytes).await? > 0 {}
    }
    response.body = String::from_utf8(bytes).expect("the body is text");
    Ok(response)
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

fn unchunk(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(at) = find(bytes, b"\r\n") {
        let length = std::str::from_utf8(&bytes[..at]).unwrap();
        let length = usize::from_str_radix(length, 16).unwrap();
        body.extend_from_slice(&bytes[at + 2..at + 2 + length]);
        bytes = &bytes[at + 4 + length..];
    }
    body
}
