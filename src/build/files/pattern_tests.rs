//! Patterns, compared with regular expressions and with a matcher that tries everything.

use super::*;
use proptest::prelude::*;
use regex::bytes::Regex;

fn many(text: &str) -> Pattern {
    Pattern::parse(text.as_bytes(), Stars::Many).unwrap()
}

fn one(text: &str) -> Pattern {
    Pattern::parse(text.as_bytes(), Stars::One).unwrap()
}

#[test]
fn go_matches_these() {
    // The cases of Go's own documentation and tests that do not depend on a class matching a slash.
    let cases = [
        ("abc", "abc", true),
        ("*", "abc", true),
        ("*c", "abc", true),
        ("a*", "a", true),
        ("a*", "abc", true),
        ("a*", "ab/c", false),
        ("a*/b", "abc/b", true),
        ("a*/b", "a/c/b", false),
        ("a*b*c*d*e*/f", "axbxcxdxe/f", true),
        ("a*b*c*d*e*/f", "axbxcxdxexxx/fff", false),
        ("ab[c]", "abc", true),
        ("ab[b-d]", "abc", true),
        ("ab[e-g]", "abc", false),
        ("ab[^c]", "abc", false),
        ("ab[^b-d]", "abc", false),
        ("ab[^e-g]", "abc", true),
        ("a\\*b", "a*b", true),
        ("a\\*b", "ab", false),
        ("a?b", "a☺b", true),
        ("a[^a]b", "a☺b", true),
        ("a???b", "a☺b", false),
        ("[a-ζ]*", "α", true),
        ("*[a-ζ]", "A", false),
        ("a?b", "a/b", false),
        ("a*b", "a/b", false),
        ("[\\]a]", "]", true),
        ("[\\-]", "-", true),
        ("[x\\-]", "x", true),
        ("[x\\-]", "z", false),
        ("[\\-x]", "a", false),
        ("*x", "xxx", true),
        ("[!a]", "!", true),
        ("[!a]", "b", false),
        ("arr[[]0].txt", "arr[0].txt", true),
        ("a]", "a]", true),
    ];
    for (pattern, text, expected) in cases {
        assert_eq!(one(pattern).matches(text.as_bytes()), expected, "{pattern} {text}");
        assert_eq!(many(pattern).matches(text.as_bytes()), expected, "{pattern} {text}");
    }
    for bad in ["[]a]", "[-]", "[x-]", "[-x]", "[\\", "[a-b-c]", "[", "[^", "[^bc", "a[", "a\\", "[b-a]"] {
        assert_eq!(Pattern::parse(bad.as_bytes(), Stars::One), Err(Malformed::Syntax), "{bad}");
    }
    assert_eq!(Pattern::parse(&[b'*'; 9000], Stars::Many), Err(Malformed::Long));
}

#[test]
fn two_stars_are_any_number_of_directories() {
    let cases = [
        ("**", "a/b", true),
        ("**/file", "file", true),
        ("**/file", "a/b/file", true),
        ("**/file", "afile", false),
        ("**file", "afile", true),
        ("**file", "a/bfile", true),
        ("**/*.go", "x.go", true),
        ("**/*.go", "a/b/x.go", true),
        ("a/**", "a", false),
        ("a/**", "a/b/c", true),
        ("a**", "abc/d", true),
        ("a/**/b", "a/b", true),
        ("a/**/b", "a/x/y/b", true),
        ("a/**/b", "a/xb", false),
        ("a**/b", "a/b", true),
        ("a**/b", "ab", true),
        ("**/**/b", "b", true),
        ("****", "x/y", true),
        ("**/a?/*", "x/ab/c", true),
    ];
    for (pattern, text, expected) in cases {
        assert_eq!(many(pattern).matches(text.as_bytes()), expected, "{pattern} {text}");
        let written = expression(pattern).unwrap();
        assert_eq!(written.is_match(text.as_bytes()), expected, "{pattern} {text} by {written}");
    }
}

#[test]
fn bytes_that_are_no_characters_match_themselves() {
    let odd = Pattern::parse(b"a\xff?", Stars::One).unwrap();
    assert!(odd.matches(b"a\xff\xfe") && !odd.matches(b"a\xfe\xfe") && !odd.matches("a\u{ff}x".as_bytes()));
    assert!(one("[\u{fffd}]").matches(b"\xff"));
}

#[test]
fn long_patterns_take_their_time_in_proportion() {
    assert!(!many(&"*a".repeat(1000)).matches(&b"a".repeat(999)));
    assert!(!many(&("**/a/".repeat(300) + "b")).matches(&b"a/".repeat(600)));
}

#[test]
fn directories_that_cannot_hold_a_match_are_known() {
    let below = |pattern: &str, dir: &str| many(pattern).may_match_below(dir.as_bytes());
    assert!(below("a/b/c", "a") && below("a/b/c", "a/b") && !below("a/b/c", "a/b/c") && !below("a/b", "b"));
    assert!(!below("src", "sr") && !below("src*", "srcs") && below("src*/x", "srcs") && !below("*/x", "a/b"));
    assert!(below("**/x", "a/b") && below("a/**", "a/b") && !below("a/**/x", "b") && below("a**", "ab"));
}

/// As BuildKit writes a pattern, but with classes that have no slash.
fn expression(pattern: &str) -> Option<Regex> {
    let literal = |text: &str| !text.contains(['*', '?', '[', ']', '\\']);
    let mut written = String::from(r"(?s)\A");
    let mut chars = pattern.chars().peekable();
    if let Some(rest) = pattern.strip_prefix("**")
        && literal(rest)
        && !rest.starts_with('/')
        && !rest.is_empty()
    {
        return Regex::new(&format!(r"(?s)\A.*{}\z", regex::escape(rest))).ok();
    }
    while let Some(c) = chars.next() {
        match c {
            '*' if chars.next_if_eq(&'*').is_some() => {
                chars.next_if_eq(&'/');
                written += if chars.peek().is_none() { ".*" } else { "(.*/)?" };
            }
            '*' => written += "[^/]*",
            '?' => written += "[^/]",
            '\\' => written += &regex::escape(&chars.next()?.to_string()),
            '[' => {
                written += "[";
                if chars.next_if_eq(&'^').is_some() {
                    written += "^/";
                }
                let mut empty = true;
                loop {
                    match chars.next()? {
                        ']' if !empty => break,
                        ']' => return None,
                        c => written += &regex::escape(&c.to_string()),
                    }
                    empty = false;
                }
                written += "]";
            }
            c => written += &regex::escape(&c.to_string()),
        }
    }
    Regex::new(&(written + r"\z")).ok()
}

/// `filepath.Match` by trying everything.
fn tries(pattern: &[char], text: &[char]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        (['*', rest @ ..], _) => {
            tries(rest, text) || matches!(text, [c, more @ ..] if *c != '/' && tries(pattern, more))
        }
        (['?', rest @ ..], [c, more @ ..]) => *c != '/' && tries(rest, more),
        (['\\', own, rest @ ..], [c, more @ ..]) => own == c && tries(rest, more),
        ([own, rest @ ..], [c, more @ ..]) => own == c && tries(rest, more),
        _ => false,
    }
}

proptest! {
    #[test]
    fn patterns_mean_what_buildkits_expressions_mean(
        pattern in r"(\*|\*\*|\*\*/|/|a|b|é|\?|\[ab\]|\[\^a\]|\\\*){0,7}", text in "[abé/*]{0,8}",
    ) {
        if let (Ok(own), Some(theirs)) = (Pattern::parse(pattern.as_bytes(), Stars::Many), expression(&pattern)) {
            prop_assert_eq!(own.matches(text.as_bytes()), theirs.is_match(text.as_bytes()), "{}", theirs);
        }
    }

    #[test]
    fn patterns_mean_what_go_says(pattern in r"(\*|/|a|b|\?|\\\*){0,8}", text in "[ab/*]{0,8}") {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        let own = Pattern::parse(pattern.as_bytes(), Stars::One).unwrap();
        prop_assert_eq!(own.matches(text.as_bytes()), tries(&chars(&pattern), &chars(&text)));
    }

    #[test]
    fn no_match_is_missed_below_a_directory(
        pattern in r"(\*|\*\*/|/|a|b|\?|\[ab\]){1,7}", dir in "[ab]{1,2}(/[ab]{1,2}){0,1}", name in "[ab]{1,2}(/[ab]){0,1}",
    ) {
        let pattern = Pattern::parse(pattern.as_bytes(), Stars::Many).unwrap();
        if pattern.matches(format!("{dir}/{name}").as_bytes()) {
            prop_assert!(pattern.may_match_below(dir.as_bytes()));
        }
    }

    #[test]
    fn any_bytes_are_a_pattern_or_refused(
        pattern in prop::collection::vec(any::<u8>(), 0..30), text in prop::collection::vec(any::<u8>(), 0..30),
    ) {
        for stars in [Stars::Many, Stars::One] {
            if let Ok(pattern) = Pattern::parse(&pattern, stars) {
                pattern.matches(&text);
                pattern.may_match_below(&text);
            }
        }
    }
}
