//! What a client says.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use futures_util::StreamExt;
use futures_util::stream::SplitStream;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::pace::Pace;
use super::{Attachment, Ending, Signals};
use crate::auth::Verifier;
use crate::ids::Owner;
use crate::protocol::client::{BadMessage, ClientMessage, Token};
use crate::protocol::refusal::{CloseCode, ErrorCode, Refusal};
use crate::protocol::reply::Reply;
use crate::protocol::request::RequestId;
use crate::protocol::resume::Role;
use crate::session::{Allowance, Question, SessionHandle};

/// The reading half of a connection.
pub(super) struct Reader<S> {
    session: Arc<SessionHandle>,
    role: Role,
    owner: Owner,
    allowance: Allowance,
    verifier: watch::Receiver<Arc<Verifier>>,
    incoming: SplitStream<WebSocketStream<S>>,
    replies: mpsc::Sender<Reply>,
    signals: Signals,
    pace: Pace,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Reader<S> {
    pub(super) fn new(
        attachment: &Attachment,
        incoming: SplitStream<WebSocketStream<S>>,
        replies: mpsc::Sender<Reply>,
        signals: Signals,
    ) -> Self {
        Self {
            session: attachment.session.clone(),
            role: attachment.role,
            owner: attachment.principal.owner.clone(),
            allowance: attachment.allowance,
            verifier: attachment.verifier.clone(),
            incoming,
            replies,
            signals,
            pace: Pace::new(attachment.limits.messages_per_second_max, Instant::now()),
        }
    }

    /// Reads until the client or its misbehavior ends the connection.
    pub(super) async fn run(mut self) -> Ending {
        while let Some(message) = self.incoming.next().await {
            self.signals.alive.send_modify(|frames| *frames += 1);
            match message {
                Ok(Message::Text(text)) => match ClientMessage::parse(&text) {
                    Ok(message) => {
                        if let Some(ending) = self.message(message).await {
                            return ending;
                        }
                    }
                    Err(BadMessage::NotJson { .. }) => {
                        return Ending::Close(BadMessage::CLOSE_CODE);
                    }
                    Err(BadMessage::Refused { id, refusal }) => {
                        self.reply(Reply::Error { id, refusal }).await;
                    }
                },
                Ok(Message::Binary(_)) => return Ending::Close(CloseCode::ProtocolViolation),
                Ok(Message::Close(_)) => return Ending::Gone,
                Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {}
                Err(Error::Capacity(_)) => return Ending::Close(CloseCode::MessageTooLarge),
                Err(Error::Utf8(_)) => return Ending::Close(CloseCode::ProtocolViolation),
                Err(_) => return Ending::Gone,
            }
            let wait = self.pace.take(Instant::now());
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
        }
        Ending::Gone
    }

    /// Carries out one message.
    async fn message(&mut self, message: ClientMessage) -> Option<Ending> {
        let id = message.id().cloned();
        if !self.role.may_send(&message) {
            let refusal = Refusal::new(
                ErrorCode::Forbidden,
                format!(
                    "a viewer may send ping, ack and authenticate, not {}; attach as writer",
                    message.type_name()
                ),
            );
            self.reply(Reply::Error { id, refusal }).await;
            return None;
        }
        let answer = match message {
            ClientMessage::Request(request) => self.session.request(request, self.allowance).await,
            ClientMessage::Stdin { input, turn, .. } => {
                self.session.stdin(input, turn).await.map(|()| None)
            }
            ClientMessage::Interrupt { id, turn } => self.session.interrupt(id, turn).await,
            ClientMessage::Complete { id, at } => {
                self.session.ask(id, Question::Complete, at).await
            }
            ClientMessage::Inspect { id, at } => self.session.ask(id, Question::Inspect, at).await,
            ClientMessage::Ack { seq, .. } => {
                self.signals
                    .acked
                    .send_if_modified(|acked| std::mem::replace(acked, seq.max(*acked)) < seq);
                Ok(None)
            }
            ClientMessage::Authenticate { id, token } => self.authenticate(id, &token).map(Some),
            ClientMessage::Ping { id } => Ok(Some(Reply::Pong { id })),
            ClientMessage::Close { id } => {
                self.signals.closing.send_replace(true);
                match self.session.close(id).await {
                    Ok(reply) => {
                        if let Some(reply) = reply {
                            self.reply(reply).await;
                        }
                        return Some(Ending::Close(CloseCode::Closed));
                    }
                    Err(refusal) => {
                        self.signals.closing.send_replace(false);
                        Err(refusal)
                    }
                }
            }
        };
        match answer {
            Ok(Some(reply)) => self.reply(reply).await,
            Ok(None) => {}
            Err(refusal) => self.reply(Reply::Error { id, refusal }).await,
        }
        None
    }

    /// Takes a fresh credential of the same subject.
    fn authenticate(&self, id: RequestId, token: &Token) -> Result<Reply, Refusal> {
        let verifier = self.verifier.borrow().clone();
        let principal = verifier
            .verify(token.as_str(), SystemTime::now())
            .map_err(|refused| Refusal::new(ErrorCode::Unauthorized, refused.to_string()))?;
        if principal.owner != self.owner {
            return Err(Refusal::new(
                ErrorCode::Forbidden,
                "the token belongs to another subject or tenant",
            ));
        }
        self.signals.expires_at.send_replace(principal.expires_at);
        Ok(Reply::Authenticated {
            id,
            expires_at: principal.expires_at,
        })
    }

    async fn reply(&self, reply: Reply) {
        // A writer that is gone takes the connection with it.
        let _ = self.replies.send(reply).await;
    }
}
