//! Verbs as enums for the parser, and as lists: only the requested command gets its arguments, because building
//! all of them takes milliseconds.

use super::options::switch::switchable;
use clap::{Arg, Args, Command};

/// One verb of a list.
#[derive(Debug)]
pub struct Verb {
    /// Its variant; the verb is the same in lower case, with hyphens between the words.
    pub variant: &'static str,
    /// Its help text, with a leading space as in doc comments.
    pub about: &'static str,
    /// Other names for it.
    pub aliases: &'static [&'static str],
    /// Puts its arguments on its command.
    pub arguments: fn(Command) -> Command,
}

impl Verb {
    /// What is typed.
    pub fn name(&self) -> String {
        let mut name = String::new();
        for (at, c) in self.variant.char_indices() {
            if at > 0 && c.is_ascii_uppercase() {
                name.push('-');
            }
            name.push(c.to_ascii_lowercase());
        }
        name
    }

    /// Its command, which gets its arguments once it is parsed or built.
    pub fn command(&self) -> Command {
        // Completion offers one name for each verb, the first in the alphabet: never a letter instead of a word.
        let (letters, words): (Vec<&str>, Vec<&str>) =
            self.aliases.iter().partition(|alias| alias.len() == 1);
        let command = Command::new(self.name()).about(self.about.trim());
        command.visible_aliases(words).aliases(letters).defer(self.arguments)
    }
}

/// Puts verbs below a command, which wants one of them.
pub fn below(command: Command, verbs: &'static [Verb]) -> Command {
    command
        .subcommands(verbs.iter().map(Verb::command))
        .subcommand_required(true)
        .arg_required_else_help(true)
}

/// The command with nothing below its name: what it was to get, once it is parsed or built, it does not.
pub fn bare(command: Command) -> Command {
    command.defer(|command| command)
}

/// Puts arguments on a command and leaves its line of help as it is: several verbs may share the arguments.
pub fn arguments<A: Args>(command: Command) -> Command {
    let about = command.get_about().cloned().unwrap_or_default();
    as_pflag(A::augment_args(command)).about(about).long_about(None::<&str>)
}

/// Has options read as docker's and podman's parser does: one with a value takes the next word, whatever that begins
/// with (`--since -1h`); a flag takes a value after an equals sign only (`--latest=false`).
pub fn as_pflag(command: Command) -> Command {
    command.mut_args(|arg| {
        let arg = switchable(arg);
        if takes_word(&arg) { arg.allow_hyphen_values(true) } else { arg }
    })
}

/// Whether an option takes the next word as its value.
pub fn takes_word(arg: &Arg) -> bool {
    !arg.is_positional() && arg.get_action().takes_values() && !arg.is_require_equals_set()
}

/// An enum of verbs, each with its line of help, its arguments and other names for it; with `of Args` also the
/// arguments of the noun that they are about.
macro_rules! verbs {
    (
        $(#[$meta:meta])* pub enum $verbs:ident $(of $noun:ident)? {
            $(#[doc = $about:literal] $name:ident($args:ty) $(= $($alias:literal)|+)?,)+
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, clap::Subcommand)]
        pub enum $verbs {
            $(#[doc = $about] $name($args),)+
        }

        impl $verbs {
            /// The verbs as a list.
            pub const ALL: &'static [$crate::cmd::verbs::Verb] = &[$($crate::cmd::verbs::Verb {
                variant: stringify!($name),
                about: $about,
                aliases: &[$($($alias),+)?],
                arguments: $crate::cmd::verbs::arguments::<$args>,
            }),+];
        }

        $(
            /// A verb of the noun.
            #[derive(Debug)]
            pub struct $noun {
                /// The verb.
                pub verb: $verbs,
            }

            impl clap::FromArgMatches for $noun {
                fn from_arg_matches(found: &clap::ArgMatches) -> Result<Self, clap::Error> {
                    Self::from_arg_matches_mut(&mut found.clone())
                }

                fn from_arg_matches_mut(found: &mut clap::ArgMatches) -> Result<Self, clap::Error> {
                    Ok($noun { verb: clap::FromArgMatches::from_arg_matches_mut(found)? })
                }

                fn update_from_arg_matches(&mut self, found: &clap::ArgMatches) -> Result<(), clap::Error> {
                    self.verb.update_from_arg_matches(found)
                }
            }

            impl clap::Args for $noun {
                fn augment_args(command: clap::Command) -> clap::Command {
                    $crate::cmd::verbs::below(command, $verbs::ALL)
                }

                fn augment_args_for_update(command: clap::Command) -> clap::Command {
                    Self::augment_args(command)
                }
            }
        )?
    };
}
pub(crate) use verbs;
