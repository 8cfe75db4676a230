//! A small package, its catalogue and false clients, for this layer's tests.

use std::ffi::OsString;
use std::fmt::Debug;
use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::catalogue::{Catalogue, Entry};
use super::client::Clients;
use super::digest::Pin;
use super::manifest::Document;
use super::pack;

pub(super) const MODULE: &[u8] = b"\0asm, so to say";
pub(super) const LIST: &str =
    "sample 1.0\npackage numpy 2.5.2\npin ab numpy.tar.gz\npackage six 1\n";

/// A checked string that is known to be well-formed.
pub(super) fn text<T: TryFrom<String, Error: Debug>>(text: &str) -> T {
    T::try_from(text.to_owned()).expect("a test's own names are well-formed")
}

pub(super) fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (path, content) in files {
        let options = zip::write::SimpleFileOptions::default();
        zip.start_file(*path, options).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

pub(super) fn tar_gz(files: &[(&str, &[u8])]) -> Vec<u8> {
    let gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gz);
    for (path, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, *content).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

/// A directory with a package's archive, a place for false clients and one for interpreters.
pub(super) struct Workshop {
    root: TempDir,
    pub(super) entry: Entry,
}

impl Workshop {
    pub(super) fn new() -> Self {
        Self::of("pypi")
    }

    pub(super) fn npm() -> Self {
        Self::of("npm")
    }

    fn of(registry: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        let nested: &[(&str, &[u8])] = &[("fonts/a.ttf", b"font"), ("rc", b"style")];
        let library = zip(&[("os.pyc", b"code"), ("data.zip", &zip(nested))]);
        let members: &[(&str, &[u8])] = &[
            ("p/module.wasm", MODULE),
            ("p/lib.zip", &library),
            ("p/MANIFEST", LIST.as_bytes()),
            ("p/unwanted", b"unwanted"),
        ];
        let archive = if registry == "npm" {
            tar_gz(members)
        } else {
            zip(members)
        };
        let packed = nested
            .iter()
            .map(|(path, content)| ((*path).to_owned(), content.to_vec()));
        let pack = pack::encode(&packed.collect()).unwrap();
        fs::write(root.path().join("package"), &archive).unwrap();
        fs::create_dir(root.path().join("bin")).unwrap();
        let source =
            format!("{{ registry = {registry:?}, package = \"sample\", version = \"1.0\" }}");
        let manifest = format!(
            "schema = 1\n[[interpreter]]\nname = \"sample\"\nkind = \"command\"\nversion = \"1.0\"\n\
             source = {source}\nmodule = \"module.wasm\"\npackage_list = \"MANIFEST\"\n\
             files = [{{ from = \"p/module.wasm\", to = \"module.wasm\" }},\n\
             {{ from = \"p/lib.zip\", to = \"lib.zip\" }}, {{ from = \"p/MANIFEST\", to = \"MANIFEST\" }}]\n\
             packs = [{{ archive = \"lib.zip\", nested = \"data.zip\", to = \"data.pack\" }}]\n"
        );
        let pin = |bytes: &[u8]| {
            let Pin { bytes, sha256 } = Pin::of(bytes);
            format!("{{ bytes = {bytes}, sha256 = \"{sha256}\" }}")
        };
        let lock = format!(
            "schema = 1\n[[locked]]\ninterpreter = \"sample\"\nsource = {source}\narchive = {}\n\
             [locked.files]\n\"module.wasm\" = {}\n\"lib.zip\" = {}\n\"MANIFEST\" = {}\n\"data.pack\" = {}\n",
            pin(&archive),
            pin(MODULE),
            pin(&library),
            pin(LIST.as_bytes()),
            pin(&pack),
        );
        let document = |name, text| Document { name, text };
        let catalogue = Catalogue::parse(document("manifest", &manifest), document("lock", &lock));
        let entry = catalogue.unwrap().entries()[0].clone();
        Self { root, entry }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub(super) fn interpreters(&self) -> PathBuf {
        self.path("interpreters")
    }

    pub(super) fn home(&self) -> PathBuf {
        self.interpreters().join(self.entry.directory_name())
    }

    /// What lies in the directory of interpreters, hidden names included.
    pub(super) fn names(&self, dir: &Path) -> Vec<String> {
        let names = fs::read_dir(dir)
            .unwrap()
            .map(|name| name.unwrap().file_name());
        let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Puts a client on the path that tells its version and otherwise runs `script`, a shell's, with
    /// `$dest` the directory it is to fill, `$package` the true archive and `$root` this workshop.
    pub(super) fn client(&self, name: &str, script: &str) {
        let root = self.root.path().display();
        let text = format!(
            "#!/bin/sh\nPATH=/usr/bin:/bin\nroot={root}\npackage=$root/package\n\
             case \"$*\" in *--version*) exit 0;; esac\necho \"$*\" >> $root/calls\n\
             while [ $# -gt 0 ]; do case $1 in --dest|--pack-destination) dest=$2;; esac; shift; done\n{script}\n"
        );
        // Another process writes the program: while a test of another thread forks, its child holds
        // our descriptors for a moment, and a program that is open for writing cannot be run.
        let source = self.path(&format!("{name}.source"));
        fs::write(&source, text).unwrap();
        let mut install = Command::new("install");
        install
            .args(["-m", "755"])
            .arg(&source)
            .arg(self.path("bin").join(name));
        assert!(install.status().unwrap().success());
    }

    /// Puts a pip on the path that does as it is told.
    pub(super) fn good_pip(&self) {
        self.client("pip", "cp $package $dest/sample-1.0-py3-none-any.whl");
    }

    /// The clients of this workshop and no others.
    pub(super) fn clients(&self) -> Clients {
        let path = OsString::from(self.path("bin"));
        Clients::new([(OsString::from("PATH"), path)])
    }

    /// The arguments of every download so far.
    pub(super) fn calls(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.path("calls")).unwrap_or_default();
        calls.lines().map(str::to_owned).collect()
    }
}
