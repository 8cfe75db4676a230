//! One user's load is bounded, and another never pays for it.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::support::Gateway;
use crate::support::seed::fresh_name;

#[tokio::test]
async fn a_turn_that_writes_too_much_ends_by_name() {
    let mut client = Gateway::small().user().connect().open().await;
    client.patience = Duration::from_secs(30);
    for code in [
        "while True: print('x' * 1000)",
        "while True:\n    try:\n        while True: print('x' * 1000)\n    except BaseException: pass",
        "print('x' * 50_000_000)",
    ] {
        client.print("n = 1").await;
        let turn = client.run(code).await;
        turn.ends("output_limit", 153);
        let written = turn.bytes("stdout").len();
        assert!(written <= 2 << 20, "{code}: {written} bytes came through");
        assert!(
            written > (2 << 20) - (300 << 10),
            "{code}: only {written} bytes came"
        );
        assert_eq!(client.print("print(n)").await, "1\n");
    }
}

#[tokio::test]
async fn a_subject_has_so_many_sessions() {
    let gateway = Gateway::shared();
    let user = gateway.user();
    let mut clients = Vec::new();
    for number in 0..20 {
        clients.push(user.join(&format!("s{number}")).open().await);
    }
    let response = user.join("one-more").refused().await;
    let message = response.refusal(429, "quota_exceeded");
    assert!(message.contains("20"), "{message}");
    user.join("s3").open().await;
    gateway.user().connect().open().await;
}

#[tokio::test]
async fn a_subject_has_so_many_connections() {
    let gateway = Gateway::small();
    let user = gateway.user();
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(user.join("s").open().await);
    }
    user.join("s")
        .refused()
        .await
        .refusal(429, "quota_exceeded");
    gateway.user().connect().open().await;
    drop(clients.pop());
    // The gateway hears of the cut on its own time.
    let deadline = Instant::now() + Duration::from_secs(10);
    while user.join("s").answer().await.unwrap().status != 101 {
        assert!(Instant::now() < deadline, "the place never came free");
    }
}

#[tokio::test]
async fn new_sessions_come_at_a_bounded_rate() {
    let gateway = Gateway::start(&[
        ("WEIR_SESSION_STARTS_PER_SECOND_MAX", "2"),
        ("WEIR_SESSIONS_PER_SUBJECT_MAX", "50"),
    ]);
    let user = gateway.user();
    let mut refused = 0;
    for number in 0..10 {
        let answer = user.join(&format!("s{number}")).answer().await.unwrap();
        if answer.status != 101 {
            answer.refusal(429, "rate_limited");
            assert!(answer.header("retry-after").is_some());
            refused += 1;
        }
    }
    assert!(
        refused > 0,
        "ten sessions at once, where two a second may be"
    );
    gateway.user().connect().open().await;
}

#[tokio::test]
async fn a_flood_of_pings_is_answered_slowly_and_hurts_nobody() {
    const PINGS: usize = 1500;
    let gateway = Gateway::shared();
    let mut calm = gateway.user().connect().open().await;
    let mut flood = gateway.user().connect().open().await;
    flood.patience = Duration::from_secs(30);
    let begun = Instant::now();
    let marker = fresh_name("flood");
    for number in 0..PINGS {
        flood
            .send_raw(Message::text(format!(
                r#"{{"type":"ping","id":"{marker}-{number}"}}"#
            )))
            .await;
    }
    for _ in 0..20 {
        let took = calm.ping().await;
        assert!(took < Duration::from_millis(500), "{took:?}");
    }
    assert_eq!(calm.print("print(1)").await, "1\n");
    for number in 0..PINGS {
        flood.answer("pong", &format!("{marker}-{number}")).await;
    }
    let took = begun.elapsed();
    assert!(
        took > Duration::from_millis(1500),
        "{PINGS} messages in {took:?}, where 500 a second are read"
    );
    flood.ping().await;
}

#[tokio::test]
async fn a_busy_user_never_starves_another() {
    let gateway = Gateway::shared();
    let greedy = gateway.user();
    let mut busy = Vec::new();
    for number in 0..6 {
        let mut client = greedy.join(&format!("s{number}")).open().await;
        client
            .execute_with(json!({"code": "print('go')\nwhile True: pass", "timeout_seconds": 20}))
            .await;
        client.expect("output").await;
        busy.push(client);
    }
    let mut modest = gateway.user().connect().open().await;
    for _ in 0..10 {
        let begun = Instant::now();
        modest.print("print(sum(range(1000)))").await;
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
    for mut client in busy {
        client
            .send(json!({"type": "interrupt", "id": "stop"}))
            .await;
        client.expect("finished").await;
    }
}
