//! Words with quotes and variables.

use super::*;
use std::cell::RefCell;

fn variable(name: &str) -> Option<String> {
    let value = match name {
        "HOME" => "/home",
        "EMPTY" => "",
        "LIST" => " a  b ",
        "PATHS" => "/usr/bin:/bin",
        "STARS" => "a*b*c",
        "DOLLAR" => "$HOME'",
        "ACCENT" => "caf\u{e9}",
        _ => return None,
    };
    Some(value.to_owned())
}

fn expand(text: &str) -> Result<String, String> {
    word(text).expand('\\', &variable)
}

#[test]
fn words_are_expanded() {
    for (text, wanted) in [
        // Quotes and escapes.
        ("a'b c'd", "ab cd"),
        ("\"a'b\"", "a'b"),
        ("'a\"b\\'", "a\"b\\"),
        (r"a\tb", "atb"),
        (r#""a\tb""#, r"a\tb"),
        (r#""a\"b\\c\$HOME""#, r#"a"b\c$HOME"#),
        (r"a\'b", "a'b"),
        (r"a\", "a"),
        (r"a\\", r"a\"),
        ("''", ""),
        ("\u{e9}'\u{e9}'", "\u{e9}\u{e9}"),
        // Variables.
        ("$HOME/x", "/home/x"),
        ("${HOME}x", "/homex"),
        ("$NONE.", "."),
        ("a$", "a$"),
        ("$.", "$."),
        ("$1a", "a"),
        ("${1}", ""),
        ("$@@", "@"),
        ("$?${#}", ""),
        (r"\$HOME", "$HOME"),
        (r"\\$HOME", r"\/home"),
        ("'$HOME'", "$HOME"),
        ("\"$HOME'\"", "/home'"),
        ("$DOLLAR", "$HOME'"),
        ("$ACCENT\u{e9}", ""),
        ("${HOME}}", "/home}"),
        // Defaults and alternatives.
        ("${NONE:-x}${NONE-x}", "xx"),
        ("${EMPTY:-x}${EMPTY-x}", "x"),
        ("${HOME:-x}${HOME-x}", "/home/home"),
        ("${NONE:+x}${NONE+x}", ""),
        ("${EMPTY:+x}${EMPTY+x}", "x"),
        ("${HOME:+x}${HOME+x}", "xx"),
        ("${HOME:?x}${HOME?x}${EMPTY?x}", "/home/home"),
        ("${NONE:-${OTHER:-$HOME}}/x", "/home/x"),
        ("${NONE:-a b 'c}' \"$HOME\" \\}}", "a b c} /home }"),
        ("${HOME:+-${HOME}}", "-/home"),
        // Patterns.
        ("${PATHS#*/}", "usr/bin:/bin"),
        ("${PATHS##*/}", "bin"),
        ("${PATHS%/*}", "/usr/bin:"),
        ("${PATHS%%:*}", "/usr/bin"),
        ("${PATHS%:/???}", "/usr/bin"),
        ("${PATHS#x}", "/usr/bin:/bin"),
        ("${NONE#x}", ""),
        (r"${STARS#a\*}", "b*c"),
        (r"${STARS%\**}", "a*b"),
        (r"${STARS%%\**}", "a"),
        ("${PATHS/bin/lib}", "/usr/lib:/bin"),
        ("${PATHS//bin/lib}", "/usr/lib:/lib"),
        ("${PATHS//bin/}", "/usr/:/"),
        (r"${PATHS//\//-}", "-usr-bin:-bin"),
        ("${PATHS/:*/}", "/usr/bin"),
        ("${PATHS/$HOME/x}", "/usr/bin:/bin"),
        ("${HOME/#/x}", "/home"),
        ("", ""),
    ] {
        assert_eq!(expand(text).as_deref(), Ok(wanted), "{text}");
    }
}

#[test]
fn mistakes_are_refused() {
    for (text, wanted) in [
        ("'a", "unexpected end of statement while looking for matching single-quote"),
        ("\"a", "unexpected end of statement while looking for matching double-quote"),
        ("\"a\\\"", "unexpected end of statement while looking for matching double-quote"),
        ("${}", "syntax error: bad substitution"),
        ("${{a}", "syntax error: bad substitution"),
        ("${:-a}", "syntax error: bad substitution"),
        ("${.}", "syntax error: bad substitution"),
        ("${", "syntax error: missing '}'"),
        ("${a", "syntax error: missing '}'"),
        ("${a:-b", "syntax error: missing '}'"),
        ("${a/b", "syntax error: missing '/'"),
        ("${a/b}", "syntax error: missing '/'"),
        ("${a/b/c", "syntax error: missing '}'"),
        ("${a:b}", "unsupported modifier (:b) in substitution"),
        ("${a:#b}", "unsupported modifier (:#) in substitution"),
        ("${a=b}", "unsupported modifier (=) in substitution"),
        ("${NONE?}", "NONE: is not allowed to be unset"),
        ("${EMPTY:?}", "EMPTY: is not allowed to be empty"),
        ("${NONE:?set it}", "NONE: set it"),
        (r"${HOME#\x}", r"invalid pattern (\x) in substitution: invalid escape '\x'"),
    ] {
        assert_eq!(expand(text), Err(format!("failed to process {text:?}: {wanted}")), "{text}");
    }
    assert!(expand(&"${a:-".repeat(100_000)).is_err());
}

#[test]
fn results_do_not_grow_without_end() {
    let long = |_: &str| Some("x".repeat(100_000));
    let all = |text: &str| word(text).expand('\\', &long);
    assert!(all(&"$a".repeat(10)).is_ok());
    for text in ["$a".repeat(11), format!("\"{}\"", "$a".repeat(11)), "${a//x/$a}".to_owned()] {
        assert!(all(&text).is_err_and(|why| why.contains("longer than 1 MB")), "{text}");
    }
}

#[test]
fn lists_are_split_at_blanks() {
    for (text, wanted) in [
        ("$LIST", &["a", "b"][..]),
        ("x$LIST", &["x", "a", "b"]),
        ("\"$LIST\"", &[" a  b "]),
        ("80 'a b'c\\ d", &["80", "a bc d"]),
        ("$NONE ''", &[]),
        ("a${NONE:-b c}d", &["ab", "cd"]),
    ] {
        assert_eq!(word(text).expand_list('\\', &variable), Ok(strings(wanted)), "{text}");
    }
}

#[test]
fn variables_that_are_used_are_known() {
    let used = RefCell::new(Vec::new());
    let note = |name: &str| {
        used.borrow_mut().push(name.to_owned());
        variable(name)
    };
    word("$HOME '$no' ${A:-$B}${C#$D}${E/$F/$G} \\$no").expand('\\', &note).unwrap();
    used.borrow_mut().sort();
    assert_eq!(*used.borrow(), ["A", "B", "C", "D", "E", "F", "G", "HOME"]);
}

#[test]
fn the_escape_character_counts() {
    assert_eq!(word(r"c:\x`$HOME").expand('`', &variable).as_deref(), Ok(r"c:\x$HOME"));
    assert_eq!(word("\"`\"\"").expand('`', &variable).as_deref(), Ok("\""));
}

#[test]
fn instructions_are_shown_with_what_is_set() {
    for (text, wanted) in [
        ("RUN echo \"$HOME\" '$HOME' $NONE ${NONE:-x} $$", "RUN echo \"/home\" '$HOME' $NONE ${NONE:-x} $$"),
        ("RUN echo ${NONE#a} ${NONE//a/b} ${HOME:+x}", "RUN echo ${NONE#a} ${NONE//a/b} x"),
        ("RUN echo don't $HOME", "RUN echo don't $HOME"),
    ] {
        assert_eq!(shown(text, '\\', &variable), wanted);
    }
}
