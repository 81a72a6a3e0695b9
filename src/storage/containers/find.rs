//! Finding a container by name or id.

use super::{ContainerDir, Containers, not_found, words};
use crate::container::{ContainerId, ContainerName, Name};
use crate::error::{Context, Error, Kind, Result, phrases};
use crate::spec::PodId;
use crate::storage::pod_place;

impl Containers {
    /// Finds a container by full id, name or unique beginning of an id, in this order; a slash in front is passed over.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when several ids begin like that.
    pub fn find(&self, text: &str) -> Result<ContainerDir> {
        let (text, typed) = (ContainerName::bare(text), text);
        if let Ok(id) = text.parse::<ContainerId>() {
            return self.open(&id);
        }
        if let Ok(name) = text.parse::<Name>()
            && let Some(id) = self.by_name(&name)
        {
            match self.open(&id) {
                Err(e) if e.kind() == Kind::NotFound => {}
                other => return other,
            }
        }
        let hex = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        let mut matching = if hex { self.ids()? } else { Vec::new() };
        matching.retain(|id| id.as_str().starts_with(text));
        match matching.as_slice() {
            [] if self.is_pod(text) => Err(phrases::no_container(typed)
                .hint(format!("It is a pod. See its containers: coracle ps -a --filter pod={text}; what can be done with pods: coracle pod --help"))),
            [] => Err(not_found(typed)),
            [id] => self.open(id),
            several => Err(Error::new(
                Kind::Conflict,
                format!("{} container ids begin with {text:?}", several.len()),
            )
            .hint("Give more digits; list them with: coracle ps -a --no-trunc")),
        }
    }

    /// Whether it is the name of a pod, or its id.
    fn is_pod(&self, text: &str) -> bool {
        let id = text.parse::<PodId>().ok();
        id.is_some_and(|id| pod_place::is_there(&self.data, &id).unwrap_or(false))
            || text.parse::<Name>().is_ok_and(|name| self.is_name_of_pod(&name).unwrap_or(false))
    }

    /// A random name that no container has at the moment; [`Containers::create`] decides.
    ///
    /// # Errors
    /// When the kernel has no random bytes or hundreds of attempts met names in use.
    pub fn unused_name(&self) -> Result<Name> {
        for attempt in 0..500 {
            let Some(name) = words::random_name(attempt).context(Kind::Host, || "make a container name")?
            else {
                continue;
            };
            if self.by_name(&name).is_none() && self.pod_by_name(&name).is_none() {
                return Ok(name);
            }
        }
        Err(Error::new(Kind::Conflict, "no free container name was found")
            .hint("Give one: coracle run --name NAME ..."))
    }
}
