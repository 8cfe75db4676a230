//! Promises that hold for any input: the reader never panics, and what is written reads back.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value};

use super::client::{BadMessage, ClientMessage};
use super::event::{Event, Stream};
use super::frame;
use super::reply::Reply;
use super::vectors::client_texts;
use crate::ids::{Seq, TurnNumber};

#[test]
fn arbitrary_bytes_of_output_read_back_as_they_were() {
    let mut random = Random(1);
    for round in 0..2_000 {
        let length = random.below(200);
        let bytes: Vec<u8> = match round % 3 {
            0 => (0..length).map(|_| random.next() as u8).collect(),
            1 => (0..length).map(|_| random.below(128) as u8).collect(),
            _ => random.text(length).into_bytes(),
        };
        let decoded = decoded(&Event::Output {
            turn: TurnNumber(1),
            stream: Stream::Stderr,
            bytes: Bytes::from(bytes.clone()),
        });
        let read = match decoded.get("text") {
            Some(text) => text.as_str().unwrap().as_bytes().to_vec(),
            None => STANDARD
                .decode(decoded["base64"].as_str().unwrap())
                .unwrap(),
        };
        assert_eq!(read, bytes);
    }
}

#[test]
fn arbitrary_text_never_panics_the_reader_and_frames_of_it_read_back() {
    let seeds = client_texts();
    let pieces = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "\\u",
        "\\ud800",
        "null",
        "true",
        "1e999",
        "-",
        "0",
        "\u{feff}",
        "\0",
        "\n",
        "é",
        "😀",
        "\"type\"",
        "\"id\"",
        "\"code\"",
        "\"execute\"",
    ];
    let mut random = Random(2);
    for _ in 0..50_000 {
        let seed = &seeds[random.below(seeds.len())];
        let mut text: Vec<char> = seed.chars().collect();
        for _ in 0..=random.below(4) {
            let start = random.below(text.len() + 1);
            let end = start + random.below(text.len() + 1 - start).min(random.below(8));
            let piece = pieces[random.below(pieces.len())];
            text.splice(start..end, piece.chars());
        }
        let text: String = text.into_iter().collect();
        match ClientMessage::parse(&text) {
            Ok(message) => {
                assert!(
                    ClientMessage::TYPES.contains(&message.type_name()),
                    "{text}"
                );
                if let Some(id) = message.id() {
                    let pong = frame::reply(&Reply::Pong { id: id.clone() });
                    let read: Value = serde_json::from_str(&pong).unwrap();
                    assert_eq!(read["id"], id.as_str());
                }
            }
            Err(BadMessage::Refused { id, refusal }) => {
                let error = frame::reply(&Reply::Error {
                    id,
                    refusal: refusal.clone(),
                });
                let read: Value = serde_json::from_str(&error).unwrap();
                assert_eq!(read["message"], refusal.message, "{text}");
                assert!(refusal.message.len() < 1_000, "{text}");
            }
            Err(BadMessage::NotJson { reason }) => {
                assert!(reason.len() < 1_000, "{text}");
            }
        }
    }
}

#[test]
fn text_is_json_to_the_reader_exactly_when_it_is_an_object_to_serde_json() {
    // Numbers beyond a double and lone surrogates are the reader's to refuse by field, not as JSON.
    let mut random = Random(3);
    let pieces = [
        "{", "}", "[", "]", ",", ":", "\"a\"", "\"id\"", "1", "-0.5e1", "01", " ", "null",
    ];
    for _ in 0..50_000 {
        let text: String = std::iter::once("{")
            .chain((0..random.below(9)).map(|_| pieces[random.below(pieces.len())]))
            .collect();
        let read = ClientMessage::parse(&text);
        let is_object = serde_json::from_str::<Map<String, Value>>(&text).is_ok();
        assert_eq!(
            !matches!(read, Err(BadMessage::NotJson { .. })),
            is_object,
            "{text}"
        );
    }
}

fn decoded(event: &Event) -> Value {
    serde_json::from_str(&frame::event(Seq(1), event)).unwrap()
}

/// A fixed sequence that looks random (xorshift), so that a failure repeats.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `bound`, which is not 0.
    fn below(&mut self, bound: usize) -> usize {
        ((self.next() >> 11) % bound as u64) as usize
    }

    fn text(&mut self, length: usize) -> String {
        (0..length)
            .filter_map(|_| {
                let bits = [7, 8, 12, 17][self.below(4)];
                char::from_u32(self.below(1 << bits) as u32)
            })
            .collect()
    }
}
