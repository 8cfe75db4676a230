//! `docs/configuration.md`, written from the table so that it cannot fall behind it.

use super::{SETTINGS, Section, Setting};

const INTRODUCTION: &str = "\
# Configuration

Every setting has three spellings: a key of the TOML file, a variable of the environment and a flag
of `weir serve`. The flag stands over the variable, the variable over the file, the file over the
default; a variable set to nothing counts as not set. `weir config` shows what is in force and who
said so.

The file is the one that `WEIR_CONFIG` or `--config` names, or else `weir.toml` in the data
directory. Relative paths in it start at its own directory. A key it does not know is an error.

Sizes take `B`, `kB`, `KiB`, `MB`, `MiB`, `GB` or `GiB`, or are bytes; durations always carry a unit
(`20s`, `5m`, `7d`); lists are arrays in the file and have commas elsewhere.

This page is written by `weir config --markdown`.
";

/// The page, defaults as they are on a machine whose home is `~`.
pub fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    for section in Section::ALL {
        let table = section
            .table()
            .map(|table| format!(" (`[{table}]`)"))
            .unwrap_or_default();
        page += &format!("\n## {}{table}\n\n", section.title());
        page += "| key | variable and flag | default | what it is |\n|---|---|---|---|\n";
        let settings = SETTINGS.iter().filter(|setting| setting.section == section);
        page.extend(settings.map(row));
    }
    page
}

fn row(setting: &Setting) -> String {
    let key = match setting.in_file() {
        true => format!("`{}`", setting.key()),
        false => "(not in the file)".to_owned(),
    };
    let default = setting
        .default_text()
        .map_or("unset".to_owned(), |text| format!("`{text}`"));
    let also = setting.aliases.iter().map(|alias| match alias.unit {
        "" => format!("; `{}` as well", alias.env),
        unit => format!("; `{}` as well, in {unit}", alias.env),
    });
    format!(
        "| {key} | `{}` `--{}` | {default} | {}: {}{} |\n",
        setting.env(),
        setting.name,
        setting.help,
        setting.rule(),
        also.collect::<String>(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_in_docs_is_the_one_that_is_written() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
        let docs = std::fs::read_to_string(path).expect("docs/configuration.md is there");
        let advice = "write it anew with `weir config --markdown > docs/configuration.md`";
        assert_eq!(docs, page(), "{advice}");
    }

    #[test]
    fn no_cell_of_the_page_breaks_its_table() {
        for setting in SETTINGS {
            assert_eq!(row(setting).matches('|').count(), 5, "{}", setting.name);
        }
    }
}
