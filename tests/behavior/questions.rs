//! `complete` and `inspect` ask the live session and change nothing.

use serde_json::json;

use crate::support::client::Frame;
use crate::support::{Client, Gateway};

async fn session() -> Client {
    Gateway::shared().user().connect().open().await
}

/// Asks at `|` in `code`.
async fn ask(client: &mut Client, question: &str, code: &str) -> Frame {
    let cursor = code.chars().position(|c| c == '|').expect("a cursor");
    let code = code.replacen('|', "", 1);
    client
        .send(json!({"type": question, "id": "q", "code": code, "cursor": cursor}))
        .await;
    client
        .take(question, |frame| {
            frame["id"] == "q" && frame.seq().is_none()
        })
        .await
}

#[tokio::test]
async fn completion_knows_the_live_state() {
    let mut client = session().await;
    client
        .print("frobnicate_total = 1\ndef frobnicate(n): return n\nimport numpy as np\ndf = __import__('pandas').DataFrame({'first name': [1], 'age': [2]})")
        .await;
    for (code, matches, start, end) in [
        ("frob|", &["frobnicate", "frobnicate_total"][..], 0, 4),
        ("é = frob|", &["frobnicate", "frobnicate_total"][..], 4, 8),
        ("'😀' + np.lins|", &["linspace"][..], 9, 13),
        ("import ma|", &["math"][..], 7, 9),
        ("df['fi|", &["first name"][..], 4, 6),
        ("zzz_nothing|", &[][..], 0, 11),
        ("|", &["frobnicate"][..], 0, 0),
    ] {
        let answer = ask(&mut client, "complete", code).await;
        assert_eq!(answer.kind(), "completions", "{}", answer.raw);
        let found = answer["matches"].as_array().unwrap();
        for wanted in matches {
            assert!(found.contains(&json!(wanted)), "{code}: {}", answer.raw);
        }
        if matches.is_empty() {
            assert!(found.is_empty(), "{code}: {}", answer.raw);
        } else {
            assert_eq!(
                (answer.number("start"), answer.number("end")),
                (start, end),
                "{code}: {}",
                answer.raw
            );
        }
    }
}

#[tokio::test]
async fn inspection_tells_signature_and_documentation() {
    let mut client = session().await;
    client
        .print("def scale(n, by=2):\n    'Multiplies n.'\n    return n * by")
        .await;
    let answer = ask(&mut client, "inspect", "scale|(3)").await;
    assert_eq!(answer.kind(), "inspection", "{}", answer.raw);
    assert_eq!(answer["found"], true);
    let text = answer.text("text");
    assert!(
        text.contains("(n, by=2)") && text.contains("Multiplies n."),
        "{text}"
    );
    let nothing = ask(&mut client, "inspect", "zzz_nothing|").await;
    assert_eq!(nothing["found"], false);
    assert_eq!(nothing["text"], "");
}

#[tokio::test]
async fn questions_have_no_side_effects() {
    let mut client = session().await;
    client
        .print(
            "class Trap:\n    \
                 @property\n    \
                 def loud(self): global sprung; sprung = True; return self\n    \
                 def __getattr__(self, name): global sprung; sprung = True; raise AttributeError(name)\n    \
                 def __dir__(self): return ['loud']\n\
             trap = Trap(); sprung = False; _ = 'mine'",
        )
        .await;
    for (question, code) in [
        ("complete", "trap.lo|"),
        ("complete", "trap.loud.x|"),
        ("inspect", "trap.loud|"),
        ("inspect", "trap.other|"),
        ("complete", "sprung = True; spr|"),
        ("inspect", "print('x')|"),
    ] {
        ask(&mut client, question, code).await;
    }
    let last = client.settled(1).await.number("seq");
    let turn = client.run("print(sprung, _)").await;
    assert_eq!(turn.ok(), "False mine\n");
    assert_eq!(turn.number(), 2, "questions are no turns");
    let next = turn.of_kind("queued").number("seq");
    assert_eq!(next, last + 1, "questions leave no events");
}

#[tokio::test]
async fn questions_are_unavailable_while_a_turn_runs() {
    let mut client = session().await;
    let id = client.execute("input()").await;
    client.expect("stdin_request").await;
    for question in ["complete", "inspect"] {
        let answer = ask(&mut client, question, "pri|").await;
        assert_eq!(answer["code"], "unavailable", "{}", answer.raw);
    }
    client.send(json!({"type": "stdin", "eof": true})).await;
    client.finish(&id).await.raises("EOFError");
    let answer = ask(&mut client, "complete", "pri|").await;
    assert!(
        answer["matches"]
            .as_array()
            .unwrap()
            .contains(&json!("print"))
    );
}

#[tokio::test]
async fn a_question_that_takes_too_long_is_unavailable_and_costs_nothing() {
    let mut client = session().await;
    client
        .print(
            "class Slow:\n    \
                 def __dir__(self):\n        \
                     while True: pass\n\
             slow = Slow(); x = 1",
        )
        .await;
    let sent = std::time::Instant::now();
    let answer = ask(&mut client, "complete", "slow.a|").await;
    let took = answer.at - sent;
    assert!(took.as_millis() < 1000, "{took:?}");
    if answer.kind() == "error" {
        assert_eq!(answer["code"], "unavailable", "{}", answer.raw);
    }
    assert_eq!(client.print("print(x)").await, "1\n");
}

#[tokio::test]
async fn a_cursor_outside_the_code_is_a_bad_request() {
    let mut client = session().await;
    for (code, cursor) in [
        ("abc", json!(4)),
        ("é", json!(2)),
        ("", json!(1)),
        ("abc", json!(-1)),
        ("abc", json!("1")),
        ("abc", json!(1.5)),
    ] {
        client
            .send(json!({"type": "complete", "id": "q", "code": code, "cursor": cursor}))
            .await;
        client.refused("q", "bad_request").await;
    }
}
