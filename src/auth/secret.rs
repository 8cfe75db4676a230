//! The shared secret that signs and verifies the gateway's own tokens (HS256).

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The fewest bytes of a secret: HS256's own size (RFC 7518, 3.2).
pub const SECRET_BYTES_MIN: usize = 32;

/// A secret file longer than this is some other file.
const FILE_BYTES_MAX: usize = 4 << 10;

/// At least [`SECRET_BYTES_MIN`] bytes that only the gateway and its token issuers know.
/// Its `Debug` shows none of them.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Takes the bytes as they stand: no decoding, no trimming.
    ///
    /// # Errors
    /// [`SecretError::TooShort`].
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, SecretError> {
        let bytes = bytes.into();
        if bytes.len() < SECRET_BYTES_MIN {
            return Err(SecretError::TooShort { bytes: bytes.len() });
        }
        Ok(Self(bytes))
    }

    /// Reads a secret file: its text without the newline at its end, so that the environment
    /// variable set from that file means the same secret.
    ///
    /// # Errors
    /// A file that anybody but its owner may touch is refused, as is a secret that is too short.
    pub fn load(path: &Path) -> Result<Self, SecretError> {
        let unreadable = |source| SecretError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(unreadable)?;
        // Asked of the open file, not of the path, which may name another one by now.
        let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(SecretError::Exposed {
                path: path.to_owned(),
                mode,
            });
        }
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
        if bytes.len() > FILE_BYTES_MAX {
            return Err(SecretError::TooLong {
                path: path.to_owned(),
            });
        }
        while bytes
            .last()
            .is_some_and(|last| matches!(last, b'\n' | b'\r'))
        {
            bytes.pop();
        }
        Self::new(bytes)
    }

    /// Reads the secret at `path`, or makes one there: 32 random bytes as base64url, mode 0600.
    ///
    /// The file appears whole or not at all, and of several processes that start together all end
    /// up with the same secret. The directory must exist.
    ///
    /// # Errors
    /// Those of [`Secret::load`], and [`SecretError::Uncreatable`].
    pub fn load_or_create(path: &Path) -> Result<Self, SecretError> {
        match Self::load(path) {
            Err(SecretError::Unreadable { source, .. }) if source.kind() == ErrorKind::NotFound => {
                create(path).map_err(|source| SecretError::Uncreatable {
                    path: path.to_owned(),
                    source,
                })?;
                Self::load(path)
            }
            loaded => loaded,
        }
    }

    /// How long it is, which is all that may be shown of it.
    pub fn byte_count(&self) -> usize {
        self.0.len()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

/// Why there is no secret. No message contains any of it.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error(
        "the JWT secret has {bytes} bytes and needs at least {SECRET_BYTES_MIN}; \
         `openssl rand -base64 32` prints one that fits"
    )]
    TooShort { bytes: usize },
    #[error("{path:?} has more than {FILE_BYTES_MAX} bytes: it is not a secret file")]
    TooLong { path: PathBuf },
    #[error(
        "the secret file {path:?} has mode {mode:04o}, so others may touch it; \
         after `chmod 600` it is accepted, but make a new secret if others may have read this one"
    )]
    Exposed { path: PathBuf, mode: u32 },
    #[error("cannot read the secret file {path:?}")]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("cannot create the secret file {path:?}; WEIR_JWT_SECRET spares it")]
    Uncreatable { path: PathBuf, source: io::Error },
}

/// A file under a name of its own, unlinked when dropped.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing more can be done: at worst a stray file with an unused secret stays behind.
        let _ = fs::remove_file(&self.0);
    }
}

fn create(path: &Path) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", random_text::<9>()?));
    let scratch = Scratch(name.into());
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&scratch.0)?;
    file.write_all(random_text::<SECRET_BYTES_MIN>()?.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    // A link, where a rename would replace the secret that another process has just published.
    match fs::hard_link(&scratch.0, path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    }
}

fn random_text<const BYTES: usize>() -> io::Result<String> {
    let mut bytes = [0u8; BYTES];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| io::Error::other("the system's random source failed"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::*;

    fn written(dir: &tempfile::TempDir, content: &str, mode: u32) -> PathBuf {
        let path = dir.path().join("secret");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn a_short_secret_is_refused_with_its_length_and_the_bound() {
        for bytes in [0, 1, 31] {
            let refused = Secret::new(vec![b'x'; bytes]).unwrap_err().to_string();
            assert!(refused.contains(&format!("has {bytes} bytes")), "{refused}");
            assert!(refused.contains("at least 32"), "{refused}");
        }
        assert!(Secret::new(vec![b'x'; 32]).is_ok());
    }

    #[test]
    fn a_secret_never_shows_itself() {
        let secret = Secret::new("sesame".repeat(8)).unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(redacted)");
    }

    #[test]
    fn a_made_secret_is_private_and_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        let made = Secret::load_or_create(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        assert!(made.bytes().len() >= SECRET_BYTES_MIN);
        assert_eq!(Secret::load_or_create(&path).unwrap(), made);
        assert_eq!(Secret::load(&path).unwrap(), made);
        let names: Vec<_> = fs::read_dir(dir.path()).unwrap().collect();
        assert_eq!(names.len(), 1, "nothing is left beside it: {names:?}");
    }

    #[test]
    fn gateways_that_start_together_agree_on_one_secret() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        let made: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| Secret::load_or_create(&path).unwrap()))
                .collect();
            threads
                .into_iter()
                .map(|each| each.join().unwrap())
                .collect()
        });
        assert!(made.iter().all(|each| *each == made[0]));
    }

    #[test]
    fn a_secret_file_that_others_may_touch_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for mode in [0o640, 0o604, 0o644, 0o620, 0o666, 0o777] {
            let path = written(&dir, &"x".repeat(40), mode);
            let refused = Secret::load_or_create(&path).unwrap_err();
            assert!(
                matches!(refused, SecretError::Exposed { .. }),
                "{mode:o}: {refused}"
            );
            fs::remove_file(path).unwrap();
        }
        for mode in [0o600, 0o400] {
            let path = written(&dir, &"x".repeat(40), mode);
            assert!(Secret::load_or_create(&path).is_ok(), "{mode:o}");
            fs::remove_file(path).unwrap();
        }
    }

    #[test]
    fn a_secret_file_is_its_text_without_the_last_newline() {
        let dir = tempfile::tempdir().unwrap();
        let text = "k".repeat(32);
        let path = written(&dir, &format!("{text}\r\n"), 0o600);
        assert_eq!(Secret::load(&path).unwrap().bytes(), text.as_bytes());
    }

    #[test]
    fn a_file_that_holds_no_secret_is_refused_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        for content in ["", "short", &"x".repeat(FILE_BYTES_MAX + 1)] {
            let path = written(&dir, content, 0o600);
            assert!(Secret::load_or_create(&path).is_err());
            assert_eq!(fs::read_to_string(&path).unwrap(), *content);
        }
        assert!(Secret::load_or_create(&dir.path().join("no/such/dir")).is_err());
    }
}
