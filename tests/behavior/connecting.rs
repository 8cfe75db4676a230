//! Who asks wrongly is refused before the upgrade, by name.

use crate::support::{Connect, Gateway, Role};

async fn refused(name: &str, value: &str, status: u16, code: &str) -> String {
    Gateway::shared()
        .user()
        .connect()
        .query(name, value)
        .refused()
        .await
        .refusal(status, code)
}

#[tokio::test]
async fn a_connection_gets_the_protocol_it_offers() {
    let user = Gateway::shared().user();
    let client = user.connect().open().await;
    assert_eq!(client.protocol.as_deref(), Some("weir.v1"));
    let client = user
        .connect()
        .protocols(&["weir.v9", "weir.v1"])
        .open()
        .await;
    assert_eq!(client.protocol.as_deref(), Some("weir.v1"));
    let mut client = user.connect().protocols(&[]).open().await;
    assert_eq!(client.protocol, None);
    client.ping().await;
}

#[tokio::test]
async fn only_unknown_protocols_are_refused_with_the_known_ones() {
    let response = Gateway::shared()
        .user()
        .connect()
        .protocols(&["weir.v9", "mqtt"])
        .refused()
        .await;
    let message = response.refusal(400, "bad_request");
    assert!(message.contains("weir.v1"), "{message}");
}

#[tokio::test]
async fn an_unnamed_session_gets_a_name() {
    let user = Gateway::shared().user();
    let mut one = user.connect().open().await;
    let two = user.connect().open().await;
    assert_ne!(one.session(), two.session());
    let name = one.session().to_owned();
    one.print("x = 1").await;
    assert_eq!(user.join(&name).open().await.print("print(x)").await, "1\n");
}

#[tokio::test]
async fn malformed_parameters_are_bad_requests() {
    let long = "x".repeat(129);
    for (name, value) in [
        ("session", ""),
        ("session", ".hidden"),
        ("session", "a/b"),
        ("session", "../up"),
        ("session", "a b"),
        ("session", "é"),
        ("session", "a\0b"),
        ("session", long.as_str()),
        ("role", "reader"),
        ("role", ""),
        ("after", "x"),
        ("after", "1"),
        ("after", "-1"),
        ("after", "epoch:"),
        ("after", "epoch:x"),
        ("after", ":1"),
        ("after", "epoch:-1"),
        ("after", "epoch:99999999999999999999999"),
        ("window", "0"),
        ("window", "-5"),
        ("window", "many"),
        ("window", ""),
        ("window", "1.5"),
    ] {
        let message = refused(name, value, 400, "bad_request").await;
        assert!(message.contains(name), "{name}={value:?}: {message}");
        assert!(message.len() < 500, "{message}");
    }
}

#[tokio::test]
async fn the_longest_session_name_is_fine() {
    let name = "x".repeat(128);
    let client = Gateway::shared().user().join(&name).open().await;
    assert_eq!(client.session(), name);
}

#[tokio::test]
async fn an_unknown_language_is_refused_with_the_known_ones() {
    let message = refused("language", "cobol", 400, "bad_request").await;
    assert!(
        message.contains("cobol") && message.contains("python"),
        "{message}"
    );
}

#[tokio::test]
async fn the_language_of_a_session_stays() {
    let user = Gateway::shared().user();
    user.join("s").query("language", "python").open().await;
    user.join("s").open().await;
    user.join("s").query("language", "python").open().await;
    let response = user
        .join("s")
        .query("language", "javascript")
        .refused()
        .await;
    // 409 where the catalogue has it, 400 where it has not.
    match response.status {
        409 => response.refusal(409, "conflict"),
        _ => response.refusal(400, "bad_request"),
    };
}

#[tokio::test]
async fn a_viewer_of_nothing_is_not_found() {
    let gateway = Gateway::shared();
    let user = gateway.user();
    let missing = user.join("nothing").role(Role::Viewer).refused().await;
    let message = missing.refusal(404, "not_found");
    // What may not be seen gets the very same answer.
    let tenant = crate::support::seed::fresh_name("tenant");
    let reader = gateway
        .user()
        .with("tenant", tenant)
        .with("scope", "session session:read");
    let _theirs = gateway.user_named("somebody").join("nothing").open().await;
    let hidden = reader
        .join("nothing")
        .query("owner", "somebody")
        .role(Role::Viewer)
        .refused()
        .await;
    assert_eq!(hidden.refusal(404, "not_found"), message);
}

#[tokio::test]
async fn one_name_in_two_namespaces_is_two_sessions() {
    let gateway = Gateway::shared();
    let subject = crate::support::seed::fresh_name("subject");
    let alone = gateway.user_named(&subject);
    let namespaces = [
        alone.clone(),
        alone.clone().with("tenant", "acme"),
        alone.clone().with("tenant", "rival"),
        gateway.user(),
        // A subject that looks like a tenant and its subject is neither.
        gateway.user_named(&format!("acme/{subject}")),
    ];
    for (number, user) in namespaces.iter().enumerate() {
        let mut client = user.join("shared-name").open().await;
        assert_eq!(client.head(), 0, "namespace {number} is not its own");
        client
            .print(&format!("assert 'x' not in globals()\nx = {number}"))
            .await;
    }
}

#[tokio::test]
async fn an_owner_is_named_only_by_who_may() {
    let gateway = Gateway::shared();
    let owner = crate::support::seed::fresh_name("owner");
    let _theirs = gateway.user_named(&owner).join("s").open().await;
    for (user, role) in [
        (gateway.user(), Role::Viewer),
        (gateway.user(), Role::Writer),
    ] {
        user.join("s")
            .query("owner", &owner)
            .role(role)
            .refused()
            .await
            .refusal(403, "forbidden");
    }
    gateway
        .user()
        .join("s")
        .query("tenant", "other")
        .refused()
        .await
        .refusal(403, "forbidden");
}

#[tokio::test]
async fn an_admin_may_use_any_session() {
    let gateway = Gateway::shared();
    let owner = crate::support::seed::fresh_name("owner");
    let mut mine = gateway.user_named(&owner).join("s").open().await;
    mine.print("x = 42").await;
    let mut admin = gateway
        .user()
        .with("scope", "admin")
        .join("s")
        .query("owner", &owner)
        .open()
        .await;
    assert_eq!(admin.print("print(x)").await, "42\n");
}

#[tokio::test]
async fn a_scope_that_does_not_reach_is_forbidden() {
    let gateway = Gateway::shared();
    for scope in ["", "session:read", "sessions", "openid profile"] {
        let response = gateway
            .user()
            .with("scope", scope)
            .connect()
            .refused()
            .await;
        response.refusal(403, "forbidden");
    }
}

#[tokio::test]
async fn a_foreign_origin_is_forbidden() {
    let gateway = Gateway::shared();
    for origin in [
        "https://evil.example",
        "null",
        "http://localhost.evil.example",
        "file://",
        &gateway.address.to_string(),
        "http://127.0.0.1",
        "http://127.0.0.1:1",
        "",
    ] {
        let connect = gateway.user().connect().header("origin", origin);
        let response = connect.answer().await.unwrap();
        assert_eq!(response.status, 403, "{origin:?}: {response:?}");
    }
    // TLS may have ended at a proxy: the gateway cannot tell its own scheme.
    for scheme in ["http", "https"] {
        let own = format!("{scheme}://{}", gateway.address);
        let connect = gateway.user().connect().header("origin", &own);
        connect.open().await;
    }
}

#[tokio::test]
async fn an_origin_on_the_list_is_welcome() {
    let gateway = Gateway::start(&[("WEIR_ALLOWED_ORIGINS", "https://app.example")]);
    let user = gateway.user();
    user.connect()
        .header("origin", "https://app.example")
        .open()
        .await;
    user.connect()
        .header("origin", "https://app.example.evil")
        .refused()
        .await
        .refusal(403, "forbidden");
}

#[tokio::test]
async fn without_an_upgrade_there_is_no_connection() {
    let gateway = Gateway::shared();
    let token = gateway.user().token();
    let response = crate::support::http::get(
        gateway.address,
        "/v1/connect",
        &[("authorization".into(), format!("Bearer {token}"))],
    )
    .await
    .unwrap();
    assert!(
        response.status == 400 || response.status == 426,
        "{response:?}"
    );
    assert!(response.json()["error"]["code"].is_string());
}

#[tokio::test]
async fn unknown_paths_are_unauthorized_first_and_not_found_then() {
    let gateway = Gateway::shared();
    let authorization = (
        "authorization".to_owned(),
        format!("Bearer {}", gateway.user().token()),
    );
    for path in [
        "/",
        "/v1",
        "/v1/nothing",
        "/admin",
        "/v1/connect/../../metrics",
        "//metrics",
    ] {
        gateway.get(path).await.refusal(401, "unauthorized");
        crate::support::http::get(gateway.address, path, std::slice::from_ref(&authorization))
            .await
            .unwrap()
            .refusal(404, "not_found");
    }
}

#[tokio::test]
async fn a_refusal_shows_no_credential() {
    let gateway = Gateway::shared();
    let token = gateway.user().with("exp", 1).token();
    let response = Connect::to(gateway).token(&token).refused().await;
    assert!(!response.body.contains(&token[..20]), "{response:?}");
}
