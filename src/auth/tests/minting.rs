//! What is minted is accepted; what would be refused is not minted.

use super::*;

fn to_mint() -> Claims {
    Claims {
        owner: Owner {
            tenant: None,
            subject: "alice".into(),
        },
        scopes: Scopes::default(),
        ttl: Duration::from_secs(3600),
        lowered: ClaimLimits::default(),
        audience: None,
        issuer: None,
    }
}

#[test]
fn a_minted_token_is_accepted_for_what_it_was_minted() {
    let full = Claims {
        owner: Owner {
            tenant: Some("acme".into()),
            subject: "bob \"é\"".into(),
        },
        scopes: Scope::ALL.into_iter().collect(),
        lowered: ClaimLimits {
            timeout_seconds: Some(2.5),
            memory_mb: Some(64),
            sessions: Some(0),
            fuel: Some(u64::MAX),
        },
        audience: Some("weir".into()),
        issuer: Some("test".into()),
        ..to_mint()
    };
    for minted in [to_mint(), full] {
        let verifier = Verifier::new(
            secret_keys(),
            Expectations {
                audiences: minted.audience.iter().cloned().collect(),
                issuers: minted.issuer.iter().cloned().collect(),
            },
        );
        let token = mint(&secret(), &minted, now()).unwrap();
        let expected = Principal {
            owner: minted.owner,
            scopes: minted.scopes,
            expires_at: now() + minted.ttl,
            lowered: minted.lowered,
        };
        assert_eq!(verifier.verify(&token, now()), Ok(expected));
    }
}

#[test]
fn a_token_that_would_be_refused_is_not_minted() {
    let named = |subject: String, tenant: Option<&str>| Claims {
        owner: Owner {
            tenant: tenant.map(Into::into),
            subject,
        },
        ..to_mint()
    };
    let lasting = |ttl| Claims { ttl, ..to_mint() };
    let limited = |lowered| Claims {
        lowered,
        ..to_mint()
    };
    let table = [
        named(String::new(), None),
        named("a".repeat(257), None),
        named("a\n".into(), None),
        named("alice".into(), Some("")),
        lasting(Duration::ZERO),
        lasting(Duration::from_millis(999)),
        lasting(Duration::MAX),
        limited(ClaimLimits {
            timeout_seconds: Some(f64::NAN),
            ..ClaimLimits::default()
        }),
        limited(ClaimLimits {
            timeout_seconds: Some(-1.0),
            ..ClaimLimits::default()
        }),
        limited(ClaimLimits {
            memory_mb: Some(0),
            ..ClaimLimits::default()
        }),
        Claims {
            audience: Some("a".repeat(TOKEN_BYTES_MAX)),
            ..to_mint()
        },
    ];
    for refused in table {
        assert!(mint(&secret(), &refused, now()).is_err(), "{refused:?}");
    }
}
