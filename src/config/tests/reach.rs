//! Every row of the table, from every source.

use super::*;

/// For each setting: a value other than its default, as text, with what else it needs to stand.
fn sample(setting: &Setting) -> (&'static str, &'static [(&'static str, &'static str)]) {
    match setting.name {
        "config" => (FILE, &[]),
        "listen" => ("[::1]:9000", &[]),
        "insecure-listen" | "compat-open" => ("true", &[]),
        "allowed-origins" => ("https://a.example,https://b.example", &[]),
        "durability" => ("power", &[]),
        "metering" => ("epoch", &[]),
        "log" => ("weir=debug", &[]),
        "log-format" => ("json", &[]),
        "jwt-secret" => (SECRET, &[]),
        "jwt-algorithms" => ("HS256,EdDSA", &[]),
        "jwt-audience" | "jwt-issuer" => ("one,two", &[]),
        "tls-cert" => ("/tls/cert.pem", &[("WEIR_TLS_KEY", "/tls/key.pem")]),
        "tls-key" => ("/tls/key.pem", &[("WEIR_TLS_CERT", "/tls/cert.pem")]),
        "data-dir" | "import-policy" | "jwt-keys" | "interpreters-dir" | "python-wasm-path" => {
            ("/srv/there", &[])
        }
        "timeout-seconds-default" | "compat-run-code-timeout-seconds" => ("12.5", &[]),
        "stdin-wait" | "heartbeat" | "drain" | "session-idle" => ("7m", &[]),
        "session-untouched" => ("2d", &[]),
        "file-bytes-max" | "event-bytes-max" => ("3KiB", &[]),
        "journal-bytes-max" => ("65MiB", &[]),
        name if name.contains("bytes") => ("63MiB", &[]),
        _ => ("9", &[]),
    }
}

/// `value` as the file writes it: lists as arrays, the rest as strings.
fn in_toml(setting: &Setting, value: &str) -> String {
    let value = match value.split_once(',') {
        Some((one, other)) if setting.name != "jwt-secret" => format!("[{one:?}, {other:?}]"),
        _ => format!("{value:?}"),
    };
    format!("{} = {value}\n", setting.key())
}

fn with_needs(needs: &[(&str, &str)]) -> Machine {
    needs.iter().fold(Machine::new(), |machine, (name, value)| {
        machine.env(name, value)
    })
}

fn expect_value(setting: &Setting, machine: &Machine, source: &Source) {
    let (_, provenance) = machine.loaded();
    let row = provenance
        .row(setting.name)
        .expect("every setting has a row");
    let (value, _) = sample(setting);
    match setting.name {
        "jwt-secret" => assert_eq!(row.shown(), "set (43 bytes)"),
        _ => assert_eq!(row.shown(), value, "{}", setting.name),
    }
    assert_eq!(&row.source, source, "{}", setting.name);
}

#[test]
fn no_two_settings_share_a_name() {
    let mut names: Vec<_> = SETTINGS
        .iter()
        .flat_map(|s| [s.key(), s.env(), s.name.to_owned() + "-"])
        .collect();
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all);
}

#[test]
fn the_names_that_the_contract_fixes_are_there() {
    for (env, key) in [
        ("WEIR_LISTEN", "listen"),
        ("WEIR_DATA_DIR", "data_dir"),
        ("WEIR_CONFIG", "config"),
        ("WEIR_JWT_SECRET", "jwt.secret"),
        ("WEIR_JWT_KEYS", "jwt.keys"),
        ("WEIR_JWT_ALGORITHMS", "jwt.algorithms"),
        ("WEIR_JWT_AUDIENCE", "jwt.audience"),
        ("WEIR_JWT_ISSUER", "jwt.issuer"),
        ("WEIR_ALLOWED_ORIGINS", "allowed_origins"),
        ("WEIR_METERING", "metering"),
        ("WEIR_DURABILITY", "durability"),
        ("WEIR_IMPORT_POLICY", "import_policy"),
        ("WEIR_INTERPRETERS_DIR", "interpreters.dir"),
        ("WEIR_TLS_CERT", "tls.cert"),
        ("WEIR_TLS_KEY", "tls.key"),
        ("WEIR_LOG", "log"),
        ("WEIR_LOG_FORMAT", "log_format"),
        ("WEIR_GUEST_THREADS", "guest_threads"),
        ("WEIR_SPARES", "spares"),
        ("WEIR_COMPAT_OPEN", "compat.open"),
        ("WEIR_INSECURE_LISTEN", "insecure_listen"),
        ("WEIR_MEMORY_BYTES_MAX", "limits.memory_bytes_max"),
    ] {
        assert!(
            SETTINGS.iter().any(|s| s.env() == env && s.key() == key),
            "{env} {key}"
        );
    }
}

#[test]
fn every_limit_has_a_setting_of_its_name() {
    // The debug form of a struct names each field once.
    let limits = format!("{:#?}", crate::limits::Limits::default());
    let fields = limits.lines().filter_map(|line| line.strip_prefix("    "));
    let fields: Vec<_> = fields
        .filter_map(|line| line.split_once(": "))
        .map(|(name, _)| name)
        .collect();
    let settings: Vec<_> = SETTINGS
        .iter()
        .filter(|s| s.section == Section::Limits)
        .map(Setting::key)
        .collect();
    assert_eq!(fields.len(), settings.len());
    for field in fields {
        assert!(settings.contains(&format!("limits.{field}")), "{field}");
    }
}

#[test]
fn every_default_is_one_that_its_own_setting_accepts() {
    let (config, provenance) = Machine::new().loaded();
    for row in provenance.rows() {
        assert_eq!(row.source, Source::Default, "{}", row.setting.name);
        if let Some(value) = &row.value {
            let mut again = config.clone();
            let filled = row.setting.slot.fill(&mut again, value.as_ref());
            assert!(filled.is_ok(), "{} = {value}", row.setting.name);
            assert_eq!(row.setting.show(&again), row.value);
        }
    }
}

#[test]
fn every_setting_is_reached_from_the_environment() {
    for setting in SETTINGS {
        let (value, needs) = sample(setting);
        let mut machine = with_needs(needs).env(&setting.env(), value);
        machine.files.insert(FILE.into(), String::new());
        expect_value(setting, &machine, &Source::Environment(setting.env()));
    }
}

#[test]
fn every_setting_is_reached_from_a_flag() {
    for setting in SETTINGS {
        let (value, needs) = sample(setting);
        let arg = format!("--{}={value}", setting.name);
        let mut machine = with_needs(needs).args(&[&arg]);
        machine.files.insert(FILE.into(), String::new());
        expect_value(setting, &machine, &Source::Flag(setting.name));
    }
}

#[test]
fn every_setting_but_its_own_name_is_reached_from_the_file() {
    for setting in SETTINGS.iter().filter(|setting| setting.in_file()) {
        let (value, needs) = sample(setting);
        let machine = with_needs(needs).file(in_toml(setting, value));
        expect_value(setting, &machine, &Source::File(FILE.into()));
    }
}
