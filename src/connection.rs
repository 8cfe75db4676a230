//! One client on one session: what it says goes to the session, what the journal holds goes to it.
//!
//! The reader and the writer of a socket run side by side in one task and share only channels, so
//! an interrupt is never queued behind output, and a client that does not read holds up nobody else.

mod credit;
mod pace;
mod reader;
mod stride;
mod writer;

use std::sync::Arc;
use std::time::SystemTime;

use futures_util::StreamExt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role as SocketRole, WebSocketConfig};
use tracing::debug;

use crate::auth::{Principal, Verifier};
use crate::ids::Seq;
use crate::journal::{Cursor, Reader as JournalReader};
use crate::limits::Limits;
use crate::protocol::refusal::CloseCode;
use crate::protocol::reply::{AppliedLimits, Attached, Reply};
use crate::protocol::resume::{Resume, Role, Window};
use crate::session::{Allowance, SessionHandle};

/// Replies that wait for the writer. A client that floods and does not read is read no further.
const REPLIES_MAX: usize = 64;
/// Small, because every idle connection has one.
const READ_BUFFER_BYTES: usize = 4 << 10;
/// Frames gather up to this before they are written.
const WRITE_BUFFER_BYTES: usize = 64 << 10;

/// A client's place at a session, agreed before the upgrade.
pub struct Attachment {
    pub session: Arc<SessionHandle>,
    pub role: Role,
    pub resume: Resume,
    pub window: Option<Window>,
    pub principal: Principal,
    /// The gateway's limits, lowered by the caller's token.
    pub limits: Arc<Limits>,
    pub allowance: Allowance,
    pub verifier: watch::Receiver<Arc<Verifier>>,
    /// Set once the gateway wants its clients to leave.
    pub leave: watch::Receiver<bool>,
}

/// What the reader tells the writer, beside replies.
struct Signals {
    /// The last acknowledged event.
    acked: watch::Sender<Seq>,
    /// When the client's credential ends.
    expires_at: watch::Sender<SystemTime>,
    /// Counts frames of any kind, so that the writer sees a living client.
    alive: watch::Sender<u64>,
    /// The client has asked for the session's end.
    closing: watch::Sender<bool>,
}

/// The writer's side of [`Signals`].
struct Heard {
    acked: watch::Receiver<Seq>,
    expires_at: watch::Receiver<SystemTime>,
    alive: watch::Receiver<u64>,
    closing: watch::Receiver<bool>,
}

/// Both sides, for a credential that ends then.
fn signals(expires_at: SystemTime) -> (Signals, Heard) {
    let (acked, acks) = watch::channel(Seq::ZERO);
    let (expires_at, expiry) = watch::channel(expires_at);
    let (alive, life) = watch::channel(0);
    let (closing, closes) = watch::channel(false);
    let signals = Signals {
        acked,
        expires_at,
        alive,
        closing,
    };
    let heard = Heard {
        acked: acks,
        expires_at: expiry,
        alive: life,
        closing: closes,
    };
    (signals, heard)
}

/// Serves an upgraded socket until it closes.
pub async fn serve<S>(stream: S, attachment: Attachment)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let message_bytes_max = usize::try_from(attachment.limits.message_bytes_max).ok();
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_message_size(message_bytes_max)
        .max_frame_size(message_bytes_max);
    let socket = WebSocketStream::from_raw_socket(stream, SocketRole::Server, Some(config)).await;
    let (outgoing, incoming) = socket.split();
    let (replies, queued) = mpsc::channel(REPLIES_MAX);
    let (cursor, attached) = attach(&attachment);
    // The channel is empty: there is room for the first message.
    let _ = replies.try_send(Reply::Attached(Box::new(attached)));

    let (signals, heard) = signals(attachment.principal.expires_at);
    debug!(
        session_id = %attachment.session.key.id,
        owner = %attachment.session.key.owner,
        role = attachment.role.as_str(),
        "attached"
    );
    let reader = reader::Reader::new(&attachment, incoming, replies, signals);
    let writer = writer::Writer::new(&attachment, outgoing, cursor, queued, heard);
    run(reader, writer).await;
    debug!(session_id = %attachment.session.key.id, "detached");
}

/// Runs both halves until one of them ends the connection, and then closes it in good order.
async fn run<S>(reader: reader::Reader<S>, mut writer: writer::Writer<S>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let reading = reader.run();
    tokio::pin!(reading);
    let ending = tokio::select! {
        ending = &mut reading => ending,
        ending = writer.run() => {
            writer.close(ending).await;
            // The client answers the close frame; what else it still says is not heard.
            let _ = tokio::time::timeout(writer::CLOSE_PATIENCE, reading).await;
            return;
        }
    };
    match ending {
        Ending::Gone => writer.farewell().await,
        Ending::Close(_) => {
            let last = async {
                writer.rest().await;
                writer.close(ending).await;
            };
            // A client that takes nothing more is closed without.
            let _ = tokio::time::timeout(writer::CLOSE_PATIENCE, last).await;
        }
    }
}

/// Why a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// The client has gone, or said so.
    Gone,
    Close(CloseCode),
}

fn attach(attachment: &Attachment) -> (Cursor, Attached) {
    let reader = match attachment.role {
        Role::Writer => JournalReader::Writer,
        Role::Viewer => JournalReader::Viewer,
    };
    let session = &attachment.session;
    let (cursor, resumed) = session.journal.attach(&attachment.resume, reader);
    let attached = Attached {
        session: session.key.id.clone(),
        language: session.language.clone(),
        version: session.version.clone(),
        epoch: resumed.epoch,
        seq: resumed.head,
        recovery: resumed.recovery,
        role: attachment.role,
        state: session.state(),
        limits: AppliedLimits {
            timeout_seconds: attachment.allowance.timeout_max.as_secs_f64(),
            fuel: attachment.allowance.fuel_max,
            ..AppliedLimits::from(&*attachment.limits)
        },
    };
    (cursor, attached)
}
