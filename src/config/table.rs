//! The one table of settings, and their defaults.
//!
//! A row is a name, its section, its place in `Config`, the grammar of its value and a sentence of
//! help. Everything else about a setting follows from its row.

use std::marker::PhantomData;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::grammar::{
    Address, Count, FilePath, List, Maybe, OneOf, Seconds, Size, Span, Switch, Text,
};
use super::guest_threads::ThreadCount;
use super::origin::OriginText;
use super::secret::SecretBytes;
use super::setting::{Alias, Field, Section, Setting};
use super::{Compat, Config, Durability, GuestThreads, Interpreters, Jwt, Log};
use super::{LogFormat, Metering, Sources, Tls};
use crate::auth::Algorithm;
use crate::limits::{Limits, TIMEOUT_SECONDS};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// The setting that names the file; it cannot stand in it.
pub(super) const CONFIG: &str = "config";
/// The setting that says where the file is looked for.
pub(super) const DATA_DIR: &str = "data-dir";

/// `name` in `Section`, `place` in `Config`: grammar, help, and the aliases if there are any.
macro_rules! setting {
    ($name:tt in $section:ident, $($place:ident).+: $grammar:expr, $help:literal
        $(, or $alias:literal in $unit:literal)?) => {
        Setting {
            name: $name,
            section: Section::$section,
            help: $help,
            aliases: &[$(Alias { env: $alias, unit: $unit })?],
            slot: &Field {
                grammar: $grammar,
                get: |config| &config.$($place).+,
                place: |config| &mut config.$($place).+,
            },
        }
    };
}

/// Every setting there is, in the order of `--help`.
#[rustfmt::skip]
pub static SETTINGS: &[Setting] = &[
    setting!(CONFIG in Gateway, file: Maybe(FilePath),
        "File to read settings from; weir.toml in the data directory, if it is there"),
    setting!("listen" in Gateway, listen: Address,
        "Where connections are accepted"),
    setting!("insecure-listen" in Gateway, insecure_listen: Switch,
        "Listen beyond loopback even without TLS and without a secret or keys of your own"),
    setting!("allowed-origins" in Gateway, allowed_origins: List { item: OriginText, min: 0 },
        "Web pages allowed to connect, besides the gateway's own"),
    setting!(DATA_DIR in Gateway, data_dir: FilePath,
        "Directory where sessions and the generated secret rest"),
    setting!("durability" in Gateway, durability: OneOf::<Durability>(PhantomData),
        "What saved work survives: the death of the process, or the loss of power too"),
    setting!("metering" in Gateway, metering: OneOf::<Metering>(PhantomData),
        "How guests are metered; epoch alone is faster, and counts no fuel"),
    setting!("guest-threads" in Gateway, guest_threads: ThreadCount,
        "Threads that run guests, apart from those for connections"),
    setting!("spares" in Gateway, spares: Count(0..=1_000),
        "Sessions kept prepared for each interpreter"),
    setting!("import-policy" in Gateway, import_policy: Maybe(FilePath),
        "File that says which modules guests may import; without one, all"),
    setting!("log" in Gateway, log.filter: Text { what: "a tracing filter" },
        "What is logged, such as info or weir=debug,warn"),
    setting!("log-format" in Gateway, log.format: OneOf::<LogFormat>(PhantomData),
        "How log lines look"),

    setting!("jwt-secret" in Jwt, jwt.secret: Maybe(SecretBytes),
        "HS256 key, byte for byte; better not as a flag, which others on the machine can read"),
    setting!("jwt-keys" in Jwt, jwt.keys: Maybe(FilePath),
        "JWKS file with the public keys of whoever signs tokens"),
    setting!("jwt-algorithms" in Jwt,
        jwt.algorithms: List { item: OneOf::<Algorithm>(PhantomData), min: 1 },
        "Signatures accepted: HS256 by the secret, the others by the keys"),
    setting!("jwt-audience" in Jwt,
        jwt.audience: List { item: Text { what: "a name" }, min: 0 },
        "Audiences of which a token must name one; without any, none is asked for"),
    setting!("jwt-issuer" in Jwt,
        jwt.issuer: List { item: Text { what: "a name" }, min: 0 },
        "Issuers of which a token must name one; without any, none is asked for"),

    setting!("tls-cert" in Tls, tls.cert: Maybe(FilePath),
        "PEM file with the certificate chain; together with its key"),
    setting!("tls-key" in Tls, tls.key: Maybe(FilePath),
        "PEM file with the certificate's private key"),

    setting!("interpreters-dir" in Interpreters, interpreters.dir: FilePath,
        "Directory for fetched interpreters and their compiled code"),
    setting!("python-wasm-path" in Interpreters,
        interpreters.python_wasm_path: Maybe(FilePath),
        "A wasip1 CPython command module to serve besides the catalogue",
        or "PYTHON_WASI_WASM_PATH" in ""),

    setting!("compat-open" in Compat, compat.open: Switch,
        "Serve /tools/execute and /run_code without a credential; on loopback only"),
    setting!("compat-run-code-timeout-seconds" in Compat,
        compat.run_code_timeout_seconds: Seconds(TIMEOUT_SECONDS),
        "Wall time of a /run_code call that names none",
        or "FAAS_TIMEOUT" in "ms"),

    setting!("timeout-seconds-default" in Limits,
        limits.timeout_seconds_default: Seconds(TIMEOUT_SECONDS),
        "Wall time of a turn that names none",
        or "WASI_TIMEOUT_SECONDS" in ""),
    setting!("memory-bytes-max" in Limits, limits.memory_bytes_max: Size(MIB..=4 * GIB),
        "Linear memory of one guest, interpreter included",
        or "WASI_MEMORY_LIMIT_MB" in "MiB"),
    setting!("output-bytes-max" in Limits, limits.output_bytes_max: Size(64 * KIB..=64 * GIB),
        "What a turn may write to stdout and stderr together"),
    setting!("journal-bytes-max" in Limits, limits.journal_bytes_max: Size(MIB..=64 * GIB),
        "What a session's journal keeps for later readers"),
    setting!("message-bytes-max" in Limits, limits.message_bytes_max: Size(KIB..=64 * MIB),
        "One message from a client"),
    setting!("queue-turns-max" in Limits, limits.queue_turns_max: Count(1..=10_000),
        "Turns waiting in a session, the running one not counted"),
    setting!("files-bytes-max" in Limits, limits.files_bytes_max: Size(KIB..=64 * GIB),
        "All files of a session together"),
    setting!("file-bytes-max" in Limits, limits.file_bytes_max: Size(KIB..=64 * GIB),
        "One file of a session; at most what all may have"),
    setting!("files-max" in Limits, limits.files_max: Count(1..=10_000_000),
        "Names in a session's tree"),
    setting!("open-files-max" in Limits, limits.open_files_max: Count(8..=65_536),
        "Descriptors a guest may hold at once"),
    setting!("event-bytes-max" in Limits, limits.event_bytes_max: Size(KIB..=256 * KIB),
        "Text of one output event"),
    setting!("stdin-wait" in Limits, limits.stdin_wait: Span(SECOND..=DAY),
        "How long a guest waits for input, or for somebody to read its output"),
    setting!("heartbeat" in Limits, limits.heartbeat: Span(SECOND..=HOUR),
        "Time between pings; two without an answer close the connection"),
    setting!("sessions-per-subject-max" in Limits,
        limits.sessions_per_subject_max: Count(1..=1_000_000),
        "Sessions of one subject, resting ones included"),
    setting!("connections-per-subject-max" in Limits,
        limits.connections_per_subject_max: Count(1..=1_000_000),
        "Connections of one subject"),
    setting!("session-starts-per-second-max" in Limits,
        limits.session_starts_per_second_max: Count(1..=1_000_000),
        "New sessions of one subject in a second"),
    setting!("messages-per-second-max" in Limits,
        limits.messages_per_second_max: Count(1..=1_000_000),
        "Messages of one connection in a second; beyond, it is read more slowly"),
    setting!("connections-max" in Limits, limits.connections_max: Count(1..=10_000_000),
        "Connections of the whole gateway"),
    setting!("writer-lead-bytes-max" in Limits,
        limits.writer_lead_bytes_max: Size(256 * KIB..=64 * GIB),
        "How far a guest may run ahead of its fastest writer; at most the journal"),
    setting!("unread-bytes-max" in Limits,
        limits.unread_bytes_max: Size(256 * KIB..=64 * GIB),
        "How much output may wait while no writer is there; at most the journal"),
    setting!("drain" in Limits, limits.drain: Span(Duration::ZERO..=HOUR),
        "How long running turns get when the gateway stops"),
    setting!("table-elements-max" in Limits,
        limits.table_elements_max: Count(1..=10_000_000),
        "Elements of a guest's function table"),
    setting!("session-idle" in Limits, limits.session_idle: Span(SECOND..=YEAR),
        "A session without a running turn rests on disk after this"),
    setting!("session-untouched" in Limits,
        limits.session_untouched: Span(MINUTE..=Duration::from_secs(10 * YEAR.as_secs())),
        "A session without a connection or a turn ends after this"),
    setting!("history-turns-max" in Limits, limits.history_turns_max: Count(0..=10_000),
        "Turns by which a session can be rolled back"),
    setting!("history-bytes-max" in Limits, limits.history_bytes_max: Size(0..=64 * GIB),
        "Disk for the states of those turns, of one session"),
    setting!("disk-per-subject-bytes-max" in Limits,
        limits.disk_per_subject_bytes_max: Size(MIB..=1024 * GIB),
        "Disk of one subject, all sessions together"),
];

/// The row of that name, if there is one.
pub(super) fn named(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

/// Every setting as nobody has said otherwise. The two directories follow the XDG rules; without
/// a home they are empty, which `check` refuses.
pub(super) fn defaults(sources: &Sources<'_>) -> Config {
    Config {
        file: None,
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
        insecure_listen: false,
        allowed_origins: Vec::new(),
        data_dir: home_dir(sources, "XDG_DATA_HOME", ".local/share", "weir"),
        durability: Durability::Process,
        metering: Metering::FuelAndEpoch,
        guest_threads: GuestThreads::Cores,
        spares: 4,
        import_policy: None,
        jwt: Jwt {
            secret: None,
            keys: None,
            algorithms: Algorithm::DEFAULTS.to_vec(),
            audience: Vec::new(),
            issuer: Vec::new(),
        },
        tls: Tls {
            cert: None,
            key: None,
        },
        interpreters: Interpreters {
            dir: home_dir(sources, "XDG_CACHE_HOME", ".cache", "weir/interpreters"),
            python_wasm_path: None,
        },
        compat: Compat {
            open: false,
            run_code_timeout_seconds: 30.0,
        },
        log: Log {
            filter: "info".to_owned(),
            format: LogFormat::Text,
        },
        limits: Limits::default(),
    }
}

/// `own` below the directory in `variable`, or else below `fallback` at home. The XDG rules have a
/// relative `variable` ignored.
fn home_dir(sources: &Sources<'_>, variable: &str, fallback: &str, own: &str) -> PathBuf {
    let named = sources.variable(variable).map(PathBuf::from);
    let base = named.filter(|path| path.is_absolute()).or_else(|| {
        let home = sources.variable("HOME")?;
        Some(Path::new(&home).join(fallback))
    });
    base.map(|base| base.join(own)).unwrap_or_default()
}
