//! A client of one session. Every wait has a deadline, and a wait in vain shows what came instead.

use std::collections::{HashMap, VecDeque};
use std::ops::Index;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout_at;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::seed::fresh_name;
use super::turn::Turn;

/// How many frames a failure shows, and how much of each.
const TRACE_FRAMES: usize = 30;
const TRACE_CHARS: usize = 240;

pub trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Socket for T {}

/// One message of the gateway.
#[derive(Debug, Clone)]
pub struct Frame {
    pub at: Instant,
    pub raw: String,
    pub json: Value,
}

impl Frame {
    pub fn kind(&self) -> &str {
        self.json["type"].as_str().expect("a type")
    }

    pub fn seq(&self) -> Option<u64> {
        self.json["seq"].as_u64()
    }

    pub fn text(&self, field: &str) -> &str {
        self.json[field]
            .as_str()
            .unwrap_or_else(|| panic!("{field} is text in {}", self.raw))
    }

    pub fn number(&self, field: &str) -> u64 {
        self.json[field]
            .as_u64()
            .unwrap_or_else(|| panic!("{field} is a number in {}", self.raw))
    }
}

impl Index<&str> for Frame {
    type Output = Value;

    fn index(&self, field: &str) -> &Value {
        &self.json[field]
    }
}

/// How the gateway closed a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    pub code: u16,
    pub reason: String,
}

/// An open connection.
pub struct Client {
    socket: WebSocketStream<Box<dyn Socket>>,
    /// The subprotocol that the gateway chose.
    pub protocol: Option<String>,
    /// The first message.
    pub attached: Frame,
    /// The longest wait for anything.
    pub patience: Duration,
    /// Received and not taken yet.
    inbox: VecDeque<Frame>,
    trace: VecDeque<String>,
    closed: Option<Closed>,
    /// Turn numbers by request id, from every `queued` seen.
    turns: HashMap<String, u64>,
}

impl Client {
    /// Takes `attached` from a socket just opened.
    pub(super) async fn start(
        socket: WebSocketStream<Box<dyn Socket>>,
        protocol: Option<String>,
    ) -> Self {
        let mut client = Self {
            socket,
            protocol,
            attached: Frame {
                at: Instant::now(),
                raw: String::new(),
                json: Value::Null,
            },
            patience: Duration::from_secs(10),
            inbox: VecDeque::new(),
            trace: VecDeque::new(),
            closed: None,
            turns: HashMap::new(),
        };
        client.attached = client.next().await;
        assert_eq!(
            client.attached.kind(),
            "attached",
            "attached is the first message"
        );
        client
    }

    pub fn session(&self) -> &str {
        self.attached.text("session")
    }

    pub fn epoch(&self) -> &str {
        self.attached.text("epoch")
    }

    /// The journal's head when this client came.
    pub fn head(&self) -> u64 {
        self.attached.number("seq")
    }

    pub async fn send(&mut self, message: Value) {
        self.send_raw(Message::text(message.to_string())).await;
    }

    pub async fn send_raw(&mut self, message: Message) {
        if let Err(error) = self.offer(message).await {
            self.fail(&format!("sending failed: {error}"));
        }
    }

    /// Sends what the gateway may refuse by closing.
    ///
    /// # Errors
    /// When the socket is closed or cut while it is sent.
    pub async fn offer(&mut self, message: Message) -> Result<(), Error> {
        self.note(format!("> {}", brief(&message)));
        let deadline = tokio::time::Instant::now() + self.patience;
        match timeout_at(deadline, self.socket.send(message)).await {
            Ok(sent) => sent,
            Err(_) => self.fail("sending took longer than patience"),
        }
    }

    /// The bytes below the WebSocket layer, for frames that no library would send.
    pub fn raw_socket(&mut self) -> &mut dyn Socket {
        self.socket.get_mut()
    }

    /// The next message, in the order of the wire.
    pub async fn next(&mut self) -> Frame {
        self.take("any message", |_| true).await
    }

    /// The next message of that type; others stay for later.
    pub async fn expect(&mut self, kind: &str) -> Frame {
        self.take(kind, |frame| frame.kind() == kind).await
    }

    /// The next message of that type with that id.
    pub async fn answer(&mut self, kind: &str, id: &str) -> Frame {
        self.take(&format!("{kind} to {id}"), |frame| {
            frame.kind() == kind && frame["id"] == id
        })
        .await
    }

    /// The `error` to `id`, which must have this code; its message.
    pub async fn refused(&mut self, id: &str, code: &str) -> String {
        let error = self.answer("error", id).await;
        assert_eq!(error["code"], code, "{}", error.raw);
        error.text("message").to_owned()
    }

    /// The first message, received already or to come, for which `wanted` holds.
    pub async fn take(&mut self, what: &str, wanted: impl Fn(&Frame) -> bool) -> Frame {
        let deadline = tokio::time::Instant::now() + self.patience;
        let mut looked_at = 0;
        loop {
            while looked_at < self.inbox.len() {
                if wanted(&self.inbox[looked_at]) {
                    return self.inbox.remove(looked_at).unwrap();
                }
                looked_at += 1;
            }
            if self.closed.is_some() || !self.receive(what, deadline).await {
                self.fail(&format!("closed while waiting for {what}"));
            }
        }
    }

    /// How the gateway closes this socket.
    pub async fn closing(&mut self) -> Closed {
        let deadline = tokio::time::Instant::now() + self.patience;
        while self.closed.is_none() && self.receive("the close", deadline).await {}
        match &self.closed {
            Some(closed) => closed.clone(),
            None => self.fail("cut without a close frame"),
        }
    }

    /// What has come up to the answer to a ping, and is not taken yet.
    pub async fn pending(&mut self) -> Vec<Frame> {
        self.ping().await;
        self.inbox.drain(..).collect()
    }

    /// How long a ping takes to be answered.
    pub async fn ping(&mut self) -> Duration {
        let id = fresh_name("ping");
        let sent = Instant::now();
        self.send(json!({"type": "ping", "id": id})).await;
        self.answer("pong", &id).await.at - sent
    }

    /// Asks for a turn and returns its id.
    pub async fn execute(&mut self, code: &str) -> String {
        self.execute_with(json!({"code": code})).await
    }

    /// Asks for a turn with these fields, and returns its id.
    pub async fn execute_with(&mut self, mut fields: Value) -> String {
        let id = fresh_name("turn");
        fields["type"] = "execute".into();
        fields["id"] = id.clone().into();
        self.send(fields).await;
        id
    }

    /// Runs a turn to its end.
    pub async fn run(&mut self, code: &str) -> Turn {
        self.run_with(json!({"code": code})).await
    }

    pub async fn run_with(&mut self, fields: Value) -> Turn {
        let id = self.execute_with(fields).await;
        self.finish(&id).await
    }

    /// Runs a turn that ends `ok` and returns its stdout.
    pub async fn print(&mut self, code: &str) -> String {
        self.run(code).await.ok()
    }

    /// The number of the turn asked for as `id`, once it is queued.
    pub async fn turn_of(&mut self, id: &str) -> u64 {
        let deadline = tokio::time::Instant::now() + self.patience;
        loop {
            if let Some(turn) = self.turns.get(id) {
                return *turn;
            }
            if let Some(at) = self
                .inbox
                .iter()
                .position(|frame| frame.kind() == "error" && frame["id"] == id)
            {
                let refused = self.inbox[at].raw.clone();
                self.fail(&format!("{id} was refused: {refused}"));
            }
            if self.closed.is_some() || !self.receive("queued", deadline).await {
                self.fail(&format!("closed before {id} was queued"));
            }
        }
    }

    /// All that is left of the turn asked for as `id`, up to its end.
    pub async fn finish(&mut self, id: &str) -> Turn {
        let turn = self.turn_of(id).await;
        self.collect(turn).await
    }

    /// All that is left of that turn, up to its end. Nothing of it may be missing.
    pub async fn collect(&mut self, turn: u64) -> Turn {
        let mut events = Vec::new();
        loop {
            let event = self
                .take(&format!("the end of turn {turn}"), |frame| {
                    frame.kind() == "gap" || frame.seq().is_some() && frame["turn"] == turn
                })
                .await;
            if event.kind() == "gap" {
                self.fail(&format!("events of turn {turn} were lost"));
            }
            let ended = event.kind() == "finished";
            events.push(event);
            if ended {
                return Turn::of(events);
            }
        }
    }

    /// Waits until a turn that has finished is saved, or said not to be: its last event.
    pub async fn settled(&mut self, turn: u64) -> Frame {
        self.take(&format!("saved or unsaved of turn {turn}"), |frame| {
            ["saved", "unsaved"].contains(&frame.kind()) && frame["turn"] == turn
        })
        .await
    }

    /// Receives one frame into the inbox; false when the socket has closed.
    async fn receive(&mut self, what: &str, deadline: tokio::time::Instant) -> bool {
        loop {
            let message = match timeout_at(deadline, self.socket.next()).await {
                Ok(Some(Ok(message))) => message,
                Ok(Some(Err(error))) => {
                    self.note(format!("< {error:?}"));
                    return false;
                }
                Ok(None) => return false,
                Err(_) => self.fail(&format!("no {what} within {:?}", self.patience)),
            };
            self.note(format!("< {}", brief(&message)));
            match message {
                Message::Text(text) => {
                    let json = serde_json::from_str(&text)
                        .unwrap_or_else(|error| self.fail(&format!("not JSON ({error}): {text}")));
                    let frame = Frame {
                        at: Instant::now(),
                        raw: text.to_string(),
                        json,
                    };
                    if frame.kind() == "queued" {
                        self.turns
                            .insert(frame.text("id").into(), frame.number("turn"));
                    }
                    self.inbox.push_back(frame);
                    return true;
                }
                Message::Close(frame) => {
                    self.closed = Some(Closed {
                        code: frame.as_ref().map_or(1005, |frame| frame.code.into()),
                        reason: frame.map_or(String::new(), |frame| frame.reason.to_string()),
                    });
                    return false;
                }
                // The library answers pings as it reads.
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
                Message::Binary(_) => self.fail("a binary frame: weir.v1 is JSON in text frames"),
            }
        }
    }

    fn note(&mut self, line: String) {
        if self.trace.len() == TRACE_FRAMES {
            self.trace.pop_front();
        }
        self.trace.push_back(line);
    }

    fn fail(&self, why: &str) -> ! {
        let trace: Vec<_> = self.trace.iter().map(String::as_str).collect();
        panic!("{why}\nlast frames:\n{}", trace.join("\n"))
    }
}

/// The beginning of a message: some have megabytes.
fn brief(message: &Message) -> String {
    match message {
        Message::Text(text) => text.chars().take(TRACE_CHARS).collect(),
        Message::Binary(bytes) => format!("{} binary bytes", bytes.len()),
        Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => {
            format!("{message:?}")
        }
    }
}
