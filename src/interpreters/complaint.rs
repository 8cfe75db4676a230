//! What a client says when it fails, and what that means for the user.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::process::ExitStatus;

use super::catalogue::Source;
use super::digest::Pin;
use super::error::{Deed, FetchError};

/// How much of a client's complaints is read.
const COMPLAINT_BYTES_MAX: u64 = 64 << 10;

/// What a client's failure means for the user, from what it wrote.
pub(super) fn explain(
    wanted: &Source,
    client: &'static str,
    status: ExitStatus,
    pin: &Pin,
    complaints: &str,
    scratch: &Path,
) -> FetchError {
    let says = |signs: &[&str]| signs.iter().any(|sign| complaints.contains(sign));
    let wanted = wanted.to_string();
    if says(&[
        "No space left on device",
        "ENOSPC",
        "Disk quota exceeded",
        "EDQUOT",
    ]) {
        let source = io::Error::from(io::ErrorKind::StorageFull);
        return FetchError::io(Deed::Write, scratch)(source);
    }
    if says(&["DO NOT MATCH THE HASHES"]) {
        let got = complaints
            .lines()
            .find_map(|line| line.trim().strip_prefix("Got "));
        return FetchError::WrongHash {
            name: wanted,
            expected: pin.sha256,
            got: got.map_or("another", str::trim).to_owned(),
        };
    }
    // pip retries before it says that there is no such package, which then is not what is wrong.
    let unreachable = [
        "Retrying (",
        "ENOTFOUND",
        "EAI_AGAIN",
        "ECONNREFUSED",
        "ECONNRESET",
        "ETIMEDOUT",
    ];
    if says(&unreachable) {
        let said = sentence(complaints, &unreachable);
        return FetchError::Unreachable {
            wanted,
            client,
            said,
        };
    }
    let absent = [
        "No matching distribution found",
        "No matching version found",
        "404 Not Found",
    ];
    if says(&absent) {
        let said = sentence(complaints, &absent);
        return FetchError::NotFound {
            wanted,
            client,
            said,
        };
    }
    FetchError::ClientFailed {
        wanted,
        client,
        status: status.to_string(),
        said: sentence(complaints, &[]),
    }
}

/// The last line with one of these signs, else the last that says anything.
fn sentence(complaints: &str, signs: &[&str]) -> String {
    let mut lines = complaints.lines().map(str::trim).rev().filter(|line| {
        // npm's last words are always where its own log lies, in a directory that is removed.
        !line.is_empty() && !line.contains("A complete log of this run")
    });
    let last = lines.clone().next();
    let signed = lines.find(|line| signs.iter().any(|sign| line.contains(sign)));
    let line = signed.or(last).unwrap_or("nothing");
    line.chars().take(300).collect()
}

/// The last part of what a client wrote.
pub(super) fn read_end(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let bytes = file.metadata()?.len();
    file.seek(SeekFrom::Start(bytes.saturating_sub(COMPLAINT_BYTES_MAX)))?;
    let mut end = Vec::new();
    file.take(COMPLAINT_BYTES_MAX).read_to_end(&mut end)?;
    Ok(String::from_utf8_lossy(&end).into_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;
    use crate::interpreters::fixture::text;
    use crate::interpreters::{Registry, Sha256};

    fn explained(complaints: &str) -> String {
        let wanted = Source {
            registry: Registry::Pypi,
            package: text("sample"),
            version: text("1.0"),
        };
        let status = ExitStatus::from_raw(1 << 8);
        let scratch = std::env::temp_dir();
        explain(
            &wanted,
            "pip",
            status,
            &Pin::of(b"abc"),
            complaints,
            &scratch,
        )
        .explained(&scratch, 1)
        .to_string()
    }

    #[test]
    fn a_client_s_complaint_becomes_one_clear_line() {
        let cases = [
            (
                "ERROR: Could not find a version\nERROR: No matching distribution found for sample==1.0\n\n",
                "sample 1.0 from PyPI was not found: pip says: ERROR: No matching distribution found",
            ),
            (
                "WARNING: Retrying (Retry(total=0)) after connection broken: refused\nERROR: No matching distribution found for x\n",
                "cannot reach the registry for sample 1.0 from PyPI; check the network and the proxy settings: pip says: WARNING: Retrying",
            ),
            (
                "npm error code ETARGET\nnpm error notarget No matching version found for x@9.\nnpm error A complete log of this run can be found in: /x\n",
                "sample 1.0 from PyPI was not found: pip says: npm error notarget No matching version",
            ),
            (
                "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.\n  Expected sha256 aa\n       Got        bb\n",
                "got bb;",
            ),
            (
                "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\n",
                "not enough disk space in ",
            ),
            (
                "boom\n\n",
                "pip could not fetch sample 1.0 from PyPI (exit status: 1): boom",
            ),
            ("", "(exit status: 1): nothing"),
        ];
        for (complaints, expected) in cases {
            let error = explained(complaints);
            assert!(error.contains(expected) && !error.contains('\n'), "{error}");
        }
        assert!(
            explained("THESE DO NOT MATCH THE HASHES").contains(&Sha256::of(b"abc").to_string())
        );
    }
}
