//! Explains refused numbers: the messages of the standard library's parsers and of clap's ranges do not say
//! what is expected.

use clap::{Arg, Command};
use std::error::Error as StdError;
use std::num::{IntErrorKind, ParseIntError};

/// Why a value that should be a whole number is none that is taken; `None` when it was refused for
/// something else. `argument` is the option as the user knows it, `--time` or `-t`.
pub(super) fn words(
    cause: &(dyn StdError + 'static),
    at: &Command,
    argument: &str,
    value: &str,
) -> Option<String> {
    let what = format!("a whole number{}", unit(at, argument));
    if let Some(parse) = cause.downcast_ref::<ParseIntError>() {
        return Some(match parse.kind() {
            IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => format!("{value} is out of range"),
            IntErrorKind::Empty => format!("{what} is missing"),
            // A number without a sign was wanted.
            _ if value.parse::<i64>().is_ok() => format!("{value} is less than 0"),
            _ => format!("{value:?} is not {what}"),
        });
    }
    let text = cause.to_string();
    let (_, range) = text.rsplit_once(" is not in ")?;
    let (least, most) = range.split_once("..")?;
    let number: i128 = value.parse().ok()?;
    Some(match least.parse::<i128>() {
        Ok(least) if number < least => format!("{value} is less than {least}"),
        _ => format!("{value} is more than {}", most.trim_start_matches('=')),
    })
}

/// What is counted, where the name of the option's value says so.
fn unit(at: &Command, argument: &str) -> &'static str {
    let named = |arg: &&Arg| {
        let long = arg.get_long().is_some_and(|long| argument.strip_prefix("--") == Some(long));
        long || arg.get_short().is_some_and(|short| argument.strip_prefix('-') == Some(&short.to_string()))
    };
    let names = at.get_arguments().find(named).and_then(Arg::get_value_names).unwrap_or_default();
    match names.first().map(clap::builder::Str::as_str) {
        Some("SECONDS") => " of seconds",
        Some("MICROSECONDS") => " of microseconds",
        _ => "",
    }
}
