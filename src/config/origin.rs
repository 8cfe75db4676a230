//! How a web origin is given, and in which one form it is kept.

use super::grammar::Grammar;
use crate::auth::Origin;

/// Scheme, host and port; never `null`, never a wildcard.
pub(super) struct OriginText;

impl Grammar for OriginText {
    type Value = Origin;

    fn placeholder(&self) -> &'static str {
        "ORIGIN"
    }

    fn rule(&self) -> String {
        "a web origin".to_owned()
    }

    fn hint(&self) -> &'static str {
        "give scheme, host and port only, such as https://example.com or http://localhost:5173"
    }

    fn parse(&self, text: &str) -> Option<Origin> {
        text.parse().ok()
    }

    fn show(&self, value: &Origin) -> Option<String> {
        Some(value.to_string())
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
            assert_eq!(OriginText.show(&origin).as_deref(), Some(sent));
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
