//! Every setting with its value and who gave it, for people and for programs.

use std::fmt;

use super::{Setting, Source};

/// What `weir config` shows: a row for each setting, in the order of the table. Safe to print:
/// secrets are in it by their length only.
#[derive(Debug, Clone)]
pub struct Provenance(Vec<Row>);

/// One setting as it stands.
#[derive(Debug, Clone)]
pub struct Row {
    /// Which.
    pub setting: &'static Setting,
    /// Its value, in the form its source would have it; of a secret only the length.
    pub value: Option<String>,
    /// Who gave it.
    pub source: Source,
}

impl Provenance {
    /// In the order of the table.
    pub fn rows(&self) -> &[Row] {
        &self.0
    }

    /// The setting of that name (as its flag, without dashes).
    pub fn row(&self, name: &str) -> Option<&Row> {
        self.0.iter().find(|row| row.setting.name == name)
    }

    /// For programs: an object a setting, by its key in the file. Values are strings, as shown to
    /// people; what is not set is null.
    pub fn json(&self) -> serde_json::Value {
        let entry = |row: &Row| {
            let setting = row.setting;
            let source = match &row.source {
                Source::Default => serde_json::json!({ "kind": row.source.kind() }),
                Source::File(_) | Source::Environment(_) | Source::Flag(_) => {
                    serde_json::json!({ "kind": row.source.kind(), "name": row.source.to_string() })
                }
            };
            let entry = serde_json::json!({
                "value": row.value,
                "source": source,
                "env": setting.env(),
                "flag": format!("--{}", setting.name),
                "help": setting.help,
                "rule": setting.rule(),
            });
            (setting.key(), entry)
        };
        serde_json::Value::Object(self.0.iter().map(entry).collect())
    }

    /// Writes each setting's value and source into its help in `command`, which has been augmented
    /// with `Flags`.
    pub fn annotate(&self, mut command: clap::Command) -> clap::Command {
        for row in &self.0 {
            let (summary, shown) = (row.setting.summary(), row.shown());
            let help = match &row.source {
                Source::Default => format!("{summary} [default: {shown}]"),
                source => format!("{summary} [now: {shown}, from {source}]"),
            };
            command = command.mut_arg(row.setting.name, |arg| arg.help(help));
        }
        command
    }
}

impl Row {
    /// The value, or `unset`.
    pub fn shown(&self) -> &str {
        self.value.as_deref().unwrap_or("unset")
    }
}

impl FromIterator<Row> for Provenance {
    fn from_iter<I: IntoIterator<Item = Row>>(rows: I) -> Self {
        Self(rows.into_iter().collect())
    }
}

/// Three columns: key, value, source.
impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<_> = self.0.iter().map(|row| row.setting.key()).collect();
        let width = |texts: &mut dyn Iterator<Item = &str>| {
            texts.map(|text| text.chars().count()).max().unwrap_or(0)
        };
        let key_width = width(&mut keys.iter().map(String::as_str));
        let value_width = width(&mut self.0.iter().map(Row::shown));
        for (key, row) in keys.iter().zip(&self.0) {
            let (value, source) = (row.shown(), &row.source);
            writeln!(f, "{key:key_width$}  {value:value_width$}  {source}")?;
        }
        Ok(())
    }
}
