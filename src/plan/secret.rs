//! `--secret NAME[,type=mount|env][,target=..][,uid=..][,gid=..][,mode=..]`.
//!
//! The plan contains only names. The value is in the container's directory and reaches the payload as a file in
//! memory or as a variable; no record, image or archive contains it.

use crate::container::Name;
use crate::error::{Error, Kind, Result};
use crate::spec::{SecretSpec, SecretWay};
use std::path::Path;
use std::str::FromStr;

/// Where secrets without an absolute target appear.
const DIRECTORY: &str = "/run/secrets";

/// `--secret`, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretArg(pub SecretSpec);

impl FromStr for SecretArg {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        let wrong = |why: String| {
            Error::new(Kind::Usage, format!("secret {s:?}: {why}"))
                .hint("Write NAME[,type=mount|env][,target=PATH|VARIABLE][,uid=N][,gid=N][,mode=0400].")
        };
        let (mut name, mut kind, mut target) = (None, "mount", None);
        let (mut uid, mut gid, mut mode) = (None, None, None);
        for (at, field) in s.split(',').enumerate() {
            let number =
                |text: &str| text.parse::<u32>().map_err(|_| wrong(format!("{field:?} is not a number")));
            match field.split_once('=') {
                None if at == 0 => name = Some(field),
                Some(("source" | "src" | "id", value)) => name = Some(value),
                Some(("type", value @ ("mount" | "env"))) => kind = value,
                Some(("target" | "dst" | "destination", value)) => target = Some(value),
                Some(("uid", value)) => uid = Some(number(value)?),
                Some(("gid", value)) => gid = Some(number(value)?),
                Some(("mode", value)) => {
                    let bits = u32::from_str_radix(value, 8).ok().filter(|bits| *bits <= 0o777);
                    mode = Some(bits.ok_or_else(|| wrong(format!("{field:?} is not an octal mode")))?);
                }
                _ => return Err(wrong(format!("unknown option {field:?}"))),
            }
        }
        let name = name.ok_or_else(|| wrong("its name is missing".into()))?;
        let name: Name = name.parse().map_err(|e: Error| wrong("bad name".into()).caused_by(e))?;
        let target = target.unwrap_or(name.as_str());
        let way = match kind {
            "env" if uid.or(gid).or(mode).is_some() => {
                return Err(wrong("uid, gid and mode are for type=mount".into()));
            }
            "env" if target.is_empty() || target.contains(['=', '\0']) => {
                return Err(wrong(format!("{target:?} is not the name of a variable")));
            }
            "env" => SecretWay::Env(target.to_owned()),
            _ => {
                let path =
                    super::mount::clean_destination(&Path::new(DIRECTORY).join(target).to_string_lossy())?;
                SecretWay::Mount { path, uid, gid, mode }
            }
        };
        Ok(SecretArg(SecretSpec { name, way }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(text: &str) -> SecretWay {
        text.parse::<SecretArg>().unwrap_or_else(|e| panic!("{text}: {e}")).0.way
    }

    #[test]
    fn secrets_are_files_or_variables() {
        let file = |path: &str, uid, gid, mode| SecretWay::Mount { path: path.into(), uid, gid, mode };
        assert_eq!(way("key"), file("/run/secrets/key", None, None, None));
        assert_eq!(way("key,target=a/b"), file("/run/secrets/a/b", None, None, None));
        assert_eq!(
            way("key,type=mount,target=/etc/key,uid=5,gid=6,mode=0440"),
            file("/etc/key", Some(5), Some(6), Some(0o440))
        );
        assert_eq!(way("source=key,type=env,target=KEY"), SecretWay::Env("KEY".into()));
        assert_eq!(way("key,type=env"), SecretWay::Env("key".into()));
    }

    #[test]
    fn wrong_ones_are_refused() {
        for bad in [
            "",
            "a/b",
            "key,type=file",
            "key,mode=8",
            "key,uid=x",
            "key,type=env,uid=1",
            "key,wat",
            "key,target=/",
            "type=env",
        ] {
            assert!(bad.parse::<SecretArg>().is_err(), "{bad}");
        }
    }
}
