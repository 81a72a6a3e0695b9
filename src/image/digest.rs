//! Content digests, and what they name: layers, and stacks of layers.

use crate::error::{Error, Kind, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::str::FromStr;

/// A content digest, `sha256:<64 hex>` or `sha512:<128 hex>` (OCI image spec, descriptor.md, Digests).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

impl Digest {
    /// The SHA-256 digest of these bytes.
    pub fn sha256_of(bytes: &[u8]) -> Self {
        Digest::from_sha256(Sha256::digest(bytes).into())
    }

    /// A digest from a finished SHA-256 hash.
    pub fn from_sha256(hash: [u8; 32]) -> Self {
        Digest(format!("sha256:{}", hex(&hash)))
    }

    /// A digest from a finished SHA-512 hash.
    pub fn from_sha512(hash: [u8; 64]) -> Self {
        Digest(format!("sha512:{}", hex(&hash)))
    }

    /// The digest of other bytes, by this digest's algorithm.
    #[must_use]
    pub fn of_same_kind(&self, bytes: &[u8]) -> Digest {
        match self.algorithm() {
            "sha512" => Digest(format!("sha512:{}", hex(&sha2::Sha512::digest(bytes)))),
            _ => Digest::sha256_of(bytes),
        }
    }

    /// `sha256` or `sha512`.
    pub fn algorithm(&self) -> &str {
        self.0.split_once(':').map_or("", |(a, _)| a)
    }

    /// The hex digits after the colon.
    pub fn hex(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, h)| h)
    }

    /// The first twelve hex digits, as listings show them.
    pub fn short(&self) -> &str {
        &self.hex()[..12]
    }

    /// `algorithm:hex`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

impl FromStr for Digest {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        let length = match s.split_once(':') {
            Some(("sha256", h)) if h.len() == 64 => Some(h),
            Some(("sha512", h)) if h.len() == 128 => Some(h),
            _ => None,
        };
        match length {
            Some(h) if h.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) => {
                Ok(Digest(s.to_owned()))
            }
            _ => Err(Error::new(Kind::Usage, format!("{s:?} is not a digest: sha256:<64 hex digits>"))),
        }
    }
}

impl TryFrom<String> for Digest {
    type Error = Error;
    fn try_from(s: String) -> Result<Self> {
        s.parse()
    }
}

impl From<Digest> for String {
    fn from(d: Digest) -> String {
        d.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The digest of a layer's uncompressed tar stream.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DiffId(pub Digest);

/// Names a layer together with everything below it (OCI image spec, config.md, Layer ChainID).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChainId(pub Digest);

impl ChainId {
    /// The chain ids of a stack of layers, bottom first.
    pub fn chain(diff_ids: &[DiffId]) -> Vec<ChainId> {
        let mut chain: Vec<ChainId> = Vec::with_capacity(diff_ids.len());
        for diff in diff_ids {
            chain.push(ChainId::above(chain.last(), diff));
        }
        chain
    }

    /// The chain id of a layer that lies on this one, or on nothing.
    pub fn above(below: Option<&ChainId>, diff: &DiffId) -> ChainId {
        ChainId(match below {
            None => diff.0.clone(),
            Some(below) => Digest::sha256_of(format!("{} {}", below.0, diff.0).as_bytes()),
        })
    }
}
