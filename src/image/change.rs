//! Changes to an image's configuration, written as lines of a Containerfile: `--change`.

use super::{RunConfig, health};
use crate::error::{Error, Kind, Result};
use serde_json::{Map, Value};
use std::str::FromStr;

/// One change, as `commit --change` and `import --change` take it: `CMD ["sh"]`, `ENV=A=b`,
/// `LABEL a=b` (podman-commit(1), docker-commit(1)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The default command.
    Cmd(Vec<String>),
    /// What stands before the command.
    Entrypoint(Vec<String>),
    /// Variables.
    Env(Vec<(String, String)>),
    /// `port/protocol`.
    Expose(Vec<String>),
    /// How its health is checked, as the configuration has it.
    HealthCheck(Value),
    /// Labels.
    Label(Vec<(String, String)>),
    /// A build trigger.
    OnBuild(String),
    /// The signal that `stop` sends, as written.
    StopSignal(String),
    /// `user[:group]`.
    User(String),
    /// Paths that get an anonymous volume.
    Volume(Vec<String>),
    /// The working directory; a relative one starts from the last.
    WorkDir(String),
}

impl FromStr for Change {
    type Err = Error;

    fn from_str(text: &str) -> Result<Change> {
        let wrong = |why: &str| {
            Error::new(Kind::Usage, format!("change {text:?}: {why}"))
                .hint("Write an instruction and its value, for example --change 'CMD [\"sh\"]' or --change ENV=A=b; known are CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME and WORKDIR.")
        };
        let text = text.trim();
        let end = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
        let (key, rest) = text.split_at(end);
        let value = rest.strip_prefix('=').unwrap_or(rest).trim();
        if key.is_empty() || !rest.starts_with(|c: char| c == '=' || c.is_whitespace()) {
            return Err(wrong("it is not an instruction with a value"));
        }
        if value.is_empty() || value.contains('\0') {
            return Err(wrong("it has no value"));
        }
        let list = || words(value).ok_or_else(|| wrong("a quote is not closed"));
        Ok(match key.to_ascii_uppercase().as_str() {
            "CMD" => Change::Cmd(command(value)),
            "ENTRYPOINT" => Change::Entrypoint(command(value)),
            "ENV" => {
                let pairs = pairs(value, &list()?, true).ok_or_else(|| wrong("a variable has no name"))?;
                Change::Env(pairs)
            }
            "EXPOSE" => {
                let ports = list()?.iter().map(|word| ports(word)).collect::<Option<Vec<_>>>();
                Change::Expose(
                    ports
                        .ok_or_else(|| wrong("a port is a number from 1 to 65535, with /tcp, /udp or /sctp"))?
                        .concat(),
                )
            }
            "HEALTHCHECK" => Change::HealthCheck(health::check(value).map_err(|why| wrong(&why))?),
            "LABEL" => {
                let pairs = pairs(value, &list()?, false);
                Change::Label(pairs.ok_or_else(|| wrong("a label is written as name=value"))?)
            }
            "ONBUILD" => Change::OnBuild(value.to_owned()),
            "STOPSIGNAL" => Change::StopSignal(value.to_owned()),
            "USER" => Change::User(value.to_owned()),
            "VOLUME" => {
                let paths = json_list(value).map_or_else(list, Ok)?;
                if !paths.iter().all(|path| path.starts_with('/')) {
                    return Err(wrong("a volume's path starts with a slash"));
                }
                Change::Volume(paths)
            }
            "WORKDIR" => Change::WorkDir(value.to_owned()),
            other => return Err(wrong(&format!("{other} is not known"))),
        })
    }
}

impl Change {
    /// Makes the change.
    pub fn apply(&self, config: &mut RunConfig) {
        let empty = || Value::Object(Map::new());
        match self {
            Change::Cmd(command) => config.cmd.clone_from(command),
            Change::Entrypoint(entrypoint) => config.entrypoint.clone_from(entrypoint),
            Change::Env(pairs) => {
                for (name, value) in pairs {
                    let entry = format!("{name}={value}");
                    let is = |old: &&mut String| old.split_once('=').map_or(old.as_str(), |(n, _)| n) == name;
                    match config.env.iter_mut().find(is) {
                        Some(old) => *old = entry,
                        None => config.env.push(entry),
                    }
                }
            }
            Change::Expose(ports) => config.exposed_ports.extend(ports.iter().map(|p| (p.clone(), empty()))),
            Change::HealthCheck(check) => config.healthcheck = Some(check.clone()),
            Change::Label(pairs) => config.labels.extend(pairs.iter().cloned()),
            Change::OnBuild(line) => config.on_build.push(line.clone()),
            Change::StopSignal(signal) => config.stop_signal.clone_from(signal),
            Change::User(user) => config.user.clone_from(user),
            Change::Volume(paths) => config.volumes.extend(paths.iter().map(|p| (p.clone(), empty()))),
            Change::WorkDir(dir) if dir.starts_with('/') => config.working_dir.clone_from(dir),
            Change::WorkDir(dir) => {
                config.working_dir = format!("{}/{dir}", config.working_dir.trim_end_matches('/'));
            }
        }
    }
}

fn json_list(value: &str) -> Option<Vec<String>> {
    value.starts_with('[').then(|| serde_json::from_str(value).ok()).flatten()
}

/// A JSON list as it is, anything else for the shell.
fn command(value: &str) -> Vec<String> {
    json_list(value).unwrap_or_else(|| vec!["/bin/sh".into(), "-c".into(), value.into()])
}

/// Words between blanks, with quotes and backslashes as a shell has them; `None` for an open quote.
fn words(text: &str) -> Option<Vec<String>> {
    let mut all = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            (c, Some(q)) if c == q => quote = None,
            ('\\', None | Some('"')) => word.get_or_insert_default().push(chars.next()?),
            (c, Some(_)) => word.get_or_insert_default().push(c),
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => all.extend(word.take()),
            (c, None) => word.get_or_insert_default().push(c),
        }
    }
    all.extend(word);
    quote.is_none().then_some(all)
}

/// `name=value` words; where one is none, the old form `NAME the whole value` if that is allowed.
fn pairs(value: &str, words: &[String], old_form: bool) -> Option<Vec<(String, String)>> {
    let split = |word: &String| {
        let (name, value) = word.split_once('=')?;
        (!name.is_empty()).then(|| (name.to_owned(), value.to_owned()))
    };
    let all: Option<Vec<_>> = words.iter().map(split).collect();
    match (all, value.split_once(char::is_whitespace)) {
        (Some(all), _) => Some(all),
        (None, Some((name, rest))) if old_form && !name.contains('=') => {
            Some(vec![(name.to_owned(), rest.trim_start().to_owned())])
        }
        (None, None) if old_form && !value.contains('=') => Some(vec![(value.to_owned(), String::new())]),
        // Podman takes the rest of such a line as the first value.
        (None, Some(_)) if words.first().is_some_and(|word| split(word).is_some()) => {
            let (name, rest) = value.split_once('=')?;
            Some(vec![(name.to_owned(), rest.to_owned())])
        }
        _ => None,
    }
}

/// `80`, `80/udp`, `8000-8010/tcp`.
fn ports(word: &str) -> Option<Vec<String>> {
    let (numbers, protocol) = word.split_once('/').unwrap_or((word, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return None;
    }
    let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
    let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
    (first > 0 && first <= last).then(|| (first..=last).map(|port| format!("{port}/{protocol}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(changes: &[&str]) -> RunConfig {
        let mut config =
            RunConfig { env: vec!["A=old".into()], working_dir: "/srv".into(), ..RunConfig::default() };
        for change in changes {
            change.parse::<Change>().unwrap().apply(&mut config);
        }
        config
    }

    #[test]
    fn instructions_change_the_configuration() {
        let config = applied(&[
            "CMD=/bin/bash -l",
            r#"ENTRYPOINT ["/bin/a", "b c"]"#,
            "ENV A=b C='d e'",
            "env=F=g=h",
            "ENV OLD the rest",
            "EXPOSE 80 90-91/UDP",
            "HEALTHCHECK --retries=2 CMD true",
            r#"LABEL x=y z="a b""#,
            "LABEL=q=r s",
            "ONBUILD RUN make",
            "STOPSIGNAL SIGINT",
            "USER a:b",
            "VOLUME /a /b",
            r#"VOLUME ["/c d"]"#,
            "WORKDIR w",
        ]);
        assert_eq!(config.cmd, ["/bin/sh", "-c", "/bin/bash -l"]);
        assert_eq!(config.entrypoint, ["/bin/a", "b c"]);
        assert_eq!(config.env, ["A=b", "C=d e", "F=g=h", "OLD=the rest"]);
        assert_eq!(config.exposed_ports.keys().collect::<Vec<_>>(), ["80/tcp", "90/udp", "91/udp"]);
        assert_eq!((config.labels["z"].as_str(), config.labels["q"].as_str()), ("a b", "r s"));
        assert_eq!(config.volumes.keys().collect::<Vec<_>>(), ["/a", "/b", "/c d"]);
        assert_eq!((config.on_build, config.user.as_str()), (vec!["RUN make".to_owned()], "a:b"));
        assert_eq!((config.stop_signal.as_str(), config.working_dir.as_str()), ("SIGINT", "/srv/w"));
        let check = serde_json::json!({"Test": ["CMD-SHELL", "true"], "Retries": 2});
        assert_eq!(config.healthcheck, Some(check));
        assert!(applied(&["CMD []"]).cmd.is_empty());
    }

    #[test]
    fn what_is_no_change_is_refused() {
        for wrong in [
            "",
            "CMD",
            "FOO x",
            "EXPOSE 0",
            "EXPOSE 70000",
            "EXPOSE 80/xyz",
            "EXPOSE 9-8",
            "LABEL x",
            "LABEL =y",
            "VOLUME a",
            "ENV =x",
            "ENV 'a",
            "CMD\0",
            "HEALTHCHECK FOO",
            "=x",
        ] {
            assert!(wrong.parse::<Change>().is_err(), "{wrong:?}");
        }
    }
}
