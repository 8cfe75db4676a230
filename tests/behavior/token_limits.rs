//! The `weir` claim lowers limits for its bearer, and never raises one.

use serde_json::json;

use crate::support::{Gateway, User};

fn bearer(limits: serde_json::Value) -> User<'static> {
    Gateway::shared().user().with("weir", limits)
}

#[tokio::test]
async fn a_token_lowers_the_longest_timeout() {
    let mut client = bearer(json!({"timeout_seconds": 2})).connect().open().await;
    assert_eq!(client.attached["limits"]["timeout_seconds"], 2.0);
    let id = client
        .execute_with(json!({"code": "1", "timeout_seconds": 3}))
        .await;
    let message = client.refused(&id, "invalid_timeout").await;
    assert!(message.contains('3') && message.contains('2'), "{message}");
    let turn = client.run("while True: pass").await;
    turn.ends("timeout", 124);
    assert!(turn.wall().as_secs_f64() < 3.5, "{:?}", turn.wall());
}

#[tokio::test]
async fn a_token_lowers_memory() {
    let mut client = bearer(json!({"memory_mb": 256})).connect().open().await;
    assert_eq!(client.attached["limits"]["memory_bytes"], 256 << 20);
    client
        .run("b = bytearray(300 << 20)")
        .await
        .ends("memory_limit", 137);
    assert_eq!(
        client.print("b = bytearray(50 << 20)\nprint(len(b))").await,
        "52428800\n"
    );
}

#[tokio::test]
async fn memory_below_the_interpreters_need_is_refused_with_the_minimum() {
    let response = bearer(json!({"memory_mb": 16})).connect().refused().await;
    let message = response.refusal(403, "forbidden");
    assert!(message.contains("16"), "{message}");
    let minimum = message
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|word| word.parse::<u64>().ok())
        .max()
        .unwrap();
    assert!(minimum > 40, "no minimum is named: {message}");
}

#[tokio::test]
async fn a_token_lowers_sessions() {
    let user = bearer(json!({"sessions": 1}));
    let mut first = user.join("first").open().await;
    let response = user.join("second").refused().await;
    response.refusal(429, "quota_exceeded");
    assert!(response.header("retry-after").is_some());
    user.join("first").open().await;
    first.send(json!({"type": "close", "id": "x"})).await;
    first.closing().await;
    user.join("second").open().await;
}

#[tokio::test]
async fn a_token_lowers_fuel() {
    let mut client = bearer(json!({"fuel": 1_000_000_000}))
        .connect()
        .open()
        .await;
    assert_eq!(client.attached["limits"]["fuel"], 1_000_000_000);
    client.run("while True: pass").await.ends("cpu_limit", 152);
    client
        .run_with(json!({"code": "while True: pass", "fuel": 1_000_000_000_000_u64}))
        .await
        .ends("cpu_limit", 152);
}

#[tokio::test]
async fn a_token_never_raises_a_limit() {
    let client = bearer(json!({"timeout_seconds": 1000, "memory_mb": 100_000, "sessions": 1000}))
        .connect()
        .open()
        .await;
    let limits = &client.attached["limits"];
    assert_eq!(limits["timeout_seconds"], 60.0);
    assert_eq!(limits["memory_bytes"], 512 << 20);
    assert!(limits["fuel"].is_null());
}

#[tokio::test]
async fn a_malformed_limit_is_a_bad_token() {
    for limits in [
        json!({"timeout_seconds": -1}),
        json!({"memory_mb": "256"}),
        json!("all"),
    ] {
        bearer(limits)
            .connect()
            .refused()
            .await
            .refusal(401, "unauthorized");
    }
}

#[tokio::test]
async fn attached_names_every_bound() {
    let client = Gateway::shared().user().connect().open().await;
    let limits = &client.attached["limits"];
    for (limit, value) in [
        ("timeout_seconds", json!(60)),
        ("memory_bytes", json!(512 << 20)),
        ("output_bytes", json!(256 << 20)),
        ("journal_bytes", json!(64 << 20)),
        ("message_bytes", json!(4 << 20)),
        ("queue_turns", json!(64)),
        ("files_bytes", json!(64 << 20)),
        ("file_bytes", json!(32 << 20)),
        ("event_bytes", json!(256 << 10)),
        ("stdin_wait_seconds", json!(300)),
        ("heartbeat_seconds", json!(20)),
    ] {
        assert_eq!(limits[limit].as_f64(), value.as_f64(), "{limit}: {limits}");
    }
    assert_eq!(client.attached["language"], "python");
    assert!(client.attached.text("version").starts_with("3."));
    assert_eq!(client.attached["state"], "ready");
}
