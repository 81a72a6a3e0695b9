//! `coracle completion`, and the names that are completed.
//!
//! The script for each shell asks this program for candidates (with [`VARIABLE`] set), so it is never out of
//! date and offers the names that exist at that moment.

use crate::container::Status;
use crate::error::{Context, Error, Kind, Result};
use crate::host::{Env, GlobalOptions};
use crate::spec::bridge::BUILT_IN;
use crate::storage::Store;
use crate::storage::images::Listed;
use crate::ui;
use clap::builder::ValueHint;
use clap_complete::engine::{
    ArgValueCandidates, ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter,
};
use clap_complete::env::Shells;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::ExitCode;

mod stages;
mod transports;

/// The environment variable by which a script asks for candidates.
pub const VARIABLE: &str = "CORACLE_COMPLETE";

/// Set in addition to [`VARIABLE`] by a script that was created with `--no-desc`.
const PLAIN: &str = "CORACLE_COMPLETE_PLAIN";

/// Arguments of `completion`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Shell to print the script for
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
    let mut script = script(args.shell, ui::identity().name())?;
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

/// The script that hooks this program's own engine into a shell, for a command that has this name and is this program.
///
/// # Errors
/// None in practice: the script is written to memory.
pub fn script(shell: Shell, command: &str) -> Result<String> {
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
        .write_registration(VARIABLE, command, command, command, &mut script)
        .map_err(|e| failed().caused_by(e))?;
    let script = String::from_utf8(script).map_err(|e| failed().caused_by(e))?;
    let changes: &[(&str, &str)] = match shell {
        Shell::Bash => &BASH_CHANGES,
        Shell::Zsh => &ZSH_CHANGES,
        Shell::Fish => &[],
    };
    Ok(changes.iter().fold(script, |script, (old, new)| script.replace(old, new)))
}

/// bash takes `:` and `=` for the ends of words; `alpine:3` and `--root=DIR` are put together again, and of the
/// answers only what comes after them is wanted.
const BASH_CHANGES: [(&str, &str); 3] = [
    (
        r#"    local _CLAP_COMPLETE_INDEX=${COMP_CWORD}
    local _CLAP_COMPLETE_COMP_TYPE=${COMP_TYPE}
"#,
        r#"    local rest=${COMP_LINE:0:COMP_POINT} word i last=-1 given words=()
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${rest#"${rest%%[![:space:]]*}"}
        (( i == COMP_CWORD )) || word=${COMP_WORDS[i]}
        if (( i > 0 )) && [[ $rest == [![:space:]]* ]] && [[ $word == [:=]* || ${words[last]} == *[:=] ]]; then
            given=${words[last]}
            [[ $word != [:=]* ]] || given+=${word:0:1}
            words[last]+=$word
        else
            given=
            words[++last]=$word
        fi
        rest=${rest#"${rest%%[![:space:]]*}"}
        rest=${rest#"$word"}
    done
    local _CLAP_COMPLETE_INDEX=$last
    local _CLAP_COMPLETE_COMP_TYPE=${COMP_TYPE}
"#,
    ),
    (
        r#"    local words=("${COMP_WORDS[@]}")
    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
        words[COMP_CWORD]="$2"
    fi
"#,
        "",
    ),
    (
        "        compopt -o nospace\n    fi\n",
        "        compopt -o nospace\n    fi\n    [[ -z $given ]] || COMPREPLY=(\"${COMPREPLY[@]#\"$given\"}\")\n",
    ),
];

/// zsh: after `container:` no blank follows.
const ZSH_CHANGES: [(&str, &str); 3] = [
    ("local -a dirs=()\n", "local -a dirs=() open=()\n"),
    (
        "            else\n                other+=(",
        "            elif [[ \"$completion\" == *: ]]; then\n                open+=(\"$completion\")\n            else\n                other+=(",
    ),
    (
        "        [[ -n $other ]] &&",
        "        [[ -n $open ]] && _describe -V 'values' open -S ''\n        [[ -n $other ]] &&",
    ),
];

/// Returns the arguments of the tree that name containers, images, volumes or secrets (by what their value
/// is called in the help) those that exist as candidates; of containers those that the verb can be for.
pub fn with_names(tree: clap::Command) -> clap::Command {
    let plain = std::env::var_os(PLAIN).is_some();
    let tree = if plain { tree.mut_args(|arg| arg.help("")).about("") } else { tree };
    // Options would bury the names. Hidden ones are offered where there is nothing else.
    let tree = match nothing_typed() {
        true => tree.mut_args(|arg| if arg.is_positional() { arg } else { arg.hide(true) }),
        false => tree,
    };
    let fits = fitting(tree.get_name());
    let pulls = matches!(tree.get_name(), "create" | "pull" | "run");
    let removes = tree.get_name() == "rm";
    let has_type = tree.get_arguments().any(|arg| arg.get_long() == Some("type"));
    let named = |arg: clap::Arg| {
        let value = arg.get_value_names().and_then(|names| names.first()).map(|name| name.to_string());
        match value.as_deref() {
            Some("CONTAINER") => arg.add(ArgValueCandidates::new(move || containers(fits))),
            Some("POD") => arg.add(ArgValueCandidates::new(pods)),
            Some("STAGE") => arg.add(ArgValueCandidates::new(stages::stages)),
            Some("IMAGE") if pulls => arg.add(ArgValueCompleter::new(images_anywhere)),
            Some("DESTINATION") => arg.add(ArgValueCompleter::new(images_anywhere)),
            Some("IMAGE" | "IMAGE|KEY=VALUE,...") => arg.add(ArgValueCompleter::new(images)),
            Some("LIST") => arg.add(ArgValueCompleter::new(lists)),
            Some("CONTAINER[:OPTIONS]") => arg.add(ArgValueCandidates::new(|| containers(None))),
            Some("[CONTAINER:]SOURCE" | "[CONTAINER:]TARGET") => {
                arg.add(ArgValueCompleter::new(|typed: &OsStr| or_path(typed, containers(None))))
            }
            Some("[SOURCE:]DEST[:OPTIONS]") => {
                arg.add(ArgValueCompleter::new(|typed: &OsStr| or_path(typed, directory("volumes"))))
            }
            Some("MODE") if !modes(arg.get_id().as_str()).is_empty() => {
                let words = modes(arg.get_id().as_str());
                let shared: fn() -> Vec<CompletionCandidate> =
                    if arg.get_id() == "network" { networks } else { Vec::new };
                arg.add(ArgValueCandidates::new(move || {
                    with_containers(words).into_iter().chain(shared()).collect()
                }))
            }
            // The built-in one cannot be removed.
            Some("NETWORK") if removes => arg.add(ArgValueCandidates::new(|| directory("networks"))),
            Some("NETWORK") => arg.add(ArgValueCandidates::new(networks)),
            Some("VOLUME") => arg.add(ArgValueCandidates::new(|| directory("volumes"))),
            Some("SECRET") => arg.add(ArgValueCandidates::new(|| directory("secrets"))),
            Some("NAME") if arg.is_positional() && has_type => arg.add(ArgValueCompleter::new(objects)),
            Some("NAME") if arg.is_positional() => arg.add(ArgValueCompleter::new(containers_and_images)),
            Some("DIR") => arg.value_hint(ValueHint::DirPath),
            Some("FILE") => arg.value_hint(ValueHint::FilePath),
            _ => arg,
        }
    };
    tree.mut_args(named).mut_subcommands(with_names)
}

/// Whether the word to be completed is empty, when this process is asked for candidates.
fn nothing_typed() -> bool {
    // The engine has taken VARIABLE out of the environment by now.
    if std::env::args_os().nth(1).is_none_or(|word| word != "--") {
        return false;
    }
    let words = typed_words();
    // fish says nothing: the last word is meant.
    let index = std::env::var("_CLAP_COMPLETE_INDEX").ok().and_then(|index| index.parse::<usize>().ok());
    words.get(index.unwrap_or(words.len().saturating_sub(1))).is_none_or(|word| word.is_empty())
}

/// The words of the command line that is being completed.
fn typed_words() -> Vec<OsString> {
    std::env::args_os().skip_while(|word| word != "--").skip(1).collect()
}

/// The values that an option takes besides `container:NAME`.
fn modes(option: &str) -> &'static [&'static str] {
    match option {
        "network" => &["none", "host", "slirp4netns", "pasta"],
        "pid" | "uts" | "cgroupns" => &["private", "host"],
        "ipc" => &["private", "none", "host"],
        "userns" => &["host", "keep-id", "nomap"],
        _ => &[],
    }
}

fn with_containers(words: &[&str]) -> Vec<CompletionCandidate> {
    let running = containers(Some(|status| status == Status::Running));
    let names = running.iter().map(|found| format!("container:{}", found.get_value().to_string_lossy()));
    words.iter().map(ToString::to_string).chain(names).map(CompletionCandidate::new).collect()
}

/// The networks that containers can share.
fn networks() -> Vec<CompletionCandidate> {
    let mut all = vec![CompletionCandidate::new(BUILT_IN)];
    all.extend(directory("networks"));
    all
}

/// The names of pods.
fn pods() -> Vec<CompletionCandidate> {
    let Some(store) = store() else { return Vec::new() };
    let mut names: Vec<String> =
        store.pods().list().unwrap_or_default().into_iter().map(|pod| pod.name.to_string()).collect();
    names.sort();
    names.into_iter().map(CompletionCandidate::new).collect()
}

/// Containers and images.
fn containers_and_images(typed: &OsStr) -> Vec<CompletionCandidate> {
    let mut all = beginning(typed, containers(None));
    all.extend(images(typed));
    all
}

/// What `inspect` can show: of the type that has been typed, or of all.
fn objects(typed: &OsStr) -> Vec<CompletionCandidate> {
    let words = typed_words();
    let kind = words.iter().skip_while(|word| *word != "-t" && *word != "--type").nth(1);
    match kind.and_then(|kind| kind.to_str()) {
        Some("container") => beginning(typed, containers(None)),
        Some("image") => images(typed),
        Some("volume") => beginning(typed, directory("volumes")),
        Some("network") => beginning(typed, networks()),
        Some("pod") => beginning(typed, pods()),
        _ => {
            let mut all = containers_and_images(typed);
            let others = [directory("volumes"), networks(), pods()];
            all.extend(beginning(typed, others.into_iter().flatten().collect()));
            all
        }
    }
}

/// Names that a colon and more follow, and paths.
fn or_path(typed: &OsStr, names: Vec<CompletionCandidate>) -> Vec<CompletionCandidate> {
    let open = names.into_iter().map(|found| {
        let mut value = found.get_value().to_owned();
        value.push(":");
        CompletionCandidate::new(value)
    });
    let mut all = beginning(typed, open.collect());
    all.extend(PathCompleter::any().complete(typed));
    all
}

fn beginning(typed: &OsStr, mut all: Vec<CompletionCandidate>) -> Vec<CompletionCandidate> {
    let typed = typed.as_encoded_bytes();
    all.retain(|found| found.get_value().as_encoded_bytes().starts_with(typed));
    all
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
    let Some(fits) = fits else { return containers_of_any_state() };
    let Some(store) = store() else { return Vec::new() };
    let mut listed = store.containers().list().unwrap_or_default();
    listed.retain(|container| fits(container.status));
    let mut names: Vec<String> = listed.into_iter().map(|container| container.name).collect();
    names.sort();
    names.into_iter().map(CompletionCandidate::new).collect()
}

/// The names of all containers, which pods have some of, too.
fn containers_of_any_state() -> Vec<CompletionCandidate> {
    let mut names = directory("names");
    if !directory("pods").is_empty() {
        let pods = pods();
        names.retain(|name| !pods.iter().any(|pod| pod.get_value() == name.get_value()));
    }
    names
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

/// The names of the images and lists as users type them: `alpine:latest`, and in full where a part of that is typed.
fn images(typed: &OsStr) -> Vec<CompletionCandidate> {
    named(typed, |store| store.images().list_with_lists().unwrap_or_default())
}

/// As [`images`], of lists only.
fn lists(typed: &OsStr) -> Vec<CompletionCandidate> {
    let lists = |store: &Store| store.images().lists().unwrap_or_default();
    named(typed, |store| lists(store).into_iter().map(|(_, listed)| listed).collect())
}

fn named(typed: &OsStr, all: impl FnOnce(&Store) -> Vec<Listed>) -> Vec<CompletionCandidate> {
    let listed = store().as_ref().map(all).unwrap_or_default();
    let full: Vec<String> = listed.iter().flat_map(|listed| &listed.names).map(ToString::to_string).collect();
    let short = full.iter().map(|full| {
        let short = full.strip_prefix("docker.io/library/").or_else(|| full.strip_prefix("docker.io/"));
        short.or_else(|| full.strip_prefix("localhost/")).unwrap_or(full).to_owned()
    });
    let mut names: Vec<String> = short.collect();
    if typed.as_encoded_bytes().contains(&b'/') {
        names.extend(full);
    }
    names.sort();
    names.dedup();
    beginning(typed, names.into_iter().map(CompletionCandidate::new).collect())
}

/// Images, and the places that transports name.
fn images_anywhere(typed: &OsStr) -> Vec<CompletionCandidate> {
    let mut all = images(typed);
    all.extend(transports::transports(typed));
    all
}

/// The environment implied by the incomplete command line, as far as it can be determined.
fn environment() -> Option<Env> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let mut options = GlobalOptions {
        root: variable("CORACLE_ROOT"),
        runroot: variable("CORACLE_RUNROOT"),
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
