//! Explains a wrong number of arguments.

use crate::error::{Error, Kind, phrases};
use clap::{Arg, Command};

/// The error for arguments that are missing, by their names.
pub(super) fn too_few(verb: &str, at: &Command, missing: &[String]) -> Error {
    let (least, most) = counts(at);
    let got = least.saturating_sub(missing.len());
    let (s, names) = (plural(least), missing.join(" "));
    if missing.iter().any(|name| name.starts_with('-')) {
        return Error::new(Kind::Usage, format!("{verb}: {names} is missing"));
    }
    match most == Some(least) && least > 1 {
        true => phrases::wrong_number_of_arguments(verb, least, s, got, &format!("{names} is missing")),
        false => phrases::too_few_arguments(verb, least.max(1), s, got, &names),
    }
}

/// The error for an argument that is one too many.
pub(super) fn too_many(verb: &str, at: &Command, extra: &str) -> Error {
    let why = format!("unexpected argument {extra}");
    match counts(at) {
        (_, Some(0)) => phrases::takes_no_arguments(verb, &why),
        (least, Some(most)) if least == most => {
            phrases::wrong_number_of_arguments(verb, most, plural(most), most + 1, &why)
        }
        (_, Some(most)) => phrases::too_many_arguments(verb, most, plural(most), most + 1, &why),
        (_, None) => Error::new(Kind::Usage, why),
    }
}

fn plural(count: usize) -> &'static str {
    if count > 1 { "s" } else { "" }
}

/// How many arguments a command needs at least and takes at most, if there is a limit.
fn counts(at: &Command) -> (usize, Option<usize>) {
    let arguments: Vec<&Arg> = at.get_positionals().collect();
    let least = arguments.iter().filter(|arg| arg.is_required_set()).count();
    let endless = |arg: &&Arg| {
        arg.get_num_args().is_some_and(|range| range.max_values() > 1)
            || matches!(arg.get_action(), clap::ArgAction::Append)
    };
    let most = if arguments.iter().any(endless) { None } else { Some(arguments.len()) };
    (least, most)
}
