//! A running program can be talked to.

use serde_json::json;

use crate::support::{Client, Gateway};

async fn session() -> Client {
    Gateway::shared().user().connect().open().await
}

async fn type_in(client: &mut Client, data: &str) {
    client.send(json!({"type": "stdin", "data": data})).await;
}

#[tokio::test]
async fn input_asks_and_is_answered() {
    let mut client = session().await;
    let id = client
        .execute("name = input('name? ')\nprint('hello', name)")
        .await;
    let request = client.expect("stdin_request").await;
    assert_eq!(request["prompt"], "name? ");
    assert_eq!(request["turn"], 1);
    type_in(&mut client, "Ada 漢\n").await;
    let turn = client.finish(&id).await;
    assert_eq!(turn.ok(), "name? hello Ada 漢\n");
}

#[tokio::test]
async fn a_prompt_is_what_stands_on_the_line() {
    let mut client = session().await;
    let id = client
        .execute("print('a line'); print('half', end=' ')\ninput('> ')\ninput()")
        .await;
    assert_eq!(client.expect("stdin_request").await["prompt"], "half > ");
    type_in(&mut client, "x\n").await;
    assert_eq!(client.expect("stdin_request").await["prompt"], "");
    type_in(&mut client, "y\n").await;
    let turn = client.finish(&id).await;
    turn.ends("ok", 0);
    assert_eq!(turn.result().as_deref(), Some("'y'"));
}

#[tokio::test]
async fn sys_stdin_is_read_line_by_line_until_its_end() {
    let mut client = session().await;
    let id = client
        .execute("import sys\nfor line in sys.stdin: print('got', line.strip())\nprint('end')")
        .await;
    client.expect("stdin_request").await;
    for word in ["one", "two"] {
        type_in(&mut client, &format!("{word}\n")).await;
        let heard = client.expect("output").await;
        assert_eq!(heard["text"], format!("got {word}\n"));
    }
    client.send(json!({"type": "stdin", "eof": true})).await;
    assert_eq!(client.finish(&id).await.ok(), "end\n");
}

#[tokio::test]
async fn the_end_of_input_raises_eof_error() {
    let mut client = session().await;
    let id = client.execute("input()").await;
    client.expect("stdin_request").await;
    client.send(json!({"type": "stdin", "eof": true})).await;
    client.finish(&id).await.raises("EOFError");
    let id = client.execute("print(input())").await;
    client.expect("stdin_request").await;
    type_in(&mut client, "the next turn is open again\n").await;
    assert_eq!(
        client.finish(&id).await.ok(),
        "the next turn is open again\n"
    );
}

#[tokio::test]
async fn input_given_up_front_is_all_there_is() {
    let turn = session()
        .await
        .run_with(json!({
            "code": "import sys\nprint(input())\nprint(repr(sys.stdin.read()))",
            "stdin": "a\nb\nc",
        }))
        .await;
    assert_eq!(turn.ok(), "a\n'b\\nc'\n");
    assert!(turn.all_of_kind("stdin_request").is_empty());
}

#[tokio::test]
async fn input_given_up_front_can_be_followed_by_more() {
    let mut client = session().await;
    let id = client
        .execute_with(json!({
            "code": "print(input())\nprint(input())",
            "stdin": "first\n",
            "stdin_open": true,
        }))
        .await;
    client.expect("stdin_request").await;
    type_in(&mut client, "second\n").await;
    assert_eq!(client.finish(&id).await.ok(), "first\nsecond\n");
}

#[tokio::test]
async fn closed_input_is_at_its_end_at_once() {
    let turn = session()
        .await
        .run_with(json!({"code": "input()", "stdin_open": false}))
        .await;
    turn.raises("EOFError");
}

#[tokio::test]
async fn input_for_nothing_or_for_another_turn_is_a_conflict() {
    let mut client = session().await;
    client
        .send(json!({"type": "stdin", "id": "a", "data": "x\n"}))
        .await;
    client.refused("a", "conflict").await;
    let id = client.execute("print(input())").await;
    client.expect("stdin_request").await;
    client
        .send(json!({"type": "stdin", "id": "b", "data": "x\n", "turn": 2}))
        .await;
    client.refused("b", "conflict").await;
    client
        .send(json!({"type": "stdin", "data": "right\n", "turn": 1}))
        .await;
    assert_eq!(client.finish(&id).await.ok(), "right\n");
}

#[tokio::test]
async fn unread_input_ends_with_its_turn() {
    let mut client = session().await;
    let id = client.execute("print(input())").await;
    client.expect("stdin_request").await;
    type_in(&mut client, "a\nleft over\nand more\n").await;
    assert_eq!(client.finish(&id).await.ok(), "a\n");
    let id = client.execute("print(input())").await;
    client.expect("stdin_request").await;
    type_in(&mut client, "fresh\n").await;
    assert_eq!(client.finish(&id).await.ok(), "fresh\n");
}

#[tokio::test]
async fn a_megabyte_of_input_arrives_byte_for_byte() {
    let text: String = (0..100_000).map(|i| format!("{i} é\n")).collect();
    let turn = session()
        .await
        .run_with(json!({
            "code": "import sys, hashlib\ntext = sys.stdin.read()\nprint(len(text), text == ''.join(f'{i} é\\n' for i in range(100_000)))",
            "stdin": text,
        }))
        .await;
    assert_eq!(turn.ok(), format!("{} True\n", text.chars().count()));
}

#[tokio::test]
async fn a_wait_for_input_has_an_end() {
    let mut client = Gateway::small().user().connect().open().await;
    let turn = client.run("print('told')\ninput()").await;
    turn.ends("timeout", 124);
    assert_eq!(turn.stdout(), "told\n");
    assert_eq!(client.print("print('on')").await, "on\n");
}
