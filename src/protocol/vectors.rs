//! The golden frames in `clients/vectors`, held against the code in both directions, and the page
//! that quotes them.

mod value;

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use self::value::{
    STATES, STATES_AFTER, STATUSES, event_of_value, reply_of_value, value_of_message,
    without_floats,
};
use super::client::{BadMessage, ClientMessage};
use super::event::{Event, Stream};
use super::frame;
use super::refusal::{CloseCode, ErrorCode, Retry};
use super::reply::{AppliedLimits, Reply};
use crate::ids::Seq;
use crate::limits::Limits;

const CLIENT: &str = include_str!("../../clients/vectors/client.json");
const EVENTS: &str = include_str!("../../clients/vectors/events.json");
const REPLIES: &str = include_str!("../../clients/vectors/replies.json");
const CODES: &str = include_str!("../../clients/vectors/codes.json");
const PAGE: &str = include_str!("../../clients/protocol.md");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File<T> {
    #[serde(rename = "about")]
    _about: String,
    vectors: Vec<T>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClientVector {
    name: String,
    text: String,
    message: Option<Value>,
    error: Option<Value>,
    close: Option<u16>,
}

#[derive(Deserialize)]
struct Typed {
    #[serde(rename = "type")]
    kind: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventVector {
    name: String,
    seq: u64,
    event: Value,
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplyVector {
    name: String,
    reply: Value,
    text: String,
}

/// The texts of the vectors that are messages, for tests that want examples.
pub(super) fn client_texts() -> Vec<String> {
    let vectors: Vec<ClientVector> = vectors(CLIENT);
    vectors.into_iter().map(|vector| vector.text).collect()
}

fn vectors<T: DeserializeOwned>(file: &str) -> Vec<T> {
    serde_json::from_str::<File<T>>(file).unwrap().vectors
}

#[test]
fn every_client_vector_is_read_as_it_says() {
    for vector in vectors::<ClientVector>(CLIENT) {
        let parsed = ClientMessage::parse(&vector.text);
        let name = &vector.name;
        match (vector.message, vector.error, vector.close) {
            (Some(expected), None, None) => {
                let message = parsed.unwrap_or_else(|bad| panic!("{name}: {bad}"));
                assert_eq!(value_of_message(&message), expected, "{name}");
            }
            (None, Some(expected), None) => match parsed {
                Err(BadMessage::Refused { id, refusal }) => {
                    let mut error = json!({"code": refusal.code.as_str()});
                    if let Some(id) = id {
                        error["id"] = id.as_str().into();
                    }
                    assert_eq!(error, expected, "{name}");
                }
                other => panic!("{name}: {other:?}"),
            },
            (None, None, Some(expected)) => {
                assert!(
                    matches!(parsed, Err(BadMessage::NotJson { .. })),
                    "{name}: {parsed:?}"
                );
                assert_eq!(BadMessage::CLOSE_CODE.number(), expected, "{name}");
            }
            other => panic!("{name}: exactly one of message, error, close, not {other:?}"),
        }
    }
}

#[test]
fn every_event_vector_is_written_as_it_says() {
    for vector in vectors::<EventVector>(EVENTS) {
        let name = &vector.name;
        let event = event_of_value(&vector.event);
        assert_eq!(frame::event(Seq(vector.seq), &event), vector.text, "{name}");

        // What a client should find in the text: the same value, `seq` beside it.
        let mut decoded: Value = serde_json::from_str(&vector.text).unwrap();
        let fields = decoded.as_object_mut().unwrap();
        assert_eq!(fields.remove("seq"), Some(vector.seq.into()), "{name}");
        if vector.event["type"] == "output" {
            let bytes = match fields.remove("text") {
                Some(text) => text.as_str().unwrap().as_bytes().to_vec(),
                None => {
                    let base64 = fields.remove("base64").unwrap();
                    STANDARD.decode(base64.as_str().unwrap()).unwrap()
                }
            };
            fields.insert("bytes".into(), STANDARD.encode(bytes).into());
        }
        assert_eq!(
            without_floats(decoded),
            without_floats(vector.event),
            "{name}"
        );
    }
}

#[test]
fn every_reply_vector_is_written_as_it_says() {
    for vector in vectors::<ReplyVector>(REPLIES) {
        let name = &vector.name;
        let reply = reply_of_value(&vector.reply);
        assert_eq!(frame::reply(&reply), vector.text, "{name}");
        let decoded: Value = serde_json::from_str(&vector.text).unwrap();
        assert_eq!(decoded, vector.reply, "{name}");
    }
}

#[test]
fn every_type_of_message_has_a_vector() {
    let types = |values: Vec<Value>| -> BTreeSet<String> {
        let name = |value: &Value| value["type"].as_str().unwrap().to_owned();
        values.iter().map(name).collect()
    };
    let all = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let client: Vec<ClientVector> = vectors(CLIENT);
    let expected: BTreeSet<String> = all(&ClientMessage::TYPES);
    let accepted = client.iter().filter_map(|vector| vector.message.clone());
    assert_eq!(types(accepted.collect()), expected);
    // Of each message there is also one that is refused. Only its type can be read for sure.
    let refused = client.iter().filter(|vector| vector.error.is_some());
    let refused = refused.filter_map(|vector| {
        let typed: Typed = serde_json::from_str(&vector.text).unwrap();
        let kind = typed.kind.filter(Value::is_string)?;
        ClientMessage::TYPES
            .iter()
            .any(|name| kind == *name)
            .then(|| json!({"type": kind}))
    });
    assert_eq!(types(refused.collect()), expected);

    let events: Vec<EventVector> = vectors(EVENTS);
    let expected: BTreeSet<String> = all(&Event::TYPES);
    assert_eq!(
        types(events.into_iter().map(|vector| vector.event).collect()),
        expected
    );
    let replies: Vec<ReplyVector> = vectors(REPLIES);
    let expected: BTreeSet<String> = all(&Reply::TYPES);
    assert_eq!(
        types(replies.into_iter().map(|vector| vector.reply).collect()),
        expected
    );
}

#[test]
fn every_status_has_a_vector() {
    let events: Vec<EventVector> = vectors(EVENTS);
    let statuses = events
        .iter()
        .filter_map(|vector| vector.event["status"].as_str());
    let statuses: BTreeSet<&str> = statuses.collect();
    let all = STATUSES.iter().map(|status| status.as_str());
    assert_eq!(statuses, all.collect());
}

#[test]
fn the_codes_are_what_their_table_says() {
    let codes: Value = serde_json::from_str(CODES).unwrap();
    let errors: Vec<Value> = ErrorCode::ALL
        .iter()
        .map(|code| {
            json!({
                "code": code.as_str(),
                "http_status": code.http_status(),
                "close": code.close_code().map(CloseCode::number),
            })
        })
        .collect();
    assert_eq!(codes["errors"], Value::from(errors));
    let closes: Vec<Value> = CloseCode::ALL
        .iter()
        .map(|close| {
            let retry = match close.retry() {
                Retry::Never => "never",
                Retry::Reauthenticated => "reauthenticated",
                Retry::Now => "now",
                Retry::AfterBackoff => "after_backoff",
            };
            json!({"close": close.number(), "reason": close.reason(), "retry": retry})
        })
        .collect();
    assert_eq!(codes["closes"], Value::from(closes));
}

#[test]
fn the_page_quotes_only_golden_frames_and_names_everything() {
    let texts: BTreeSet<String> = vectors::<ClientVector>(CLIENT)
        .into_iter()
        .map(|vector| vector.text)
        .chain(
            vectors::<EventVector>(EVENTS)
                .into_iter()
                .map(|vector| vector.text),
        )
        .chain(
            vectors::<ReplyVector>(REPLIES)
                .into_iter()
                .map(|vector| vector.text),
        )
        .collect();
    let quoted: Vec<&str> = PAGE
        .lines()
        .filter(|line| line.starts_with("{\"type\""))
        .collect();
    assert!(!quoted.is_empty());
    for line in quoted {
        assert!(texts.contains(line), "no vector has {line}");
    }
    let names = ClientMessage::TYPES
        .iter()
        .chain(&Event::TYPES)
        .chain(&Reply::TYPES)
        .copied()
        .chain(ErrorCode::ALL.iter().map(|code| code.as_str()))
        .chain(STATUSES.iter().map(|status| status.as_str()));
    for name in names {
        assert!(
            PAGE.contains(&format!("`{name}`")),
            "the page lacks `{name}`"
        );
    }
    for close in CloseCode::ALL {
        assert!(
            PAGE.contains(&close.number().to_string()),
            "the page lacks {close:?}"
        );
    }
}

#[test]
fn names_agree_with_their_serialized_form() {
    for status in STATUSES {
        assert_eq!(json!(status), status.as_str());
    }
    for state in STATES {
        assert_eq!(json!(state), state.as_str());
    }
    for state in STATES_AFTER {
        assert_eq!(json!(state), state.as_str());
    }
    for stream in [Stream::Stdout, Stream::Stderr] {
        assert_eq!(json!(stream), stream.as_str());
    }
}

#[test]
fn attached_tells_the_default_limits() {
    let first: ReplyVector = vectors(REPLIES).remove(0);
    let Reply::Attached(attached) = reply_of_value(&first.reply) else {
        panic!("the first reply is attached, as on the wire");
    };
    assert_eq!(attached.limits, AppliedLimits::from(&Limits::default()));
}
