//! Nobody gets in without a valid credential, and nobody stays beyond it.

use aws_lc_rs::hmac::{HMAC_SHA256, HMAC_SHA512};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use crate::support::client::Client;
use crate::support::seed::fresh_name;
use crate::support::token::{Claims, from_now};
use crate::support::{Connect, Gateway};

async fn is_unauthorized(gateway: &Gateway, token: &str) {
    for connect in [
        Connect::to(gateway).token(token),
        Connect::to(gateway).token_as_protocol(token),
    ] {
        let response = connect.refused().await;
        response.refusal(401, "unauthorized");
        assert!(
            response.header("www-authenticate").is_some(),
            "{response:?}"
        );
    }
}

#[tokio::test]
async fn no_credential_is_unauthorized() {
    let gateway = Gateway::shared();
    Connect::to(gateway)
        .refused()
        .await
        .refusal(401, "unauthorized");
    for header in ["", "Bearer", "Bearer ", "Basic YTpi", "bearer", "Token x"] {
        Connect::to(gateway)
            .header("authorization", header)
            .refused()
            .await
            .refusal(401, "unauthorized");
    }
}

#[tokio::test]
async fn a_bad_token_is_unauthorized() {
    let gateway = Gateway::shared();
    let secret = gateway.secret.as_str();
    let good = Claims::of("alice");
    let token = good.hs256(secret);
    let (signed, _) = token.rsplit_once('.').unwrap();
    let wrong_key = "x".repeat(43);
    for bad in [
        "garbage".to_owned(),
        "a.b.c".to_owned(),
        "..".to_owned(),
        good.hs256(&wrong_key),
        good.hs256(&secret[..42]),
        format!("{signed}."),
        signed.to_owned(),
        format!("{token}x"),
        format!("{token}.x"),
        good.clone().with("exp", from_now(-60)).hs256(secret),
        good.clone().with("nbf", from_now(60)).hs256(secret),
        good.clone().without("exp").hs256(secret),
        good.clone().without("sub").hs256(secret),
        good.clone().with("sub", "").hs256(secret),
        good.clone().with("sub", 7).hs256(secret),
        good.clone().with("exp", "tomorrow").hs256(secret),
        good.hmac("HS512", HMAC_SHA512, secret.as_bytes()),
        good.hmac("none", HMAC_SHA256, secret.as_bytes()),
        good.hmac("RS256", HMAC_SHA256, secret.as_bytes()),
        good.signed(&json!({"alg": "none"}), |_| Vec::new()),
        good.signed(&json!({"alg": "HS256", "typ": "JWT"}), |_| Vec::new()),
    ] {
        is_unauthorized(gateway, &bad).await;
    }
    // The very claims, signed well, are welcome.
    Connect::to(gateway).token(&token).open().await;
}

#[tokio::test]
async fn a_few_seconds_of_clock_difference_are_forgiven() {
    let gateway = Gateway::shared();
    let user = gateway.user();
    user.clone()
        .with("exp", from_now(-2))
        .connect()
        .answer()
        .await
        .map(|response| assert_eq!(response.status, 101, "{response:?}"))
        .unwrap();
    user.with("nbf", from_now(3)).connect().open().await;
}

#[tokio::test]
async fn a_public_key_is_never_a_secret() {
    let key = Ed25519KeyPair::from_pkcs8(
        Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
            .unwrap()
            .as_ref(),
    )
    .unwrap();
    let public = key.public_key().as_ref();
    let room = tempfile::tempdir().unwrap();
    let keys = room.path().join("keys.json");
    let set = json!({"keys": [{
        "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "k1",
        "x": URL_SAFE_NO_PAD.encode(public),
    }]});
    std::fs::write(&keys, set.to_string()).unwrap();
    let gateway = Gateway::start(&[("WEIR_JWT_KEYS", keys.to_str().unwrap())]);

    let claims = Claims::of("alice");
    let header = json!({"alg": "EdDSA", "typ": "JWT", "kid": "k1"});
    let honest = claims.signed(&header, |text| key.sign(text).as_ref().to_vec());
    Connect::to(&gateway).token(&honest).open().await;

    let x = URL_SAFE_NO_PAD.encode(public);
    for secret in [public, x.as_bytes(), set.to_string().as_bytes()] {
        for algorithm in ["HS256", "EdDSA"] {
            is_unauthorized(&gateway, &claims.hmac(algorithm, HMAC_SHA256, secret)).await;
        }
    }
}

#[tokio::test]
async fn audience_and_issuer_count_where_they_are_configured() {
    let gateway = Gateway::start(&[
        ("WEIR_JWT_AUDIENCE", "weir"),
        ("WEIR_JWT_ISSUER", "https://id.example"),
    ]);
    let good = Claims::of("alice")
        .with("aud", json!(["other", "weir"]))
        .with("iss", "https://id.example");
    Connect::to(&gateway)
        .token(&good.hs256(&gateway.secret))
        .open()
        .await;
    for bad in [
        good.clone().with("aud", "other"),
        good.clone().without("aud"),
        good.clone().with("iss", "https://evil.example"),
        good.clone().without("iss"),
    ] {
        is_unauthorized(&gateway, &bad.hs256(&gateway.secret)).await;
    }
}

#[tokio::test]
async fn a_token_in_the_url_is_refused_even_beside_a_good_header() {
    let user = Gateway::shared().user();
    for name in ["token", "access_token", "jwt"] {
        let response = user.connect().query(name, &user.token()).refused().await;
        let message = response.refusal(400, "bad_request");
        assert!(message.contains(name), "{message}");
        assert!(!response.body.contains("eyJ"), "{response:?}");
    }
}

#[tokio::test]
async fn a_token_as_subprotocol_works_and_is_never_echoed() {
    let gateway = Gateway::shared();
    let token = gateway.user().token();
    let mut client = Connect::to(gateway).token_as_protocol(&token).open().await;
    assert_eq!(client.protocol.as_deref(), Some("weir.v1"));
    assert_eq!(client.print("print(1)").await, "1\n");
}

#[tokio::test]
async fn the_first_credential_decides() {
    let gateway = Gateway::shared();
    let token = gateway.user().token();
    Connect::to(gateway)
        .token("garbage")
        .token_as_protocol(&token)
        .refused()
        .await
        .refusal(401, "unauthorized");
    Connect::to(gateway)
        .token(&token)
        .token_as_protocol("garbage")
        .open()
        .await;
}

async fn authenticate(client: &mut Client, id: &str, token: &str) {
    client
        .send(json!({"type": "authenticate", "id": id, "token": token}))
        .await;
}

#[tokio::test]
async fn a_fresh_token_is_taken_and_anothers_is_not() {
    let gateway = Gateway::shared();
    let user = gateway.user();
    let mut client = user.connect().open().await;
    authenticate(
        &mut client,
        "a",
        &user.clone().with("exp", from_now(7200)).token(),
    )
    .await;
    let answer = client.answer("authenticated", "a").await;
    let expires_at = answer.text("expires_at");
    assert!(
        expires_at.ends_with('Z') && expires_at.contains('T'),
        "{expires_at}"
    );
    for (id, token) in [
        ("b", gateway.user().token()),
        ("c", user.clone().with("tenant", "other").token()),
    ] {
        authenticate(&mut client, id, &token).await;
        client.refused(id, "forbidden").await;
    }
    for (id, token) in [
        ("d", "garbage".to_owned()),
        ("e", user.clone().with("exp", from_now(-60)).token()),
    ] {
        authenticate(&mut client, id, &token).await;
        client.refused(id, "unauthorized").await;
    }
    client.ping().await;
}

#[tokio::test]
async fn a_socket_ends_with_its_token_and_the_session_goes_on() {
    let gateway = Gateway::shared();
    let user = gateway.user_named(&fresh_name("brief"));
    let brief = || user.clone().with("exp", from_now(1));
    let mut ending = brief().join("s").open().await;
    let mut staying = brief().join("s").open().await;
    let turn = ending
        .execute("import time\ntime.sleep(9)\nprint('on')")
        .await;
    ending.turn_of(&turn).await;
    assert!(ending.expect("token_expiring").await["expires_at"].is_string());
    staying.expect("token_expiring").await;
    authenticate(&mut staying, "a", &user.token()).await;
    staying.answer("authenticated", "a").await;

    let closed = ending.closing().await;
    assert_eq!(closed.code, 4401, "{closed:?}");
    staying.patience = std::time::Duration::from_secs(20);
    assert_eq!(staying.finish(&turn).await.ok(), "on\n");
}
