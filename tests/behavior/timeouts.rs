//! A turn's time holds for everything a program can do.

use std::time::Duration;

use serde_json::json;

use crate::support::{Client, Gateway, Turn};

/// The contract's second for the hard way, and half of one for a loaded machine.
const LATE_MAX: Duration = Duration::from_millis(1500);

const LIMIT: Duration = Duration::from_secs(1);

/// Whether the program can be ended by the interpreter's own exception.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Soft,
    Hard,
    /// It depends on where in its work it is.
    Either,
}

async fn ends_in_time(way: Way, code: &str) -> Turn {
    let mut client = Gateway::shared().user().connect().open().await;
    client
        .print("x = 'before'; open('/work/trace', 'w').write('before'); print(x)")
        .await;
    let code =
        format!("x = 'during'; open('/work/trace', 'w').write('during')\nprint('told')\n{code}");
    let turn = client
        .run_with(json!({"code": code, "timeout_seconds": 1}))
        .await;
    turn.ends("timeout", 124);
    println!("{way:?}: {:?} late", turn.wall().saturating_sub(LIMIT));
    assert!(
        turn.wall() > LIMIT - Duration::from_millis(50),
        "{:?}",
        turn.wall()
    );
    assert!(turn.wall() < LIMIT + LATE_MAX, "{:?}", turn.wall());
    assert!(turn.stdout().starts_with("told\n"));
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
    assert_eq!(
        client.print("print(x, open('/work/trace').read())").await,
        format!("{found} {found}\n")
    );
    turn
}

#[tokio::test]
async fn a_timeout_ends_a_busy_loop() {
    let turn = ends_in_time(Way::Soft, "while True: pass").await;
    let error = &turn.finished()["error"];
    assert_eq!(error["name"], "TimeoutError", "{error}");
    let traceback = error["traceback"].as_str().unwrap();
    assert!(traceback.contains("while True: pass"), "{traceback}");
}

#[tokio::test]
async fn a_timeout_ends_a_loop_that_catches_everything() {
    ends_in_time(
        Way::Hard,
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
    )
    .await;
}

#[tokio::test]
async fn a_timeout_ends_a_sleep() {
    ends_in_time(Way::Soft, "import time; time.sleep(60)").await;
}

#[tokio::test]
async fn a_timeout_ends_a_catastrophic_regex() {
    ends_in_time(Way::Soft, "import re; re.match(r'(a+)+$', 'a' * 60 + 'b')").await;
}

#[tokio::test]
async fn a_timeout_ends_a_big_integer() {
    ends_in_time(Way::Either, "10 ** 10 ** 8").await;
}

#[tokio::test]
async fn a_timeout_ends_a_long_call_into_c() {
    ends_in_time(Way::Hard, "sum(range(10 ** 12))").await;
}

#[tokio::test]
async fn a_timeout_ends_a_print_loop() {
    ends_in_time(Way::Soft, "while True: print('.')").await;
}

#[tokio::test]
async fn a_timeout_ends_a_program_that_handles_it_forever() {
    ends_in_time(
        Way::Hard,
        "import signal\n\
         for number in range(1, 32):\n    \
             try: signal.signal(number, signal.SIG_IGN)\n    \
             except Exception: pass\n\
         while True: pass",
    )
    .await;
}

#[tokio::test]
async fn a_timeout_that_is_handled_still_names_the_end() {
    let mut client = Gateway::shared().user().connect().open().await;
    let turn = client
        .run_with(json!({
            "code": "try:\n    while True: pass\nfinally:\n    print('cleaned up')",
            "timeout_seconds": 1,
        }))
        .await;
    turn.ends("timeout", 124);
    assert_eq!(turn.stdout(), "cleaned up\n");
}

#[tokio::test]
async fn waiting_for_input_is_not_counted() {
    let mut client = Gateway::shared().user().connect().open().await;
    let id = client
        .execute_with(json!({"code": "print(input())", "timeout_seconds": 2}))
        .await;
    client.expect("stdin_request").await;
    wait_out(&mut client, Duration::from_millis(3500)).await;
    client
        .send(json!({"type": "stdin", "data": "late\n"}))
        .await;
    assert_eq!(client.finish(&id).await.ok(), "late\n");
}

/// Lets time pass on a live connection: the passing is what is tested.
async fn wait_out(client: &mut Client, time: Duration) {
    tokio::time::sleep(time).await;
    client.ping().await;
}

#[tokio::test]
async fn time_before_input_counts_after_it_too() {
    let mut client = Gateway::shared().user().connect().open().await;
    let id = client
        .execute_with(json!({"code": "input()\nwhile True: pass", "timeout_seconds": 1}))
        .await;
    client.expect("stdin_request").await;
    client.send(json!({"type": "stdin", "data": "go\n"})).await;
    client.finish(&id).await.ends("timeout", 124);
}

#[tokio::test]
async fn a_timeout_holds_while_other_sessions_are_busy() {
    let gateway = Gateway::shared();
    let mut busy = Vec::new();
    for _ in 0..4 {
        let mut client = gateway.user().connect().open().await;
        client
            .execute_with(json!({"code": "while True: pass", "timeout_seconds": 6}))
            .await;
        client.expect("started").await;
        busy.push(client);
    }
    ends_in_time(Way::Soft, "while True: pass").await;
    for mut client in busy {
        client
            .send(json!({"type": "interrupt", "id": "stop"}))
            .await;
        client.answer("interrupting", "stop").await;
    }
}

#[tokio::test]
async fn fifty_sessions_at_once_keep_their_own_limits() {
    let gateway = Gateway::shared();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..50_u64 {
        let user = gateway.user();
        let user = match number % 5 {
            2 => user.with("weir", json!({"memory_mb": 256})),
            _ => user,
        };
        tasks.spawn(async move {
            let mut client = user.connect().open().await;
            client.patience = Duration::from_secs(60);
            client.print(&format!("mine = {number}")).await;
            let loops = "while True: pass";
            let (fields, status) = match number % 5 {
                0 => (json!({"code": loops, "timeout_seconds": 1}), "timeout"),
                1 => (json!({"code": loops, "fuel": 1_000_000_000}), "cpu_limit"),
                2 => (json!({"code": "b = bytearray(300 << 20)"}), "memory_limit"),
                3 => (json!({"code": "b = bytearray(300 << 20); b = None"}), "ok"),
                _ => (
                    json!({"code": "import time\nfor i in range(5): time.sleep(0.3)\nprint(mine)", "timeout_seconds": 30}),
                    "ok",
                ),
            };
            let turn = client.run_with(fields).await;
            assert_eq!(turn.status(), status, "{number}: {}", turn.finished().raw);
            assert_eq!(client.print("print(mine)").await, format!("{number}\n"));
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
}
