//! Tests of the language as a whole.

use super::*;

mod arbitrary;
mod checks;
mod constructs;
mod errors;
mod expansion;
mod heredocs;
mod mounts;

fn file(text: &str) -> Containerfile {
    match parse(text.as_bytes(), "Containerfile") {
        Ok(file) => file,
        Err(error) => panic!("{text:?}: {error}"),
    }
}

/// What the only instruction of a stage does.
fn does(line: &str) -> Does {
    let mut file = file(&format!("FROM scratch\n{line}\n"));
    assert_eq!((file.stages.len(), file.stages[0].instructions.len()), (1, 1), "{line}");
    file.stages.remove(0).instructions.remove(0).does
}

/// The message of a refusal, and its hints.
fn refusal(text: &str) -> (String, String) {
    match parse(text.as_bytes(), "Containerfile") {
        Ok(file) => panic!("{text:?}: {file:?}"),
        Err(error) => (error.message().to_owned(), error.hints().join("|")),
    }
}

fn word(text: &str) -> Word {
    Word(text.to_owned())
}

fn strings(all: &[&str]) -> Vec<String> {
    all.iter().map(|text| (*text).to_owned()).collect()
}

fn shell(line: &str) -> Command {
    Command::Shell { line: line.to_owned(), heredocs: Vec::new() }
}
