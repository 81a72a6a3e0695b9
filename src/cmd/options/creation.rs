//! The engine requests of verbs that create a container.

use super::container::CreationArgs;
use super::request::Origin;
use crate::engine::containers::{CreateRequest, IdFile};
use crate::error::Result;
use crate::host::Caller;
use crate::ui;

/// The request that options and words, the image's name first, come to. The container is not started.
///
/// # Errors
/// Anything that is wrong with them.
pub fn wanted(container: CreationArgs, words: Vec<String>, caller: &Caller) -> Result<CreateRequest> {
    let mut words = words.into_iter();
    let first = words.next().unwrap_or_default();
    let origin = container.origin(&first)?;
    let pod = super::pods::wish(&container);
    let image = match &origin {
        Origin::Image(name) => Some((name.clone(), container.image.source.wanted(container.image.pull)?)),
        Origin::Rootfs(_) => None,
    };
    let cidfile = container.identity.cidfile.clone().map(|path| IdFile { path, is_podmans: !ui::docker() });
    let replace = container.identity.replace;
    let requires = container.lifecycle.requires.clone();
    let command_line = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let request = container.into_request(&origin, words.collect(), caller, command_line)?;
    Ok(CreateRequest { request, image, pod, requires, cidfile, replace, start: false })
}
