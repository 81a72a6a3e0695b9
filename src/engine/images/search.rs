//! Searching registries.

use crate::engine::Engine;
use crate::error::{Error, Kind, Result};
use crate::fork;
use crate::registry::{self, PullRequest, Search};
use crate::text::boolean;

pub use crate::registry::{Found, Hit};

/// Conditions on what is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Filters {
    stars: u64,
    official: Option<bool>,
    automated: Option<bool>,
}

impl Filters {
    /// Reads conditions: `stars=N`, `is-official[=BOOL]`, `is-automated[=BOOL]`.
    ///
    /// # Errors
    /// [`Kind::Usage`] for anything else.
    pub fn parse(texts: &[String]) -> Result<Filters> {
        let mut filters = Filters::default();
        for text in texts {
            let (key, value) = match text.split_once('=') {
                Some((key, value)) => (key, Some(value)),
                None => (text.as_str(), None),
            };
            let bad = |wanted: &str| {
                Error::new(Kind::Usage, format!("invalid filter {text:?}, should be {wanted}"))
            };
            let truth = || match value {
                None => Ok(Some(true)),
                Some(word) => {
                    boolean(word).map(Some).ok_or_else(|| bad(&format!("{key}=true or {key}=false")))
                }
            };
            match key {
                "stars" => {
                    let number = value.and_then(|value| value.parse().ok());
                    filters.stars = number.ok_or_else(|| bad("stars=<value>"))?;
                }
                "is-official" => filters.official = truth()?,
                "is-automated" => filters.automated = truth()?,
                _ => {
                    return Err(Error::new(Kind::Usage, format!("invalid filter type {text:?}"))
                        .as_docker(format!("invalid filter '{key}'"))
                        .hint("Filter by stars=N, is-official or is-automated."));
                }
            }
        }
        Ok(filters)
    }

    /// Whether a repository is shown.
    pub fn hold(&self, hit: &Hit) -> bool {
        hit.stars >= self.stars
            && self.official.is_none_or(|wanted| wanted == hit.official)
            && self.automated.is_none_or(|wanted| wanted == hit.automated)
    }
}

impl Engine<'_> {
    /// Searches the registry that `text` begins with, or those that short names are looked for at, for repositories; each
    /// gives at most `limit`.
    ///
    /// # Errors
    /// Bad configuration; the failure of the only registry.
    pub fn search(&self, text: &str, limit: usize, request: &PullRequest) -> Result<Vec<Found>> {
        let search = Search::new(&self.places(), text, limit, request)?;
        fork::tidy_leaf("search", &[], |_, stop| registry::search(&search, &|| stop.came()), |()| {})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_hold_or_not() {
        let parse =
            |texts: &[&str]| Filters::parse(&texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>());
        let hit = Hit { stars: 3, official: true, ..Hit::default() };
        for (texts, holds) in [
            (&["stars=3"][..], true),
            (&["stars=4"], false),
            (&["is-official", "is-automated=false"], true),
            (&["is-official=0"], false),
            (&["is-automated"], false),
            (&[], true),
        ] {
            assert_eq!(parse(texts).unwrap().hold(&hit), holds, "{texts:?}");
        }
        for bad in ["stars", "stars=x", "stars=-1", "is-official=maybe", "name=x", ""] {
            assert!(parse(&[bad]).is_err(), "{bad}");
        }
    }
}
