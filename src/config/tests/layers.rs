//! Which source wins, and what arrives.

use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use super::*;

#[test]
fn each_layer_stands_over_the_one_before() {
    for (name, in_file, in_env, in_flag) in [
        ("listen", "\"127.0.0.1:1\"", "127.0.0.1:2", "127.0.0.1:3"),
        ("spares", "1", "2", "3"),
        ("heartbeat", "\"1s\"", "2s", "3s"),
        ("message-bytes-max", "1024", "2KiB", "3KiB"),
        ("timeout-seconds-default", "1.5", "2", "3"),
        ("compat-open", "true", "false", "true"),
        ("metering", "\"epoch\"", "fuel+epoch", "epoch"),
        ("data-dir", "\"/one\"", "/two", "/three"),
        ("jwt-audience", "[\"one\"]", "two", "three,four"),
    ] {
        let setting = table::named(name).expect("the setting exists");
        let file = Machine::new().file(format!("{} = {in_file}", setting.key()));
        let source = |machine: &Machine| {
            let (_, provenance) = machine.loaded();
            let row = provenance.row(name).expect("every setting has a row");
            (row.shown().to_owned(), row.source.clone())
        };
        assert_eq!(source(&file).1, Source::File(FILE.into()), "{name}");
        let env = file.env(&setting.env(), in_env);
        assert_eq!(
            source(&env),
            (in_env.to_owned(), Source::Environment(setting.env()))
        );
        let flag = env.args(&[&format!("--{name}={in_flag}")]);
        assert_eq!(
            source(&flag),
            (in_flag.to_owned(), Source::Flag(setting.name))
        );
    }
}

#[test]
fn values_arrive_in_their_types() {
    let (config, _) = Machine::new()
        .file(
            "listen = '[::1]:9000'\nspares = 0\nguest_threads = 3\nallowed_origins = []\n\
             [limits]\nmemory_bytes_max = '64 MB'\nheartbeat = '5m'\nfiles_max = 1_000\n\
             [jwt]\nalgorithms = ['hs256', 'EdDSA']\n",
        )
        .env("WEIR_TLS_CERT", "/c.pem")
        .env("WEIR_TLS_KEY", "/k.pem")
        .args(&["--compat-open", "--log-format", "json"])
        .loaded();
    assert_eq!(config.listen.port(), 9000);
    assert_eq!(config.spares, 0);
    assert_eq!(config.guest_threads.count().get(), 3);
    assert_eq!(config.limits.memory_bytes_max, 64_000_000);
    assert_eq!(config.limits.heartbeat, Duration::from_secs(300));
    assert_eq!(config.limits.files_max, 1000);
    assert_eq!(config.jwt.algorithms, [Algorithm::Hs256, Algorithm::EdDsa]);
    let files = config.tls.files().expect("both files are given");
    assert_eq!(
        (files.cert, files.key),
        (Path::new("/c.pem"), Path::new("/k.pem"))
    );
    assert!(config.compat.open);
    assert_eq!(config.log.format, LogFormat::Json);
}

#[test]
fn directories_follow_xdg_and_then_home() {
    let (config, _) = Machine::new().loaded();
    assert_eq!(config.data_dir, Path::new("/home/ada/.local/share/weir"));
    assert_eq!(
        config.interpreters.dir,
        Path::new("/home/ada/.cache/weir/interpreters")
    );
    let (config, _) = Machine::new()
        .env("XDG_DATA_HOME", "/data")
        .env("XDG_CACHE_HOME", "relative/is/ignored")
        .loaded();
    assert_eq!(config.data_dir, Path::new("/data/weir"));
    assert_eq!(
        config.interpreters.dir,
        Path::new("/home/ada/.cache/weir/interpreters")
    );
}

#[test]
fn a_file_in_the_data_directory_is_found_by_itself() {
    let mut machine = Machine::new().args(&["--data-dir", "/d"]);
    machine
        .files
        .insert("/d/weir.toml".into(), "spares = 7".to_owned());
    let (config, provenance) = machine.loaded();
    assert_eq!(config.spares, 7);
    assert_eq!(config.file.as_deref(), Some(Path::new("/d/weir.toml")));
    let row = provenance.row("spares").expect("every setting has a row");
    assert_eq!(row.source.to_string(), "/d/weir.toml");
}

#[test]
fn paths_in_the_file_start_at_its_directory() {
    let (config, _) = Machine::new()
        .file("import_policy = 'policy.toml'\ndata_dir = '/srv/weir'")
        .env("WEIR_JWT_KEYS", "keys.json")
        .loaded();
    assert_eq!(
        config.import_policy.as_deref(),
        Some(Path::new("/etc/weir/policy.toml"))
    );
    assert_eq!(config.data_dir, Path::new("/srv/weir"));
    assert_eq!(config.jwt.keys.as_deref(), Some(Path::new("keys.json")));
}

#[test]
fn a_variable_set_to_nothing_is_not_set() {
    let (config, provenance) = Machine::new()
        .env("WEIR_SPARES", "")
        .env("WEIR_JWT_SECRET", "")
        .loaded();
    assert_eq!(config.spares, 4);
    assert!(config.jwt.secret.is_none());
    let row = provenance.row("spares").expect("every setting has a row");
    assert_eq!(row.source, Source::Default);
}

#[test]
fn loopback_is_loopback_in_every_spelling() {
    for (listen, is_loopback) in [
        ("127.0.0.1:1", true),
        ("127.9.9.9:1", true),
        ("[::1]:1", true),
        ("[::ffff:127.0.0.1]:1", true),
        ("0.0.0.0:1", false),
        ("[::]:1", false),
        ("192.168.0.1:1", false),
    ] {
        let machine = Machine::new()
            .env("WEIR_LISTEN", listen)
            .args(&["--insecure-listen"]);
        assert_eq!(
            machine.loaded().0.listens_on_loopback(),
            is_loopback,
            "{listen}"
        );
    }
}

#[test]
fn aliases_count_in_their_own_units_and_are_named() {
    let machine = Machine::new()
        .env("PYTHON_WASI_WASM_PATH", "/opt/python.wasm")
        .env("WASI_MEMORY_LIMIT_MB", "256")
        .env("WASI_TIMEOUT_SECONDS", "10")
        .env("FAAS_TIMEOUT", "5000");
    let (config, provenance) = machine.loaded();
    let python = config.interpreters.python_wasm_path;
    assert_eq!(python.as_deref(), Some(Path::new("/opt/python.wasm")));
    assert_eq!(config.limits.memory_bytes_max, 256 << 20);
    assert_eq!(config.limits.timeout_seconds_default, 10.0);
    assert_eq!(config.compat.run_code_timeout_seconds, 5.0);
    let row = provenance
        .row("memory-bytes-max")
        .expect("every setting has a row");
    assert_eq!(row.source.to_string(), "WASI_MEMORY_LIMIT_MB");
}

#[test]
fn an_alias_stands_over_the_file_and_under_the_proper_name() {
    let machine = Machine::new()
        .file("limits.memory_bytes_max = '1GiB'")
        .env("WASI_MEMORY_LIMIT_MB", "256");
    assert_eq!(machine.loaded().0.limits.memory_bytes_max, 256 << 20);
    let machine = machine.env("WEIR_MEMORY_BYTES_MAX", "128MiB");
    assert_eq!(machine.loaded().0.limits.memory_bytes_max, 128 << 20);
}

#[test]
fn a_secret_is_its_bytes_as_they_stand() {
    let raw: Vec<u8> = (0..31).map(|n| 0xe0 + n).chain([b'\n']).collect();
    let machine = Machine::new().env("WEIR_JWT_SECRET", OsString::from_vec(raw.clone()));
    let expected = Secret::new(raw).expect("it is long enough");
    assert_eq!(machine.loaded().0.jwt.secret, Some(expected));
}
