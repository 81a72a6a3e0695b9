//! Which pods a verb is for, and telling what became of their containers.

use crate::container::ContainerId;
use crate::engine::containers::id_file;
use crate::engine::pods::{self, ListedPod, PodOutcome, PodState};
use crate::error::{Error, FAILED, Kind, Result, phrases};
use crate::spec::{PodId, PodSpec};
use crate::storage::Store;
use crate::ui;
use std::path::PathBuf;
use std::process::ExitCode;

/// Pods by name or by one of the general choices.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct WhichArgs {
    /// Pods by name, id or beginning of an id
    #[arg(value_name = "POD")]
    pub pods: Vec<String>,
    /// All pods that the command applies to
    #[arg(short, long, help_heading = "Which pods")]
    pub all: bool,
    /// The latest pod
    #[arg(short, long, help_heading = "Which pods")]
    pub latest: bool,
}

/// Which pods, also by files with their ids.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct WhichWithFiles {
    /// Which pods.
    #[command(flatten)]
    pub which: WhichArgs,
    /// Read the id of a pod from this file; may be repeated
    #[arg(long, value_name = "FILE", help_heading = "Which pods")]
    pub pod_id_file: Vec<PathBuf>,
}

impl WhichArgs {
    /// The pods in the order given; `wanted` says which of them `--all` gives. As in podman, nothing is done to any if
    /// one of those that were named does not exist.
    ///
    /// # Errors
    /// `Usage` when nothing or too much was said; `NotFound`.
    pub fn chosen(
        &self,
        store: &Store,
        wanted: impl Fn(&ListedPod) -> bool,
    ) -> Result<Vec<(String, PodSpec)>> {
        self.with_files(store, &[], false, wanted)
    }

    fn with_files(
        &self,
        store: &Store,
        files: &[PathBuf],
        ignore: bool,
        wanted: impl Fn(&ListedPod) -> bool,
    ) -> Result<Vec<(String, PodSpec)>> {
        let with_id = |pod: PodSpec| (pod.id.to_string(), pod);
        Ok(match self.general(store, files)? {
            Some(mut list) => {
                list.retain(|pod| self.latest || wanted(pod));
                list.into_iter().map(|pod| with_id(pod.spec)).collect()
            }
            None => {
                let mut found = Vec::new();
                for name in self.names(files, ignore)? {
                    match store.pods().find(&name) {
                        Err(e) if ignore && e.kind() == Kind::NotFound => {}
                        // As in podman, which prints the id whatever was written.
                        pod => found.push(with_id(pod?)),
                    }
                }
                found
            }
        })
    }

    /// What a general choice gives; `None` where pods are named.
    fn general(&self, store: &Store, files: &[PathBuf]) -> Result<Option<Vec<ListedPod>>> {
        let named = !self.pods.is_empty() || !files.is_empty();
        let wrong = match (self.all, self.latest, named) {
            (true, _, true) => "no arguments are needed with --all",
            (_, true, true) => "no arguments are needed with --latest",
            (true, true, false) => "--all and --latest cannot be used together",
            (false, false, false) => {
                return Err(phrases::nothing_named("pod")
                    .hint("Give a name or id, or --all; list them with: coracle pod ps"));
            }
            (false, false, true) => return Ok(None),
            _ => "",
        };
        if !wrong.is_empty() {
            return Err(Error::new(Kind::Usage, wrong).hint("Give either names or one of the options."));
        }
        Ok(Some(match self.latest {
            true => vec![pods::listed(store, store.pods().latest()?)?],
            false => pods::list(store)?,
        }))
    }

    fn names(&self, files: &[PathBuf], ignore: bool) -> Result<Vec<String>> {
        let mut names = self.pods.clone();
        for file in files {
            match ignore {
                true => names.extend(id_file::read_if_there(file)?),
                false => names.push(id_file::read_of_pod(file)?),
            }
        }
        Ok(names)
    }
}

impl WhichWithFiles {
    /// As [`WhichArgs::chosen`]; with `ignore` without those that do not exist.
    ///
    /// # Errors
    /// As there.
    pub fn chosen(
        &self,
        store: &Store,
        ignore: bool,
        wanted: impl Fn(&ListedPod) -> bool,
    ) -> Result<Vec<(String, PodSpec)>> {
        self.which.with_files(store, &self.pod_id_file, ignore, wanted)
    }

    /// The ids of pods that are to be removed, whose records need not be readable, each by what was written.
    ///
    /// # Errors
    /// As there, but for `NotFound`, which is in the list.
    pub fn ids(&self, store: &Store, ignore: bool) -> Result<Vec<(String, Result<PodId>)>> {
        if let Some(list) = self.which.general(store, &self.pod_id_file)? {
            return Ok(list.into_iter().map(|pod| (pod.spec.id.to_string(), Ok(pod.spec.id))).collect());
        }
        let mut ids = Vec::new();
        for name in self.which.names(&self.pod_id_file, ignore)? {
            match store.pods().find_id(&name) {
                Err(e) if ignore && e.kind() == Kind::NotFound => {}
                found => ids.push((name, found)),
            }
        }
        Ok(ids)
    }
}

/// Whether some of a pod's containers run.
pub(super) fn runs(pod: &ListedPod) -> bool {
    matches!(pod.state, PodState::Running | PodState::Degraded)
}

/// Does `work` with each pod and prints its id, unless something went wrong with a container: then that is reported, and
/// the others go on.
///
/// # Errors
/// Of an only pod what `work` reports; that standard output is closed.
pub(super) fn each(
    pods: Vec<(String, PodSpec)>,
    mut work: impl FnMut(&PodSpec) -> Result<PodOutcome>,
) -> Result<ExitCode> {
    let mut failed = false;
    let code = ui::each(pods, |(line, pod)| {
        let outcome = work(&pod)?;
        ui::warn(&outcome.warnings);
        if outcome.failures.is_empty() {
            return Ok(Some(line));
        }
        failed = true;
        outcome.failures.into_iter().for_each(|(id, error)| ui::report(&of_container(&id, error)));
        Ok(None)
    })?;
    Ok(if failed { ExitCode::from(FAILED) } else { code })
}

/// A failure with the container that it is about.
fn of_container(id: &ContainerId, error: Error) -> Error {
    Error::new(error.kind(), format!("container {}", id.short())).caused_by(error)
}
