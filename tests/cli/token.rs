//! `weir token`: what it prints is what the gateway accepts.

use std::path::Path;
use std::time::{Duration, SystemTime};

use weir::auth::{Expectations, KeySources, Keys, Principal, Scope, Secret, Verifier};

use crate::program::{Ended, ended, weir_at};

const SECRET: &str = "correct horse battery staple, and then some";

fn token(home: &Path, args: &[&str]) -> Ended {
    let mut command = weir_at(home, ["token"]);
    ended(command.args(args).env("WEIR_JWT_SECRET", SECRET), "")
}

fn verified(token: &str, secret: &Secret, expected: Expectations) -> Principal {
    let sources = KeySources {
        secret: Some(secret),
        ..KeySources::default()
    };
    let keys = Keys::load(sources).unwrap().keys;
    Verifier::new(keys, expected)
        .verify(token.trim_end(), SystemTime::now())
        .unwrap()
}

#[test]
fn a_printed_token_is_accepted_and_says_what_was_asked() {
    let home = tempfile::tempdir().unwrap();
    let secret = Secret::new(SECRET).unwrap();
    let printed = token(
        home.path(),
        &[
            "--sub",
            "alice",
            "--tenant",
            "acme",
            "--scope",
            "session",
            "--scope",
            "session:read",
            "--ttl",
            "2h",
            "--memory-mb",
            "256",
            "--timeout-seconds",
            "10",
            "--sessions",
            "5",
            "--fuel",
            "1000000",
        ],
    );
    assert_eq!(printed.code, Some(0), "{printed:?}");
    assert_eq!(printed.stdout.lines().count(), 1);
    let principal = verified(&printed.stdout, &secret, Expectations::default());
    assert_eq!(principal.owner.to_string(), "acme/alice");
    assert!(principal.scopes.contains(Scope::SessionRead));
    assert!(!principal.scopes.contains(Scope::Admin));
    assert_eq!(principal.lowered.memory_mb, Some(256));
    assert_eq!(principal.lowered.timeout_seconds, Some(10.0));
    assert_eq!(principal.lowered.sessions, Some(5));
    assert_eq!(principal.lowered.fuel, Some(1_000_000));
    let left = principal
        .expires_at
        .duration_since(SystemTime::now())
        .unwrap();
    assert!(left > Duration::from_secs(7_100) && left <= Duration::from_secs(7_200));
}

#[test]
fn a_token_names_the_configured_audience_and_issuer() {
    let home = tempfile::tempdir().unwrap();
    let args = [
        "--sub",
        "a",
        "--jwt-audience",
        "weir,other",
        "--jwt-issuer",
        "us",
    ];
    let printed = token(home.path(), &args);
    let expected = Expectations {
        audiences: vec!["weir".into()],
        issuers: vec!["us".into()],
    };
    verified(&printed.stdout, &Secret::new(SECRET).unwrap(), expected);
}

#[test]
fn without_a_secret_one_is_made_once_and_kept_private() {
    use std::os::unix::fs::PermissionsExt;

    let home = tempfile::tempdir().unwrap();
    let first = ended(&mut weir_at(home.path(), ["token", "--sub", "a"]), "");
    let second = ended(&mut weir_at(home.path(), ["token", "--sub", "b"]), "");
    let path = home.path().join(".local/share/weir/jwt-secret");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let secret = Secret::load(&path).unwrap();
    for printed in [first, second] {
        verified(&printed.stdout, &secret, Expectations::default());
    }
}

#[test]
fn a_token_that_would_be_refused_is_not_printed() {
    let home = tempfile::tempdir().unwrap();
    for (args, words) in [
        (&["--sub", ""][..], "the subject must have"),
        (&["--sub", "a", "--ttl", "0s"], "time to live"),
        (&["--sub", "a", "--timeout-seconds", "0"], "limits"),
        (
            &[
                "--sub",
                "a",
                "--jwt-algorithms",
                "EdDSA",
                "--jwt-keys",
                "/k",
            ],
            "does not list HS256",
        ),
    ] {
        let refused = token(home.path(), args);
        refused.expect_failure(2, words);
        assert!(refused.stdout.is_empty(), "{refused:?}");
    }
    let mut command = weir_at(home.path(), ["token", "--sub", "a", "--jwt-keys", "/k"]);
    ended(&mut command, "").expect_failure(2, "only verify");
    let misspelled = token(home.path(), &["--sub", "a", "--scope", "amdin"]);
    assert_eq!(misspelled.code, Some(2), "{misspelled:?}");
    assert!(misspelled.stderr.contains("\"amdin\" is not known"));
}
