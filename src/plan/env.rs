//! The payload's environment: its sources and their precedence.

use crate::error::{Error, Kind, Result};
use std::str::FromStr;

/// The `PATH` of an image that sets none.
pub const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Variables that `--http-proxy` hands through.
pub const PROXY: [&str; 8] = [
    "http_proxy",
    "https_proxy",
    "ftp_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "FTP_PROXY",
    "NO_PROXY",
];

/// `--env`, or one line of an `--env-file`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvArg {
    /// `NAME=value`.
    Set(String, String),
    /// `NAME`: the caller's value, if it has one.
    Inherit(String),
    /// `NAME*`: every variable of the caller that starts so.
    InheritAll(String),
}

impl FromStr for EnvArg {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        let bad = |why: &str| {
            Error::new(Kind::Usage, format!("{s:?} does not set a variable: {why}")).hint(
                "Write NAME=value, NAME for the caller's value, or PREFIX* for several, for example \
                       --env TZ=UTC.",
            )
        };
        let name = s.split_once('=').map_or(s, |(name, _)| name);
        if name.is_empty() {
            return Err(bad("the name is empty"));
        }
        if s.contains('\0') {
            return Err(bad("it has a NUL byte"));
        }
        Ok(match (s.split_once('='), s.strip_suffix('*')) {
            (Some((name, value)), _) => EnvArg::Set(name.to_owned(), value.to_owned()),
            (None, Some(prefix)) => EnvArg::InheritAll(prefix.to_owned()),
            (None, None) => EnvArg::Inherit(s.to_owned()),
        })
    }
}

/// The entries of an env file: one per line, values word for word (no quotes, no expansion), empty
/// lines and lines that start with `#` left out.
///
/// # Errors
/// A line that is not an entry, by its number.
pub fn parse_file(text: &str) -> Result<Vec<EnvArg>> {
    let mut entries = Vec::new();
    for (line, number) in text.trim_start_matches('\u{feff}').lines().zip(1..) {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |e: Error| Error::new(Kind::Usage, format!("line {number} is not an entry")).caused_by(e);
        // On a command line a name may have blanks; in a file it is a mistake.
        if line.split('=').next().is_some_and(|name| name.contains(char::is_whitespace)) {
            return Err(wrong(Error::new(Kind::Usage, "the name contains white space")));
        }
        entries.push(line.parse().map_err(wrong)?);
    }
    Ok(entries)
}

/// Everything that adds to the environment, as it was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EnvRequest {
    /// `--env`.
    pub set: Vec<EnvArg>,
    /// The entries of all `--env-file`s, in order.
    pub files: Vec<EnvArg>,
    /// New values for variables of the image, in which `${NAME}` stands for its old ones.
    pub merge: Vec<(String, String)>,
    /// Hand the caller's proxy settings through.
    pub proxy: bool,
    /// Hand the caller's whole environment through.
    pub host: bool,
    /// Defaults and image variables to leave out.
    pub unset: Vec<String>,
    /// Leave all defaults and image variables out.
    pub unset_all: bool,
}

/// Variables in the order they were first set; a later value replaces an earlier one in its place.
#[derive(Debug, Default)]
struct Variables(Vec<(String, String)>);

impl Variables {
    fn set(&mut self, name: &str, value: &str) {
        match self.0.iter_mut().find(|(n, _)| n == name) {
            Some((_, old)) => value.clone_into(old),
            None => self.0.push((name.to_owned(), value.to_owned())),
        }
    }

    fn set_entry(&mut self, entry: &str) {
        let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
        if !name.is_empty() {
            self.set(name, value);
        }
    }

    fn into_entries(self) -> Vec<String> {
        self.0.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(n, _)| n == name)
    }

    fn apply(&mut self, entry: &EnvArg, caller: &[(String, String)]) {
        match entry {
            EnvArg::Set(name, value) => self.set(name, value),
            EnvArg::Inherit(name) => {
                if let Some((_, value)) = caller.iter().find(|(n, _)| n == name) {
                    self.set(name, value);
                }
            }
            EnvArg::InheritAll(prefix) => {
                for (name, value) in caller.iter().filter(|(n, _)| n.starts_with(prefix.as_str())) {
                    self.set(name, value);
                }
            }
        }
    }
}

/// The environment, later sources over earlier ones: our defaults, the image, the caller's proxy
/// settings, the caller's environment, env files, single settings (podman-run(1), ENVIRONMENT).
///
/// Our defaults are `PATH`, `container=oci` (a name that systemd knows),
/// `TERM=xterm` with a terminal, and `HOSTNAME`. `HOME` is init's to set: only it knows the user.
pub fn layer(
    request: &EnvRequest,
    image: &[String],
    caller: &[(String, String)],
    hostname: &str,
    tty: bool,
) -> Vec<String> {
    let mut variables = Variables::default();
    variables.set_entry(DEFAULT_PATH);
    variables.set("container", "oci");
    if tty {
        variables.set("TERM", "xterm");
    }
    for entry in image {
        variables.set_entry(entry);
    }
    for (name, text) in &request.merge {
        let value = expand(text, &variables);
        variables.set(name, &value);
    }
    let unset = |name: &str| request.unset_all || request.unset.iter().any(|u| u == name);
    variables.0.retain(|(name, _)| !unset(name));
    if request.proxy {
        for name in PROXY {
            variables.apply(&EnvArg::Inherit(name.to_owned()), caller);
        }
    }
    if request.host {
        variables.apply(&EnvArg::InheritAll(String::new()), caller);
    }
    for entry in request.files.iter().chain(&request.set) {
        variables.apply(entry, caller);
    }
    if !variables.has("HOSTNAME") && !unset("HOSTNAME") {
        variables.set("HOSTNAME", hostname);
    }
    variables.into_entries()
}

/// What entries set, given the caller's environment: `NAME=value`.
pub fn entries(set: &[EnvArg], caller: &[(String, String)]) -> Vec<String> {
    let mut variables = Variables::default();
    set.iter().for_each(|entry| variables.apply(entry, caller));
    variables.into_entries()
}

/// An environment in which these entries are set and then these names are not.
pub fn changed(env: &[String], set: &[String], unset: &[String]) -> Vec<String> {
    let mut variables = Variables::default();
    env.iter().chain(set).for_each(|entry| variables.set_entry(entry));
    variables.0.retain(|(name, _)| !unset.contains(name));
    variables.into_entries()
}

/// Puts values in the place of `$NAME` and `${NAME}`; a name without a value stands for nothing.
fn expand(text: &str, variables: &Variables) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let (name, left) = match after.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            Some((name, left)) => (name, left),
            None => after.split_at(after.find(|c| !word(c)).unwrap_or(after.len())),
        };
        match variables.0.iter().find(|(known, _)| known == name) {
            Some((_, value)) => out.push_str(value),
            None if name.is_empty() => out.push('$'),
            None => {}
        }
        rest = left;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller() -> Vec<(String, String)> {
        [("A", "caller"), ("APP_X", "1"), ("APP_Y", "2"), ("http_proxy", "http://p"), ("HOSTNAME", "laptop")]
            .map(|(n, v)| (n.to_owned(), v.to_owned()))
            .to_vec()
    }

    fn args(list: &[&str]) -> Vec<EnvArg> {
        list.iter().map(|s| s.parse().unwrap()).collect()
    }

    #[test]
    fn entries_are_read() {
        for (text, entry) in [
            ("A=b", EnvArg::Set("A".into(), "b".into())),
            ("A=", EnvArg::Set("A".into(), String::new())),
            ("A=b=c", EnvArg::Set("A".into(), "b=c".into())),
            ("A*=b", EnvArg::Set("A*".into(), "b".into())),
            ("A B=c", EnvArg::Set("A B".into(), "c".into())),
            ("A", EnvArg::Inherit("A".into())),
            ("A*", EnvArg::InheritAll("A".into())),
            ("*", EnvArg::InheritAll(String::new())),
        ] {
            assert_eq!(text.parse::<EnvArg>().unwrap(), entry, "{text}");
        }
        for bad in ["", "=x", "A=\0"] {
            assert!(bad.parse::<EnvArg>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn files_are_read_line_by_line() {
        let text = "\u{feff}# remark\n\nA=1\r\n  B= two words \n#C=3\nD\nE=\"quoted\"\n";
        assert_eq!(parse_file(text).unwrap(), args(&["A=1", "B= two words ", "D", "E=\"quoted\""]));
        let error = parse_file("A=1\nB C=2\n").unwrap_err();
        assert_eq!(error.message(), "line 2 is not an entry");
    }

    #[test]
    fn environments_are_changed() {
        let set = entries(&args(&["A=1", "APP_*", "NOT_THERE", "A=2"]), &caller());
        assert_eq!(set, ["A=2", "APP_X=1", "APP_Y=2"]);
        let before = ["PATH=/bin", "A=0", "B=1"].map(str::to_owned);
        let after = changed(&before, &set, &["B".to_owned(), "APP_Y".to_owned()]);
        assert_eq!(after, ["PATH=/bin", "A=2", "APP_X=1"]);
    }

    #[test]
    fn later_sources_win() {
        let image: Vec<String> =
            ["PATH=/image", "A=image", "B=image", "=broken", "C"].map(str::to_owned).to_vec();
        let plain = EnvRequest::default();
        assert_eq!(
            layer(&plain, &image, &caller(), "box", false),
            ["PATH=/image", "container=oci", "A=image", "B=image", "C=", "HOSTNAME=box"]
        );
        let full = EnvRequest {
            set: args(&["A=set", "NOT_THERE", "APP_*"]),
            files: args(&["A=file", "B=file"]),
            proxy: true,
            ..EnvRequest::default()
        };
        assert_eq!(
            layer(&full, &image, &caller(), "box", true),
            [
                "PATH=/image",
                "container=oci",
                "TERM=xterm",
                "A=set",
                "B=file",
                "C=",
                "http_proxy=http://p",
                "APP_X=1",
                "APP_Y=2",
                "HOSTNAME=box"
            ]
        );
        let host = EnvRequest { host: true, ..EnvRequest::default() };
        assert!(layer(&host, &image, &caller(), "box", false).contains(&"A=caller".to_owned()));
        assert!(layer(&host, &image, &caller(), "box", false).contains(&"HOSTNAME=laptop".to_owned()));
    }

    #[test]
    fn image_variables_can_be_built_upon() {
        let image: Vec<String> = ["A=world", "B=x"].map(str::to_owned).to_vec();
        let merge = [("A", "${A}-some"), ("B", "$A/$NONE/$$B$"), ("C", "${D}-some")];
        let merge = merge.map(|(n, v)| (n.to_owned(), v.to_owned())).to_vec();
        let layered = layer(&EnvRequest { merge, ..EnvRequest::default() }, &image, &[], "box", false);
        assert_eq!(layered[2..5], ["A=world-some", "B=world-some//$x$", "C=-some"]);
    }

    #[test]
    fn defaults_and_image_variables_can_be_left_out() {
        let image = vec!["A=image".to_owned()];
        let one = EnvRequest { unset: vec!["A".into(), "container".into()], ..EnvRequest::default() };
        assert_eq!(layer(&one, &image, &[], "box", false), [DEFAULT_PATH, "HOSTNAME=box"]);
        let all = EnvRequest { unset_all: true, set: args(&["B=1"]), ..EnvRequest::default() };
        assert_eq!(layer(&all, &image, &[], "box", true), ["B=1"]);
    }
}
