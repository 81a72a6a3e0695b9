//! `coracle completion`, and the names that are completed.
//!
//! The script for each shell asks this program for candidates ([`VARIABLE`] is set then), so a script
//! never grows stale and names are those that exist at that moment.

use crate::container::Status;
use crate::error::{Context, Error, Kind, Result};
use crate::host::{Env, GlobalOptions};
use crate::storage::Store;
use crate::ui;
use clap::builder::ValueHint;
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use clap_complete::env::Shells;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

/// The environment variable by which a script asks for candidates.
pub const VARIABLE: &str = "CORACLE_COMPLETE";

/// Set beside [`VARIABLE`] by a script that was made with `--no-desc`.
const PLAIN: &str = "CORACLE_COMPLETE_PLAIN";

/// Arguments of `completion`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Shell to write the script for
    #[arg(value_name = "SHELL", value_enum)]
    pub shell: Shell,
    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,
    /// Complete without descriptions
    #[arg(long)]
    pub no_desc: bool,
}

/// A shell that can be completed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Shell {
    /// For `. <(coracle completion bash)` or /usr/share/bash-completion/completions/coracle
    Bash,
    /// For a file named _coracle in a directory of $fpath
    Zsh,
    /// For ~/.config/fish/completions/coracle.fish
    Fish,
}

/// Writes the script.
///
/// # Errors
/// When the file cannot be written.
pub fn run(args: &Args, _env: &Env) -> Result<ExitCode> {
    let mut script = script(args.shell)?;
    if args.no_desc {
        script = script.replace(&format!("{VARIABLE}="), &format!("{PLAIN}=1 {VARIABLE}="));
    }
    match &args.file {
        None => ui::out(&script)?,
        Some(path) => {
            std::fs::write(path, script).context(Kind::Usage, || format!("write {}", path.display()))?
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The script that hooks this program's own engine into a shell.
///
/// # Errors
/// None in practice: the script is written to memory.
pub fn script(shell: Shell) -> Result<String> {
    let name = match shell {
        Shell::Bash => "bash",
        Shell::Zsh => "zsh",
        Shell::Fish => "fish",
    };
    let failed = || Error::new(Kind::Usage, format!("write the completion script for {name}"));
    let engine = Shells::builtins();
    let engine = engine.completer(name).ok_or_else(failed)?;
    let mut script = Vec::new();
    engine
        .write_registration(VARIABLE, "coracle", "coracle", "coracle", &mut script)
        .map_err(|e| failed().caused_by(e))?;
    String::from_utf8(script).map_err(|e| failed().caused_by(e))
}

/// Gives the arguments of the tree that name containers, images, volumes or secrets (by what their value
/// is called in the help) those that exist as candidates; of containers those that the verb can be for.
pub fn with_names(tree: clap::Command) -> clap::Command {
    let plain = std::env::var_os(PLAIN).is_some();
    let tree = if plain { tree.mut_args(|arg| arg.help("")).about("") } else { tree };
    let fits = fitting(tree.get_name());
    let named = |arg: clap::Arg| {
        let value = arg.get_value_names().and_then(|names| names.first()).map(|name| name.to_string());
        match value.as_deref() {
            Some("CONTAINER") => arg.add(ArgValueCandidates::new(move || containers(fits))),
            Some("IMAGE") => arg.add(ArgValueCandidates::new(images)),
            Some("VOLUME") => arg.add(ArgValueCandidates::new(|| directory("volumes"))),
            Some("SECRET") => arg.add(ArgValueCandidates::new(|| directory("secrets"))),
            Some("CONTAINER|IMAGE" | "NAME") if arg.is_positional() => {
                arg.add(ArgValueCandidates::new(|| {
                    let mut all = containers(None);
                    all.extend(images());
                    all
                }))
            }
            Some("DIR") => arg.value_hint(ValueHint::DirPath),
            Some("FILE") => arg.value_hint(ValueHint::FilePath),
            _ => arg,
        }
    };
    tree.mut_args(named).mut_subcommands(with_names)
}

/// Whether a container in this state is one for a verb.
type Fits = fn(Status) -> bool;

/// The states that a verb is for; `None` when it is for any.
fn fitting(verb: &str) -> Option<Fits> {
    Some(match verb {
        "start" | "init" => |status| matches!(status, Status::Created | Status::Exited | Status::Crashed),
        "attach" | "exec" | "pause" | "run" => |status| status == Status::Running,
        "unpause" => |status| status == Status::Paused,
        "kill" | "stop" | "wait" => Status::is_active,
        "stats" | "top" => Status::is_live,
        _ => return None,
    })
}

/// The names of the containers in a fitting state. For any state one directory is read.
fn containers(fits: Option<Fits>) -> Vec<CompletionCandidate> {
    let Some(fits) = fits else { return directory("names") };
    let Some(store) = store() else { return Vec::new() };
    let mut listed = store.containers().list().unwrap_or_default();
    listed.retain(|container| fits(container.status));
    let mut names: Vec<String> = listed.into_iter().map(|container| container.name).collect();
    names.sort();
    names.into_iter().map(CompletionCandidate::new).collect()
}

/// The names in one of the store's directories.
fn directory(part: &str) -> Vec<CompletionCandidate> {
    environment().map(|env| names_in(env.roots.data.join(part))).unwrap_or_default()
}

/// The store, when there is one: it is made on first use, and asking for names is not use.
fn store() -> Option<Store> {
    let roots = environment()?.roots;
    if !roots.data.join("version").exists() {
        return None;
    }
    Store::open(&roots.data, &roots.runtime, &roots.image_stores).ok()
}

fn names_in(dir: PathBuf) -> Vec<CompletionCandidate> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<OsString> = entries.map(|entry| entry.file_name()).collect();
    names.retain(|name| !name.as_encoded_bytes().starts_with(b"."));
    names.sort();
    names.into_iter().map(CompletionCandidate::new).collect()
}

/// The names of the images as users type them: `alpine:latest`, not `docker.io/library/alpine:latest`.
fn images() -> Vec<CompletionCandidate> {
    let listed = store().and_then(|store| store.images().list().ok()).unwrap_or_default();
    let mut names: Vec<String> = listed
        .iter()
        .flat_map(|listed| &listed.names)
        .map(|name| {
            let full = name.to_string();
            let short = full.strip_prefix("docker.io/library/").or_else(|| full.strip_prefix("docker.io/"));
            let short = short.or_else(|| full.strip_prefix("localhost/")).unwrap_or(&full);
            short.to_owned()
        })
        .collect();
    names.sort();
    names.dedup();
    names.into_iter().map(CompletionCandidate::new).collect()
}

/// The environment that the half-typed command line means, as far as it can be told.
fn environment() -> Option<Env> {
    let mut options = GlobalOptions {
        root: std::env::var_os("CORACLE_ROOT").map(PathBuf::from),
        runroot: std::env::var_os("CORACLE_RUNROOT").map(PathBuf::from),
        ..GlobalOptions::default()
    };
    let mut words = std::env::args_os().skip_while(|word| word != "--").skip(2);
    while let Some(word) = words.next() {
        let text = word.to_string_lossy();
        let (flag, value) = match text.split_once('=') {
            Some((flag, value)) => (flag.to_owned(), Some(OsString::from(value))),
            None => (text.into_owned(), None),
        };
        match flag.as_str() {
            "--root" => options.root = value.or_else(|| words.next()).map(PathBuf::from),
            "--runroot" => options.runroot = value.or_else(|| words.next()).map(PathBuf::from),
            _ => {}
        }
    }
    Env::new(&options).ok()
}
