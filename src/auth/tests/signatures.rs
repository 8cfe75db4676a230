//! Which signatures count, and what is no token at all.

use super::*;

#[test]
fn a_good_token_of_every_algorithm_is_accepted() {
    let long_secret = Signer::secret("s".repeat(64));
    let (p256, p384, ed25519) = (Signer::p256(), Signer::p384(), Signer::ed25519());
    let table = [
        ("HS256", &long_secret),
        ("HS384", &long_secret),
        ("HS512", &long_secret),
        ("RS256", &RSA),
        ("RS384", &RSA),
        ("RS512", &RSA),
        ("PS256", &RSA),
        ("PS384", &RSA),
        ("PS512", &RSA),
        ("ES256", &p256),
        ("ES384", &p384),
        ("EdDSA", &ed25519),
    ];
    assert_eq!(table.len(), Algorithm::ALL.len());
    for (alg, signer) in table {
        let verifier = jwks_verifier(&[with(signer.jwk(), json!({"alg": alg}))]);
        let token = signer.token(alg, &alice());
        let principal = verifier.verify(&token, now()).unwrap();
        assert_eq!(principal.owner.subject, "alice", "{alg}");
        let (rest, last) = token.split_at(token.len() - 6);
        let forged = format!(
            "{rest}{}",
            if last == "AAAAAA" { "BBBBBB" } else { "AAAAAA" }
        );
        assert!(verifier.verify(&forged, now()).is_err(), "{alg}");
    }
}

#[test]
fn a_principal_says_what_the_token_said() {
    let principal = judge(&claims(json!({
        "tenant": "acme",
        "scope": "admin session openid",
        "nbf": NOW - 10,
        "weir": {"timeout_seconds": 10, "memory_mb": 256},
    })))
    .unwrap();
    assert_eq!(
        principal,
        Principal {
            owner: Owner {
                tenant: Some("acme".into()),
                subject: "alice".into(),
            },
            scopes: [Scope::Session, Scope::Admin].into_iter().collect(),
            expires_at: at((NOW + 60) as f64),
            lowered: ClaimLimits {
                timeout_seconds: Some(10.0),
                memory_mb: Some(256),
                ..ClaimLimits::default()
            },
        }
    );
}

#[test]
fn an_unsigned_token_is_never_accepted() {
    let verifiers = [
        secret_verifier(),
        jwks_verifier(&[RSA.jwk(), Signer::ed25519().jwk()]),
    ];
    for alg in ["none", "None", "NONE", "nOnE", "", "HS256 ", "hs256"] {
        let message = format!(
            "{}.{}",
            base64url(&json!({"alg": alg})),
            base64url(&alice())
        );
        for token in [format!("{message}."), format!("{message}.AAAA")] {
            for verifier in &verifiers {
                let refused = verifier.verify(&token, now()).unwrap_err();
                assert!(
                    matches!(refused, Refusal::Algorithm { .. }),
                    "{alg}: {refused:?}"
                );
            }
        }
    }
    let hs256 = format!(
        "{}.{}.",
        base64url(&json!({"alg": "HS256"})),
        base64url(&alice())
    );
    assert_eq!(
        secret_verifier().verify(&hs256, now()),
        Err(Refusal::BadSignature)
    );
}

#[test]
fn a_public_key_is_never_taken_for_a_shared_secret() {
    let (p256, ed25519) = (Signer::p256(), Signer::ed25519());
    let public = [&*RSA, &p256, &ed25519];
    let jwks: Vec<_> = public.iter().map(|each| each.jwk()).collect();
    // Also beside a secret, and with everything allowed: then HS256 itself is a fair algorithm.
    let secret = secret();
    let beside = load_text(
        &json!({ "keys": jwks }).to_string(),
        Some(&secret),
        Some(&Algorithm::ALL),
    );
    let verifiers = [
        jwks_verifier(&jwks),
        Verifier::new(beside.unwrap().keys, Expectations::default()),
    ];
    for signer in public {
        for encoding in signer.public_encodings() {
            let forger = Signer::secret(encoding);
            for alg in ["HS256", "HS384", "HS512"] {
                let token = forger.token(alg, &alice());
                for verifier in &verifiers {
                    let refused = verifier.verify(&token, now()).unwrap_err();
                    assert!(
                        matches!(refused, Refusal::Algorithm { .. } | Refusal::BadSignature),
                        "{alg}: {refused:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_key_serves_only_its_own_algorithms() {
    let (p256, secret) = (Signer::p256(), Signer::secret("s".repeat(64)));
    // Signed by the right key, with an algorithm that the key does not carry here.
    let table = [
        (RSA.jwk(), RSA.token("RS512", &alice())),
        (RSA.jwk(), RSA.token("PS256", &alice())),
        (
            with(RSA.jwk(), json!({"alg": "PS256"})),
            RSA.token("RS256", &alice()),
        ),
        (secret.jwk(), secret.token("HS512", &alice())),
        (
            with(secret.jwk(), json!({"alg": "HS512"})),
            secret.token("HS256", &alice()),
        ),
        (p256.jwk(), p256.token("ES384", &alice())),
        (p256.jwk(), p256.token("RS256", &alice())),
        (p256.jwk(), p256.token("EdDSA", &alice())),
    ];
    for (jwk, token) in table {
        let refused = jwks_verifier(std::slice::from_ref(&jwk)).verify(&token, now());
        assert!(
            matches!(refused, Err(Refusal::Algorithm { .. })),
            "{jwk}: {refused:?}"
        );
    }
}

#[test]
fn another_key_of_the_same_kind_does_not_verify() {
    type Make = fn() -> Signer;
    let table: [(&str, Make); 4] = [
        ("ES256", Signer::p256),
        ("ES384", Signer::p384),
        ("EdDSA", Signer::ed25519),
        ("HS256", || {
            Signer::secret("another secret of more than 32 bytes")
        }),
    ];
    for (alg, make) in table {
        let ours = match make() {
            Signer::Secret(_) => Signer::secret(SECRET),
            pair => pair,
        };
        let token = make().token(alg, &alice());
        let refused = jwks_verifier(&[ours.jwk()]).verify(&token, now());
        assert_eq!(refused, Err(Refusal::BadSignature), "{alg}");
    }
}

#[test]
fn a_change_of_any_part_breaks_the_signature() {
    let token = Signer::secret(SECRET).token("HS256", &alice());
    let parts: Vec<_> = token.split('.').collect();
    let root = base64url(&claims(json!({"sub": "root"})));
    let header = base64url(&json!({"alg": "HS256"}));
    for forged in [
        format!("{}.{root}.{}", parts[0], parts[2]),
        format!("{header}.{}.{}", parts[1], parts[2]),
        format!("{}.{}.{}", parts[0], parts[1], &parts[2][..40]),
    ] {
        assert!(
            secret_verifier().verify(&forged, now()).is_err(),
            "{forged}"
        );
    }
}

#[test]
fn garbage_of_every_form_is_malformed() {
    let signer = Signer::secret(SECRET);
    let good = signer.token("HS256", &alice());
    let signed = |header: &str, payload: &str| {
        let message = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(payload)
        );
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, SECRET.as_bytes());
        let tag = aws_lc_rs::hmac::sign(&key, message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()))
    };
    let hs256 = r#"{"alg":"HS256"}"#;
    let sane = alice().to_string();
    let table = [
        String::new(),
        ".".into(),
        "..".into(),
        "...".into(),
        "a.b".into(),
        "a.b.c".into(),
        "a.b.c.d".into(),
        "Bearer".into(),
        format!("Bearer {good}"),
        format!(" {good}"),
        format!("{good}\n"),
        format!("{good}="),
        format!("{good}\0"),
        format!("{good}."),
        format!("é{good}"),
        good.replace('.', ","),
        good[1..].to_owned(),
        signed("", &sane),
        signed("[]", &sane),
        signed("null", &sane),
        signed("{}", &sane),
        signed(r#"["HS256"]"#, &sane),
        signed(r#"{"alg":null}"#, &sane),
        signed(r#"{"alg":256}"#, &sane),
        signed(r#"{"alg":["HS256"]}"#, &sane),
        signed(r#"{"alg":"HS256","kid":7}"#, &sane),
        signed(r#"{"alg":"HS256","crit":["b64"],"b64":false}"#, &sane),
        signed(r#"{"alg":"HS256","crit":null}"#, &sane),
        signed(r#"{"alg":"HS256"}}"#, &sane),
        signed(hs256, ""),
        signed(hs256, "null"),
        signed(hs256, "[]"),
        signed(hs256, r#"["alice",1900000000]"#),
        signed(hs256, r#""alice""#),
        signed(hs256, "{"),
        signed(hs256, r#"{"sub":"alice","exp":1e999}"#),
        signed(hs256, r#"{"sub":"alice","exp":NaN}"#),
        signed(hs256, &format!("{sane}{sane}")),
        signed(hs256, &"[".repeat(1000)),
    ];
    for token in table {
        let refused = secret_verifier().verify(&token, now());
        assert_eq!(refused, Err(Refusal::Malformed), "{token:?}");
    }
}

#[test]
fn a_token_is_measured_before_it_is_read() {
    let signer = Signer::secret(SECRET);
    let padded = |pad: usize| signer.token("HS256", &claims(json!({"pad": "x".repeat(pad)})));
    let longest = (0..TOKEN_BYTES_MAX)
        .rev()
        .map(padded)
        .find(|token| token.len() <= TOKEN_BYTES_MAX)
        .unwrap();
    assert!(longest.len() > TOKEN_BYTES_MAX - 4);
    assert!(secret_verifier().verify(&longest, now()).is_ok());
    for bytes in [TOKEN_BYTES_MAX + 1, 1 << 20] {
        assert_eq!(
            secret_verifier().verify(&"x".repeat(bytes), now()),
            Err(Refusal::TooLong {
                bytes,
                max: TOKEN_BYTES_MAX,
            })
        );
    }
}

#[test]
fn a_refusal_shows_nothing_of_the_token_or_the_secret() {
    let signer = Signer::secret(SECRET);
    let marked = "xyzzyplugh";
    let tokens = [
        marked.to_owned(),
        format!("{marked}.{marked}.{marked}"),
        signer.token_with(&json!({"alg": marked}), &alice()),
        signer.token_with(&json!({"alg": "HS256", "kid": [marked]}), &alice()),
        signer.token("HS256", &claims(json!({"sub": {"a": marked}}))),
        signer.token("HS256", &claims(json!({"exp": marked}))),
        signer.token("HS256", &claims(json!({"tenant": format!("{marked}\n")}))),
        signer.token("HS256", &claims(json!({"weir": {"fuel": marked}}))),
        Signer::secret(marked.repeat(4)).token("HS256", &alice()),
    ];
    let verifier = secret_verifier();
    for token in tokens {
        let refused = verifier.verify(&token, now()).unwrap_err();
        let shown = format!("{refused} {refused:?}");
        assert!(!shown.contains(marked), "{shown}");
        assert!(refused.to_string().len() < 120, "{shown}");
    }
    assert!(!format!("{verifier:?}").contains("test secret"));
}
