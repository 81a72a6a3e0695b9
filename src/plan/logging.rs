//! `--log-driver` and `--log-opt`: where output is stored.

use crate::error::{Error, Kind, Result, phrases};
use crate::spec::{LogDriver, LogSpec};
use crate::text::units::read_decimal_size;
use std::path::{Path, PathBuf};
use std::str::FromStr;

const DRIVERS: &str =
    "Use k8s-file (the default), json-file, journald, none, passthrough or passthrough-tty.";
const OPTIONS: &str =
    "Use path=FILE, max-size=SIZE, max-file=NUMBER or tag=TEMPLATE, for example --log-opt max-size=10m.";

/// `--log-driver`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Driver(pub LogDriver);

impl FromStr for Driver {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        let refuse = |why: &str| phrases::no_log_driver(s, why).hint(DRIVERS);
        Ok(Driver(match s {
            "k8s-file" | "" => LogDriver::K8sFile,
            // What docker calls local is kept in files of its own form.
            "json-file" | "local" => LogDriver::JsonFile,
            "journald" => LogDriver::Journald,
            "none" => LogDriver::None,
            "passthrough" => LogDriver::Passthrough,
            "passthrough-tty" => LogDriver::PassthroughTty,
            "syslog" | "gelf" | "fluentd" | "awslogs" | "splunk" | "etwlogs" | "gcplogs" => {
                return Err(refuse("is not supported"));
            }
            _ => return Err(refuse("is not known")),
        }))
    }
}

/// One `--log-opt`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogOpt {
    /// Bytes after which the log is rotated; `None` is never.
    MaxSize(Option<u64>),
    /// How many files of that size there may be.
    MaxFile(u32),
    /// The file.
    Path(PathBuf),
    /// A template for what entries are marked with.
    Tag(String),
}

impl LogOpt {
    fn key(&self) -> &'static str {
        match self {
            LogOpt::MaxSize(_) => "max-size",
            LogOpt::MaxFile(_) => "max-file",
            LogOpt::Path(_) => "path",
            LogOpt::Tag(_) => "tag",
        }
    }
}

impl FromStr for LogOpt {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        let refuse = |why: String| Error::new(Kind::Usage, why).hint(OPTIONS);
        match s.split_once('=') {
            Some(("max-size", "-1")) => Ok(LogOpt::MaxSize(None)),
            // In powers of 1000, as docker and podman take it here alone.
            Some(("max-size", size)) => match read_decimal_size(size) {
                Some(bytes) => Ok(LogOpt::MaxSize(Some(bytes).filter(|b| *b > 0))),
                None => Err(refuse(format!("log option {s:?}: it is not a size"))),
            },
            Some(("max-file", number)) => match number.parse() {
                Ok(number @ 1..=999) => Ok(LogOpt::MaxFile(number)),
                _ => Err(refuse(format!("log option {s:?}: the number of files is 1 to 999"))),
            },
            Some(("path", "")) => Err(refuse(format!("log option {s:?} names no file"))),
            Some(("path", path)) => Ok(LogOpt::Path(path.into())),
            Some(("tag", tag)) => Ok(LogOpt::Tag(tag.to_owned())),
            _ => Err(refuse(format!("{s:?} is not a log option"))),
        }
    }
}

impl LogSpec {
    /// What driver and options say together; paths are taken from `cwd`.
    ///
    /// # Errors
    /// [`Kind::Usage`] for an option that is not one of this driver's.
    pub fn of(driver: LogDriver, options: Vec<LogOpt>, cwd: &Path) -> Result<LogSpec> {
        let mut plan = LogSpec { driver, max_size: None, path: None, tag: None, max_file: None };
        let in_files = matches!(driver, LogDriver::K8sFile | LogDriver::JsonFile);
        for option in options {
            let fits = match option {
                LogOpt::Tag(_) => matches!(driver, LogDriver::Journald | LogDriver::JsonFile),
                // A limit is harmless where nothing is kept, and is often set for all containers.
                LogOpt::MaxSize(_) => true,
                LogOpt::MaxFile(_) | LogOpt::Path(_) => in_files,
            };
            if !fits {
                let key = option.key();
                let hint = match option {
                    LogOpt::Tag(_) => "A tag is for --log-driver journald and json-file.",
                    _ => "It is for --log-driver k8s-file and json-file.",
                };
                return Err(
                    Error::new(Kind::Usage, format!("this log driver has no option {key}")).hint(hint)
                );
            }
            match option {
                LogOpt::MaxSize(bytes) => plan.max_size = bytes,
                LogOpt::MaxFile(number) => plan.max_file = Some(number),
                LogOpt::Path(path) => plan.path = Some(cwd.join(path)),
                LogOpt::Tag(tag) => plan.tag = Some(tag),
            }
        }
        if plan.path.as_ref().is_some_and(|path| path.file_name().is_none_or(|name| name.to_str().is_none()))
        {
            return Err(Error::new(Kind::Usage, "the log's path names no file").hint(OPTIONS));
        }
        Ok(plan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(driver: &str, options: &[&str]) -> Result<LogSpec> {
        let Driver(driver) = driver.parse()?;
        LogSpec::of(driver, options.iter().map(|o| o.parse()).collect::<Result<_>>()?, Path::new("/here"))
    }

    #[test]
    fn drivers_take_the_options_that_are_theirs() {
        let found = plan("json-file", &["max-size=10m", "path=a.log", "tag=x", "max-file=3"]).unwrap();
        assert_eq!(found.driver, LogDriver::JsonFile);
        assert_eq!((found.max_size, found.max_file), (Some(10_000_000), Some(3)));
        assert_eq!((found.path, found.tag), (Some("/here/a.log".into()), Some("x".into())));
        assert_eq!(plan("none", &["max-size=-1"]).unwrap().max_size, None);
        assert_eq!(plan("local", &["max-size=3.099m"]).unwrap().max_size, Some(3_099_000));
        assert!(plan("journald", &["tag={{.Name}}"]).is_ok());
        assert_eq!(plan("passthrough-tty", &[]).unwrap().driver, LogDriver::PassthroughTty);
        for (driver, option) in [
            ("journald", "path=/x"),
            ("none", "path=/x"),
            ("k8s-file", "tag=x"),
            ("k8s-file", "max-file=0"),
            ("k8s-file", "max-file=1000"),
            ("k8s-file", "path=.."),
            ("k8s-file", "path="),
            ("k8s-file", "max-size"),
            ("k8s-file", "max-size=x"),
            ("k8s-file", "mode=non-blocking"),
            ("syslog", "max-size=1m"),
            ("wat", "max-size=1m"),
        ] {
            assert!(plan(driver, &[option]).is_err(), "{driver} {option}");
        }
    }
}
