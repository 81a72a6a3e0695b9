//! What `--network pasta` is asked for.

use super::mac::MacAddress;
use serde::{Deserialize, Serialize};

/// `--network pasta:...`, as podman documents it (podman-run(1)).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PastaOptions {
    /// Options of pasta(1), word by word, which it gets besides ours.
    pub words: Vec<String>,
    /// The hardware address of the container's interface; pasta's choice when `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<MacAddress>,
}

impl PastaOptions {
    /// Whether one of these names of an option is among the words.
    pub fn has(&self, names: &[&str]) -> bool {
        self.words.iter().any(|word| names.iter().any(|name| value_in(word, name).is_some()))
    }

    /// The last value of the option with these names.
    pub fn value(&self, names: &[&str]) -> Option<&str> {
        let mut values = self.words.iter().enumerate().filter_map(|(at, word)| {
            let found = names.iter().find_map(|name| value_in(word, name))?;
            if found.is_empty() { self.words.get(at + 1).map(String::as_str) } else { Some(found) }
        });
        values.next_back()
    }
}

/// What follows the name of an option in its word, as getopt_long(3) reads it: `--mtu=1500`, `-m1500`; nothing in
/// `--mtu` and `-m`. `None` when it is another option.
fn value_in<'a>(word: &'a str, name: &str) -> Option<&'a str> {
    let rest = word.strip_prefix(name)?;
    match (name.starts_with("--"), rest.strip_prefix('=')) {
        (true, Some(value)) => Some(value),
        (true, None) => rest.is_empty().then_some(rest),
        (false, _) => Some(rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_in_every_spelling() {
        let of = |words: &[&str]| {
            let words = words.iter().map(|word| (*word).to_owned()).collect();
            let options = PastaOptions { words, mac: None };
            options.value(&["-a", "--address"]).map(str::to_owned)
        };
        for words in
            [&["-a", "10.0.2.9"][..], &["-a10.0.2.9"], &["--address", "10.0.2.9"], &["--address=10.0.2.9"]]
        {
            assert_eq!(of(words).as_deref(), Some("10.0.2.9"), "{words:?}");
        }
        assert_eq!(of(&["-a", "10.0.2.9", "-a", "10.0.2.10"]).as_deref(), Some("10.0.2.10"));
        assert_eq!(of(&["--address-of=x", "-m", "9000"]), None);
        assert_eq!(of(&["-a"]), None);
    }
}
