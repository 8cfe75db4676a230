//! What is shown, and what never is.

use super::*;

#[test]
fn a_secret_is_never_shown() {
    let (config, provenance) = Machine::new().env("WEIR_JWT_SECRET", SECRET).loaded();
    let by_flag = Machine::new().args(&["--jwt-secret", SECRET]);
    let help = provenance
        .annotate(Flags::augment_args(Command::new("serve")))
        .render_help();
    let short = &SECRET[..20];
    let shown = [
        format!("{config:?} {config:#?}"),
        format!("{provenance:?} {provenance}"),
        provenance.json().to_string(),
        help.to_string(),
        format!("{:?}", by_flag.flags),
        Machine::new().env("WEIR_JWT_SECRET", short).refused(),
        Machine::new().args(&["--jwt-secret", short]).refused(),
        Machine::new()
            .file(format!("jwt.secret = '{short}'"))
            .refused(),
        Machine::new()
            .file(format!("jwt.secret = ['{SECRET}']"))
            .refused(),
        Machine::new()
            .file(format!("jwt.secret = '{SECRET}"))
            .refused(),
        Machine::new()
            .file(format!("jwt.secret = {SECRET}"))
            .refused(),
        Machine::new()
            .file(format!("jwt.secret = \"\\{SECRET}\""))
            .refused(),
    ];
    for text in shown {
        assert!(
            !text.contains("correct") && !text.contains("horse"),
            "{text}"
        );
    }
    assert!(provenance.to_string().contains("set (43 bytes)"));
    let refused = Machine::new().env("WEIR_JWT_SECRET", short).refused();
    assert_eq!(
        refused,
        "WEIR_JWT_SECRET: a value of 20 bytes (not shown) is not at least 32 bytes; make one with `openssl rand -hex 32`"
    );
}

#[test]
fn help_names_every_setting_with_its_value_and_source() {
    let (_, provenance) = Machine::new()
        .file("spares = 9")
        .env("WEIR_METERING", "epoch")
        .args(&["--drain", "1m"])
        .loaded();
    let command = Flags::augment_args(Command::new("serve")).term_width(10_000);
    let plain = command.clone().render_help().to_string();
    let annotated = provenance.annotate(command).render_help().to_string();
    for row in provenance.rows() {
        for help in [&plain, &annotated] {
            let flag = format!("--{}", row.setting.name);
            let line = help
                .split("\n      ")
                .find(|line| line.split([' ', '[', '=']).next() == Some(&flag));
            let line = line.unwrap_or_else(|| panic!("{flag} is missing in {help}"));
            assert!(
                line.contains(row.setting.help) && line.contains(&row.setting.env()),
                "{line}"
            );
            assert!(line.contains(&row.setting.rule()), "{line}");
        }
    }
    assert!(
        annotated.contains("[now: 9, from /etc/weir/weir.toml]"),
        "{annotated}"
    );
    assert!(
        annotated.contains("[now: epoch, from WEIR_METERING]"),
        "{annotated}"
    );
    assert!(annotated.contains("[now: 1m, from --drain]"), "{annotated}");
    assert!(
        annotated.contains("[default: /home/ada/.local/share/weir]"),
        "{annotated}"
    );
}

#[test]
fn the_table_for_people_and_the_one_for_programs_have_every_setting() {
    let (_, provenance) = Machine::new().env("WASI_MEMORY_LIMIT_MB", "256").loaded();
    let shown = provenance.to_string();
    let json = provenance.json();
    for setting in SETTINGS {
        assert!(
            shown
                .lines()
                .any(|line| line.split_whitespace().next() == Some(&setting.key()))
        );
        assert!(json.get(setting.key()).is_some(), "{}", setting.name);
    }
    let entry = &json["limits.memory_bytes_max"];
    assert_eq!(entry["value"], "256MiB");
    assert_eq!(
        entry["source"],
        serde_json::json!({"kind": "environment", "name": "WASI_MEMORY_LIMIT_MB"})
    );
    assert_eq!(json["jwt.secret"]["value"], serde_json::Value::Null);
}
