//! What a client hears: replies at once, events as its window and its socket take them.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use futures_util::SinkExt;
use futures_util::stream::SplitSink;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode as SocketClose;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::credit::Credit;
use super::stride::Stride;
use super::{Attachment, Ending, Heard};
use crate::ids::Seq;
use crate::journal::{Cursor, News, Reading};
use crate::limits::{JWT_LEEWAY, TOKEN_EXPIRING_NOTICE};
use crate::protocol::event::Event;
use crate::protocol::frame;
use crate::protocol::refusal::CloseCode;
use crate::protocol::reply::Reply;
use crate::session::SessionHandle;

/// Events are read from the journal in batches of about this many bytes.
const BATCH_BYTES: usize = 256 << 10;
/// How long a client may take to answer a close frame, or to take the last messages before it.
pub(super) const CLOSE_PATIENCE: Duration = Duration::from_secs(2);
/// Pings that may go unanswered.
const PINGS_UNANSWERED_MAX: u32 = 2;

/// The writing half of a connection.
pub(super) struct Writer<S> {
    session: Arc<SessionHandle>,
    outgoing: SplitSink<WebSocketStream<S>, Message>,
    cursor: Cursor,
    replies: mpsc::Receiver<Reply>,
    credit: Credit,
    acks: watch::Receiver<Seq>,
    expiry: watch::Receiver<SystemTime>,
    life: watch::Receiver<u64>,
    leave: watch::Receiver<bool>,
    /// This client itself has asked for the session's end.
    closing: watch::Receiver<bool>,
    heartbeat: Duration,
    /// How long one write may find no taker.
    taker_wait: Duration,
    pings_unanswered: u32,
    expiry_told: bool,
    /// An event that was read and did not fit into the window.
    held: Option<(Seq, String)>,
    /// Events read and not yet sent, the next one last.
    batch: Vec<(Seq, Arc<Event>)>,
    stride: Stride,
}

/// What the writer does next.
enum Next {
    Reply(Reply),
    Events,
    Acked,
    Reauthenticated,
    /// A moment has come: a ping is due, or the credential ends.
    Tick,
    /// The session has ended.
    Ended,
    End(Ending),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Writer<S> {
    pub(super) fn new(
        attachment: &Attachment,
        outgoing: SplitSink<WebSocketStream<S>, Message>,
        cursor: Cursor,
        replies: mpsc::Receiver<Reply>,
        heard: Heard,
    ) -> Self {
        Self {
            session: attachment.session.clone(),
            outgoing,
            cursor,
            replies,
            credit: Credit::new(attachment.window),
            acks: heard.acked,
            expiry: heard.expires_at,
            life: heard.alive,
            closing: heard.closing,
            leave: attachment.leave.clone(),
            heartbeat: attachment.limits.heartbeat,
            taker_wait: attachment.limits.stdin_wait,
            pings_unanswered: 0,
            expiry_told: false,
            held: None,
            batch: Vec::new(),
            stride: Stride::default(),
        }
    }

    /// Writes until something ends the connection.
    pub(super) async fn run(&mut self) -> Ending {
        let mut ping_due = Instant::now() + self.heartbeat;
        loop {
            let next = self.next(self.tick_due(ping_due)).await;
            if self.life.has_changed().unwrap_or(false) {
                self.life.mark_unchanged();
                self.pings_unanswered = 0;
            }
            let sent = match next {
                Next::Reply(reply) => self.reply(&reply).await,
                Next::Events => self.events().await,
                Next::Acked => {
                    self.credit.acked(*self.acks.borrow_and_update());
                    Ok(())
                }
                Next::Reauthenticated => {
                    self.expiry_told = false;
                    Ok(())
                }
                Next::Tick => match self.tick(&mut ping_due).await {
                    Ok(None) => Ok(()),
                    Ok(Some(ending)) => return ending,
                    Err(unsent) => Err(unsent),
                },
                Next::Ended => {
                    self.rest().await;
                    return Ending::Close(CloseCode::SessionEnded);
                }
                Next::End(ending) => return ending,
            };
            match sent {
                Ok(()) => {}
                Err(Unsent::NoTaker) => return Ending::Close(CloseCode::SlowDown),
                Err(Unsent::Gone) => return Ending::Gone,
            }
        }
    }

    /// Decides what comes next. Cancel-safe: it takes nothing but a reply, which it returns.
    async fn next(&mut self, tick_due: Instant) -> Next {
        let may_send = self.credit.left().is_some();
        let has_events = !self.batch.is_empty() || self.held.is_some();
        let fits = match &self.held {
            Some((_, text)) => self.credit.fits(text.len() as u64),
            None => may_send,
        };
        tokio::select! {
            biased;
            reply = self.replies.recv() => match reply {
                Some(reply) => Next::Reply(reply),
                // The reader ended: the connection is over.
                None => Next::End(Ending::Gone),
            },
            Ok(()) = self.expiry.changed() => Next::Reauthenticated,
            Ok(()) = self.acks.changed() => Next::Acked,
            () = tokio::time::sleep_until(tick_due.into()) => Next::Tick,
            () = std::future::ready(()), if has_events && fits => Next::Events,
            () = news(&self.cursor, self.stride.rest_until), if may_send && !has_events => {
                Next::Events
            }
            () = self.session.ended(), if !*self.closing.borrow() => Next::Ended,
            Ok(_) = self.leave.wait_for(|leave| *leave) => {
                Next::End(Ending::Close(CloseCode::Draining))
            }
        }
    }

    /// The next moment at which something is due by the clock.
    fn tick_due(&self, ping_due: Instant) -> Instant {
        let mut expiry = *self.expiry.borrow() + JWT_LEEWAY;
        if !self.expiry_told {
            expiry = expiry - JWT_LEEWAY - TOKEN_EXPIRING_NOTICE;
        }
        let left = expiry.duration_since(SystemTime::now());
        ping_due.min(Instant::now() + left.unwrap_or_default())
    }

    /// Does what is due by the clock.
    async fn tick(&mut self, ping_due: &mut Instant) -> Result<Option<Ending>, Unsent> {
        let (wall, now) = (SystemTime::now(), Instant::now());
        let expires_at = *self.expiry.borrow();
        if wall >= expires_at + JWT_LEEWAY {
            return Ok(Some(Ending::Close(CloseCode::TokenExpired)));
        }
        if !self.expiry_told && wall >= expires_at - TOKEN_EXPIRING_NOTICE {
            self.expiry_told = true;
            self.reply(&Reply::TokenExpiring { expires_at }).await?;
        }
        if now >= *ping_due {
            if self.pings_unanswered >= PINGS_UNANSWERED_MAX {
                return Ok(Some(Ending::Close(CloseCode::HeartbeatMissed)));
            }
            self.pings_unanswered += 1;
            *ping_due = now + self.heartbeat;
            self.send(Message::Ping(Vec::new().into())).await?;
        }
        Ok(None)
    }

    /// Sends all that is left for this client, whatever its window: its session has ended.
    pub(super) async fn rest(&mut self) {
        self.credit = Credit::new(None);
        while !self.batch.is_empty() || self.held.is_some() || self.cursor.has_news() {
            if self.events().await.is_err() {
                return;
            }
        }
        while let Ok(reply) = self.replies.try_recv() {
            if self.reply(&reply).await.is_err() {
                return;
            }
        }
    }

    /// Sends events until the batch or the window ends, then says how far the client has come.
    async fn events(&mut self) -> Result<(), Unsent> {
        if self.batch.is_empty() && self.held.is_none() {
            match self.cursor.read(BATCH_BYTES) {
                Reading::Events(mut events) => {
                    events.reverse();
                    self.batch = events;
                }
                Reading::Gap { from, to } => {
                    return self.reply(&Reply::Gap { from, to }).await;
                }
                Reading::Nothing => return Ok(()),
            }
        }
        loop {
            let (seq, text) = match self.held.take() {
                Some(held) => held,
                None => match self.batch.pop() {
                    Some((seq, event)) => (seq, frame::event(seq, &event)),
                    None => break,
                },
            };
            let bytes = text.len() as u64;
            if !self.credit.fits(bytes) {
                self.held = Some((seq, text));
                break;
            }
            self.credit.sent(seq, bytes);
            self.feed(Message::text(text)).await?;
        }
        self.flush().await?;
        if self.batch.is_empty() && self.held.is_none() {
            self.cursor.taken();
            self.stride.flushed(Instant::now());
        }
        Ok(())
    }

    /// Lets the answer to the client's own close frame out, which the socket has prepared.
    pub(super) async fn farewell(&mut self) {
        // A client that has gone does not take it.
        let _ = tokio::time::timeout(CLOSE_PATIENCE, self.outgoing.close()).await;
    }

    /// Sends the close frame, if the client should get one.
    pub(super) async fn close(&mut self, ending: Ending) {
        let Ending::Close(code) = ending else { return };
        let frame = CloseFrame {
            code: SocketClose::from(code.number()),
            reason: code.reason().into(),
        };
        let close = self.outgoing.send(Message::Close(Some(frame)));
        // A client that does not take it is closed without.
        let _ = tokio::time::timeout(CLOSE_PATIENCE, close).await;
    }

    async fn reply(&mut self, reply: &Reply) -> Result<(), Unsent> {
        self.send(Message::text(frame::reply(reply))).await
    }

    async fn send(&mut self, message: Message) -> Result<(), Unsent> {
        self.feed(message).await?;
        self.flush().await
    }

    async fn feed(&mut self, message: Message) -> Result<(), Unsent> {
        let fed = self.outgoing.feed(message);
        taken(self.taker_wait, fed).await
    }

    async fn flush(&mut self) -> Result<(), Unsent> {
        let flushed = self.outgoing.flush();
        taken(self.taker_wait, flushed).await
    }
}

/// Why something could not be sent.
enum Unsent {
    /// The client took nothing for too long.
    NoTaker,
    Gone,
}

/// Waits for events; for output that still gathers only once the stride allows it.
async fn news(cursor: &Cursor, rest_until: Option<Instant>) {
    if let Some(rest_until) = rest_until {
        tokio::select! {
            () = cursor.news(News::Sealed) => return,
            () = tokio::time::sleep_until(rest_until.into()) => {}
        }
    }
    cursor.news(News::Any).await;
}

async fn taken(
    patience: Duration,
    write: impl Future<Output = Result<(), Error>>,
) -> Result<(), Unsent> {
    match tokio::time::timeout(patience, write).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(Unsent::Gone),
        Err(_) => Err(Unsent::NoTaker),
    }
}
