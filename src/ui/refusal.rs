//! Rewords clap's errors as podman and docker word theirs: one line that names the flag, and a hint.

use super::dialect;
use crate::error::{Error, Kind, phrases};
use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::error::Error as _;
use std::ffi::OsString;

mod count;
mod number;
mod typed;

use count::{too_few, too_many};
use typed::{flag_without_value, short_flag};

/// Commands of docker and podman that do not fit a tool without daemon and cluster, and why.
const UNSUPPORTED: [(&str, &str); 24] = [
    ("auto-update", "there is no daemon to do it; pull the image and create the container again"),
    (
        "buildx bake",
        "bake files are not read; build each target: coracle build -f FILE --target STAGE -t NAME .",
    ),
    ("buildx dap", "there is no debugger; a shell where a step fails: coracle build --debug-shell ."),
    ("buildx debug", "there is no debugger; a shell where a step fails: coracle build --debug-shell ."),
    ("buildx history", "no records of builds are kept; what the cache has: coracle builder du --verbose"),
    ("buildx policy", "there is no policy for what a build may read"),
    ("checkpoint", "a restored process could be bound to other files than the ones it was checked with"),
    (
        "compose",
        "podman-compose does it, with podman's options: podman-compose --podman-path $(command -v coracle) up -d",
    ),
    ("config", "there is no cluster; mount a file with -v"),
    ("farm", "there is no cluster to build on"),
    ("generate", "there are no units to write yet"),
    ("kube", "there are no files to play yet; make a pod: coracle pod create"),
    ("machine", "containers run on this kernel, not in a virtual machine"),
    ("node", "there is no cluster"),
    ("play", "there are no files to play yet; make a pod: coracle pod create"),
    ("plugin", "there are no plugins"),
    ("pod clone", "make another one with the same options: coracle pod create"),
    ("restore", "a restored process could be bound to other files than the ones it was checked with"),
    ("scout", "it is a service of docker's vendor"),
    ("service", "there is no cluster; start containers with run -d"),
    ("stack", "there is no cluster; start containers with run -d"),
    ("swarm", "there is no cluster"),
    ("system connection", "there is no daemon to connect to"),
    ("system service", "there is no API socket yet; run coracle itself"),
];

/// Whether podman and docker end with 1 for this, as for any failure, and not with 125. Docker does so but for
/// wrong options.
pub(super) fn is_plain_failure(refused: &clap::Error) -> bool {
    let argument = refused.get(ContextKind::InvalidArg).and_then(first).unwrap_or_default();
    let wrong_option = argument.starts_with('-') && refused.kind() != ErrorKind::MissingRequiredArgument;
    bare(&argument) == LOG_LEVEL || dialect::docker() && !wrong_option
}

const LOG_LEVEL: &str = "--log-level";

/// Groups of which only some verbs fit, and why the others do not.
const PARTLY: [(&str, &str); 2] = [
    ("buildx", "there is one builder, which needs no setup; build with coracle build"),
    ("context", "there is no service to connect to"),
];

/// The error for what clap refused of these words (the program's name first).
pub(super) fn explain(refused: &clap::Error, tree: &Command, words: &[OsString]) -> Error {
    let text = |kind| refused.get(kind).and_then(first);
    // What follows a word that is no command says nothing of the command.
    let unknown = text(ContextKind::InvalidSubcommand);
    let known = words.iter().position(|word| Some(word.to_string_lossy().as_ref()) == unknown.as_deref());
    let program = dialect::identity().name();
    let (verb, at) = verb(program, tree, &words[..known.unwrap_or(words.len())]);
    let help = format!("See '{verb} --help'");
    let argument = text(ContextKind::InvalidArg).map(|a| bare(&a)).unwrap_or_default();
    let value = text(ContextKind::InvalidValue).unwrap_or_default();
    let usage = |message: String| Error::new(Kind::Usage, message);
    match refused.kind() {
        ErrorKind::InvalidSubcommand => {
            let name = text(ContextKind::InvalidSubcommand).unwrap_or_default();
            // In a group that has refusals of its own, a plain name means something else.
            let path = format!("{verb} {name}");
            let path = path.strip_prefix(program).unwrap_or(&path).trim_start();
            let own = [" system", " buildx", " pod"].iter().any(|group| verb.ends_with(group));
            let wanted = if own { path } else { &name };
            if let Some((_, why)) = UNSUPPORTED.iter().find(|(n, _)| *n == wanted) {
                return usage(format!("{verb} {name} is not supported: {why}"));
            }
            let error = phrases::unknown_command(&verb, &name, &format!("{program} {path}"));
            let near = nearest(at, &name);
            let group = path.split_once(' ').map(|(group, _)| group);
            if let Some((_, why)) = PARTLY.iter().find(|(of, _)| near.is_none() && Some(*of) == group) {
                return usage(format!("{verb} {name} is not supported: {why}"));
            }
            match near {
                Some(near) => error.hint(format!("Did you mean {verb} {near}?")),
                None => error.hint(help),
            }
        }
        ErrorKind::UnknownArgument => {
            let error = match argument.strip_prefix('-') {
                Some(long) if long.starts_with('-') => usage(format!("unknown flag: {argument}")),
                Some(short) => usage(format!("unknown shorthand flag: {}", short_flag(short, words))),
                None => too_many(&verb, at, &argument),
            };
            let near = match argument.strip_prefix("--") {
                Some(typed) => near_options(at, typed),
                None => text(ContextKind::SuggestedArg).map(|near| bare(&near)).into_iter().collect(),
            };
            match near.as_slice() {
                [] => error.hint(help),
                near => error.hint(format!("Did you mean {}? {help}", near.join(" or "))),
            }
        }
        ErrorKind::InvalidValue if value.is_empty() => {
            usage(format!("flag needs an argument: {}", flag_without_value(&argument, words))).hint(help)
        }
        ErrorKind::InvalidValue => {
            let error = match argument.as_str() {
                "--pull" | "--policy" => phrases::bad_pull_policy(&value),
                LOG_LEVEL => phrases::bad_log_level(&value),
                _ => usage(bad_value(&argument, &value)),
            };
            match refused.get(ContextKind::ValidValue) {
                Some(ContextValue::Strings(known)) => error.hint(format!("Values: {}", known.join(" "))),
                _ => error.hint(help),
            }
        }
        ErrorKind::ValueValidation => {
            let bad = if is_typed(&value, words) { bad_value(&argument, &value) } else { argument.clone() };
            match refused.source() {
                // A typed argument's own words are enough, and carry their own hints.
                Some(cause) => {
                    let own = cause.downcast_ref::<Error>();
                    let error = match (own, number::words(cause, at, &argument, &value)) {
                        // Which of the arguments it is, its own value says.
                        (Some(own), _) if !argument.starts_with('-') && names(own, &value) => {
                            usage(dialect::words(own))
                        }
                        (Some(own), _) => usage(format!("{bad}: {}", dialect::words(own))),
                        (None, Some(words)) => usage(format!("{bad}: {words}")),
                        (None, None) => usage(format!("{bad}: {cause}")),
                    };
                    let hints = own.map(Error::hints).unwrap_or_default();
                    match hints.is_empty() {
                        true => error.hint(help),
                        false => hints.into_iter().fold(error, |error, hint| error.hint(hint)),
                    }
                }
                None => usage(bad).hint(help),
            }
        }
        ErrorKind::MissingRequiredArgument => {
            let names = match refused.get(ContextKind::InvalidArg) {
                Some(ContextValue::Strings(all)) => all.iter().map(|a| bare(a)).collect(),
                _ => vec![argument],
            };
            too_few(&verb, at, &names).hint(help)
        }
        ErrorKind::ArgumentConflict => {
            let prior = text(ContextKind::PriorArg).map(|a| bare(&a)).unwrap_or_default();
            phrases::conflicting_options(&argument, &prior).hint(help)
        }
        ErrorKind::NoEquals => usage(format!("{argument} needs its value after an equals sign")).hint(help),
        ErrorKind::TooManyValues => usage(format!("unexpected value {value:?} for {argument}")).hint(help),
        ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues => {
            usage(format!("flag needs an argument: {}", flag_without_value(&argument, words))).hint(help)
        }
        ErrorKind::InvalidUtf8 => usage("an argument is not valid UTF-8".to_owned()),
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            usage(format!("missing command '{verb} COMMAND'")).hint(help)
        }
        _ => usage(refused.kind().to_string()).hint(help),
    }
}

/// Whether a message begins with the value that it is about, quoted or not.
fn names(error: &Error, value: &str) -> bool {
    let words = dialect::words(error);
    !value.is_empty() && (words.starts_with(value) || words.starts_with(&format!("{value:?}")))
}

/// Whether somebody wrote this value: an option may have one that it means when it stands alone.
fn is_typed(value: &str, words: &[OsString]) -> bool {
    words.iter().any(|word| word.to_string_lossy().contains(value))
}

/// The options that were meant: those nearest by name, with at most two letters wrong, missing or swapped (one when the
/// word is short); otherwise those that begin so, if they are few.
fn near_options(at: &Command, typed: &str) -> Vec<String> {
    const FEW: usize = 3;
    let most = if typed.chars().count() < 5 { 1 } else { 2 };
    let known = at.get_arguments().filter(|arg| !arg.is_hide_set());
    let names: Vec<&str> = known.filter_map(clap::Arg::get_long).collect();
    let distance = |name: &&&str| strsim::osa_distance(name, typed);
    let least = names.iter().map(|name| distance(&name)).min().filter(|least| *least <= most);
    let found: Vec<&&str> = match least {
        Some(least) => names.iter().filter(|name| distance(name) == least).collect(),
        None => names.iter().filter(|name| typed.len() > 2 && name.starts_with(typed)).collect(),
    };
    if found.len() > FEW { Vec::new() } else { found.into_iter().map(|name| format!("--{name}")).collect() }
}

/// Options whose values are secrets, which no message repeats.
const SECRET: [&str; 1] = ["--creds"];

fn bad_value(argument: &str, value: &str) -> String {
    match argument.starts_with('-') {
        true if SECRET.contains(&argument) => format!("invalid argument for \"{argument}\" flag"),
        true => format!("invalid argument {value:?} for \"{argument}\" flag"),
        false => argument.to_owned(),
    }
}

/// `coracle run`, from the words of the command line that name a command of the tree.
fn verb<'a>(program: &str, tree: &'a Command, words: &[OsString]) -> (String, &'a Command) {
    let (mut verb, mut at) = (program.to_owned(), tree);
    for word in words.iter().skip(1) {
        if let Some(next) = at.find_subcommand(word) {
            (verb, at) = (format!("{verb} {}", next.get_name()), next);
        } else if !at.has_subcommands() {
            break;
        }
    }
    (verb, at)
}

/// What other tools, or people, call some verbs.
const OTHER_NAMES: [(&str, &str); 8] = [
    ("delete", "rm"),
    ("describe", "inspect"),
    ("list", "ps"),
    ("ls", "ps"),
    ("remove", "rm"),
    ("shell", "exec"),
    ("ssh", "exec"),
    ("status", "ps"),
];

/// The command that was meant: the nearest by name, with at most two letters wrong, missing or swapped (one when
/// the word is short); otherwise the only one with that prefix; otherwise the one that other tools call by that word.
fn nearest<'a>(at: &'a Command, typed: &str) -> Option<&'a str> {
    let most = if typed.chars().count() < 5 { 1 } else { 2 };
    let names = || at.get_subcommands().filter(|command| !command.is_hide_set()).map(Command::get_name);
    let near = names()
        .map(|name| (strsim::osa_distance(name, typed), name))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, name)| name);
    let begun = || {
        let mut found = names().filter(|name| typed.len() > 2 && name.starts_with(typed));
        found.next().filter(|_| found.next().is_none())
    };
    let other = || {
        let (_, name) = OTHER_NAMES.iter().find(|(other, _)| *other == typed)?;
        names().find(|known| known == name)
    };
    near.or_else(begun).or_else(other)
}

/// `--publish` of `--publish <PORT>`, `IMAGE` of `<IMAGE>`.
fn bare(argument: &str) -> String {
    let flag = argument.split([' ', '=']).next().unwrap_or(argument);
    let flag = if flag.starts_with('-') { flag.split('[').next().unwrap_or(flag) } else { argument };
    let name = flag.trim_end_matches("...");
    let inside = |open, close| name.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
    inside('<', '>').or_else(|| inside('[', ']')).unwrap_or(name).to_owned()
}

fn first(value: &ContextValue) -> Option<String> {
    match value {
        ContextValue::String(one) => Some(one.clone()),
        ContextValue::Strings(all) => all.first().cloned(),
        ContextValue::StyledStr(one) => Some(one.to_string()),
        ContextValue::StyledStrs(all) => all.first().map(ToString::to_string),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Arg, ArgAction};

    fn port(text: &str) -> Result<u16, Error> {
        text.parse().map_err(|_| {
            Error::new(Kind::Usage, format!("{text:?} is not a port")).hint("Ports go from 1 to 65535")
        })
    }

    fn tree() -> Command {
        let cp = ["[CONTAINER:]SOURCE", "[CONTAINER:]TARGET"].map(|name| Arg::new(name).required(true));
        Command::new("coracle").subcommand_required(true).subcommand(Command::new("cp").args(cp)).subcommand(
            Command::new("run")
                .arg(Arg::new("detach").short('d').long("detach").action(ArgAction::SetTrue))
                .arg(Arg::new("rm").long("rm").action(ArgAction::SetTrue).conflicts_with("detach"))
                .arg(Arg::new("pull").long("pull").value_parser(["always", "never"]))
                .arg(Arg::new("publish").short('p').long("publish").value_name("PORT").value_parser(port))
                .arg(Arg::new("name").long("name"))
                .arg(Arg::new("shares").short('c').long("shares").value_parser(clap::value_parser!(u64)))
                .arg(
                    Arg::new("time")
                        .long("time")
                        .value_name("SECONDS")
                        .allow_hyphen_values(true)
                        .value_parser(clap::value_parser!(i64).range(-1..=4_294_967_295)),
                )
                .arg(Arg::new("IMAGE").required(true)),
        )
    }

    fn refuse(words: &[&str]) -> Error {
        let refused = tree().try_get_matches_from(words).unwrap_err();
        explain(&refused, &tree(), &words.iter().map(Into::into).collect::<Vec<_>>())
    }

    #[test]
    fn every_refusal_is_one_line_that_names_the_flag() {
        for (line, message, hint) in [
            ("run --detatch x", "unknown flag: --detatch", "Did you mean --detach? See 'coracle run --help'"),
            ("run --nmae x", "unknown flag: --nmae", "Did you mean --name? See 'coracle run --help'"),
            ("run --pub x", "unknown flag: --pub", "Did you mean --publish? See 'coracle run --help'"),
            ("run --nothing-like-it x", "unknown flag: --nothing-like-it", "See 'coracle run --help'"),
            ("run -Q x", "unknown shorthand flag: 'Q' in -Q", "See 'coracle run --help'"),
            ("run -dQ x", "unknown shorthand flag: 'Q' in -dQ", "See 'coracle run --help'"),
            (
                "run",
                "coracle run: requires at least 1 arg(s), only received 0: IMAGE is missing",
                "See 'coracle run --help'",
            ),
            (
                "run a b",
                "coracle run: accepts 1 arg(s), received 2: unexpected argument b",
                "See 'coracle run --help'",
            ),
            ("run --pull=x a", "unsupported pull policy \"x\"", "Values: always never"),
            (
                "run -p abc x",
                "invalid argument \"abc\" for \"--publish\" flag: \"abc\" is not a port",
                "Ports go from 1 to 65535",
            ),
            ("run x --name", "flag needs an argument: --name", "See 'coracle run --help'"),
            ("run x -p", "flag needs an argument: 'p' in -p", "See 'coracle run --help'"),
            ("run --rm -d x", "--rm and --detach cannot be set together", "See 'coracle run --help'"),
            (
                "cp",
                "coracle cp: accepts 2 arg(s), received 0: [CONTAINER:]SOURCE [CONTAINER:]TARGET is missing",
                "See 'coracle cp --help'",
            ),
            (
                "cp a",
                "coracle cp: accepts 2 arg(s), received 1: [CONTAINER:]TARGET is missing",
                "See 'coracle cp --help'",
            ),
            (
                "run --time=abc x",
                "invalid argument \"abc\" for \"--time\" flag: \"abc\" is not a whole number of seconds",
                "See 'coracle run --help'",
            ),
            (
                "run --time= x",
                "invalid argument \"\" for \"--time\" flag: a whole number of seconds is missing",
                "See 'coracle run --help'",
            ),
            (
                "run --time=1.5 x",
                "invalid argument \"1.5\" for \"--time\" flag: \"1.5\" is not a whole number of seconds",
                "See 'coracle run --help'",
            ),
            (
                "run --time=-2 x",
                "invalid argument \"-2\" for \"--time\" flag: -2 is less than -1",
                "See 'coracle run --help'",
            ),
            (
                "run --time=5000000000 x",
                "invalid argument \"5000000000\" for \"--time\" flag: 5000000000 is more than 4294967295",
                "See 'coracle run --help'",
            ),
            (
                "run -c abc x",
                "invalid argument \"abc\" for \"--shares\" flag: \"abc\" is not a whole number",
                "See 'coracle run --help'",
            ),
            (
                "run --shares=-5 x",
                "invalid argument \"-5\" for \"--shares\" flag: -5 is less than 0",
                "See 'coracle run --help'",
            ),
            (
                "run --shares=99999999999999999999 x",
                "invalid argument \"99999999999999999999\" for \"--shares\" flag: 99999999999999999999 is out of range",
                "See 'coracle run --help'",
            ),
            ("rnu x", "unrecognized command `coracle rnu`", "Did you mean coracle run?"),
            ("zzz", "unrecognized command `coracle zzz`", "See 'coracle --help'"),
            ("", "missing command 'coracle COMMAND'", "See 'coracle --help'"),
        ] {
            let words: Vec<&str> = std::iter::once("coracle").chain(line.split_whitespace()).collect();
            let error = refuse(&words);
            assert_eq!((error.message(), error.hints().join("|").as_str()), (message, hint), "{line}");
            assert_eq!(error.kind().exit_code(), 125);
        }
    }

    #[test]
    fn commands_of_groups_say_why_too() {
        let tree = Command::new("coracle")
            .subcommand(Command::new("system").subcommand_required(true).subcommand(Command::new("df")));
        let words = ["coracle", "system", "service"];
        let refused = tree.clone().try_get_matches_from(words).unwrap_err();
        let error = explain(&refused, &tree, &words.map(Into::into));
        assert!(
            error.message().contains("system service is not supported: there is no API socket"),
            "{error}"
        );
    }

    #[test]
    fn commands_that_do_not_fit_say_why() {
        for (name, _) in UNSUPPORTED.iter().filter(|(name, _)| !name.contains(' ')) {
            let error = refuse(&["coracle", name]);
            assert!(error.message().contains("is not supported: "), "{error}");
        }
    }
}
