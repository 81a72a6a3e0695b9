//! Archives that verbs read.

use crate::build::sources::http::{self, Wanted};
use crate::build::sources::remote::{self, HttpSource};
use crate::error::{Context, Error, Kind, Result, phrases};
use crate::storage::Store;
use crate::ui::progress::{Bar, Progress};
use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::path::Path;

/// What the user names, looked at before anything changes.
#[derive(Debug)]
pub enum Input {
    /// A file or a directory, open.
    File(File),
    /// A file of a web server.
    Web(HttpSource),
}

impl Input {
    /// Opens what the user names, an address excepted; without a name or with `-`, standard input. `verb` is for hints.
    ///
    /// # Errors
    /// Standard input that is a terminal, a malformed address, a file that cannot be opened.
    pub fn named(name: Option<&str>, verb: &str) -> Result<Input> {
        let Some(name) = name.filter(|name| *name != "-") else {
            if io::stdin().is_terminal() {
                return Err(phrases::terminal_for_input("the --input flag")
                    .hint(format!("Name a file: coracle {verb} FILE; or use a pipe.")));
            }
            let stdin = io::stdin().as_fd().try_clone_to_owned();
            return Ok(Input::File(File::from(stdin.context(Kind::Host, || "open standard input")?)));
        };
        if let Some(source) = remote::of_web_file(name)? {
            return Ok(Input::Web(source));
        }
        let path = Path::new(name);
        let opened = File::open(path).context(Kind::Usage, || format!("open {}", path.display()));
        opened.map(Input::File).map_err(|e| {
            let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
            e.hint(format!("See what is there: ls -l {}", dir.unwrap_or(Path::new(".")).display()))
        })
    }

    /// What it is called where others read it: an address without what may be secret.
    pub fn label(&self, name: Option<&str>) -> String {
        match self {
            Input::Web(source) => source.shown().to_owned(),
            Input::File(_) => name.unwrap_or("-").to_owned(),
        }
    }

    /// The file, downloaded if need be into one that goes with its descriptor.
    ///
    /// # Errors
    /// When the server does not deliver it, or the disk is full.
    pub fn open(self, store: &Store, progress: &Progress) -> Result<File> {
        let source = match self {
            Input::File(file) => return Ok(file),
            Input::Web(source) => source,
        };
        let mut bar: Option<Bar> = None;
        let mut show = |step: crate::build::sources::Progress| {
            let name = format!("Downloading {}", source.shown());
            bar.get_or_insert_with(|| progress.bar(&name, step.total)).set(step.current);
        };
        let lost = || Error::new(Kind::Registry, format!("{} was not delivered", source.shown()));
        let file = http::download(store, &source, Wanted::default(), &mut show)?.ok_or_else(lost)?.open()?;
        if let Some(bar) = bar {
            bar.finish("done");
        }
        Ok(file)
    }
}
