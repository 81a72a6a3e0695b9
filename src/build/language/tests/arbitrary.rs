//! Whatever is in a file, reading it ends without a panic.

use super::*;
use crate::image::broken::edits;
use proptest::prelude::*;

/// Parts that mean something to the parser.
const PARTS: [&str; 56] = [
    "FROM ",
    "scratch",
    " AS ",
    "RUN ",
    "COPY ",
    "ADD ",
    "ENV ",
    "ARG ",
    "LABEL ",
    "CMD ",
    "ENTRYPOINT ",
    "SHELL ",
    "HEALTHCHECK ",
    "ONBUILD ",
    "EXPOSE ",
    "VOLUME ",
    "USER ",
    "WORKDIR ",
    "STOPSIGNAL ",
    "MAINTAINER ",
    "\n",
    "\n",
    "\n",
    "\r\n",
    "\\\n",
    "\\",
    "`",
    "\\ \n",
    "#",
    "# escape=`\n",
    "# check=skip=all\n",
    " ",
    "\t",
    "'",
    "\"",
    "$",
    "${",
    "}",
    ":-",
    ":?",
    "#*",
    "%%",
    "//",
    "/",
    "=",
    "[\"a\", ",
    "\"]",
    "[",
    "<<EOF",
    "<<-'E O'",
    "EOF\n",
    "--mount=",
    "--from",
    "\u{e9}\u{a0}",
    "\0",
    "x",
];

/// Options of mounts, right and wrong.
const OPTIONS: [&str; 20] = [
    "type=bind",
    "type=cache",
    "type=tmpfs",
    "type=secret",
    "type=ssh",
    "target=/a",
    "dst=..",
    "source=x",
    "from=b",
    "ro",
    "rw=false",
    "id=",
    "id=a/",
    "env",
    "env=",
    "required",
    "size=1g",
    "mode=777",
    "uid=1",
    "sharing=locked",
];

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(&PARTS[..]), 0..60).prop_map(|parts| parts.concat())
}

/// What holds of every result.
fn read(bytes: &[u8]) {
    if let Err(error) = fuzzing::containerfile(bytes) {
        assert!(error.message().starts_with("C:"), "{error}");
    }
}

/// The files of tests/corpus, which are right.
fn corpus() -> Vec<Vec<u8>> {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let cases = std::fs::read_dir(dir).unwrap().flatten();
    let names = ["Containerfile", "Dockerfile"];
    let mut files: Vec<_> = cases.flat_map(|case| names.map(|name| case.path().join(name))).collect();
    files.sort();
    let files: Vec<Vec<u8>> = files.iter().filter_map(|file| std::fs::read(file).ok()).collect();
    assert!(files.len() > 60, "{}", files.len());
    files
}

proptest! {
    /// `make fuzz` does this for long.
    #[test]
    fn files_of_the_corpus_with_changes(which in any::<prop::sample::Index>(), edits in edits(&PARTS)) {
        let files = corpus();
        let mut file = which.get(&files).clone();
        edits.iter().for_each(|edit| edit.apply(&mut file));
        read(&file);
    }

    #[test]
    fn bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        read(&bytes);
        read(&[b"FROM a\nRUN ", &bytes[..]].concat());
    }

    #[test]
    fn fragments(text in text()) {
        read(text.as_bytes());
        read(format!("FROM a\n{text}").as_bytes());
    }

    #[test]
    fn words(text in text(), value in text(), any in ".{0,40}") {
        for text in [&text, &any] {
            let variable = |name: &str| (name.len() < 3).then(|| value.clone());
            let whole = word(text).expand('\\', &variable);
            let list = word(text).expand_list('\\', &variable);
            prop_assert_eq!(whole.is_ok(), list.is_ok());
            let _ = shown(text, '`', &variable);
            let _ = parse_trigger(text, (1, 1));
            let _ = mount::parse(text);
        }
    }

    #[test]
    fn mounts(options in prop::collection::vec(prop::sample::select(&OPTIONS[..]), 0..8)) {
        if let Err(error) = mount::parse(&options.join(",")) {
            prop_assert!(error.message().starts_with("--mount="), "{}", error);
        }
    }

    #[test]
    fn plain_words_are_themselves(text in "[a-zA-Z0-9/:.,_=-]{0,40}") {
        prop_assert_eq!(word(&text).expand('\\', &|_| None), Ok(text));
    }
}
