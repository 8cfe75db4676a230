//! Whether what was typed is a whole piece of program, or goes on in the next line. Pure.

/// Whose rules hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blocks {
    /// A colon at a line's end opens a block, as in Python.
    Colons,
    /// Only brackets do.
    Brackets,
}

impl Blocks {
    pub(super) fn of_language(language: &str) -> Self {
        match language.starts_with("py") {
            true => Self::Colons,
            false => Self::Brackets,
        }
    }
}

/// Whether `text` should run now. An empty last line ends whatever is open: the interpreter knows
/// better than this file what is wrong with it.
pub(super) fn is_complete(text: &str, blocks: Blocks) -> bool {
    let last = text.rsplit('\n').next().unwrap_or(text);
    if text.contains('\n') && last.trim().is_empty() {
        return true;
    }
    if has_open_brackets(text) || last.ends_with('\\') {
        return false;
    }
    match blocks {
        // A block that has begun goes on until an empty line, even where its lines are whole.
        Blocks::Colons => !text.lines().any(|line| {
            let code = without_comment(line);
            code.ends_with(':') || code.starts_with('@')
        }),
        Blocks::Brackets => true,
    }
}

/// Whether more brackets are opened than closed, outside of strings and comments; or a string of
/// three quotes is open.
fn has_open_brackets(text: &str) -> bool {
    let mut depth = 0i32;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let triple = ["\"\"\"", "'''"].into_iter().find(|q| rest.starts_with(*q));
        if let Some(quotes) = triple {
            match rest[3..].find(quotes) {
                Some(end) => rest = &rest[3 + end + 3..],
                None => return true,
            }
            continue;
        }
        match first {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            '#' => {
                rest = rest.find('\n').map_or("", |end| &rest[end..]);
                continue;
            }
            '"' | '\'' => {
                rest = after_string(&rest[1..], first);
                continue;
            }
            _ => {}
        }
        rest = &rest[first.len_utf8()..];
    }
    depth > 0
}

/// What follows a string whose opening quote is gone. It ends with its line at the latest.
fn after_string(text: &str, quote: char) -> &str {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '\n' => return &text[at..],
            c if c == quote => return &text[at + c.len_utf8()..],
            _ => {}
        }
    }
    ""
}

/// The line up to its comment, blanks at both ends gone.
fn without_comment(line: &str) -> &str {
    let mut rest = line;
    while let Some(at) = rest.find(['#', '"', '\'']) {
        let start = line.len() - rest.len() + at;
        match line[start..].chars().next() {
            Some('#') | None => return line[..start].trim(),
            Some(quote) => rest = after_string(&rest[at + 1..], quote),
        }
    }
    line.trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(cases: &[(&str, bool)], blocks: Blocks) {
        for (text, expected) in cases {
            assert_eq!(is_complete(text, blocks), *expected, "{text:?}");
        }
    }

    #[test]
    fn a_colon_or_an_open_bracket_goes_on_until_an_empty_line() {
        check(
            &[
                ("x = 1", true),
                ("", true),
                ("for i in x:", false),
                ("for i in x:\n    print(i)", false),
                ("for i in x:\n    print(i)\n", true),
                ("for i in x:\n    print(i)\n    ", true),
                ("if x: # why", false),
                ("@decorated", false),
                ("f(1,", false),
                ("f(1,\n2)", true),
                ("f(1,\n", true),
                ("x = [1, {2: (3", false),
                ("x = 'a:'", true),
                ("x = '(' # )", true),
                ("x = \"it's (\"", true),
                ("x = '\\'('", true),
                ("d = {1: 2}", true),
                ("'''open", false),
                ("'''open\nclosed'''", true),
                ("a \\", false),
                ("# comment:", true),
                ("x # (", true),
                ("naïve = '日本:'", true),
                (")", true),
            ],
            Blocks::Colons,
        );
    }

    #[test]
    fn elsewhere_only_brackets_count() {
        check(
            &[
                ("const x = () => {", false),
                ("const x = () => {\n}", true),
                ("label:", true),
                ("puts 'a:'", true),
            ],
            Blocks::Brackets,
        );
    }

    #[test]
    fn no_text_is_too_odd_to_be_judged() {
        for text in [
            "\"", "'", "\\", "\"\"\"", "''''''", "#", "é'é", "\n", "'\n'", "]][[",
        ] {
            is_complete(text, Blocks::Colons);
            is_complete(text, Blocks::Brackets);
        }
    }
}
