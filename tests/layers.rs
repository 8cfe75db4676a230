//! The house as `ARCHITECTURE.md` draws it: who may import whom, who may name which foreign crate,
//! and where `unsafe` may stand.
//!
//! The sources are read as text, with comments and literals blanked out, so that a path is found
//! wherever it stands and a mention of it is not. Tests inside `src` count like everything else.

use std::fs;
use std::path::Path;

/// The modules of `src`, the lowest layer first. A module imports only from layers below its own;
/// those of one layer do not know each other.
const LAYERS: &[&[&str]] = &[
    &["ids", "limits"],
    &["files", "protocol"],
    &["auth", "guest", "interpreters", "journal", "metrics"],
    &["config", "session"],
    &["connection", "provision"],
    &["server"],
    &["gateway"],
    &["cli"],
];

/// Foreign crates with a custodian: only these modules, and what is below them, may name the crate.
/// What is not listed (tokio, serde, thiserror, tracing and their like) may be named anywhere.
const CUSTODIANS: &[(&str, &[&str])] = &[
    ("wasmtime", &["guest"]),
    ("wasmparser", &["guest/module"]),
    ("wasm_encoder", &["guest/module"]),
    ("zstd", &["guest/checkpoint"]),
    ("jsonwebtoken", &["auth/jws"]),
    ("hyper", &["server"]),
    ("hyper_util", &["server"]),
    ("http_body_util", &["server"]),
    ("form_urlencoded", &["server"]),
    ("rustls", &["server/tls", "cli/connect"]),
    ("tokio_rustls", &["server/tls", "cli/connect"]),
    (
        "tokio_tungstenite",
        &["connection", "server/connect", "cli/connect"],
    ),
    ("prometheus_client", &["metrics"]),
    ("zip", &["interpreters"]),
    ("tar", &["interpreters"]),
    ("flate2", &["interpreters"]),
    ("toml", &["config", "interpreters"]),
    ("strsim", &["config"]),
    ("clap", &["config", "cli"]),
    ("reedline", &["cli/connect"]),
    ("tracing_subscriber", &["cli/logging"]),
    ("anyhow", &["gateway", "cli"]),
];

/// The files that hold `unsafe`; `SECURITY.md` says why each does.
const UNSAFE: &[&str] = &["guest/engine", "guest/mapping", "interpreters/supervised"];

#[test]
fn modules_import_only_from_lower_layers() {
    check(|file, tokens| {
        let module = file.module();
        if module == "lib" || module == "main" {
            return Vec::new();
        }
        let Some(own) = layer(module) else {
            return vec![format!(
                "{}:1: the module {module} has no layer; give it one in LAYERS",
                file.path
            )];
        };
        imports(tokens)
            .into_iter()
            .filter(|import| import.word != module)
            .filter_map(|Token { line, word: other }| match layer(other) {
                Some(below) if below < own => None,
                Some(above) => Some(format!(
                    "{}:{line}: {module} (layer {own}) imports {other} (layer {above}); a module \
                     imports only from layers below its own",
                    file.path
                )),
                None => Some(format!(
                    "{}:{line}: crate::{other} is no module of LAYERS",
                    file.path
                )),
            })
            .collect()
    });
}

#[test]
fn a_foreign_crate_is_named_only_by_its_custodian() {
    check(|file, tokens| {
        CUSTODIANS
            .iter()
            .filter(|(_, places)| !places.iter().any(|place| file.is_in(place)))
            .flat_map(|(name, places)| {
                namings(tokens, name).into_iter().map(move |line| {
                    format!(
                        "{}:{line}: names {name}, which only {} may",
                        file.path,
                        places.join(", ")
                    )
                })
            })
            .collect()
    });
}

#[test]
fn unsafe_stands_only_where_it_is_accounted_for() {
    check(|file, tokens| {
        let lines: Vec<_> = lines_of(tokens, "unsafe");
        match (UNSAFE.contains(&file.stem()), lines.as_slice()) {
            (true, []) => vec![format!(
                "{}:1: holds no unsafe any more; take it off UNSAFE and out of SECURITY.md",
                file.path
            )],
            (true, _) => Vec::new(),
            (false, lines) => lines
                .iter()
                .map(|line| {
                    format!(
                        "{}:{line}: unsafe outside the files of UNSAFE, which SECURITY.md explains",
                        file.path
                    )
                })
                .collect(),
        }
    });
    let account = fs::read_to_string(root().join("SECURITY.md")).expect("SECURITY.md is readable");
    for stem in UNSAFE {
        assert!(
            account.contains(&format!("`src/{stem}.rs`")),
            "SECURITY.md does not account for the unsafe of src/{stem}.rs"
        );
    }
}

#[test]
fn the_scan_finds_code_and_nothing_else() {
    let source = r####"
//! crate::server::Server, unsafe
use crate::{journal::Journal, session::{Command, Slot}, limits};
use wasmtime as w;
/* unsafe /* wasmtime::Engine */ unsafe */
fn f<'a>(c: char) -> bool { c == '"' || c == '\'' || "crate::gateway \" unsafe" == r#"unsafe " wasmtime::"# }
unsafe fn g() -> crate::auth::Keys { other::wasmtime::x(); br##"crate::"# "##; wasmtime::y() }
"####;
    let code = blanked(source);
    let tokens = tokens(&code);
    let named: Vec<_> = imports(&tokens)
        .into_iter()
        .map(|Token { line, word }| (line, word))
        .collect();
    assert_eq!(
        named,
        [(3, "journal"), (3, "session"), (3, "limits"), (7, "auth")]
    );
    assert_eq!(namings(&tokens, "wasmtime"), [4, 7]);
    assert_eq!(lines_of(&tokens, "unsafe"), [7]);
}

/// A source file, by its path from the repository's root.
struct SourceFile {
    path: String,
}

impl SourceFile {
    /// The path below `src`, without its extension.
    fn stem(&self) -> &str {
        let path = self.path.strip_prefix("src/").unwrap_or(&self.path);
        path.strip_suffix(".rs").unwrap_or(path)
    }

    /// The top-level module.
    fn module(&self) -> &str {
        self.stem().split('/').next().unwrap_or_default()
    }

    /// Whether this is the file of module `place`, or of one below it.
    fn is_in(&self, place: &str) -> bool {
        let below = self.stem().strip_prefix(place);
        below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

#[derive(Clone, Copy)]
struct Token<'s> {
    /// From 1.
    line: usize,
    /// A word, `::`, or one other character.
    word: &'s str,
}

/// Looks at every file of `src` and fails with all that `look` complains of.
fn check(look: impl Fn(&SourceFile, &[Token<'_>]) -> Vec<String>) {
    let mut paths = Vec::new();
    collect(&root().join("src"), &mut paths);
    paths.sort();
    assert!(!paths.is_empty(), "src holds no sources");
    let complaints: Vec<_> = paths
        .into_iter()
        .flat_map(|path| {
            let code = blanked(&fs::read_to_string(root().join(&path)).expect("sources are UTF-8"));
            look(&SourceFile { path }, &tokens(&code))
        })
        .collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The paths of all sources below `directory`, from the repository's root.
fn collect(directory: &Path, paths: &mut Vec<String>) {
    for entry in fs::read_dir(directory).expect("src is readable") {
        let path = entry.expect("src is readable").path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let path = path.strip_prefix(root()).expect("it is below the root");
            paths.push(path.to_str().expect("paths are UTF-8").to_owned());
        }
    }
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// The modules that `crate::…` paths name.
fn imports<'s>(tokens: &[Token<'s>]) -> Vec<Token<'s>> {
    let mut found = Vec::new();
    for (at, window) in tokens.windows(3).enumerate() {
        match [window[0].word, window[1].word, window[2].word] {
            ["crate", "::", "{"] => found.extend(group(&tokens[at + 2..])),
            ["crate", "::", _] => found.push(window[2]),
            _ => {}
        }
    }
    found
}

/// The first word of each path in the braces that `tokens` start with.
fn group<'s>(tokens: &[Token<'s>]) -> Vec<Token<'s>> {
    let mut found = Vec::new();
    let mut depth = 0_usize;
    let mut starts = false;
    for token in tokens {
        match token.word {
            "{" => {
                depth += 1;
                starts = depth == 1;
            }
            "}" => {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            }
            "," => starts = depth == 1,
            _ if starts => {
                found.push(*token);
                starts = false;
            }
            _ => {}
        }
    }
    found
}

/// The lines on which a path starts with the foreign crate `name`.
fn namings(tokens: &[Token<'_>], name: &str) -> Vec<usize> {
    let word = |at: Option<usize>| at.and_then(|at| tokens.get(at)).map_or("", |t| t.word);
    (0..tokens.len())
        .filter(|&at| tokens[at].word == name)
        .filter(|&at| {
            let before = word(at.checked_sub(1));
            let after = word(Some(at + 1));
            !matches!(before, "::" | ".") && (after == "::" || matches!(before, "use" | "crate"))
        })
        .map(|at| tokens[at].line)
        .collect()
}

fn lines_of(tokens: &[Token<'_>], word: &str) -> Vec<usize> {
    let found = tokens.iter().filter(|token| token.word == word);
    found.map(|token| token.line).collect()
}

fn tokens(code: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    for (index, text) in code.lines().enumerate() {
        let mut rest = text.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = match rest.find(|c| !is_of_a_word(c)) {
                None => rest.len(),
                Some(0) if rest.starts_with("::") => 2,
                Some(0) => first.len_utf8(),
                Some(length) => length,
            };
            let (word, after) = rest.split_at(length);
            tokens.push(Token {
                line: index + 1,
                word,
            });
            rest = after.trim_start();
        }
    }
    tokens
}

fn is_of_a_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// The source with a space for every comment and every literal that could hold code. Line breaks
/// stay.
fn blanked(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let in_word = code.chars().next_back().is_some_and(is_of_a_word);
        let skipped = no_code(rest, in_word);
        if skipped > 0 {
            code.push(' ');
            code.extend(rest[..skipped].chars().filter(|c| *c == '\n'));
            rest = &rest[skipped..];
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    code
}

/// The length of the comment or literal that `rest` starts with; 0 when it starts with code.
fn no_code(rest: &str, in_word: bool) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment(rest);
    }
    if rest.starts_with('"') {
        return quoted(rest, '"');
    }
    if rest.starts_with('\'') {
        // `'a` without a quote behind it is a lifetime.
        let mut ahead = rest.chars().skip(1);
        return match (ahead.next(), ahead.next()) {
            (Some('\\'), _) | (_, Some('\'')) => quoted(rest, '\''),
            _ => 0,
        };
    }
    if in_word { 0 } else { raw_string(rest) }
}

/// Comments in comments count.
fn block_comment(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        let ahead = &rest.as_bytes()[at..];
        if ahead.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if ahead.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                break;
            }
        } else {
            at += 1;
        }
    }
    at
}

/// Up to and with the closing `quote`.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

fn raw_string(rest: &str) -> usize {
    let marked = rest.strip_prefix(['b', 'c']).unwrap_or(rest);
    let Some(after) = marked.strip_prefix('r') else {
        return 0;
    };
    let content = after.trim_start_matches('#');
    if !content.starts_with('"') {
        return 0;
    }
    let hashes = after.len() - content.len();
    let end = format!("\"{}", "#".repeat(hashes));
    let opened = rest.len() - content.len() + 1;
    rest[opened..]
        .find(&end)
        .map_or(rest.len(), |at| opened + at + end.len())
}
