//! When a token counts.

use super::*;

#[test]
fn a_token_ends_at_exp_and_the_leeway_to_the_instant() {
    let exp = NOW as f64 + 60.0;
    let fractional = claims(json!({"exp": exp + 0.5}));
    let table = [
        (alice(), exp - 60.0, true),
        (alice(), exp, true),
        (alice(), exp + 4.999, true),
        (alice(), exp + 5.0, false),
        (alice(), exp + 6.0, false),
        (alice(), exp + 1e9, false),
        (alice(), 0.0, true),
        (fractional.clone(), exp + 5.25, true),
        (fractional, exp + 5.5, false),
        (claims(json!({"exp": exp})), exp + 4.0, true),
    ];
    for (claims, at_seconds, accepted) in table {
        let judged = judge_at(&claims, at_seconds);
        assert_eq!(
            judged.is_ok(),
            accepted,
            "{claims} at {at_seconds}: {judged:?}"
        );
        if !accepted {
            assert_eq!(judged, Err(Refusal::Expired { at: exp as u64 }));
        }
    }
}

#[test]
fn a_token_begins_at_nbf_less_the_leeway() {
    let table = [
        (NOW as f64 - 10.0, true),
        (NOW as f64 + 5.0, true),
        (NOW as f64 + 5.5, false),
        (NOW as f64 + 6.0, false),
    ];
    for (nbf, accepted) in table {
        let judged = judge(&claims(json!({"nbf": nbf})));
        assert_eq!(judged.is_ok(), accepted, "{nbf}: {judged:?}");
        if !accepted {
            assert_eq!(judged, Err(Refusal::NotYetValid { from: nbf as u64 }));
        }
    }
    assert!(bad("nbf")(
        &judge(&claims(json!({"nbf": "soon"}))).unwrap_err()
    ));
}

#[test]
fn exp_is_required_and_a_date() {
    assert_eq!(
        judge(&claims(json!({"exp": null}))),
        Err(Refusal::MissingClaim("exp"))
    );
    let null = json!({"sub": "alice", "exp": null});
    assert_eq!(judge(&null), Err(Refusal::MissingClaim("exp")));
    let in_milliseconds = json!((NOW + 60) * 1000);
    for exp in [
        json!("1900000000"),
        json!("never"),
        json!(true),
        json!([]),
        json!({}),
        json!(-1),
        json!(1e300),
        json!(u64::MAX),
        in_milliseconds,
    ] {
        let refused = judge(&claims(json!({ "exp": exp }))).unwrap_err();
        assert!(bad("exp")(&refused), "{exp}: {refused:?}");
    }
    assert!(judge(&claims(json!({"exp": 253_402_300_799u64}))).is_ok());
}
