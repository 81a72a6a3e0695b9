//! COPY and ADD: files of a context, a stage, an image or the Containerfile itself, and what ADD fetches.

use super::fetched::{self, Fetched};
use super::layer::on_root;
use super::step::Step;
use crate::build::files::{self, Destination, ModeChange, OwnerName, Select, Selection, Write};
use crate::build::job::Job;
use crate::build::language::{Add, Copy, Instruction, Word};
use crate::build::metadata::expand;
use crate::build::origin::{self, Found};
use crate::build::selected::{self, Stack};
use crate::build::state::{Layer, State};
use crate::build::surroundings::Surroundings;
use crate::build::wanted::Wanted;
use crate::error::{Error, Kind, Result};
use crate::storage::build::StepKind;
use serde::Serialize;
use std::os::fd::BorrowedFd;
use std::os::fd::RawFd;

/// Files to be copied.
#[derive(Debug)]
pub(in crate::build) struct Work {
    /// Whose files, and which; `None` where all come from elsewhere.
    selected: Option<(Found, Wanted)>,
    /// What was fetched from elsewhere.
    fetched: Vec<Fetched>,
    /// Files whose content is in the Containerfile: names and contents.
    inline: Vec<(String, String)>,
    how: How,
}

/// Where files go, and what they become.
#[derive(Debug, Clone, Serialize)]
struct How {
    /// Absolute; with a slash at its end it is a directory.
    destination: String,
    /// `--chown`, as written.
    chown: Option<String>,
    /// `--chmod`, as written.
    chmod: Option<String>,
    /// Whether what is there counts for nothing (`--link`).
    link: bool,
    /// Whether archives are unpacked.
    unpack: bool,
    /// Whether fetched ones are.
    unpack_fetched: bool,
    /// Whether the destination is a directory in any case: there are several sources.
    several: bool,
}

/// Prepares COPY; `None` when something it depends on is not known yet.
///
/// # Errors
/// Words that cannot be expanded, sources that do not exist.
pub(super) fn prepare_copy(
    job: &Job<'_>,
    state: &State,
    instruction: &Instruction,
    copy: &Copy,
    stage: usize,
    around: &mut dyn Surroundings,
) -> Result<Option<Step<Work>>> {
    prepare(job, state, instruction, copy, &Verb::default(), stage, around)
}

/// As [`prepare_copy`], for ADD.
///
/// # Errors
/// As there, and what cannot be fetched.
pub(super) fn prepare_add(
    job: &Job<'_>,
    state: &State,
    instruction: &Instruction,
    add: &Add,
    stage: usize,
    around: &mut dyn Surroundings,
) -> Result<Option<Step<Work>>> {
    let word = |word: &Word| expand(state, job.escape(), word).map_err(|why| job.fault(instruction.at, why));
    let verb = Verb {
        adds: true,
        unpack: add.unpack,
        how: fetched::How {
            checksum: add.checksum.as_ref().map(word).transpose()?.filter(|text| !text.is_empty()),
            keep_git_dir: add.keep_git_dir,
        },
    };
    prepare(job, state, instruction, &add.copy, &verb, stage, around)
}

/// What ADD has that COPY does not.
#[derive(Debug, Default)]
struct Verb {
    adds: bool,
    /// `--unpack`.
    unpack: Option<bool>,
    how: fetched::How,
}

fn prepare(
    job: &Job<'_>,
    state: &State,
    instruction: &Instruction,
    copy: &Copy,
    verb: &Verb,
    stage: usize,
    around: &mut dyn Surroundings,
) -> Result<Option<Step<Work>>> {
    let wrong = |why: String| job.fault(instruction.at, why);
    let word = |word: &Word| expand(state, job.escape(), word).map_err(wrong);
    let words = |list: &[Word]| list.iter().map(word).collect::<Result<Vec<String>>>();
    let sources = words(&copy.sources)?;
    let destination = word(&copy.destination)?;
    let from = copy.from.as_ref().map(|from| from.0.clone());
    if from.as_ref().is_some_and(|name| name.contains('$')) {
        let hint = "Give the image a stage of its own: FROM ${NAME} AS source, and --from=source.";
        return Err(wrong("variable expansion is not supported for --from".to_owned()).hint(hint));
    }
    let how = How {
        destination: absolute(state.working_directory(), &destination),
        chown: copy.chown.as_ref().map(word).transpose()?.filter(|text| !text.is_empty()),
        chmod: copy.chmod.as_ref().map(word).transpose()?.filter(|text| !text.is_empty()),
        link: copy.link,
        unpack: verb.adds && verb.unpack.unwrap_or(true),
        unpack_fetched: verb.unpack.unwrap_or(false),
        several: sources.len() + copy.inline.len() > 1,
    };
    if let Some(mode) = &how.chmod {
        mode.parse::<ModeChange>().map_err(|e| job.at(instruction.at, e))?;
    }
    let mut inline = Vec::new();
    for heredoc in &copy.inline {
        let content = heredoc.expanded(&|name| state.variable(name)).map_err(wrong)?;
        inline.push((heredoc.name.clone(), content));
    }
    let names = sources.iter().map(String::as_str).chain(inline.iter().map(|(name, _)| name.as_str()));
    let told: Vec<&str> = [if verb.adds { "ADD" } else { "COPY" }]
        .into_iter()
        .chain(names)
        .chain([destination.as_str(), "# buildkit"])
        .collect();
    let told = told.join(" ");
    let (mut local, mut fetched) = (Vec::new(), Vec::new());
    for source in sources {
        let remote =
            if verb.adds { fetched::remote(&source).map_err(|e| job.at(instruction.at, e))? } else { None };
        match remote {
            None if verb.how.checksum.is_some() => {
                return Err(wrong(format!(
                    "--checksum is for URLs and git repositories, and {source} is neither"
                )));
            }
            None => local.push(source),
            Some(_) if !around.works() => return Ok(None),
            Some(remote) => {
                let found = fetched::fetch(job, remote, &verb.how).map_err(|e| job.at(instruction.at, e))?;
                fetched.push(found);
            }
        }
    }
    let sources = local;
    let mut selected = None;
    let mut digest = None;
    if !sources.is_empty() {
        let Some(found) = origin::find(job, from.as_deref(), stage, around)? else { return Ok(None) };
        let wanted = Wanted {
            sources,
            how: Select {
                parents: copy.parents,
                exclude: words(&copy.exclude)?,
                allow_no_match: how.several,
            },
        };
        let known = selected::digest(job, &found, &wanted, around).map_err(|e| job.at(instruction.at, e))?;
        let Some(known) = known else { return Ok(None) };
        digest = Some(known);
        selected = Some((found, wanted));
    }
    let keys: Vec<String> = fetched.iter().map(Fetched::key).collect();
    let key = job.key("copy", &(state.files(), &digest, &inline, &how, keys));
    let kind =
        if matches!(&selected, Some((Found::Context(_), _))) { StepKind::Local } else { StepKind::Regular };
    let work = Work { selected, fetched, inline, how };
    Ok(Some(Step { key, told, kind, work }))
}

/// A path as seen from a directory. What its end says of it stays: `.` and a slash mean a directory.
fn absolute(below: &str, path: &str) -> String {
    let joined = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("{}/{path}", below.trim_end_matches('/'))
    };
    match path {
        "" | "." => format!("{}/", joined.trim_end_matches(['.', '/'])),
        _ => joined,
    }
}

/// Copies the files.
///
/// # Errors
/// A source that cannot be read, a destination that cannot be written.
pub(super) fn perform(job: &Job<'_>, state: &State, work: &Work) -> Result<Option<Layer>> {
    let fetched = work.fetched.iter().map(|one| one.here(job)).collect::<Result<Vec<_>>>()?;
    let fetched: Vec<&Fetched> =
        fetched.iter().zip(&work.fetched).map(|(here, one)| here.as_ref().unwrap_or(one)).collect();
    let own = fetched.iter().filter_map(|one| one.descriptor());
    let kept: Vec<RawFd> = job.contexts.descriptors().into_iter().chain(own).collect();
    on_root(job, state, &kept, |root| {
        let how = work.how.write(root)?;
        let to = Destination::new(root, "/", &work.how.destination);
        let to = if work.how.several { to.of_several() } else { to };
        if let Some((found, wanted)) = &work.selected {
            copy(job, found, wanted, &to, &how)?;
        }
        let unpack = Write { unpack: work.how.unpack_fetched, ..how.clone() };
        for fetched in &fetched {
            fetched.write(&to, &unpack)?;
        }
        for (name, content) in &work.inline {
            files::write_inline(&to, name, content.as_bytes(), &how)?;
        }
        Ok(())
    })
}

fn copy(job: &Job<'_>, found: &Found, wanted: &Wanted, to: &Destination<'_>, how: &Write) -> Result<()> {
    let stack;
    let laid_out;
    let tree = match found {
        Found::Context(name) => job.contexts.get(name.as_deref())?.tree(),
        Found::Layers(chain) => {
            stack = Stack::mount(job.store(), chain)?;
            laid_out = stack.tree()?;
            &laid_out
        }
    };
    let written = Selection::find(tree, &wanted.sources, &wanted.how)?.write(to, how)?;
    if written.changed {
        return Err(Error::new(
            Kind::Conflict,
            "a file of the build context was changed while it was copied",
        )
        .hint("Build again once nothing changes it: coracle build ."));
    }
    Ok(())
}

impl How {
    /// What becomes of files in a root, in whose files names of users are looked up.
    fn write(&self, root: BorrowedFd<'_>) -> Result<Write> {
        let owner = self.chown.as_ref().map(|text| text.parse::<OwnerName>()?.look_up(root)).transpose()?;
        let mode = self.chmod.as_ref().map(|text| text.parse()).transpose()?;
        Ok(Write { owner, mode, no_later_than: None, unpack: self.unpack, apart: self.link })
    }
}
