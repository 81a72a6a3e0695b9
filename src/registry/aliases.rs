//! Short names that somebody has chosen the registry of: `short-name-aliases.conf`, which podman shares
//! (containers-registries.conf(5)).

use super::places::Places;
use super::rewrite::rewrite;
use crate::error::{Error, Kind, Result};
use crate::sys::read;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::ErrorKind;

#[derive(Debug, Default, Deserialize)]
struct File {
    #[serde(default)]
    aliases: BTreeMap<String, String>,
}

/// A choice: the short name without tag, and the repository that it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Alias {
    pub short: String,
    pub repository: String,
}

impl Alias {
    /// Notes it, so that nobody is asked again.
    ///
    /// # Errors
    /// The file cannot be read or replaced.
    pub(super) fn keep(&self, places: &Places) -> Result<()> {
        let Some(path) = places.short_names() else { return Ok(()) };
        let changed = rewrite(&path, "short-name aliases config file", |path| {
            let text = match read::settings(path) {
                Ok(text) => text,
                Err(e) if e.kind() == ErrorKind::NotFound => Vec::new(),
                Err(e) => {
                    return Err(Error::new(Kind::Usage, format!("read {}", path.display())).caused_by(e));
                }
            };
            let mut file: File = toml::from_slice(&text).map_err(|e| {
                Error::new(Kind::Usage, format!("loading {}: {}", path.display(), e.message()))
            })?;
            let before = file.aliases.insert(self.short.clone(), self.repository.clone());
            Ok((before.as_ref() != Some(&self.repository)).then(|| printed(&file.aliases)))
        });
        changed.map(drop)
    }
}

fn printed(aliases: &BTreeMap<String, String>) -> String {
    let mut text = "[aliases]\n".to_owned();
    for (short, full) in aliases {
        // Names have no characters that would need more than quotes; what else stands there is escaped as in Rust.
        text.push_str(&format!("  {short:?} = {full:?}\n"));
    }
    text
}
