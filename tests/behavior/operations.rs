//! What an operator relies on: health, metrics, logs, TLS and an orderly end.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::certificate;
use crate::support::{Connect, Gateway};

#[tokio::test]
async fn health_is_open_to_everybody() {
    for path in ["/live", "/ready"] {
        let response = Gateway::shared().get(path).await;
        assert_eq!(response.status, 200, "{response:?}");
        assert_eq!(response.json(), json!({"status": "ok"}));
        assert!(
            response
                .header("content-type")
                .is_some_and(|kind| kind.starts_with("application/json"))
        );
    }
}

#[tokio::test]
async fn metrics_are_open_and_count() {
    let gateway = Gateway::start(&[]);
    let mut client = gateway.user().connect().open().await;
    client.run("print('x' * 99)").await.ok();
    client.run("1 / 0").await.raises("ZeroDivisionError");
    client.run("import os; os._exit(1)").await.ends("exit", 1);
    Connect::to(&gateway)
        .refused()
        .await
        .refusal(401, "unauthorized");

    let response = gateway.get("/metrics").await;
    assert_eq!(response.status, 200);
    let text = &response.body;
    for metric in [
        "weir_sessions",
        "weir_connections",
        "weir_turns_total",
        "weir_turn_seconds",
        "weir_first_output_seconds",
        "weir_session_start_seconds",
        "weir_output_bytes_total",
        "weir_checkpoint_seconds",
        "weir_checkpoint_bytes",
        "weir_wake_seconds",
        "weir_rollbacks_total",
        "weir_guest_memory_bytes",
        "weir_refusals_total",
    ] {
        assert!(
            text.contains(&format!("# TYPE {metric} "))
                || text.contains(&format!("# TYPE {} ", metric.trim_end_matches("_total"))),
            "{metric} is missing:\n{text}"
        );
    }
    assert_eq!(sample(text, "weir_connections", &[]), 1.0);
    assert_eq!(
        sample(
            text,
            "weir_turns_total",
            &["language=\"python\"", "status=\"ok\""]
        ),
        1.0
    );
    assert_eq!(sample(text, "weir_turns_total", &["status=\"error\""]), 1.0);
    assert_eq!(sample(text, "weir_turns_total", &["status=\"exit\""]), 1.0);
    assert_eq!(sample(text, "weir_turn_seconds_count", &[]), 3.0);
    let rollbacks: f64 = samples(text, "weir_rollbacks_total", &[]).iter().sum();
    assert_eq!(rollbacks, 1.0);
    assert_eq!(
        sample(text, "weir_refusals_total", &["code=\"unauthorized\""]),
        1.0
    );
    assert!(sample(text, "weir_output_bytes_total", &[]) >= 100.0);
    assert!(sample(text, "weir_guest_memory_bytes", &[]) > 1e6);
    let sessions: f64 = samples(text, "weir_sessions", &[]).iter().sum();
    assert_eq!(sessions, 1.0);
}

/// The only sample of that name with those labels.
fn sample(text: &str, name: &str, labels: &[&str]) -> f64 {
    match samples(text, name, labels).as_slice() {
        [one] => *one,
        other => panic!("{} samples of {name} {labels:?} in\n{text}", other.len()),
    }
}

fn samples(text: &str, name: &str, labels: &[&str]) -> Vec<f64> {
    text.lines()
        .filter(|line| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with([' ', '{']))
                && labels.iter().all(|label| line.contains(label))
        })
        .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
        .collect()
}

#[tokio::test]
async fn logs_hold_no_token_and_no_code() {
    let gateway = Gateway::start(&[("WEIR_LOG", "debug,weir=trace")]);
    let user = gateway.user();
    let token = user.token();
    let mut client = user.connect().open().await;
    client
        .run("private_name = 'private text'\nprint(private_name)")
        .await
        .ok();
    client.run("private_name / 0").await.raises("TypeError");
    let id = client.execute("private_answer = input()").await;
    client.expect("stdin_request").await;
    client
        .send(json!({"type": "stdin", "data": "private input\n"}))
        .await;
    client.finish(&id).await.ok();
    Connect::to(&gateway).token("not.a.token").refused().await;
    client
        .send(json!({"type": "authenticate", "id": "a", "token": token}))
        .await;
    client.answer("authenticated", "a").await;
    Connect::to(&gateway).token_as_protocol(&token).open().await;
    user.connect().query("token", &token).refused().await;
    let log = gateway.log();
    let signature = token.rsplit('.').next().unwrap();
    for secret in [
        gateway.secret.as_str(),
        signature,
        "not.a.token",
        "private_name",
        "private text",
        "private input",
    ] {
        assert!(!log.contains(secret), "{secret:?} is in the log:\n{log}");
    }
    assert!(!log.is_empty());
}

#[tokio::test]
async fn a_gateway_with_a_certificate_serves_tls() {
    let room = tempfile::tempdir().unwrap();
    let made = certificate::self_signed();
    let [certificate, key] = [
        ("certificate.pem", &made.certificate_pem),
        ("key.pem", &made.key_pem),
    ]
    .map(|(name, pem)| {
        let path = room.path().join(name);
        std::fs::write(&path, pem).unwrap();
        path.to_str().unwrap().to_owned()
    });
    let gateway = Gateway::start(&[("WEIR_TLS_CERT", &certificate), ("WEIR_TLS_KEY", &key)]);
    let user = gateway.user();
    let mut client = user.connect().tls(&made.der).open().await;
    assert_eq!(client.print("print('safe')").await, "safe\n");
    // Plain text on the port of TLS is no way in.
    let plain = user.connect().answer().await;
    assert!(plain.is_err() || plain.is_ok_and(|response| response.status == 400));
}

#[tokio::test]
async fn sigterm_drains() {
    let gateway = Gateway::start(&[("WEIR_DRAIN", "2s")]);
    let user = gateway.user();
    let mut ending = user.join("ending").open().await;
    let mut endless = user.join("endless").open().await;
    let mut idle = user.join("idle").open().await;
    let short = ending
        .execute("import time\nprint('go')\ntime.sleep(1)\nprint('done')")
        .await;
    let waiting = ending.execute("print('never')").await;
    ending.turn_of(&waiting).await;
    let long = endless.execute("print('go')\nwhile True: pass").await;
    for client in [&mut ending, &mut endless] {
        client.expect("output").await;
    }
    gateway.signal(Signal::TERM);

    ending.finish(&waiting).await.ends("cancelled", Value::Null);
    // No new connections, whether the port answers or not.
    if let Ok(response) = user.connect().answer().await {
        response.refusal(503, "draining");
        assert!(response.header("retry-after").is_some());
    }
    if let Ok(response) = crate::support::http::get(gateway.address, "/ready", &[]).await {
        assert_eq!(response.status, 503);
        assert_eq!(response.json(), json!({"status": "draining"}));
    }
    let refused = endless.execute("print('never')").await;
    endless.refused(&refused, "draining").await;

    let turn = ending.finish(&short).await;
    turn.ends("ok", 0);
    assert!(turn.stdout().ends_with("done\n"));
    endless.finish(&long).await.ends("interrupted", 130);
    for client in [&mut ending, &mut endless, &mut idle] {
        assert_eq!(client.closing().await.code, 1001);
    }
    assert_eq!(gateway.exit(Duration::from_secs(10)).code(), Some(0));
}

#[tokio::test]
async fn an_idle_gateway_drains_at_once() {
    let gateway = Gateway::start(&[]);
    let mut client = gateway.user().connect().open().await;
    client.print("x = 1").await;
    gateway.signal(Signal::TERM);
    assert_eq!(client.closing().await.code, 1001);
    assert_eq!(gateway.exit(Duration::from_secs(5)).code(), Some(0));
}
