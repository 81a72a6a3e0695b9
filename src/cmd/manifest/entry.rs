//! Options on what an entry of a manifest list says, for every verb that writes one.

use crate::cmd::options::refused::{Never, because};
use crate::engine::lists::Annotation;
use crate::error::{Error, Kind, Result};

const ARTIFACTS: &str = "a manifest list has images here, and no artifacts";
const ARTIFACTS_HINT: &str =
    "Leave it out; other files go to a registry with a tool of their own, such as oras.";

/// What an entry is to say.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Entry")]
pub struct EntryArgs {
    /// Annotation of the entry; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = annotation)]
    pub annotation: Vec<(String, String)>,
    /// Architecture, instead of what the image says
    #[arg(long, value_name = "ARCH")]
    pub arch: Option<String>,
    /// Features that the processor must have, separated by commas
    #[arg(long, value_name = "FEATURES", value_delimiter = ',')]
    pub features: Vec<String>,
    /// Operating system, instead of what the image says
    #[arg(long, value_name = "OS")]
    pub os: Option<String>,
    /// Features that the operating system must have, separated by commas
    #[arg(long, value_name = "FEATURES", value_delimiter = ',')]
    pub os_features: Vec<String>,
    /// Version of the operating system
    #[arg(long, value_name = "VERSION")]
    pub os_version: Option<String>,
    /// Variant of the architecture, such as v7
    #[arg(long, value_name = "VARIANT")]
    pub variant: Option<String>,
}

impl EntryArgs {
    /// What they ask for; an empty word asks for nothing.
    pub fn wanted(&self) -> Annotation {
        let word = |word: &Option<String>| word.clone().filter(|word| !word.is_empty());
        let words = |words: &[String]| words.iter().filter(|word| !word.is_empty()).cloned().collect();
        Annotation {
            annotations: self.annotation.iter().cloned().collect(),
            architecture: word(&self.arch),
            features: words(&self.features),
            os: word(&self.os),
            os_features: words(&self.os_features),
            os_version: word(&self.os_version),
            variant: word(&self.variant),
        }
    }

    /// Whether they ask for anything but annotations.
    pub fn names_platform(&self) -> bool {
        let Annotation { annotations: _, architecture, features, os, os_features, os_version, variant } =
            self.wanted();
        let words = [architecture, os, os_version, variant];
        words.iter().any(Option::is_some) || !features.is_empty() || !os_features.is_empty()
    }
}

/// Options on artifacts, which are refused.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ArtifactArgs {
    /// Artifact
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = because(ARTIFACTS, ARTIFACTS_HINT))]
    pub artifact: Option<Never>,
    /// Annotation of an artifact
    #[arg(long, hide = true, value_parser = because(ARTIFACTS, ARTIFACTS_HINT))]
    pub artifact_annotation: Vec<Never>,
    /// Configuration of an artifact
    #[arg(long, hide = true, value_parser = because(ARTIFACTS, ARTIFACTS_HINT))]
    pub artifact_config: Option<Never>,
    /// Media type of that
    #[arg(long, hide = true, value_parser = because(ARTIFACTS, ARTIFACTS_HINT))]
    pub artifact_config_type: Option<Never>,
    /// Titles of an artifact's files
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = because(ARTIFACTS, ARTIFACTS_HINT))]
    pub artifact_exclude_titles: Option<Never>,
    /// Media type of an artifact's files
    #[arg(long, hide = true, value_parser = because(ARTIFACTS, ARTIFACTS_HINT))]
    pub artifact_layer_type: Option<Never>,
    /// What an artifact is about
    #[arg(long, hide = true, value_parser = because(ARTIFACTS, ARTIFACTS_HINT))]
    pub artifact_subject: Option<Never>,
    /// Type of an artifact
    #[arg(long, hide = true, value_parser = because(ARTIFACTS, ARTIFACTS_HINT))]
    pub artifact_type: Option<Never>,
}

/// Reads `KEY=VALUE`.
pub(super) fn annotation(text: &str) -> Result<(String, String)> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => {
            let error = Error::new(Kind::Usage, format!("no value given for annotation {text:?}"));
            Err(error.hint("Write KEY=VALUE: --annotation org.opencontainers.image.version=1.0"))
        }
    }
}
