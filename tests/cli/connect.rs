//! `weir connect`, against a gateway that is played from a script.

use std::future::Future;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

use crate::program::{Ended, ended, weir_at};

/// Every step of a script must come within this.
const PATIENCE: Duration = Duration::from_secs(20);

/// One accepted connection.
struct Peer {
    socket: WebSocketStream<TcpStream>,
    query: String,
    authorization: String,
}

impl Peer {
    async fn accept(listener: &TcpListener) -> Self {
        let (stream, _) = listener.accept().await.unwrap();
        let (mut query, mut authorization) = (String::new(), String::new());
        #[allow(clippy::result_large_err)]
        let look = |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
            assert_eq!(request.uri().path(), "/v1/connect");
            query = request.uri().query().unwrap_or_default().to_owned();
            let header = |name: &str| request.headers().get(name).cloned();
            authorization = header("authorization")
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            let offered = header("sec-websocket-protocol").unwrap();
            assert_eq!(offered, "weir.v1");
            response
                .headers_mut()
                .insert("sec-websocket-protocol", offered);
            Ok(response)
        };
        let socket = accept_hdr_async(stream, look).await.unwrap();
        Self {
            socket,
            query,
            authorization,
        }
    }

    async fn send(&mut self, frame: Value) {
        let text = frame.to_string();
        self.socket.send(Message::text(text)).await.unwrap();
    }

    async fn attach(&mut self, seq: u64, more: Value) {
        let mut frame = json!({
            "type": "attached", "session": "s1", "language": "python", "version": "3.15.0",
            "epoch": "e1", "seq": seq, "recovered": false, "role": "writer", "state": "ready",
            "limits": {"heartbeat_seconds": 20},
        });
        for (name, value) in more.as_object().unwrap() {
            frame[name] = value.clone();
        }
        self.send(frame).await;
    }

    async fn output(&mut self, seq: u64, stream: &str, text: &str) {
        self.send(json!({"type": "output", "seq": seq, "turn": 1, "stream": stream, "text": text}))
            .await;
    }

    async fn finish(&mut self, seq: u64, request: &Value, status: &str, exit_code: i64) {
        self.send(finished(seq, request, status, exit_code)).await;
    }

    /// The next message, which must be of this type.
    async fn expect(&mut self, kind: &str) -> Value {
        loop {
            let message = self.socket.next().await.unwrap().unwrap();
            if let Message::Text(text) = message {
                let frame: Value = serde_json::from_str(&text).unwrap();
                assert_eq!(frame["type"], kind, "{frame}");
                return frame;
            }
        }
    }
}

fn finished(seq: u64, request: &Value, status: &str, exit_code: i64) -> Value {
    let error = match status {
        "ok" => Value::Null,
        status => json!({"name": status, "message": "that was it", "traceback": ""}),
    };
    json!({
        "type": "finished", "seq": seq, "id": request["id"], "turn": 1, "status": status,
        "exit_code": exit_code, "error": error, "session_state": "kept", "truncated": false,
        "metrics": null,
    })
}

/// Plays `script` to a client with these arguments, and returns how the client ended.
async fn play<F>(args: &[&str], code: &str, script: impl FnOnce(TcpListener) -> F) -> Ended
where
    F: Future<Output = ()>,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let mut all = vec!["connect".to_owned(), "--url".into(), url];
    all.extend(args.iter().map(|arg| (*arg).to_owned()));
    let code = code.to_owned();
    let client = tokio::task::spawn_blocking(move || {
        let home = tempfile::tempdir().unwrap();
        ended(&mut weir_at(home.path(), all), &code)
    });
    tokio::time::timeout(PATIENCE, script(listener))
        .await
        .expect("the script ends");
    tokio::time::timeout(PATIENCE, client)
        .await
        .expect("the client ends")
        .unwrap()
}

#[tokio::test]
async fn a_piped_program_streams_and_ends_as_it_ended() {
    let args = ["--token", "t0ken", "--language", "python", "--timeout", "5"];
    let ended = play(&args, "print(1)", |listener| async move {
        let mut peer = Peer::accept(&listener).await;
        assert_eq!(peer.query, "language=python");
        assert_eq!(peer.authorization, "Bearer t0ken");
        peer.attach(0, json!({})).await;
        let request = peer.expect("execute").await;
        assert_eq!(request["code"], "print(1)");
        assert_eq!(request["stdin_open"], false);
        assert_eq!(request["timeout_seconds"], 5.0);
        peer.send(
            json!({"type": "queued", "seq": 1, "id": request["id"], "turn": 1, "position": 0}),
        )
        .await;
        peer.send(json!({"type": "started", "seq": 2, "id": request["id"], "turn": 1}))
            .await;
        peer.output(3, "stdout", "naïve\n").await;
        peer.output(4, "stderr", "oops\n").await;
        peer.send(
            json!({"type": "output", "seq": 5, "turn": 1, "stream": "stdout", "base64": "YQ=="}),
        )
        .await;
        peer.send(json!({"type": "result", "seq": 6, "turn": 1, "text": "42"}))
            .await;
        peer.send(json!({
            "type": "display", "seq": 7, "turn": 1,
            "data": {"image/png": "AAAA"}, "metadata": {},
        }))
        .await;
        peer.finish(8, &request, "exit", 7).await;
        // Nobody knows of the session that was made for it.
        let close = peer.expect("close").await;
        peer.send(json!({"type": "closed", "id": close["id"]}))
            .await;
        while peer.socket.next().await.is_some() {}
    })
    .await;
    assert_eq!(ended.code, Some(7), "{ended:?}");
    assert_eq!(ended.stdout, "naïve\na42\n");
    assert_eq!(ended.stderr, "oops\n\n[image/png, 1 kB]\n");
}

#[tokio::test]
async fn a_break_is_mended_without_loss_or_repetition() {
    let args = ["--token", "t", "--session", "mine"];
    let ended = play(&args, "work()", |listener| async move {
        let mut peer = Peer::accept(&listener).await;
        assert_eq!(peer.query, "session=mine");
        peer.attach(7, json!({"session": "mine"})).await;
        let request = peer.expect("execute").await;
        peer.output(8, "stdout", "a").await;
        peer.output(9, "stdout", "b").await;
        // The line goes dead, without a word.
        drop(peer);

        let mut peer = Peer::accept(&listener).await;
        assert_eq!(peer.query, "session=mine&after=e1:9");
        peer.attach(11, json!({"session": "mine", "recovered": true}))
            .await;
        let again = peer.expect("execute").await;
        assert_eq!(again, request, "the same request, under the same id");
        peer.output(9, "stdout", "b").await;
        peer.output(10, "stdout", "c").await;
        peer.send(json!({"type": "duplicate", "id": request["id"], "turn": 1, "state": "running"}))
            .await;
        peer.finish(11, &request, "ok", 0).await;
        while peer.socket.next().await.is_some() {}
    })
    .await;
    assert_eq!(ended.stdout, "abc", "{ended:?}");
    assert_eq!(ended.code, Some(0));
    assert!(ended.stderr.contains("nothing was lost"), "{ended:?}");
}

#[tokio::test]
async fn an_end_that_the_journal_no_longer_holds_is_still_heard() {
    let args = ["--token", "t", "--session", "mine"];
    let ended = play(&args, "work()", |listener| async move {
        let mut peer = Peer::accept(&listener).await;
        peer.attach(0, json!({"session": "mine"})).await;
        let request = peer.expect("execute").await;
        drop(peer);
        let mut peer = Peer::accept(&listener).await;
        peer.attach(90, json!({"session": "mine", "recovered": true}))
            .await;
        peer.send(json!({"type": "gap", "from": 1, "to": 80})).await;
        peer.expect("execute").await;
        peer.send(json!({
            "type": "duplicate", "id": request["id"], "turn": 1, "state": "done",
            "event": finished(70, &request, "timeout", 124),
        }))
        .await;
        while peer.socket.next().await.is_some() {}
    })
    .await;
    assert_eq!(ended.code, Some(124), "{ended:?}");
    assert!(ended.stderr.contains("events 1 to 80 are no longer kept"));
    assert!(ended.stderr.contains("timeout: that was it"));
}

#[tokio::test]
async fn a_restored_session_is_told_from_one_that_lost_nothing() {
    let args = ["--token", "t", "--session", "mine"];
    let ended = play(&args, "work()", |listener| async move {
        let mut peer = Peer::accept(&listener).await;
        peer.attach(0, json!({"session": "mine"})).await;
        let request = peer.expect("execute").await;
        for seq in 1..=5 {
            peer.output(seq, "stdout", "x").await;
        }
        drop(peer);
        let mut peer = Peer::accept(&listener).await;
        let restored = json!({"session": "mine", "epoch": "e2", "common_seq": 2});
        peer.attach(3, restored).await;
        // Numbers below those of the lost history are new here.
        peer.finish(3, &request, "lost", 1).await;
        while peer.socket.next().await.is_some() {}
    })
    .await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("the session was restored"));
    assert!(ended.stderr.contains("lost: that was it"));
}

#[tokio::test]
async fn a_refusal_is_one_line_and_is_not_tried_again() {
    let ended = play(&["--token", "bad"], "x", |listener| async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        assert!(stream.read(&mut request).await.unwrap() > 0);
        let body = r#"{"error":{"code":"unauthorized","message":"the token has expired"}}"#;
        let length = body.len();
        let response =
            format!("HTTP/1.1 401 Unauthorized\r\ncontent-length: {length}\r\n\r\n{body}");
        stream.write_all(response.as_bytes()).await.unwrap();
    })
    .await;
    ended.expect_failure(1, "the gateway refused: the token has expired (401)");
}

#[tokio::test]
async fn a_request_that_is_refused_ends_with_its_reason() {
    let ended = play(
        &["--token", "t", "--session", "a"],
        "x",
        |listener| async move {
            let mut peer = Peer::accept(&listener).await;
            peer.attach(0, json!({})).await;
            let request = peer.expect("execute").await;
            peer.send(json!({
                "type": "error", "id": request["id"], "code": "queue_full",
                "message": "64 turns wait",
            }))
            .await;
            while peer.socket.next().await.is_some() {}
        },
    )
    .await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(ended.stderr, "queue_full: 64 turns wait\n");
}

#[test]
fn what_cannot_be_reached_is_one_line() {
    let home = tempfile::tempdir().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", free.local_addr().unwrap());
    drop(free);
    let mut command = weir_at(home.path(), ["connect", "--token", "t", "--url", &url]);
    ended(&mut command, "x").expect_failure(1, &format!("cannot reach {url}: "));
    let mut command = weir_at(home.path(), ["connect", "--token", "t", "--url", &url]);
    ended(&mut command, " \n").expect_failure(2, "stdin is empty");
}

#[test]
fn a_token_of_our_own_is_for_this_machine_only() {
    let home = tempfile::tempdir().unwrap();
    let mut command = weir_at(home.path(), ["connect", "--url", "wss://gateway.example"]);
    ended(&mut command, "x").expect_failure(1, "wss://gateway.example:443 wants a token");
    let mut command = weir_at(home.path(), ["connect"]);
    ended(&mut command, "x").expect_failure(1, "no secret to sign one with");
    let left: Vec<_> = std::fs::read_dir(home.path()).unwrap().collect();
    assert!(left.is_empty(), "nothing is made: {left:?}");
}
