//! The command line's tree; completions/ and man/ are generated from it.
//!
//! Building all of it takes milliseconds, so only the part that a command line needs is built.

use crate::cmd;
use crate::cmd::verbs;
use crate::host::GlobalOptions;
use clap::error::ErrorKind;
use clap::{ArgAction, ArgMatches, Args, FromArgMatches};
use std::ffi::OsString;

mod commands;
pub mod help;
pub mod pages;
mod path;
mod words;

use commands::verb;

pub use commands::Command;

/// A command line that was read.
#[derive(Debug)]
pub struct Cli {
    /// Options that stand before the verb.
    pub global: GlobalOptions,
    /// The verb.
    pub command: Command,
}

/// The program itself, without its verbs.
fn root() -> clap::Command {
    let root = GlobalOptions::augment_args(clap::Command::new("coracle"));
    verbs::as_pflag(root.mut_args(without_empty_variable)).args_override_self(true)
}

/// An environment variable that is set to nothing counts as not set.
fn without_empty_variable(arg: clap::Arg) -> clap::Arg {
    match arg.get_env().map(|name| std::env::var_os(name).is_some_and(|value| value.is_empty())) {
        Some(true) => arg.env(None::<&'static str>),
        _ => arg,
    }
}

/// The tree, in which each command gets its arguments once it is parsed or built.
fn tree() -> clap::Command {
    let version = clap::Arg::new("version").short('v').long("version").help("Print version");
    let tree = verbs::below(root(), Command::ALL);
    let (name, banner) = cmd::version::banner();
    tree.about("Run containers without root, a daemon or setup")
        .display_name(name)
        .version(banner)
        .disable_version_flag(true)
        .arg(version.action(ArgAction::Version))
        .help_template(help::template())
        .after_help(help::MORE)
        .after_long_help(help::manual())
}

/// A command line that asks for help or is wrong.
#[derive(Debug)]
pub struct Refused {
    /// What clap has to say.
    pub error: clap::Error,
    /// The tree it was read by; the commands that were named have their arguments.
    pub tree: clap::Command,
}

/// Reads a command line, the program's name first.
///
/// Even the names of all verbs cost more than one verb with its options, so that one is read first with a
/// tree of its own. Whatever that refuses, help included, is for the tree with all names to answer.
///
/// # Errors
/// What clap refuses, and requests for help.
pub fn read(words: &[OsString]) -> Result<Cli, Box<Refused>> {
    let root = root();
    let given = words::given(words, &root);
    let words = given.as_deref().unwrap_or(words);
    let path = path::of(words, &root);
    if let Some(cli) = short(words, &path, root) {
        return Ok(cli);
    }
    let mut tree = help::with_examples(tree(), &path);
    tree.try_get_matches_from_mut(words).and_then(found).map_err(|error| {
        // Without a verb there is nothing to do but to say what could be done.
        let missing = [ErrorKind::MissingSubcommand, ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand];
        if path.is_empty() && missing.contains(&error.kind()) {
            let asked = words.iter().take(1).cloned().chain(["-h".into()]);
            let help = tree.try_get_matches_from_mut(asked).err().unwrap_or(error);
            return Box::new(Refused { error: help, tree });
        }
        Box::new(Refused { error, tree })
    })
}

fn short(words: &[OsString], path: &[&str], root: clap::Command) -> Option<Cli> {
    let tree = root.subcommand(verb(path.first()?)?.command());
    found(tree.try_get_matches_from(words).ok()?).ok()
}

fn found(mut found: ArgMatches) -> Result<Cli, clap::Error> {
    let command = Command::from_arg_matches_mut(&mut found)?;
    Ok(Cli { global: GlobalOptions::from_arg_matches_mut(&mut found)?, command })
}

/// The whole tree, every command with its arguments: for the manual and for tests.
pub fn whole() -> clap::Command {
    let mut tree = tree().disable_help_subcommand(true);
    tree.build();
    tree
}

/// The tree for live completion of the words that this process was asked about: what they name has its
/// arguments and candidates, the rest names only.
pub fn completed() -> clap::Command {
    let words: Vec<OsString> = std::env::args_os().skip_while(|word| word != "--").skip(1).collect();
    let mut tree = path::only(tree(), &path::of(&words, &root()));
    tree.build();
    cmd::completion::with_names(tree)
}

/// Answers `--version` where it stands first; `None` for any other command line. Nothing is set up for it.
pub fn version_if_asked() -> Option<String> {
    let word = std::env::args_os().nth(1)?;
    let (name, banner) = cmd::version::banner();
    (word == "--version" || word == "-v").then(|| format!("{name} {banner}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Completion of a word costs no more than the commands on the way to it.
    #[test]
    fn only_what_is_named_gets_its_arguments() {
        let options = |tree: &clap::Command, path: &[&str]| {
            let at = path.iter().fold(tree, |at, name| at.find_subcommand(name).unwrap());
            at.get_arguments().filter(|arg| !arg.is_global_set() && arg.get_id() != "help").count()
        };
        let mut tree = path::only(tree(), &["container", "list"]);
        tree.build();
        assert_eq!((options(&tree, &["run"]), options(&tree, &["container", "run"])), (0, 0));
        assert!(options(&tree, &["container", "ls"]) > 5);
        assert!(options(&whole(), &["container", "run"]) > 50);
    }

    /// What the short way reads, the whole tree reads alike.
    #[test]
    fn the_short_way_changes_nothing() {
        for line in [
            "coracle run --rm -it -e A=b -p 80:80 alpine sh -c ls",
            "coracle --root /r --log-level=info run -d --name x alpine",
            "coracle exec -it web sh --help",
            "coracle ps -a --format json",
            "coracle container rm -f web",
            "coracle exec -w /a -w /b web sh",
            "coracle images",
            "coracle create --rm --rm=false --name a --name b -e A -e B alpine",
        ] {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            let path = path::of(&words, &root());
            let short = short(&words, &path, root()).unwrap_or_else(|| panic!("{line} is not read"));
            let whole = tree().try_get_matches_from(words).and_then(found).unwrap();
            assert_eq!(format!("{short:?}"), format!("{whole:?}"), "{line}");
        }
        for refused in
            ["coracle run --help", "coracle run --nosuch", "coracle imag", "coracle Images", "coracle"]
        {
            let words: Vec<OsString> = refused.split(' ').map(OsString::from).collect();
            assert!(short(&words, &path::of(&words, &root()), root()).is_none(), "{refused}");
        }
    }
}
