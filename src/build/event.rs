//! What a build tells while it works.
//!
//! A build is shown as vertices, BuildKit's word for what has a line in the progress output: a step of a stage, the
//! reading of the Containerfile, of the ignore file and of the context, the making of the image. They are declared
//! in the order in which they are shown, before any of them begins.

use serde::{Deserialize, Serialize};

/// A vertex's number, counted from 1 in the order in which they are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct VertexId(pub u32);

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// There is this vertex.
    Declared {
        /// Its number.
        vertex: VertexId,
        /// What is shown of it: `[build 2/5] RUN make`, `[internal] load build context`.
        name: String,
    },
    /// Its work begins.
    Started(VertexId),
    /// Its result was there.
    Cached(VertexId),
    /// Its work is done.
    Done(VertexId),
    /// It failed, with this message. The build's error says more.
    Failed(VertexId, String),
    /// Something else failed, so it was stopped or never began.
    Canceled(VertexId),
    /// Its process wrote this.
    Output {
        /// The vertex.
        vertex: VertexId,
        /// Whether to standard error.
        stderr: bool,
        /// What it wrote, at most 16 KiB; not cut at line ends.
        #[serde(with = "bytes")]
        bytes: Vec<u8>,
    },
    /// A part of its work that takes long: a layer that is pulled, a context that is read.
    Progress {
        /// The vertex.
        vertex: VertexId,
        /// What is being worked on: `sha256:0123456789ab`, `transferring context`.
        what: String,
        /// Bytes so far.
        current: u64,
        /// Bytes in all, if that is known.
        total: Option<u64>,
    },
    /// Something to be careful about in the Containerfile: a build check.
    Warning(Warning),
    /// Time has passed: what shows running times shows them anew. Sent about ten times a second while a build waits
    /// for something, because no thread draws.
    Tick,
}

/// A finding of a build check (Docker's build checks reference).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// The rule: `StageNameCasing`.
    pub rule: String,
    /// What the rule is about, in one sentence.
    pub description: String,
    /// What is wrong here.
    pub message: String,
    /// The file's name as shown.
    pub file: String,
    /// First and last line, counted from 1.
    pub lines: (usize, usize),
    /// Those lines with some around them, and their numbers.
    pub excerpt: Vec<(usize, String)>,
}

/// Bytes as base64, which is shorter than JSON's lists of numbers.
mod bytes {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        STANDARD.decode(text).map_err(serde::de::Error::custom)
    }
}
