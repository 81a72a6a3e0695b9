//! Instructions, from one line each.

use super::fault::{Fault, nearest};
use super::flags::Takes;
use super::statement::{Statement, strings};
use super::tree::{Argument, Command, Does, Heredoc, Lines, Run, Stage, Word};
use super::words::{by_blanks, first_and_rest};
use super::{keys, mount, sources};
use crate::image::health;

/// All instructions.
const NAMES: [&str; 18] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// What a line says.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one at a time")]
pub(super) enum Said {
    /// FROM: a stage begins.
    From(Stage),
    /// ARG, which may stand before any stage.
    Arg(Vec<Argument>),
    /// Any other.
    Does(Does),
}

impl Statement<'_> {
    /// What it says, with the heredocs of its markers.
    pub(super) fn parse(&self, heredocs: Vec<Heredoc>, at: Lines) -> Result<Said, Fault> {
        let none = || self.flags(&[]).map(drop);
        let does = match self.name.as_str() {
            "FROM" => return self.from(at).map(Said::From),
            "ARG" => return keys::arguments(self, at).map(Said::Arg),
            "ENV" => Does::Env(keys::pairs(self)?),
            "LABEL" => Does::Label(keys::pairs(self)?),
            "RUN" => Does::Run(self.run(heredocs)?),
            "COPY" => Does::Copy(sources::copy(self, heredocs)?),
            "ADD" => Does::Add(sources::add(self, heredocs)?),
            "WORKDIR" => Does::WorkDir(self.one()?),
            "USER" => Does::User(self.one()?),
            "STOPSIGNAL" => Does::StopSignal(self.one()?),
            "MAINTAINER" => Does::Maintainer(self.one()?),
            "EXPOSE" => Does::Expose(self.expose()?),
            "VOLUME" => Does::Volume(self.volumes()?),
            "ENTRYPOINT" => none().and_then(|()| self.command(Vec::new())).map(Does::Entrypoint)?,
            "CMD" => none().and_then(|()| self.command(Vec::new())).map(Does::Cmd)?,
            "SHELL" => Does::Shell(self.shell()?),
            "HEALTHCHECK" => self.health_check()?,
            "ONBUILD" => Does::OnBuild(self.trigger(heredocs, at)?),
            _ => return Err(self.unknown()),
        };
        Ok(Said::Does(does))
    }

    fn unknown(&self) -> Fault {
        let near = nearest(&self.name, NAMES).map(|name| format!("Did you mean {name}?"));
        let continues = self.keyword.starts_with(['&', '|', '-', '"', '\'']);
        let hint = match near {
            None if continues => {
                Some(format!("Write {} at the end of the line before it to continue that", self.escape))
            }
            near => near,
        };
        Fault::new(format!("Unknown instruction: {:?}", self.name))
            .dockers(format!("unknown instruction: {}", self.keyword))
            .at(self.keyword)
            .hint(hint)
    }

    /// The rest as one word.
    fn one(&self) -> Result<Word, Fault> {
        self.flags(&[])?;
        if self.rest.is_empty() {
            return Err(self.needs("exactly one argument"));
        }
        Ok(Word(self.rest.to_owned()))
    }

    fn from(&self, at: Lines) -> Result<Stage, Fault> {
        let mut flags = self.flags(&[("platform", Takes::Value)])?;
        let words = by_blanks(self.rest);
        let (base, name) = match words[..] {
            [base] => (base, None),
            [base, between, name] if between.eq_ignore_ascii_case("as") => (base, Some(name)),
            _ => return Err(self.needs("either one or three arguments")),
        };
        let fits = |name: &str| {
            name.starts_with(|c: char| c.is_ascii_alphabetic())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        };
        if let Some(name) = name.filter(|name| !fits(name)) {
            return Err(Fault::new(format!(
                "invalid name for build stage: {name:?}, name can't start with a number or contain symbols"
            ))
            .at(name));
        }
        Ok(Stage {
            name: name.map(str::to_ascii_lowercase),
            base: Word(base.to_owned()),
            platform: flags.value("platform"),
            at,
            original: self.line.to_owned(),
            instructions: Vec::new(),
        })
    }

    fn command(&self, heredocs: Vec<Heredoc>) -> Result<Command, Fault> {
        Ok(match strings(self.rest)? {
            Some(words) => Command::Exec(words),
            None => Command::Shell { line: self.rest.to_owned(), heredocs },
        })
    }

    fn run(&self, heredocs: Vec<Heredoc>) -> Result<Run, Fault> {
        let mut flags = self.flags(&[
            ("mount", Takes::Values),
            ("network", Takes::Value),
            ("security", Takes::Value),
            ("device", Takes::Values),
        ])?;
        let network = flags.value("network");
        one_of(&network, &["default", "none", "host"], |mode| format!("invalid network mode {mode:?}"))?;
        let security = flags.value("security");
        one_of(&security, &["sandbox", "insecure"], |mode| format!("security {mode:?} is not valid"))?;
        let mounts = flags.values("mount");
        for Word(mount) in &mounts {
            // What has to be expanded is checked when it is.
            if !mount.contains(['$', self.escape, '"', '\'']) {
                mount::read(mount, |value| Ok(value.to_owned()))?;
            }
        }
        Ok(Run {
            command: self.command(heredocs)?,
            mounts,
            network,
            security,
            devices: flags.values("device"),
        })
    }

    fn expose(&self) -> Result<Vec<Word>, Fault> {
        self.flags(&[])?;
        let mut ports = by_blanks(self.rest);
        if ports.is_empty() {
            return Err(self.needs("at least one argument"));
        }
        ports.sort_unstable();
        Ok(ports.into_iter().map(|port| Word(port.to_owned())).collect())
    }

    fn volumes(&self) -> Result<Vec<Word>, Fault> {
        self.flags(&[])?;
        let paths = strings(self.rest)?;
        let paths = paths.unwrap_or_else(|| by_blanks(self.rest).into_iter().map(str::to_owned).collect());
        if paths.is_empty() {
            return Err(self.needs("at least one argument"));
        }
        let paths: Vec<Word> = paths.into_iter().map(|path| Word(path.trim().to_owned())).collect();
        if paths.iter().any(|path| path.0.is_empty()) {
            return Err(Fault::new(format!("{} specified can not be an empty string", self.name)));
        }
        Ok(paths)
    }

    fn shell(&self) -> Result<Vec<String>, Fault> {
        self.flags(&[])?;
        match strings(self.rest)? {
            Some(words) if !words.is_empty() => Ok(words),
            None if !self.rest.is_empty() => Err(self
                .needs("the arguments to be in JSON form")
                .hint(Some("Write SHELL [\"/bin/bash\", \"-c\"]".to_owned()))),
            _ => Err(self.needs("at least one argument")),
        }
    }

    fn health_check(&self) -> Result<Does, Fault> {
        self.flags(&[
            ("interval", Takes::Value),
            ("timeout", Takes::Value),
            ("start-period", Takes::Value),
            ("start-interval", Takes::Value),
            ("retries", Takes::Value),
        ])?;
        if self.rest.is_empty() {
            return Err(self.needs("at least one argument"));
        }
        strings(first_and_rest(self.rest).1.unwrap_or_default())?;
        let given: Vec<&str> = self.flags.iter().map(String::as_str).chain([self.rest]).collect();
        let check = health::check(&given.join(" "));
        check.map(Does::HealthCheck).map_err(|why| Fault::new(format!("{}: {why}", self.name)))
    }

    fn trigger(&self, heredocs: Vec<Heredoc>, at: Lines) -> Result<String, Fault> {
        self.flags(&[])?;
        if self.rest.is_empty() {
            return Err(self.needs("at least one argument"));
        }
        let inner = Statement::new(self.rest, self.escape);
        inner.may_be_trigger()?;
        let mut text = self.rest.to_owned();
        for heredoc in &heredocs {
            text.push_str(&format!("\n{}{}", heredoc.content, heredoc.name));
        }
        inner.parse(heredocs, at)?;
        Ok(text)
    }
}

/// Refuses a value that is none of these, unless it has variables.
fn one_of(value: &Option<Word>, known: &[&str], wrong: impl Fn(&str) -> String) -> Result<(), Fault> {
    match value {
        Some(Word(value)) if !value.contains('$') && !known.contains(&value.as_str()) => {
            Err(Fault::new(wrong(value)).at(value).hint(Some(format!("Values: {}", known.join(" ")))))
        }
        _ => Ok(()),
    }
}
