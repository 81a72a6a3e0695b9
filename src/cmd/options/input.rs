//! Archives that verbs read.

use crate::error::{Context, Error, Kind, Result, phrases};
use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::path::Path;

/// Opens what the user names; without a name or with `-`, standard input. `verb` is for hints.
pub fn input(name: Option<&str>, verb: &str) -> Result<File> {
    match name {
        None | Some("-") => {
            if io::stdin().is_terminal() {
                return Err(phrases::terminal_for_input("the --input flag")
                    .hint(format!("Name a file: coracle {verb} FILE; or use a pipe.")));
            }
            let stdin = io::stdin().as_fd().try_clone_to_owned();
            Ok(File::from(stdin.context(Kind::Host, || "open standard input")?))
        }
        Some(url) if url.starts_with("http://") || url.starts_with("https://") => {
            let verb = verb.trim_end_matches(" -i");
            Err(Error::new(Kind::Usage, format!("{url} is a URL, which is not downloaded")).hint(
                format!(
                    "Download it with another program: curl -fL {url} | coracle {verb} {}",
                    if verb == "load" { "" } else { "- [NAME]" }
                )
                .trim_end()
                .to_owned(),
            ))
        }
        Some(path) => {
            let path = Path::new(path);
            File::open(path).context(Kind::Usage, || format!("open {}", path.display())).map_err(|e| {
                let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
                e.hint(format!("See what is there: ls -l {}", dir.unwrap_or(Path::new(".")).display()))
            })
        }
    }
}
