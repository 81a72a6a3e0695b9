//! Which images are newer than those that containers run. Each is looked for once.

use crate::engine::Engine;
use crate::engine::images::pull::{Message, PullPolicy, Wanted};
use crate::error::Result;
use crate::image::{Digest, Image, Platform, Reference};
use crate::registry::PullRequest;
use crate::spec::ImageSource;
use std::path::PathBuf;

/// What there is besides the image that a container runs.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Newer {
    /// Nothing.
    None,
    /// Another one in its registry.
    InRegistry,
    /// Another one, which is here.
    Image(Box<Image>),
}

/// The answers that registries have given.
pub(super) struct Newest<'a> {
    engine: Engine<'a>,
    /// Nothing is pulled.
    ask_only: bool,
    asked: Vec<(Question, Answer)>,
}

/// What an answer depends on.
#[derive(Debug, Clone, PartialEq)]
struct Question {
    name: Reference,
    platform: Platform,
    auth_file: Option<PathBuf>,
}

#[derive(Debug, Clone)]
struct Answer {
    digest: Digest,
    pulled: Option<Image>,
}

impl<'a> Newest<'a> {
    /// None yet.
    pub(super) fn new(engine: Engine<'a>, ask_only: bool) -> Newest<'a> {
        Newest { engine, ask_only, asked: Vec::new() }
    }

    /// What the name means in this store by now.
    ///
    /// # Errors
    /// When a record is damaged.
    pub(super) fn in_store(&self, name: &Reference, runs: &ImageSource) -> Result<Newer> {
        let meant = self.engine.store.images().find_reference(name)?;
        Ok(meant
            .filter(|meant| meant.id != runs.id)
            .map_or(Newer::None, |meant| Newer::Image(Box::new(meant))))
    }

    /// What the name means in its registry, pulled if need be and wanted.
    ///
    /// # Errors
    /// When the registry cannot be asked, or the image cannot be pulled.
    pub(super) fn in_registry(
        &mut self,
        name: &Reference,
        runs: &ImageSource,
        request: PullRequest,
        report: &mut dyn FnMut(Message),
    ) -> Result<Newer> {
        let question = Question {
            name: name.clone(),
            platform: request.platform.clone(),
            auth_file: request.auth_file.clone(),
        };
        let at = match self.asked.iter().position(|(asked, _)| *asked == question) {
            Some(at) => at,
            None => {
                let digest = self.engine.digest_in_registry(name, &request, report)?;
                self.asked.push((question, Answer { digest, pulled: None }));
                self.asked.len() - 1
            }
        };
        let (_, answer) = &mut self.asked[at];
        // An image may be in the registry in several forms, all of which are the same image.
        let form = name.with_digest(answer.digest.clone());
        let is_known = || -> Result<bool> {
            let known = self.engine.store.images().find_reference(&form)?;
            Ok(known.is_some_and(|known| known.id == runs.id))
        };
        if answer.digest == runs.manifest || is_known()? {
            return Ok(Newer::None);
        }
        if self.ask_only {
            return Ok(Newer::InRegistry);
        }
        let image = match &answer.pulled {
            Some(image) => image.clone(),
            None => {
                let wanted = Wanted { policy: PullPolicy::Always, platform: None, request };
                let image = self.engine.ensure(&name.to_string(), &wanted, report)?;
                answer.pulled = Some(image.clone());
                image
            }
        };
        Ok(if image.id == runs.id { Newer::None } else { Newer::Image(Box::new(image)) })
    }
}
