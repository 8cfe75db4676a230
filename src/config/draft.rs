//! A configuration in the making: the layers, applied one over the other.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::path::PathBuf;

use super::setting::{Alias, Setting};
use super::table::{self, SETTINGS};
use super::{Config, ConfigError, Provenance, Row, Source, Sources};
use super::{check, file};

/// Looked for in the data directory when no file is named.
const FILE_NAME: &str = "weir.toml";

pub(super) struct Draft<'a> {
    sources: &'a Sources<'a>,
    config: Config,
    /// Who gave the value that stands, by the setting's name; nobody gave a default.
    given_by: BTreeMap<&'static str, Source>,
}

impl<'a> Draft<'a> {
    /// The defaults.
    pub(super) fn new(sources: &'a Sources<'a>) -> Self {
        Self {
            sources,
            config: table::defaults(sources),
            given_by: BTreeMap::new(),
        }
    }

    /// Applies every layer. Where the file is, the layers above it say, so these are asked first.
    pub(super) fn finish(mut self) -> Result<(Config, Provenance), ConfigError> {
        for setting in [table::CONFIG, table::DATA_DIR]
            .into_iter()
            .filter_map(table::named)
        {
            self.overlay(setting)?;
        }
        self.read_file()?;
        for setting in SETTINGS {
            self.overlay(setting)?;
        }
        let provenance = self.provenance();
        check::consistent(&self.config, &provenance)?;
        Ok((self.config, provenance))
    }

    fn provenance(&self) -> Provenance {
        let row = |setting: &'static Setting| Row {
            setting,
            value: setting.show(&self.config),
            source: self.source(setting.name),
        };
        SETTINGS.iter().map(row).collect()
    }

    fn source(&self, name: &str) -> Source {
        self.given_by.get(name).cloned().unwrap_or(Source::Default)
    }

    fn read_file(&mut self) -> Result<(), ConfigError> {
        let Some((path, text)) = self.find_file()? else {
            return Ok(());
        };
        for (setting, raw) in file::parse(&path, &text)? {
            self.apply(setting, Source::File(path.clone()), &raw, &raw)?;
        }
        self.config.file = Some(path);
        Ok(())
    }

    /// A file that was named must be there; the one in the data directory need not.
    fn find_file(&self) -> Result<Option<(PathBuf, String)>, ConfigError> {
        let data_dir = &self.config.data_dir;
        let usual = (!data_dir.as_os_str().is_empty()).then(|| data_dir.join(FILE_NAME));
        let Some(path) = self.config.file.clone().or(usual) else {
            return Ok(None);
        };
        let source = self.source(table::CONFIG);
        match (self.sources.read)(&path) {
            Ok(text) => Ok(Some((path, text))),
            Err(error) if error.kind() == ErrorKind::NotFound && source == Source::Default => {
                Ok(None)
            }
            Err(error) => Err(ConfigError::Unreadable {
                file: path,
                named_by: source,
                error,
            }),
        }
    }

    /// Environment and flag over what stands. An alias counts only without the proper name.
    fn overlay(&mut self, setting: &'static Setting) -> Result<(), ConfigError> {
        let own = Alias {
            env: &setting.env(),
            unit: "",
        };
        for name in std::iter::once(&own).chain(setting.aliases) {
            if let Some(raw) = self.sources.variable(name.env) {
                let source = Source::Environment(name.env.to_owned());
                self.apply(setting, source, &raw, &name.counted(&raw))?;
                break;
            }
        }
        if let Some(raw) = self.sources.flags.get(setting) {
            self.apply(setting, Source::Flag(setting.name), raw, raw)?;
        }
        Ok(())
    }

    /// Puts `counted` in its place; a complaint quotes `raw`, as it was given.
    fn apply(
        &mut self,
        setting: &'static Setting,
        source: Source,
        raw: &OsStr,
        counted: &OsStr,
    ) -> Result<(), ConfigError> {
        if setting.slot.fill(&mut self.config, counted).is_err() {
            return Err(ConfigError::invalid(setting, source, raw));
        }
        self.given_by.insert(setting.name, source);
        Ok(())
    }
}

impl Alias<'_> {
    /// The value with the unit it is counted in.
    fn counted(&self, raw: &OsStr) -> OsString {
        if self.unit.is_empty() {
            return raw.to_owned();
        }
        let mut counted = OsString::from(raw.to_string_lossy().trim());
        counted.push(self.unit);
        counted
    }
}
