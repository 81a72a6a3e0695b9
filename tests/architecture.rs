//! Holds the rules of the house that a compiler does not: who may import whom, where `unsafe` may
//! stand, which libraries belong to one room, the path rule, the size of files.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "these are tests: a panic is how they fail"
)]

use std::path::{Path, PathBuf};

/// Which rooms a room may name; `room::part` allows that part only. Downwards only: a line names none
/// of the lines above it. ARCHITECTURE.md has the reasons.
const RULES: [(&str, &[&str]); 21] = [
    ("main", &["cli", "cmd", "ui", "host", "error", "fork"]),
    ("lib", &[]),
    ("cli", &["cmd", "host"]),
    (
        "cmd",
        &[
            "ui",
            "text",
            "engine",
            "runtime",
            "plan",
            "host",
            "registry",
            "storage",
            "userns",
            "netns",
            "spec",
            "image",
            "container",
            "fork",
            "failpoint",
            "error",
        ],
    ),
    (
        "engine",
        &[
            "text",
            "host",
            "registry",
            "runtime",
            "plan",
            "userns",
            "netns",
            "storage",
            "spec",
            "image",
            "container",
            "fork",
            "sys",
            "failpoint",
            "error",
        ],
    ),
    (
        "runtime",
        &[
            "plan",
            "userns",
            "netns",
            "storage",
            "spec",
            "image",
            "container",
            "fork",
            "sys",
            "failpoint",
            "error",
        ],
    ),
    ("plan", &["spec", "image", "container", "error", "host", "userns", "netns"]),
    ("host", &["userns", "netns", "storage::rootfs", "sys", "error"]),
    ("registry", &["image", "storage::blobs", "error"]),
    ("storage", &["spec", "image", "container", "fork", "sys", "failpoint", "error"]),
    ("userns", &["container", "fork", "sys", "failpoint", "error"]),
    ("netns", &["spec", "fork", "sys", "error"]),
    ("spec", &["image", "container", "error"]),
    ("image", &["error"]),
    ("container", &["error"]),
    ("ui", &["text", "error"]),
    ("text", &["error"]),
    ("fork", &["sys", "error"]),
    ("sys", &["error"]),
    ("failpoint", &["sys"]),
    ("error", &[]),
];

/// Files that may name one thing more, because they close the circle: the table of verbs, and the two
/// that print the whole command line.
const EXCEPTIONS: [(&str, &str); 2] = [("src/cmd.rs", "cli"), ("src/cmd/completion.rs", "cli")];

/// Libraries that one room hides from the others.
const HIDDEN_LIBRARIES: [(&str, &[&str]); 9] = [
    ("oci_client", &["registry"]),
    ("reqwest", &["registry"]),
    ("tokio", &["registry"]),
    ("indicatif", &["ui"]),
    ("tabwriter", &["ui"]),
    ("directories", &["host"]),
    ("fuser", &["storage"]),
    ("libseccomp", &["runtime"]),
    ("yaml_rust2", &["plan"]),
];

/// Files after whose start every path may be controlled by an image or a container: what lies in a layer, and
/// the store itself, which somebody may have given to a container.
const PATH_RULE: [&str; 26] = [
    "src/storage/archive",
    "src/storage/blobs",
    "src/storage/compare",
    "src/storage/containers",
    "src/storage/copy",
    "src/storage/events",
    "src/storage/fuse",
    "src/storage/images",
    "src/storage/layers",
    "src/storage/measure",
    "src/storage/misplaced",
    "src/storage/pack",
    "src/storage/record",
    "src/storage/reset",
    "src/storage/secrets",
    "src/storage/trash",
    "src/storage/unpack",
    "src/storage/volumes",
    "src/storage/whiteout",
    "src/engine/containers/copy",
    "src/engine/containers/export",
    "src/runtime/files",
    "src/runtime/init",
    "src/runtime/masks",
    "src/runtime/users",
    "src/engine/volumes/archive",
];

/// Below those, what writes where the caller says, what is about the runtime directory, and what removes the
/// empty data root.
const PATH_RULE_EXCEPTIONS: [&str; 5] = [
    "src/storage/archive/output.rs",
    "src/storage/archive/save.rs",
    "src/storage/containers/dir.rs",
    "src/storage/containers/dir/trash.rs",
    "src/storage/reset.rs",
];

/// Longest file, in lines.
const LINES_MAX: usize = 600;

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Mark(char),
}

/// Rust tokens, as far as needed here: words, string literals and single marks; comments are dropped.
fn tokens(source: &str) -> Vec<Token> {
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

fn word(token: Option<&Token>) -> Option<&str> {
    match token {
        Some(Token::Word(word)) => Some(word),
        _ => None,
    }
}

fn double_colon(tokens: &[Token], at: usize) -> bool {
    tokens.get(at) == Some(&Token::Mark(':')) && tokens.get(at + 1) == Some(&Token::Mark(':'))
}

/// One source file of the program.
struct File {
    path: String,
    /// `storage::layers` as words.
    module: Vec<String>,
    /// Declared behind `#[cfg(test)]`: such code may look wherever it likes.
    test: bool,
    tokens: Vec<Token>,
    documented: bool,
}

impl File {
    fn room(&self) -> &str {
        &self.module[0]
    }

    /// The files that this one declares behind `#[cfg(test)]`.
    fn test_modules(&self) -> Vec<Vec<String>> {
        let gate: Vec<Token> = tokens("#[cfg(test)] mod");
        let places = self.tokens.windows(gate.len() + 2).filter(|w| w.starts_with(&gate));
        let names = places.filter(|w| w[gate.len() + 1] == Token::Mark(';')).map(|w| word(w.get(gate.len())));
        names.flatten().map(|name| [self.module.clone(), vec![name.to_owned()]].concat()).collect()
    }

    /// What this file names below the crate's root, outside of `mod tests`: up to two words each.
    fn names(&self) -> Vec<Vec<String>> {
        let mut found = Vec::new();
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
                    tree(tokens, next, &base, &mut found);
                }
                _ => {}
            }
        }
        found.retain(|name| !name.is_empty());
        found
    }
}

/// Collects the paths of a use tree (or of a plain path) that starts at `at`; returns the place after it.
fn tree(tokens: &[Token], mut at: usize, base: &[String], found: &mut Vec<Vec<String>>) -> usize {
    let mut path = base.to_vec();
    loop {
        match tokens.get(at) {
            Some(Token::Mark('{')) => {
                at += 1;
                while tokens.get(at).is_some_and(|t| *t != Token::Mark('}')) {
                    at = tree(tokens, at, &path, found);
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
            _ => {
                found.push(path.into_iter().take(2).collect());
                return at + 1;
            }
        }
        if double_colon(tokens, at) {
            at += 2;
            continue;
        }
        if word(tokens.get(at)) == Some("as") {
            at += 2;
        }
        found.push(path.into_iter().take(2).collect());
        return at;
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(dir: &Path) -> Vec<PathBuf> {
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

fn program() -> Vec<File> {
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

fn none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n  {}\n", found.join("\n  "));
}

#[test]
fn every_room_has_a_rule() {
    for file in program() {
        assert!(RULES.iter().any(|(room, _)| *room == file.room()), "no rule for {}", file.path);
    }
}

#[test]
fn imports_go_downwards() {
    let mut wrong = Vec::new();
    for file in program().iter().filter(|f| !f.test) {
        let Some((_, allowed)) = RULES.iter().find(|(room, _)| *room == file.room()) else { continue };
        for name in file.names() {
            let full = name.join("::");
            let ok = name[0] == file.room()
                || allowed.contains(&name[0].as_str())
                || allowed.contains(&full.as_str())
                || EXCEPTIONS.contains(&(file.path.as_str(), name[0].as_str()));
            if !ok {
                wrong.push(format!("{}: {full}", file.path));
            }
        }
    }
    none("these imports go against the rule (ARCHITECTURE.md, `Rooms`)", &wrong);
}

#[test]
fn libraries_stay_in_their_room() {
    let mut wrong = Vec::new();
    for file in program().iter().filter(|f| !f.test) {
        for (at, token) in file.tokens.iter().enumerate() {
            let Token::Word(library) = token else { continue };
            let hidden = HIDDEN_LIBRARIES.iter().find(|(name, _)| name == library);
            if let Some((_, rooms)) = hidden
                && double_colon(&file.tokens, at + 1)
                && !rooms.contains(&file.room())
            {
                wrong.push(format!("{}: {library}", file.path));
            }
        }
    }
    none("these libraries belong to another room", &wrong);
}

#[test]
fn unsafe_stands_in_sys_only() {
    let mut wrong = Vec::new();
    for file in program().iter().filter(|f| f.room() != "sys") {
        if file.tokens.contains(&Token::Word("unsafe".into()))
            || file.tokens.contains(&Token::Word("unsafe_code".into()))
        {
            wrong.push(file.path.clone());
        }
    }
    none("`unsafe` outside src/sys", &wrong);
}

#[test]
fn the_ui_alone_may_print() {
    let mut wrong = Vec::new();
    for file in program().iter().filter(|f| f.room() != "ui" && !f.test) {
        for lint in ["print_stdout", "print_stderr", "unwrap_used", "expect_used"] {
            if file.tokens.contains(&Token::Word(lint.into())) {
                wrong.push(format!("{}: allows {lint}", file.path));
            }
        }
    }
    none("lints switched off", &wrong);
}

/// The path rule: where an image or a container has a say in a path, it is resolved from a directory
/// descriptor, never by std::fs. Literal paths under /proc are fine.
#[test]
fn paths_of_images_never_reach_std_fs() {
    const FUNCTIONS: [&str; 20] = [
        "read",
        "read_to_string",
        "write",
        "create_dir",
        "create_dir_all",
        "remove_file",
        "remove_dir",
        "remove_dir_all",
        "rename",
        "copy",
        "hard_link",
        "metadata",
        "symlink_metadata",
        "canonicalize",
        "set_permissions",
        "read_dir",
        "read_link",
        "symlink",
        "chown",
        "lchown",
    ];
    let mut wrong = Vec::new();
    let controlled = |f: &&File| {
        PATH_RULE.iter().any(|p| f.path.starts_with(p))
            && !PATH_RULE_EXCEPTIONS.contains(&f.path.as_str())
            && !f.test
    };
    let program = program();
    for rule in PATH_RULE.iter().chain(&PATH_RULE_EXCEPTIONS) {
        if !program.iter().any(|f| f.path.starts_with(rule)) {
            wrong.push(format!("{rule}: the rule is for a file that is not there"));
        }
    }
    for file in program.iter().filter(controlled) {
        let t = &file.tokens;
        let mut tests = false;
        for at in 0..t.len() {
            tests |= word(t.get(at)) == Some("mod") && word(t.get(at + 1)) == Some("tests");
            let Some(owner) = word(t.get(at)) else { continue };
            if tests || !double_colon(t, at + 1) {
                continue;
            }
            let Some(function) = word(t.get(at + 3)) else { continue };
            let called = (owner == "fs" && FUNCTIONS.contains(&function))
                || (owner == "File" && matches!(function, "open" | "create" | "create_new" | "options"))
                || (matches!(owner, "OpenOptions" | "DirBuilder") && function == "new");
            let literal = matches!(t.get(at + 5), Some(Token::Text(text)) if text.starts_with("/proc/"));
            if called && !literal {
                wrong.push(format!("{}: {owner}::{function}", file.path));
            }
        }
    }
    none("paths that an image may control reach std::fs", &wrong);
}

/// One door leads into a container: nowhere else is a mount namespace entered, or the root of another process
/// opened. The two that enter what a variable says never get a mount namespace in it.
#[test]
fn one_door_leads_into_a_container() {
    const DOOR: &str = "src/runtime/door.rs";
    const BY_VARIABLE: [&str; 2] = ["src/runtime/birth.rs", "src/runtime/exec.rs"];
    let mut wrong = Vec::new();
    for file in program().iter().filter(|f| !f.test && f.path != DOOR) {
        for (at, token) in file.tokens.iter().enumerate() {
            if matches!(token, Token::Text(text) if text.starts_with("/proc/") && text.contains("/root")) {
                wrong.push(format!("{}: opens the root of a process", file.path));
            }
            if word(Some(token)) != Some("setns") || file.tokens.get(at + 1) != Some(&Token::Mark('(')) {
                continue;
            }
            let arguments: Vec<&str> = file.tokens[at + 2..]
                .iter()
                .take_while(|t| **t != Token::Mark('?') && **t != Token::Mark(';'))
                .filter_map(|t| word(Some(t)))
                .collect();
            let flag = arguments.iter().find(|w| w.starts_with("CLONE_"));
            if flag == Some(&"CLONE_NEWNS") || flag.is_none() && !BY_VARIABLE.contains(&file.path.as_str()) {
                wrong.push(format!("{}: enters {}", file.path, flag.unwrap_or(&"some namespace")));
            }
        }
    }
    none("ways into a container beside its door", &wrong);
}

#[test]
fn files_stay_short() {
    let mut wrong = Vec::new();
    for dir in ["src", "tests", "benches"] {
        for path in rust_files(&root().join(dir)) {
            let lines = std::fs::read_to_string(&path).unwrap().lines().count();
            if lines > LINES_MAX {
                wrong.push(format!("{} has {lines} lines", path.display()));
            }
        }
    }
    none("split these files", &wrong);
}

#[test]
fn every_file_says_what_it_is() {
    let wrong: Vec<String> =
        program().into_iter().filter(|f| !f.documented && !f.test).map(|f| f.path).collect();
    none("files that do not open with //!", &wrong);
}

#[test]
fn the_reader_of_imports_reads_them() {
    let file = |path: &[&str], text: &str| File {
        path: String::new(),
        module: path.iter().map(|s| (*s).to_owned()).collect(),
        test: false,
        tokens: tokens(text),
        documented: true,
    };
    let names = |path: &[&str], text: &str| -> Vec<String> {
        file(path, text).names().iter().map(|n| n.join("::")).collect()
    };
    assert_eq!(names(&["a"], "use crate::b;"), ["b"]);
    assert_eq!(names(&["a"], "use crate::{b, c::{d, e as f}, g::*};"), ["b", "c::d", "c::e", "g"]);
    assert_eq!(
        names(&["a"], "fn f() -> crate::b::C<'static> { crate::d::e('{', \"crate::no\") }"),
        ["b::C", "d::e"]
    );
    assert_eq!(names(&["a", "x"], "use super::y::Z;"), ["a::y"]);
    assert_eq!(names(&["a", "x"], "use super::super::y::Z;"), ["y::Z"]);
    assert_eq!(names(&["a"], "mod inner { use super::y; }"), ["a::y"]);
    assert!(names(&["a"], "// crate::b\nmod tests { use crate::b; } r#\"crate::c\"#").is_empty());
}
