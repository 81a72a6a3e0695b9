//! Finds the commands that a command line names, before it is parsed.

use super::commands::verb;
use super::words::{self, Token};
use crate::cmd::verbs::bare;
use clap::Command;
use std::ffi::OsString;

/// The words that may name commands, `container` and `ls` say: two at most, up to the first word that is an
/// option of anything but the program itself. `help` is passed over: it is asked about them.
pub(super) fn of<'a>(words: &'a [OsString], root: &Command) -> Vec<&'a str> {
    let mut path = Vec::new();
    let mut rest = words.get(1..).unwrap_or_default();
    while let Some((token, count)) = words::token(rest, &[root]) {
        match token {
            Token::Flags | Token::Valued { .. } => {}
            Token::Unknown | Token::End => break,
            Token::Word(_) => match rest[0].to_str() {
                Some("help") if path.is_empty() => {}
                Some(word) => path.push(word),
                None => break,
            },
        }
        if path.len() == 2 {
            break;
        }
        rest = &rest[count..];
    }
    path
}

/// The tree in which the commands beside the path have a name and a line of help, but nothing below them.
pub(super) fn only(tree: Command, path: &[&str]) -> Command {
    tree.mut_subcommands(|command| match path.first().filter(|name| is(&command, name)) {
        None => bare(command),
        Some(name) => match verb(name) {
            None => command,
            Some(verb) => (verb.arguments)(bare(command)).mut_subcommands(|below| {
                let wanted = path.get(1).is_some_and(|name| is(&below, name));
                if wanted { below } else { bare(below) }
            }),
        },
    })
}

fn is(command: &Command, name: &str) -> bool {
    command.get_name() == name || command.get_all_aliases().any(|alias| alias == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_from_options_and_values() {
        for (line, wanted) in [
            ("coracle", &[][..]),
            ("coracle --help", &[]),
            ("coracle ps -a", &["ps"]),
            ("coracle --root ps --log-level=info run --rm alpine", &["run"]),
            ("coracle container --root x ls -a", &["container", "ls"]),
            ("coracle help volume rm", &["volume", "rm"]),
            ("coracle run alpine sh", &["run", "alpine"]),
            ("coracle -x ps", &[]),
            ("coracle --root -x --log-level debug ps", &["ps"]),
        ] {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            assert_eq!(of(&words, &super::super::root()), wanted, "{line}");
        }
    }
}
