//! A running turn can be stopped at any time, by name, and the session goes on.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Client, Gateway, Turn};

/// The hard way comes after a second, and a loaded machine may add half of one.
const LATE_MAX: Duration = Duration::from_millis(1500);

async fn session() -> Client {
    Gateway::shared().user().connect().open().await
}

/// Starts `code` and returns once it prints; its request id. What handles the interrupt must be in
/// place by then.
async fn start(client: &mut Client, code: &str) -> String {
    let id = client.execute(code).await;
    client.expect("output").await;
    id
}

async fn interrupt(client: &mut Client) -> Instant {
    let asked = Instant::now();
    client
        .send(json!({"type": "interrupt", "id": "stop"}))
        .await;
    let answer = client.answer("interrupting", "stop").await;
    assert!(answer["turn"].is_u64(), "{}", answer.raw);
    asked
}

/// Whether the program can be stopped by the interpreter's own exception.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Soft,
    Hard,
    /// It depends on whether the interrupt finds it in C, and where.
    Either,
}

async fn is_interrupted(way: Way, code: &str) -> Turn {
    let mut client = session().await;
    client.print("x = 'before'").await;
    let id = start(&mut client, &format!("x = 'during'\n{code}")).await;
    let asked = interrupt(&mut client).await;
    let turn = client.finish(&id).await;
    let took = turn.finished().at - asked;
    println!("{way:?}: interrupted after {took:?}");
    turn.ends("interrupted", 130);
    assert!(took < LATE_MAX, "{took:?}");
    match way {
        Way::Soft => assert_eq!(turn.state(), "kept", "{}", turn.finished().raw),
        Way::Hard => assert_eq!(turn.state(), "rolled_back", "{}", turn.finished().raw),
        Way::Either => {}
    }
    let found = if turn.state() == "kept" {
        "during"
    } else {
        "before"
    };
    assert_eq!(client.print("print(x)").await, format!("{found}\n"));
    turn
}

#[tokio::test]
async fn an_interrupt_ends_a_busy_loop() {
    let turn = is_interrupted(Way::Soft, "print('go')\nwhile True: pass").await;
    assert_eq!(turn.finished()["error"]["name"], "KeyboardInterrupt");
    assert!(turn.stderr().contains("KeyboardInterrupt"));
}

#[tokio::test]
async fn an_interrupt_ends_a_loop_that_catches_everything() {
    is_interrupted(
        Way::Hard,
        "while True:\n    try:\n        print('go')\n        while True: pass\n    except BaseException: pass",
    )
    .await;
}

#[tokio::test]
async fn an_interrupt_ends_a_sleep() {
    is_interrupted(Way::Soft, "print('go'); import time; time.sleep(60)").await;
}

#[tokio::test]
async fn an_interrupt_ends_a_catastrophic_regex() {
    is_interrupted(
        Way::Soft,
        "print('go'); import re; re.match(r'(a+)+$', 'a' * 60 + 'b')",
    )
    .await;
}

#[tokio::test]
async fn an_interrupt_ends_a_big_integer() {
    is_interrupted(Way::Either, "print('go'); 10 ** 10 ** 8").await;
}

#[tokio::test]
async fn an_interrupt_ends_a_long_call_into_c() {
    is_interrupted(Way::Either, "print('go'); sum(range(10 ** 12))").await;
}

#[tokio::test]
async fn an_interrupt_ends_a_print_loop() {
    is_interrupted(Way::Soft, "while True: print('.')").await;
}

#[tokio::test]
async fn an_interrupt_ends_a_wait_for_input() {
    is_interrupted(Way::Soft, "print('go'); input('? ')").await;
}

#[tokio::test]
async fn an_interrupt_that_is_handled_is_no_end() {
    let mut client = session().await;
    let id = start(
        &mut client,
        "try:\n    print('go')\n    while True: pass\nexcept KeyboardInterrupt: print('caught')\nprint('on')",
    )
    .await;
    interrupt(&mut client).await;
    let printed = client.finish(&id).await.ok();
    assert!(printed.ends_with("caught\non\n"), "{printed:?}");
}

#[tokio::test]
async fn a_second_interrupt_stops_at_once() {
    let mut client = session().await;
    client.print("x = 'before'").await;
    let id = start(
        &mut client,
        "x = 'during'\nwhile True:\n    try:\n        print('go')\n        while True: pass\n    except BaseException: pass",
    )
    .await;
    interrupt(&mut client).await;
    client.expect("output").await;
    let asked = interrupt(&mut client).await;
    let turn = client.finish(&id).await;
    turn.ends("interrupted", 130);
    let took = turn.finished().at - asked;
    assert!(took < Duration::from_millis(700), "{took:?}");
    assert_eq!(turn.state(), "rolled_back");
    assert_eq!(client.print("print(x)").await, "before\n");
}

#[tokio::test]
async fn an_interrupt_of_nothing_or_of_another_turn_is_a_conflict() {
    let mut client = session().await;
    client.send(json!({"type": "interrupt", "id": "a"})).await;
    client.refused("a", "conflict").await;
    let id = start(&mut client, "print('go')\nwhile True: pass").await;
    client
        .send(json!({"type": "interrupt", "id": "b", "turn": 7}))
        .await;
    client.refused("b", "conflict").await;
    client
        .send(json!({"type": "interrupt", "id": "c", "turn": 1}))
        .await;
    assert_eq!(client.answer("interrupting", "c").await["turn"], 1);
    client.finish(&id).await.ends("interrupted", 130);
}

#[tokio::test]
async fn an_interrupt_leaves_waiting_turns_alone() {
    let mut client = session().await;
    let first = start(&mut client, "print('go')\nwhile True: pass").await;
    let second = client.execute("print('still here')").await;
    client.turn_of(&second).await;
    interrupt(&mut client).await;
    client.finish(&first).await.ends("interrupted", 130);
    assert_eq!(client.finish(&second).await.ok(), "still here\n");
}

#[tokio::test]
async fn an_interrupt_is_never_queued_behind_output() {
    let mut client = session().await;
    client.patience = Duration::from_secs(30);
    let id = start(&mut client, "while True: print('x' * 1000)").await;
    let asked = interrupt(&mut client).await;
    let turn = client.finish(&id).await;
    turn.ends("interrupted", 130);
    let took = turn.finished().at - asked;
    assert!(took < Duration::from_secs(3), "{took:?}");
}

#[tokio::test]
async fn a_late_interrupt_never_hits_the_next_turn() {
    let mut client = session().await;
    for _ in 0..50 {
        let id = client.execute("y = 1").await;
        client
            .send(json!({"type": "interrupt", "id": "late"}))
            .await;
        let status = client.finish(&id).await.status().to_owned();
        assert!(status == "ok" || status == "interrupted", "{status}");
        let after = client.run("sum(range(1000))").await;
        after.ok();
    }
}

#[tokio::test]
async fn a_queued_turn_can_be_cancelled() {
    let mut client = session().await;
    let running = start(&mut client, "print('go'); input()").await;
    let waiting = client.execute("print('never')").await;
    let turn = client.turn_of(&waiting).await;
    client
        .send(json!({"type": "cancel", "id": "c", "target": waiting}))
        .await;
    assert_eq!(client.answer("cancelling", "c").await["turn"], turn);
    let cancelled = client.finish(&waiting).await;
    cancelled.ends("cancelled", serde_json::Value::Null);
    assert!(cancelled.finished()["metrics"].is_null());
    assert!(cancelled.all_of_kind("started").is_empty());
    client.send(json!({"type": "stdin", "data": "\n"})).await;
    client.finish(&running).await.ends("ok", 0);
}

#[tokio::test]
async fn a_running_turn_can_be_cancelled() {
    let mut client = session().await;
    let id = start(&mut client, "print('go')\nwhile True: pass").await;
    client
        .send(json!({"type": "cancel", "id": "c", "target": id}))
        .await;
    assert_eq!(client.answer("cancelling", "c").await["turn"], 1);
    client.finish(&id).await.ends("interrupted", 130);
}

#[tokio::test]
async fn a_cancel_of_what_has_ended_or_never_was_is_refused() {
    let mut client = session().await;
    let id = client.execute("1").await;
    client.finish(&id).await.ok();
    client
        .send(json!({"type": "cancel", "id": "a", "target": id}))
        .await;
    client.refused("a", "conflict").await;
    client
        .send(json!({"type": "cancel", "id": "b", "target": "nobody"}))
        .await;
    client.refused("b", "not_found").await;
}
