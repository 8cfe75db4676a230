//! The manifest, bound to its lock.
//!
//! The manifest is for people: names, versions, which files of a package are wanted. The lock is for
//! machines: the length and digest of every one of those files. An entry exists only with both.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::iter;
use std::path::PathBuf;

use serde::Deserialize;

use super::catalogue::{Entry, Kind, Source, WantedFile, WantedPack};
use super::digest::Pin;
use super::name::{LocalName, MemberPath, Name, Version};

/// A manifest or lock as text, with the name that messages give it.
#[derive(Debug, Clone, Copy)]
pub struct Document<'a> {
    pub name: &'a str,
    pub text: &'a str,
}

/// Why there is no catalogue.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{document} line {line} ({text}): {problem}")]
    Syntax {
        document: String,
        line: usize,
        text: String,
        problem: String,
    },
    #[error("{document}: interpreter {interpreter:?}, {field}: {problem}")]
    Entry {
        document: String,
        interpreter: String,
        field: String,
        problem: String,
    },
    #[error("{document}: schema {found} is unknown; this version reads schema {SCHEMA}")]
    Schema { document: String, found: u32 },
}

const SCHEMA: u32 = 1;

/// The entries of a manifest, in its order, with their pins.
pub(super) fn entries(
    manifest: Document<'_>,
    lock: Document<'_>,
) -> Result<Vec<Entry>, ManifestError> {
    let parsed: Manifest = manifest.parse()?;
    let locks: Lock = lock.parse()?;
    manifest.expect_schema(parsed.schema)?;
    lock.expect_schema(locks.schema)?;
    let mut names = BTreeSet::new();
    let mut entries = Vec::with_capacity(parsed.interpreter.len());
    for described in parsed.interpreter {
        let aliases = described.aliases.iter().map(|alias| ("aliases", alias));
        for (field, name) in iter::once(("name", &described.name)).chain(aliases) {
            if !names.insert(name.clone()) {
                let problem = format!("{:?} is taken already", name.as_str());
                return Err(manifest.refuse(&described.name, field, problem));
            }
        }
        entries.push(described.bind(manifest, lock, &locks)?);
    }
    Ok(entries)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    schema: u32,
    #[serde(default)]
    interpreter: Vec<Described>,
}

/// An interpreter as the manifest describes it, not yet bound to the lock.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Described {
    name: Name,
    #[serde(default)]
    aliases: Vec<Name>,
    kind: Kind,
    version: Version,
    source: Source,
    module: LocalName,
    package_list: Option<LocalName>,
    files: Vec<DescribedFile>,
    #[serde(default)]
    packs: Vec<DescribedPack>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DescribedFile {
    from: MemberPath,
    to: LocalName,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DescribedPack {
    archive: LocalName,
    nested: MemberPath,
    to: LocalName,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lock {
    schema: u32,
    #[serde(default)]
    locked: Vec<Locked>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Locked {
    interpreter: Name,
    source: Source,
    archive: Pin,
    files: BTreeMap<String, Pin>,
}

impl Described {
    fn bind(
        self,
        manifest: Document<'_>,
        lock: Document<'_>,
        locks: &Lock,
    ) -> Result<Entry, ManifestError> {
        let mut found = locks.locked.iter().filter(|l| l.interpreter == self.name);
        let Some(locked) = found.next() else {
            let problem = format!("add the digests of {}", self.source);
            return Err(lock.refuse(&self.name, "missing", problem));
        };
        if found.next().is_some() {
            return Err(lock.refuse(&self.name, "interpreter", "locked twice".into()));
        }
        if locked.source != self.source {
            let problem = format!(
                "{} is locked, but the manifest wants {}",
                locked.source, self.source
            );
            return Err(lock.refuse(&self.name, "source", problem));
        }
        self.check_locals(manifest)?;
        let pin = |local: &LocalName| {
            locked.files.get(local.as_str()).copied().ok_or_else(|| {
                lock.refuse(
                    &self.name,
                    "files",
                    format!("{:?} is not locked", local.as_str()),
                )
            })
        };
        let mut files = Vec::with_capacity(self.files.len());
        for DescribedFile { from, to } in &self.files {
            let (from, to, pin) = (from.clone(), to.clone(), pin(to)?);
            files.push(WantedFile { from, to, pin });
        }
        let mut packs = Vec::with_capacity(self.packs.len());
        for DescribedPack {
            archive,
            nested,
            to,
        } in &self.packs
        {
            packs.push(WantedPack {
                to: to.clone(),
                archive: archive.clone(),
                nested: nested.clone(),
                pin: pin(to)?,
            });
        }
        Ok(Entry {
            name: self.name,
            aliases: self.aliases,
            kind: self.kind,
            version: self.version,
            source: self.source,
            module: self.module,
            package_list: self.package_list,
            files,
            packs,
            archive: locked.archive,
        })
    }

    /// Every local name is used once, and whatever refers to one finds it among the files.
    fn check_locals(&self, manifest: Document<'_>) -> Result<(), ManifestError> {
        let extracted: BTreeSet<_> = self.files.iter().map(|file| &file.to).collect();
        let mut used = BTreeSet::new();
        let made = self.packs.iter().map(|pack| ("packs.to", &pack.to));
        for (field, to) in self
            .files
            .iter()
            .map(|file| ("files.to", &file.to))
            .chain(made)
        {
            if !used.insert(to) {
                let problem = format!("{:?} is used twice", to.as_str());
                return Err(manifest.refuse(&self.name, field, problem));
            }
        }
        let module = Some(("module", &self.module));
        let list = self
            .package_list
            .as_ref()
            .map(|list| ("package_list", list));
        let archives = self
            .packs
            .iter()
            .map(|pack| ("packs.archive", &pack.archive));
        for (field, local) in module.into_iter().chain(list).chain(archives) {
            if !extracted.contains(local) {
                let problem = format!("{:?} is not the \"to\" of any of its files", local.as_str());
                return Err(manifest.refuse(&self.name, field, problem));
            }
        }
        Ok(())
    }
}

impl Document<'_> {
    fn parse<T: for<'de> Deserialize<'de>>(&self) -> Result<T, ManifestError> {
        toml::from_str(self.text).map_err(|error| {
            let start = error
                .span()
                .map_or(0, |span| span.start.min(self.text.len()));
            let before = self.text.get(..start).unwrap_or_default();
            let line = before.matches('\n').count();
            let text = self.text.lines().nth(line).unwrap_or_default().trim();
            ManifestError::Syntax {
                document: self.name.to_owned(),
                line: line + 1,
                text: text.chars().take(120).collect(),
                problem: error.message().replace('\n', " "),
            }
        })
    }

    fn expect_schema(&self, found: u32) -> Result<(), ManifestError> {
        if found == SCHEMA {
            return Ok(());
        }
        Err(ManifestError::Schema {
            document: self.name.to_owned(),
            found,
        })
    }

    fn refuse(&self, interpreter: &Name, field: &str, problem: String) -> ManifestError {
        ManifestError::Entry {
            document: self.name.to_owned(),
            interpreter: interpreter.as_str().to_owned(),
            field: field.to_owned(),
            problem,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interpreters::{Catalogue, Registry};

    const MANIFEST: &str = r#"schema = 1
[[interpreter]]
name = "python"
aliases = ["py"]
kind = "python"
version = "3.15.0"
source = { registry = "pypi", package = "some-package", version = "0.1.0" }
module = "python.wasm"
package_list = "MANIFEST"
files = [
    { from = "a/python.wasm", to = "python.wasm" },
    { from = "a/lib.zip", to = "lib.zip" },
    { from = "a/MANIFEST", to = "MANIFEST" },
]
packs = [{ archive = "lib.zip", nested = "data.zip", to = "data.pack" }]
"#;

    fn lock() -> String {
        let pin = r#"{ bytes = 1, sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" }"#;
        let mut text = format!(
            "schema = 1\n[[locked]]\ninterpreter = \"python\"\n\
             source = {{ registry = \"pypi\", package = \"some-package\", version = \"0.1.0\" }}\n\
             archive = {pin}\n[locked.files]\n"
        );
        for file in ["python.wasm", "lib.zip", "MANIFEST", "data.pack"] {
            text.push_str(&format!("{file:?} = {pin}\n"));
        }
        text
    }

    fn parse(manifest: &str, lock: &str) -> Result<Catalogue, ManifestError> {
        Catalogue::parse(
            Document {
                name: "manifest.toml",
                text: manifest,
            },
            Document {
                name: "manifest.lock",
                text: lock,
            },
        )
    }

    #[test]
    fn an_entry_s_directory_names_its_version_and_its_bytes() {
        let catalogue = parse(MANIFEST, &lock()).unwrap();
        let directory = catalogue.entries()[0].directory_name();
        assert_eq!(directory, "python-3.15.0-ba7816bf8f01cfea");
    }

    #[test]
    fn every_kind_and_registry_of_the_format_is_read() {
        for kind in ["python", "javascript", "typescript", "ruby", "command"] {
            let text = MANIFEST.replace("kind = \"python\"", &format!("kind = {kind:?}"));
            assert_eq!(
                parse(&text, &lock()).unwrap().entries()[0].kind.as_str(),
                kind
            );
        }
        let npm = |text: &str| text.replace("\"pypi\"", "\"npm\"");
        let catalogue = parse(&npm(MANIFEST), &npm(&lock())).unwrap();
        assert_eq!(catalogue.entries()[0].source.registry, Registry::Npm);
    }

    #[test]
    fn a_wrong_value_is_named_with_its_line() {
        let cases = [
            (
                "to = \"lib.zip\"",
                "to = \"../lib.zip\"",
                "line 12",
                "file name \"../lib.zip\"",
            ),
            (
                "kind = \"python\"",
                "kind = \"cobol\"",
                "line 5",
                "unknown variant `cobol`",
            ),
            ("aliases", "alias", "line 4", "unknown field `alias`"),
            (
                "version = \"3.15.0\"",
                "version = 3.15",
                "line 6",
                "floating point",
            ),
            (
                "\"a/MANIFEST\"",
                "\"/etc/passwd\"",
                "line 13",
                "path in the archive",
            ),
            (
                "\"some-package\"",
                "\"-r/etc/passwd\"",
                "line 7",
                "package name",
            ),
        ];
        for (old, new, line, problem) in cases {
            assert!(MANIFEST.contains(old), "{old}");
            let error = parse(&MANIFEST.replacen(old, new, 1), &lock())
                .unwrap_err()
                .to_string();
            assert!(
                error.starts_with(&format!("manifest.toml {line} (")),
                "{error}"
            );
            assert!(error.contains(problem) && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn a_manifest_that_contradicts_itself_names_interpreter_and_field() {
        let twice = format!("{MANIFEST}{}", MANIFEST.trim_start_matches("schema = 1\n"));
        let cases = [
            (twice.as_str(), "name: \"python\" is taken"),
            (
                &MANIFEST.replace("[\"py\"]", "[\"python\"]"),
                "aliases: \"python\" is taken",
            ),
            (
                &MANIFEST.replace("module = \"python", "module = \"perl"),
                "module: \"perl.wasm\"",
            ),
            (
                &MANIFEST.replace("archive = \"lib", "archive = \"bib"),
                "packs.archive: \"bib.zip\"",
            ),
            (
                &MANIFEST.replace("to = \"data.pack", "to = \"lib.zip"),
                "packs.to: \"lib.zip\" is used",
            ),
        ];
        for (text, problem) in cases {
            let error = parse(text, &lock()).unwrap_err().to_string();
            let whole = "manifest.toml: interpreter \"python\", ";
            assert!(
                error.starts_with(whole) && error.contains(problem),
                "{error}"
            );
        }
    }

    #[test]
    fn nothing_is_offered_without_its_lock() {
        let lock = lock();
        let cases = [
            (
                "schema = 1\n".to_owned(),
                "missing: add the digests of some-package 0.1.0 from PyPI",
            ),
            (
                lock.replace("0.1.0", "0.2.0"),
                "source: some-package 0.2.0 from PyPI is locked",
            ),
            (
                lock.replace("\"data.pack\"", "\"other\""),
                "files: \"data.pack\" is not locked",
            ),
            (lock.replace("ba78", "BA78"), "64 hexadecimal digits"),
            (
                lock.replace("schema = 1", "schema = 2"),
                "schema 2 is unknown",
            ),
        ];
        for (lock, problem) in cases {
            let error = parse(MANIFEST, &lock).unwrap_err().to_string();
            assert!(
                error.starts_with("manifest.lock") && error.contains(problem),
                "{error}"
            );
        }
    }

    #[test]
    fn a_catalogue_on_disk_reads_the_lock_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mine.toml");
        std::fs::write(&path, MANIFEST).unwrap();
        let error = Catalogue::load(&path).unwrap_err().to_string();
        assert!(error.contains("mine.lock"), "{error}");
        std::fs::write(dir.path().join("mine.lock"), lock()).unwrap();
        assert_eq!(Catalogue::load(&path).unwrap().entries().len(), 1);
    }
}
