//! Attaching the caller's terminal to a container: shared by `run`, `start --attach` and `attach`.

use crate::engine::containers::Running;
use crate::error::Result;
use crate::plan::keys::DetachKeys;
use crate::storage::Store;
use crate::storage::containers::ContainerDir;
use crate::ui::terminal::{Attachment, Ended, Terminal};

/// The terminal for a container that was made before, as far as that one takes input and has a terminal itself.
///
/// # Errors
/// Records that cannot be read; those of [`Terminal::ready`].
pub(in crate::cmd) fn terminal(
    dir: &ContainerDir,
    stdin: bool,
    sig_proxy: bool,
    detach_keys: &DetachKeys,
) -> Result<Terminal> {
    let io = dir.spec()?.io;
    Terminal::ready(Attachment {
        stdin: stdin && io.stdin && !io.is_passed_through(),
        stdout: true,
        stderr: true,
        tty: io.tty,
        // With a terminal, signals of the keyboard travel as characters.
        sig_proxy: sig_proxy && !io.tty,
        detach_keys: detach_keys.0.clone(),
    })
}

/// Relays until the container ends or the user detaches; returns the exit code of the command.
///
/// # Errors
/// Those of [`Terminal::follow`] and [`Running::code`].
pub(in crate::cmd) fn follow(
    terminal: Terminal,
    mut running: Running,
    store: &Store,
    dir: &ContainerDir,
) -> Result<u8> {
    let Some(connection) = &mut running.connection else { return Ok(0) };
    match terminal.follow(connection)? {
        Ended::Exited(code) => running.code(store, dir, Some(code)),
        Ended::Lost => running.code(store, dir, None),
        Ended::Detached => Ok(0),
        Ended::Signalled(signal) => Ok(128 + signal as u8),
    }
}
