//! Which web pages may call the gateway from a browser.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// `scheme://host[:port]`, normalized: lower case, and the default port of its scheme left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    scheme: String,
    authority: Authority,
}

/// A host and a port that is not its scheme's default.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Authority {
    host: String,
    port: Option<u16>,
}

/// The policy: the gateway's own origin, and those the configuration lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins {
    allowed: Vec<Origin>,
}

impl Origins {
    /// Allows `allowed` besides the gateway's own origin.
    pub fn new(allowed: impl IntoIterator<Item = Origin>) -> Self {
        Self {
            allowed: allowed.into_iter().collect(),
        }
    }

    /// Whether a page of `origin` (the header's value) may do what it asks for. `null`, which any
    /// sandboxed frame can claim, and everything else that is not an origin never may.
    pub fn allows(&self, origin: &str, own_host: Option<&str>) -> bool {
        origin.parse().is_ok_and(|origin: Origin| {
            origin.is_of_host(own_host) || self.allowed.contains(&origin)
        })
    }

    /// Whether `origin` is the gateway's own, as a cookie requires: `http` or `https`, and the
    /// authority it was asked under (`Host`, or HTTP/2's `:authority`).
    ///
    /// The host is the caller's word. It binds a page to what its browser resolved, no more: where
    /// no credential is asked for, the host itself must be checked against the listener too.
    pub fn is_own(origin: &str, own_host: Option<&str>) -> bool {
        origin
            .parse()
            .is_ok_and(|origin: Origin| origin.is_of_host(own_host))
    }
}

impl Origin {
    fn is_of_host(&self, host: Option<&str>) -> bool {
        // A page over TLS and a gateway behind the proxy that ended it: the scheme cannot be told.
        matches!(self.scheme.as_str(), "http" | "https")
            && host
                .and_then(|host| Authority::parse(host, &self.scheme))
                .is_some_and(|own| own == self.authority)
    }
}

impl FromStr for Origin {
    type Err = MalformedOrigin;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = || MalformedOrigin {
            value: text.chars().take(80).collect(),
        };
        let (scheme, authority) = text.split_once("://").ok_or_else(malformed)?;
        let well_formed = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
        if !well_formed {
            return Err(malformed());
        }
        let scheme = scheme.to_ascii_lowercase();
        let authority = Authority::parse(authority, &scheme).ok_or_else(malformed)?;
        Ok(Self { scheme, authority })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority.host)?;
        match self.authority.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

impl Authority {
    fn parse(text: &str, scheme: &str) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (inside, port) = rest.split_once(']')?;
                inside.parse::<Ipv6Addr>().ok()?;
                let port = match port {
                    "" => None,
                    port => Some(port.strip_prefix(':')?),
                };
                (&text[..inside.len() + 2], port)
            }
            None => {
                let (host, port) = match text.split_once(':') {
                    Some((host, port)) => (host, Some(port)),
                    None => (text, None),
                };
                let is_name = host
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
                if host.is_empty() || !is_name {
                    return None;
                }
                (host, port)
            }
        };
        let port = match port {
            None => None,
            // `parse` alone would take a sign.
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                Some(digits.parse().ok()?)
            }
            Some(_) => return None,
        };
        Some(Self {
            host: host.to_ascii_lowercase(),
            port: port.filter(|port| default_port(scheme) != Some(*port)),
        })
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

/// A configured origin that no browser would send.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "origin {value:?} is malformed: write scheme://host or scheme://host:port, \
     without a path, a wildcard or `null`"
)]
pub struct MalformedOrigin {
    value: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(allowed: &[&str], origin: &str, host: Option<&str>) -> bool {
        let allowed = allowed.iter().map(|each| each.parse().unwrap());
        Origins::new(allowed).allows(origin, host)
    }

    #[test]
    fn by_default_only_the_gateways_own_origin_is_allowed() {
        let table = [
            ("http://localhost:8080", Some("localhost:8080"), true),
            ("https://localhost:8080", Some("localhost:8080"), true),
            ("https://weir.example", Some("weir.example"), true),
            ("https://weir.example", Some("weir.example:443"), true),
            ("http://weir.example", Some("weir.example:80"), true),
            ("https://weir.example:443", Some("weir.example"), true),
            ("http://[::1]:8080", Some("[::1]:8080"), true),
            ("https://Weir.Example", Some("weir.EXAMPLE"), true),
            ("http://localhost:8080", Some("127.0.0.1:8080"), false),
            ("http://localhost:8081", Some("localhost:8080"), false),
            ("http://localhost", Some("localhost:8080"), false),
            ("https://weir.example", Some("weir.example:80"), false),
            ("http://weir.example", Some("weir.example:443"), false),
            ("https://evil.example", Some("weir.example"), false),
            ("https://weir.example.evil", Some("weir.example"), false),
            ("https://evil-weir.example", Some("weir.example"), false),
            ("ws://weir.example", Some("weir.example"), false),
            ("https://weir.example", None, false),
            ("https://weir.example", Some(""), false),
            ("null", Some("null"), false),
            ("null", None, false),
            ("", Some(""), false),
            ("https://weir.example/", Some("weir.example"), false),
            ("https://user@weir.example", Some("weir.example"), false),
            (
                "https://weir.example https://evil.example",
                Some("weir.example"),
                false,
            ),
            ("https://weir.example", Some("weir.example/evil"), false),
            ("file://", Some("weir.example"), false),
            ("://weir.example", Some("weir.example"), false),
        ];
        for (origin, host, expected) in table {
            assert_eq!(allows(&[], origin, host), expected, "{origin} at {host:?}");
            assert_eq!(
                Origins::is_own(origin, host),
                expected,
                "{origin} at {host:?}"
            );
        }
    }

    #[test]
    fn a_listed_origin_is_allowed_exactly() {
        let list = [
            "https://app.example",
            "http://dev.example:3000",
            "chrome-extension://abc",
        ];
        let table = [
            ("https://app.example", true),
            ("https://app.example:443", true),
            ("http://dev.example:3000", true),
            ("chrome-extension://abc", true),
            ("http://app.example", false),
            ("https://app.example:8443", false),
            ("https://sub.app.example", false),
            ("https://app.example.evil", false),
            ("http://dev.example", false),
            ("null", false),
        ];
        for (origin, expected) in table {
            assert_eq!(
                allows(&list, origin, Some("weir.example")),
                expected,
                "{origin}"
            );
            assert!(!Origins::is_own(origin, Some("weir.example")), "{origin}");
        }
        assert!(allows(&list, "https://weir.example", Some("weir.example")));
    }

    #[test]
    fn a_list_cannot_hold_a_wildcard_null_or_a_path() {
        for bad in [
            "*",
            "null",
            "https://*",
            "https://*.example",
            "https://a.example/",
            "https://a.example/path",
            "a.example",
            "https://",
            "https://a.example:",
            "https://a.example:+80",
            "https://a.example:99999",
            "https://[::1",
            "https://[]",
            "https://[1.2]",
            "https://[:::1]",
            "https://[::1]8080",
            "https://é.example",
            "1https://a.example",
        ] {
            assert!(bad.parse::<Origin>().is_err(), "{bad}");
        }
        let origin: Origin = "HTTPS://App.Example:443".parse().unwrap();
        assert_eq!(origin.to_string(), "https://app.example");
    }
}
