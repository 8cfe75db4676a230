//! Turns run one after the other, in the order they were asked for, each exactly once.

use serde_json::{Value, json};

use crate::support::seed::fresh_name;
use crate::support::{Client, Gateway};

async fn session() -> Client {
    Gateway::shared().user().connect().open().await
}

/// A turn that runs until it is given a line.
async fn hold(client: &mut Client) -> String {
    let id = client.execute("input()").await;
    client.expect("stdin_request").await;
    id
}

async fn release(client: &mut Client) {
    client.send(json!({"type": "stdin", "data": "\n"})).await;
}

#[tokio::test]
async fn turns_run_in_the_order_they_were_asked_for() {
    let mut client = session().await;
    let held = hold(&mut client).await;
    let mut waiting = Vec::new();
    for number in 0..10 {
        waiting.push(
            client
                .execute(&format!("order = globals().get('order', []) + [{number}]"))
                .await,
        );
    }
    for (position, id) in waiting.iter().enumerate() {
        let queued = client.answer("queued", id).await;
        assert_eq!(queued["position"], position, "{}", queued.raw);
        assert_eq!(queued["turn"], position + 2);
    }
    release(&mut client).await;
    client.finish(&held).await.ends("ok", 0);
    for id in &waiting {
        client.finish(id).await.ok();
    }
    assert_eq!(
        client.print("print(order)").await,
        "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]\n"
    );
}

#[tokio::test]
async fn a_turn_that_starts_at_once_is_queued_too() {
    let mut client = session().await;
    let turn = client.run("1").await;
    let queued = turn.of_kind("queued");
    assert_eq!(queued["position"], 0);
    assert_eq!(queued["code"], "1");
    assert!(queued.seq() < turn.of_kind("started").seq());
}

#[tokio::test]
async fn long_code_runs_whole_and_is_shown_cut() {
    let long = "é".repeat(50_000);
    let code = format!("#{long}\nprint('ran')");
    let turn = session().await.run(&code).await;
    assert_eq!(turn.ok(), "ran\n");
    let shown = turn.of_kind("queued").text("code");
    assert!(shown.len() <= 64 << 10 && shown.len() > (64 << 10) - 4);
    assert!(code.starts_with(shown));
}

#[tokio::test]
async fn a_failed_turn_does_not_stop_the_queue() {
    let mut client = session().await;
    let held = hold(&mut client).await;
    let mut ids = Vec::new();
    for code in ["1 / 0", "import os; os._exit(2)", "exit(3)", "x ="] {
        ids.push(client.execute(code).await);
    }
    let last = client.execute("print('on')").await;
    release(&mut client).await;
    client.finish(&held).await;
    for (id, status) in ids.iter().zip(["error", "exit", "exit", "error"]) {
        assert_eq!(client.finish(id).await.status(), status);
    }
    assert_eq!(client.finish(&last).await.ok(), "on\n");
}

#[tokio::test]
async fn a_full_queue_refuses_and_goes_on() {
    let mut client = session().await;
    let held = hold(&mut client).await;
    let mut ids = Vec::new();
    for _ in 0..64 {
        ids.push(client.execute("n = globals().get('n', 0) + 1").await);
    }
    let over = client.execute("print('too many')").await;
    let message = client.refused(&over, "queue_full").await;
    assert!(message.contains("64"), "{message}");
    release(&mut client).await;
    client.finish(&held).await;
    for id in &ids {
        client.finish(id).await.ok();
    }
    // What was refused was not seen: it may come again under its id.
    client
        .send(json!({"type": "execute", "id": over, "code": "print('too many')"}))
        .await;
    assert_eq!(client.finish(&over).await.ok(), "too many\n");
    assert_eq!(client.print("print(n)").await, "64\n");
}

#[tokio::test]
async fn a_request_sent_again_is_answered_and_not_repeated() {
    let mut client = session().await;
    let held = hold(&mut client).await;
    let id = fresh_name("once");
    let request = json!({"type": "execute", "id": id, "code": "n = globals().get('n', 0) + 1\nprint('ran')\ninput()"});

    client.send(request.clone()).await;
    let turn = client.turn_of(&id).await;
    client.send(request.clone()).await;
    let duplicate = client.answer("duplicate", &id).await;
    assert_eq!(duplicate["state"], "queued");
    assert_eq!(duplicate["turn"], turn);
    assert_eq!(duplicate.json.get("event"), None);

    release(&mut client).await;
    client.finish(&held).await;
    client.expect("stdin_request").await;
    client.send(request.clone()).await;
    let duplicate = client.answer("duplicate", &id).await;
    assert_eq!(duplicate["state"], "running");

    release(&mut client).await;
    let finished = client.finish(&id).await.finished().json.clone();
    client.send(request.clone()).await;
    let duplicate = client.answer("duplicate", &id).await;
    assert_eq!(duplicate["state"], "done");
    assert_eq!(duplicate["event"], finished);

    // Order, spelling and unknown fields make no other content.
    client
        .send_raw(tokio_tungstenite::tungstenite::Message::text(format!(
            r#"{{"code":{},"note":1,"id":"{id}","type":"execute","stdin_open":true}}"#,
            request["code"]
        )))
        .await;
    assert_eq!(client.answer("duplicate", &id).await["state"], "done");
    assert_eq!(client.print("print(n)").await, "1\n");
}

#[tokio::test]
async fn a_used_id_with_other_content_is_a_conflict() {
    let mut client = session().await;
    let id = client.execute("x = 1").await;
    client.finish(&id).await.ok();
    for other in [
        json!({"type": "execute", "id": id, "code": "x = 2"}),
        json!({"type": "execute", "id": id, "code": "x = 1", "stdin": "y"}),
        json!({"type": "cancel", "id": id, "target": "z"}),
    ] {
        client.send(other).await;
        client.refused(&id, "conflict").await;
    }
    assert_eq!(client.print("print(x)").await, "1\n");
}

#[tokio::test]
async fn an_id_is_remembered_for_the_session_and_not_the_socket() {
    let user = Gateway::shared().user();
    let mut first = user.join("s").open().await;
    let request = json!({"type": "execute", "id": "mine", "code": "print('ran')"});
    first.send(request.clone()).await;
    let finished = first.finish("mine").await.finished().json.clone();
    drop(first);
    let mut second = user.join("s").open().await;
    second.send(request.clone()).await;
    assert_eq!(second.answer("duplicate", "mine").await["event"], finished);
    let mut elsewhere = user.join("other").open().await;
    elsewhere.send(request).await;
    assert_eq!(elsewhere.finish("mine").await.ok(), "ran\n");
}

#[tokio::test]
async fn a_thousand_ids_are_remembered() {
    let mut client = session().await;
    let first = client.execute("0").await;
    client.finish(&first).await.ok();
    for _ in 0..40 {
        let mut ids = Vec::new();
        for _ in 0..20 {
            ids.push(client.execute("1").await);
        }
        for id in ids {
            client.finish(&id).await.ok();
        }
    }
    client
        .send(json!({"type": "execute", "id": first, "code": "0"}))
        .await;
    assert_eq!(client.answer("duplicate", &first).await["state"], "done");
}

#[tokio::test]
async fn what_this_version_lacks_is_unavailable_and_not_remembered() {
    let mut client = session().await;
    client.print("x = 1").await;
    for message in [
        json!({"type": "checkpoint", "id": "a"}),
        json!({"type": "rollback", "id": "b", "turn": 0}),
        json!({"type": "fork", "id": "c"}),
        json!({"type": "execute", "id": "d", "code": "1", "durable": true}),
    ] {
        let id = message["id"].as_str().unwrap().to_owned();
        client.send(message).await;
        client.refused(&id, "unavailable").await;
    }
    let turn = client.run("print(x)").await;
    assert_eq!(turn.ok(), "1\n");
    assert_eq!(turn.finished()["error"], Value::Null);
}
