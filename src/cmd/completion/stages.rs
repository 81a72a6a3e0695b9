//! The names of the stages in the Containerfile that an incomplete `build` is about.

use clap_complete::engine::CompletionCandidate;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Largest Containerfile that is read for it, in bytes.
const FILE_MAX: u64 = 1 << 20;

/// The stages by name.
pub(super) fn stages() -> Vec<CompletionCandidate> {
    let words: Vec<OsString> = std::env::args_os().skip_while(|word| word != "--").skip(1).collect();
    let words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let mut bytes = Vec::new();
    let opened = candidates(&words).iter().find_map(|path| File::open(path).ok());
    if let Some(file) = opened {
        // What cannot be read has no stages.
        let _ = file.take(FILE_MAX).read_to_end(&mut bytes);
    }
    names(&String::from_utf8_lossy(&bytes)).into_iter().map(CompletionCandidate::new).collect()
}

/// The files that may be meant: the one that `-f` names, otherwise the usual ones in what may be the context.
fn candidates(words: &[String]) -> Vec<PathBuf> {
    let mut named = None;
    let mut dirs = vec![PathBuf::from(".")];
    for (at, word) in words.iter().enumerate() {
        let next = || words.get(at + 1).map(String::as_str);
        let value = match word.as_str() {
            "-f" | "--file" => next(),
            other => {
                other.strip_prefix("--file=").or_else(|| other.strip_prefix("-f").filter(|v| !v.is_empty()))
            }
        };
        named = value.map(str::to_owned).or(named);
        if Path::new(word).is_dir() {
            dirs.insert(0, PathBuf::from(word));
        }
    }
    match named {
        Some(file) => vec![PathBuf::from(file)],
        None => {
            dirs.iter().flat_map(|dir| ["Containerfile", "Dockerfile"].map(|name| dir.join(name))).collect()
        }
    }
}

/// `NAME` of each `FROM image AS NAME`.
fn names(text: &str) -> Vec<String> {
    let of_line = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let from = words.first()?.eq_ignore_ascii_case("from");
        let at = words.iter().position(|word| word.eq_ignore_ascii_case("as"))?;
        words.get(at + 1).filter(|_| from).map(|name| (*name).to_owned())
    };
    text.lines().filter_map(of_line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_those_with_names() {
        let text = "ARG A\nFROM --platform=$BUILDPLATFORM golang:1 AS build\nRUN x as y\nfrom scratch as final\nFROM a\n";
        assert_eq!(names(text), ["build", "final"]);
        assert!(names("").is_empty());
    }

    #[test]
    fn the_file_is_the_one_that_is_named() {
        let of = |line: &str| candidates(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(of("coracle build -f x/y --target"), [PathBuf::from("x/y")]);
        assert_eq!(of("coracle build --file=x --target"), [PathBuf::from("x")]);
        assert_eq!(of("coracle build --target")[0], Path::new("./Containerfile"));
        assert_eq!(
            of("coracle build / --target")[..2],
            [PathBuf::from("/Containerfile"), PathBuf::from("/Dockerfile")]
        );
    }
}
