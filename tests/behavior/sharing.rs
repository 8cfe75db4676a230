//! Several sockets on one session, and how they leave each other alone.

use std::time::Duration;

use serde_json::json;

use crate::support::client::Closed;
use crate::support::{Gateway, Role};

#[tokio::test]
async fn two_sockets_on_one_session_see_the_same_bytes() {
    let user = Gateway::shared().user();
    let mut one = user.join("s").after_zero().open().await;
    let mut two = user.join("s").after_zero().open().await;
    for number in 0..10 {
        let sender = if number % 2 == 0 { &mut one } else { &mut two };
        sender
            .execute(&format!(
                "import time\nfor i in range(20):\n    print({number}, i)\n    time.sleep(0.002)"
            ))
            .await;
    }
    for turn in 1..=10 {
        let (first, second) = (one.collect(turn).await, two.collect(turn).await);
        first.ok();
        let raws = |turn: &crate::support::Turn| -> Vec<String> {
            turn.events.iter().map(|event| event.raw.clone()).collect()
        };
        assert_eq!(raws(&first), raws(&second));
    }
}

#[tokio::test]
async fn a_viewer_sees_all_and_may_do_nothing() {
    let user = Gateway::shared().user();
    let mut writer = user.join("s").open().await;
    let mut viewer = user.join("s").role(Role::Viewer).open().await;
    assert_eq!(viewer.attached["role"], "viewer");
    assert_eq!(writer.attached["role"], "writer");
    assert_eq!(writer.print("print('seen')").await, "seen\n");
    assert_eq!(viewer.collect(1).await.ok(), "seen\n");
    for message in [
        json!({"type": "execute", "id": "a", "code": "x = 1"}),
        json!({"type": "stdin", "id": "b", "data": "x"}),
        json!({"type": "interrupt", "id": "c"}),
        json!({"type": "cancel", "id": "d", "target": "a"}),
        json!({"type": "complete", "id": "e", "code": "x", "cursor": 1}),
        json!({"type": "inspect", "id": "f", "code": "x", "cursor": 1}),
        json!({"type": "checkpoint", "id": "g"}),
        json!({"type": "rollback", "id": "h", "turn": 0}),
        json!({"type": "fork", "id": "i"}),
        json!({"type": "close", "id": "j"}),
    ] {
        let id = message["id"].as_str().unwrap().to_owned();
        viewer.send(message).await;
        viewer.refused(&id, "forbidden").await;
    }
    viewer.send(json!({"type": "ack", "seq": 1})).await;
    viewer.ping().await;
    assert_eq!(
        writer.print("print('x' in globals())").await,
        "False\n",
        "nothing of it ran"
    );
}

#[tokio::test]
async fn a_colleague_with_the_scope_may_watch() {
    let gateway = Gateway::shared();
    let tenant = crate::support::seed::fresh_name("tenant");
    let owner_name = crate::support::seed::fresh_name("owner");
    let owner = gateway
        .user_named(&owner_name)
        .with("tenant", tenant.clone());
    let watcher = gateway
        .user()
        .with("tenant", tenant)
        .with("scope", "session session:read");
    let mut mine = owner.join("s").open().await;
    let mut theirs = watcher
        .join("s")
        .query("owner", &owner_name)
        .role(Role::Viewer)
        .open()
        .await;
    assert_eq!(mine.print("print('seen')").await, "seen\n");
    assert_eq!(theirs.collect(1).await.ok(), "seen\n");
    let response = watcher
        .join("s")
        .query("owner", &owner_name)
        .role(Role::Writer)
        .refused()
        .await;
    response.refusal(403, "forbidden");
}

#[tokio::test]
async fn close_ends_the_session_for_everybody() {
    let user = Gateway::shared().user();
    let mut one = user.join("s").open().await;
    let mut two = user.join("s").open().await;
    let epoch = one.epoch().to_owned();
    one.print("x = 1").await;
    one.send(json!({"type": "close", "id": "bye"})).await;
    one.answer("closed", "bye").await;
    assert_eq!(one.closing().await.code, 1000);
    assert_eq!(two.closing().await.code, 4404);
    let mut new = user.join("s").open().await;
    assert_ne!(new.epoch(), epoch, "a new history");
    assert_eq!(new.head(), 0);
    assert_eq!(new.print("print('x' in globals())").await, "False\n");
}

#[tokio::test]
async fn close_ends_a_running_turn_and_cancels_waiting_ones() {
    let user = Gateway::shared().user();
    let mut one = user.join("s").open().await;
    let mut two = user.join("s").after_zero().open().await;
    let running = one.execute("print('go')\nwhile True: pass").await;
    one.expect("output").await;
    let waiting = one.execute("print('never')").await;
    one.turn_of(&waiting).await;
    one.send(json!({"type": "close", "id": "bye"})).await;
    for client in [&mut one, &mut two] {
        client.finish(&running).await.ends("interrupted", 130);
        client
            .finish(&waiting)
            .await
            .ends("cancelled", serde_json::Value::Null);
    }
    one.answer("closed", "bye").await;
    assert_eq!(one.closing().await.code, 1000);
    assert_eq!(two.closing().await.code, 4404);
}

#[tokio::test]
async fn pings_are_answered_while_the_guest_is_busy() {
    let mut client = Gateway::shared().user().connect().open().await;
    let id = client.execute("print('go')\nwhile True: pass").await;
    client.expect("output").await;
    for _ in 0..50 {
        let took = client.ping().await;
        assert!(took < Duration::from_millis(500), "{took:?}");
    }
    client
        .send(json!({"type": "interrupt", "id": "stop"}))
        .await;
    client.finish(&id).await.ends("interrupted", 130);
}

#[tokio::test]
async fn a_slow_client_never_delays_another_and_memory_stays_bounded() {
    const MEGABYTES: usize = 240;
    let gateway = Gateway::start(&[]);
    let user = gateway.user();
    let mut reader = user.join("s").open().await;
    reader.patience = Duration::from_secs(60);
    let slow = user.join("s").receive_buffer(4096).open().await;
    let slow_viewer = user
        .join("s")
        .role(Role::Viewer)
        .receive_buffer(4096)
        .open()
        .await;
    reader.print("chunk = 'x' * 999_999").await;
    let before = gateway.anonymous_bytes();
    let id = reader
        .execute_with(json!({
            "code": format!("for i in range({MEGABYTES}): print(chunk)"),
            "timeout_seconds": 60,
        }))
        .await;
    let turn = reader.turn_of(&id).await;
    let (mut received, mut peak) = (0, 0);
    loop {
        let event = reader.take("an event", |frame| frame["turn"] == turn).await;
        match event.kind() {
            "output" => received += event.text("text").len(),
            "finished" => {
                assert_eq!(event["status"], "ok", "{}", event.raw);
                break;
            }
            _ => {}
        }
        peak = peak.max(gateway.anonymous_bytes());
    }
    assert_eq!(received, MEGABYTES * 1_000_000);
    let grown = peak.saturating_sub(before) >> 20;
    println!("the gateway grew by {grown} MiB");
    // The journal's 64 MiB, and room for what is under way to three clients.
    assert!(grown < 150, "the gateway grew by {grown} MiB");
    let elsewhere = gateway.user().connect().open().await.ping().await;
    assert!(elsewhere < Duration::from_millis(500), "{elsewhere:?}");
    drop((slow, slow_viewer));
}

#[tokio::test]
async fn a_session_outlives_its_connections() {
    let user = Gateway::shared().user();
    for turn in 1..=5 {
        let mut client = user.join("s").open().await;
        assert_eq!(
            client
                .print("n = globals().get('n', 0) + 1\nprint(n)")
                .await,
            format!("{turn}\n")
        );
    }
}

#[tokio::test]
async fn a_client_that_closes_is_answered_in_kind() {
    use tokio_tungstenite::tungstenite::Message;
    let mut client = Gateway::shared().user().connect().open().await;
    client.send_raw(Message::Close(None)).await;
    let Closed { code, .. } = client.closing().await;
    assert!([1000, 1005].contains(&code), "{code}");
}
