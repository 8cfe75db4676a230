//! The settings file: TOML, every key of which is in the table.

use std::ffi::OsString;
use std::path::Path;

use toml::{Table, Value};

use super::grammar::Kind;
use super::{ConfigError, SETTINGS, Section, Setting};

/// The settings in `text`, as each source gives them: one string a setting. Paths are relative to
/// the directory of `path`, the file itself.
pub(super) fn parse(
    path: &Path,
    text: &str,
) -> Result<Vec<(&'static Setting, OsString)>, ConfigError> {
    let table: Table = text.parse().map_err(|error| syntax(path, text, &error))?;
    let mut given = Vec::new();
    collect(path, &table, "", &mut given)?;
    Ok(given)
}

/// Adds what `table` holds, its keys being under `prefix`. Recursion ends at depth two: no section
/// lies within another.
fn collect(
    path: &Path,
    table: &Table,
    prefix: &str,
    given: &mut Vec<(&'static Setting, OsString)>,
) -> Result<(), ConfigError> {
    for (name, value) in table {
        let key = format!("{prefix}{name}");
        if let Some(setting) = SETTINGS.iter().find(|setting| setting.key() == key) {
            given.push((setting, read_value(path, setting, value)?));
        } else if prefix.is_empty() && is_section(name) {
            let Value::Table(section) = value else {
                return Err(wrong_shape(path, key, "a table"));
            };
            collect(path, section, &format!("{name}."), given)?;
        } else {
            let closest = closest(&key);
            return Err(ConfigError::UnknownKey {
                file: path.into(),
                key,
                closest,
            });
        }
    }
    Ok(())
}

fn read_value(path: &Path, setting: &Setting, value: &Value) -> Result<OsString, ConfigError> {
    let key = setting.key();
    if !setting.in_file() {
        let (file, env) = (path.into(), setting.env());
        return Err(ConfigError::NotInFile { file, key, env });
    }
    match (setting.slot.kind(), value) {
        (Kind::Path, Value::String(text)) => Ok(relative_to_file(path, text)),
        (Kind::List, Value::Array(items)) => {
            join(items).ok_or_else(|| wrong_shape(path, key, "an array of strings without commas"))
        }
        (_, Value::String(text)) => Ok(text.into()),
        (Kind::Word, Value::Integer(number)) => Ok(number.to_string().into()),
        (Kind::Word, Value::Float(number)) => Ok(number.to_string().into()),
        (Kind::Switch, Value::Boolean(on)) => Ok(on.to_string().into()),
        (Kind::Word, _) => Err(wrong_shape(path, key, "a string or a number")),
        (Kind::Switch, _) => Err(wrong_shape(path, key, "true or false")),
        (Kind::Path | Kind::Verbatim, _) => Err(wrong_shape(path, key, "a string")),
        (Kind::List, _) => Err(wrong_shape(path, key, "an array of strings")),
    }
}

/// An empty path stays empty, to be refused as such.
fn relative_to_file(file: &Path, text: &str) -> OsString {
    match file.parent() {
        Some(dir) if !text.is_empty() => dir.join(text).into(),
        Some(_) | None => text.into(),
    }
}

fn join(items: &[Value]) -> Option<OsString> {
    let texts = items
        .iter()
        .map(|item| item.as_str().filter(|text| !text.contains(',')));
    let texts: Vec<_> = texts.collect::<Option<_>>()?;
    Some(texts.join(",").into())
}

fn is_section(name: &str) -> bool {
    Section::ALL
        .iter()
        .any(|section| section.table() == Some(name))
}

/// The known key most like `key`, or whose own name is most like the last part of `key`: a right
/// name in the wrong table is the likeliest mistake of all.
fn closest(key: &str) -> String {
    let last = |key: &str| {
        key.rsplit('.')
            .next()
            .map_or_else(String::new, str::to_owned)
    };
    let distance = |known: &String| {
        let whole = strsim::damerau_levenshtein(known, key);
        let part = strsim::damerau_levenshtein(&last(known), &last(key));
        (whole.min(part), whole)
    };
    let known = SETTINGS
        .iter()
        .filter(|setting| setting.in_file())
        .map(Setting::key);
    known.min_by_key(distance).unwrap_or_default()
}

fn wrong_shape(path: &Path, key: String, expected: &'static str) -> ConfigError {
    ConfigError::WrongShape {
        file: path.into(),
        key,
        expected,
    }
}

fn syntax(path: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let start = error.span().map_or(0, |span| span.start.min(text.len()));
    let newlines = text.as_bytes()[..start]
        .iter()
        .filter(|byte| **byte == b'\n');
    ConfigError::Syntax {
        file: path.into(),
        line: newlines.count() + 1,
        message: error.message().to_owned(),
    }
}
