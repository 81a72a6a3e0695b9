//! The examples of the manual pages: each is run, or at least parsed, as the page has it.

use crate::common::{TestEnv, busybox, coracle_binary, shared_registry};
use coracle::cli::{self, pages};
use std::ffi::OsString;
use std::os::unix::fs::symlink;

/// A store in which `alpine` and `busybox` can be pulled, and a directory for the examples to work in.
fn place() -> TestEnv {
    let env = TestEnv::new();
    for name in ["alpine", "busybox"] {
        busybox().push(shared_registry(), &format!("library/{name}"), "latest");
    }
    env.use_registry(shared_registry().address());
    std::fs::create_dir(env.path().join("bin")).unwrap();
    symlink(coracle_binary(), env.path().join("bin/coracle")).unwrap();
    std::fs::create_dir(env.path().join("work")).unwrap();
    env
}

/// Runs a line of a page as a user would type it.
fn typed(env: &TestEnv, line: &str, page: &str) {
    let path = format!("{}:{}", env.path().join("bin").display(), std::env::var("PATH").unwrap());
    let work = env.path().join("work");
    let call = env.program("bash").args(["-e", "-o", "pipefail", "-c"]);
    let output = call
        .arg(format!("cd {}; {line}", work.display()))
        .env("PATH", path)
        .env("CORACLE_ROOT", env.root())
        .env("CORACLE_RUNROOT", env.runroot())
        .run();
    assert_eq!(output.code, 0, "{page}: {line}\n{output}");
}

/// The calls of `coracle` in a command line for a shell, as words; those in `$(...)` too, which is a word itself.
fn calls(line: &str) -> Vec<Vec<String>> {
    if let Some((before, rest)) = line.split_once("$(") {
        let (inside, behind) = rest.split_once(')').expect("the end of $(");
        return [calls(inside), calls(&format!("{before}X{behind}"))].concat();
    }
    let (mut calls, mut words, mut word, mut quote) = (Vec::new(), Vec::new(), String::new(), None);
    let mut end = |words: &mut Vec<String>, word: &mut String| {
        if !word.is_empty() {
            words.push(std::mem::take(word));
        }
        let words = std::mem::take(words);
        if let Some(at) = words.iter().position(|word| word == "coracle") {
            calls.push(words[at..].to_vec());
        }
    };
    for c in line.chars() {
        match (c, quote) {
            ('\'' | '"', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            ('|' | ';' | '&' | '>' | '<' | '(' | ')', None) => end(&mut words, &mut word),
            (' ', None) if !word.is_empty() => words.push(std::mem::take(&mut word)),
            (' ', None) => {}
            (c, _) => word.push(c),
        }
    }
    end(&mut words, &mut word);
    calls
}

/// The examples of every page that begins with one of these letters.
fn run_examples(letters: std::ops::RangeInclusive<char>) {
    let mut names: Vec<&str> = pages::names().collect();
    names.retain(|name| name.starts_with(|c| letters.contains(&c)));
    for name in names {
        let words: Vec<&str> = match name.split_once('-') {
            Some((noun, verb)) => vec![noun, verb],
            None if name == "coracle" => Vec::new(),
            None => vec![name],
        };
        let examples = pages::of(&words).examples();
        assert!(examples.len() >= 2, "{name}: at least two examples");
        let env = place();
        for example in &examples {
            example.before.iter().for_each(|line| typed(&env, line, name));
            if example.runs {
                typed(&env, example.command, name);
                continue;
            }
            let calls = calls(example.command);
            assert!(!calls.is_empty(), "{name}: no call in {}", example.command);
            for call in calls {
                let words: Vec<OsString> = call.iter().map(OsString::from).collect();
                if let Err(refused) = cli::read(&words) {
                    panic!("{name}: {}: {}", example.command, refused.error);
                }
            }
        }
    }
}

#[test]
fn examples_from_a_to_c_are_true() {
    run_examples('a'..='c');
}

#[test]
fn examples_from_d_to_i_are_true() {
    run_examples('d'..='i');
}

#[test]
fn examples_from_j_to_r_are_true() {
    run_examples('j'..='r');
}

#[test]
fn examples_of_s_are_true() {
    run_examples('s'..='s');
}

#[test]
fn examples_from_t_to_z_are_true() {
    run_examples('t'..='z');
}
