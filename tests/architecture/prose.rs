//! Holds that the words of a failure are for people: what is decided is decided by its `Step`, its errno or the
//! `Kind` of an error.

use crate::source::{Token, program, tokens, word};

/// Fields that hold words.
const FIELDS: [&str; 2] = ["doing", "detail"];
/// Methods that give words.
const METHODS: [&str; 5] = ["describe", "message", "in_one_line", "causes", "hints"];
/// What an error is called where its words are made by `to_string()`.
const ERRORS: [&str; 4] = ["e", "err", "error", "failure"];
/// Calls that compare.
const COMPARING: [&str; 12] = [
    "contains",
    "starts_with",
    "ends_with",
    "strip_prefix",
    "strip_suffix",
    "eq",
    "ne",
    "cmp",
    "find",
    "split_once",
    "matches",
    "eq_ignore_ascii_case",
];

fn mark(token: Option<&Token>, wanted: char) -> bool {
    token == Some(&Token::Mark(wanted))
}

/// Whether words of a failure are taken at this place.
fn takes_words(all: &[Token], at: usize) -> bool {
    let Some(name) = word(all.get(at)) else { return false };
    let called = mark(all.get(at + 1), '(');
    let of = |back: usize| at.checked_sub(back).and_then(|place| all.get(place));
    let by_method =
        METHODS.contains(&name) || name == "to_string" && ERRORS.iter().any(|e| word(of(2)) == Some(e));
    mark(of(1), '.') && (if called { by_method } else { FIELDS.contains(&name) })
}

/// Whether something is compared at this place.
fn compares(all: &[Token], at: usize) -> bool {
    let called = mark(all.get(at + 1), '(');
    match &all[at] {
        Token::Word(name) if name == "match" => true,
        Token::Word(name) if name == "matches" && mark(all.get(at + 1), '!') => true,
        // `if let "words" = ..`.
        Token::Word(name) if name == "let" => matches!(all.get(at + 1), Some(Token::Text(_))),
        Token::Word(name) => called && COMPARING.contains(&name.as_str()),
        Token::Mark('=' | '!') => mark(all.get(at + 1), '='),
        _ => false,
    }
}

/// Where an expression surely ends.
fn separates(all: &[Token], at: usize) -> bool {
    match &all[at] {
        Token::Mark(';' | ',' | '{' | '}') => true,
        Token::Mark('=') => mark(all.get(at + 1), '>'),
        Token::Mark('&') => mark(all.get(at + 1), '&'),
        _ => false,
    }
}

/// The name that a `let` at this place gives to words of a failure.
fn named_words(all: &[Token], at: usize) -> Option<&str> {
    (word(all.get(at)) == Some("let")).then_some(())?;
    let name = at + 1 + usize::from(word(all.get(at + 1)) == Some("mut"));
    let end = (name..all.len()).find(|at| matches!(all[*at], Token::Mark(';' | '{')))?;
    (mark(all.get(name + 1), '=') && (name..end).any(|at| takes_words(all, at))).then_some(())?;
    word(all.get(name))
}

/// Places that compare the words of a failure, as far as tokens tell: in one expression, or by a name that they
/// have in the same block.
fn compared(all: &[Token]) -> Vec<String> {
    let mut found = Vec::new();
    let mut depth = 0;
    let mut names: Vec<(usize, &str)> = Vec::new();
    let mut piece = (false, false);
    let mut tests = None;
    for at in 0..all.len() {
        if word(all.get(at)) == Some("mod") && word(all.get(at + 1)) == Some("tests") {
            tests.get_or_insert(depth);
        }
        if separates(all, at) {
            piece = (false, false);
        }
        match all[at] {
            Token::Mark('{') => depth += 1,
            Token::Mark('}') => {
                depth -= 1;
                names.retain(|(of, _)| *of <= depth);
                tests = tests.filter(|of| *of < depth);
            }
            _ => {}
        }
        if tests.is_some() {
            continue;
        }
        let own = at == 0 || !mark(all.get(at - 1), '.');
        let known = own && word(all.get(at)).is_some_and(|name| names.iter().any(|(_, n)| *n == name));
        let (words, comparing) = (known || takes_words(all, at), compares(all, at));
        if words || comparing {
            let complete = piece.0 && piece.1;
            piece = (piece.0 || words, piece.1 || comparing);
            if piece.0 && piece.1 && !complete {
                let around =
                    all[at.saturating_sub(6)..(at + 6).min(all.len())].iter().map(|token| match token {
                        Token::Word(text) => text.clone(),
                        Token::Text(text) => format!("{text:?}"),
                        Token::Mark(c) => c.to_string(),
                    });
                found.push(around.collect::<Vec<_>>().join(" "));
            }
        }
        if let Some(name) = named_words(all, at) {
            names.push((depth, name));
        }
    }
    found
}

#[test]
fn nobody_decides_by_the_words_of_a_failure() {
    let mut wrong = Vec::new();
    for file in program().iter().filter(|f| !f.test) {
        wrong.extend(compared(&file.tokens).into_iter().map(|place| format!("{}: {place}", file.path)));
    }
    crate::none("decide by `Step`, errno or `Kind` instead (src/fork/step.rs)", &wrong);
}

#[test]
fn the_reader_of_comparisons_finds_them() {
    for planted in [
        "if failure.doing == \"execute\" { x() }",
        "if failure.doing != MOUNT { x() }",
        "let x = a && failure.doing.starts_with(MOUNT);",
        "match (failure.doing.as_str(), failure.errno()) { (\"execute\", _) => 126, _ => 125 }",
        "_ if [\"find user\", \"find group\"].contains(&failure.doing.as_str()) => 1,",
        "matches!(failure.detail.as_str(), \"a\" | \"b\")",
        "if let \"execute\" = self.doing.as_str() {}",
        "if error.in_one_line().contains(\"no space\") {}",
        "Err(e) if e.to_string().ends_with(\"x\") => {}",
        "{ let text = failure.describe(); if text.contains(\"/dev/net/tun\") { return; } }",
        "{ let mut all = e.message().to_owned(); { match all.as_str() { _ => 1 } } }",
    ] {
        assert_eq!(compared(&tokens(planted)).len(), 1, "{planted}");
    }
    for plain in [
        "fs::write(&path, text).doing(\"write\", &path)?; if a == b {}",
        "if failure.step() == Step::Execute { say(failure.describe()); }",
        "{ let text = failure.describe(); say(text); } if text == \"a\" {}",
        "match e.kind() { Kind::Image => e.message().to_owned(), _ => String::new() }",
        "mod tests { fn a() { assert!(e.message().contains(\"x\")); } }",
    ] {
        assert_eq!(compared(&tokens(plain)), [""; 0], "{plain}");
    }
}
