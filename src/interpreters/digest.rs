//! SHA-256 digests, and copying that proves what it copied. The custodian of `aws_lc_rs::digest`
//! for this layer.

use std::fmt;
use std::io::{self, Read, Write};
use std::str::FromStr;

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};

/// A SHA-256 digest, written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha256([u8; 32]);

/// Why a text is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("sha256 {0:?} is malformed: it must be 64 hexadecimal digits in lower case")]
pub struct MalformedSha256(String);

/// What a file must be, to the byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// Its length, which also bounds what is ever written for it.
    pub bytes: u64,
    pub sha256: Sha256,
}

/// Why a copy is not the pinned content. What was written must be thrown away.
#[derive(Debug)]
pub enum CopyError {
    Read(io::Error),
    Write(io::Error),
    /// The source has another length than the pinned one; no byte beyond that was written.
    WrongLength,
    /// It ended, and is something else.
    Differs {
        got: Sha256,
    },
}

impl Sha256 {
    pub fn of(bytes: &[u8]) -> Self {
        Self::from_digest(digest::digest(&digest::SHA256, bytes))
    }

    /// The first 16 digits: enough to keep versions apart in a directory's name.
    pub fn short(self) -> String {
        let mut text = self.to_string();
        text.truncate(16);
        text
    }

    fn from_digest(digest: digest::Digest) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.as_ref());
        Self(bytes)
    }
}

impl Pin {
    pub fn of(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.len() as u64,
            sha256: Sha256::of(bytes),
        }
    }

    /// Copies `from` to its end into `into`, and succeeds only if it was exactly the pinned content.
    /// `copied` hears the bytes so far, after each block.
    pub fn copy(
        &self,
        mut from: impl Read,
        mut into: impl Write,
        copied: &mut dyn FnMut(u64),
    ) -> Result<(), CopyError> {
        let mut digest = digest::Context::new(&digest::SHA256);
        let mut block = vec![0; 256 << 10];
        let mut total = 0;
        loop {
            let read = match from.read(&mut block) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(CopyError::Read(error)),
            };
            total += read as u64;
            if total > self.bytes {
                return Err(CopyError::WrongLength);
            }
            digest.update(&block[..read]);
            into.write_all(&block[..read]).map_err(CopyError::Write)?;
            copied(total);
        }
        into.flush().map_err(CopyError::Write)?;
        let got = Sha256::from_digest(digest.finish());
        if got != self.sha256 {
            return Err(CopyError::Differs { got });
        }
        if total != self.bytes {
            return Err(CopyError::WrongLength);
        }
        Ok(())
    }
}

impl FromStr for Sha256 {
    type Err = MalformedSha256;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = || MalformedSha256(text.chars().take(80).collect());
        if text.len() != 64 || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(malformed());
        }
        let mut bytes = [0; 32];
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).map_err(|_| malformed())?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| malformed())?;
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Sha256 {
    type Error = MalformedSha256;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Sha256> for String {
    fn from(sha256: Sha256) -> Self {
        sha256.to_string()
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_digest_reads_back_as_it_was_written() {
        assert_eq!(Sha256::of(b"abc").to_string(), ABC);
        assert_eq!(ABC.parse(), Ok(Sha256::of(b"abc")));
        assert_eq!(Sha256::of(b"abc").short(), "ba7816bf8f01cfea");
    }

    #[test]
    fn a_malformed_digest_is_quoted() {
        for bad in [
            "",
            "ba78",
            &ABC.to_uppercase(),
            &format!("{ABC}0"),
            &"\u{e9}".repeat(32),
        ] {
            let error = bad.parse::<Sha256>().unwrap_err().to_string();
            assert!(error.contains("64 hexadecimal digits"), "{error}");
        }
    }

    #[test]
    fn a_copy_stops_at_the_pinned_length() {
        let pin = Pin::of(b"abc");
        let mut written = Vec::new();
        let outcome = pin.copy(io::repeat(b'a'), &mut written, &mut |_| ());
        assert!(matches!(outcome, Err(CopyError::WrongLength)));
        assert!(written.is_empty());
    }

    #[test]
    fn a_pin_of_another_length_is_refused_although_its_digest_is_right() {
        let pin = Pin {
            bytes: 4,
            ..Pin::of(b"abc")
        };
        let outcome = pin.copy(&b"abc"[..], io::sink(), &mut |_| ());
        assert!(matches!(outcome, Err(CopyError::WrongLength)));
    }

    #[test]
    fn a_copy_of_other_content_says_what_it_got() {
        let outcome = Pin::of(b"abc").copy(&b"abd"[..], io::sink(), &mut |_| ());
        let Err(CopyError::Differs { got }) = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(got, Sha256::of(b"abd"));
        assert!(
            Pin::of(b"abc")
                .copy(&b"ab"[..], io::sink(), &mut |_| ())
                .is_err()
        );
        assert!(
            Pin::of(b"abc")
                .copy(&b"abc"[..], io::sink(), &mut |_| ())
                .is_ok()
        );
    }
}
