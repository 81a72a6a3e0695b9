//! Asks which of several images is meant, on the terminal: the arrow keys move, Enter chooses.

use super::out;
use super::typing::{Typed, typed};
use crate::error::{Error, Kind, Result};
use crate::sys::pty;
use nix::sys::signal::Signal;
use std::io::IsTerminal;
use std::os::fd::AsFd;

/// Most lines that are shown at once.
const LINES: usize = 5;
/// Columns that a terminal is taken to have that does not say.
const COLUMNS: u16 = 80;

/// Whether there is somebody to ask.
pub fn can_choose() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// Asks which of these full names of images is meant, and returns its number.
///
/// # Errors
/// [`Kind::Usage`] if none is chosen; if the terminal fails.
pub fn choose_image(names: &[String]) -> Result<usize> {
    let columns = pty::size(std::io::stdout().as_fd()).map_or(COLUMNS, |(_, columns)| columns);
    let columns = usize::from(if columns == 0 { COLUMNS } else { columns });
    let mut menu = Menu { names, at: 0, escape: 0 };
    let question = format!("? Please select an image: \n{}", menu.shown(columns));
    let chosen = typed("selection", &question, "", |key| {
        let typed = menu.press(key);
        if typed.is_none() {
            // Shown by the way; what cannot be written ends the question below.
            let _ = out(&format!("\x1b[{}A{}", menu.lines(), menu.shown(columns)));
        }
        typed
    })?;
    // The question goes, the answer stays.
    out(&format!("\x1b[{}A\r\x1b[J", names.len().min(LINES) + 1))?;
    match chosen.and_then(|at| names.get(at).map(|name| (at, name))) {
        Some((at, name)) => {
            out(&format!("✔ {name}\n"))?;
            Ok(at)
        }
        None => Err(Error::new(Kind::Usage, "no image was selected")),
    }
}

/// The names, and the one that the cursor is at.
struct Menu<'a> {
    names: &'a [String],
    at: usize,
    /// Bytes of an escape sequence so far.
    escape: u8,
}

impl Menu<'_> {
    fn lines(&self) -> usize {
        self.names.len().min(LINES)
    }

    fn shown(&self, columns: usize) -> String {
        let first = self.at.saturating_sub(LINES - 1).min(self.names.len() - self.lines());
        let line = |(at, name): (usize, &String)| {
            let name: String = name.chars().take(columns.saturating_sub(5)).collect();
            match at == self.at {
                true => format!("\r\x1b[2K  \x1b[1m▸\x1b[0m \x1b[4m{name}\x1b[0m\n"),
                false => format!("\r\x1b[2K    {name}\n"),
            }
        };
        self.names.iter().enumerate().skip(first).take(LINES).map(line).collect()
    }

    fn press(&mut self, key: u8) -> Option<Typed<usize>> {
        let last = self.names.len() - 1;
        let escape = std::mem::take(&mut self.escape);
        match (escape, key) {
            (0, 0x1b) => self.escape = 1,
            (1, b'[' | b'O') => self.escape = 2,
            // Up, k, Ctrl-P; down, j, Ctrl-N.
            (2, b'A') | (0, b'k' | 16) => self.at = self.at.saturating_sub(1),
            (2, b'B') | (0, b'j' | 14) => self.at = (self.at + 1).min(last),
            (0, b'\r' | b'\n') => return Some(Typed::Done(self.at)),
            (0, 3) => return Some(Typed::Signal(Signal::SIGINT)),
            (0, 28) => return Some(Typed::Signal(Signal::SIGQUIT)),
            (0, 4) => return Some(Typed::End),
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(keys: &[u8]) -> Option<Option<usize>> {
        let names: Vec<String> = ["a", "b", "c"].map(str::to_owned).to_vec();
        let mut menu = Menu { names: &names, at: 0, escape: 0 };
        keys.iter().find_map(|key| menu.press(*key)).map(|typed| match typed {
            Typed::Done(at) => Some(at),
            _ => None,
        })
    }

    #[test]
    fn keys_move_and_choose() {
        assert_eq!(chosen(b"\r"), Some(Some(0)));
        assert_eq!(chosen(b"\x1b[B\r"), Some(Some(1)));
        assert_eq!(chosen(b"\x1bOB\x1bOB\x1bOB\x1b[A\n"), Some(Some(1)));
        assert_eq!(chosen(b"jjjkk\r"), Some(Some(0)));
        assert_eq!(chosen(b"j\x03"), Some(None));
        assert_eq!(chosen(b"\x04"), Some(None));
        assert_eq!(chosen(b"xyz\x1b[5"), None);
    }

    #[test]
    fn a_long_list_is_shown_in_part() {
        let names: Vec<String> = (0..9).map(|n| format!("r{n}.example/x")).collect();
        let menu = Menu { names: &names, at: 7, escape: 0 };
        let shown = menu.shown(80);
        assert_eq!(shown.lines().count(), LINES);
        assert!(
            shown.contains("▸\x1b[0m \x1b[4mr7") && !shown.contains("r2.") && shown.contains("r3."),
            "{shown:?}"
        );
        assert!(menu.shown(8).contains("r7."), "{:?}", menu.shown(8));
    }
}
