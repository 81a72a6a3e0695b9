//! Ignore files, by the examples of the reference, and compared with the plainest reading of its rules.

use super::*;
use proptest::prelude::*;

fn ignore(text: &str) -> Ignore {
    Ignore::parse(".dockerignore", text.as_bytes()).unwrap()
}

#[test]
fn examples_of_the_reference_hold() {
    // Lines of the file, what is left out, what is not.
    let cases: [(&str, &[&str], &[&str]); 19] = [
        (
            "# comment\n*/temp*\n*/*/temp*\ntemp?\n",
            &["somedir/temporary.txt", "somedir/temp", "somedir/subdir/temporary.txt", "tempa", "tempb"],
            &["temp", "temporary.txt", "somedir/x/y/temp", "# comment", "somedir/atemp"],
        ),
        ("/foo/bar", &["foo/bar", "foo/bar/x"], &["x/foo/bar", "foo/barx", "foo"]),
        ("foo/bar/", &["foo/bar", "foo/bar/x"], &["bar"]),
        ("**/*.go", &["a.go", "x/a.go", "x/y/z/a.go", "x.go/y"], &["a.goo", "x/go"]),
        ("*.md\n!README.md", &["a.md", "READMES.md"], &["README.md", "docs/a.md"]),
        (
            "*.md\n!README*.md\nREADME-secret.md",
            &["a.md", "README-secret.md"],
            &["README.md", "README-public.md"],
        ),
        ("*.md\nREADME-secret.md\n!README*.md", &["a.md"], &["README-secret.md", "README.md"]),
        ("*\n!src\n", &["Dockerfile", "data/big"], &["src", "src/a", "src/b/c"]),
        ("**\n!**/keep", &["a", "a/b"], &["keep", "a/keep", "a/keep/x"]),
        ("subdir\n!*/sub1*", &["subdir", "subdir/sub2"], &["subdir/sub1", "subdir/sub1.txt", "other"]),
        ("volume/\n!**/oneline.txt", &["volume/data"], &["volume/data/oneline.txt"]),
        (
            "stuff/huge/*\n!stuff/huge/usr/bin/*",
            &["stuff/huge/usr/lib/x"],
            &["stuff/huge/usr/bin/f", "stuff"],
        ),
        ("  spaced  \n\ttabbed\t\r\n", &["spaced", "tabbed"], &["  spaced  "]),
        ("\u{feff}first\nsecond", &["first", "second"], &[]),
        ("./a/../b/./c\n../up", &["b/c"], &["a", "up", "a/b/c"]),
        ("\\#hash\n\\!bang\nstar\\*", &["#hash", "!bang", "star*"], &["hash", "bang", "start"]),
        (" #no-comment", &["#no-comment"], &[]),
        ("Case", &["Case"], &["case", "CASE"]),
        (".\n/\n\n#", &[], &["a"]),
    ];
    for (text, out, stays) in cases {
        let ignore = ignore(text);
        for path in out {
            assert!(ignore.is_out(path.as_bytes()), "{text:?} leaves {path} in");
        }
        for path in stays {
            assert!(!ignore.is_out(path.as_bytes()), "{text:?} leaves {path} out");
        }
        assert!(!ignore.is_out(b"") && ignore.may_contain(b""));
    }
}

#[test]
fn trees_that_are_left_out_are_not_read() {
    let all_but_src = ignore("*\n!src");
    assert!(all_but_src.may_contain(b"src") && all_but_src.may_contain(b"src/a"));
    assert!(!all_but_src.may_contain(b"data") && !all_but_src.may_contain(b"data/src"));
    let deep = ignore("node_modules\n!node_modules/a/keep");
    assert!(deep.may_contain(b"node_modules") && deep.may_contain(b"node_modules/a"));
    assert!(!deep.may_contain(b"node_modules/b") && deep.may_contain(b"node_modules/a/keep"));
    // What comes later undoes the exception.
    assert!(!ignore("*\n!a/b\na").may_contain(b"a"));
    // An exception that may be anywhere.
    assert!(ignore("data\n!**/keep").may_contain(b"data/x/y"));
    assert!(ignore("x").may_contain(b"y"));
}

#[test]
fn bad_patterns_are_refused_with_their_line() {
    let refused = |text: &str| Ignore::parse("ctx/.dockerignore", text.as_bytes()).unwrap_err().to_string();
    assert_eq!(refused("a\n[\n"), "ctx/.dockerignore:2: \"[\": syntax error in pattern");
    assert_eq!(refused("!"), "ctx/.dockerignore:1: \"!\": illegal exclusion pattern");
    assert_eq!(refused("# x\n\n a\\"), "ctx/.dockerignore:3: \"a\\\\\": syntax error in pattern");
    refused("! ");
    refused("[b-a]");
    assert_eq!(
        Ignore::of_patterns("--exclude", &["[".into()]).unwrap_err().to_string(),
        "--exclude \"[\": syntax error in pattern"
    );
}

/// The rules as the reference puts them: of all lines, the last that matches the path or a directory above.
fn plainly(ignore: &Ignore, path: &str) -> bool {
    let mut out = false;
    for rule in &ignore.rules.0 {
        let parents = path.match_indices('/').map(|(slash, _)| &path[..slash]);
        if parents.chain([path]).any(|path| rule.pattern.matches(path.as_bytes())) {
            out = !rule.except;
        }
    }
    out
}

proptest! {
    #[test]
    fn the_last_line_that_matches_decides(
        lines in prop::collection::vec(r"!?(\*|\*\*/|/|a|b|\?|ab){1,5}", 0..6),
        path in "[ab]{1,2}(/[ab]{1,2}){0,3}",
    ) {
        let Ok(ignore) = Ignore::parse("x", lines.join("\n").as_bytes()) else { return Ok(()) };
        prop_assert_eq!(ignore.is_out(path.as_bytes()), plainly(&ignore, &path));
        if !plainly(&ignore, &path) {
            for (slash, _) in path.match_indices('/') {
                prop_assert!(ignore.may_contain(&path.as_bytes()[..slash]), "{}", &path[..slash]);
            }
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        text in prop::collection::vec(any::<u8>(), 0..80), path in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        if let Ok(ignore) = Ignore::parse("x", &text) {
            ignore.is_out(&path);
            ignore.may_contain(&path);
        }
    }
}
