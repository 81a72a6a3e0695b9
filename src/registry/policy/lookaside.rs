//! Where signatures are kept: `registries.d` (containers-registries.d(5)).

use crate::error::{Error, Kind, Result};
use crate::image::Reference;
use crate::registry::places::Places;
use crate::sys::read::{self, Look};
use crate::text::from_yaml;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// All files of a directory, merged.
#[derive(Debug, Clone, Default)]
pub struct Lookasides {
    default: Option<Section>,
    scopes: BTreeMap<String, Section>,
    /// Where signatures are looked for that nothing is configured for.
    usual: Option<String>,
}

/// What is known of one image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lookaside {
    /// The URL below which signatures by GPG are.
    pub store: Option<String>,
    /// Sigstore signatures are in the image's own repository, and may be looked for there.
    pub attachments: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    #[serde(rename = "default-docker")]
    default: Option<Section>,
    docker: BTreeMap<String, Section>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Section {
    #[serde(alias = "sigstore")]
    lookaside: Option<String>,
    /// Where to write, which is not done here.
    #[serde(alias = "sigstore-staging")]
    lookaside_staging: Option<String>,
    use_sigstore_attachments: Option<bool>,
}

impl Lookasides {
    /// Reads the user's directory or, if there is none, the administrator's.
    ///
    /// # Errors
    /// A file that cannot be read or has a bad form; a scope that is in two files.
    pub fn load(places: &Places) -> Result<Lookasides> {
        let user = places.user.join("registries.d");
        let dir = if user.symlink_metadata().is_ok() { user } else { places.system.join("registries.d") };
        let usual = places.data.as_ref().map(|data| format!("file://{}/sigstore", data.display()));
        let mut merged = Lookasides { usual, ..Lookasides::default() };
        for path in files(&dir)? {
            let bad = |why: String| Error::new(Kind::Usage, format!("{}: {why}", path.display()));
            let text = read::settings(&path).map_err(|e| bad("read it".to_owned()).caused_by(e))?;
            let value = from_yaml(&String::from_utf8_lossy(&text)).map_err(bad)?;
            if value.is_null() {
                continue;
            }
            let file: File = serde_json::from_value(value).map_err(|e| bad(e.to_string()))?;
            if file.default.is_some() && merged.default.is_some() {
                return Err(bad("default-docker is in another file, too".to_owned()));
            }
            merged.default = file.default.or(merged.default);
            for (scope, section) in file.docker {
                if merged.scopes.contains_key(&scope) {
                    return Err(bad(format!("{scope} is in another file, too")));
                }
                merged.scopes.insert(scope, section);
            }
        }
        Ok(merged)
    }

    /// What counts for an image: for each setting the most specific scope that has it.
    pub fn of(&self, image: &Reference) -> Lookaside {
        let mut names = vec![match image.digest() {
            Some(digest) => format!("{}@{}", image.repository(), digest.as_str()),
            None => image.canonical(),
        }];
        let repository = image.repository();
        names.extend(parents(&repository).map(str::to_owned));
        let found = self.first(names.iter().map(String::as_str));
        Lookaside { store: found.store.or(self.usual.clone()), ..found }
    }

    /// What counts for a scope of a policy; the empty one is that of all.
    pub fn of_scope(&self, scope: &str) -> Lookaside {
        self.first(parents(scope))
    }

    fn first<'a>(&self, names: impl Iterator<Item = &'a str> + Clone) -> Lookaside {
        let sections = || names.clone().filter_map(|name| self.scopes.get(name)).chain(&self.default);
        Lookaside {
            store: sections().find_map(|section| section.lookaside.clone()),
            attachments: sections().find_map(|section| section.use_sigstore_attachments).unwrap_or_default(),
        }
    }
}

/// A name and the namespaces it is in.
fn parents(name: &str) -> impl Iterator<Item = &str> + Clone {
    std::iter::successors(Some(name), |name| name.rsplit_once('/').map(|(parent, _)| parent))
}

fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound && read::look(dir) == Look::Missing => {
            return Ok(Vec::new());
        }
        Err(e) => return Err(Error::new(Kind::Usage, format!("read {}", dir.display())).caused_by(e)),
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(files: &[(&str, &str)]) -> Result<Lookasides> {
        let dir = tempfile::tempdir().unwrap();
        let registries = dir.path().join("registries.d");
        std::fs::create_dir(&registries).unwrap();
        for (name, text) in files {
            std::fs::write(registries.join(name), text).unwrap();
        }
        Lookasides::load(&Places { user: dir.path().to_owned(), ..Places::default() })
    }

    #[test]
    fn the_most_specific_scope_has_each_setting() {
        let found = load(&[
            ("a.yaml", "default-docker:\n  lookaside: file:///d\n  use-sigstore-attachments: true\n"),
            ("b.yaml", "docker:\n  r.io:\n    sigstore: https://r.io/s\n  r.io/x:\n    use-sigstore-attachments: false\n"),
            ("c.txt", "no: ["),
            ("d.yaml", "# nothing but a remark\n"),
        ])
        .unwrap();
        let of = |text: &str| {
            let found = found.of(&text.parse().unwrap());
            (found.store.unwrap(), found.attachments)
        };
        assert_eq!(of("r.io/x/y:1"), ("https://r.io/s".to_owned(), false));
        assert_eq!(of("r.io/xy:1"), ("https://r.io/s".to_owned(), true));
        assert_eq!(of("s.io/x"), ("file:///d".to_owned(), true));
        assert_eq!(found.of_scope("").store.as_deref(), Some("file:///d"));
        assert_eq!(load(&[]).unwrap().of_scope("r.io"), Lookaside::default());
    }

    #[test]
    fn malformed_files_are_refused() {
        let twice = "docker:\n  r.io:\n    lookaside: file:///a\n";
        assert!(load(&[("a.yaml", twice), ("b.yaml", twice)]).is_err());
        for bad in ["docker: [", "dokcer:\n  r.io: {}\n", "docker:\n  r.io:\n    lokaside: x\n"] {
            assert!(load(&[("a.yaml", bad)]).is_err(), "{bad}");
        }
    }
}
