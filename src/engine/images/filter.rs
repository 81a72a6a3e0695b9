//! Conditions on images: `--filter KEY=VALUE` and `KEY!=VALUE`.

use crate::engine::filter::{Condition, Label};
use crate::error::{Error, Kind, Result, phrases};
use crate::image::Reference;
use crate::storage::Store;
use crate::storage::images::Listed;
use crate::text::glob;
use crate::text::time::moment;
use chrono::{DateTime, Utc};

const HINT: &str = "Write key=value or key!=value with one of the keys id, digest, reference, label, dangling, \
    before, since, until, containers, readonly, intermediate or manifest.";

/// Conditions that all must hold, but that those on ids and references are alternatives among
/// themselves.
#[derive(Debug)]
pub struct Filters(Vec<Filter>);

#[derive(Debug)]
struct Filter {
    what: What,
    /// Whether the condition must not hold.
    not: bool,
}

#[derive(Debug)]
enum What {
    Id(String),
    Digest(String),
    Reference(String),
    Label(Label),
    Dangling(bool),
    Before(DateTime<Utc>),
    Since(DateTime<Utc>),
    Containers(bool),
    ReadOnly(bool),
    List(bool),
    /// Known to podman, and the same for every image here.
    Always(bool),
}

impl Filters {
    /// Reads conditions; images they name are looked up.
    ///
    /// # Errors
    /// `Usage` when a key is unknown or a value is not one of its kind; `NotFound` when an image is not here.
    pub fn parse(texts: &[String], store: &Store) -> Result<Filters> {
        texts.iter().map(|text| one(text, store)).collect::<Result<_>>().map(Filters)
    }

    /// The value of a condition that is true or false.
    ///
    /// # Errors
    /// `Usage` when it is neither.
    pub fn boolean(text: &str) -> Result<bool> {
        Condition::parse(text, HINT)?.boolean()
    }

    /// Whether all conditions hold, except for those on names and containers.
    pub fn accepts(&self, image: &Listed) -> bool {
        self.0.iter().all(|filter| filter.holds(image))
    }

    /// Whether a condition asks for the containers of an image.
    pub fn asks_containers(&self) -> bool {
        self.0.iter().any(|f| matches!(f.what, What::Containers(_)))
    }

    /// The names under which an image is listed; `None` if it is not listed.
    ///
    /// # Errors
    /// When the containers cannot be listed.
    pub fn names<'a>(&self, image: &'a Listed, store: &Store) -> Result<Option<Vec<&'a Reference>>> {
        let is_id = |f: &&Filter| matches!(f.what, What::Id(_));
        let ids: Vec<&Filter> = self.0.iter().filter(is_id).collect();
        if !ids.is_empty() && !ids.iter().any(|f| f.holds(image)) {
            return Ok(None);
        }
        for filter in self.0.iter().filter(|f| !matches!(f.what, What::Id(_) | What::Reference(_))) {
            let holds = match filter.what {
                What::Containers(wanted) => {
                    (store.images().users(&image.image.id)?.is_empty() != wanted) != filter.not
                }
                _ => filter.holds(image),
            };
            if !holds {
                return Ok(None);
            }
        }
        let patterns: Vec<&Filter> = self.0.iter().filter(|f| matches!(f.what, What::Reference(_))).collect();
        if patterns.is_empty() {
            return Ok(Some(image.names.iter().collect()));
        }
        let names: Vec<&Reference> =
            image.names.iter().filter(|name| patterns.iter().any(|f| f.names(name))).collect();
        Ok((!names.is_empty()).then_some(names))
    }
}

impl Filter {
    fn holds(&self, image: &Listed) -> bool {
        let holds = match &self.what {
            What::Id(prefix) => {
                let prefix = prefix.strip_prefix("sha256:").unwrap_or(prefix);
                image.image.id.hex().starts_with(prefix)
            }
            What::Digest(prefix) => {
                let named = image.digests.iter().filter_map(|digest| digest.split_once('@'));
                let mut all = named.map(|(_, digest)| digest).chain([image.image.manifest.as_str()]);
                all.any(|digest| digest.starts_with(prefix.as_str()))
            }
            What::Reference(_) | What::Containers(_) => true,
            What::Label(label) => label.is_in(&image.image.labels),
            What::Dangling(wanted) => image.is_dangling() == *wanted,
            What::Before(moment) => image.created < *moment,
            What::Since(moment) => image.created > *moment,
            What::ReadOnly(wanted) => image.read_only == *wanted,
            What::List(wanted) => image.is_list == *wanted,
            What::Always(answer) => *answer,
        };
        holds != self.not
    }

    fn names(&self, name: &Reference) -> bool {
        match &self.what {
            What::Reference(pattern) => matches_name(pattern, name) != self.not,
            _ => true,
        }
    }
}

fn one(text: &str, store: &Store) -> Result<Filter> {
    if !text.contains('=') {
        return Err(phrases::image_filter_without_value(text).hint(HINT));
    }
    let mut condition = Condition::parse(text, HINT)?;
    let value = condition.value;
    let not = condition.key.ends_with('!');
    condition.key = condition.key.strip_suffix('!').unwrap_or(condition.key);
    let created = || -> Result<DateTime<Utc>> {
        let unknown = || {
            Error::new(Kind::NotFound, format!("invalid filter {text:?}")).caused_by(phrases::no_image(value))
        };
        let image = store.images().find_any(value)?.ok_or_else(unknown)?;
        let all = store.images().list_with_lists()?;
        let found = all.into_iter().find(|l| l.image.id == *image.id());
        found.map(|l| l.created).ok_or_else(unknown)
    };
    let what = match condition.key {
        "id" => What::Id(value.to_owned()),
        "reference" => What::Reference(value.to_owned()),
        "label" => What::Label(condition.label()),
        "dangling" => What::Dangling(condition.boolean()?),
        "before" => What::Before(created()?),
        "since" | "after" => What::Since(created()?),
        "until" => What::Before(moment(value)?),
        "digest" => What::Digest(value.to_owned()),
        // The store has no containers of other tools.
        "containers" if value == "external" => What::Always(false),
        "containers" => What::Containers(condition.boolean()?),
        "readonly" => What::ReadOnly(condition.boolean()?),
        "manifest" => What::List(condition.boolean()?),
        // There are no images of build steps in the store.
        "intermediate" => What::Always(!condition.boolean()?),
        _ => return Err(condition.unknown_key()),
    };
    Ok(Filter { what, not })
}

/// Whether a pattern means this name: the name, or what is left of it without registry, directories or
/// tag.
fn matches_name(pattern: &str, name: &Reference) -> bool {
    let repository = name.repository();
    let tag = name.tag_or_latest().map(|tag| format!(":{tag}"));
    let digest = name.digest().map(|digest| format!("@{digest}"));
    let starts = std::iter::once(0).chain(repository.match_indices('/').map(|(at, _)| at + 1));
    starts.map(|at| &repository[at..]).any(|part| {
        let with =
            |end: &Option<String>| end.as_ref().is_some_and(|end| glob(pattern, &format!("{part}{end}")));
        glob(pattern, part) || with(&tag) || with(&digest)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_names_and_their_ends() {
        let name: Reference = "quay.io/team/app:1.2".parse().unwrap();
        for yes in [
            "app",
            "app:1.2",
            "team/app",
            "quay.io/team/app:1.2",
            "a*",
            "*:1.*",
            "*/app",
            "ap[o-q]",
            "app:?.2",
        ] {
            assert!(matches_name(yes, &name), "{yes}");
        }
        for no in ["ap", "app:1", "*/app:2", "quay.io/*", "team", "[^a]pp", "app:", "pp"] {
            assert!(!matches_name(no, &name), "{no}");
        }
    }
}
