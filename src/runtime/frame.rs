//! The messages between a monitor and its attached clients.
//!
//! One frame is one `SOCK_SEQPACKET` message: a kind byte and its content. The socket preserves message
//! boundaries, so no framing has to be parsed or resynchronised.

/// Most content bytes in one frame.
pub const CONTENT_MAX: usize = 32 * 1024;

/// One message, either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// Client: bytes for standard input.
    Stdin(&'a [u8]),
    /// Client: no more standard input will come.
    StdinEnd,
    /// Client: the terminal's size in rows and columns.
    Resize(u16, u16),
    /// Client: deliver this signal to the container.
    Signal(i32),
    /// Client: nobody reads this stream any more (1 is standard output, 2 is standard error).
    Closed(u8),
    /// Client: the container's networks are to be as its settings say; whether what serves them is to be looked
    /// after as well.
    Networks(bool),
    /// Monitor: the answer to that, in JSON.
    Networked(&'a [u8]),
    /// Monitor: bytes from standard output or the terminal.
    Stdout(&'a [u8]),
    /// Monitor: bytes from standard error.
    Stderr(&'a [u8]),
    /// Monitor: the container ended with this code, and its records are final.
    Exit(u8),
}

impl<'a> Frame<'a> {
    /// The message's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let with = |kind: u8, content: &[u8]| {
            let mut bytes = Vec::with_capacity(content.len() + 1);
            bytes.push(kind);
            bytes.extend_from_slice(content);
            bytes
        };
        match self {
            Frame::Stdin(b) => with(0, b),
            Frame::StdinEnd => with(1, &[]),
            Frame::Resize(rows, columns) => {
                let (r, c) = (rows.to_le_bytes(), columns.to_le_bytes());
                with(2, &[r[0], r[1], c[0], c[1]])
            }
            Frame::Signal(n) => with(3, &n.to_le_bytes()),
            Frame::Closed(stream) => with(4, &[*stream]),
            Frame::Stdout(b) => with(5, b),
            Frame::Stderr(b) => with(6, b),
            Frame::Exit(code) => with(7, &[*code]),
            Frame::Networks(reload) => with(8, &[u8::from(*reload)]),
            Frame::Networked(b) => with(9, b),
        }
    }

    /// The frame in a message; `None` if the message is malformed.
    pub fn decode(message: &'a [u8]) -> Option<Frame<'a>> {
        let (kind, content) = message.split_first()?;
        Some(match (kind, content) {
            (0, b) => Frame::Stdin(b),
            (1, []) => Frame::StdinEnd,
            (2, [r0, r1, c0, c1]) => {
                Frame::Resize(u16::from_le_bytes([*r0, *r1]), u16::from_le_bytes([*c0, *c1]))
            }
            (3, n) => Frame::Signal(i32::from_le_bytes(n.try_into().ok()?)),
            (4, [stream]) => Frame::Closed(*stream),
            (5, b) => Frame::Stdout(b),
            (6, b) => Frame::Stderr(b),
            (7, [code]) => Frame::Exit(*code),
            (8, [reload]) => Frame::Networks(*reload != 0),
            (9, b) => Frame::Networked(b),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Frame;

    #[test]
    fn frames_survive_the_way() {
        for frame in [
            Frame::Stdin(b"x"),
            Frame::StdinEnd,
            Frame::Resize(24, 80),
            Frame::Signal(15),
            Frame::Closed(1),
            Frame::Stdout(b"\x00\xff"),
            Frame::Stderr(b""),
            Frame::Exit(125),
            Frame::Networks(true),
            Frame::Networked(b"[]"),
        ] {
            assert_eq!(Frame::decode(&frame.encode()), Some(frame));
        }
        assert_eq!(Frame::decode(&[]), None);
        assert_eq!(Frame::decode(&[99, 1]), None);
        assert_eq!(Frame::decode(&[3, 1]), None);
    }
}
