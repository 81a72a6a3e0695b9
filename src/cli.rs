//! The command line's tree; completions/ and man/ are generated from it.

use crate::cmd;
use crate::host::GlobalOptions;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use std::ffi::OsString;

/// Run containers without root, daemon or set-up
#[derive(Debug, Parser)]
#[command(name = "coracle", version = concat!("version ", env!("CARGO_PKG_VERSION")), disable_version_flag = true, args_override_self = true, arg = version(), after_long_help = include_str!("cmd/help.txt"))]
pub struct Cli {
    /// Options that stand before the verb.
    #[command(flatten)]
    pub global: GlobalOptions,
    /// The verb.
    #[command(subcommand)]
    pub command: Command,
}

fn version() -> clap::Arg {
    clap::Arg::new("version")
        .short('v')
        .long("version")
        .help("Print version")
        .action(clap::ArgAction::Version)
}

/// The whole tree, with the candidates for live completion.
pub fn tree() -> clap::Command {
    cmd::completion::with_names(Cli::command())
}

/// A verb and how its arguments are put on a command.
type Verb = (&'static str, fn(clap::Command) -> clap::Command);

/// The verbs as an enum for clap, and as a list, so that one can be read without the others.
macro_rules! verbs {
    ($($(#[$about:meta])+ $name:ident($args:ty),)+) => {
        /// The verbs.
        #[derive(Debug, Subcommand)]
        pub enum Command {
            $($(#[$about])+ $name($args),)+
        }

        /// A verb is its variant's name in lower case.
        const VERBS: &[Verb] = &[$((stringify!($name), <$args as Args>::augment_args),)+];
    };
}

impl Cli {
    /// Reads the command line.
    ///
    /// The whole tree costs milliseconds, so a verb is first read with a tree of its own; whatever that
    /// one refuses, help included, is for the whole tree to answer.
    ///
    /// # Errors
    /// What clap refuses, and requests for help.
    pub fn read() -> Result<Cli, clap::Error> {
        let words: Vec<OsString> = std::env::args_os().collect();
        if let Some(cli) = short(&words) {
            return Ok(cli);
        }
        Cli::try_parse_from(words)
    }
}

fn short(words: &[OsString]) -> Option<Cli> {
    let mut rest = words.iter().skip(1).map(|w| w.to_str());
    let verb = loop {
        match rest.next()?? {
            "--root" | "--runroot" | "--log-level" | "--storage-opt" => drop(rest.next()),
            word if word.starts_with('-') => return None,
            word => break word,
        }
    };
    let (_, augment) = VERBS.iter().find(|(name, _)| name.to_ascii_lowercase() == verb)?;
    let tree = GlobalOptions::augment_args(clap::Command::new("coracle").args_override_self(true));
    let tree = tree.subcommand(augment(clap::Command::new(verb.to_owned())));
    Cli::from_arg_matches(&tree.try_get_matches_from(words).ok()?).ok()
}

verbs! {
    /// Attach to a running container
    Attach(cmd::attach::Args),
    /// Make an image of a container
    Commit(cmd::commit::Args),
    /// Write the completion script for a shell
    Completion(cmd::completion::Args),
    /// Do something with containers
    Container(cmd::groups::ContainerArgs),
    /// Copy files between containers and the host
    Cp(cmd::cp::Args),
    /// Make a container, to be started later
    Create(Box<cmd::create::Args>),
    /// Show what changed in a container or an image
    Diff(cmd::diff::Args),
    /// Show what happens to containers, images and volumes
    Events(cmd::events::Args),
    /// Run a command in a running container
    Exec(cmd::exec::Args),
    /// Write a container's root file system as an archive
    Export(cmd::export::Args),
    /// Do something with health checks
    Healthcheck(cmd::healthcheck::Args),
    /// Show how an image was made
    History(cmd::history::Args),
    /// Do something with images
    Image(cmd::groups::ImageArgs),
    /// List images
    Images(cmd::images::Args),
    /// Make an image of an archive of files
    Import(cmd::import::Args),
    /// Show this machine, the store and what is missing
    Info(cmd::info::Args),
    /// Make ready what the start of containers needs
    Init(cmd::init::Args),
    /// Show everything known about containers and images
    Inspect(cmd::inspect::Args),
    /// Send a signal to containers
    Kill(cmd::kill::Args),
    /// Load images from an archive
    Load(cmd::load::Args),
    /// Show what containers wrote
    Logs(cmd::logs::Args),
    /// Freeze the processes of containers
    Pause(cmd::pause::Args),
    /// Show where a container's ports are published
    Port(cmd::port::Args),
    /// List containers
    Ps(cmd::ps::Args),
    /// Pull images from a registry
    Pull(cmd::pull::Args),
    /// Give a container another name
    Rename(cmd::rename::Args),
    /// Stop containers and start them again
    Restart(cmd::restart::Args),
    /// Remove containers
    Rm(cmd::rm::Args),
    /// Remove images
    Rmi(cmd::rmi::Args),
    /// Run a command in a new container
    Run(Box<cmd::run::Args>),
    /// Save images to an archive
    Save(cmd::save::Args),
    /// Do something with secrets
    Secret(cmd::secret::Args),
    /// Start containers that were made before
    Start(cmd::start::Args),
    /// Show what containers use of processor, memory, network and disks
    Stats(cmd::stats::Args),
    /// Stop containers
    Stop(cmd::stop::Args),
    /// Do something with the store as a whole
    System(cmd::system::Args),
    /// Give an image more names
    Tag(cmd::tag::Args),
    /// Show the processes of a container
    Top(cmd::top::Args),
    /// Let frozen containers go on
    Unpause(cmd::pause::Args),
    /// Run a command in the user namespace that containers live in
    Unshare(cmd::unshare::Args),
    /// Take names away from an image
    Untag(cmd::untag::Args),
    /// Change settings of containers
    Update(Box<cmd::update::Args>),
    /// Show the version
    Version(cmd::version::Args),
    /// Do something with volumes
    Volume(cmd::volume::Args),
    /// Wait for containers to stop and print their exit codes
    Wait(cmd::wait::Args),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clap_names_the_verbs_as_the_list_does() {
        let tree = Cli::command();
        let names: Vec<_> = tree.get_subcommands().map(|c| c.get_name().to_owned()).collect();
        let listed: Vec<_> = VERBS.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
        assert_eq!(names, listed);
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
            if let Some(short) = short(&words) {
                let whole = Cli::try_parse_from(words).unwrap();
                assert_eq!(format!("{short:?}"), format!("{whole:?}"), "{line}");
            } else {
                assert!(line.contains("--log-level="), "{line}");
            }
        }
        for refused in
            ["coracle run --help", "coracle run --nosuch", "coracle imag", "coracle Images", "coracle"]
        {
            let words: Vec<OsString> = refused.split(' ').map(OsString::from).collect();
            assert!(short(&words).is_none(), "{refused}");
        }
    }
}
