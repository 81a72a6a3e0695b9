//! What a shell is given of a command with heredocs.

use super::tree::{Command, Heredoc, Run};

/// What is to be executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Script {
    /// These words, without a shell.
    Words(Vec<String>),
    /// This text, which the shell gets as its last argument.
    Text(String),
    /// A file with this name and content, without a shell: the only heredoc, which begins with `#!`.
    File {
        /// Its name.
        name: String,
        /// Its content.
        content: String,
    },
}

impl Command {
    /// What is to be executed: a line that is nothing but a heredoc is that heredoc's content; in any other the shell
    /// reads the heredocs itself, and also expands them.
    pub fn script(&self) -> Script {
        let (line, heredocs) = match self {
            Command::Exec(words) => return Script::Words(words.clone()),
            Command::Shell { line, heredocs } => (line, heredocs),
        };
        match &heredocs[..] {
            [] => Script::Text(line.clone()),
            [only] if *line == only.marker => match only.content.starts_with("#!") {
                true => Script::File { name: only.name.clone(), content: only.content.clone() },
                false => Script::Text(only.content.clone()),
            },
            all => {
                let content = |heredoc: &Heredoc| format!("\n{}{}", heredoc.content, heredoc.name);
                Script::Text(format!("{line}{}", all.iter().map(content).collect::<String>()))
            }
        }
    }
}

impl Run {
    /// The instruction as progress names it: `RUN <<EOF (apt-get update...)` where a heredoc is all of it.
    pub fn shown(&self, original: &str) -> String {
        match &self.command {
            Command::Shell { line, heredocs } if heredocs.len() == 1 && *line == heredocs[0].marker => {
                format!("{original} ({})", heredocs[0].summary())
            }
            _ => original.to_owned(),
        }
    }
}

impl Heredoc {
    /// Its first line, with `...` if there are more: shown behind a command.
    pub fn summary(&self) -> String {
        let mut lines = self.content.trim().lines();
        let first = lines.next().unwrap_or_default();
        format!("{first}{}", if lines.next().is_some() { "..." } else { "" })
    }
}
