//! Which keys are taken from where, and which one a token is held against.

use super::*;

#[test]
fn a_kid_selects_among_the_named_keys() {
    let (first, second, nameless) = (Signer::p256(), Signer::p256(), Signer::p256());
    let named = jwks_verifier(&[
        with(first.jwk(), json!({"kid": "1"})),
        with(second.jwk(), json!({"kid": "2"})),
    ]);
    let token = |signer: &Signer, kid: Value| {
        signer.token_with(&json!({"alg": "ES256", "kid": kid}), &alice())
    };
    let table = [
        (token(&first, json!("1")), Ok(())),
        (token(&second, json!("2")), Ok(())),
        (token(&first, json!(null)), Ok(())),
        (second.token("ES256", &alice()), Ok(())),
        (token(&first, json!("2")), Err(Refusal::BadSignature)),
        (token(&first, json!("3")), Err(Refusal::UnknownKey)),
        (token(&first, json!("")), Err(Refusal::UnknownKey)),
        (token(&nameless, json!(null)), Err(Refusal::BadSignature)),
    ];
    for (token, expected) in table {
        assert_eq!(named.verify(&token, now()).map(|_| ()), expected);
    }
    let mixed = jwks_verifier(&[with(first.jwk(), json!({"kid": "1"})), nameless.jwk()]);
    assert!(mixed.verify(&token(&nameless, json!("7")), now()).is_ok());
}

#[test]
fn two_keys_of_one_kid_are_both_tried() {
    let (old, new) = (Signer::ed25519(), Signer::ed25519());
    let verifier = jwks_verifier(&[
        with(old.jwk(), json!({"kid": "k"})),
        with(new.jwk(), json!({"kid": "k"})),
    ]);
    for signer in [old, new] {
        let token = signer.token_with(&json!({"alg": "EdDSA", "kid": "k"}), &alice());
        assert!(verifier.verify(&token, now()).is_ok());
    }
}

#[test]
fn a_secret_and_a_jwks_file_serve_side_by_side() {
    let secret = secret();
    let text = json!({"keys": [with(RSA.jwk(), json!({"kid": "r"}))]}).to_string();
    let loaded = load_text(&text, Some(&secret), None).unwrap();
    assert_eq!(loaded.warnings, []);
    assert_eq!(
        loaded.keys.algorithms(),
        [Algorithm::Hs256, Algorithm::Rs256]
    );
    let verifier = Verifier::new(loaded.keys, Expectations::default());
    for token in [
        Signer::secret(SECRET).token("HS256", &alice()),
        RSA.token("RS256", &alice()),
    ] {
        assert!(verifier.verify(&token, now()).is_ok());
    }
}

#[test]
fn the_configured_algorithms_only_narrow() {
    let secret = secret();
    let text = json!({"keys": [RSA.jwk(), Signer::p256().jwk()]}).to_string();
    let narrowed = |allowed: &[Algorithm]| {
        load_text(&text, Some(&secret), Some(allowed)).map(|loaded| loaded.keys.algorithms())
    };
    assert_eq!(narrowed(&[Algorithm::Rs256]).unwrap(), [Algorithm::Rs256]);
    assert_eq!(
        narrowed(&[Algorithm::Ps512, Algorithm::Hs256]).unwrap(),
        [Algorithm::Hs256, Algorithm::Ps512]
    );
    // The secret is HS256's alone, however much is allowed.
    assert!(
        !narrowed(&Algorithm::ALL)
            .unwrap()
            .contains(&Algorithm::Hs512)
    );
    for nothing in [[].as_slice(), &[Algorithm::EdDsa], &[Algorithm::Hs512]] {
        let refused = narrowed(nothing).unwrap_err();
        assert!(
            matches!(refused, KeysError::NoUsableKey { skipped: 3 }),
            "{refused}"
        );
    }
    let loaded = load_text(&text, Some(&secret), Some(&[Algorithm::Es256])).unwrap();
    let said: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert_eq!(loaded.warnings[0], KeyWarning::SecretUnused);
}

#[test]
fn a_key_that_is_not_for_us_is_skipped_and_named() {
    let good = with(Signer::p256().jwk(), json!({"kid": "good", "use": "sig"}));
    let table = [
        (with(RSA.jwk(), json!({"use": "enc"})), SkipReason::OtherUse),
        (
            with(RSA.jwk(), json!({"key_ops": ["encrypt"]})),
            SkipReason::OtherUse,
        ),
        (
            json!({"kty": "AKP", "alg": "ML-DSA-44"}),
            SkipReason::UnsupportedType,
        ),
        (
            json!({"kty": "EC", "crv": "secp256k1"}),
            SkipReason::UnsupportedType,
        ),
        (
            json!({"kty": "OKP", "crv": "X25519"}),
            SkipReason::UnsupportedType,
        ),
        (json!({"kty": "EC"}), SkipReason::UnsupportedType),
        (
            with(RSA.jwk(), json!({"alg": "RSA-OAEP"})),
            SkipReason::UnsupportedAlgorithm,
        ),
        (
            with(RSA.jwk(), json!({"alg": "HS256"})),
            SkipReason::UnsupportedAlgorithm,
        ),
        (
            with(RSA.jwk(), json!({"alg": "none"})),
            SkipReason::UnsupportedAlgorithm,
        ),
        (
            with(RSA.jwk(), json!({"alg": "ES256"})),
            SkipReason::UnsupportedAlgorithm,
        ),
    ];
    for (jwk, because) in table {
        let named = with(jwk.clone(), json!({"kid": "odd"}));
        let loaded = load(&[good.clone(), named.clone()], None).unwrap();
        assert_eq!(loaded.keys.algorithms(), [Algorithm::Es256], "{jwk}");
        match &loaded.warnings[..] {
            [
                KeyWarning::Skipped {
                    position: 2,
                    kid,
                    reason,
                    ..
                },
            ] => {
                assert_eq!((kid.as_deref(), reason), (Some("odd"), &because), "{jwk}");
            }
            other => panic!("{jwk}: {other:?}"),
        }
        let alone = load(&[named], None).unwrap_err();
        assert!(
            matches!(alone, KeysError::NoUsableKey { skipped: 1 }),
            "{jwk}"
        );
    }
}

#[test]
fn a_weak_or_broken_key_stops_the_load() {
    let encoded = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let rsa_of = |bytes: usize| {
        let modulus = vec![0xff; bytes];
        with(RSA.jwk(), json!({"n": encoded(&modulus)}))
    };
    let p256 = Signer::p256().jwk();
    let problem_of = |jwk: Value| match load(std::slice::from_ref(&jwk), None) {
        Err(KeysError::Key {
            position: 1,
            problem,
            ..
        }) => problem,
        other => panic!("{jwk}: {other:?}"),
    };
    let short = |bytes: usize, min: usize| KeyProblem::ShortSecret { bytes, min };
    let table = [
        (rsa_of(128), KeyProblem::RsaSize { bits: 1024 }),
        (rsa_of(255), KeyProblem::RsaSize { bits: 2040 }),
        (rsa_of(1025), KeyProblem::RsaSize { bits: 8200 }),
        (rsa_of(0), KeyProblem::RsaSize { bits: 0 }),
        (with(RSA.jwk(), json!({"e": "AQ"})), KeyProblem::RsaExponent),
        (with(RSA.jwk(), json!({"e": "Ag"})), KeyProblem::RsaExponent),
        (with(RSA.jwk(), json!({"e": ""})), KeyProblem::RsaExponent),
        (
            with(RSA.jwk(), json!({"e": encoded(&[1; 5])})),
            KeyProblem::RsaExponent,
        ),
        (
            with(RSA.jwk(), json!({"n": null})),
            KeyProblem::Component("n"),
        ),
        (
            with(RSA.jwk(), json!({"n": "+/"})),
            KeyProblem::Component("n"),
        ),
        (with(RSA.jwk(), json!({"n": 7})), KeyProblem::NotAJwk),
        (
            with(p256.clone(), json!({"y": null})),
            KeyProblem::Component("y"),
        ),
        (
            with(p256.clone(), json!({"y": encoded(&[1; 32])})),
            KeyProblem::NotAPoint,
        ),
        (
            with(p256.clone(), json!({"x": encoded(&[1; 31])})),
            KeyProblem::NotAPoint,
        ),
        (with(p256, json!({"crv": "P-384"})), KeyProblem::NotAPoint),
        (
            json!({"kty": "OKP", "crv": "Ed25519", "x": encoded(&[1; 31])}),
            KeyProblem::NotAPoint,
        ),
        (
            json!({"kty": "OKP", "crv": "Ed25519"}),
            KeyProblem::Component("x"),
        ),
        (Signer::secret("x".repeat(31)).jwk(), short(31, 32)),
        (
            with(
                Signer::secret("x".repeat(63)).jwk(),
                json!({"alg": "HS512"}),
            ),
            short(63, 64),
        ),
        (json!({}), KeyProblem::NotAJwk),
        (json!("key"), KeyProblem::NotAJwk),
        (json!({"kty": 7}), KeyProblem::NotAJwk),
    ];
    for (jwk, expected) in table {
        assert_eq!(problem_of(jwk.clone()), expected, "{jwk}");
    }
}

#[test]
fn a_modulus_with_a_sign_byte_is_the_same_key() {
    let jwk = RSA.jwk();
    let mut modulus = vec![0];
    modulus.extend(URL_SAFE_NO_PAD.decode(jwk["n"].as_str().unwrap()).unwrap());
    let verifier = jwks_verifier(&[with(jwk, json!({"n": URL_SAFE_NO_PAD.encode(modulus)}))]);
    assert!(
        verifier
            .verify(&RSA.token("RS256", &alice()), now())
            .is_ok()
    );
}

#[test]
fn a_file_that_is_no_jwk_set_is_refused_without_quoting_it() {
    for text in [
        "",
        "{}",
        "[]",
        "null",
        r#"{"keys": {}}"#,
        r#"{"keys": "sesame-open"}"#,
        r#"{"keys": [}"#,
        "sesame-open",
    ] {
        let refused = load_text(text, None, None).unwrap_err();
        assert!(
            matches!(refused, KeysError::NotAJwkSet { .. }),
            "{text}: {refused}"
        );
        assert!(
            !format!("{refused:?} {refused}").contains("sesame"),
            "{refused}"
        );
    }
    assert!(matches!(
        load(&[], None),
        Err(KeysError::NoUsableKey { skipped: 0 })
    ));
    let many = vec![Signer::secret(SECRET).jwk(); 65];
    assert!(matches!(
        load(&many, None),
        Err(KeysError::TooManyKeys { count: 65, .. })
    ));
    let padded = " ".repeat((1 << 20) + 1);
    assert!(matches!(
        load_text(&padded, None, None),
        Err(KeysError::TooLarge { .. })
    ));
    let missing = KeySources {
        jwks: Some(std::path::Path::new("no-such-file.json")),
        ..KeySources::default()
    };
    assert!(matches!(
        Keys::load(missing),
        Err(KeysError::Unreadable { .. })
    ));
    let nothing = Keys::load(KeySources::default()).unwrap_err().to_string();
    assert!(nothing.contains("WEIR_JWT_SECRET"), "{nothing}");
}

#[test]
fn an_operator_hears_of_secrets_that_lie_open() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys.json");
    let private = with(Signer::p256().jwk(), json!({"d": "AAAA"}));
    let set = json!({"keys": [Signer::secret(SECRET).jwk(), private]});
    fs::write(&path, set.to_string()).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let sources = KeySources {
        jwks: Some(&path),
        ..KeySources::default()
    };
    let loaded = Keys::load(sources).unwrap();
    assert_eq!(
        loaded.warnings,
        [
            KeyWarning::PrivateHalf {
                path: path.clone(),
                position: 2,
            },
            KeyWarning::SecretExposed { path, mode: 0o644 },
        ]
    );
}
