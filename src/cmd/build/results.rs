//! What a build tells at its end: on standard output and in files.

use super::values::usage;
use crate::build::Built;
use crate::build::request::{BuildRequest, Destination, Output};
use crate::cmd::options::result_file::ResultFile;
use crate::error::Result;
use crate::image::Digest;
use crate::storage::Store;
use crate::ui;
use crate::view::Dialect;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// `--iidfile` and `--iidfile-raw`.
#[derive(Debug)]
pub(super) struct IdFile {
    file: ResultFile,
    /// Whether the id stands there without its algorithm.
    raw: bool,
}

impl IdFile {
    /// Opens the file, if there is to be one.
    ///
    /// # Errors
    /// A file that cannot be written; several platforms, for the second one.
    pub(super) fn open(
        ids: (Option<PathBuf>, Option<PathBuf>),
        request: &BuildRequest,
    ) -> Result<Option<IdFile>> {
        let (option, path, raw) = match ids {
            (Some(path), _) => ("--iidfile", path, false),
            (None, Some(_)) if request.platforms.len() > 1 => {
                return Err(usage("--iidfile-raw: several platforms have several images")
                    .hint("Write ids and names of all of them to a file: --metadata-file FILE"));
            }
            (None, Some(path)) => ("--iidfile-raw", path, true),
            (None, None) => return Ok(None),
        };
        Ok(Some(IdFile { file: ResultFile::open(option, &path)?, raw }))
    }
}

/// What is to be told.
#[derive(Debug)]
pub(super) struct Results {
    iidfile: Option<IdFile>,
    metadata: Option<ResultFile>,
    names: String,
    /// Whether the id is printed.
    print: bool,
}

impl Results {
    /// Opens the files before anything is built.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub(super) fn prepare(
        iidfile: Option<IdFile>,
        metadata: Option<&Path>,
        request: &BuildRequest,
        quiet: bool,
        dialect: Dialect,
    ) -> Result<Results> {
        let open = |option, path: Option<&Path>| path.map(|path| ResultFile::open(option, path)).transpose();
        let is_image = |output: &Output| matches!(output, Output::Image | Output::Push { .. });
        let has_image = request.outputs.is_empty() || request.outputs.iter().any(is_image);
        let streamed = |output: &Output| match output {
            Output::Tar(to) | Output::Docker(to) | Output::Oci { to, .. } => {
                matches!(to, Destination::Stream(_))
            }
            _ => false,
        };
        let taken = request.outputs.iter().any(streamed);
        let names = request.names.iter().chain(&request.list).map(ToString::to_string);
        let names: Vec<String> = names.collect();
        Ok(Results {
            iidfile,
            metadata: open("--metadata-file", metadata)?,
            names: names.join(","),
            print: has_image && !taken && (quiet || dialect != Dialect::Docker),
        })
    }

    /// Tells of what was built.
    ///
    /// # Errors
    /// A file, or standard output, that cannot be written.
    pub(super) fn tell(self, store: &Store, built: &Built, dialect: Dialect) -> Result<()> {
        let images: Vec<&Digest> = built.images.iter().map(|(_, id)| id).collect();
        let index = built.list.as_ref().or(built.index.as_ref());
        let Some(id) = index.or(images.last().copied()) else { return Ok(()) };
        if let Some(file) = self.metadata {
            let manifest = match built.pushed.as_ref().or(built.index.as_ref()) {
                Some(digest) => Some(digest.clone()),
                None => store.images().find(id.hex()).ok().flatten().map(|image| image.manifest),
            };
            let mut document = Map::new();
            if built.index.is_none() {
                document.insert("containerimage.config.digest".into(), json!(id.as_str()));
            }
            if let Some(manifest) = manifest {
                document.insert("containerimage.digest".into(), json!(manifest.as_str()));
            }
            if !self.names.is_empty() {
                document.insert("image.name".into(), json!(self.names));
            }
            file.write(&ui::rows::json(&Value::Object(document))?)?;
        }
        if let Some(IdFile { file, raw }) = self.iidfile {
            file.write(if raw { id.hex() } else { id.as_str() })?;
        }
        if self.print { ui::out(&format!("{}\n", dialect.image_id(id))) } else { Ok(()) }
    }
}
