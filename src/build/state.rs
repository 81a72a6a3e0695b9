//! What a stage has come to: its files as a chain of layers, and its configuration.

use crate::image::{ChainId, DiffId, Digest, HistoryEntry, Image, ImageConfig, Platform};
use crate::plan::env::DEFAULT_PATH;
use crate::storage::blobs::SMALL_BLOB_MAX;
use serde::{Deserialize, Serialize};

/// Where a stage stands between two instructions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    /// The configuration so far; its layers are filled in at the end.
    pub config: ImageConfig,
    /// The layers, bottom first.
    pub layers: Vec<Layer>,
    /// The image that the lowest layers are of.
    pub base: Option<Digest>,
    /// Variables of ARG that are in force, in order.
    pub arguments: Vec<(String, Option<String>)>,
    /// Bytes that this build's instructions have added to its history.
    pub told: usize,
    /// Whether CMD was given in this stage: a later ENTRYPOINT leaves it.
    pub has_command: bool,
    /// The keys of the steps that led here, those of the stages below among them.
    pub steps: Vec<Digest>,
}

/// One layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Layer {
    /// Its place in the store.
    pub chain: ChainId,
    /// The digest of its archive.
    pub diff_id: DiffId,
    /// Bytes of its archive, if it was made by a build; `None` for one of the base image.
    pub archive: Option<u64>,
}

/// What history says made a step: programs look for it.
const COMMENT: &str = "buildkit.dockerfile.v0";

impl State {
    /// An empty root for a platform.
    pub(super) fn scratch(platform: &Platform) -> State {
        let config = ImageConfig {
            architecture: platform.architecture.clone(),
            os: platform.os.clone(),
            variant: platform.variant.clone(),
            ..ImageConfig::default()
        };
        State {
            config,
            layers: Vec::new(),
            base: None,
            arguments: Vec::new(),
            told: 0,
            has_command: false,
            steps: Vec::new(),
        }
    }

    /// What is in an image.
    pub(super) fn of_image(image: &Image) -> State {
        let layers = image.layers.iter().zip(&image.config.rootfs.diff_ids);
        let layers = layers
            .map(|(chain, diff_id)| Layer { chain: chain.clone(), diff_id: diff_id.clone(), archive: None })
            .collect();
        State {
            // What made it says nothing of what is made of it.
            config: ImageConfig { build_cache: None, ..image.config.clone() },
            layers,
            base: Some(image.id.clone()),
            arguments: Vec::new(),
            told: 0,
            has_command: false,
            steps: Vec::new(),
        }
    }

    /// What another stage has come to, as the beginning of a new one.
    #[must_use]
    pub(super) fn inherited(&self) -> State {
        let mut state = State { has_command: false, ..self.clone() };
        // What it leaves to others is done by then.
        state.config.config.on_build.clear();
        state
    }

    /// Sets PATH where an image has none, as builders do.
    pub(super) fn default_path(&mut self) {
        if self.environment("PATH").is_none() {
            self.config.config.env.push(DEFAULT_PATH.to_owned());
        }
    }

    /// The layers' places in the store, bottom first.
    pub(super) fn chain(&self) -> Vec<ChainId> {
        self.layers.iter().map(|layer| layer.chain.clone()).collect()
    }

    /// The topmost layer's place in the store.
    pub(super) fn top(&self) -> Option<&ChainId> {
        self.layers.last().map(|layer| &layer.chain)
    }

    /// The topmost layer: what all files are, in one name. `scratch` where there are none.
    pub(super) fn files(&self) -> &str {
        self.top().map_or("scratch", |top| top.0.as_str())
    }

    /// A variable as words see it: ENV before ARG.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        self.environment(name).map(str::to_owned).or_else(|| {
            let (_, value) = self.arguments.iter().rev().find(|(known, _)| known == name)?;
            value.clone()
        })
    }

    /// A variable of the environment.
    pub(super) fn environment(&self, name: &str) -> Option<&str> {
        let mut pairs = self.config.config.env.iter().filter_map(|entry| entry.split_once('='));
        pairs.find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Arguments that have a value and are not hidden by a variable of the environment, the last of each name.
    pub(super) fn visible_arguments(&self) -> Vec<(&str, &str)> {
        let mut seen: Vec<(&str, &str)> = Vec::new();
        for (name, value) in &self.arguments {
            seen.retain(|(known, _)| known != name);
            if let Some(value) = value
                && self.environment(name).is_none()
            {
                seen.push((name, value));
            }
        }
        seen
    }

    /// The command that stands before a line of the shell form.
    pub(super) fn shell(&self) -> Vec<String> {
        match self.config.config.shell.as_slice() {
            [] => vec!["/bin/sh".to_owned(), "-c".to_owned()],
            shell => shell.to_vec(),
        }
    }

    /// The working directory, absolute.
    pub(super) fn working_directory(&self) -> &str {
        match self.config.config.working_dir.as_str() {
            "" => "/",
            dir => dir,
        }
    }

    /// Notes a step that changed no files.
    pub(super) fn note(&mut self, created_by: String) {
        let created = self.config.history.last().and_then(|step| step.created.clone());
        self.tell(created_by, created.or_else(|| self.config.created.clone()), true);
    }

    /// Notes a step that may have changed files, with the layer it made, and when that was (RFC 3339).
    pub(super) fn add(&mut self, created_by: String, layer: Option<Layer>, created: String) {
        self.tell(created_by, Some(created), layer.is_none());
        self.layers.extend(layer);
    }

    /// Whether no image can have that much: everything that instructions set is in the history too.
    pub(super) fn is_too_large(&self) -> bool {
        self.told as u64 > SMALL_BLOB_MAX
    }

    /// Has history say of the steps after the first `of_base` that they made one layer, as podman's does: the last has
    /// it. With `all` it holds what those before made, too, and they are told no more.
    pub(super) fn history_of_one(&mut self, of_base: usize, all: bool, has_layer: bool) {
        let history = &mut self.config.history;
        let of_base = of_base.min(history.len());
        history.iter_mut().skip(of_base).for_each(|step| step.empty_layer = true);
        if all {
            history.drain(..of_base);
            if history.is_empty() {
                history.push(HistoryEntry::default());
            }
        }
        if let Some(last) = history.last_mut()
            && has_layer
        {
            last.empty_layer = false;
        }
    }

    fn tell(&mut self, created_by: String, created: Option<String>, empty_layer: bool) {
        self.told += created_by.len() + self.config.author.as_ref().map_or(0, String::len);
        self.config.history.push(HistoryEntry {
            created,
            created_by: Some(created_by),
            author: self.config.author.clone(),
            comment: Some(COMMENT.to_owned()),
            empty_layer,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_hides_arguments() {
        let mut state = State::scratch(&Platform::host());
        state.config.config.env = vec!["A=env".to_owned()];
        for (name, value) in [("A", Some("arg")), ("B", Some("1")), ("C", None), ("B", Some("2"))] {
            state.arguments.push((name.to_owned(), value.map(str::to_owned)));
        }
        assert_eq!(state.variable("A").as_deref(), Some("env"));
        assert_eq!(state.variable("B").as_deref(), Some("2"));
        assert_eq!(state.variable("C"), None);
        assert_eq!(state.visible_arguments(), [("B", "2")]);
    }

    #[test]
    fn steps_without_files_have_the_time_of_the_last_one() {
        let mut state = State::scratch(&Platform::host());
        state.note("ENV A=1".to_owned());
        state.add("RUN x".to_owned(), None, "2026-01-02T03:04:05Z".to_owned());
        state.note("CMD x".to_owned());
        let times: Vec<_> = state.config.history.iter().map(|step| step.created.as_deref()).collect();
        assert_eq!(times, [None, Some("2026-01-02T03:04:05Z"), Some("2026-01-02T03:04:05Z")]);
        assert!(state.config.history.iter().all(|step| step.empty_layer));
    }
}
