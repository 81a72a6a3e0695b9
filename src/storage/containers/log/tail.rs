//! Finds the last lines of a log from its end.

use super::{BLOCK, Form, LINE_MAX, Line, json};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::FileExt;

/// Positions the files so that `tail` lines of output are left; drops files that are not needed.
pub(super) fn seek_to_tail(files: &mut VecDeque<File>, form: Form, tail: u64) -> io::Result<()> {
    let mut left = tail;
    let mut open_end = true;
    for index in (0..files.len()).rev() {
        let file = &mut files[index];
        let start = tail_start(file, form, &mut left, &mut open_end)?;
        file.seek(SeekFrom::Start(start))?;
        if start > 0 {
            files.drain(..index);
            break;
        }
    }
    Ok(())
}

/// Where in this file the last `left` lines of output start, 0 when it holds no more than that. Read
/// backwards in blocks. `open_end` is whether the pieces read so far belong to a line without an end.
fn tail_start(file: &File, form: Form, left: &mut u64, open_end: &mut bool) -> io::Result<u64> {
    let mut end = file.metadata()?.len();
    // The bytes of a line whose beginning is in an earlier block, `end` being where they start.
    let mut later: Vec<u8> = Vec::new();
    let mut after = end;
    let mut text = Vec::new();
    while end > 0 {
        let from = end.saturating_sub(BLOCK as u64);
        let mut bytes = vec![0; (end - from) as usize];
        file.read_exact_at(&mut bytes, from)?;
        bytes.append(&mut later);
        let mut upto = bytes.len();
        loop {
            // The line that ends at `upto`, without its line end.
            let body = if upto > 0 && bytes[upto - 1] == b'\n' { upto - 1 } else { upto };
            let start = match bytes[..body].iter().rposition(|&b| b == b'\n') {
                Some(newline) => newline + 1,
                None if from == 0 => 0,
                None => break,
            };
            if let Some(full) = ends_a_line(form, &bytes[start..upto], &mut text) {
                if full || *open_end {
                    if *left == 0 {
                        return Ok(after);
                    }
                    *left -= 1;
                }
                *open_end = false;
            }
            after = from + start as u64;
            upto = start;
            if upto == 0 {
                break;
            }
        }
        bytes.truncate(upto);
        if bytes.len() > LINE_MAX {
            bytes.clear();
        }
        later = bytes;
        end = from;
    }
    Ok(0)
}

/// Whether a line of the log ends a line of output; `None` when it is no line of the log.
fn ends_a_line(form: Form, line: &[u8], text: &mut Vec<u8>) -> Option<bool> {
    match form {
        Form::K8s => Line::parse(line).map(|line| line.full),
        Form::Json => json::decode(line, text).map(|line| line.full),
    }
}
