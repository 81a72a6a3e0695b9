//! Lists the tags of a repository, page by page.

use super::answer::read_limited;
use super::blob::retrying;
use super::endpoint::Endpoint;
use super::event::Event;
use super::http::{Ask, Session};
use super::manifest::MANIFEST_MAX;
use super::prepare::Prepared;
use super::retry::{RetryPolicy, Tries};
use super::runner::block_on;
use crate::error::{Error, Kind, Result};
use crate::image::Reference;
use serde::Deserialize;

/// Pages of a tag list that are read.
const PAGES_MAX: usize = 1000;

/// The tags of a repository. Starts threads: to be called in a leaf.
///
/// # Errors
/// No host answers.
pub fn tags(
    prepared: &Prepared,
    report: &dyn Fn(Event),
    stopped: &dyn Fn() -> bool,
) -> Result<(Reference, Vec<String>)> {
    block_on(stopped, async {
        let mut last = Error::new(Kind::Usage, "nothing to ask");
        for candidate in &prepared.candidates {
            for endpoint in &candidate.endpoints {
                match list_tags(endpoint, prepared.retry, report).await {
                    Ok(tags) => return Ok((candidate.reference.clone(), tags)),
                    Err(e) => last = e,
                }
            }
        }
        Err(last)
    })
}

#[derive(Deserialize)]
struct TagList {
    tags: Option<Vec<String>>,
}

async fn list_tags(endpoint: &Endpoint, retry: RetryPolicy, report: &dyn Fn(Event)) -> Result<Vec<String>> {
    let session = Session::open(endpoint).await?;
    let mut all = Vec::new();
    let mut next: Option<String> = None;
    for _ in 0..PAGES_MAX {
        let mut tries = Tries::new(retry);
        let (body, link) = retrying(&mut tries, report, async || {
            let mut response = match &next {
                None => session.get("tags/list", Ask::default()).await?,
                Some(link) => session.get_next(link, Ask::default()).await?,
            };
            let link = response.headers().get("link").and_then(|v| v.to_str().ok()).and_then(next_page);
            let what = format!("the tag list of {}", endpoint.reference.repository());
            Ok((read_limited(&mut response, &what, MANIFEST_MAX).await?, link))
        })
        .await?;
        let bad = |e| {
            Error::new(Kind::Registry, format!("registry {} sent no tag list", endpoint.host())).caused_by(e)
        };
        let page: TagList = serde_json::from_slice(&body).map_err(|e: serde_json::Error| bad(e))?;
        all.extend(page.tags.unwrap_or_default());
        match link {
            Some(link) => next = Some(link),
            None => return Ok(all),
        }
    }
    Ok(all)
}

/// The target of `<...>; rel="next"` (RFC 8288).
pub(super) fn next_page(value: &str) -> Option<String> {
    value.split(',').find_map(|link| {
        let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        let next = parameters.split(';').any(|p| matches!(p.trim(), "rel=\"next\"" | "rel=next"));
        next.then(|| target.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found() {
        assert_eq!(
            next_page(r#"</v2/a/tags/list?n=2&last=b>; rel="next""#).unwrap(),
            "/v2/a/tags/list?n=2&last=b"
        );
        assert_eq!(next_page(r#"</x>; rel="prev""#), None);
        assert_eq!(next_page("nonsense"), None);
    }
}
