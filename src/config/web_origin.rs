//! Web origins, in the one form in which browsers send them.

use super::grammar::Grammar;

/// Scheme, host and port in a browser's spelling: lower case, no default port, no path. Never
/// `null`, never a wildcard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebOrigin(String);

/// Reads a `WebOrigin`.
pub(super) struct OriginText;

impl WebOrigin {
    /// What an `Origin` header must be, byte for byte, to match.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Grammar for OriginText {
    type Value = WebOrigin;

    fn placeholder(&self) -> &'static str {
        "ORIGIN"
    }

    fn rule(&self) -> String {
        "a web origin".to_owned()
    }

    fn hint(&self) -> &'static str {
        "give scheme, host and port only, such as https://example.com or http://localhost:5173"
    }

    fn parse(&self, text: &str) -> Option<WebOrigin> {
        let text = text.to_ascii_lowercase();
        let (scheme, authority) = text.split_once("://")?;
        let (host, port) = split_port(authority)?;
        if !is_scheme(scheme) || !is_host(host) {
            return None;
        }
        Some(WebOrigin(match (scheme, port) {
            (_, None) | ("http", Some(80)) | ("https", Some(443)) => format!("{scheme}://{host}"),
            (_, Some(port)) => format!("{scheme}://{host}:{port}"),
        }))
    }

    fn show(&self, value: &WebOrigin) -> Option<String> {
        Some(value.0.clone())
    }
}

fn is_scheme(scheme: &str) -> bool {
    scheme.starts_with(|c: char| c.is_ascii_lowercase())
        && scheme
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"+.-".contains(&b))
}

fn is_host(host: &str) -> bool {
    if let Some(address) = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        return address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    // Browsers send international names in their ASCII form.
    !host.is_empty()
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
}

/// `None`: there is a port, but it is not one.
fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    match authority.rsplit_once(':') {
        // The colon belongs to an IPv6 address.
        Some((_, rest)) if rest.ends_with(']') => Some((authority, None)),
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => {
            Some((host, Some(port.parse().ok()?)))
        }
        Some(_) => None,
        None => Some((authority, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_kept_as_a_browser_sends_it() {
        for (text, sent) in [
            ("https://example.com", "https://example.com"),
            ("HTTPS://Example.COM:443", "https://example.com"),
            ("http://localhost:80", "http://localhost"),
            ("http://localhost:5173", "http://localhost:5173"),
            ("https://example.com:80", "https://example.com:80"),
            ("http://[::1]", "http://[::1]"),
            ("http://[::1]:3000", "http://[::1]:3000"),
            ("tauri://localhost", "tauri://localhost"),
            ("vscode-webview://0abc1", "vscode-webview://0abc1"),
        ] {
            let origin = OriginText.parse(text).expect(text);
            assert_eq!(origin.as_str(), sent);
        }
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for text in [
            "",
            "null",
            "*",
            "https://*",
            "https://*.example.com",
            "example.com",
            "https://",
            "://example.com",
            "https://example.com/",
            "https://example.com/path",
            "https://user@example.com",
            "https://example.com:",
            "https://example.com:65536",
            "https://example.com:port",
            "https://exa mple.com",
            "http://[::1",
            "http://[nonsense]",
        ] {
            assert_eq!(OriginText.parse(text), None, "{text:?}");
        }
    }
}
