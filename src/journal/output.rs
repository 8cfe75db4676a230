//! Output that has no number yet: it gathers until somebody can read it.

use bytes::{Bytes, BytesMut};

use crate::ids::TurnNumber;
use crate::protocol::event::{Event, Stream};

/// The open end of a journal. Holds at most one event's bytes, and for each stream the first bytes of
/// a character whose rest has not been written yet.
#[derive(Default)]
pub(super) struct OpenOutput {
    gathering: Option<(TurnNumber, Stream)>,
    bytes: BytesMut,
    /// The unfinished character of the stream that is not gathering now.
    other: Option<(TurnNumber, Stream, Bytes)>,
}

impl OpenOutput {
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether output of this stream joins what gathers.
    pub(super) fn continues(&self, turn: TurnNumber, stream: Stream) -> bool {
        self.gathering == Some((turn, stream))
    }

    /// Adds bytes. What gathered of another stream must have been taken before.
    pub(super) fn extend(&mut self, turn: TurnNumber, stream: Stream, bytes: &[u8]) {
        if self.gathering != Some((turn, stream)) {
            let unfinished = self.bytes.split().freeze();
            let before = self.gathering.replace((turn, stream));
            let resumed = self.other.take();
            if let Some((turn, stream)) = before
                && !unfinished.is_empty()
            {
                self.other = Some((turn, stream, unfinished));
            }
            if let Some((_, _, start)) = resumed.filter(|(t, s, _)| (*t, *s) == (turn, stream)) {
                self.bytes.extend_from_slice(&start);
            }
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Whether there is a whole character to take.
    pub(super) fn has_whole(&self) -> bool {
        self.bytes.len() > unfinished_suffix(&self.bytes)
    }

    /// Takes all whole characters.
    pub(super) fn take_whole(&mut self) -> Option<Event> {
        let (turn, stream) = self.gathering?;
        let whole = self.bytes.len() - unfinished_suffix(&self.bytes);
        self.has_whole().then(|| Event::Output {
            turn,
            stream,
            bytes: self.bytes.split_to(whole).freeze(),
        })
    }

    /// Takes everything, one stream at a time: what waits longest first.
    pub(super) fn take_all(&mut self) -> Option<Event> {
        if let Some(event) = self.take_whole() {
            return Some(event);
        }
        if let Some((turn, stream, bytes)) = self.other.take() {
            return Some(Event::Output {
                turn,
                stream,
                bytes,
            });
        }
        let (turn, stream) = self.gathering.take()?;
        let bytes = self.bytes.split().freeze();
        (!bytes.is_empty()).then_some(Event::Output {
            turn,
            stream,
            bytes,
        })
    }
}

/// How many bytes at the end begin a UTF-8 character without finishing it: 0 to 3.
fn unfinished_suffix(bytes: &[u8]) -> usize {
    for back in 1..=bytes.len().min(3) {
        let byte = bytes[bytes.len() - back];
        let length = match byte {
            0x00..=0x7f => return 0,
            0x80..=0xbf => continue,
            0xc0..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xff => 4,
        };
        return if length > back { back } else { 0 };
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unfinished_character_is_recognized() {
        for (bytes, expected) in [
            (&b""[..], 0),
            (b"abc", 0),
            ("é".as_bytes(), 0),
            (&"é".as_bytes()[..1], 1),
            (&"你".as_bytes()[..2], 2),
            (&"🦀".as_bytes()[..3], 3),
            ("🦀".as_bytes(), 0),
            (&[0x80, 0x80, 0x80, 0x80], 0),
        ] {
            assert_eq!(unfinished_suffix(bytes), expected, "{bytes:?}");
        }
    }
}
