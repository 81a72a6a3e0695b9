//! The words of a command line as pflag takes them apart, the library that reads docker's and podman's: before clap
//! reads them, for what clap cannot be told.

use super::commands::verb;
use crate::cmd::verbs::{bare, takes_word};
use clap::{Arg, ArgAction, Command};
use std::any::TypeId;
use std::ffi::{OsStr, OsString};

/// Options to which an empty text says something, namely none at all, and those for which it is a mistake: the signal
/// of `kill`, and numbers that are not read as plain integers.
const EMPTY_IS_A_VALUE: [&str; 6] = ["entrypoint", "detach_keys", "signal", "cpus", "oom_score_adj", "tail"];

/// What stands next on a command line.
pub(super) enum Token<'a> {
    /// Options without a value, one or several: `--rm`, `-it`.
    Flags,
    /// An option with its value, behind letters without one: `-itv /a:/b` has `-it`.
    Valued { flags: String, arg: &'a Arg, value: &'a OsStr },
    /// An option that these commands do not have.
    Unknown,
    /// A name or another argument.
    Word(&'a OsStr),
    /// `--`, behind which there are no options.
    End,
}

/// What these words begin with, and how many of them it is. Options are those of any of the commands.
pub(super) fn token<'a>(words: &'a [OsString], commands: &[&'a Command]) -> Option<(Token<'a>, usize)> {
    let word = words.first()?;
    let find = |named: &dyn Fn(&Arg) -> bool| {
        commands.iter().find_map(|command| command.get_arguments().find(|arg| named(arg)))
    };
    // The value, if it is not in the word itself.
    let next = |flags: String, arg| match words.get(1) {
        Some(value) => (Token::Valued { flags, arg, value }, 2),
        None => (Token::Unknown, 1),
    };
    let Some(text) = word.to_str() else { return Some((Token::Word(word), 1)) };
    if text == "--" {
        return Some((Token::End, 1));
    }
    if let Some(long) = text.strip_prefix("--") {
        let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
        let named = |arg: &Arg| {
            arg.get_long() == Some(name) || arg.get_all_aliases().is_some_and(|all| all.contains(&name))
        };
        return Some(match (find(&named), value) {
            (None, _) => (Token::Unknown, 1),
            (Some(arg), Some(value)) if takes_word(arg) => {
                (Token::Valued { flags: String::new(), arg, value: OsStr::new(value) }, 1)
            }
            (Some(arg), None) if takes_word(arg) => next(String::new(), arg),
            (Some(_), _) => (Token::Flags, 1),
        });
    }
    let Some(letters) = text.strip_prefix('-').filter(|letters| !letters.is_empty()) else {
        return Some((Token::Word(word), 1));
    };
    for (at, letter) in letters.char_indices() {
        let Some(arg) = find(&|arg| arg.get_short() == Some(letter)) else {
            return Some((Token::Unknown, 1));
        };
        let (before, rest) = (&letters[..at], &letters[at + letter.len_utf8()..]);
        if takes_word(arg) {
            let flags = if before.is_empty() { String::new() } else { format!("-{before}") };
            let value = OsStr::new(rest.strip_prefix('=').unwrap_or(rest));
            return Some(if rest.is_empty() {
                next(flags, arg)
            } else {
                (Token::Valued { flags, arg, value }, 1)
            });
        }
        if rest.starts_with('=') {
            break;
        }
    }
    Some((Token::Flags, 1))
}

/// What an option with an empty value comes to.
enum Empty {
    /// The option's own parser decides.
    Value,
    /// As if it had not been given, nor given before.
    Default,
    /// One more of a list, of which there is none: podman splits such a list at commas.
    Nothing,
}

fn empty(arg: &Arg) -> Empty {
    let kind = arg.get_value_parser().type_id();
    let numbers = [
        TypeId::of::<u16>(),
        TypeId::of::<u32>(),
        TypeId::of::<u64>(),
        TypeId::of::<usize>(),
        TypeId::of::<i32>(),
        TypeId::of::<i64>(),
        TypeId::of::<bool>(),
    ];
    match arg.get_action() {
        ArgAction::Append if arg.get_value_delimiter().is_some() => Empty::Nothing,
        // Given again, what it has by default would be one of several.
        ArgAction::Append if !arg.get_default_values().is_empty() => Empty::Default,
        ArgAction::Append => Empty::Value,
        _ if numbers.iter().any(|number| kind == *number) => Empty::Value,
        _ if EMPTY_IS_A_VALUE.contains(&arg.get_id().as_str()) => Empty::Value,
        _ => Empty::Default,
    }
}

/// The words without the options whose value is empty and asks for what is usual (`--name ""`, `--memory=`): scripts
/// write them where a variable of theirs is not set. `None` when there are none.
pub(super) fn given(words: &[OsString], root: &Command) -> Option<Vec<OsString>> {
    let may_be_empty = |word: &OsString| word.is_empty() || word.as_encoded_bytes().ends_with(b"=");
    if !words.iter().any(may_be_empty) {
        return None;
    }
    // The commands that were named, with their arguments.
    let mut named: Vec<Command> = Vec::new();
    // What is kept; an option with its name, as it may be taken back.
    let mut kept: Vec<(Option<String>, Vec<OsString>)> = vec![(None, words.get(..1)?.to_vec())];
    let mut rest = &words[1..];
    while !rest.is_empty() {
        let commands: Vec<&Command> = named.last().into_iter().chain([root]).collect();
        let (token, count) = token(rest, &commands)?;
        let (these, behind) = rest.split_at(count);
        let mut next = None;
        match token {
            Token::Valued { flags, arg, value } => {
                let id = arg.get_id().to_string();
                match (value.is_empty(), empty(arg)) {
                    (false, _) | (true, Empty::Value) => kept.push((Some(id), these.to_vec())),
                    (true, what) => {
                        if matches!(what, Empty::Default) {
                            kept.retain(|(of, _)| of.as_ref() != Some(&id));
                        }
                        if !flags.is_empty() {
                            kept.push((None, vec![flags.into()]));
                        }
                    }
                }
            }
            Token::Word(word) if named.last().is_none_or(Command::has_subcommands) => {
                next = Some(below(named.last(), word)?);
                kept.push((None, these.to_vec()));
            }
            Token::Word(_) if named.last().is_some_and(ends_at_a_word) => break,
            Token::End => break,
            Token::Flags | Token::Unknown | Token::Word(_) => kept.push((None, these.to_vec())),
        }
        named.extend(next);
        rest = behind;
    }
    Some(kept.into_iter().flat_map(|(_, words)| words).chain(rest.iter().cloned()).collect())
}

/// The command of this name below another one, or the program itself.
fn below(above: Option<&Command>, word: &OsStr) -> Option<Command> {
    match above {
        None => {
            let verb = verb(word.to_str()?)?;
            Some((verb.arguments)(bare(Command::new(verb.name()))))
        }
        Some(above) => {
            let mut found = above.find_subcommand(word)?.clone();
            found.build();
            Some(found)
        }
    }
}

/// Whether a command takes everything from its first argument on as it is.
fn ends_at_a_word(command: &Command) -> bool {
    command.get_positionals().any(Arg::is_trailing_var_arg_set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_value_asks_for_what_is_usual() {
        for (line, wanted) in [
            ("run --name= alpine", "run alpine"),
            ("run --name _ alpine", "run alpine"),
            ("run --name a --name _ -it alpine", "run -it alpine"),
            ("run --name _ --name b alpine", "run --name b alpine"),
            ("run -itw _ alpine", "run -it alpine"),
            ("run --dns 1.1.1.1 --dns= alpine", "run --dns 1.1.1.1 alpine"),
            ("--root _ ps --format=", "ps"),
            ("container run --memory= --platform= alpine", "container run alpine"),
            // Something else is meant, or it is refused where it is read.
            ("run --entrypoint= alpine", "run --entrypoint= alpine"),
            ("run --detach-keys _ alpine", "run --detach-keys _ alpine"),
            ("run -e _ alpine", "run -e _ alpine"),
            ("run --stop-timeout= alpine", "run --stop-timeout= alpine"),
            ("run --cpus= --oom-score-adj= alpine", "run --cpus= --oom-score-adj= alpine"),
            ("logs --tail= c", "logs --tail= c"),
            ("run -v --name= alpine", "run -v --name= alpine"),
            ("run alpine sh --name=", "run alpine sh --name="),
            ("rm -- --filter=", "rm -- --filter="),
            ("tag a _", "tag a _"),
            ("nosuch --name=", "nosuch --name="),
        ] {
            let words = |line: &str| -> Vec<OsString> {
                let words = line.split(' ').map(|word| if word == "_" { "" } else { word });
                std::iter::once("coracle").chain(words).map(OsString::from).collect()
            };
            let words = (words(line), words(wanted));
            assert_eq!(given(&words.0, &super::super::root()).unwrap_or(words.0), words.1, "{line}");
        }
        assert_eq!(given(&["coracle".into(), "ps".into(), "-a".into()], &super::super::root()), None);
    }
}
