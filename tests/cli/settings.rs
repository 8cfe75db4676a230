//! Help, settings, and what stands before anything runs.

use crate::program::{ended, weir, weir_at};

const COMMANDS: [&str; 8] = [
    "serve",
    "connect",
    "run",
    "setup",
    "token",
    "config",
    "interpreters",
    "doctor",
];

#[test]
fn every_command_has_help_that_teaches() {
    let top = ended(&mut weir(["--help"]), "");
    assert_eq!(top.code, Some(0));
    for command in COMMANDS {
        assert!(top.stdout.contains(&format!("\n  {command} ")), "{command}");
        let help = ended(&mut weir([command, "--help"]), "");
        assert_eq!(help.code, Some(0), "{command}: {help:?}");
        assert!(help.stderr.is_empty(), "{command}: {help:?}");
    }
    for command in ["serve", "connect", "run", "setup", "token", "config"] {
        let help = ended(&mut weir([command, "--help"]), "").stdout;
        assert!(help.contains(&format!("weir {command}")), "{command}");
        assert!(help.contains("Examples:"), "{command}");
    }
}

#[test]
fn only_serve_lists_every_setting_and_all_commands_accept_them() {
    let home = tempfile::tempdir().unwrap();
    let serve = ended(&mut weir_at(home.path(), ["serve", "--help"]), "").stdout;
    assert!(serve.contains("--session-idle"));
    let config = ended(&mut weir_at(home.path(), ["config", "--help"]), "").stdout;
    assert!(!config.contains("--session-idle"));
    let shown = ended(
        &mut weir_at(home.path(), ["config", "--session-idle", "7m"]),
        "",
    );
    assert!(shown.stdout.contains("--session-idle"), "{shown:?}");
}

#[test]
fn help_shows_what_is_in_force_and_who_said_so() {
    let home = tempfile::tempdir().unwrap();
    let mut command = weir_at(home.path(), ["serve", "--help"]);
    let help = ended(command.env("WEIR_LISTEN", "127.0.0.9:99"), "").stdout;
    let help: Vec<_> = help.split_whitespace().collect();
    assert!(
        help.join(" ")
            .contains("[now: 127.0.0.9:99, from WEIR_LISTEN]")
    );
    // Even where a setting is broken, help is what one needs.
    let mut command = weir_at(home.path(), ["serve", "--help"]);
    let help = ended(command.env("WEIR_LISTEN", "nonsense"), "");
    assert_eq!(help.code, Some(0), "{help:?}");
}

#[test]
fn a_setting_that_cannot_be_is_one_line_and_a_usage_error() {
    let home = tempfile::tempdir().unwrap();
    for command in ["serve", "config", "setup", "doctor"] {
        let mut command = weir_at(home.path(), [command]);
        let refused = ended(command.env("WEIR_LISTEN", "nonsense"), "");
        refused.expect_failure(2, "WEIR_LISTEN: \"nonsense\" is not");
    }
    let mut command = weir_at(home.path(), ["serve", "--listen", "0.0.0.0:0"]);
    ended(&mut command, "").expect_failure(2, "insist with --insecure-listen");
    let mut command = weir_at(home.path(), ["serve", "--log", "a=b=c"]);
    ended(&mut command, "").expect_failure(2, "is not a tracing filter");
}

#[test]
fn a_command_that_listens_nowhere_does_not_ask_whether_listening_is_safe() {
    let home = tempfile::tempdir().unwrap();
    let mut command = weir_at(home.path(), ["interpreters", "--listen", "0.0.0.0:0"]);
    let listed = ended(&mut command, "");
    assert_eq!(listed.code, Some(0), "{listed:?}");
}

#[test]
fn what_clap_refuses_is_a_usage_error() {
    for args in [&["bogus"][..], &["serve", "--bogus"], &["token"], &["run"]] {
        let refused = ended(&mut weir(args), "");
        assert_eq!(refused.code, Some(2), "{args:?}: {refused:?}");
        assert!(refused.stdout.is_empty(), "{args:?}: {refused:?}");
    }
}

#[test]
fn config_is_for_people_programs_and_the_documentation() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("weir.toml");
    std::fs::write(&file, "drain = \"7s\"\n[limits]\nqueue_turns_max = 9\n").unwrap();
    let refused = ended(
        weir_at(home.path(), ["config"]).env("WEIR_CONFIG", &file),
        "",
    );
    refused.expect_failure(2, "unknown key \"drain\"");

    std::fs::write(&file, "[limits]\nqueue_turns_max = 9\n").unwrap();
    let mut people = weir_at(home.path(), ["config", "--spares", "1"]);
    let people = ended(people.env("WEIR_CONFIG", &file), "").stdout;
    let row = |key: &str| people.lines().find(|line| line.starts_with(key)).unwrap();
    assert!(row("limits.queue_turns_max").contains(file.to_str().unwrap()));
    assert!(row("spares").ends_with("--spares"));

    let mut programs = weir_at(home.path(), ["config", "--json"]);
    programs.env("WEIR_JWT_SECRET", "a secret that nobody may ever see, ever");
    let programs = ended(&mut programs, "").stdout;
    let json: serde_json::Value = serde_json::from_str(&programs).unwrap();
    assert_eq!(json["listen"]["value"], "127.0.0.1:8080");
    assert_eq!(json["jwt.secret"]["source"]["kind"], "environment");
    assert!(!programs.contains("nobody may ever see"));

    let page = ended(&mut weir_at(home.path(), ["config", "--markdown"]), "").stdout;
    assert_eq!(page, weir::config::page());
}

#[test]
fn a_reader_that_goes_away_is_no_reason_to_panic() {
    let home = tempfile::tempdir().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = weir_at(home.path(), ["config"])
        .stdout(writer)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(141));
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[test]
fn doctor_says_what_to_do_and_changes_nothing() {
    let home = tempfile::tempdir().unwrap();
    let mut command = weir_at(home.path(), ["doctor", "--listen", "127.0.0.1:0"]);
    let report = ended(&mut command, "");
    for line in report.stdout.lines() {
        let verdict = line.split_whitespace().next();
        assert!(
            matches!(verdict, Some("ok" | "warn" | "fail")),
            "{line:?} in {report:?}"
        );
    }
    for word in ["kernel", "memory", "descriptors", "weir setup python"] {
        assert!(report.stdout.contains(word), "{word} in {report:?}");
    }
    let left: Vec<_> = std::fs::read_dir(home.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn doctor_fails_where_nothing_could_be_fetched() {
    let home = tempfile::tempdir().unwrap();
    let mut command = weir_at(home.path(), ["doctor", "--listen", "127.0.0.1:0"]);
    let report = ended(command.env("PATH", home.path()), "");
    assert_eq!(report.code, Some(1), "{report:?}");
    assert!(report.stdout.contains("fail  pip: not found"), "{report:?}");
}

#[test]
fn setup_without_a_registry_client_says_what_to_install() {
    let home = tempfile::tempdir().unwrap();
    let mut command = weir_at(home.path(), ["setup"]);
    let failed = ended(command.env("PATH", home.path()), "");
    assert_eq!(failed.code, Some(1), "{failed:?}");
    let last = failed.stderr.lines().last().unwrap();
    assert!(last.contains("needs pip"), "{failed:?}");
    let mut command = weir_at(home.path(), ["setup", "cobol"]);
    ended(&mut command, "")
        .expect_failure(2, "there is no interpreter \"cobol\"; there are python");
}
