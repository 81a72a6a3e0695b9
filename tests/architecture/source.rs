//! The program's source as these tests see it: files, their tokens, what they name of the crate.

use std::path::{Path, PathBuf};

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    Word(String),
    Text(String),
    Mark(char),
}

/// Rust tokens, as far as needed here: words, string literals and single marks; comments are dropped.
pub(crate) fn tokens(source: &str) -> Vec<Token> {
    let text: Vec<char> = source.chars().collect();
    let mut found = Vec::new();
    let mut at = 0;
    let is = |at: usize, wanted: char| text.get(at) == Some(&wanted);
    while at < text.len() {
        let c = text[at];
        if is(at, '/') && is(at + 1, '/') {
            while at < text.len() && text[at] != '\n' {
                at += 1;
            }
        } else if is(at, '/') && is(at + 1, '*') {
            let mut depth = 0;
            loop {
                match (is(at, '/') && is(at + 1, '*'), is(at, '*') && is(at + 1, '/')) {
                    (true, _) => depth += 1,
                    (_, true) => depth -= 1,
                    _ => {
                        at += 1;
                        continue;
                    }
                }
                at += 2;
                if depth == 0 || at >= text.len() {
                    break;
                }
            }
        } else if c.is_alphabetic() || c == '_' {
            let start = at;
            while at < text.len() && (text[at].is_alphanumeric() || text[at] == '_') {
                at += 1;
            }
            let word: String = text[start..at].iter().collect();
            let hashes = text[at..].iter().take_while(|c| **c == '#').count();
            if matches!(word.as_str(), "r" | "br" | "cr") && is(at + hashes, '"') {
                at += hashes + 1;
                let start = at;
                let closes = |at: usize| is(at, '"') && (1..=hashes).all(|n| is(at + n, '#'));
                while at < text.len() && !closes(at) {
                    at += 1;
                }
                found.push(Token::Text(text[start..at].iter().collect()));
                at += 1 + hashes;
            } else {
                found.push(Token::Word(word));
            }
        } else if c == '"' {
            at += 1;
            let start = at;
            while at < text.len() && text[at] != '"' {
                at += if text[at] == '\\' { 2 } else { 1 };
            }
            found.push(Token::Text(text[start..at.min(text.len())].iter().collect()));
            at += 1;
        } else if c == '\'' && (is(at + 2, '\'') || is(at + 1, '\\')) {
            // A character; a lifetime has no second quote so near.
            at += if is(at + 1, '\\') { 3 } else { 2 };
            while at < text.len() && text[at] != '\'' {
                at += 1;
            }
            at += 1;
        } else {
            if !c.is_whitespace() {
                found.push(Token::Mark(c));
            }
            at += 1;
        }
    }
    found
}

pub(crate) fn word(token: Option<&Token>) -> Option<&str> {
    match token {
        Some(Token::Word(word)) => Some(word),
        _ => None,
    }
}

pub(crate) fn double_colon(tokens: &[Token], at: usize) -> bool {
    tokens.get(at) == Some(&Token::Mark(':')) && tokens.get(at + 1) == Some(&Token::Mark(':'))
}

/// One source file of the program.
pub(crate) struct File {
    pub(crate) path: String,
    /// `storage::layers` as words.
    pub(crate) module: Vec<String>,
    /// Declared behind `#[cfg(test)]`: such code may look wherever it likes.
    pub(crate) test: bool,
    pub(crate) tokens: Vec<Token>,
    pub(crate) documented: bool,
}

impl File {
    pub(crate) fn room(&self) -> &str {
        &self.module[0]
    }

    /// The files that this one declares behind `#[cfg(test)]`.
    pub(crate) fn test_modules(&self) -> Vec<Vec<String>> {
        let gate: Vec<Token> = tokens("#[cfg(test)] mod");
        let places = self.tokens.windows(gate.len() + 2).filter(|w| w.starts_with(&gate));
        let names = places.filter(|w| w[gate.len() + 1] == Token::Mark(';')).map(|w| word(w.get(gate.len())));
        names.flatten().map(|name| [self.module.clone(), vec![name.to_owned()]].concat()).collect()
    }

    /// What this file names below the crate's root, outside of `mod tests`: up to two words each.
    pub(crate) fn names(&self) -> Vec<Vec<String>> {
        let mut found: Vec<Vec<String>> = Vec::new();
        // Inline modules and other braces around the place.
        let mut braces: Vec<Option<String>> = Vec::new();
        let tokens = &self.tokens;
        for at in 0..tokens.len() {
            match &tokens[at] {
                Token::Mark('{') => {
                    let named = at >= 2 && word(tokens.get(at - 2)) == Some("mod");
                    braces.push(if named { word(tokens.get(at - 1)).map(str::to_owned) } else { None });
                }
                Token::Mark('}') => {
                    braces.pop();
                }
                Token::Word(first) if matches!(first.as_str(), "crate" | "super" | "coracle") => {
                    let inline: Vec<String> = braces.iter().flatten().cloned().collect();
                    if inline.iter().any(|m| m == "tests") || !double_colon(tokens, at + 1) {
                        continue;
                    }
                    let before = at.checked_sub(3).map(|b| &tokens[b]);
                    if first == "super" && matches!(before, Some(Token::Word(w)) if w == "super") {
                        continue;
                    }
                    let mut base = Vec::new();
                    let mut next = at + 3;
                    if first == "super" {
                        base = [self.module.clone(), inline].concat();
                        base.pop();
                        while word(tokens.get(next)) == Some("super") && double_colon(tokens, next + 1) {
                            base.pop();
                            next += 3;
                        }
                    }
                    use_tree(tokens, next, &base, &mut |path, _| {
                        found.push(path.into_iter().take(2).collect())
                    });
                }
                _ => {}
            }
        }
        found.retain(|name| !name.is_empty());
        found
    }
}

/// How a path of a use tree ends.
pub(crate) enum Leaf {
    /// With a name, which may be given another one.
    Name(Option<String>),
    /// With all names there are.
    All,
    /// With something that is no part of a use tree: it was a plain path.
    Other,
}

/// Hands the paths of a use tree (or of a plain path) that starts at `at` to `each`; returns the place after it.
pub(crate) fn use_tree(
    tokens: &[Token],
    mut at: usize,
    base: &[String],
    each: &mut dyn FnMut(Vec<String>, Leaf),
) -> usize {
    let mut path = base.to_vec();
    loop {
        match tokens.get(at) {
            Some(Token::Mark('{')) => {
                at += 1;
                while tokens.get(at).is_some_and(|t| *t != Token::Mark('}')) {
                    at = use_tree(tokens, at, &path, each);
                    while tokens.get(at) == Some(&Token::Mark(',')) {
                        at += 1;
                    }
                }
                return at + 1;
            }
            Some(Token::Word(part)) => {
                path.push(part.clone());
                at += 1;
            }
            Some(Token::Mark('*')) => {
                each(path, Leaf::All);
                return at + 1;
            }
            _ => {
                each(path, Leaf::Other);
                return at + 1;
            }
        }
        if double_colon(tokens, at) {
            at += 2;
            continue;
        }
        let mut renamed = None;
        if word(tokens.get(at)) == Some("as") {
            renamed = word(tokens.get(at + 1)).map(str::to_owned);
            at += 2;
        }
        each(path, Leaf::Name(renamed));
        return at;
    }
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            all.extend(rust_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            all.push(path);
        }
    }
    all.sort();
    all
}

pub(crate) fn program() -> Vec<File> {
    let files = rust_files(&root().join("src")).into_iter().map(|path| {
        let text = std::fs::read_to_string(&path).unwrap();
        let inside = path.strip_prefix(root().join("src")).unwrap().with_extension("");
        let module = inside.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
        File {
            path: path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned(),
            module,
            test: false,
            tokens: tokens(&text),
            documented: text.starts_with("//!"),
        }
    });
    let mut files: Vec<File> = files.collect();
    let test_modules: Vec<Vec<String>> = files.iter().flat_map(File::test_modules).collect();
    for file in &mut files {
        // `#[path]` may give such a module's file another name.
        let by_name = file.module.iter().any(|m| m == "tests" || m.ends_with("_tests"));
        file.test = by_name || test_modules.iter().any(|m| file.module.starts_with(m));
    }
    files
}
