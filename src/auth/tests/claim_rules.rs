//! What a token must say, and what its words grant.

use super::*;

#[test]
fn sub_is_required_and_a_bounded_name() {
    assert_eq!(
        judge(&claims(json!({"sub": null}))),
        Err(Refusal::MissingClaim("sub"))
    );
    for claim in ["sub", "tenant"] {
        for (name, accepted) in [
            (json!("a"), true),
            (json!("é".repeat(256)), true),
            (json!("auth0|user name@example.com/x"), true),
            (json!(""), false),
            (json!("a".repeat(257)), false),
            (json!("a\nb"), false),
            (json!("a\0"), false),
            (json!("\u{85}"), false),
            (json!("\u{7f}"), false),
            (json!(7), false),
            (json!(["alice"]), false),
            (json!({}), false),
            (json!(true), false),
        ] {
            let judged = judge(&claims(json!({ claim: name })));
            match judged {
                Ok(_) => assert!(accepted, "{claim} {name}"),
                Err(refusal) => assert!(!accepted && bad(claim)(&refusal), "{claim} {name}"),
            }
        }
    }
}

#[test]
fn a_subject_without_a_tenant_shares_no_namespace_with_any_tenant() {
    let owner = |changes| judge(&claims(changes)).unwrap().owner;
    let alone = owner(json!({}));
    assert_eq!(alone.tenant, None);
    assert_eq!(alone, owner(json!({"scope": "admin"})));
    for tenant in ["alice", "none", "null", "default", " "] {
        assert_ne!(alone, owner(json!({"tenant": tenant})), "{tenant}");
    }
    assert_ne!(
        owner(json!({"sub": "a/b"})),
        owner(json!({"sub": "b", "tenant": "a"}))
    );
}

#[test]
fn the_scope_defaults_to_session_only_when_it_is_absent() {
    for (changes, granted) in [
        (json!({}), "session"),
        (json!({"scope": ""}), ""),
        (json!({"scope": "openid email"}), ""),
        (json!({"scope": "admin"}), "admin"),
        (
            json!({"scope": "session:read session"}),
            "session session:read",
        ),
    ] {
        let principal = judge(&claims(changes.clone())).unwrap();
        assert_eq!(principal.scopes.to_string(), granted, "{changes}");
    }
    for scope in [json!(["admin"]), json!(1), json!({"admin": true})] {
        let refused = judge(&claims(json!({ "scope": scope }))).unwrap_err();
        assert!(bad("scope")(&refused), "{scope}");
    }
}

#[test]
fn aud_and_iss_are_asked_for_exactly_when_configured() {
    let verifier = Verifier::new(
        secret_keys(),
        Expectations {
            audiences: vec!["weir".into(), "weir-staging".into()],
            issuers: vec!["https://id.example/".into()],
        },
    );
    let iss = "https://id.example/";
    type Expected = Result<(), Refusal>;
    let aud_rule = || {
        Err(Refusal::BadClaim {
            claim: "aud",
            rule: "a string or an array of strings",
        })
    };
    let table: [(Value, Expected); 14] = [
        (json!({"aud": "weir", "iss": iss}), Ok(())),
        (json!({"aud": "weir-staging", "iss": iss}), Ok(())),
        (json!({"aud": ["other", "weir"], "iss": iss}), Ok(())),
        (
            json!({"aud": ["other"], "iss": iss}),
            Err(Refusal::Audience),
        ),
        (json!({"aud": [], "iss": iss}), Err(Refusal::Audience)),
        (json!({"aud": "WEIR", "iss": iss}), Err(Refusal::Audience)),
        (
            json!({"aud": "weir other", "iss": iss}),
            Err(Refusal::Audience),
        ),
        (json!({"iss": iss}), Err(Refusal::MissingClaim("aud"))),
        (json!({"aud": 7, "iss": iss}), aud_rule()),
        (json!({"aud": ["weir", 7], "iss": iss}), aud_rule()),
        (json!({"aud": {"weir": true}, "iss": iss}), aud_rule()),
        (json!({"aud": "weir"}), Err(Refusal::MissingClaim("iss"))),
        (
            json!({"aud": "weir", "iss": "https://id.example"}),
            Err(Refusal::Issuer),
        ),
        (
            json!({"aud": "weir", "iss": [iss]}),
            Err(Refusal::BadClaim {
                claim: "iss",
                rule: "a string",
            }),
        ),
    ];
    for (changes, expected) in table {
        let token = Signer::secret(SECRET).token("HS256", &claims(changes.clone()));
        let judged = verifier.verify(&token, now()).map(|_| ());
        assert_eq!(judged, expected, "{changes}");
        // The same token where nothing is configured: whatever they say is no concern.
        assert!(judge(&claims(changes.clone())).is_ok(), "{changes}");
    }
}

#[test]
fn a_malformed_weir_claim_refuses_the_whole_token() {
    for weir in [
        json!("none"),
        json!([1]),
        json!({"memory_mb": -1}),
        json!({"fuel": "all"}),
    ] {
        let refused = judge(&claims(json!({ "weir": weir }))).unwrap_err();
        assert!(refused.to_string().contains("weir"), "{weir}: {refused}");
    }
    assert!(judge(&claims(json!({"weir": {}}))).is_ok());
}
