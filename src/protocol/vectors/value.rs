//! What the vectors write as JSON values, as the types of the contract and back.

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::ids::{Seq, TurnNumber};
use crate::protocol::client::{ClientMessage, Input};
use crate::protocol::event::{
    ErrorDetail, Event, Finished, SessionState, StateAfter, Status, Stream, TurnMetrics,
};
use crate::protocol::frame;
use crate::protocol::refusal::{ErrorCode, Refusal};
use crate::protocol::reply::{AppliedLimits, Attached, Recovery, Reply, RequestState};
use crate::protocol::request::{Action, Execute, RequestId, RollbackTo};
use crate::protocol::resume::Role;

pub(super) const STATUSES: [Status; 12] = [
    Status::Ok,
    Status::Error,
    Status::Exit,
    Status::Timeout,
    Status::CpuLimit,
    Status::MemoryLimit,
    Status::OutputLimit,
    Status::Interrupted,
    Status::Crashed,
    Status::Cancelled,
    Status::Failed,
    Status::Lost,
];

pub(super) const STATES: [SessionState; 5] = [
    SessionState::Starting,
    SessionState::Ready,
    SessionState::Running,
    SessionState::Hibernated,
    SessionState::Ended,
];

pub(super) const STATES_AFTER: [StateAfter; 3] =
    [StateAfter::Kept, StateAfter::RolledBack, StateAfter::Ended];

/// The value of a message as the vectors write it: every field there, defaults filled in.
pub(super) fn value_of_message(message: &ClientMessage) -> Value {
    let fields = match message {
        ClientMessage::Request(request) => match &request.action {
            Action::Execute(Execute {
                code,
                timeout,
                fuel,
                stdin,
                stdin_open,
                filename,
                durable,
            }) => json!({
                "code": code,
                "timeout_seconds": timeout.map(|timeout| number(timeout.as_secs_f64())),
                "fuel": fuel,
                "stdin": stdin,
                "stdin_open": stdin_open,
                "filename": filename,
                "durable": durable,
            }),
            Action::Cancel { target } => json!({"target": target.as_str()}),
            Action::Checkpoint { name } => json!({"name": name}),
            Action::Rollback(RollbackTo::Checkpoint(checkpoint)) => {
                json!({"checkpoint": checkpoint, "turn": null})
            }
            Action::Rollback(RollbackTo::Turn(turn)) => json!({"checkpoint": null, "turn": turn}),
            Action::Fork {
                session,
                checkpoint,
            } => json!({"session": session, "checkpoint": checkpoint}),
        },
        ClientMessage::Stdin { input, turn, .. } => match input {
            Input::Data(data) => json!({"data": data, "eof": false, "turn": turn}),
            Input::Eof => json!({"data": null, "eof": true, "turn": turn}),
        },
        ClientMessage::Interrupt { turn, .. } => json!({"turn": turn}),
        ClientMessage::Complete { at, .. } | ClientMessage::Inspect { at, .. } => {
            json!({"code": at.code, "cursor": at.cursor})
        }
        ClientMessage::Ack { seq, .. } => json!({"seq": seq}),
        ClientMessage::Authenticate { token, .. } => json!({"token": token.as_str()}),
        ClientMessage::Ping { .. } | ClientMessage::Close { .. } => json!({}),
    };
    let mut value = fields;
    value["type"] = message.type_name().into();
    value["id"] = message.id().map(RequestId::as_str).into();
    value
}

/// A number as JSON files write it: whole where it is whole.
fn number(number: f64) -> Value {
    if number.fract() == 0.0 {
        Value::from(number as u64)
    } else {
        Value::from(number)
    }
}

/// The value with every number as a double, because 0 and 0.0 are one number on the wire.
pub(super) fn without_floats(value: Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().into(),
        Value::Array(values) => values.into_iter().map(without_floats).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(key, value)| (key, without_floats(value)))
            .collect(),
        Value::Null | Value::Bool(_) | Value::String(_) => value,
    }
}

fn request_id(text: &str) -> RequestId {
    text.to_owned().try_into().unwrap()
}

fn text(value: &Value, field: &str) -> String {
    optional_text(value, field).unwrap_or_else(|| panic!("{value} lacks {field}"))
}

fn optional_text(value: &Value, field: &str) -> Option<String> {
    value[field].as_str().map(str::to_owned)
}

fn whole(value: &Value, field: &str) -> u64 {
    value[field]
        .as_u64()
        .unwrap_or_else(|| panic!("{value} lacks {field}"))
}

fn float(value: &Value, field: &str) -> f64 {
    value[field]
        .as_f64()
        .unwrap_or_else(|| panic!("{value} lacks {field}"))
}

fn named<T: Copy>(all: &[T], name: impl Fn(T) -> &'static str, value: &Value, field: &str) -> T {
    *all.iter()
        .find(|one| value[field] == name(**one))
        .unwrap_or_else(|| panic!("{value} has no known {field}"))
}

fn object(value: &Value, field: &str) -> Map<String, Value> {
    value[field].as_object().unwrap().clone()
}

pub(super) fn event_of_value(value: &Value) -> Event {
    let turn = || TurnNumber(whole(value, "turn"));
    let id = || text(value, "id");
    match value["type"].as_str().unwrap() {
        "queued" => Event::Queued {
            id: id(),
            turn: turn(),
            position: whole(value, "position") as usize,
            code: text(value, "code"),
        },
        "started" => Event::Started {
            id: id(),
            turn: turn(),
        },
        "output" => Event::Output {
            turn: turn(),
            stream: named(
                &[Stream::Stdout, Stream::Stderr],
                Stream::as_str,
                value,
                "stream",
            ),
            bytes: STANDARD.decode(text(value, "bytes")).unwrap().into(),
        },
        "stdin_request" => Event::StdinRequest {
            turn: turn(),
            prompt: text(value, "prompt"),
        },
        "display" => Event::Display {
            turn: turn(),
            data: object(value, "data"),
            metadata: object(value, "metadata"),
        },
        "result" => Event::Result {
            turn: turn(),
            text: text(value, "text"),
            json: value
                .get("json")
                .map(|json| RawValue::from_string(json.to_string()).unwrap()),
        },
        "finished" => Event::Finished(Box::new(finished_of_value(value))),
        "saved" => Event::Saved { turn: turn() },
        "unsaved" => Event::Unsaved {
            turn: turn(),
            reason: text(value, "reason"),
        },
        "checkpointed" => Event::Checkpointed {
            id: id(),
            checkpoint: text(value, "checkpoint"),
            name: optional_text(value, "name"),
            turn: turn(),
        },
        "rolled_back" => Event::RolledBack {
            id: id(),
            checkpoint: optional_text(value, "checkpoint"),
            turn: turn(),
        },
        "forked" => Event::Forked {
            id: id(),
            session: text(value, "session").parse().unwrap(),
        },
        "session" => Event::Session {
            state: named(&STATES, SessionState::as_str, value, "state"),
            reason: text(value, "reason"),
        },
        other => panic!("no event is called {other}"),
    }
}

fn finished_of_value(value: &Value) -> Finished {
    let detail = |error: &Value| ErrorDetail {
        name: text(error, "name"),
        message: text(error, "message"),
        traceback: text(error, "traceback"),
    };
    let metrics = |metrics: &Value| TurnMetrics {
        queue_ms: float(metrics, "queue_ms"),
        wall_ms: float(metrics, "wall_ms"),
        cpu_ms: float(metrics, "cpu_ms"),
        fuel: whole(metrics, "fuel"),
        memory_bytes: whole(metrics, "memory_bytes"),
        output_bytes: whole(metrics, "output_bytes"),
        checkpoint_bytes: whole(metrics, "checkpoint_bytes"),
    };
    let there = |field: &str| Some(&value[field]).filter(|value| !value.is_null());
    Finished {
        id: text(value, "id"),
        turn: TurnNumber(whole(value, "turn")),
        status: named(&STATUSES, Status::as_str, value, "status"),
        exit_code: there("exit_code").map(|code| code.as_i64().unwrap() as i32),
        error: there("error").map(detail),
        session_state: named(&STATES_AFTER, StateAfter::as_str, value, "session_state"),
        truncated: value["truncated"].as_bool().unwrap(),
        metrics: there("metrics").map(metrics),
    }
}

pub(super) fn reply_of_value(value: &Value) -> Reply {
    let id = || request_id(&text(value, "id"));
    let turn = || TurnNumber(whole(value, "turn"));
    let time = || -> SystemTime { humantime::parse_rfc3339(&text(value, "expires_at")).unwrap() };
    match value["type"].as_str().unwrap() {
        "attached" => Reply::Attached(Box::new(attached_of_value(value))),
        "gap" => Reply::Gap {
            from: Seq(whole(value, "from")),
            to: Seq(whole(value, "to")),
        },
        "duplicate" => {
            let states = [
                RequestState::Queued,
                RequestState::Running,
                RequestState::Done,
            ];
            Reply::Duplicate {
                id: id(),
                turn: value.get("turn").map(|_| turn()),
                state: named(&states, RequestState::as_str, value, "state"),
                event: value.get("event").map(|event| {
                    let seq = Seq(whole(event, "seq"));
                    let frame = frame::event(seq, &event_of_value(event));
                    RawValue::from_string(frame).unwrap()
                }),
            }
        }
        "interrupting" => Reply::Interrupting {
            id: id(),
            turn: turn(),
        },
        "cancelling" => Reply::Cancelling {
            id: id(),
            turn: turn(),
        },
        "completions" => Reply::Completions {
            id: id(),
            matches: serde_json::from_value(value["matches"].clone()).unwrap(),
            replaces: whole(value, "start") as usize..whole(value, "end") as usize,
        },
        "inspection" => Reply::Inspection {
            id: id(),
            text: value["found"]
                .as_bool()
                .unwrap()
                .then(|| text(value, "text")),
        },
        "pong" => Reply::Pong { id: id() },
        "authenticated" => Reply::Authenticated {
            id: id(),
            expires_at: time(),
        },
        "token_expiring" => Reply::TokenExpiring { expires_at: time() },
        "closed" => Reply::Closed { id: id() },
        "error" => Reply::Error {
            id: value.get("id").map(|_| id()),
            refusal: Refusal {
                code: named(&ErrorCode::ALL, ErrorCode::as_str, value, "code"),
                message: text(value, "message"),
            },
        },
        other => panic!("no reply is called {other}"),
    }
}

fn attached_of_value(value: &Value) -> Attached {
    let limits = &value["limits"];
    Attached {
        session: text(value, "session").parse().unwrap(),
        language: text(value, "language"),
        version: text(value, "version"),
        epoch: text(value, "epoch").parse().unwrap(),
        seq: Seq(whole(value, "seq")),
        recovery: match (
            value["recovered"].as_bool().unwrap(),
            value.get("common_seq"),
        ) {
            (true, None) => Recovery::Complete,
            (false, None) => Recovery::NotAsked,
            (false, Some(_)) => Recovery::Diverged {
                common_seq: Seq(whole(value, "common_seq")),
            },
            (true, Some(_)) => panic!("{value} is recovered and has a common_seq"),
        },
        role: text(value, "role").parse::<Role>().unwrap(),
        state: named(&STATES, SessionState::as_str, value, "state"),
        limits: AppliedLimits {
            timeout_seconds: float(limits, "timeout_seconds"),
            fuel: limits["fuel"].as_u64(),
            memory_bytes: whole(limits, "memory_bytes"),
            output_bytes: whole(limits, "output_bytes"),
            journal_bytes: whole(limits, "journal_bytes"),
            message_bytes: whole(limits, "message_bytes"),
            queue_turns: whole(limits, "queue_turns"),
            files_bytes: whole(limits, "files_bytes"),
            file_bytes: whole(limits, "file_bytes"),
            event_bytes: whole(limits, "event_bytes"),
            stdin_wait_seconds: float(limits, "stdin_wait_seconds"),
            heartbeat_seconds: float(limits, "heartbeat_seconds"),
        },
    }
}
