//! `--pod` of the verbs that create a container.

use crate::container::Name;
use crate::engine::pods::PodChoice;
use crate::error::{Error, Kind, Result};
use std::path::PathBuf;

/// The pod it is in.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Identity")]
pub struct PodArgs {
    /// Put it into a pod, whose namespaces it shares; new:NAME makes that first
    #[arg(long, value_name = "POD", value_parser = choice, conflicts_with = "pod_id_file")]
    pub pod: Option<PodChoice>,
    /// Put it into the pod whose id is in a file
    #[arg(long, value_name = "FILE")]
    pub pod_id_file: Option<PathBuf>,
}

impl PodArgs {
    /// Whether the container is to be in a pod that is there.
    pub fn is_given(&self) -> bool {
        self.pod_id_file.is_some() || matches!(self.pod, Some(PodChoice::Named(_) | PodChoice::File(_)))
    }
}

/// Reads `--pod`.
///
/// # Errors
/// A new pod without a name, or with a malformed one.
fn choice(text: &str) -> Result<PodChoice> {
    match text.strip_prefix("new:") {
        None => Ok(PodChoice::Named(text.to_owned())),
        Some("") => Err(Error::new(Kind::Usage, "new pod name must be at least one character")
            .hint("Write --pod new:NAME, for example --pod new:shop.")),
        Some(name) => Ok(PodChoice::New(name.parse::<Name>()?)),
    }
}
