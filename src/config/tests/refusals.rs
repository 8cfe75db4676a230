//! What is refused, and in which words.

use std::os::unix::ffi::OsStringExt;

use super::*;

#[test]
fn an_unknown_key_is_refused_with_the_closest_known_one() {
    for (text, unknown, closest) in [
        ("lisen = 1", "lisen", "listen"),
        (
            "memory_bytes_max = 1",
            "memory_bytes_max",
            "limits.memory_bytes_max",
        ),
        (
            "[limits]\nmemory_byte_max = 1",
            "limits.memory_byte_max",
            "limits.memory_bytes_max",
        ),
        ("[limit]\ndrain = '1s'", "limit", "listen"),
        ("[tls]\ncertificate = 'x'", "tls.certificate", "tls.cert"),
        ("[limits]\nsecret = 'x'", "limits.secret", "jwt.secret"),
        ("[limits.tls]\ncert = 'x'", "limits.tls", "listen"),
    ] {
        let refused = Machine::new().file(text).refused();
        assert!(refused.starts_with(FILE), "{refused}");
        assert!(
            refused.contains(&format!("unknown key {unknown:?};")),
            "{refused}"
        );
        if unknown != "limits.tls" {
            assert!(refused.ends_with(&format!(" {closest}")), "{refused}");
        }
    }
}

#[test]
fn a_value_of_the_wrong_shape_is_refused_by_its_key() {
    for (text, expected) in [
        ("limits = 3", "limits must be a table"),
        ("listen = {}", "listen must be a string or a number"),
        (
            "listen = ['127.0.0.1:1']",
            "listen must be a string or a number",
        ),
        ("listen = 1979-05-27", "listen must be a string or a number"),
        ("spares = true", "spares must be a string or a number"),
        (
            "insecure_listen = 1",
            "insecure_listen must be true or false",
        ),
        ("data_dir = 5", "data_dir must be a string"),
        ("jwt.secret = 5", "jwt.secret must be a string"),
        (
            "jwt.audience = 5",
            "jwt.audience must be an array of strings",
        ),
        (
            "jwt.audience = ['a,b']",
            "an array of strings without commas",
        ),
        ("jwt.audience = [1]", "an array of strings without commas"),
        (
            "config = 'x'",
            "names this file and cannot be set in it; use WEIR_CONFIG or --config",
        ),
    ] {
        let refused = Machine::new().file(text).refused();
        assert!(
            refused.starts_with(FILE) && refused.contains(expected),
            "{refused}"
        );
    }
}

#[test]
fn a_bad_value_is_refused_with_its_place_its_rule_and_the_way_out() {
    for (name, value, message) in [
        (
            "WEIR_MESSAGE_BYTES_MAX",
            "4 potatoes",
            r#"WEIR_MESSAGE_BYTES_MAX: "4 potatoes" is not a size from 1KiB to 64MiB; give bytes or a unit such as 4MiB"#,
        ),
        (
            "WEIR_HEARTBEAT",
            "20",
            r#"WEIR_HEARTBEAT: "20" is not a duration from 1s to 1h; give a number with its unit, such as 20s, 5m or 7d"#,
        ),
        (
            "WEIR_TIMEOUT_SECONDS_DEFAULT",
            "61",
            r#"WEIR_TIMEOUT_SECONDS_DEFAULT: "61" is not a number of seconds from 1 to 60; give a number such as 30 or 2.5, or a duration such as 45s"#,
        ),
        (
            "WEIR_QUEUE_TURNS_MAX",
            "0",
            r#"WEIR_QUEUE_TURNS_MAX: "0" is not a whole number from 1 to 10000; give digits only"#,
        ),
        (
            "WEIR_METERING",
            "fuel",
            r#"WEIR_METERING: "fuel" is not fuel+epoch or epoch; give one of these names"#,
        ),
        (
            "WEIR_LISTEN",
            "localhost",
            r#"WEIR_LISTEN: "localhost" is not an IP address and a port; give them as 127.0.0.1:8080, [::1]:8080, or 0.0.0.0:8080 for every interface"#,
        ),
        (
            "WEIR_JWT_ALGORITHMS",
            "none",
            r#"WEIR_JWT_ALGORITHMS: "none" is not a list with commas, each HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384 or EdDSA; give one of these names"#,
        ),
        (
            "WEIR_GUEST_THREADS",
            "0",
            r#"WEIR_GUEST_THREADS: "0" is not a whole number from 1 to 1024, or the word cores; give digits only"#,
        ),
        (
            "WASI_MEMORY_LIMIT_MB",
            "lots",
            r#"WASI_MEMORY_LIMIT_MB (for WEIR_MEMORY_BYTES_MAX): "lots" is not a size from 1MiB to 4GiB; give a plain number, which counts MiB"#,
        ),
    ] {
        assert_eq!(Machine::new().env(name, value).refused(), message);
    }
}

#[test]
fn the_place_of_a_bad_value_is_its_file_or_its_flag() {
    let refused = Machine::new().file("limits.drain = 'soon'").refused();
    assert!(
        refused.starts_with("/etc/weir/weir.toml: limits.drain: \"soon\""),
        "{refused}"
    );
    let refused = Machine::new().args(&["--drain", "soon"]).refused();
    assert!(refused.starts_with("--drain: \"soon\""), "{refused}");
}

#[test]
fn a_bad_value_is_refused_even_where_a_later_layer_hides_it() {
    let refused = Machine::new()
        .file("spares = -1")
        .args(&["--spares", "1"])
        .refused();
    assert!(refused.contains("spares: \"-1\""), "{refused}");
}

#[test]
fn a_value_that_is_not_text_is_quoted_as_far_as_it_is() {
    let raw = OsString::from_vec(vec![b'4', 0xff]);
    let refused = Machine::new().env("WEIR_SPARES", raw).refused();
    assert!(
        refused.starts_with("WEIR_SPARES: \"4\u{fffd}\""),
        "{refused}"
    );
    let refused = Machine::new()
        .env("WEIR_SPARES", "x".repeat(10_000))
        .refused();
    assert!(refused.len() < 300, "{refused}");
}

#[test]
fn settings_that_contradict_one_another_are_refused() {
    for (given, message) in [
        (
            &[("WEIR_TLS_CERT", "/c")][..],
            "tls.cert = /c (WEIR_TLS_CERT), tls.key = unset (default): a certificate and its key come together; set both or neither",
        ),
        (&[("WEIR_TLS_KEY", "/k")], "set both or neither"),
        (
            &[("WEIR_LISTEN", "0.0.0.0:80")],
            "listen = 0.0.0.0:80 (WEIR_LISTEN), jwt.secret = unset (default)",
        ),
        (
            &[("WEIR_LISTEN", "[::]:80")],
            "insist with --insecure-listen",
        ),
        (
            &[
                ("WEIR_LISTEN", "10.0.0.1:80"),
                ("WEIR_JWT_SECRET", SECRET),
                ("WEIR_COMPAT_OPEN", "1"),
            ],
            "compat.open = true (WEIR_COMPAT_OPEN), listen = 10.0.0.1:80",
        ),
        (
            &[
                ("WEIR_LISTEN", "10.0.0.1:80"),
                ("WEIR_INSECURE_LISTEN", "1"),
                ("WEIR_COMPAT_OPEN", "1"),
            ],
            "turn compat.open off",
        ),
        (
            &[("WEIR_JWT_ALGORITHMS", "ES256")],
            "no token could be verified",
        ),
        (
            &[
                ("WEIR_JWT_ALGORITHMS", "ES256"),
                ("WEIR_JWT_SECRET", SECRET),
            ],
            "no token could be verified",
        ),
        (
            &[
                ("WEIR_JWT_ALGORITHMS", "HS384,HS512"),
                ("WEIR_JWT_SECRET", SECRET),
            ],
            "no token could be verified",
        ),
        (
            &[("WEIR_JWT_ALGORITHMS", "HS256"), ("WEIR_JWT_KEYS", "/keys")],
            "no token could be verified",
        ),
        (
            &[("WEIR_FILE_BYTES_MAX", "65MiB")],
            "limits.file_bytes_max = 65MiB (WEIR_FILE_BYTES_MAX), limits.files_bytes_max = 64MiB (default): one file may not",
        ),
        (
            &[("WEIR_JOURNAL_BYTES_MAX", "4MiB")],
            "limits.writer_lead_bytes_max = 8MiB",
        ),
        (
            &[("WEIR_JOURNAL_BYTES_MAX", "32MiB")],
            "limits.unread_bytes_max = 64MiB",
        ),
        (&[("WEIR_SESSION_IDLE", "8d")], "end before it could rest"),
    ] {
        let machine = given.iter().fold(Machine::new(), |machine, (name, value)| {
            machine.env(name, value)
        });
        let refused = machine.refused();
        assert!(refused.contains(message), "{refused}");
    }
}

#[test]
fn beyond_loopback_a_key_or_tls_or_the_operators_word_suffices() {
    for given in [
        &[("WEIR_JWT_SECRET", SECRET)][..],
        &[("WEIR_JWT_KEYS", "/keys.json")],
        &[("WEIR_TLS_CERT", "/c"), ("WEIR_TLS_KEY", "/k")],
        &[("WEIR_INSECURE_LISTEN", "true")],
    ] {
        let machine = Machine::new().env("WEIR_LISTEN", "0.0.0.0:8080");
        given
            .iter()
            .fold(machine, |machine, (name, value)| machine.env(name, value))
            .loaded();
    }
}

#[test]
fn a_file_that_is_not_toml_is_refused_by_line() {
    let refused = Machine::new()
        .file("spares = 1\n\nlisten = nonsense\n")
        .refused();
    assert!(
        refused.starts_with("/etc/weir/weir.toml line 3: "),
        "{refused}"
    );
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let refused = Machine::new().env("WEIR_CONFIG", "/gone.toml").refused();
    assert_eq!(
        refused,
        "cannot read the settings file /gone.toml (WEIR_CONFIG)"
    );
}

#[test]
fn without_a_home_the_data_directory_must_be_named() {
    let refused = Machine::default().refused();
    assert!(refused.contains("set WEIR_DATA_DIR"), "{refused}");
    let named = Machine::default()
        .env("WEIR_DATA_DIR", "/d")
        .env("WEIR_INTERPRETERS_DIR", "/i");
    assert_eq!(named.loaded().0.data_dir, Path::new("/d"));
}
