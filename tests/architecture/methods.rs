//! Methods of types: in which file each is declared, and where a type's own code calls one of another file.

use crate::source::{Token, double_colon, word};

/// One `impl` block.
pub(crate) struct Block {
    /// The type, as it is written there.
    pub(crate) of: Vec<String>,
    /// It implements a trait: its methods are the trait's.
    pub(crate) of_trait: bool,
    /// The functions in it.
    pub(crate) declared: Vec<String>,
    /// What it calls of its own type, by `self.` or `Self::`.
    pub(crate) called: Vec<String>,
}

/// The `impl` blocks at the top of a file.
pub(crate) fn blocks(tokens: &[Token]) -> Vec<Block> {
    let mut found = Vec::new();
    let mut depth = 0_usize;
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            Token::Mark('{' | '(' | '[') => depth += 1,
            Token::Mark('}' | ')' | ']') => depth = depth.saturating_sub(1),
            Token::Word(keyword) if keyword == "impl" && depth == 0 => {
                let Some(length) = tokens[at..].iter().position(|t| *t == Token::Mark('{')) else { break };
                let (open, close) = (at + length, closing(tokens, at + length));
                found.push(block(&tokens[at + 1..open], &tokens[open + 1..close]));
                at = close;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// The place of the brace that closes the one at `open`.
fn closing(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token {
            Token::Mark('{') => depth += 1,
            Token::Mark('}') if depth == 1 => return at,
            Token::Mark('}') => depth -= 1,
            _ => {}
        }
    }
    tokens.len() - 1
}

fn block(head: &[Token], body: &[Token]) -> Block {
    // What stands between angle brackets is not the type itself.
    let mut depth = 0_usize;
    let mut outside = Vec::new();
    for token in head {
        match token {
            Token::Mark('<') => depth += 1,
            Token::Mark('>') => depth = depth.saturating_sub(1),
            Token::Word(word) if depth == 0 => outside.push(word.clone()),
            _ => {}
        }
    }
    if let Some(end) = outside.iter().position(|word| word == "where") {
        outside.truncate(end);
    }
    let of_trait = outside.iter().position(|word| word == "for");
    let of = outside.split_off(of_trait.map_or(0, |at| at + 1));
    let mut declared = Vec::new();
    let mut called = Vec::new();
    for at in 0..body.len() {
        let after = |places: usize| word(body.get(at + places)).map(str::to_owned);
        match word(body.get(at)) {
            Some("fn") => declared.extend(after(1)),
            Some("self") if body.get(at + 1) == Some(&Token::Mark('.')) => {
                let calls = body.get(at + 3) == Some(&Token::Mark('(')) || double_colon(body, at + 3);
                called.extend(after(2).filter(|_| calls));
            }
            Some("Self") if double_colon(body, at + 1) => called.extend(after(3)),
            _ => {}
        }
    }
    Block { of, of_trait: of_trait.is_some(), declared, called }
}
