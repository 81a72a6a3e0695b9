//! Lines of a Containerfile as they are shown below a message.

use super::tree::{Lines, Source};
use crate::text::printable;
use std::borrow::Cow;

/// Lines shown before and after those that are meant.
const AROUND: usize = 2;
/// Most lines of an instruction that are shown.
const LINES_MAX: usize = 12;
/// Longest line that is shown whole, in characters.
const WIDTH_MAX: usize = 160;

/// What the caret marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Caret {
    /// The line, counted from 1.
    pub(super) line: usize,
    /// The first character, counted from 1.
    pub(super) column: usize,
    /// How many characters.
    pub(super) width: usize,
}

/// The lines `at` with two around them, numbered, as BuildKit draws them. The caret is below the character `caret`,
/// counted from 1, of the first of these lines. The text ends with a line end.
pub fn excerpt(source: &Source, at: Lines, caret: Option<usize>) -> String {
    draw(source, at, caret.map(|column| Caret { line: at.0, column, width: 1 }))
}

/// As [`excerpt`], with carets below a word of the first line.
pub fn excerpt_of_word(source: &Source, at: Lines, word: &str) -> String {
    let line = source.lines.get(at.0.saturating_sub(1)).map(String::as_str).unwrap_or_default();
    let ends = |part: &str, first: bool| {
        let next = if first { part.chars().next() } else { part.chars().next_back() };
        next.is_none_or(char::is_whitespace)
    };
    let stands_alone =
        |at: &usize| ends(&line[..*at], false) && ends(&line[*at + word.len()..], true) && !word.is_empty();
    let place = line.match_indices(word).map(|(at, _)| at).find(stands_alone);
    let caret = place.map(|place| Caret {
        line: at.0,
        column: line[..place].chars().count() + 1,
        width: word.chars().count(),
    });
    draw(source, at, caret)
}

/// The lines `at` with two around them and their numbers, for those that draw them otherwise. Of many lines, the
/// first ones.
pub fn around(source: &Source, at: Lines) -> Vec<(usize, String)> {
    let last = at.1.min(at.0.saturating_add(LINES_MAX)).saturating_add(AROUND);
    numbered(source, at.0.saturating_sub(AROUND), last)
        .map(|(number, line)| (number, cut(line).into_owned()))
        .collect()
}

fn numbered(source: &Source, first: usize, last: usize) -> impl Iterator<Item = (usize, &str)> {
    let first = first.max(1);
    let count = last.saturating_add(1).saturating_sub(first);
    source.lines.iter().enumerate().skip(first - 1).take(count).map(|(at, line)| (at + 1, line.as_str()))
}

/// As [`excerpt`], with a caret anywhere.
pub(super) fn draw(source: &Source, at: Lines, caret: Option<Caret>) -> String {
    const RULE: &str = "--------------------\n";
    // Of a long instruction the part with the caret.
    let first = match caret {
        Some(caret) if caret.line > at.0.saturating_add(LINES_MAX / 2) => caret.line - LINES_MAX / 2,
        _ => at.0,
    };
    let last = at.1.min(first.saturating_add(LINES_MAX - 1));
    let mut text = format!("{}:{}\n{RULE}", printable(&source.name), caret.map_or(at.0, |c| c.line));
    for (number, line) in numbered(source, first.saturating_sub(AROUND), last.saturating_add(AROUND)) {
        let mark = if (at.0..=at.1).contains(&number) { ">>>" } else { "   " };
        text.push_str(format!("{number:4} | {mark} {}", shown(&cut(line))).trim_end());
        text.push('\n');
        if let Some(caret) = caret.filter(|caret| caret.line == number && caret.column <= WIDTH_MAX) {
            let before: String = line.chars().take(caret.column.saturating_sub(1)).collect();
            let blank = shown(&before).chars().count();
            let width = caret.width.min(WIDTH_MAX + 1 - caret.column).max(1);
            text.push_str(&format!("     |     {}{}\n", " ".repeat(blank), "^".repeat(width)));
        }
    }
    text.push_str(RULE);
    text
}

/// The line in which tabs are blanks and nothing else controls a terminal.
fn shown(line: &str) -> String {
    printable(&line.replace('\t', "    ")).into_owned()
}

fn cut(line: &str) -> Cow<'_, str> {
    match line.char_indices().nth(WIDTH_MAX) {
        Some((end, _)) => Cow::Owned(format!("{}...", &line[..end])),
        None => Cow::Borrowed(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(lines: &[&str]) -> Source {
        Source { name: "Containerfile".into(), lines: lines.iter().map(|l| (*l).to_owned()).collect() }
    }

    #[test]
    fn lines_are_drawn_with_their_neighbours() {
        let source = source(&["FROM a", "", "ENV x=1", "\tRNU b", "COPY . .", "CMD c", "USER d"]);
        assert_eq!(
            excerpt(&source, (4, 4), Some(2)),
            "Containerfile:4\n--------------------\n   2 |\n   3 |     ENV x=1\n   4 | >>>     RNU b\n     |         ^\n   \
             5 |     COPY . .\n   6 |     CMD c\n--------------------\n"
        );
        assert_eq!(around(&source, (1, 1)).len(), 3);
        assert!(
            excerpt(&source, (1, 1), None)
                .starts_with("Containerfile:1\n--------------------\n   1 | >>> FROM a\n")
        );
    }

    #[test]
    fn a_word_has_its_caret_where_it_stands_alone() {
        let source = source(&["FROM --platform=a a AS a"]);
        let carets = |word: &str| {
            let drawn = excerpt_of_word(&source, (1, 1), word);
            drawn.lines().find_map(|line| line.find('^').map(|at| (at, line.matches('^').count())))
        };
        assert_eq!(carets("a"), Some((29, 1)));
        assert_eq!(carets("FROM"), Some((11, 4)));
        assert_eq!([carets("x"), carets(""), carets("platform")], [None; 3]);
    }

    #[test]
    fn long_ones_are_cut_and_nothing_moves_the_cursor() {
        let many: Vec<String> = (0..1000).map(|n| format!("{n}{}", "x".repeat(1000))).collect();
        let source = Source { name: "a\x1bb".into(), lines: many };
        let drawn = draw(&source, (1, 1000), Some(Caret { line: 700, column: 2, width: 900 }));
        assert!(drawn.lines().count() < 25 && drawn.lines().all(|line| line.len() < 200), "{drawn}");
        assert!(drawn.contains(" 700 | >>>") && drawn.contains("a\\x1bb:700"), "{drawn}");
        // Places that are not there are no reason to fail.
        for at in [(0, 0), (5000, 6000), (7, 3), (1, usize::MAX)] {
            assert!(!excerpt(&source, at, Some(0)).is_empty());
            around(&source, at);
        }
    }
}
