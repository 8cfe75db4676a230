//! Which interpreters there are, and what each is made of.

use std::fmt;
use std::iter;
use std::path::Path;

use serde::Deserialize;

use super::digest::Pin;
use super::manifest::{self, Document, ManifestError};
use super::name::{LocalName, MemberPath, Name, PackageName, Version};

/// The interpreters this gateway can offer.
#[derive(Debug, Clone)]
pub struct Catalogue {
    entries: Vec<Entry>,
}

/// One interpreter: what it is called, where it comes from, and every byte of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub name: Name,
    pub aliases: Vec<Name>,
    pub kind: Kind,
    /// The interpreter's own version, as users know it; the package's is in `source`.
    pub version: Version,
    pub source: Source,
    /// The WebAssembly module, one of `files`.
    pub module: LocalName,
    /// One of `files`: lines `package NAME VERSION` tell which libraries the interpreter brings.
    pub package_list: Option<LocalName>,
    /// What is taken out of the package's archive.
    pub files: Vec<WantedFile>,
    /// What is made of those files.
    pub packs: Vec<WantedPack>,
    /// The package's archive itself.
    pub archive: Pin,
}

/// Which guest can run an interpreter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Python,
    JavaScript,
    TypeScript,
    Ruby,
    /// Any program for WASI preview 1: one run a turn.
    Command,
}

/// The package that carries an interpreter.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    pub registry: Registry,
    pub package: PackageName,
    pub version: Version,
}

/// A package registry, reached only through its ordinary client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Registry {
    /// Wheels, with pip.
    Pypi,
    /// Gzipped tar archives, with npm.
    Npm,
}

/// A file of the archive and the name it gets here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedFile {
    pub from: MemberPath,
    pub to: LocalName,
    pub pin: Pin,
}

/// A pack made of a zip archive within one of the extracted files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedPack {
    pub to: LocalName,
    /// An extracted file, itself a zip archive.
    pub archive: LocalName,
    /// The zip archive within it whose files are packed.
    pub nested: MemberPath,
    pub pin: Pin,
}

impl Catalogue {
    /// The catalogue this binary was built with.
    pub fn builtin() -> Self {
        Self::parse(
            Document {
                name: "the built-in manifest.toml",
                text: include_str!("../../wasm-interpreters/manifest.toml"),
            },
            Document {
                name: "the built-in manifest.lock",
                text: include_str!("../../wasm-interpreters/manifest.lock"),
            },
        )
        .expect("the embedded documents are constants that a test parses")
    }

    /// The catalogue of a manifest file and of the lock beside it, which has the same name but for
    /// its extension `lock`.
    pub fn load(manifest: &Path) -> Result<Self, ManifestError> {
        let read = |path: &Path| {
            std::fs::read_to_string(path).map_err(|source| ManifestError::Read {
                path: path.to_owned(),
                source,
            })
        };
        let lock = manifest.with_extension("lock");
        Self::parse(
            Document {
                name: &manifest.to_string_lossy(),
                text: &read(manifest)?,
            },
            Document {
                name: &lock.to_string_lossy(),
                text: &read(&lock)?,
            },
        )
    }

    /// The catalogue of a manifest and its lock.
    pub fn parse(manifest: Document<'_>, lock: Document<'_>) -> Result<Self, ManifestError> {
        let entries = manifest::entries(manifest, lock)?;
        Ok(Self { entries })
    }

    /// Every interpreter, in the manifest's order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The interpreter of that name or alias.
    pub fn find(&self, name: &str) -> Option<&Entry> {
        self.entries
            .iter()
            .find(|entry| entry.names().any(|own| own.as_str() == name))
    }
}

impl Entry {
    /// The name, then the aliases.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        iter::once(&self.name).chain(&self.aliases)
    }

    /// The directory of exactly these bytes, below the directory of all interpreters. Versions live
    /// side by side.
    pub fn directory_name(&self) -> String {
        let Self {
            name,
            version,
            archive,
            ..
        } = self;
        format!("{name}-{version}-{}", archive.sha256.short())
    }

    /// Every file the interpreter's directory holds, with its pin.
    pub fn locals(&self) -> impl Iterator<Item = (&LocalName, &Pin)> {
        let files = self.files.iter().map(|file| (&file.to, &file.pin));
        files.chain(self.packs.iter().map(|pack| (&pack.to, &pack.pin)))
    }

    /// The pin of the file of that name.
    pub fn pin(&self, local: &str) -> Option<&Pin> {
        let found = self.locals().find(|(name, _)| name.as_str() == local);
        found.map(|(_, pin)| pin)
    }
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Python => "python",
            Kind::JavaScript => "javascript",
            Kind::TypeScript => "typescript",
            Kind::Ruby => "ruby",
            Kind::Command => "command",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Registry::Pypi => "PyPI",
            Registry::Npm => "npm",
        })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            registry,
            package,
            version,
        } = self;
        write!(f, "{package} {version} from {registry}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_catalogue_offers_python() {
        let catalogue = Catalogue::builtin();
        let python = catalogue.find("py").unwrap();
        assert_eq!(python.name.as_str(), "python");
        assert_eq!(python.kind, Kind::Python);
        assert_eq!(catalogue.find("python"), Some(python));
        assert!(catalogue.find("cobol").is_none());
        assert!(python.pin("mpl-data.pack").is_some());
    }
}
