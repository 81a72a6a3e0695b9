//! The words of an instruction: by blanks, with quotes, as flags or as a JSON list.

/// Splits at blanks, whatever they are between.
pub(super) fn by_blanks(text: &str) -> Vec<&str> {
    text.split(is_blank).filter(|word| !word.is_empty()).collect()
}

/// The first word and the rest without the blanks between them, where there is a second.
pub(super) fn first_and_rest(text: &str) -> (&str, Option<&str>) {
    match text.split_once(is_blank) {
        Some((first, rest)) => (first, Some(rest.trim_start_matches(is_blank))),
        None => (text, None),
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, '\t' | '\x0b' | '\x0c' | '\r' | ' ')
}

/// Splits at blanks that are neither quoted nor escaped. Quotes and escape characters stay in the words; an escape
/// character at the very end does not.
pub(super) fn quoted(text: &str, escape: char) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if quote.is_none() && c.is_whitespace() {
            words.extend(word.take());
            continue;
        }
        if c == escape && quote != Some('\'') {
            if let Some(next) = chars.next() {
                word.get_or_insert_default().extend([c, next]);
            }
            continue;
        }
        match quote {
            None if matches!(c, '\'' | '"') => quote = Some(c),
            Some(open) if c == open => quote = None,
            _ => {}
        }
        word.get_or_insert_default().push(c);
    }
    words.extend(word);
    words
}

/// The flags that an instruction begins with, without their quotes and escape characters, and the rest. `--` alone
/// ends them.
pub(super) fn flags(text: &str, escape: char) -> (Vec<String>, &str) {
    let mut flags = Vec::new();
    let mut rest = text.trim_start();
    while rest.starts_with("--") {
        let (flag, after) = flag(rest, escape);
        rest = after.trim_start();
        if flag == "--" {
            break;
        }
        flags.push(flag);
    }
    (flags, rest.trim_end())
}

fn flag(text: &str, escape: char) -> (String, &str) {
    let mut flag = String::new();
    let mut quote = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match (c, quote) {
            (c, None) if c.is_whitespace() => return (flag, &text[at..]),
            ('\'' | '"', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            (c, _) if c == escape => flag.extend(chars.next().map(|(_, next)| next)),
            (c, _) => flag.push(c),
        }
    }
    (flag, "")
}

/// What a text that may be a JSON list is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum List {
    /// A list of strings.
    Strings(Vec<String>),
    /// A list of something else.
    Others,
    /// No list, so it is text.
    Text,
}

/// Reads a JSON list.
pub(super) fn list(text: &str) -> List {
    if !text.trim_start().starts_with('[') {
        return List::Text;
    }
    let Ok(values) = serde_json::from_str::<Vec<serde_json::Value>>(text) else { return List::Text };
    let string = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => Some(text),
        _ => None,
    };
    values.into_iter().map(string).collect::<Option<_>>().map_or(List::Others, List::Strings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keep_their_quotes() {
        for (text, wanted) in [
            ("a=1  b='x y' c=\"p 'q\"", &["a=1", "b='x y'", "c=\"p 'q\""][..]),
            (r"a=x\ y b\", &[r"a=x\ y", "b"]),
            (r#"a="x\" y" b"#, &[r#"a="x\" y""#, "b"]),
            (r"a='x\' b", &[r"a='x\'", "b"]),
            ("a='' ''", &["a=''", "''"]),
            ("a=\"open b", &["a=\"open b"]),
            ("", &[]),
            (" \\", &[]),
        ] {
            assert_eq!(quoted(text, '\\'), wanted, "{text}");
        }
        assert_eq!(quoted("a=c:\\ b`", '`'), ["a=c:\\", "b"]);
        assert_eq!(by_blanks(" a \t b\u{a0}c "), ["a", "b\u{a0}c"]);
        assert_eq!(first_and_rest("a  b c"), ("a", Some("b c")));
        assert_eq!(first_and_rest("a"), ("a", None));
    }

    #[test]
    fn flags_come_first() {
        for (text, wanted, rest) in [
            ("--from=a --link b --c", &["--from=a", "--link"][..], "b --c"),
            (r#"--x="a b" --y='$c' -- --z"#, &["--x=a b", "--y=$c"], "--z"),
            (r"--x=a\ b c ", &["--x=a b"], "c"),
            ("a --b", &[], "a --b"),
            ("-a", &[], "-a"),
            ("--x", &["--x"], ""),
            ("--x=\"open", &["--x=open"], ""),
            ("", &[], ""),
        ] {
            let (found, left) = flags(text, '\\');
            assert_eq!(
                (found.as_slice(), left),
                (wanted.iter().map(|f| (*f).to_owned()).collect::<Vec<_>>().as_slice(), rest),
                "{text}"
            );
        }
    }

    #[test]
    fn lists_are_of_strings() {
        let strings = |all: &[&str]| List::Strings(all.iter().map(|s| (*s).to_owned()).collect());
        for (text, wanted) in [
            (r#" ["a", "b\n"]"#, strings(&["a", "b\n"])),
            ("[]", strings(&[])),
            (r#"["a", 1]"#, List::Others),
            (r#"["a", ["b"]]"#, List::Others),
            ("['a']", List::Text),
            (r#"["a""#, List::Text),
            (r#"["a"] && b"#, List::Text),
            ("[ -f x ]", List::Text),
            ("x", List::Text),
        ] {
            assert_eq!(list(text), wanted, "{text}");
        }
        assert_eq!(list(&"[".repeat(100_000)), List::Text);
    }
}
