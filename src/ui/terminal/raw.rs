//! Raw mode of a terminal: each key is delivered at once and has no special meaning.

use nix::sys::termios::{self, SetArg, Termios};

/// The terminal's previous mode, restored on drop.
pub(super) struct RawMode(Termios);

impl RawMode {
    /// Puts the terminal at standard input into raw mode (cfmakeraw(3)); `None` if it is not a terminal.
    pub(super) fn enter() -> Option<RawMode> {
        let stdin = std::io::stdin();
        let before = termios::tcgetattr(&stdin).ok()?;
        let mut raw = before.clone();
        termios::cfmakeraw(&mut raw);
        termios::tcsetattr(&stdin, SetArg::TCSANOW, &raw).ok()?;
        Some(RawMode(before))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        let _ = termios::tcsetattr(std::io::stdin(), SetArg::TCSADRAIN, &self.0);
    }
}
