//! What the registry does with what is sent to it (distribution spec, end-4 to end-7, end-13).

use super::{Answer, Seen, State};
use crate::common::sha256_hex;
use std::collections::HashMap;

/// Uploads that have begun, by number.
#[derive(Debug, Default)]
pub(super) struct Uploads {
    parts: HashMap<String, Vec<u8>>,
    begun: usize,
    /// Whether an upload does not survive the end of its connection.
    pub(super) forgetful: bool,
}

impl Uploads {
    /// Keeps bytes of an upload whose connection ends now.
    pub(super) fn cut(&mut self, path: &str, bytes: &[u8]) {
        let number = number(path).to_owned();
        if self.forgetful {
            self.parts.remove(&number);
        } else if let Some(part) = self.parts.get_mut(&number) {
            part.extend_from_slice(bytes);
        }
    }
}

fn number(path: &str) -> &str {
    path.split('?').next().unwrap_or_default().rsplit('/').next().unwrap_or_default()
}

fn query<'a>(path: &'a str, name: &str) -> Option<String> {
    let query: &'a str = path.split_once('?')?.1;
    let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
    Some(value.replace("%3A", ":").replace("%2F", "/"))
}

/// Answers a request that changes the registry or asks for an upload; `None` for others.
pub(super) fn answer(state: &mut State, request: &Seen, bytes: &[u8]) -> Option<Answer> {
    let path = request.path.strip_prefix("/v2/")?;
    let plain = path.split('?').next().unwrap_or_default();
    if let Some((repository, _)) = plain.split_once("/blobs/uploads/") {
        return Some(upload(state, request, repository, bytes));
    }
    if request.method == "PUT"
        && let Some((repository, name)) = plain.split_once("/manifests/")
    {
        let media_type = request.header("content-type").unwrap_or_default().to_owned();
        let digest = format!("sha256:{}", sha256_hex(bytes));
        for name in [name, &digest] {
            let entry = (media_type.clone(), bytes.to_owned());
            state.manifests.insert(format!("{repository}/manifests/{name}"), entry);
        }
        return Some(Answer::new(201, "").with("Docker-Content-Digest", digest));
    }
    None
}

fn upload(state: &mut State, request: &Seen, repository: &str, bytes: &[u8]) -> Answer {
    let number = number(&request.path).to_owned();
    let place = |number: &str| format!("/v2/{repository}/blobs/uploads/{number}?state=x");
    if request.method == "POST" {
        if let Some(digest) = query(&request.path, "mount")
            && state.blobs.contains_key(&digest)
        {
            return Answer::new(201, "").with("Docker-Content-Digest", digest);
        }
        state.uploads.begun += 1;
        let number = state.uploads.begun.to_string();
        state.uploads.parts.insert(number.clone(), Vec::new());
        return Answer::new(202, "").with("Location", place(&number));
    }
    let Some(part) = state.uploads.parts.get_mut(&number) else {
        return Answer::new(404, r#"{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN","message":"upload unknown"}]}"#);
    };
    let range = |part: &[u8]| format!("0-{}", part.len().saturating_sub(1));
    match request.method.as_str() {
        "GET" => Answer::new(204, "").with("Range", range(part)).with("Location", place(&number)),
        "PATCH" => {
            let from = request.header("content-range").and_then(|r| r.split('-').next()?.parse().ok());
            if from.unwrap_or(0) != part.len() {
                return Answer::new(416, "").with("Range", range(part));
            }
            part.extend_from_slice(bytes);
            let range = range(part);
            Answer::new(202, "").with("Range", range).with("Location", place(&number))
        }
        _ => {
            part.extend_from_slice(bytes);
            let digest = format!("sha256:{}", sha256_hex(part));
            if query(&request.path, "digest").as_deref() != Some(&digest) {
                return Answer::new(
                    400,
                    r#"{"errors":[{"code":"DIGEST_INVALID","message":"wrong digest"}]}"#,
                );
            }
            let whole = state.uploads.parts.remove(&number).unwrap_or_default();
            state.blobs.insert(digest.clone(), whole);
            Answer::new(201, "").with("Docker-Content-Digest", digest)
        }
    }
}
