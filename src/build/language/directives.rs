//! Parser directives: `# escape=`, `# syntax=`, `# check=` (Dockerfile reference, Parser directives).
//!
//! They are comments at the very top, before any other comment, empty line or instruction. A first line `#!` is left
//! out. They may also begin with `//`, which BuildKit takes for other languages.

use super::fault::Fault;
use super::lines::Reader;
use super::tree::Directives;
use crate::text::boolean;

impl Default for Directives {
    fn default() -> Self {
        Directives {
            syntax: None,
            escape: '\\',
            skip: Vec::new(),
            experimental: Vec::new(),
            error: false,
            lines: 0,
        }
    }
}

impl Directives {
    /// Takes what `check=` says from elsewhere: the build argument `BUILDKIT_DOCKERFILE_CHECK`, which replaces the
    /// file's own.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn set_checks(&mut self, value: &str) -> Result<(), String> {
        let mut found = Directives::default();
        check(value, &mut found).map_err(Fault::into_words)?;
        let Directives { skip, experimental, error, .. } = found;
        *self = Directives { skip, experimental, error, ..self.clone() };
        Ok(())
    }
}

/// Reads the directives, and leaves the rest unread.
pub(super) fn read(reader: &mut Reader<'_>) -> Result<Directives, Fault> {
    let mut found = Directives::default();
    let mut seen: Vec<String> = Vec::new();
    if reader.peek().is_some_and(|line| line.starts_with("#!")) {
        reader.read += 1;
    }
    let sign = if reader.peek().is_some_and(|line| line.starts_with("//")) { "//" } else { "#" };
    while let Some(line) = reader.peek() {
        let Some((key, value)) = line.strip_prefix(sign).and_then(key_and_value) else { break };
        let key = key.to_ascii_lowercase();
        let known = ["syntax", "escape", "check"].contains(&key.as_str());
        if !known {
            break;
        }
        reader.read += 1;
        if seen.contains(&key) {
            return Err(Fault::new(format!("only one {key} parser directive can be used")).at(key));
        }
        match key.as_str() {
            "syntax" => found.syntax = value.split_whitespace().next().map(str::to_owned),
            "escape" => found.escape = escape(value)?,
            _ => check(value, &mut found)?,
        }
        seen.push(key);
    }
    found.lines = reader.read;
    Ok(found)
}

/// `name = value` of a comment.
fn key_and_value(comment: &str) -> Option<(&str, &str)> {
    let (key, value) = comment.split_once('=')?;
    let (key, value) = (key.trim(), value.trim());
    let begins = key.starts_with(|c: char| c.is_ascii_alphabetic());
    let plain = begins && key.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (plain && !value.is_empty()).then_some((key, value))
}

fn escape(value: &str) -> Result<char, Fault> {
    match value {
        "\\" => Ok('\\'),
        "`" => Ok('`'),
        _ => Err(Fault::new(format!("invalid escape token '{value}' does not match ` or \\")).at(value)),
    }
}

/// `skip=A,B;error=true;experimental=all`. What follows a blank is a remark, unless the blank is in a list.
pub(super) fn check(value: &str, into: &mut Directives) -> Result<(), Fault> {
    let value = value.replace(", ", ",");
    for option in value.split(' ').next().unwrap_or_default().split(';') {
        let wrong = || {
            Fault::new(format!("invalid check option {option:?}"))
                .at(option)
                .hint(Some("Write # check=skip=RULE,RULE;error=true".to_owned()))
        };
        let (key, value) = option.split_once('=').ok_or_else(wrong)?;
        let rules = || value.split(',').map(|rule| rule.trim().to_owned()).collect();
        match key.trim() {
            "skip" => into.skip = rules(),
            "experimental" => into.experimental = rules(),
            "error" => into.error = boolean(value.trim()).ok_or_else(wrong)?,
            _ => return Err(wrong()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<(Directives, usize), Fault> {
        let mut reader = Reader::new(text.as_bytes())?;
        let found = read(&mut reader)?;
        Ok((found, reader.read))
    }

    #[test]
    fn directives_stand_at_the_top() {
        let plain = Directives::default();
        let syntax = |name: &str| Directives { syntax: Some(name.into()), ..Directives::default() };
        let backtick = Directives { escape: '`', ..Directives::default() };
        for (text, wanted, lines) in [
            ("FROM a", plain.clone(), 0),
            ("# syntax=docker/dockerfile:1\n# x\n", syntax("docker/dockerfile:1"), 1),
            ("  #SYNTAX = a b\r\n", syntax("a"), 1),
            ("#!/usr/bin/build\n# escape=`\n", backtick.clone(), 2),
            ("\u{feff}#escape=`\n#syntax=a", Directives { escape: '`', ..syntax("a") }, 2),
            ("// syntax=a\nFROM b", syntax("a"), 1),
            // No longer at the top.
            ("# about\n# escape=`\n", plain.clone(), 0),
            ("\n# escape=`\n", plain.clone(), 0),
            ("# unknown=x\n# escape=`\n", plain.clone(), 0),
            ("# escape =\n", plain.clone(), 0),
            ("# es cape=`\n", plain, 0),
        ] {
            assert_eq!(read_text(text), Ok((Directives { lines, ..wanted }, lines)), "{text:?}");
        }
    }

    #[test]
    fn checks_are_chosen() {
        let (found, _) = read_text("# check=skip=A, B;error=true;experimental=all // why").unwrap();
        assert_eq!((found.skip, found.error), (vec!["A".to_owned(), "B".to_owned()], true));
        assert_eq!(found.experimental, ["all"]);
        let mut changed = Directives { escape: '`', ..Directives::default() };
        assert_eq!(changed.set_checks("error=1"), Ok(()));
        assert!(changed.error && changed.escape == '`' && changed.set_checks("x=1").is_err());
        for wrong in
            ["# check=x", "# check=skipp=A", "# check=error=maybe", "# escape=x", "# escape=`\n# escape=\\"]
        {
            assert!(read_text(wrong).is_err(), "{wrong}");
        }
    }
}
