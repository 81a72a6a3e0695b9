//! What addresses are.

use super::*;

fn git(text: &str) -> GitSource {
    match of_source(text).unwrap_or_else(|e| panic!("{text}: {e}")) {
        Some(Remote::Git(git)) => git,
        other => panic!("{text}: {other:?}"),
    }
}

fn refused(text: &str) -> String {
    of_source(text).map_or_else(|e| e.to_string(), |other| panic!("{text}: {other:?}"))
}

#[test]
fn repositories_are_told_from_files_and_paths() {
    for (text, url) in [
        ("https://example.com/foo.git", "https://example.com/foo.git"),
        ("HTTPS://example.com/foo.git", "https://example.com/foo.git"),
        ("http://example.com:81/a/foo.git#x", "http://example.com:81/a/foo.git"),
        ("git://example.com/foo", "git://example.com/foo"),
        ("ssh://git@example.com:22/foo", "ssh://git@example.com:22/foo"),
        ("ssh://git:secret@example.com/foo.git", "ssh://git@example.com/foo.git"),
        ("git@github.com:moby/buildkit", "git@github.com:moby/buildkit"),
        ("me@host:~/x.git?tag=a#", "me@host:~/x.git"),
    ] {
        assert_eq!(git(text).url, url, "{text}");
    }
    for text in ["https://example.com/", "https://example.com/foo.git/", "https://example.com/foo.git.bar"] {
        assert!(matches!(of_source(text), Ok(Some(Remote::Http(_)))), "{text}");
    }
    for text in [
        ".",
        "./.git",
        ".git",
        "../a.git",
        "dir/github.com/x",
        "custom.xyz/moby/buildkit.git",
        "a:b",
        "docker-image://busybox",
        "c::d",
        "a b@host:x",
    ] {
        assert_eq!(of_source(text).unwrap(), None, "{text}");
        assert_eq!(of_context(text).unwrap(), None, "{text}");
    }
}

#[test]
fn contexts_know_github() {
    for text in ["github.com/moby/buildkit", "https://github.com/moby/buildkit", "http://github.com/a/b/"] {
        let Some(Remote::Git(found)) = of_context(text).unwrap() else { panic!("{text}") };
        assert!(found.url.contains("://github.com/"), "{text}");
    }
    let Some(Remote::Git(found)) = of_context("github.com/a/b.git#main:dir").unwrap() else { panic!() };
    assert_eq!(found.url, "https://github.com/a/b.git");
    assert_eq!((found.reference.as_deref(), found.subdir.as_deref()), (Some("main"), Some("dir")));
    // ADD downloads a page.
    assert!(matches!(of_source("https://github.com/moby/buildkit"), Ok(Some(Remote::Http(_)))));
    assert_eq!(of_source("github.com/moby/buildkit").unwrap(), None);
    // So do contexts what is no repository's page.
    for text in
        ["https://github.com/a/b/archive/x.tar.gz", "https://github.com/a", "https://github.com.evil.io/a/b"]
    {
        assert!(matches!(of_context(text), Ok(Some(Remote::Http(_)))), "{text}");
    }
    assert_eq!(of_context("github.com.evil.io/a/b").unwrap(), None);
}

#[test]
fn fragments_and_queries_say_what_is_wanted() {
    let all = |text: &str| {
        let found = git(text);
        (found.reference.unwrap_or_default(), found.subdir.unwrap_or_default())
    };
    for (tail, reference, subdir) in [
        ("", "", ""),
        ("#", "", ""),
        ("#v1", "v1", ""),
        ("#release/1.2:a/b", "release/1.2", "a/b"),
        ("#:/a//b/./", "", "a/b"),
        ("#pull/42/head", "pull/42/head", ""),
        ("#a%2Fb", "a/b", ""),
        ("?ref=v1.0.0&subdir=/sub", "v1.0.0", "sub"),
        ("?tag=v1", "refs/tags/v1", ""),
        ("?tag=refs/tags/v1", "refs/tags/v1", ""),
        ("?branch=main", "refs/heads/main", ""),
        ("?subdir=/", "", ""),
        ("?checksum=ABCDEF", "abcdef", ""),
        ("?branch=main&commit=abc", "refs/heads/main", ""),
        ("?ref=x#x", "x", ""),
    ] {
        let expected = (reference.to_owned(), subdir.to_owned());
        assert_eq!(all(&format!("https://h/r.git{tail}")), expected, "{tail}");
        if !tail.contains('%') {
            assert_eq!(all(&format!("git@h:r.git{tail}")), expected, "{tail}");
        }
    }
    let found = git("https://h/r.git?submodules=false&keep-git-dir&checksum=AB");
    assert!(!found.submodules);
    assert_eq!((found.keep_git_dir, found.checksum.as_deref()), (Some(true), Some("ab")));
    let found = git("https://h/r.git");
    assert_eq!((found.submodules, found.keep_git_dir), (true, None));
}

#[test]
fn contradictions_and_unknown_keys_are_refused() {
    for tail in [
        "?ref=a#b",
        "?tag=a&branch=b",
        "?ref=a&tag=a",
        "?subdir=a#:b",
        "?checksum=a&commit=b",
        "?ref=",
        "?ref",
        "?depth=1",
        "?keep-git-dir=maybe",
        "?checksum=xyz",
    ] {
        refused(&format!("https://h/r.git{tail}"));
    }
    let mut found = git("https://h/r.git?checksum=aa");
    assert!(found.expect("AA").is_ok());
    assert!(found.expect("bb").is_err());
    let mut found = git("https://h/r.git");
    found.expect("abc").unwrap();
    assert_eq!(found.reference.as_deref(), Some("abc"));
}

#[test]
fn case_48_nothing_becomes_an_option_or_a_program() {
    for text in [
        "file:///etc",
        "FILE:///srv/x.git",
        "ext::sh -c touch% /tmp/x",
        "fd::17/foo",
        "file::/x",
        "https://-oProxyCommand=x/r.git",
        "ssh://-oProxyCommand=x/r",
        "ssh://-l@h/r",
        "git@-h:r",
        "git@h:-r",
        "-u@h:r",
        "git://h/--upload-pack=x",
        "https://h/r.git#--upload-pack=x",
        "https://h/r.git#-x",
        "https://h/r.git?ref=-x",
        "https://h/r.git#a b",
        "https://h/r.git#a*",
        "https://h/r.git#refs/heads/../x",
        "https://h/r.git#:-x",
        "https://h/r.git#:../x",
        "https://h/r.git#:a/../../x",
        "https://h/r.git%0a#\u{1}",
        "https://h/r\n.git",
        "https:///r.git",
        "git@h:",
    ] {
        refused(text);
    }
}

#[test]
fn passwords_are_in_no_message() {
    let Some(Remote::Http(found)) = of_source("https://me:s3cret@h/a.tgz?token=t0ken#x").unwrap() else {
        panic!()
    };
    assert_eq!(found.url, "https://h/a.tgz?token=t0ken");
    assert_eq!(found.shown(), "https://h/a.tgz");
    assert_eq!(found.file_name.as_deref(), Some("a.tgz"));
    assert_eq!(found.secret.as_ref().map(|s| s.password.as_str()), Some("s3cret"));
    assert!(!format!("{found:?}").contains("s3cret"));
    let found = git("https://me:s3cret@h/a.git");
    assert_eq!(found.url, "https://h/a.git");
    assert!(!format!("{found:?}").contains("s3cret"));
    let said = refused("https://me:s3cret@h/-a.git");
    assert!(!said.contains("s3cret"), "{said}");
}
