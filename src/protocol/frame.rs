//! Events and replies as the JSON text of one message: `type` first, `seq` second where there is
//! one, always a single line.
//!
//! What a guest can make long is cut here to the bounds of the contract, so that no frame exceeds
//! `FRAME_BYTES_MAX` as long as an `output` holds at most 2 MiB: the escaper makes at most six
//! bytes of one. What a guest can make strange is mended here: bytes that are no text travel as
//! base64, and JSON that strict readers refuse is left out.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use super::event::{ErrorDetail, Event, Finished, Stream, TurnMetrics};
use super::json::{Object, cut, cut_front, write_text};
use super::reply::{AppliedLimits, Attached, Recovery, Reply};
use crate::ids::{Seq, TurnNumber};
use crate::limits::{DISPLAY_BYTES_MAX, QUEUED_CODE_BYTES_MAX, RESULT_BYTES_MAX};

type JsonMap = serde_json::Map<String, serde_json::Value>;

/// Room for everything of an `output` but its text.
const OUTPUT_OVERHEAD_BYTES: usize = 96;

/// The frame of one event. The same event under the same `seq` always gives the same bytes.
pub fn event(seq: Seq, event: &Event) -> String {
    let expected_bytes = if let Event::Output { bytes, .. } = event {
        // Line ends and quotes grow; an eighth covers ordinary text without a second allocation.
        bytes.len() + bytes.len() / 8 + OUTPUT_OVERHEAD_BYTES
    } else {
        256
    };
    let mut frame = String::with_capacity(expected_bytes);
    Object::write(&mut frame, |object| {
        object.text("type", event.type_name()).whole("seq", seq.0);
        write_event(object, event);
    });
    frame
}

/// The frame of one reply.
pub fn reply(reply: &Reply) -> String {
    let mut frame = String::with_capacity(256);
    Object::write(&mut frame, |object| {
        object.text("type", reply.type_name());
        write_reply(object, reply);
    });
    frame
}

/// Whether the event's frame leaves out part of what it holds: the turn's `finished` then says
/// `truncated`. A `queued` whose code is cut does not count, for the turn runs all of it.
pub fn is_cut(event: &Event) -> bool {
    let too_long = |text: &str| text.len() > RESULT_BYTES_MAX;
    match event {
        Event::Result { text, .. } => too_long(text),
        Event::Finished(finished) => finished.error.as_ref().is_some_and(|error| {
            too_long(&error.name) || too_long(&error.message) || too_long(&error.traceback)
        }),
        Event::Display { data, metadata, .. } => bounded_display(data, metadata).is_err(),
        Event::Queued { .. }
        | Event::Started { .. }
        | Event::Output { .. }
        | Event::StdinRequest { .. }
        | Event::Saved { .. }
        | Event::Unsaved { .. }
        | Event::Checkpointed { .. }
        | Event::RolledBack { .. }
        | Event::Forked { .. }
        | Event::Session { .. } => false,
    }
}

fn write_event(object: &mut Object<'_>, event: &Event) {
    match event {
        Event::Queued {
            id,
            turn,
            position,
            code,
        } => {
            object
                .text("id", id)
                .whole("turn", turn.0)
                .whole("position", *position as u64)
                .text("code", cut(code, QUEUED_CODE_BYTES_MAX));
        }
        Event::Started { id, turn } => {
            object.text("id", id).whole("turn", turn.0);
        }
        Event::Output {
            turn,
            stream,
            bytes,
        } => write_output(object, *turn, *stream, bytes),
        Event::StdinRequest { turn, prompt } => {
            // Its end stands where the user types.
            object
                .whole("turn", turn.0)
                .text("prompt", cut_front(prompt, RESULT_BYTES_MAX));
        }
        Event::Display {
            turn,
            data,
            metadata,
        } => write_display(object, *turn, data, metadata),
        Event::Result { turn, text, json } => {
            object
                .whole("turn", turn.0)
                .text("text", cut(text, RESULT_BYTES_MAX));
            if let Some(json) = json.as_deref().and_then(readable_json) {
                object.json("json", json);
            }
        }
        Event::Finished(finished) => {
            write_finished(object, finished, finished.truncated || is_cut(event));
        }
        Event::Saved { turn } => {
            object.whole("turn", turn.0);
        }
        Event::Unsaved { turn, reason } => {
            object.whole("turn", turn.0).text("reason", reason);
        }
        Event::Checkpointed {
            id,
            checkpoint,
            name,
            turn,
        } => {
            object
                .text("id", id)
                .text("checkpoint", checkpoint)
                .text_or_null("name", name.as_deref())
                .whole("turn", turn.0);
        }
        Event::RolledBack {
            id,
            checkpoint,
            turn,
        } => {
            object
                .text("id", id)
                .text_or_null("checkpoint", checkpoint.as_deref())
                .whole("turn", turn.0);
        }
        Event::Forked { id, session } => {
            object.text("id", id).text("session", session.as_str());
        }
        Event::Session { state, reason } => {
            object.text("state", state.as_str()).text("reason", reason);
        }
    }
}

fn write_output(object: &mut Object<'_>, turn: TurnNumber, stream: Stream, bytes: &[u8]) {
    object.whole("turn", turn.0).text("stream", stream.as_str());
    match std::str::from_utf8(bytes) {
        Ok(text) => object.text("text", text),
        Err(_) => object.text("base64", &STANDARD.encode(bytes)),
    };
}

fn write_display(object: &mut Object<'_>, turn: TurnNumber, data: &JsonMap, metadata: &JsonMap) {
    object.whole("turn", turn.0);
    match bounded_display(data, metadata) {
        Ok((data, metadata)) => {
            object.json("data", &data).json("metadata", &metadata);
        }
        Err(bytes) => {
            let instead = format!(
                "[a display of {bytes} bytes was left out: at most {DISPLAY_BYTES_MAX} are sent]"
            );
            object
                .object("data", |data| {
                    data.text("text/plain", &instead);
                })
                .json("metadata", "{}");
        }
    }
}

/// The display's data and metadata as JSON, or their size together when it is above the bound.
fn bounded_display(data: &JsonMap, metadata: &JsonMap) -> Result<(String, String), usize> {
    let json = |map: &JsonMap| {
        serde_json::to_string(map).expect("a map of JSON values always has a JSON form")
    };
    let (data, metadata) = (json(data), json(metadata));
    let bytes = data.len() + metadata.len();
    if bytes <= DISPLAY_BYTES_MAX {
        Ok((data, metadata))
    } else {
        Err(bytes)
    }
}

/// The guest's own JSON, if it is within the bound and every reader can read it: a `RawValue` may
/// hold lone surrogates and any depth, which would cost clients the whole frame.
fn readable_json(json: &RawValue) -> Option<&str> {
    let json = json.get();
    let readable =
        json.len() <= RESULT_BYTES_MAX && serde_json::from_str::<serde_json::Value>(json).is_ok();
    readable.then_some(json)
}

fn write_finished(object: &mut Object<'_>, finished: &Finished, truncated: bool) {
    object
        .text("id", &finished.id)
        .whole("turn", finished.turn.0)
        .text("status", finished.status.as_str())
        .value("exit_code", &finished.exit_code);
    match &finished.error {
        Some(ErrorDetail {
            name,
            message,
            traceback,
        }) => object.object("error", |error| {
            error
                .text("name", cut(name, RESULT_BYTES_MAX))
                .text("message", cut(message, RESULT_BYTES_MAX))
                .text("traceback", cut(traceback, RESULT_BYTES_MAX));
        }),
        None => object.json("error", "null"),
    };
    object
        .text("session_state", finished.session_state.as_str())
        .flag("truncated", truncated);
    match &finished.metrics {
        Some(metrics) => object.object("metrics", |object| write_metrics(object, metrics)),
        None => object.json("metrics", "null"),
    };
}

fn write_metrics(object: &mut Object<'_>, metrics: &TurnMetrics) {
    object
        .float("queue_ms", to_microsecond(metrics.queue_ms))
        .float("wall_ms", to_microsecond(metrics.wall_ms))
        .float("cpu_ms", to_microsecond(metrics.cpu_ms))
        .whole("fuel", metrics.fuel)
        .whole("memory_bytes", metrics.memory_bytes)
        .whole("output_bytes", metrics.output_bytes)
        .whole("checkpoint_bytes", metrics.checkpoint_bytes);
}

/// Milliseconds to three places: a clock knows no more, and readers no longer see its noise.
fn to_microsecond(milliseconds: f64) -> f64 {
    (milliseconds * 1_000.0).round() / 1_000.0
}

fn write_reply(object: &mut Object<'_>, reply: &Reply) {
    match reply {
        Reply::Attached(attached) => write_attached(object, attached),
        Reply::Gap { from, to } => {
            object.whole("from", from.0).whole("to", to.0);
        }
        Reply::Duplicate {
            id,
            turn,
            state,
            event,
        } => {
            object.text("id", id.as_str());
            if let Some(turn) = turn {
                object.whole("turn", turn.0);
            }
            object.text("state", state.as_str());
            if let Some(event) = event {
                object.json("event", event.get());
            }
        }
        Reply::Interrupting { id, turn } | Reply::Cancelling { id, turn } => {
            object.text("id", id.as_str()).whole("turn", turn.0);
        }
        Reply::Completions {
            id,
            matches,
            replaces,
        } => {
            object
                .text("id", id.as_str())
                .json("matches", &bounded_list(matches))
                .whole("start", replaces.start as u64)
                .whole("end", replaces.end as u64);
        }
        Reply::Inspection { id, text } => {
            object
                .text("id", id.as_str())
                .flag("found", text.is_some())
                .text("text", cut(text.as_deref().unwrap_or(""), RESULT_BYTES_MAX));
        }
        Reply::Pong { id } | Reply::Closed { id } => {
            object.text("id", id.as_str());
        }
        Reply::Authenticated { id, expires_at } => {
            object
                .text("id", id.as_str())
                .text("expires_at", &rfc3339(*expires_at));
        }
        Reply::TokenExpiring { expires_at } => {
            object.text("expires_at", &rfc3339(*expires_at));
        }
        Reply::Error { id, refusal } => {
            if let Some(id) = id {
                object.text("id", id.as_str());
            }
            object
                .text("code", refusal.code.as_str())
                .text("message", cut(&refusal.message, RESULT_BYTES_MAX));
        }
    }
}

fn write_attached(object: &mut Object<'_>, attached: &Attached) {
    object
        .text("session", attached.session.as_str())
        .text("language", &attached.language)
        .text("version", &attached.version)
        .text("epoch", attached.epoch.as_str())
        .whole("seq", attached.seq.0);
    match attached.recovery {
        Recovery::NotAsked => object.flag("recovered", false),
        Recovery::Complete => object.flag("recovered", true),
        Recovery::Diverged { common_seq } => object
            .flag("recovered", false)
            .whole("common_seq", common_seq.0),
    };
    object
        .text("role", attached.role.as_str())
        .text("state", attached.state.as_str())
        .object("limits", |limits| write_limits(limits, &attached.limits));
}

fn write_limits(object: &mut Object<'_>, limits: &AppliedLimits) {
    object
        .float("timeout_seconds", limits.timeout_seconds)
        .value("fuel", &limits.fuel)
        .whole("memory_bytes", limits.memory_bytes)
        .whole("output_bytes", limits.output_bytes)
        .whole("journal_bytes", limits.journal_bytes)
        .whole("message_bytes", limits.message_bytes)
        .whole("queue_turns", limits.queue_turns)
        .whole("files_bytes", limits.files_bytes)
        .whole("file_bytes", limits.file_bytes)
        .whole("event_bytes", limits.event_bytes)
        .float("stdin_wait_seconds", limits.stdin_wait_seconds)
        .float("heartbeat_seconds", limits.heartbeat_seconds);
}

/// A JSON list of as many first texts as fit into `RESULT_BYTES_MAX`.
fn bounded_list(texts: &[String]) -> String {
    let mut list = String::from("[");
    for text in texts {
        let start = list.len();
        if start > 1 {
            list.push(',');
        }
        write_text(&mut list, text);
        if list.len() >= RESULT_BYTES_MAX {
            list.truncate(start);
            break;
        }
    }
    list.push(']');
    list
}

/// The time in UTC to the second. Times that RFC 3339 cannot write become its first or last.
fn rfc3339(time: SystemTime) -> String {
    const LAST: Duration = Duration::from_secs(253_402_300_799);
    let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    humantime::format_rfc3339_seconds(UNIX_EPOCH + since_epoch.min(LAST)).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value};

    use super::*;
    use crate::limits::{FRAME_BYTES_MAX, Limits};
    use crate::protocol::event::{StateAfter, Status};

    fn decoded(event: &Event) -> Value {
        serde_json::from_str(&super::event(Seq(1), event)).unwrap()
    }

    #[test]
    fn what_a_guest_makes_long_is_cut_and_said_to_be() {
        let turn = TurnNumber(1);
        let long = "é".repeat(RESULT_BYTES_MAX);
        let result = Event::Result {
            turn,
            text: long.clone(),
            json: Some(RawValue::from_string(format!("\"{long}\"")).unwrap()),
        };
        assert!(is_cut(&result));
        let decoded = decoded(&result);
        assert_eq!(decoded["text"].as_str().unwrap().len(), RESULT_BYTES_MAX);
        assert_eq!(decoded.get("json"), None);

        let finished = Event::Finished(Box::new(Finished {
            id: "r1".into(),
            turn,
            status: Status::Error,
            exit_code: Some(1),
            error: Some(ErrorDetail {
                name: long.clone(),
                message: long.clone(),
                traceback: long.clone(),
            }),
            session_state: StateAfter::Kept,
            truncated: false,
            metrics: None,
        }));
        assert!(is_cut(&finished));
        let decoded = self::decoded(&finished);
        assert_eq!(decoded["truncated"], true);
        for field in ["name", "message", "traceback"] {
            let text = decoded["error"][field].as_str().unwrap();
            assert_eq!(text.len(), RESULT_BYTES_MAX, "{field}");
        }

        let prompt = self::decoded(&Event::StdinRequest {
            turn,
            prompt: format!("{long}name: "),
        });
        let prompt = prompt["prompt"].as_str().unwrap();
        assert!(prompt.ends_with("name: ") && prompt.len() <= RESULT_BYTES_MAX);

        let bytes = "\0".repeat(DISPLAY_BYTES_MAX / 6 + 1);
        let display = Event::Display {
            turn,
            data: Map::from_iter([("text/plain".to_owned(), bytes.into())]),
            metadata: Map::new(),
        };
        assert!(is_cut(&display));
        assert!(super::event(Seq(1), &display).len() < 1_000);

        let completions = super::reply(&Reply::Completions {
            id: "r8".to_owned().try_into().unwrap(),
            matches: vec!["\0".repeat(1_000); 1_000],
            replaces: 0..0,
        });
        assert!(completions.len() < RESULT_BYTES_MAX + 1_000);
        serde_json::from_str::<Value>(&completions).unwrap();
    }

    #[test]
    fn the_largest_output_of_the_default_limits_fits_a_frame() {
        let bytes = usize::try_from(Limits::default().event_bytes_max).unwrap();
        for worst in [vec![0; bytes], vec![0xff; bytes]] {
            let event = Event::Output {
                turn: TurnNumber(u64::MAX),
                stream: Stream::Stdout,
                bytes: worst.into(),
            };
            assert!(super::event(Seq(u64::MAX), &event).len() <= FRAME_BYTES_MAX);
        }
    }

    #[test]
    fn a_guests_json_never_costs_a_client_the_frame() {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        for (json, sent) in [
            (r#"{"a": [1, "\ud83d\ude00"]}"#, true),
            ("[1,\n2]", true),
            (r#""\ud800""#, false),
            (deep.as_str(), false),
        ] {
            let event = Event::Result {
                turn: TurnNumber(1),
                text: String::new(),
                json: Some(RawValue::from_string(json.to_owned()).unwrap()),
            };
            assert!(!super::event(Seq(1), &event).contains('\n'), "{json}");
            assert_eq!(decoded(&event).get("json").is_some(), sent, "{json}");
        }
    }

    #[test]
    fn a_time_that_has_no_rfc_3339_form_becomes_the_nearest_that_has() {
        let far = std::time::Duration::from_secs(1 << 50);
        for (expires_at, text) in [
            (SystemTime::UNIX_EPOCH + far, "9999-12-31T23:59:59Z"),
            (SystemTime::UNIX_EPOCH - far, "1970-01-01T00:00:00Z"),
        ] {
            let frame = super::reply(&Reply::TokenExpiring { expires_at });
            assert!(frame.contains(text), "{frame}");
        }
    }
}
