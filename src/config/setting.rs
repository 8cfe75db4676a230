//! One setting: its name in three spellings, its sentence of help, and the slot it fills.

use std::ffi::OsStr;
use std::fmt;

use super::grammar::{Grammar, Kind};
use super::{Config, Flags, Sources, table};

/// A row of the table.
pub struct Setting {
    /// The flag without its dashes; the other spellings follow from it.
    pub name: &'static str,
    /// Where it stands in the file and in `--help`.
    pub section: Section,
    /// One sentence, without its period: what it is.
    pub help: &'static str,
    /// Names from the environments of earlier services.
    pub(super) aliases: &'static [Alias<'static>],
    pub(super) slot: &'static (dyn Slot + Sync),
}

/// A table of the TOML file and a heading of `--help`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// The settings that stand at the top of the file, in no table.
    Gateway,
    /// `[jwt]`
    Jwt,
    /// `[tls]`
    Tls,
    /// `[interpreters]`
    Interpreters,
    /// `[compat]`
    Compat,
    /// `[limits]`
    Limits,
}

/// A variable that stands in for a setting's own when that is not set.
pub(super) struct Alias<'a> {
    pub env: &'a str,
    /// What its bare number counts, appended to it; empty: the value is written as the setting's.
    pub unit: &'a str,
}

/// A place in `Config` together with the grammar of what may stand there, its type erased.
pub(super) trait Slot {
    fn kind(&self) -> Kind;
    fn placeholder(&self) -> &'static str;
    fn rule(&self) -> String;
    fn hint(&self) -> &'static str;
    fn quote(&self, raw: &OsStr) -> String;
    /// The value for people; `None`: there is none.
    fn show(&self, config: &Config) -> Option<String>;
    /// Fills the place, unless `raw` breaks the rule.
    fn fill(&self, config: &mut Config, raw: &OsStr) -> Result<(), RuleBroken>;
}

/// A text that its grammar does not know.
pub(super) struct RuleBroken;

/// The slot of a type.
pub(super) struct Field<G: Grammar> {
    pub grammar: G,
    pub get: fn(&Config) -> &G::Value,
    pub place: fn(&mut Config) -> &mut G::Value,
}

impl Setting {
    /// The variable of the environment: `WEIR_TLS_CERT`.
    pub fn env(&self) -> String {
        format!("WEIR_{}", self.name.replace('-', "_").to_ascii_uppercase())
    }

    /// The key in the file, with its table: `tls.cert`. A name does not repeat its table's.
    pub fn key(&self) -> String {
        let Some(table) = self.section.table() else {
            return self.name.replace('-', "_");
        };
        let name = self.name.strip_prefix(table);
        let name = name.and_then(|rest| rest.strip_prefix('-'));
        format!("{table}.{}", name.unwrap_or(self.name).replace('-', "_"))
    }

    /// What a value must be, bounds included: `a size from 1KiB to 64MiB`.
    pub fn rule(&self) -> String {
        self.slot.rule()
    }

    /// The value in `config`, for people; a secret only by its length. `None`: there is none.
    pub fn show(&self, config: &Config) -> Option<String> {
        self.slot.show(config)
    }

    /// Its default, for people; `None`: there is none. Directories are those of a home at `~`.
    pub fn default_text(&self) -> Option<String> {
        let at_home = Sources {
            env: &|name| (name == "HOME").then(|| "~".into()),
            read: &|_| Err(std::io::ErrorKind::NotFound.into()),
            flags: Flags::default(),
        };
        self.show(&table::defaults(&at_home))
    }

    /// Its line of `--help`, up to the value: sentence, rule and the other two spellings.
    pub(super) fn summary(&self) -> String {
        let aliases = self
            .aliases
            .iter()
            .map(|alias| format!(" or {}", alias.env));
        let env = aliases.fold(self.env(), |env, alias| env + &alias);
        let summary = format!("{}: {} [env: {env}]", self.help, self.rule());
        match self.in_file() {
            true => format!("{summary} [file: {}]", self.key()),
            false => summary,
        }
    }

    /// Whether the file may hold it: not the setting that names the file.
    pub fn in_file(&self) -> bool {
        self.name != table::CONFIG
    }
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Setting({})", self.name)
    }
}

impl Section {
    /// In the order of the table.
    pub const ALL: [Self; 6] = [
        Self::Gateway,
        Self::Jwt,
        Self::Tls,
        Self::Interpreters,
        Self::Compat,
        Self::Limits,
    ];

    /// Its table in the file; `None`: the top.
    pub fn table(self) -> Option<&'static str> {
        match self {
            Self::Gateway => None,
            Self::Jwt => Some("jwt"),
            Self::Tls => Some("tls"),
            Self::Interpreters => Some("interpreters"),
            Self::Compat => Some("compat"),
            Self::Limits => Some("limits"),
        }
    }

    /// Its heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Gateway => "Gateway",
            Self::Jwt => "Tokens",
            Self::Tls => "TLS",
            Self::Interpreters => "Interpreters",
            Self::Compat => "Compatibility",
            Self::Limits => "Limits",
        }
    }
}

impl<G: Grammar> Slot for Field<G> {
    fn kind(&self) -> Kind {
        self.grammar.kind()
    }

    fn placeholder(&self) -> &'static str {
        self.grammar.placeholder()
    }

    fn rule(&self) -> String {
        self.grammar.rule()
    }

    fn hint(&self) -> &'static str {
        self.grammar.hint()
    }

    fn quote(&self, raw: &OsStr) -> String {
        self.grammar.quote(raw)
    }

    fn show(&self, config: &Config) -> Option<String> {
        self.grammar.show((self.get)(config))
    }

    fn fill(&self, config: &mut Config, raw: &OsStr) -> Result<(), RuleBroken> {
        *(self.place)(config) = self.grammar.read(raw).ok_or(RuleBroken)?;
        Ok(())
    }
}
