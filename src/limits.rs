//! Every bound in one place, with its unit in its name.
//!
//! The defaults are PROTOCOL.md's; `config` can change each. A bound that no setting reaches is a
//! `const` here, with its source.

use std::time::Duration;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Bounds on what one session, subject or connection may use. One value serves the whole gateway;
/// a token's `weir` claim can only lower what it names.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Wall time of a turn when `execute` names none, in seconds.
    pub timeout_seconds_default: f64,
    /// Linear memory of one guest, image included.
    pub memory_bytes_max: u64,
    /// Raw bytes a turn may write to stdout and stderr together.
    pub output_bytes_max: u64,
    /// What a session's journal keeps for later readers.
    pub journal_bytes_max: u64,
    /// One message from a client.
    pub message_bytes_max: u64,
    /// Turns waiting in a session, the running one not counted.
    pub queue_turns_max: usize,
    /// All files of a session together.
    pub files_bytes_max: u64,
    /// One file of a session.
    pub file_bytes_max: u64,
    /// Names in a session's tree.
    pub files_max: usize,
    /// Descriptors a guest may hold at once.
    pub open_files_max: usize,
    /// One `output` event's text.
    pub event_bytes_max: u64,
    /// How long a guest waits for input, or for somebody to read its output.
    pub stdin_wait: Duration,
    /// WebSocket ping interval; two unanswered close the socket.
    pub heartbeat: Duration,
    /// Sessions of one subject, hibernated ones included.
    pub sessions_per_subject_max: usize,
    /// Connections of one subject.
    pub connections_per_subject_max: usize,
    /// New sessions of one subject in a second.
    pub session_starts_per_second_max: u32,
    /// Messages of one connection in a second; beyond that it is read more slowly.
    pub messages_per_second_max: u32,
    /// Connections of the whole gateway.
    pub connections_max: usize,
    /// How far a guest may run ahead of the fastest attached writer.
    pub writer_lead_bytes_max: u64,
    /// How much may wait that no client has received, with no writer attached.
    pub unread_bytes_max: u64,
    /// How long running turns get when the gateway drains.
    pub drain: Duration,
    /// Elements of a guest's function table.
    pub table_elements_max: usize,
    /// A session without a running turn rests on disk after this.
    pub session_idle: Duration,
    /// A session without a connection or a turn ends after this.
    pub session_untouched: Duration,
    /// Turns a session can be rolled back by.
    pub history_turns_max: usize,
    /// Disk for the checkpoints behind those turns, of one session.
    pub history_bytes_max: u64,
    /// Disk of one subject, all its sessions together.
    pub disk_per_subject_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout_seconds_default: 30.0,
            memory_bytes_max: 512 * MIB,
            output_bytes_max: 256 * MIB,
            journal_bytes_max: 64 * MIB,
            message_bytes_max: 4 * MIB,
            queue_turns_max: 64,
            files_bytes_max: 64 * MIB,
            file_bytes_max: 32 * MIB,
            files_max: 10_000,
            open_files_max: 256,
            event_bytes_max: 256 * KIB,
            stdin_wait: Duration::from_secs(300),
            heartbeat: Duration::from_secs(20),
            sessions_per_subject_max: 20,
            connections_per_subject_max: 100,
            session_starts_per_second_max: 20,
            messages_per_second_max: 500,
            connections_max: 20_000,
            writer_lead_bytes_max: 8 * MIB,
            unread_bytes_max: 64 * MIB,
            drain: Duration::from_secs(30),
            table_elements_max: 100_000,
            session_idle: Duration::from_secs(60),
            session_untouched: Duration::from_secs(7 * 24 * 3600),
            history_turns_max: 32,
            history_bytes_max: 64 * MIB,
            disk_per_subject_bytes_max: GIB,
        }
    }
}

/// The shortest and longest `timeout_seconds` a client may ask for.
pub const TIMEOUT_SECONDS: std::ops::RangeInclusive<f64> = 1.0..=60.0;
/// Characters of a request id.
pub const REQUEST_ID_CHARS: std::ops::RangeInclusive<usize> = 1..=128;
/// Request ids a session remembers.
pub const SEEN_IDS_MAX: usize = 1_000;
/// `queued.code` is cut here, so that every attached client can show what runs.
pub const QUEUED_CODE_BYTES_MAX: usize = 64 * KIB as usize;
/// `result.text`, `result.json` and `traceback` are cut here.
pub const RESULT_BYTES_MAX: usize = 64 * KIB as usize;
/// One `display` event's data.
pub const DISPLAY_BYTES_MAX: usize = 8 * MIB as usize;
/// No message to a client is larger.
pub const FRAME_BYTES_MAX: usize = 12 * MIB as usize;
/// How long a program that caught the soft notice may go on before the hard stop, in every ladder.
/// PROTOCOL.md allows the hard way up to 1 s after the mark; the rest of that second is for the
/// trap itself.
pub const SOFT_GRACE: Duration = Duration::from_millis(800);
/// A guest thread's slice before the next runnable guest gets its turn.
pub const SLICE: Duration = Duration::from_millis(10);
/// Leeway for clocks that disagree, on `exp` and `nbf`.
pub const JWT_LEEWAY: Duration = Duration::from_secs(5);
/// A client hears `token_expiring` this long before `exp`.
pub const TOKEN_EXPIRING_NOTICE: Duration = Duration::from_secs(30);

const _: () = assert!(SOFT_GRACE.as_millis() < 1_000);
