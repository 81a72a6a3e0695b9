//! The payload: which program, as which user, and how settings of the image and the user combine.

use crate::error::{Error, Kind, Result};
use crate::image::RunConfig;
use crate::text::clean;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// `--entrypoint`: a program, or a JSON array of a program and its first arguments; empty clears the
/// image's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entrypoint(pub Vec<String>);

impl FromStr for Entrypoint {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        // A text that is no array is a program's name, even one that starts with a bracket, as in podman.
        let words = serde_json::from_str::<Vec<String>>(s).unwrap_or_else(|_| vec![s.to_owned()]);
        let cleared = words.iter().all(String::is_empty);
        Ok(Entrypoint(if cleared { Vec::new() } else { words }))
    }
}

/// `--oom-score-adj`: -1000 to 1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OomScore(pub i32);

impl FromStr for OomScore {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        s.parse().ok().filter(|n| (-1000..=1000).contains(n)).map(OomScore).ok_or_else(|| {
            Error::new(Kind::Usage, format!("{s:?} is not a number from -1000 to 1000"))
                .hint("Processes with a higher score are killed first, for example --oom-score-adj 500.")
        })
    }
}

/// `--personality`, as personality(2) takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Personality(pub u32);

impl FromStr for Personality {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        match s.to_ascii_lowercase().as_str() {
            "linux" => Ok(Personality(0)),
            "linux32" => Ok(Personality(8)),
            _ => Err(Error::new(Kind::Usage, format!("{s:?} is not an execution domain"))
                .hint("Use linux, or linux32 to see a 32-bit machine.")),
        }
    }
}

/// What is executed, and the parts it was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The entrypoint in force.
    pub entrypoint: Vec<String>,
    /// The command in force.
    pub command: Vec<String>,
}

impl Program {
    /// Entrypoint and command together; never empty.
    pub fn argv(&self) -> Vec<String> {
        [self.entrypoint.as_slice(), self.command.as_slice()].concat()
    }
}

/// Combines image and request: an `--entrypoint` replaces the image's and drops its command as well; a
/// command replaces only the command.
///
/// # Errors
/// When nothing is left to execute.
pub fn program(asked: Option<&Entrypoint>, command: &[String], image: Option<&RunConfig>) -> Result<Program> {
    let of_image = |part: fn(&RunConfig) -> &Vec<String>| image.map(part).cloned().unwrap_or_default();
    let entrypoint = match asked {
        Some(own) => own.0.clone(),
        None => of_image(|c| &c.entrypoint),
    };
    // Builders write it so where the entrypoint of a base was cleared.
    let entrypoint = if entrypoint == [""] { Vec::new() } else { entrypoint };
    let command = match (command, asked) {
        ([], None) => of_image(|c| &c.cmd),
        (given, _) => given.to_vec(),
    };
    if entrypoint.is_empty() && command.is_empty() {
        // Without an image there is no program to be found.
        let kind = if image.is_some() { Kind::Usage } else { Kind::CommandNotFound };
        let message = "no command or entrypoint provided, and no CMD or ENTRYPOINT from image";
        return Err(Error::new(kind, message).hint("Name a program, for example coracle run IMAGE sh."));
    }
    let program = Program { entrypoint, command };
    match program.argv().first().map(String::as_str) {
        Some("") => Err(Error::new(Kind::CommandNotFound, "the command's name is empty")),
        _ if program.argv().iter().any(|w| w.contains('\0')) => {
            Err(Error::new(Kind::Image, "the image's command has a NUL byte"))
        }
        _ => Ok(program),
    }
}

/// `--user USER[:GROUP]`: names or numbers, of the right form; whether they exist is found out inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserArg(pub String);

impl FromStr for UserArg {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        let bad = |why: &str| {
            Error::new(Kind::Usage, format!("{s:?} is not a user: {why}"))
                .hint("Write USER[:GROUP], each a name or a number, for example --user 1000:1000.")
        };
        // Without a group behind the colon it is the user's own.
        let s = s.strip_suffix(':').filter(|user| !user.contains(':')).unwrap_or(s);
        let (user, group) = s.split_once(':').map_or((s, None), |(user, group)| (user, Some(group)));
        if group == Some("") {
            return Err(bad("the group is missing"));
        }
        for part in [user, group.unwrap_or_default()] {
            check_account(part).map_err(|why| bad(&why))?;
        }
        Ok(UserArg(if user.is_empty() && group.is_some() { format!("0{s}") } else { s.to_owned() }))
    }
}

/// `--group-add GROUP`: a name or a number, or `keep-groups`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupArg(pub String);

impl FromStr for GroupArg {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        let why = if s.is_empty() { Err("it is empty".to_owned()) } else { check_account(s) };
        why.map_err(|why| Error::new(Kind::Usage, format!("{s:?} is not a group: {why}")))?;
        Ok(GroupArg(s.to_owned()))
    }
}

/// A user's or group's name or number. Numbers end below 2^32 - 1, which means "no id" to the kernel
/// (attack case 28: a number must never wrap to 0).
fn check_account(text: &str) -> Result<(), String> {
    let digits = text.trim_start_matches(['-', '+']);
    let numeric = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if numeric && (digits.len() != text.len() || !digits.parse::<u32>().is_ok_and(|n| n < u32::MAX)) {
        return Err(format!("{text} is not a number from 0 to 4294967294"));
    }
    if text.contains(|c: char| c.is_control() || c.is_whitespace() || c == ':' || c == '/') {
        return Err(format!("{text:?} has characters a name may not have"));
    }
    Ok(())
}

/// The working directory: the one asked for, the image's, or `/`.
///
/// # Errors
/// When the one asked for is not absolute.
pub fn working_directory(asked: Option<&str>, image: Option<&RunConfig>) -> Result<PathBuf> {
    let text = match asked {
        Some(text) if Path::new(text).is_absolute() => text,
        Some(text) => {
            return Err(Error::new(
                Kind::Usage,
                format!("working directory {text:?} is not an absolute path"),
            )
            .hint("Write it from the container's root, for example -w /srv."));
        }
        None => image.map_or("", |c| c.working_dir.as_str()),
    };
    // Docker takes a relative directory of an image as one below the root.
    Ok(clean(Path::new(text)))
}

/// `--hostname`: letters, digits, `-`, `_` and `.`, at most 64 bytes (sethostname(2)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hostname(pub String);

impl FromStr for Hostname {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if (1..=64).contains(&s.len()) && s.bytes().all(good) && !s.starts_with(['-', '.']) {
            return Ok(Hostname(s.to_owned()));
        }
        Err(Error::new(Kind::Usage, format!("{s:?} is not a host name"))
            .hint("Use at most 64 letters, digits, '-', '_' and '.', for example --hostname build-1."))
    }
}

/// `--umask`, octal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Umask(pub u32);

impl FromStr for Umask {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        match u32::from_str_radix(s, 8) {
            Ok(mask) if mask <= 0o777 && !s.starts_with('+') => Ok(Umask(mask)),
            _ => Err(Error::new(Kind::Usage, format!("{s:?} is not a file mode mask"))
                .hint("Write octal digits, for example --umask 0027.")),
        }
    }
}

/// `--tz`: a zone's name such as `Europe/Berlin`, or `local`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(pub String);

impl FromStr for Zone {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        let part = |p: &str| {
            p.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
                && p.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'+'))
        };
        if s.split('/').all(part) {
            return Ok(Zone(s.to_owned()));
        }
        Err(Error::new(Kind::Usage, format!("{s:?} is not a time zone"))
            .hint("Use a name below /usr/share/zoneinfo, or local, for example --tz Europe/Berlin."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn entrypoints_are_texts_or_arrays() {
        for (text, list) in [
            ("/bin/sh", &["/bin/sh"][..]),
            ("/bin/sh -c", &["/bin/sh -c"]),
            (r#"["/bin/sh","-c"]"#, &["/bin/sh", "-c"]),
            ("", &[]),
            (r#"[""]"#, &[]),
            ("[]", &[]),
            ("[", &["["]),
            (r#"["a",1]"#, &[r#"["a",1]"#]),
        ] {
            assert_eq!(text.parse::<Entrypoint>().unwrap().0, list, "{text}");
        }
    }

    #[test]
    fn image_and_request_combine_as_in_docker() {
        let image = |entrypoint: &str, cmd: &str| RunConfig {
            entrypoint: words(entrypoint),
            cmd: words(cmd),
            ..RunConfig::default()
        };
        for (entrypoint, cmd, asked, command, argv) in [
            ("", "sh", None, "", "sh"),
            ("", "sh", None, "ls -l", "ls -l"),
            ("init", "run", None, "", "init run"),
            ("init", "run", None, "test", "init test"),
            ("init", "run", Some("sh"), "", "sh"),
            ("init", "run", Some("sh"), "-c x", "sh -c x"),
            ("init", "run", Some(""), "ls", "ls"),
            ("init", "run", Some(r#"["sh","-c"]"#), "x", "sh -c x"),
        ] {
            let asked = asked.map(|a| a.parse::<Entrypoint>().unwrap());
            let got = program(asked.as_ref(), &words(command), Some(&image(entrypoint, cmd))).unwrap();
            assert_eq!(got.argv(), words(argv), "{entrypoint} {cmd} {asked:?} {command}");
        }
        assert!(program(None, &[], Some(&image("", ""))).is_err());
        assert!(program(Some(&Entrypoint(vec![])), &[], Some(&image("init", "run"))).is_err());
        assert!(program(None, &[], None).is_err());
        assert_eq!(program(None, &["".into()], None).unwrap_err().kind(), Kind::CommandNotFound);
    }

    #[test]
    fn case_28_user_numbers_never_wrap() {
        for good in
            ["0", "1000", "1000:1000", "root", "root:wheel", "4294967294", "www-data", "a.b", "1000:wheel"]
        {
            assert_eq!(good.parse::<UserArg>().unwrap().0, good);
        }
        for (text, user) in [(":5", "0:5"), ("1234:", "1234"), ("www-data:", "www-data"), (":", "")] {
            assert_eq!(text.parse::<UserArg>().unwrap().0, user);
        }
        for bad in [
            "4294967295",
            "4294967296",
            "18446744073709551616",
            "-1",
            "+0",
            "0:-1",
            "0:4294967296",
            "a:b:c",
            "a b",
            "a\n",
            "a::",
            "a:b:",
            "../x",
        ] {
            assert!(bad.parse::<UserArg>().is_err(), "{bad:?}");
        }
        for bad in ["", "4294967296", "-5", "a:b"] {
            assert!(bad.parse::<GroupArg>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn working_directories_are_absolute_and_clean() {
        let image = RunConfig { working_dir: "srv/../app/".into(), ..RunConfig::default() };
        for (asked, image, path) in [
            (None, None, "/"),
            (None, Some(&image), "/app"),
            (Some("/x/./y//z"), Some(&image), "/x/y/z"),
            (Some("/../../etc"), None, "/etc"),
        ] {
            assert_eq!(working_directory(asked, image).unwrap(), Path::new(path));
        }
        assert!(working_directory(Some("x"), None).is_err());
        assert!(working_directory(Some(""), None).is_err());
    }

    #[test]
    fn small_texts_are_checked() {
        for (text, mask) in [("0022", 0o22), ("22", 0o22), ("777", 0o777), ("0", 0)] {
            assert_eq!(text.parse::<Umask>().unwrap(), Umask(mask));
        }
        for bad in ["", "8", "1000", "-1", "+22", "rwx"] {
            assert!(bad.parse::<Umask>().is_err(), "{bad:?}");
        }
        for good in ["local", "UTC", "Europe/Berlin", "Etc/GMT+5", "America/Argentina/Buenos_Aires"] {
            assert!(good.parse::<Zone>().is_ok(), "{good}");
        }
        for bad in ["", "/etc/passwd", "../x", "Europe/../../x", "a//b", "a/", ".hidden"] {
            assert!(bad.parse::<Zone>().is_err(), "{bad:?}");
        }
        for bad in ["", "-a", "a b", "a/b", ".a", &"a".repeat(65)] {
            assert!(bad.parse::<Hostname>().is_err(), "{bad:?}");
        }
        assert!("box-1.local".parse::<Hostname>().is_ok());
    }
}
