//! Where a token stands in a request, and where it must not: pure functions over header bytes and
//! query text.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD_INDIFFERENT;

use super::verifier::{TOKEN_BYTES_MAX, header_of, is_compact_jws};

/// What a browser, which cannot set headers on a WebSocket, puts before its encoded token.
const SUBPROTOCOL_PREFIX: &str = "base64url.bearer.authorization.weir.";

/// Query parameters that never carry anything but a token.
const QUERY_NAMES: [&str; 3] = ["token", "access_token", "jwt"];

/// A credential that is there but cannot be read: HTTP 401. No message contains any part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MalformedCredential {
    #[error("there is more than one Authorization header; send one")]
    SeveralHeaders,
    #[error("the Authorization header is not `Bearer` and a JWT")]
    Header,
    #[error("more than one subprotocol carries a token; offer one")]
    SeveralSubprotocols,
    #[error("the subprotocol {SUBPROTOCOL_PREFIX}… does not end in a base64url-encoded JWT")]
    Subprotocol,
}

/// The token of the `Authorization` headers, given every value of that header.
///
/// `None` without a header, and with another scheme than `Bearer`: a browser behind a proxy that
/// asks for a password sends `Basic` with everything, and its credential is the next one.
///
/// # Errors
/// More than one header, or `Bearer` with anything but one token of the right shape.
pub fn from_authorization<'a>(
    values: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Option<&'a str>, MalformedCredential> {
    let mut values = values.into_iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(MalformedCredential::SeveralHeaders);
    }
    let value = str::from_utf8(value).map_err(|_| MalformedCredential::Header)?;
    let value = value.trim_matches([' ', '\t']);
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Ok(None);
    }
    let token = token.trim_start_matches(' ');
    // A token that is too long is the verifier's to refuse, which names the bound.
    if is_compact_jws(token) {
        Ok(Some(token))
    } else {
        Err(MalformedCredential::Header)
    }
}

/// The token among the offered subprotocols, given every value of `Sec-WebSocket-Protocol`.
///
/// # Errors
/// More than one of them carries a token, or the one that does is not a base64url-encoded JWT,
/// padded or not.
pub fn from_subprotocols<'a>(
    values: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Option<String>, MalformedCredential> {
    let mut carriers = values
        .into_iter()
        .flat_map(|value| value.split(|byte| *byte == b','))
        .filter_map(|offered| {
            offered
                .trim_ascii()
                .strip_prefix(SUBPROTOCOL_PREFIX.as_bytes())
        });
    let Some(encoded) = carriers.next() else {
        return Ok(None);
    };
    if carriers.next().is_some() {
        return Err(MalformedCredential::SeveralSubprotocols);
    }
    // Bounds the decoding; anything beyond is no token that could be accepted.
    if encoded.len() > TOKEN_BYTES_MAX.div_ceil(3) * 4 {
        return Err(MalformedCredential::Subprotocol);
    }
    URL_SAFE_NO_PAD_INDIFFERENT
        .decode(encoded)
        .ok()
        .and_then(|token| String::from_utf8(token).ok())
        .filter(|token| is_compact_jws(token))
        .map(Some)
        .ok_or(MalformedCredential::Subprotocol)
}

/// The name of a query parameter that carries a token, as it is spelled there: such a request is
/// refused with 400, because URLs end up in logs.
///
/// Finds the usual names whatever their value, and a JWT under any other name. A JWT that stands
/// there without a name is reported as `jwt`, so that the name may be shown.
pub fn query_token_name(query: &str) -> Option<&str> {
    query.split(['&', ';']).find_map(|parameter| {
        let (spelled, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let name = percent_decoded(spelled);
        if looks_like_a_jwt(&name) {
            return Some("jwt");
        }
        let usual = QUERY_NAMES
            .iter()
            .any(|each| name.trim_ascii().eq_ignore_ascii_case(each.as_bytes()));
        (usual || looks_like_a_jwt(&percent_decoded(value))).then_some(spelled)
    })
}

/// Whether `text` is a token, perhaps after a scheme. A session id may have dots too, so the
/// header must really be one.
fn looks_like_a_jwt(text: &[u8]) -> bool {
    let last_word = text.rsplit(|byte| *byte == b' ').next().unwrap_or(text);
    str::from_utf8(last_word).is_ok_and(|word| {
        is_compact_jws(word) && header_of(word).is_some_and(|header| header.contains_key("alg"))
    })
}

/// Undoes `%41` and `+`. What is no escape stays as it is.
fn percent_decoded(text: &str) -> Cow<'_, [u8]> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text.as_bytes());
    }
    let hex = |byte: Option<&u8>| char::from(*byte?).to_digit(16);
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, hex(after.first()), hex(after.get(1))) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                rest = &after[2..];
            }
            (b'+', _, _) => decoded.push(b' '),
            _ => decoded.push(*first),
        }
    }
    Cow::Owned(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header `{"alg":"HS256"}`, a payload `{}` and a signature of no meaning.
    const JWT: &str = "eyJhbGciOiJIUzI1NiJ9.e30.c2ln";

    #[test]
    fn an_authorization_header_is_bearer_and_one_token_or_nothing() {
        type Found<'a> = Result<Option<&'a str>, MalformedCredential>;
        let table: [(&[&str], Found<'_>); 17] = [
            (&[], Ok(None)),
            (&["Bearer eyJhbGciOiJIUzI1NiJ9.e30.c2ln"], Ok(Some(JWT))),
            (&["bearer eyJhbGciOiJIUzI1NiJ9.e30.c2ln"], Ok(Some(JWT))),
            (&["BEARER   eyJhbGciOiJIUzI1NiJ9.e30.c2ln "], Ok(Some(JWT))),
            (&["Basic dXNlcjpwYXNz"], Ok(None)),
            (&["Bearerer x"], Ok(None)),
            (&[""], Ok(None)),
            (&["Bearer"], Err(MalformedCredential::Header)),
            (&["Bearer "], Err(MalformedCredential::Header)),
            (&["Bearer token"], Err(MalformedCredential::Header)),
            (&["Bearer a.b"], Err(MalformedCredential::Header)),
            (&["Bearer a.b.c.d"], Err(MalformedCredential::Header)),
            (&["Bearer a.b.c a.b.c"], Err(MalformedCredential::Header)),
            (
                &["Bearer a.b.c, Bearer a.b.c"],
                Err(MalformedCredential::Header),
            ),
            (&["Bearer \u{e9}.b.c"], Err(MalformedCredential::Header)),
            (
                &["Bearer a.b.c", "Bearer a.b.c"],
                Err(MalformedCredential::SeveralHeaders),
            ),
            (
                &["Basic x", "Bearer a.b.c"],
                Err(MalformedCredential::SeveralHeaders),
            ),
        ];
        for (values, expected) in table {
            let found = from_authorization(values.iter().map(|each| each.as_bytes()));
            assert_eq!(found, expected, "{values:?}");
        }
        assert_eq!(
            from_authorization([b"Bearer \xff".as_slice()]),
            Err(MalformedCredential::Header)
        );
    }

    fn offered(values: &[String]) -> Result<Option<String>, MalformedCredential> {
        from_subprotocols(values.iter().map(String::as_bytes))
    }

    #[test]
    fn a_subprotocol_carries_a_token_in_either_base64url() {
        use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
        for token in [JWT, "eyJhbGciOiJIUzI1NiJ9.e30.c2lnMQ", "a.b.c"] {
            for encoded in [URL_SAFE.encode(token), URL_SAFE_NO_PAD.encode(token)] {
                let carrier = format!("{SUBPROTOCOL_PREFIX}{encoded}");
                let spellings = [
                    vec![carrier.clone()],
                    vec![format!("weir.v1, {carrier}")],
                    vec![format!("{carrier},weir.v1")],
                    vec!["weir.v1".to_owned(), carrier],
                ];
                for values in spellings {
                    assert_eq!(offered(&values), Ok(Some(token.to_owned())), "{values:?}");
                }
            }
        }
    }

    #[test]
    fn subprotocols_without_one_readable_token_are_none_or_an_error() {
        let carrier = |rest: &str| format!("{SUBPROTOCOL_PREFIX}{rest}");
        let encoded = |text: &[u8]| carrier(&URL_SAFE_NO_PAD_INDIFFERENT.encode(text));
        assert_eq!(offered(&[]), Ok(None));
        assert_eq!(offered(&["weir.v1, other".into()]), Ok(None));
        assert_eq!(
            offered(&["base64url.bearer.authorization.k8s.io.e30".into()]),
            Ok(None)
        );
        for malformed in [
            carrier(""),
            carrier("***"),
            carrier(JWT),
            carrier("YS5iL+/="),
            encoded(b"not a token"),
            encoded(b"a.b"),
            encoded(b"\xff.b.c"),
            encoded(format!("a.b.{}", "c".repeat(2 * TOKEN_BYTES_MAX)).as_bytes()),
        ] {
            assert_eq!(
                offered(std::slice::from_ref(&malformed)),
                Err(MalformedCredential::Subprotocol),
                "{malformed}"
            );
        }
        let twice = format!("{}, {}", encoded(b"a.b.c"), encoded(b"a.b.c"));
        assert_eq!(
            offered(&[twice]),
            Err(MalformedCredential::SeveralSubprotocols)
        );
    }

    #[test]
    fn a_token_in_the_query_is_found_however_it_is_spelled() {
        let table = [
            ("token=x", Some("token")),
            ("token", Some("token")),
            ("token=", Some("token")),
            ("session=a&access_token=x", Some("access_token")),
            ("JWT=x", Some("JWT")),
            ("Access_Token=x", Some("Access_Token")),
            ("%74oken=x", Some("%74oken")),
            ("acc%65ss%5Ftoken=x", Some("acc%65ss%5Ftoken")),
            ("+token=x", Some("+token")),
            ("session=a;token=x", Some("token")),
            ("&&&jwt=x", Some("jwt")),
            ("", None),
            ("session=token", None),
            ("tokens=x&my_token=y&ticket=z", None),
            ("session=a.b.c&language=python", None),
            ("%zz=1&%7=2&%=3", None),
            ("%e9=%ff", None),
        ];
        for (query, found) in table {
            assert_eq!(query_token_name(query), found, "{query}");
        }
    }

    #[test]
    fn a_token_in_the_query_is_found_under_any_name_and_never_shown() {
        let encoded = JWT.replace('.', "%2E");
        let table = [
            (format!("auth={JWT}"), Some("auth")),
            (format!("session={JWT}&x=1"), Some("session")),
            (format!("authorization=Bearer+{JWT}"), Some("authorization")),
            (
                format!("authorization=Bearer%20{encoded}"),
                Some("authorization"),
            ),
            (JWT.to_owned(), Some("jwt")),
            (format!("{encoded}=1"), Some("jwt")),
        ];
        for (query, found) in table {
            assert_eq!(query_token_name(&query), found, "{query}");
        }
    }
}
