//! Attaching the caller's terminal to a container: shared by `run`, `start --attach` and `attach`.

use crate::engine::containers::Running;
use crate::error::{Error, Result, phrases};
use crate::plan::keys::DetachKeys;
use crate::storage::Store;
use crate::storage::containers::ContainerDir;
use crate::ui;
use crate::ui::terminal::{Attachment, Ended, Terminal};
use std::io::IsTerminal;

/// Whether input for a terminal is to come from something else, where docker refuses that: what waits for keys would
/// wait for ever. podman goes on.
pub(in crate::cmd) fn lacks_terminal(tty: bool, stdin: bool) -> bool {
    ui::docker() && tty && stdin && !std::io::stdin().is_terminal()
}

/// The refusal of what [`lacks_terminal`] finds.
pub(in crate::cmd) fn input_is_no_terminal() -> Error {
    phrases::input_is_no_terminal().hint("Leave -t out.")
}

/// How the caller is attached to a container that was made before: as far as that one takes input and has a
/// terminal itself. `visiting` is what the command does that has not started it.
///
/// # Errors
/// Records that cannot be read.
pub(in crate::cmd) fn how(
    dir: &ContainerDir,
    stdin: bool,
    sig_proxy: bool,
    detach_keys: &DetachKeys,
    visiting: bool,
) -> Result<Attachment> {
    let io = dir.spec()?.io;
    Ok(Attachment {
        stdin: stdin && io.stdin && !io.is_passed_through(),
        stdout: true,
        stderr: true,
        tty: io.tty,
        // With a terminal, signals of the keyboard travel as characters.
        sig_proxy: sig_proxy && !io.tty,
        detach_keys: detach_keys.0.clone(),
        visiting,
    })
}

/// The caller's terminal, on its way to a container.
#[derive(Debug)]
pub(in crate::cmd) struct Attaching {
    how: Attachment,
    terminal: Option<Terminal>,
}

impl Attaching {
    /// Nothing is held yet.
    pub(in crate::cmd) fn new(how: Attachment) -> Attaching {
        Attaching { how, terminal: None }
    }

    /// Holds the signals that are to be passed on, once.
    ///
    /// # Errors
    /// Those of [`Terminal::ready`].
    pub(in crate::cmd) fn get_ready(&mut self) -> Result<()> {
        if self.terminal.is_none() {
            self.terminal = Some(Terminal::ready(self.how.clone())?);
        }
        Ok(())
    }

    /// Relays until the container ends or the user detaches; returns the exit code of the command.
    ///
    /// # Errors
    /// Those of [`Terminal::follow`] and [`Running::code`], and output that could not be written.
    pub(in crate::cmd) fn follow(
        self,
        mut running: Running,
        store: &Store,
        dir: &ContainerDir,
    ) -> Result<u8> {
        let (Some(connection), Some(terminal)) = (&mut running.connection, self.terminal) else {
            return Ok(0);
        };
        let followed = terminal.follow(connection)?;
        let code = match followed.ended {
            Ended::Exited(code) => running.code(store, dir, Some(code)),
            Ended::Lost => running.code(store, dir, None),
            Ended::Left(code) => Ok(code),
        };
        followed.lost.map_or(code, Err)
    }
}
