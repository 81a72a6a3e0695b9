//! Options as they were typed: clap's errors name them as they are declared.

use std::ffi::OsString;

/// `'Q' in -dQ`: a short option and the word it was found in.
pub(super) fn short_flag(flag: &str, words: &[OsString]) -> String {
    let within = |word: &&str| word.starts_with('-') && !word.starts_with("--") && word.contains(flag);
    let word = words.iter().filter_map(|word| word.to_str()).find(within);
    format!("'{flag}' in {}", word.map_or_else(|| format!("-{flag}"), str::to_owned))
}

/// An option as it was typed last, where its value was to follow: `--volume`, or `'v' in -v`.
pub(super) fn flag_without_value(declared: &str, words: &[OsString]) -> String {
    match words.last().and_then(|word| word.to_str()) {
        Some(word) if word.starts_with('-') && !word.starts_with("--") => {
            format!("{:?} in {word}", word.chars().last().unwrap_or_default())
        }
        _ => declared.to_owned(),
    }
}
