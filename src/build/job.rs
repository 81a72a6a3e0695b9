//! What stays the same from a build's beginning to its end.

use super::agents::Agents;
use super::contexts::Contexts;
use super::found::Cache;
use super::graph::Graph;
use super::key;
use super::language::{self, Containerfile, Lines};
use super::request::BuildRequest;
use super::scope::Scope;
use crate::engine::Engine;
use crate::engine::images::pull::{Message, PullPolicy, Wanted, is_for};
use crate::error::{Error, Kind, Result};
use crate::host::Caller;
use crate::image::{Digest, Image, Platform};
use crate::plan::env::PROXY;
use crate::registry::PullRequest;
use crate::storage::Store;
use crate::storage::build::RunningBuild;
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::cell::RefCell;

/// A build.
#[derive(Debug)]
pub(super) struct Job<'a> {
    /// Where images come from and go to.
    pub engine: Engine<'a>,
    /// What was asked for.
    pub request: &'a BuildRequest,
    /// Who asks.
    pub caller: &'a Caller,
    /// The file.
    pub file: Containerfile,
    /// Its stages.
    pub graph: Graph,
    /// What ARG means.
    pub scope: Scope,
    /// What it is built for.
    pub platform: Platform,
    /// What its steps are called after, if others are built besides.
    pub label: Option<String>,
    /// Where COPY and ADD take files from.
    pub contexts: Contexts,
    /// The agents of `--ssh`.
    pub agents: Agents,
    /// The images that were looked for.
    pub bases: RefCell<Vec<Image>>,
    /// The caches in other places that were found.
    pub caches: RefCell<Vec<Cache>>,
    /// Keeps what it needs from being removed.
    pub running: RunningBuild,
}

impl Job<'_> {
    /// The store.
    pub(super) fn store(&self) -> &Store {
        self.engine.store
    }

    /// The escape character.
    pub(super) fn escape(&self) -> char {
        self.file.directives.escape
    }

    /// A failure of what is written at these lines.
    pub(super) fn fault(&self, at: Lines, why: impl Into<String>) -> Error {
        self.file.source.error(at, why)
    }

    /// Whether a result of then may still be used.
    pub(super) fn is_fresh(&self, created: DateTime<Utc>) -> bool {
        let most = self.request.cache.max_age.and_then(|seconds| i64::try_from(seconds).ok());
        most.is_none_or(|seconds| (Utc::now() - created).num_seconds() < seconds)
    }

    /// The time that everything in the image has, if one was asked for.
    pub(super) fn time(&self) -> Option<DateTime<Utc>> {
        self.request.times.of_image().and_then(|seconds| DateTime::from_timestamp(seconds, 0))
    }

    /// The key of a step of this kind that depends on these values, and on the times that files are given.
    pub(super) fn key(&self, kind: &str, values: &impl Serialize) -> Digest {
        let times = &self.request.times;
        key::of(kind, &(values, times.all, times.image.filter(|_| times.rewrite)))
    }

    /// Proxy settings that RUN has and nobody else: of the command line, then the caller's own.
    pub(super) fn proxies(&self) -> Vec<String> {
        let mut all: Vec<String> =
            self.scope.proxies().into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        if self.request.run.proxies.proxy {
            let own = self.caller.env.iter().filter(|(name, _)| PROXY.contains(&name.as_str()));
            let given = |name: &str| self.scope.proxies().iter().any(|(known, _)| *known == name);
            all.extend(own.filter(|(name, _)| !given(name)).map(|(name, value)| format!("{name}={value}")));
        }
        all
    }

    /// The platform that a stage asks for, with all that it takes images for.
    pub(super) fn platform_of(&self, stage: usize) -> Option<&Platform> {
        self.graph.nodes.get(stage)?.platform.as_ref()
    }

    /// The platform of images: that of the stage, or that of the build, if it was asked for. Without either any will do.
    fn wanted(&self, of_stage: Option<&Platform>) -> Option<Platform> {
        let of_build = Some(&self.platform).filter(|_| !self.request.platforms.is_empty());
        of_stage.or(of_build).cloned()
    }

    /// An image, pulled if the request says so; for a stage that asks for a platform of its own, or for the build's.
    ///
    /// # Errors
    /// When it cannot be had.
    pub(super) fn image(
        &self,
        name: &str,
        of_stage: Option<&Platform>,
        report: &mut dyn FnMut(Message),
    ) -> Result<Image> {
        let platform = self.wanted(of_stage);
        let request = PullRequest {
            platform: platform.clone().unwrap_or_else(Platform::host),
            ..self.request.registry_of(name.parse().ok().as_ref())
        };
        let wanted = Wanted { policy: self.request.pull, platform, request };
        let image = self
            .engine
            .ensure(name, &wanted, report)
            .map_err(|e| self.not_had(name, wanted.platform.as_ref(), e))?;
        // Somebody may remove it before this says that it is needed.
        let kept = |image: &Image| self.running.needs_image(&self.store().shared()?, image);
        let image = match kept(&image) {
            Err(error) if error.kind() == Kind::NotFound => {
                let again = self.engine.ensure(name, &wanted, report)?;
                kept(&again)?;
                again
            }
            other => other.map(|()| image)?,
        };
        self.bases.borrow_mut().push(image.clone());
        Ok(image)
    }

    /// The failure to get an image, with what may have been meant.
    fn not_had(&self, name: &str, wanted: Option<&Platform>, error: Error) -> Error {
        let kind = error.kind();
        let error = match error.names_image() {
            true => error,
            // BuildKit's words.
            false => Error::new(kind, format!("{name}: failed to resolve source metadata")).caused_by(error),
        };
        let stages = self.file.stages.iter().filter_map(|stage| stage.name.as_deref());
        if let Some(stage) = language::nearest(name, stages) {
            return error.hint(format!("No stage is called {name}. Did you mean {stage}?"));
        }
        let here = self.store().images().find(name).ok().flatten();
        let Some(image) = here.filter(|image| wanted.is_some_and(|wanted| !is_for(image, wanted))) else {
            return error;
        };
        let config = &image.config;
        error.hint(format!(
            "{name} is here for another platform. Build for that: coracle build --platform {}/{} DIR",
            config.os, config.architecture
        ))
    }

    /// The image that a stage stands on, whose record may have been removed meanwhile.
    ///
    /// # Errors
    /// When it is none of this build.
    pub(super) fn base(&self, id: &Digest) -> Result<Image> {
        match self.bases.borrow().iter().find(|image| image.id == *id) {
            Some(image) => Ok(image.clone()),
            None => self.store().images().need(id.as_str()),
        }
    }

    /// As [`Job::image`], if it need not be pulled.
    ///
    /// # Errors
    /// When a record is damaged.
    pub(super) fn image_here(&self, name: &str, of_stage: Option<&Platform>) -> Result<Option<Image>> {
        match self.request.pull {
            PullPolicy::Missing | PullPolicy::Never => {
                let wanted = self.wanted(of_stage);
                let fits = |image: &Image| wanted.as_ref().is_none_or(|wanted| is_for(image, wanted));
                match self.store().images().find(name)?.filter(fits) {
                    Some(_) => self.image(name, of_stage, &mut |_| {}).map(Some),
                    None => Ok(None),
                }
            }
            PullPolicy::Always | PullPolicy::Newer => Ok(None),
        }
    }

    /// As [`Job::at`], with a caret below a word of the first line, if it stands there as it is.
    pub(super) fn at_word(&self, at: Lines, word: &str, error: Error) -> Error {
        error.excerpt(language::excerpt_of_word(&self.file.source, at, word))
    }

    /// A failure of the step at these lines.
    pub(super) fn at(&self, at: Lines, error: Error) -> Error {
        error.excerpt(language::excerpt(&self.file.source, at, None))
    }
}
