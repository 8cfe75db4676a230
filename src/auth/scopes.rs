//! What a token says its bearer may do.

use std::fmt;
use std::str::FromStr;

/// One permission word of the `scope` claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Create and use one's own sessions.
    Session,
    /// Watch sessions of other subjects of one's tenant.
    SessionRead,
    /// Any session of any tenant, in any role.
    Admin,
}

impl Scope {
    pub const ALL: [Scope; 3] = [Scope::Session, Scope::SessionRead, Scope::Admin];

    pub fn as_str(self) -> &'static str {
        match self {
            Scope::Session => "session",
            Scope::SessionRead => "session:read",
            Scope::Admin => "admin",
        }
    }

    fn named(word: &str) -> Option<Scope> {
        Scope::ALL.into_iter().find(|each| each.as_str() == word)
    }

    fn bit(self) -> u8 {
        match self {
            Scope::Session => 1,
            Scope::SessionRead => 2,
            Scope::Admin => 4,
        }
    }
}

/// A set of [`Scope`]s; `session` alone by default.
///
/// Membership is literal: `admin` does not contain `session`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    /// No permission at all: what an empty `scope` claim grants.
    pub const NONE: Scopes = Scopes(0);

    pub fn contains(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// Reads a token's claim: words we do not know belong to other services and grant nothing here.
    pub(super) fn from_claim(text: &str) -> Self {
        text.split(' ').filter_map(Scope::named).collect()
    }
}

impl Default for Scopes {
    fn default() -> Self {
        Self(Scope::Session.bit())
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, each| bits | each.bit()))
    }
}

/// Parses what an operator typed; unlike a token's claim, a word we do not know is an error.
impl FromStr for Scopes {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split_ascii_whitespace()
            .map(|word| {
                Scope::named(word).ok_or_else(|| UnknownScope {
                    word: word.chars().take(40).collect(),
                })
            })
            .collect()
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = Scope::ALL
            .into_iter()
            .filter(|each| self.contains(*each))
            .map(Scope::as_str)
            .collect();
        f.write_str(&words.join(" "))
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scopes({self})")
    }
}

/// A scope the gateway does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("scope {word:?} is not known; use session, session:read or admin, with spaces between")]
pub struct UnknownScope {
    word: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_grants_exactly_the_words_it_spells() {
        let table = [
            ("session", "session"),
            ("session:read", "session:read"),
            ("admin session", "session admin"),
            ("openid profile admin", "admin"),
            ("  session   admin ", "session admin"),
            ("", ""),
            ("sessions Session session:write administrator", ""),
            ("session,admin", ""),
            ("session\tadmin", ""),
        ];
        for (claim, granted) in table {
            assert_eq!(Scopes::from_claim(claim).to_string(), granted, "{claim:?}");
        }
    }

    #[test]
    fn an_operator_hears_of_a_misspelled_scope() {
        assert_eq!(
            "admin session".parse::<Scopes>().unwrap().to_string(),
            "session admin"
        );
        let refused = "session amdin".parse::<Scopes>().unwrap_err();
        assert!(refused.to_string().contains("amdin"));
    }

    #[test]
    fn the_default_is_session_alone() {
        assert_eq!(Scopes::default().to_string(), "session");
        assert!(!Scopes::default().contains(Scope::Admin));
        assert!(!Scopes::from_claim("admin").contains(Scope::Session));
    }
}
