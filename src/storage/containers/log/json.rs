//! docker's format: `{"log":"text\n","stream":"stdout","attrs":{"tag":"..."},"time":"..."}`.
//!
//! As in docker, a text without a line end is part of a line, and a byte that is not valid UTF-8 becomes a
//! replacement character: JSON can only contain text, and there are readers that refuse anything else. Earlier
//! versions wrote such a byte as a lone surrogate, `\udc80` to `\udcff`, from which it is read as it was.

use super::{Line, Stream};

const START: &[u8] = b"{\"log\":\"";
const STREAM: &[u8] = b"\",\"stream\":\"";
const TIME: &[u8] = b",\"time\":\"";

/// What a tag adds to every object.
pub(super) fn attributes(tag: &str) -> String {
    let mut text = b",\"attrs\":{\"tag\":\"".to_vec();
    escape(&mut text, tag.as_bytes());
    text.extend_from_slice(b"\"}");
    String::from_utf8(text).unwrap_or_default()
}

/// Appends one object and a line end.
pub(super) fn encode(out: &mut Vec<u8>, text: &[u8], stream: Stream, attributes: &str, time: &str) {
    out.extend_from_slice(START);
    escape(out, text);
    out.extend_from_slice(STREAM);
    for part in [stream.word().as_bytes(), b"\"", attributes.as_bytes(), TIME, time.as_bytes(), b"\"}\n"] {
        out.extend_from_slice(part);
    }
}

fn escape(out: &mut Vec<u8>, text: &[u8]) {
    let unicode = |out: &mut Vec<u8>, value: u16| {
        out.extend_from_slice(b"\\u");
        out.extend(
            value
                .to_be_bytes()
                .iter()
                .flat_map(|b| [b >> 4, b & 15])
                .map(|n| b"0123456789abcdef"[n as usize]),
        );
    };
    for chunk in text.utf8_chunks() {
        for &byte in chunk.valid().as_bytes() {
            match byte {
                b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
                b'\n' => out.extend_from_slice(b"\\n"),
                b'\r' => out.extend_from_slice(b"\\r"),
                b'\t' => out.extend_from_slice(b"\\t"),
                0..=0x1f | 0x7f => unicode(out, byte.into()),
                _ => out.push(byte),
            }
        }
        for _ in chunk.invalid() {
            unicode(out, 0xfffd);
        }
    }
}

/// How many bytes at the end begin a character that is not complete.
pub(super) fn begun(text: &[u8]) -> usize {
    for (at, byte) in text.iter().rev().take(3).enumerate() {
        let length = match byte {
            0x80..=0xbf => continue,
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => 0,
        };
        return if length > at + 1 { at + 1 } else { 0 };
    }
    0
}

/// Reads an object's line into `text`; `None` when it is none that docker or this program writes.
pub(super) fn decode<'a>(line: &'a [u8], text: &'a mut Vec<u8>) -> Option<Line<'a>> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    text.clear();
    let rest = unescape(line.strip_prefix(START)?, text)?;
    let rest = rest.strip_prefix(STREAM)?;
    let (stream, rest) = match rest.split_at_checked(7)? {
        (b"stdout\"", rest) => (Stream::Stdout, rest),
        (b"stderr\"", rest) => (Stream::Stderr, rest),
        _ => return None,
    };
    let rest = rest.strip_suffix(b"\"}")?;
    let at = rest.windows(TIME.len()).rposition(|window| window == TIME)?;
    let time = &rest[at + TIME.len()..];
    let full = text.last() == Some(&b'\n');
    if full {
        text.pop();
    }
    (time.len() >= 20 && time[0].is_ascii_digit()).then_some(Line { time, stream, full, text })
}

/// Undoes [`escape`] up to the closing quotation mark, with which the rest begins.
fn unescape<'a>(mut rest: &'a [u8], out: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        let plain = memchr::memchr2(b'"', b'\\', rest)?;
        out.extend_from_slice(&rest[..plain]);
        rest = &rest[plain..];
        if rest[0] == b'"' {
            return Some(rest);
        }
        let (escaped, after) = rest[1..].split_first()?;
        rest = after;
        match escaped {
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'"' | b'\\' | b'/' => out.push(*escaped),
            b'u' => {
                let first = unit(rest)?;
                rest = &rest[4..];
                let second = rest.strip_prefix(b"\\u").and_then(unit);
                match (first, second) {
                    (0xd800..=0xdbff, Some(low @ 0xdc00..=0xdfff)) => {
                        rest = &rest[6..];
                        let code = 0x10000 + ((u32::from(first) - 0xd800) << 10) + u32::from(low) - 0xdc00;
                        push(out, char::from_u32(code)?);
                    }
                    (0xdc80..=0xdcff, _) => out.push((first & 0xff) as u8),
                    _ => push(out, char::from_u32(first.into()).unwrap_or(char::REPLACEMENT_CHARACTER)),
                }
            }
            _ => return None,
        }
    }
}

fn push(out: &mut Vec<u8>, c: char) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Four hexadecimal digits.
fn unit(text: &[u8]) -> Option<u16> {
    u16::from_str_radix(std::str::from_utf8(text.get(..4)?).ok()?, 16).ok()
}
