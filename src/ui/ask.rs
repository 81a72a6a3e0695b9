//! Asks for a user name and a password on the terminal at standard input.

use super::out;
use super::typing::{Typed, typed};
use crate::error::{Context, Error, Kind, Result};
use nix::sys::signal::Signal;
use std::io::{BufRead, IsTerminal};

/// Most bytes of a password that is typed.
const PASSWORD_MAX: usize = 64 << 10;

/// Whether there is somebody to ask.
pub fn can_ask() -> bool {
    std::io::stdin().is_terminal()
}

/// Asks on standard output and reads a line of standard input, without its end; `None` at the end of input.
///
/// # Errors
/// If either stream fails.
pub fn ask(question: &str) -> Result<Option<String>> {
    out(question)?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).context(Kind::Usage, || "read the answer")?;
    if answer.is_empty() {
        out("\n")?;
        return Ok(None);
    }
    Ok(Some(answer.trim_end_matches(['\r', '\n']).to_owned()))
}

/// The same without showing what is typed.
///
/// # Errors
/// As [`ask`], and what is not UTF-8 text.
pub fn ask_hidden(question: &str) -> Result<Option<String>> {
    let mut line = Vec::new();
    // What was typed has not moved the cursor, its end neither.
    let bytes = typed("password", question, "\n", |key| press(&mut line, key))?;
    let not_text = |_| Error::new(Kind::Usage, "reading password: it is not UTF-8 text");
    bytes.map(|bytes| String::from_utf8(bytes).map_err(not_text)).transpose()
}

/// A key, as a terminal's line discipline takes it.
fn press(line: &mut Vec<u8>, key: u8) -> Option<Typed<Vec<u8>>> {
    match key {
        b'\r' | b'\n' => return Some(Typed::Done(std::mem::take(line))),
        // Ctrl-C, Ctrl-\, Ctrl-D.
        3 => return Some(Typed::Signal(Signal::SIGINT)),
        28 => return Some(Typed::Signal(Signal::SIGQUIT)),
        4 if line.is_empty() => return Some(Typed::End),
        4 => return Some(Typed::Done(std::mem::take(line))),
        // Backspace takes a whole character, Ctrl-U all of them.
        8 | 127 => while line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {},
        21 => line.clear(),
        key if line.len() < PASSWORD_MAX => line.push(key),
        _ => {}
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(keys: &[u8]) -> Option<Result<Vec<u8>, Option<Signal>>> {
        let mut line = Vec::new();
        keys.iter().find_map(|key| press(&mut line, *key)).map(|typed| match typed {
            Typed::Done(line) => Ok(line),
            Typed::End => Err(None),
            Typed::Signal(signal) => Err(Some(signal)),
        })
    }

    #[test]
    fn keys_do_what_a_terminal_does() {
        assert_eq!(typed(b"secret\r"), Some(Ok(b"secret".to_vec())));
        assert_eq!(typed("aé\u{7f}b\n".as_bytes()), Some(Ok(b"ab".to_vec())));
        assert_eq!(typed(b"wrong\x15right\x04"), Some(Ok(b"right".to_vec())));
        assert_eq!(typed(b"\x7f\x04"), Some(Err(None)));
        assert_eq!(typed(b"ab\x03"), Some(Err(Some(Signal::SIGINT))));
        assert_eq!(typed(b"ab\x1c"), Some(Err(Some(Signal::SIGQUIT))));
        assert_eq!(typed(b"abc"), None);
    }
}
