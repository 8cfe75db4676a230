//! Where a gateway is.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use tokio_tungstenite::tungstenite::http::Uri;

use crate::config::Config;

const CONNECT_PATH: &str = "/v1/connect";

/// A gateway's address, from a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub secure: bool,
    /// A name or an IP address, without the brackets of IPv6.
    pub host: String,
    pub port: u16,
    /// Where sessions are, below the host.
    path: String,
}

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a gateway's URL: it must be ws:// or wss:// with a host, without a query, such \
     as ws://127.0.0.1:8080"
)]
pub(super) struct MalformedAddress {
    text: String,
}

impl Address {
    /// The address at which a gateway with this configuration can be reached from here.
    pub(super) fn of_listener(config: &Config) -> Self {
        let ip = match config.listen.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        Self {
            secure: config.tls.files().is_some(),
            host: ip.to_string(),
            port: config.listen.port(),
            path: CONNECT_PATH.into(),
        }
    }

    /// Whether the gateway is on this machine.
    pub(super) fn is_local(&self) -> bool {
        let ip = self.host.parse::<IpAddr>();
        self.host == "localhost" || ip.is_ok_and(|ip| ip.to_canonical().is_loopback())
    }

    /// Whether a token sent there could be read on the way.
    pub(super) fn exposes_credentials(&self) -> bool {
        !self.secure && !self.is_local()
    }

    /// What is asked for, with a query of pairs that need no escapes.
    pub(super) fn request(&self, query: &[(&str, String)]) -> String {
        let mut request = format!("{self}{}", self.path);
        for (place, (name, value)) in query.iter().enumerate() {
            request.push(if place == 0 { '?' } else { '&' });
            request.push_str(&format!("{name}={value}"));
        }
        request
    }
}

impl FromStr for Address {
    type Err = MalformedAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = || MalformedAddress {
            text: text.chars().take(200).collect(),
        };
        let uri: Uri = text.parse().map_err(|_| malformed())?;
        let secure = match uri.scheme_str() {
            Some("ws" | "http") => false,
            Some("wss" | "https") => true,
            Some(_) | None => return Err(malformed()),
        };
        let host = uri.host().ok_or_else(malformed)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let authority = uri.authority().ok_or_else(malformed)?;
        if uri.query().is_some() || authority.as_str().contains('@') || host.is_empty() {
            return Err(malformed());
        }
        Ok(Self {
            secure,
            host: host.to_owned(),
            port: uri.port_u16().unwrap_or(if secure { 443 } else { 80 }),
            path: match uri.path() {
                "" | "/" => CONNECT_PATH.into(),
                path => path.into(),
            },
        })
    }
}

/// Scheme, host and port.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "wss" } else { "ws" };
        match self.host.parse::<Ipv6Addr>() {
            Ok(ip) => write!(f, "{scheme}://[{ip}]:{}", self.port),
            Err(_) => write!(f, "{scheme}://{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_url_without_surprises() {
        for (text, request) in [
            ("ws://127.0.0.1:8080", "ws://127.0.0.1:8080/v1/connect"),
            ("ws://[::1]:9", "ws://[::1]:9/v1/connect"),
            ("wss://w.example/", "wss://w.example:443/v1/connect"),
            ("https://w.example/a/b", "wss://w.example:443/a/b"),
            ("http://localhost", "ws://localhost:80/v1/connect"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.request(&[]), request, "{text}");
        }
        for text in [
            "",
            "localhost",
            "127.0.0.1:8080",
            "ftp://x",
            "ws://",
            "ws://u:p@x",
            "ws://x?token=y",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }

    #[test]
    fn only_a_gateway_on_this_machine_is_local() {
        for (text, local) in [
            ("ws://127.0.0.1:1", true),
            ("ws://localhost", true),
            ("ws://[::1]", true),
            ("ws://[::ffff:127.0.0.1]", true),
            ("ws://10.0.0.1", false),
            ("ws://localhost.example", false),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().is_local(), local, "{text}");
        }
    }
}
