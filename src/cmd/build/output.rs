//! `--output`: what becomes of the result.

use super::values::fields;
use crate::error::{Error, Kind, Result};
use crate::image::Reference;
use crate::image::media::Compression;
use crate::storage::archive::OutgoingForm;
use crate::storage::compress::Recipe;
use crate::text::boolean;
use std::path::PathBuf;
use std::str::FromStr;

/// `--output`, without what only the caller knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputArg {
    /// The form of the result.
    pub form: Form,
    /// Further names of the image.
    pub names: Vec<Reference>,
    /// `rewrite-timestamp`.
    pub rewrite: bool,
    /// `annotation.KEY=VALUE`.
    pub annotations: Vec<(String, String)>,
    /// `compression`, `compression-level` and `force-compression`: how layers are pushed.
    pub packing: OutgoingForm,
}

/// The form of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// Its files in a directory.
    Local(PathBuf),
    /// Its files as an archive.
    Tar(Place),
    /// An OCI layout as an archive.
    Oci(Place),
    /// An OCI layout as a directory.
    OciDirectory(PathBuf),
    /// Docker's archive.
    Docker(Place),
    /// An image in the store.
    Image,
    /// An image in the store and in a registry.
    Push,
    /// Nothing but the cache.
    Nothing,
}

/// Where an archive goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// To a file.
    File(PathBuf),
    /// To standard output.
    Stdout,
}

impl From<&str> for Place {
    fn from(text: &str) -> Place {
        if text == "-" { Place::Stdout } else { Place::File(text.into()) }
    }
}

const HINT: &str = "Write DIR, - (an archive on standard output), or type=TYPE,dest=PATH with one of the types local, \
                    tar, oci, docker, image, registry and cacheonly.";

impl FromStr for OutputArg {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        let wrong = |why: String| Error::new(Kind::Usage, format!("{s:?}: {why}")).hint(HINT);
        let plain = |form| OutputArg {
            form,
            names: Vec::new(),
            rewrite: false,
            annotations: Vec::new(),
            packing: OutgoingForm::default(),
        };
        // A path may have an equals sign.
        if !s.contains(',') && !s.starts_with("type=") && !s.is_empty() {
            let whole = s == "-";
            return Ok(plain(if whole { Form::Tar(Place::Stdout) } else { Form::Local(s.into()) }));
        }
        let (mut kind, mut dest, mut tar, mut push) = (None, None, true, false);
        let (mut compression, mut level, mut force) = (None, None, None);
        let mut made = plain(Form::Nothing);
        for (key, value) in fields(s, HINT)? {
            let truth =
                || boolean(&value).ok_or_else(|| wrong(format!("{key} {value:?} is neither true nor false")));
            match key.as_str() {
                "type" => kind = Some(value),
                "dest" => dest = Some(value),
                "name" => {
                    let names = value.split(',').map(str::parse).collect::<Result<Vec<Reference>>>()?;
                    made.names.extend(names);
                }
                "push" => push = truth()?,
                "compression" => {
                    compression = Some(match value.as_str() {
                        "gzip" => Compression::Gzip,
                        "zstd" => Compression::Zstd,
                        _ => {
                            return Err(wrong(format!(
                                "layers are compressed by gzip or zstd, not by {value:?}"
                            )));
                        }
                    });
                }
                "compression-level" => {
                    let number = value.parse();
                    level = Some(number.map_err(|_| wrong(format!("{key} {value:?} is not a number")))?);
                }
                "force-compression" => force = Some(truth()?),
                "tar" => tar = truth()?,
                "rewrite-timestamp" => made.rewrite = truth()?,
                // What is the case anyway.
                "unpack" | "store" | "oci-mediatypes" => drop(truth()?),
                key => {
                    match key.strip_prefix("annotation.").or_else(|| key.strip_prefix("annotation-manifest."))
                    {
                        Some(name) if !name.is_empty() => made.annotations.push((name.to_owned(), value)),
                        _ => return Err(wrong(format!("an output has no {key:?}"))),
                    }
                }
            }
        }
        let dest = dest.filter(|dest| !dest.is_empty());
        let place = dest.as_deref().map_or(Place::Stdout, Place::from);
        let kind = kind.unwrap_or_else(|| "local".to_owned());
        let needs_directory = || match dest.as_deref() {
            None => Err(wrong("the destination is missing".to_owned())),
            Some("-") => Err(wrong("a directory cannot be written to standard output".to_owned())),
            Some(dir) => Ok(PathBuf::from(dir)),
        };
        made.form = match kind.as_str() {
            "local" => Form::Local(needs_directory()?),
            "tar" => Form::Tar(place),
            "oci" if !tar => Form::OciDirectory(needs_directory()?),
            "oci" => Form::Oci(place),
            "docker" if !tar => return Err(wrong("docker's archive is a file".to_owned())),
            "docker" if dest.is_some() => Form::Docker(place),
            "image" if push => Form::Push,
            "docker" | "image" => Form::Image,
            "registry" => Form::Push,
            "cacheonly" => Form::Nothing,
            _ => return Err(wrong(format!("there is no output of type {kind:?}"))),
        };
        if compression.is_some() || level.is_some() {
            made.packing.recipe = Some(Recipe::new(compression.unwrap_or(Compression::Gzip), level)?);
        }
        made.packing.recompress = force.unwrap_or_default();
        if push && made.form != Form::Push {
            return Err(wrong(format!("an output of type {kind} is not pushed")));
        }
        if dest.is_some() && matches!(made.form, Form::Image | Form::Push | Form::Nothing) {
            return Err(wrong(format!("an output of type {kind} has no destination")));
        }
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_read() {
        let file = |path: &str| Place::File(path.into());
        for (text, form) in [
            ("out", Form::Local("out".into())),
            ("a=b", Form::Local("a=b".into())),
            ("-", Form::Tar(Place::Stdout)),
            ("type=local,dest=out", Form::Local("out".into())),
            ("dest=out,name=a", Form::Local("out".into())),
            (r#"type=local,"dest=a,b""#, Form::Local("a,b".into())),
            ("type=tar,dest=x.tar", Form::Tar(file("x.tar"))),
            ("type=tar", Form::Tar(Place::Stdout)),
            ("type=tar,dest=-", Form::Tar(Place::Stdout)),
            ("type=oci,dest=x", Form::Oci(file("x"))),
            ("type=oci,dest=x,tar=false", Form::OciDirectory("x".into())),
            ("type=docker,dest=x", Form::Docker(file("x"))),
            ("type=docker", Form::Image),
            ("type=image,push=false,unpack=true", Form::Image),
            ("type=image,push=true", Form::Push),
            ("type=registry,compression=zstd", Form::Push),
            ("type=cacheonly", Form::Nothing),
        ] {
            assert_eq!(text.parse::<OutputArg>().unwrap().form, form, "{text}");
        }
        let more: OutputArg =
            "type=image,\"name=a/b,c/d:1\",rewrite-timestamp=true,annotation.x=y".parse().unwrap();
        assert_eq!(more.names.iter().map(ToString::to_string).collect::<Vec<_>>(), ["a/b:latest", "c/d:1"]);
        assert_eq!((more.rewrite, &more.annotations[..]), (true, &[("x".to_owned(), "y".to_owned())][..]));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for text in [
            "",
            "type=local",
            "type=local,dest=-",
            "type=wat,dest=x",
            "type=registry,compression=lz4",
            "type=tar,push=true",
            "type=image,dest=x",
            "type=oci,tar=false",
            "type=docker,tar=false,dest=x",
            "type=tar,wat=1",
            "type=tar,tar=maybe",
            "type=tar,dest",
        ] {
            assert!(text.parse::<OutputArg>().is_err(), "{text}");
        }
    }
}
