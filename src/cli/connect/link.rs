//! The connection that outlives its sockets: frames in, frames out, and every break mended.
//!
//! ```text
//! dial ──▶ up ──break──▶ waiting ──▶ dial with `after`
//!           └─close that means the end─▶ over
//! ```
//!
//! A task of its own keeps answering pings while a terminal is slow. Its channels are bounded: a
//! terminal that takes nothing is, in the end, the gateway's to wait for.

use std::time::{Duration, Instant, SystemTime};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::credential::Credential;
use super::dial::{self, DialError, Socket, Target};
use crate::ids::SessionId;

/// Frames that wait for the terminal, and for the gateway.
const FRAMES_WAITING: usize = 64;
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// After so long without a connection it is given up.
const PATIENCE: Duration = Duration::from_secs(300);
/// The gateway pings; after three pings' time without a byte it is gone.
const HEARTBEAT_DEFAULT: Duration = Duration::from_secs(20);
const HEARTBEATS_MISSED_MAX: u32 = 3;
const HANG_UP_TIMEOUT: Duration = Duration::from_secs(1);

/// What the link has to say.
#[derive(Debug)]
pub(super) enum News {
    /// A frame of the gateway, each event once and in order. `attached` comes again after a break.
    Frame(Value),
    /// The connection broke and is being made again.
    Broken(String),
    /// There will be no other, and why; nothing follows.
    Over(String),
}

/// The conversation's end of a link.
pub(super) struct Link {
    news: mpsc::Receiver<News>,
    outgoing: mpsc::Sender<Value>,
    task: JoinHandle<()>,
}

/// The task's end.
struct Keeper {
    target: Target,
    credential: Credential,
    news: mpsc::Sender<News>,
    outgoing: mpsc::Receiver<Value>,
    place: Option<Place>,
    heartbeat: Duration,
}

/// How far this client has read.
struct Place {
    epoch: String,
    seq: u64,
}

/// How a socket ended.
enum Break {
    /// Another one may do better.
    Passing(String),
    /// None will.
    Final(String),
    /// This side wants no more.
    Left,
}

/// Why no frame could be handed over.
#[derive(Debug, thiserror::Error)]
#[error("the connection takes no more at the moment; try again")]
pub(super) struct Congested;

impl Link {
    /// Connects for the first time. A failure now is the answer: nothing is tried again.
    pub(super) async fn open(target: Target, credential: Credential) -> anyhow::Result<Self> {
        let token = credential.token()?;
        let socket = dial::dial(&target, None, &token).await?;
        let (said, news) = mpsc::channel(FRAMES_WAITING);
        let (outgoing, wanted) = mpsc::channel(FRAMES_WAITING);
        let keeper = Keeper {
            target,
            credential,
            news: said,
            outgoing: wanted,
            place: None,
            heartbeat: HEARTBEAT_DEFAULT,
        };
        let task = tokio::spawn(keeper.keep(socket));
        Ok(Self {
            news,
            outgoing,
            task,
        })
    }

    /// What comes next. Cancel-safe.
    pub(super) async fn next(&mut self) -> News {
        let over = || News::Over("the connection is closed".into());
        self.news.recv().await.unwrap_or_else(over)
    }

    /// What is there already.
    pub(super) fn waiting(&mut self) -> Option<News> {
        self.news.try_recv().ok()
    }

    /// Hands a frame to the gateway, in the order of these calls. Returns at once.
    pub(super) fn send(&self, frame: Value) -> Result<(), Congested> {
        match self.outgoing.try_send(frame) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Full(_)) => Err(Congested),
            // The end has been told, or will be next.
            Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
        }
    }

    /// Closes the connection; the session goes on.
    pub(super) async fn hang_up(self) {
        drop(self.outgoing);
        drop(self.news);
        // A gateway that does not answer the farewell has to find out by itself.
        let _ = tokio::time::timeout(HANG_UP_TIMEOUT, self.task).await;
    }
}

impl Keeper {
    async fn keep(mut self, first: Socket) {
        let mut socket = Some(first);
        loop {
            let ended = match socket.take() {
                Some(socket) => self.serve(socket).await,
                None => match self.dial_again().await {
                    Ok(again) => {
                        socket = Some(again);
                        continue;
                    }
                    Err(why) => Break::Final(why),
                },
            };
            let told = match ended {
                Break::Left => return,
                Break::Final(why) => {
                    // Whoever is not there any more needs not be told.
                    let _ = self.news.send(News::Over(why)).await;
                    return;
                }
                Break::Passing(why) => self.news.send(News::Broken(why)).await,
            };
            if told.is_err() {
                return;
            }
        }
    }

    /// Passes frames both ways until the socket ends.
    async fn serve(&mut self, mut socket: Socket) -> Break {
        loop {
            let silence = self.heartbeat * HEARTBEATS_MISSED_MAX;
            // Both arms are cancel-safe: a frame is taken from its queue whole or not at all.
            let message = tokio::select! {
                message = tokio::time::timeout(silence, socket.next()) => match message {
                    Ok(message) => message,
                    Err(_) => return Break::Passing("the gateway fell silent".into()),
                },
                frame = self.outgoing.recv() => {
                    let Some(frame) = frame else {
                        let _ = socket.close(None).await;
                        return Break::Left;
                    };
                    match socket.send(Message::text(frame.to_string())).await {
                        Ok(()) => continue,
                        Err(error) => return Break::Passing(error.to_string()),
                    }
                }
            };
            let text = match message {
                None => return Break::Passing("the connection ended".into()),
                Some(Err(error)) => return Break::Passing(error.to_string()),
                Some(Ok(Message::Close(frame))) => return closed(frame.as_ref()),
                Some(Ok(Message::Text(text))) => text,
                // Pings are answered by the library; nothing else has a meaning.
                Some(Ok(
                    Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_),
                )) => continue,
            };
            let Ok(frame) = serde_json::from_str::<Value>(&text) else {
                return Break::Final("the gateway sent a frame that is not JSON".into());
            };
            if !self.is_new(&frame) {
                continue;
            }
            if frame["type"] == "token_expiring"
                && let Some(token) = self.credential.renewed()
            {
                let id = SessionId::random();
                let renewal = json!({"type": "authenticate", "id": id, "token": token});
                if let Err(error) = socket.send(Message::text(renewal.to_string())).await {
                    return Break::Passing(error.to_string());
                }
                continue;
            }
            if self.news.send(News::Frame(frame)).await.is_err() {
                let _ = socket.close(None).await;
                return Break::Left;
            }
        }
    }

    /// Notes how far the journal was read; false for an event that was there before.
    fn is_new(&mut self, frame: &Value) -> bool {
        if frame["type"] == "attached" {
            self.attach(frame);
            return true;
        }
        let Some(place) = &mut self.place else {
            return true;
        };
        let seq = match frame["type"] == "gap" {
            true => frame["to"].as_u64(),
            false => frame["seq"].as_u64(),
        };
        match seq {
            Some(seq) if seq <= place.seq => false,
            Some(seq) => {
                place.seq = seq;
                true
            }
            None => true,
        }
    }

    fn attach(&mut self, attached: &Value) {
        if let Some(session) = attached["session"].as_str() {
            self.target.session = session.parse().ok();
        }
        if let Some(seconds) = attached["limits"]["heartbeat_seconds"].as_f64()
            && let Ok(heartbeat) = Duration::try_from_secs_f64(seconds)
            && !heartbeat.is_zero()
        {
            self.heartbeat = heartbeat;
        }
        let head = attached["seq"].as_u64().unwrap_or(0);
        let seq = match &self.place {
            // Only what comes from now on was asked for.
            None => head,
            Some(place) if attached["recovered"] == true => place.seq,
            Some(_) => attached["common_seq"].as_u64().unwrap_or(0),
        };
        self.place = attached["epoch"].as_str().map(|epoch| Place {
            epoch: epoch.to_owned(),
            seq,
        });
    }

    /// Dials until it works, with growing pauses.
    async fn dial_again(&mut self) -> Result<Socket, String> {
        let began = Instant::now();
        let mut wait = FIRST_WAIT;
        loop {
            tokio::time::sleep(wait + jitter(wait)).await;
            if self.news.is_closed() {
                return Err("nobody waits for the connection any more".into());
            }
            let after = self
                .place
                .as_ref()
                .map(|Place { epoch, seq }| format!("{epoch}:{seq}"));
            let token = self.credential.token().map_err(|error| error.to_string())?;
            let error = match dial::dial(&self.target, after.as_deref(), &token).await {
                Ok(socket) => return Ok(socket),
                Err(error) => error,
            };
            let told: &DialError = &error;
            let Some(at_least) = told.passes().filter(|_| began.elapsed() < PATIENCE) else {
                return Err(error.to_string());
            };
            wait = (wait * 2).min(LONGEST_WAIT).max(at_least.min(PATIENCE));
        }
    }
}

/// What the gateway's reason for closing means here.
fn closed(frame: Option<&CloseFrame>) -> Break {
    let Some(frame) = frame else {
        return Break::Passing("the gateway closed the connection".into());
    };
    let code = u16::from(frame.code);
    let reason = match frame.reason.as_str() {
        "" => format!("close code {code}"),
        reason => format!("{reason} ({code})"),
    };
    match code {
        1000 | 4404 => Break::Final(format!("the session has ended: {reason}")),
        4400 | 4403 | 4413 => Break::Final(format!("the gateway closed the connection: {reason}")),
        // A new token may do; without one, the next dial is refused and says so.
        _ => Break::Passing(reason),
    }
}

/// Up to a quarter of `wait`, so that clients of one gateway do not come back all at once.
fn jitter(wait: Duration) -> Duration {
    let nanos = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.subsec_nanos());
    wait / 4 * (nanos / 1_000 % 1_000) / 1_000
}
