//! The `weir` claim: limits that a token lowers for its bearer.

use serde_json::{Map, Value};

use crate::limits::{Limits, TIMEOUT_SECONDS};

use super::refusal::Refusal;

const MIB: u64 = 1 << 20;

/// Bounds that a token sets below the gateway's own. `None` leaves the gateway's in place, and a
/// value above it changes nothing: a token can lower a limit, never raise one.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ClaimLimits {
    /// Longest wall time of a turn, in seconds; finite and above 0.
    pub timeout_seconds: Option<f64>,
    /// Linear memory of one guest, in MiB; at least 1.
    pub memory_mb: Option<u64>,
    /// Sessions the subject may have, hibernated ones included.
    pub sessions: Option<u64>,
    /// Fuel of one turn, in Wasmtime's units; at least 1.
    pub fuel: Option<u64>,
}

impl ClaimLimits {
    /// Reads the claim. Members we do not know are ignored, `null` is absent.
    ///
    /// # Errors
    /// [`Refusal::BadClaim`] for anything malformed: a limit that cannot be read must not become
    /// no limit.
    pub(super) fn from_claim(claim: &Value) -> Result<Self, Refusal> {
        let Value::Object(members) = claim else {
            return Err(Refusal::BadClaim {
                claim: "weir",
                rule: "an object",
            });
        };
        Ok(Self {
            timeout_seconds: read(
                members,
                "timeout_seconds",
                "weir.timeout_seconds",
                "a number above 0",
                |value| value.as_f64().filter(|n| n.is_finite() && *n > 0.0),
            )?,
            memory_mb: read(
                members,
                "memory_mb",
                "weir.memory_mb",
                "a whole number from 1",
                |value| whole(value).filter(|n| *n >= 1),
            )?,
            sessions: read(
                members,
                "sessions",
                "weir.sessions",
                "a whole number from 0",
                whole,
            )?,
            fuel: read(
                members,
                "fuel",
                "weir.fuel",
                "a whole number from 1",
                |value| whole(value).filter(|n| *n >= 1),
            )?,
        })
    }

    /// The claim for a token that carries these limits; `None` when there are none.
    pub(super) fn to_claim(self) -> Option<Value> {
        let members: Map<String, Value> = [
            ("timeout_seconds", self.timeout_seconds.map(Value::from)),
            ("memory_mb", self.memory_mb.map(Value::from)),
            ("sessions", self.sessions.map(Value::from)),
            ("fuel", self.fuel.map(Value::from)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect();
        (!members.is_empty()).then_some(Value::Object(members))
    }

    /// `limits` as they hold for this token. The longest timeout and the fuel have no field there:
    /// see [`ClaimLimits::timeout_seconds_max`] and [`ClaimLimits::fuel`].
    pub fn lower(&self, limits: &Limits) -> Limits {
        let mut lowered = limits.clone();
        if let Some(seconds) = self.timeout_seconds {
            lowered.timeout_seconds_default = lowered.timeout_seconds_default.min(seconds);
        }
        if let Some(mb) = self.memory_mb {
            lowered.memory_bytes_max = lowered.memory_bytes_max.min(mb.saturating_mul(MIB));
        }
        if let Some(sessions) = self.sessions {
            let sessions = usize::try_from(sessions).unwrap_or(usize::MAX);
            lowered.sessions_per_subject_max = lowered.sessions_per_subject_max.min(sessions);
        }
        lowered
    }

    /// The longest `timeout_seconds` an `execute` may ask for under this token.
    pub fn timeout_seconds_max(&self) -> f64 {
        let longest = *TIMEOUT_SECONDS.end();
        self.timeout_seconds.map_or(longest, |own| own.min(longest))
    }
}

fn read<T>(
    members: &Map<String, Value>,
    member: &str,
    claim: &'static str,
    rule: &'static str,
    parse: impl Fn(&Value) -> Option<T>,
) -> Result<Option<T>, Refusal> {
    match members.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match parse(value) {
            Some(parsed) => Ok(Some(parsed)),
            None => Err(Refusal::BadClaim { claim, rule }),
        },
    }
}

/// A whole number, also when an issuer's JSON library spells it `256.0`.
fn whole(value: &Value) -> Option<u64> {
    /// Above this an `f64` skips whole numbers, so its spelling no longer tells which was meant.
    const EXACT_MAX: f64 = (1u64 << 53) as f64;
    value.as_u64().or_else(|| {
        let number = value.as_f64()?;
        let exact = number.fract() == 0.0 && (0.0..=EXACT_MAX).contains(&number);
        exact.then_some(number as u64)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_claim_is_read_as_written_and_written_as_read() {
        let claim = json!({"timeout_seconds": 10.0, "memory_mb": 256, "sessions": 5, "fuel": 1000});
        let limits = ClaimLimits::from_claim(&claim).unwrap();
        assert_eq!(
            limits,
            ClaimLimits {
                timeout_seconds: Some(10.0),
                memory_mb: Some(256),
                sessions: Some(5),
                fuel: Some(1000),
            }
        );
        assert_eq!(limits.to_claim(), Some(claim));
        assert_eq!(ClaimLimits::default().to_claim(), None);
    }

    #[test]
    fn harmless_spellings_of_a_claim_are_accepted() {
        let table = [
            json!({}),
            json!({"memory_mb": null}),
            json!({"other": "thing"}),
            json!({"memory_mb": 256.0}),
            json!({"sessions": 0}),
            json!({"timeout_seconds": 0.5}),
            json!({"fuel": u64::MAX}),
        ];
        for claim in table {
            assert!(ClaimLimits::from_claim(&claim).is_ok(), "{claim}");
        }
    }

    #[test]
    fn a_malformed_limit_refuses_the_token_and_names_itself() {
        let table = [
            (json!("10"), "weir"),
            (json!([]), "weir"),
            (json!(false), "weir"),
            (json!({"timeout_seconds": -1}), "weir.timeout_seconds"),
            (json!({"timeout_seconds": 0}), "weir.timeout_seconds"),
            (json!({"timeout_seconds": "10"}), "weir.timeout_seconds"),
            (json!({"timeout_seconds": [10]}), "weir.timeout_seconds"),
            (json!({"memory_mb": -256}), "weir.memory_mb"),
            (json!({"memory_mb": 0}), "weir.memory_mb"),
            (json!({"memory_mb": 1.5}), "weir.memory_mb"),
            (json!({"memory_mb": 1e30}), "weir.memory_mb"),
            (json!({"memory_mb": "NaN"}), "weir.memory_mb"),
            (json!({"sessions": -1}), "weir.sessions"),
            (json!({"sessions": true}), "weir.sessions"),
            (json!({"fuel": 0}), "weir.fuel"),
            (json!({"fuel": {}}), "weir.fuel"),
        ];
        for (json, named) in table {
            match ClaimLimits::from_claim(&json) {
                Err(Refusal::BadClaim { claim, .. }) => assert_eq!(claim, named, "{json}"),
                other => panic!("{json}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_token_lowers_limits_and_never_raises_them() {
        let own = Limits::default();
        let low = ClaimLimits {
            timeout_seconds: Some(10.0),
            memory_mb: Some(256),
            sessions: Some(5),
            fuel: None,
        };
        let lowered = low.lower(&own);
        assert_eq!(lowered.timeout_seconds_default, 10.0);
        assert_eq!(lowered.memory_bytes_max, 256 * MIB);
        assert_eq!(lowered.sessions_per_subject_max, 5);
        assert_eq!(low.timeout_seconds_max(), 10.0);

        let high = ClaimLimits {
            timeout_seconds: Some(1e9),
            memory_mb: Some(u64::MAX),
            sessions: Some(u64::MAX),
            fuel: None,
        };
        assert_eq!(high.lower(&own), own);
        assert_eq!(high.timeout_seconds_max(), 60.0);
        assert_eq!(ClaimLimits::default().lower(&own), own);
    }
}
