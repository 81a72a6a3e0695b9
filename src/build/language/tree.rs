//! What a Containerfile says, as types.

use serde::{Deserialize, Serialize};

/// A Containerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Containerfile {
    /// Its directives.
    pub directives: Directives,
    /// ARG before the first FROM, which FROM may use.
    pub globals: Vec<Argument>,
    /// Its stages, in order; at least one.
    pub stages: Vec<Stage>,
    /// Its text, for messages.
    pub source: Source,
    /// Lines that are empty although the line before them continues, counted from 1.
    pub empty_continuations: Vec<usize>,
}

/// The text of a Containerfile, for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// What it is called.
    pub name: String,
    /// Its lines, without their ends.
    pub lines: Vec<String>,
}

/// Parser directives (`# escape=`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directives {
    /// `syntax`, as written. It is accepted: the language is always ours.
    pub syntax: Option<String>,
    /// `escape`: a backslash or a backtick.
    pub escape: char,
    /// `check=skip=...`: rules that are not checked; `all` is every one.
    pub skip: Vec<String>,
    /// `check=experimental=...`: rules that are checked only if they are named; `all` is every one.
    pub experimental: Vec<String>,
    /// `check=error=true`: findings fail the build.
    pub error: bool,
    /// How many lines they are, which are the first of the file.
    pub lines: usize,
}

/// Lines of the file, first and last, counted from 1.
pub type Lines = (usize, usize);

/// A stage: FROM and what follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// `AS name`, in lower case.
    pub name: Option<String>,
    /// What it starts from: an image, an earlier stage, a named context or `scratch`.
    pub base: Word,
    /// `--platform`.
    pub platform: Option<Word>,
    /// Where FROM is.
    pub at: Lines,
    /// FROM as written, in one line.
    pub original: String,
    /// Its other instructions.
    pub instructions: Vec<Instruction>,
}

/// An instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    /// What it does.
    pub does: Does,
    /// Where it is.
    pub at: Lines,
    /// As written, in one line: continued lines are joined and comments left out, as BuildKit shows it.
    pub original: String,
}

/// What an instruction does.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "there are few of them")]
pub enum Does {
    /// ARG.
    Arg(Vec<Argument>),
    /// ENV: names and values.
    Env(Vec<(Word, Word)>),
    /// LABEL: keys and values.
    Label(Vec<(Word, Word)>),
    /// RUN.
    Run(Run),
    /// COPY.
    Copy(Copy),
    /// ADD.
    Add(Add),
    /// WORKDIR.
    WorkDir(Word),
    /// USER.
    User(Word),
    /// EXPOSE.
    Expose(Vec<Word>),
    /// VOLUME.
    Volume(Vec<Word>),
    /// STOPSIGNAL.
    StopSignal(Word),
    /// ENTRYPOINT.
    Entrypoint(Command),
    /// CMD.
    Cmd(Command),
    /// SHELL.
    Shell(Vec<String>),
    /// HEALTHCHECK, as the image's configuration has it (`image::health`).
    HealthCheck(serde_json::Value),
    /// ONBUILD: the instruction, as written.
    OnBuild(String),
    /// MAINTAINER.
    Maintainer(Word),
}

/// One variable of ARG.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    /// Its name.
    pub name: String,
    /// Its default.
    pub default: Option<Word>,
    /// Where it is.
    pub at: Lines,
}

/// A command of RUN, CMD or ENTRYPOINT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// A JSON list: executed as it is.
    Exec(Vec<String>),
    /// A line for the shell, continued lines joined, with its heredocs.
    Shell {
        /// The line, with heredoc markers as they are written.
        line: String,
        /// The heredocs, in the order of their markers.
        heredocs: Vec<Heredoc>,
    },
}

/// A heredoc.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heredoc {
    /// Its delimiter: the name of the file that COPY makes of it.
    pub name: String,
    /// The marker as written, with the number: `3<<-"EOF"`.
    pub marker: String,
    /// Its content; with `<<-` without leading tabs.
    pub content: String,
    /// Whether variables in it are expanded: its delimiter was not quoted.
    pub expand: bool,
    /// The descriptor's number, 0 where there is none.
    pub descriptor: u32,
}

/// RUN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The command.
    pub command: Command,
    /// `--mount`, as written; [`super::mount`] takes them apart once they are expanded.
    pub mounts: Vec<Word>,
    /// `--network`.
    pub network: Option<Word>,
    /// `--security`.
    pub security: Option<Word>,
    /// `--device`.
    pub devices: Vec<Word>,
}

/// COPY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// What is copied, without heredocs.
    pub sources: Vec<Word>,
    /// Files whose content is in the Containerfile.
    pub inline: Vec<Heredoc>,
    /// Where to.
    pub destination: Word,
    /// `--from`.
    pub from: Option<Word>,
    /// `--chown`.
    pub chown: Option<Word>,
    /// `--chmod`.
    pub chmod: Option<Word>,
    /// `--link`.
    pub link: bool,
    /// `--parents`.
    pub parents: bool,
    /// `--exclude`.
    pub exclude: Vec<Word>,
}

/// ADD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Add {
    /// What it has in common with COPY.
    pub copy: Copy,
    /// `--checksum`.
    pub checksum: Option<Word>,
    /// `--keep-git-dir`.
    pub keep_git_dir: bool,
    /// `--unpack`; `None` is as it always was: local archives are unpacked, downloaded ones are not.
    pub unpack: Option<bool>,
}

/// A word as written, with its quotes and variables.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Word(pub String);

impl Instruction {
    /// Its keyword as written: `RUN`, `run`.
    pub fn keyword(&self) -> &str {
        self.original.split_whitespace().next().unwrap_or_default()
    }
}
