//! A client: one WebSocket on one session, with no more work per message than it needs.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::gateway::Gateway;

/// No promise is about anything that takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// How much a client reads at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appetite {
    /// Thousands of clients fit into this process.
    Small,
    /// Nothing waits for the next read.
    Large,
}

/// One attached WebSocket.
pub struct Client {
    socket: WebSocketStream<TcpStream>,
    executed: u64,
}

/// How a turn ended.
#[derive(Debug, Deserialize)]
pub struct Finished {
    pub status: String,
    pub session_state: String,
    pub metrics: Option<Metrics>,
}

/// What the gateway itself measured of a turn.
#[derive(Debug, Deserialize)]
pub struct Metrics {
    pub wall_ms: f64,
    pub cpu_ms: f64,
    pub output_bytes: u64,
}

/// Text that a guest wrote.
#[derive(Debug, Deserialize)]
struct Output {
    text: String,
}

impl Client {
    /// Connects over a fresh TCP connection. `query` as in a URL, or empty.
    ///
    /// # Errors
    /// When the gateway refuses.
    pub async fn connect(
        gateway: &Gateway,
        token: &str,
        query: &str,
        appetite: Appetite,
    ) -> anyhow::Result<Self> {
        let address = gateway.address();
        let mut request = format!("ws://{address}/v1/connect{query}").into_client_request()?;
        let headers = request.headers_mut();
        headers.insert(
            "authorization",
            HeaderValue::from_str(&format!("Bearer {token}"))?,
        );
        headers.insert(
            "sec-websocket-protocol",
            HeaderValue::from_static("weir.v1"),
        );
        let config = WebSocketConfig::default().read_buffer_size(match appetite {
            Appetite::Small => 4 << 10,
            Appetite::Large => 512 << 10,
        });
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let upgrade = client_async_with_config(request, stream, Some(config));
        let (socket, _) = within(upgrade).await??;
        Ok(Self {
            socket,
            executed: 0,
        })
    }

    /// Asks for a turn, and returns at once.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn execute(&mut self, code: &str) -> anyhow::Result<()> {
        self.execute_within(code, 30).await
    }

    /// The same with a time limit of the turn, in seconds.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn execute_within(&mut self, code: &str, seconds: u32) -> anyhow::Result<()> {
        self.executed += 1;
        let id = format!("turn-{}", self.executed);
        self.send(json!({
            "type": "execute", "id": id, "code": code, "timeout_seconds": seconds
        }))
        .await
    }

    /// The next message.
    ///
    /// # Errors
    /// When the connection is lost, or nothing comes for a minute.
    pub async fn next(&mut self) -> anyhow::Result<Utf8Bytes> {
        loop {
            match within(self.socket.next())
                .await?
                .context("the gateway hung up")??
            {
                Message::Text(text) => return Ok(text),
                Message::Ping(_) | Message::Pong(_) => {}
                other => bail!("unexpected {other:?}"),
            }
        }
    }

    /// The next message of this type; others before it are dropped, errors are not.
    ///
    /// # Errors
    /// Those of [`Client::next`], and an `error` from the gateway.
    pub async fn wait_for(&mut self, wanted: &str) -> anyhow::Result<Utf8Bytes> {
        loop {
            let text = self.next().await?;
            match kind(&text)? {
                kind if kind == wanted => return Ok(text),
                "error" => bail!("the gateway answered {text}"),
                _ => {}
            }
        }
    }

    /// How the running turn ended.
    ///
    /// # Errors
    /// Those of [`Client::wait_for`].
    pub async fn finished(&mut self) -> anyhow::Result<Finished> {
        parse_finished(&self.wait_for("finished").await?)
    }

    /// Runs a turn that must end well, and returns how long its client waited for that.
    ///
    /// # Errors
    /// When it does not.
    pub async fn turn(&mut self, code: &str) -> anyhow::Result<Duration> {
        let began = Instant::now();
        self.execute(code).await?;
        let last = self.wait_for("finished").await?;
        let took = began.elapsed();
        let finished = parse_finished(&last)?;
        ensure!(finished.status == "ok", "{code:?} ended {last}");
        Ok(took)
    }

    /// What a turn that must end well wrote.
    ///
    /// # Errors
    /// When it does not.
    pub async fn output_of(&mut self, code: &str) -> anyhow::Result<String> {
        self.execute(code).await?;
        let mut written = String::new();
        loop {
            let message = self.next().await?;
            match kind(&message)? {
                "output" => written.push_str(&text_of(&message)?),
                "finished" => return Ok(written),
                "error" => bail!("the gateway answered {message}"),
                _ => {}
            }
        }
    }

    /// Ends the session.
    ///
    /// # Errors
    /// When the gateway does not say so.
    pub async fn close_session(mut self) -> anyhow::Result<()> {
        self.send(json!({"type": "close", "id": "end"})).await?;
        self.wait_for("closed").await?;
        Ok(())
    }

    async fn send(&mut self, message: serde_json::Value) -> anyhow::Result<()> {
        let message = Message::text(message.to_string());
        Ok(within(self.socket.send(message)).await??)
    }
}

/// The type of a message. It stands first in every one, so that nobody need parse a large one to
/// know it.
///
/// # Errors
/// When it does not.
pub fn kind(message: &str) -> anyhow::Result<&str> {
    message
        .strip_prefix(r#"{"type":""#)
        .and_then(|rest| rest.split_once('"'))
        .map(|(kind, _)| kind)
        .with_context(|| {
            let start: String = message.chars().take(80).collect();
            format!("a message does not begin with its type: {start}")
        })
}

/// The text of an `output`.
///
/// # Errors
/// When it has none.
pub fn text_of(message: &str) -> anyhow::Result<String> {
    let output: Output = serde_json::from_str(message).context("an output without text")?;
    Ok(output.text)
}

/// How a turn ended.
///
/// # Errors
/// When the message is no `finished`.
pub fn parse_finished(message: &str) -> anyhow::Result<Finished> {
    serde_json::from_str(message).with_context(|| format!("no finished event: {message}"))
}

async fn within<F: Future>(future: F) -> anyhow::Result<F::Output> {
    tokio::time::timeout(PATIENCE, future)
        .await
        .with_context(|| format!("nothing came for {} s", PATIENCE.as_secs()))
}
