//! Whatever comes through an open socket gets its code; nobody else notices.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Bytes, Message};

use crate::support::{Client, Gateway};

async fn session() -> Client {
    Gateway::shared().user().connect().open().await
}

#[tokio::test]
async fn what_is_no_json_object_closes_the_socket() {
    for text in [
        "",
        "hello",
        "{",
        "[1]",
        "\"x\"",
        "null",
        "1",
        "{} {}",
        "{\"type\":}",
        "{'type':'ping'}",
    ] {
        let mut client = session().await;
        client.send_raw(Message::text(text)).await;
        assert_eq!(client.closing().await.code, 4400, "{text:?}");
    }
}

#[tokio::test]
async fn a_binary_frame_closes_the_socket() {
    let mut client = session().await;
    client
        .send_raw(Message::binary(br#"{"type":"ping","id":"a"}"#.to_vec()))
        .await;
    assert_eq!(client.closing().await.code, 4400);
}

#[tokio::test]
async fn a_message_over_its_bound_closes_the_socket() {
    let mut client = session().await;
    let padding = "x".repeat(4 << 20);
    let message = json!({"type": "ping", "id": "a", "padding": padding}).to_string();
    // The gateway need not read it to its end.
    let _ = client.offer(Message::text(message)).await;
    assert_eq!(client.closing().await.code, 4413);
}

#[tokio::test]
async fn a_message_at_its_bound_is_read() {
    let mut client = session().await;
    client.patience = Duration::from_secs(30);
    let frame = |padding: usize| {
        format!(
            r#"{{"type":"execute","id":"big","code":"print('ran')#{}"}}"#,
            "x".repeat(padding)
        )
    };
    let padding = (4 << 20) - frame(0).len();
    client.send_raw(Message::text(frame(padding))).await;
    assert_eq!(client.finish("big").await.ok(), "ran\n");
}

#[tokio::test]
async fn wrong_fields_are_refused_by_name_and_the_socket_stays() {
    let mut client = session().await;
    let long_id = "x".repeat(129);
    let cases: Vec<(Value, &str)> = vec![
        (json!({"type": "dance", "id": "a"}), "unknown_type"),
        (json!({"type": "EXECUTE", "id": "a"}), "unknown_type"),
        (json!({"id": "a"}), "bad_request"),
        (json!({"type": 7, "id": "a"}), "bad_request"),
        (json!({"type": null, "id": "a"}), "bad_request"),
        (json!({"type": "execute", "id": "a"}), "invalid_code"),
        (
            json!({"type": "execute", "id": "a", "code": ""}),
            "invalid_code",
        ),
        (
            json!({"type": "execute", "id": "a", "code": null}),
            "invalid_code",
        ),
        (
            json!({"type": "execute", "id": "a", "code": 7}),
            "invalid_code",
        ),
        (
            json!({"type": "execute", "id": "a", "code": ["1"]}),
            "invalid_code",
        ),
        (execute("timeout_seconds", json!(0)), "invalid_timeout"),
        (execute("timeout_seconds", json!(0.99)), "invalid_timeout"),
        (execute("timeout_seconds", json!(60.01)), "invalid_timeout"),
        (execute("timeout_seconds", json!(-1)), "invalid_timeout"),
        (execute("timeout_seconds", json!(1e300)), "invalid_timeout"),
        (execute("timeout_seconds", json!("5")), "invalid_timeout"),
        (execute("timeout_seconds", json!([5])), "invalid_timeout"),
        (execute("fuel", json!(0)), "bad_request"),
        (execute("fuel", json!(-1)), "bad_request"),
        (execute("fuel", json!("1")), "bad_request"),
        (execute("fuel", json!(1.5)), "bad_request"),
        (execute("stdin", json!(7)), "bad_request"),
        (execute("stdin_open", json!("yes")), "bad_request"),
        (execute("filename", json!("")), "bad_request"),
        (execute("filename", json!("a\nb")), "bad_request"),
        (execute("filename", json!("x".repeat(257))), "bad_request"),
        (execute("durable", json!(1)), "bad_request"),
        (json!({"type": "stdin", "id": "a"}), "bad_request"),
        (
            json!({"type": "stdin", "id": "a", "data": "x", "eof": true}),
            "bad_request",
        ),
        (
            json!({"type": "stdin", "id": "a", "data": 7}),
            "bad_request",
        ),
        (json!({"type": "cancel", "id": "a"}), "bad_request"),
        (
            json!({"type": "complete", "id": "a", "code": "x"}),
            "bad_request",
        ),
        (json!({"type": "authenticate", "id": "a"}), "bad_request"),
        (
            json!({"type": "authenticate", "id": "a", "token": 7}),
            "bad_request",
        ),
        (
            json!({"type": "interrupt", "id": "a", "turn": "one"}),
            "bad_request",
        ),
    ];
    for (message, code) in cases {
        client.send(message.clone()).await;
        let error = client.expect("error").await;
        assert_eq!(error["code"], code, "{message}: {}", error.raw);
        assert_eq!(error["id"], "a", "{message}: {}", error.raw);
        assert!(!error.text("message").is_empty());
    }
    // Without an id that can be read, the answer has none.
    for id in [json!(""), json!(long_id), json!(7), json!(null)] {
        client
            .send(json!({"type": "execute", "id": id, "code": "x = 1"}))
            .await;
        let error = client.expect("error").await;
        assert_eq!(error["code"], "bad_request", "{}", error.raw);
        assert_eq!(error.json.get("id"), None, "{}", error.raw);
        assert!(error.raw.len() < 600, "{}", error.raw);
    }
    assert_eq!(
        client.print("print('x' in globals())").await,
        "False\n",
        "nothing of it ran"
    );
}

fn execute(field: &str, value: Value) -> Value {
    let mut message = json!({"type": "execute", "id": "a", "code": "x = 1"});
    message[field] = value;
    message
}

#[tokio::test]
async fn the_longest_id_is_fine_in_any_script() {
    let mut client = session().await;
    for id in ["😀".repeat(128), "\0".to_owned(), "\u{2028}\"\\".to_owned()] {
        client.send(json!({"type": "ping", "id": id})).await;
        client.answer("pong", &id).await;
    }
}

#[tokio::test]
async fn bounds_themselves_are_allowed() {
    let mut client = session().await;
    for timeout in [json!(1), json!(60), json!(1.5), json!(60.0)] {
        client
            .run_with(json!({"code": "1", "timeout_seconds": timeout}))
            .await
            .ok();
    }
}

#[tokio::test]
async fn unknown_fields_are_ignored_whatever_they_hold() {
    let mut client = session().await;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    client
        .send_raw(Message::text(format!(
            r#"{{"type":"ping","deep":{deep},"id":"a","more":{{"type":"close"}}}}"#
        )))
        .await;
    client.answer("pong", "a").await;
}

#[tokio::test]
async fn deep_nesting_in_a_known_field_is_refused() {
    let mut client = session().await;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    client
        .send_raw(Message::text(format!(
            r#"{{"type":"execute","id":"a","code":{deep}}}"#
        )))
        .await;
    client.refused("a", "invalid_code").await;
    client.ping().await;
}

#[tokio::test]
async fn a_lone_surrogate_is_refused() {
    let mut client = session().await;
    client
        .send_raw(Message::text(
            r#"{"type":"execute","id":"a","code":"print('\ud800')"}"#,
        ))
        .await;
    let error = client.expect("error").await;
    assert_eq!(error["code"], "invalid_code", "{}", error.raw);
    client.ping().await;
}

#[tokio::test]
async fn a_message_in_fragments_is_read_whole() {
    let mut client = session().await;
    let text = r#"{"type":"execute","id":"parts","code":"print('漢字')"}"#;
    let bytes = text.as_bytes();
    let last = bytes.len() - 1;
    for (at, byte) in bytes.iter().enumerate() {
        let kind = if at == 0 { Data::Text } else { Data::Continue };
        let part = Bytes::copy_from_slice(&[*byte]);
        let frame = Frame::message(part, OpCode::Data(kind), at == last);
        client.send_raw(Message::Frame(frame)).await;
    }
    assert_eq!(client.finish("parts").await.ok(), "漢字\n");
}

#[tokio::test]
async fn a_message_of_endless_fragments_is_cut_off() {
    let mut client = Gateway::small().user().connect().open().await;
    let part = Bytes::from(vec![b' '; 20 << 10]);
    for number in 0..4 {
        let kind = if number == 0 {
            Data::Text
        } else {
            Data::Continue
        };
        let frame = Frame::message(part.clone(), OpCode::Data(kind), false);
        if client.offer(Message::Frame(frame)).await.is_err() {
            break;
        }
    }
    assert_eq!(client.closing().await.code, 4413);
}

/// The close code that the gateway answers raw bytes with; `None` when it just cuts the line.
async fn after_raw(bytes: &[u8]) -> Option<u16> {
    let mut client = session().await;
    client.raw_socket().write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let reading = client.raw_socket().read_to_end(&mut answer);
    let _ = tokio::time::timeout(Duration::from_secs(10), reading)
        .await
        .expect("the line is cut");
    // A close frame: FIN and opcode 8, a length of at least 2, a code.
    let at = answer.windows(2).position(|pair| pair[0] == 0x88)?;
    let code = answer.get(at + 2..at + 4)?;
    Some(u16::from_be_bytes([code[0], code[1]]))
}

#[tokio::test]
async fn broken_frames_close_the_socket() {
    let cases: [(&str, &[u8]); 5] = [
        ("not masked", &[0x81, 0x02, b'{', b'}']),
        ("reserved opcode", &[0x83, 0x80, 0, 0, 0, 0]),
        ("reserved bits", &[0xf1, 0x80, 0, 0, 0, 0]),
        ("continues nothing", &[0x80, 0x80, 0, 0, 0, 0]),
        ("not UTF-8", &[0x81, 0x81, 0, 0, 0, 0, 0xff]),
    ];
    for (what, bytes) in cases {
        let code = after_raw(bytes).await;
        assert!(
            matches!(code, None | Some(1002 | 1007 | 4400)),
            "{what}: {code:?}"
        );
    }
}

#[tokio::test]
async fn a_frame_that_claims_to_be_huge_costs_nothing() {
    let code = after_raw(&[
        0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0,
    ])
    .await;
    assert!(matches!(code, None | Some(1009 | 4413 | 1002)), "{code:?}");
}

#[tokio::test]
async fn websocket_pings_are_answered() {
    let mut client = session().await;
    let payload = [0x89, 0x84, 0, 0, 0, 0, b'w', b'e', b'i', b'r'];
    client.raw_socket().write_all(&payload).await.unwrap();
    let mut pong = [0; 6];
    client.raw_socket().read_exact(&mut pong).await.unwrap();
    assert_eq!(&pong, b"\x8a\x04weir");
}

#[tokio::test]
async fn a_client_that_answers_no_ping_is_closed() {
    // The library answers pings only while it is read from.
    let mut client = Gateway::small().user().connect().open().await;
    let mut answer = Vec::new();
    let reading = client.raw_socket().read_to_end(&mut answer);
    let _ = tokio::time::timeout(Duration::from_secs(10), reading)
        .await
        .expect("closed after two unanswered pings");
    let code = 4408_u16.to_be_bytes();
    assert!(
        answer.windows(2).any(|pair| pair == code),
        "no close code 4408 in {answer:?}"
    );
}

#[tokio::test]
async fn a_client_that_answers_pings_stays() {
    let mut client = Gateway::small().user().connect().open().await;
    client.patience = Duration::from_secs(10);
    let id = client
        .execute("import time\nfor i in range(10): time.sleep(0.4)\nprint('here')")
        .await;
    assert_eq!(client.finish(&id).await.ok(), "here\n");
}

#[tokio::test]
async fn half_open_connections_hurt_nobody() {
    let gateway = Gateway::shared();
    let beginnings: [&[u8]; 4] = [
        b"",
        b"GET /v1/connect HTTP/1.1\r\nHost: x\r\nX-Slow: ",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET /live HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nx",
    ];
    let mut half_open = Vec::new();
    for number in 0..3_000 {
        let mut socket = TcpStream::connect(gateway.address).await.unwrap();
        let _ = socket.write_all(beginnings[number % 4]).await;
        half_open.push(socket);
    }
    let mut client = gateway.user().connect().open().await;
    assert_eq!(client.print("print(1)").await, "1\n");
    assert_eq!(gateway.get("/live").await.status, 200);
}

#[tokio::test]
async fn a_request_that_is_no_http_is_refused_or_cut() {
    let gateway = Gateway::shared();
    let huge_header = format!(
        "GET /live HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n",
        "y".repeat(1 << 20)
    );
    for request in [
        "nonsense\r\n\r\n",
        "GET /live HTTP/9.9\r\nhost: x\r\n\r\n",
        "GET  /live\r\n\r\n",
        "GET /live HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n",
        &huge_header,
    ] {
        let mut socket = TcpStream::connect(gateway.address).await.unwrap();
        // It may be cut while it is still sending.
        let _ = socket.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let reading = socket.read_to_end(&mut answer);
        let _ = tokio::time::timeout(Duration::from_secs(10), reading)
            .await
            .unwrap_or_else(|_| panic!("no answer to {request:.60?}"));
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            answer.is_empty()
                || answer.starts_with("HTTP/1.1 4")
                || answer.starts_with("HTTP/1.1 5"),
            "{request:.60?}: {answer:.200}"
        );
    }
    assert_eq!(gateway.get("/live").await.status, 200);
}
