//! Values of options that have several parts: secrets, caches, contexts, annotations. What needs the caller (paths,
//! variables) is worked out later, so that these are pure.

use crate::error::{Error, Kind, Result, phrases};
use crate::host::Caller;
use crate::image::{Digest, Reference};
use crate::text::csv;
use std::path::PathBuf;
use std::str::FromStr;

/// The refusal of a value, with how it is written.
fn wrong(text: &str, why: &str, hint: &str) -> Error {
    Error::new(Kind::Usage, format!("{text:?}: {why}")).hint(hint)
}

/// The fields of a value, each with its key in lower case and what stands behind the equals sign.
pub(super) fn fields(text: &str, hint: &str) -> Result<Vec<(String, String)>> {
    let fields = csv::fields(text).map_err(|why| wrong(text, &why, hint))?;
    let pair = |field: String| match field.split_once('=') {
        Some((key, value)) => Ok((key.trim().to_ascii_lowercase(), value.to_owned())),
        None => Err(wrong(text, &format!("{field:?} is not KEY=VALUE"), hint)),
    };
    fields.into_iter().map(pair).collect()
}

/// `--secret id=ID[,src=FILE|,env=NAME]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretArg {
    /// What RUN calls it.
    pub id: String,
    /// Where its value is.
    pub from: SecretFrom,
}

/// Where the value of a secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretFrom {
    /// In a file.
    File(PathBuf),
    /// In a variable.
    Variable(String),
    /// In the variable that is called like it, or else in the file.
    Either(String),
}

const SECRET: &str = "Write id=ID,src=FILE or id=ID,env=NAME.";

impl FromStr for SecretArg {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        let (mut id, mut file, mut variable, mut kind) = (None, None, None, None);
        for (key, value) in fields(s, SECRET)? {
            match key.as_str() {
                "id" => id = Some(value),
                "src" | "source" => file = Some(value),
                "env" => variable = Some(value),
                "type" if value == "file" || value == "env" => kind = Some(value),
                "type" => return Err(wrong(s, "the type of a secret is file or env", SECRET)),
                _ => return Err(wrong(s, &format!("a secret has no {key:?}"), SECRET)),
            }
        }
        let id = id.filter(|id| !id.is_empty()).ok_or_else(|| wrong(s, "the id is missing", SECRET))?;
        let from = match (kind.as_deref(), variable, file) {
            (Some("file"), Some(_), _) | (_, Some(_), Some(_)) => {
                return Err(wrong(s, "a secret is a file or a variable, not both", SECRET));
            }
            (_, Some(name), None) => SecretFrom::Variable(name),
            (Some("env"), None, name) => SecretFrom::Variable(name.unwrap_or_else(|| id.clone())),
            (_, None, Some(path)) => SecretFrom::File(path.into()),
            (Some(_), None, None) => SecretFrom::File(id.clone().into()),
            (None, None, None) => SecretFrom::Either(id.clone()),
        };
        Ok(SecretArg { id, from })
    }
}

/// `--ssh default` or `--ssh ID[=PATH,...]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshArg {
    /// What RUN calls it.
    pub id: String,
    /// The agent's socket, or files with keys; none is the agent of the caller.
    pub paths: Vec<PathBuf>,
}

impl FromStr for SshArg {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        let (id, paths) = s.split_once('=').unwrap_or((s, ""));
        if id.is_empty() {
            return Err(wrong(s, "the id is missing", "Write default, or ID=PATH[,PATH...]."));
        }
        let paths = paths.split(',').filter(|path| !path.is_empty()).map(PathBuf::from).collect();
        Ok(SshArg { id: id.to_owned(), paths })
    }
}

/// `--cache-from` and `--cache-to`: one or more places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheArg {
    /// The places.
    pub places: Vec<CacheAt>,
    /// Whether `mode=min` is said, or `mode=max`.
    pub least: Option<bool>,
}

/// A place of a cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheAt {
    /// In a registry.
    Registry(Reference),
    /// In a registry, said by a name alone.
    Named(Reference),
    /// In a directory.
    Local(PathBuf),
    /// In the image.
    Inline,
}

const CACHE: &str = "Write NAME, type=registry,ref=NAME, type=local,src=DIR (to read) or dest=DIR (to write), or \
                     type=inline.";

/// What may be said of a cache and changes nothing here.
const CACHE_IGNORED: [&str; 7] = [
    "tag",
    "ignore-error",
    "image-manifest",
    "oci-mediatypes",
    "compression",
    "compression-level",
    "force-compression",
];

impl FromStr for CacheArg {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        if !s.contains('=') {
            let names = csv::fields(s).map_err(|why| wrong(s, &why, CACHE))?;
            let places = names.iter().map(|name| name.parse().map(CacheAt::Named));
            return Ok(CacheArg { places: places.collect::<Result<_>>()?, least: None });
        }
        let (mut kind, mut name, mut dir, mut least) = (None, None, None, None);
        for (key, value) in fields(s, CACHE)? {
            match key.as_str() {
                "type" => kind = Some(value),
                "ref" => name = Some(value),
                "src" | "dest" => dir = Some(value),
                "mode" => {
                    least = Some(match value.as_str() {
                        "min" => true,
                        "max" => false,
                        _ => return Err(wrong(s, "the mode of a cache is min or max", CACHE)),
                    });
                }
                known if CACHE_IGNORED.contains(&known) => {}
                _ => return Err(wrong(s, &format!("a cache has no {key:?}"), CACHE)),
            }
        }
        let place = match (kind.as_deref(), name, dir) {
            (Some("registry"), Some(name), None) => CacheAt::Registry(name.parse()?),
            (Some("registry"), ..) => return Err(wrong(s, "the reference is missing", CACHE)),
            (Some("local"), None, Some(dir)) => CacheAt::Local(dir.into()),
            (Some("local"), ..) => return Err(wrong(s, "the directory is missing", CACHE)),
            (Some("inline"), None, None) => CacheAt::Inline,
            (Some("gha" | "s3" | "azblob"), ..) => {
                return Err(wrong(s, "caches are not kept in services of others", CACHE));
            }
            (Some(_), ..) => return Err(wrong(s, "there is no such type of cache", CACHE)),
            (None, ..) => return Err(wrong(s, "the type is missing", CACHE)),
        };
        Ok(CacheArg { places: vec![place], least })
    }
}

/// `--build-context NAME=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextArg {
    /// What FROM and `--from` call it: as docker shortens names.
    pub name: String,
    /// What it is.
    pub value: ContextValue,
}

/// What a named context is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContextValue {
    /// An image.
    Image(String),
    /// An image of an OCI layout.
    Layout {
        /// The directory.
        dir: PathBuf,
        /// The tag.
        tag: Option<String>,
        /// The digest.
        digest: Option<Digest>,
    },
    /// A repository or an archive elsewhere.
    Remote(String),
    /// A directory.
    Directory(PathBuf),
}

const CONTEXT: &str =
    "Write NAME=DIR, NAME=URL, NAME=docker-image://IMAGE or NAME=oci-layout://DIR[:TAG][@DIGEST].";

impl FromStr for ContextArg {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        let Some((name, value)) =
            s.split_once('=').filter(|(name, value)| !name.is_empty() && !value.is_empty())
        else {
            return Err(wrong(s, "a context has a name and a value", CONTEXT));
        };
        // What FROM could not name is no name.
        name.parse::<Reference>()?;
        let short = name.strip_prefix("docker.io/").unwrap_or(name);
        let short = short.strip_prefix("library/").unwrap_or(short);
        let short = short.strip_suffix(":latest").unwrap_or(short);
        Ok(ContextArg { name: short.to_owned(), value: context_value(s, value)? })
    }
}

fn context_value(whole: &str, value: &str) -> Result<ContextValue> {
    let image = ["docker-image://", "container-image://", "container-image:", "docker://"];
    if let Some(name) = image.iter().find_map(|scheme| value.strip_prefix(scheme)) {
        name.parse::<Reference>()?;
        return Ok(ContextValue::Image(name.to_owned()));
    }
    if let Some(rest) = value.strip_prefix("oci-layout://") {
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse()?)),
            None => (rest, None),
        };
        let (dir, tag) = match rest.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')) {
            Some((dir, tag)) => (dir, Some(tag.to_owned())),
            None => (rest, None),
        };
        if dir.is_empty() {
            return Err(wrong(whole, "the directory is missing", CONTEXT));
        }
        return Ok(ContextValue::Layout { dir: dir.into(), tag, digest });
    }
    Ok(if is_remote(value) {
        ContextValue::Remote(value.to_owned())
    } else {
        ContextValue::Directory(value.into())
    })
}

/// Whether a context is somewhere else, by its form: a git repository, or an address.
pub(super) fn is_remote(text: &str) -> bool {
    let schemes = ["http://", "https://", "git://", "ssh://", "git@", "github.com/"];
    schemes.iter().any(|scheme| text.starts_with(scheme))
}

/// `--annotation [index:|manifest:]KEY=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnnotationArg {
    /// Whether the manifest gets it.
    pub manifest: bool,
    /// Whether the index gets it.
    pub index: bool,
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: String,
}

impl FromStr for AnnotationArg {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        let hint = "Write KEY=VALUE, manifest:KEY=VALUE or index:KEY=VALUE.";
        let (key, value) = s.split_once('=').ok_or_else(|| wrong(s, "an annotation has a value", hint))?;
        let mut made =
            AnnotationArg { manifest: true, index: false, key: key.to_owned(), value: value.to_owned() };
        if let Some((kinds, key)) = key.split_once(':') {
            let kinds: Vec<&str> = kinds.split(',').collect();
            let bare = |kind: &str| kind.split_once('[').map_or(kind, |(bare, _)| bare).to_owned();
            let docker = ["manifest", "index", "manifest-descriptor", "index-descriptor"];
            if kinds.iter().all(|kind| docker.contains(&bare(kind).as_str())) {
                if kinds.iter().any(|kind| *kind != "manifest" && *kind != "index") {
                    return Err(wrong(s, "only whole manifests and indexes are annotated", hint));
                }
                made.manifest = kinds.contains(&"manifest");
                made.index = kinds.contains(&"index");
                key.clone_into(&mut made.key);
            }
        }
        if made.key.is_empty() { Err(wrong(s, "the key is missing", hint)) } else { Ok(made) }
    }
}

/// `--pull[=POLICY]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PullArg(pub crate::engine::images::pull::PullPolicy);

impl FromStr for PullArg {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        use crate::engine::images::pull::PullPolicy;
        Ok(PullArg(match s {
            "always" | "true" => PullPolicy::Always,
            "missing" | "ifmissing" | "ifnotpresent" => PullPolicy::Missing,
            "never" | "false" => PullPolicy::Never,
            "newer" | "ifnewer" => PullPolicy::Newer,
            _ => return Err(phrases::bad_pull_policy(s).hint("Use always, missing, never or newer.")),
        }))
    }
}

/// A mistake of the command line.
pub(super) fn usage(message: impl Into<String>) -> Error {
    Error::new(Kind::Usage, message)
}

/// A variable of the caller, unless it is empty.
pub(super) fn variable<'a>(caller: &'a Caller, name: &str) -> Option<&'a str> {
    let found = caller.env.iter().find(|(known, _)| known == name);
    found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_files_or_variables() {
        let from = |text: &str| text.parse::<SecretArg>().map(|secret| (secret.id, secret.from)).unwrap();
        for (text, wanted) in [
            ("id=a,src=f", SecretFrom::File("f".into())),
            ("source=f,id=a", SecretFrom::File("f".into())),
            ("id=a,type=file,src=f", SecretFrom::File("f".into())),
            ("id=a,type=file", SecretFrom::File("a".into())),
            ("id=a,env=B", SecretFrom::Variable("B".into())),
            ("id=a,type=env,src=B", SecretFrom::Variable("B".into())),
            ("type=env,id=a", SecretFrom::Variable("a".into())),
            ("id=a", SecretFrom::Either("a".into())),
            (r#"id=a,"src=x,y""#, SecretFrom::File("x,y".into())),
        ] {
            assert_eq!(from(text), ("a".to_owned(), wanted), "{text}");
        }
        for bad in [
            "a",
            "src=f",
            "id=,src=f",
            "id=a,wat=1",
            "id=a,type=x",
            "id=a,src=f,env=B",
            "id=a,type=file,env=B",
        ] {
            assert!(bad.parse::<SecretArg>().is_err(), "{bad}");
        }
    }

    #[test]
    fn ssh_has_an_id_and_paths() {
        let read = |text: &str| text.parse::<SshArg>().unwrap();
        assert_eq!(read("default"), SshArg { id: "default".into(), paths: vec![] });
        assert_eq!(read("k=/a,/b"), SshArg { id: "k".into(), paths: vec!["/a".into(), "/b".into()] });
        assert!("=x".parse::<SshArg>().is_err());
    }

    #[test]
    fn caches_are_in_one_of_three_places() {
        let read = |text: &str| text.parse::<CacheArg>().unwrap().places;
        let registry = |name: &str| CacheAt::Registry(name.parse().unwrap());
        let named = |name: &str| CacheAt::Named(name.parse().unwrap());
        assert_eq!(read("a/b:c"), [named("a/b:c")]);
        assert_eq!(read("a/b,c/d"), [named("a/b"), named("c/d")]);
        assert_eq!("type=inline,mode=min".parse::<CacheArg>().unwrap().least, Some(true));
        assert_eq!(read("type=registry,ref=a/b,mode=max"), [registry("a/b")]);
        assert_eq!(read("type=local,dest=/c"), [CacheAt::Local("/c".into())]);
        assert_eq!(read("type=inline"), [CacheAt::Inline]);
        for bad in [
            "type=gha",
            "type=local",
            "type=registry",
            "ref=a",
            "type=inline,mode=x",
            "type=local,wat=1",
            ",",
        ] {
            assert!(bad.parse::<CacheArg>().is_err(), "{bad}");
        }
    }

    #[test]
    fn named_contexts_are_told_apart_by_their_form() {
        let read = |text: &str| text.parse::<ContextArg>().unwrap();
        for (text, name, value) in [
            ("src=../x", "src", ContextValue::Directory("../x".into())),
            (
                "docker.io/library/alpine:latest=docker-image://alpine:3",
                "alpine",
                ContextValue::Image("alpine:3".into()),
            ),
            ("a=container-image:b", "a", ContextValue::Image("b".into())),
            ("a=container-image://b", "a", ContextValue::Image("b".into())),
            ("a=docker://b", "a", ContextValue::Image("b".into())),
            ("a=https://h/x.tar", "a", ContextValue::Remote("https://h/x.tar".into())),
            ("a=git@h:r.git", "a", ContextValue::Remote("git@h:r.git".into())),
            (
                "a=oci-layout:///d:1",
                "a",
                ContextValue::Layout { dir: "/d".into(), tag: Some("1".into()), digest: None },
            ),
            (
                "a=oci-layout://../d",
                "a",
                ContextValue::Layout { dir: "../d".into(), tag: None, digest: None },
            ),
        ] {
            assert_eq!(read(text), ContextArg { name: name.into(), value }, "{text}");
        }
        for bad in ["a", "=x", "a=", "a=docker-image://", "a=oci-layout://", "a=oci-layout://d@x", "A B=x"] {
            assert!(bad.parse::<ContextArg>().is_err(), "{bad}");
        }
    }

    #[test]
    fn annotations_say_what_gets_them() {
        let read = |text: &str| {
            let it = text.parse::<AnnotationArg>().unwrap();
            (it.manifest, it.index, it.key, it.value)
        };
        assert_eq!(read("a=b=c"), (true, false, "a".into(), "b=c".into()));
        assert_eq!(read("index:a=b"), (false, true, "a".into(), "b".into()));
        assert_eq!(read("index,manifest:a=b"), (true, true, "a".into(), "b".into()));
        assert_eq!(read("org.x:y=b"), (true, false, "org.x:y".into(), "b".into()));
        for bad in ["a", "=b", "index:=b", "manifest[linux/amd64]:a=b", "index-descriptor:a=b"] {
            assert!(bad.parse::<AnnotationArg>().is_err(), "{bad}");
        }
    }

    #[test]
    fn policies_have_the_words_of_both() {
        use crate::engine::images::pull::PullPolicy;
        let read = |text: &str| text.parse::<PullArg>().unwrap().0;
        assert_eq!(["always", "true"].map(read), [PullPolicy::Always; 2]);
        assert_eq!(["never", "false"].map(read), [PullPolicy::Never; 2]);
        assert_eq!((read("missing"), read("newer")), (PullPolicy::Missing, PullPolicy::Newer));
        assert!("sometimes".parse::<PullArg>().is_err());
    }
}
