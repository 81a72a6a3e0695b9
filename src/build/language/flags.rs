//! The flags of instructions: `COPY --from=build --link`.

use super::fault::{Fault, nearest};
use super::tree::Word;
use std::collections::BTreeMap;

/// What a flag takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// A value.
    Value,
    /// A value each time it is given.
    Values,
    /// `true`, `false`, or nothing, which is `true`.
    Truth,
}

/// The flags that an instruction was given.
#[derive(Debug, Default)]
pub(super) struct Flags(BTreeMap<String, Vec<String>>);

impl Flags {
    /// Takes the flags apart, of which there may be the known ones.
    pub(super) fn parse(given: &[String], known: &[(&str, Takes)]) -> Result<Self, Fault> {
        let mut flags = Flags::default();
        for flag in given {
            let (name, value) = match flag.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (flag.as_str(), None),
            };
            let bare = name.strip_prefix("--").unwrap_or(name);
            let Some((_, takes)) = known.iter().find(|(known, _)| *known == bare) else {
                let near = nearest(bare, known.iter().map(|(known, _)| *known));
                return Err(Fault::new(format!("unknown flag: {name}"))
                    .at(name)
                    .hint(near.map(|near| format!("Did you mean --{near}?"))));
            };
            let refused = |why: String| Err(Fault::new(why).at(name));
            let values = flags.0.entry(bare.to_owned()).or_default();
            if *takes != Takes::Values && !values.is_empty() {
                return refused(format!("duplicate flag specified: {name}"));
            }
            let value = match (takes, value) {
                (Takes::Truth, None) => "true".to_owned(),
                (Takes::Value | Takes::Values, None) | (Takes::Truth, Some("")) => {
                    return refused(format!("missing a value on flag: {name}"));
                }
                (Takes::Truth, Some(value)) => match value.to_ascii_lowercase() {
                    truth if ["true", "false"].contains(&truth.as_str()) => truth,
                    _ => return refused(format!("expecting boolean value for flag {name}, not: {value}")),
                },
                (_, Some(value)) => value.to_owned(),
            };
            values.push(value);
        }
        Ok(flags)
    }

    /// The value of a flag. An empty one is none, as BuildKit has it.
    pub(super) fn value(&mut self, name: &str) -> Option<Word> {
        self.values(name).pop().filter(|word| !word.0.is_empty())
    }

    /// The values of a flag.
    pub(super) fn values(&mut self, name: &str) -> Vec<Word> {
        self.0.remove(name).unwrap_or_default().into_iter().map(Word).collect()
    }

    /// What a flag says, if it is there.
    pub(super) fn truth(&mut self, name: &str) -> Option<bool> {
        self.values(name).pop().map(|word| word.0 == "true")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[(&str, Takes)] =
        &[("from", Takes::Value), ("exclude", Takes::Values), ("link", Takes::Truth)];

    fn parse(flags: &[&str]) -> Result<Flags, Fault> {
        Flags::parse(&flags.iter().map(|flag| (*flag).to_owned()).collect::<Vec<_>>(), KNOWN)
    }

    #[test]
    fn flags_have_their_values() {
        let mut flags = parse(&["--from=a=b", "--exclude=x", "--exclude=y", "--link=FALSE"]).unwrap();
        assert_eq!(flags.value("from"), Some(Word("a=b".into())));
        assert_eq!(flags.values("exclude"), [Word("x".into()), Word("y".into())]);
        assert_eq!((flags.truth("link"), flags.truth("parents")), (Some(false), None));
        assert_eq!(parse(&["--link"]).unwrap().truth("link"), Some(true));
        assert_eq!(parse(&["--from="]).unwrap().value("from"), None);
    }

    #[test]
    fn what_is_wrong_is_refused() {
        for (flag, message) in [
            ("--form=a", "unknown flag: --form"),
            ("--from", "missing a value on flag: --from"),
            ("--link=", "missing a value on flag: --link"),
            ("--link=1", "expecting boolean value for flag --link, not: 1"),
        ] {
            let fault = parse(&[flag]).unwrap_err();
            assert!(format!("{fault:?}").contains(message), "{fault:?}");
        }
        assert!(format!("{:?}", parse(&["--form=a"])).contains("Did you mean --from?"));
        assert!(
            format!("{:?}", parse(&["--from=a", "--from=b"])).contains("duplicate flag specified: --from")
        );
    }
}
