//! Messages of nftables, in a batch (netlink(7), `linux/netfilter/nfnetlink.h`).

/// Flags of a message.
pub(super) mod flag {
    /// Makes what is not there.
    pub(in super::super) const CREATE: u16 = 0x400;
    /// At the end of what there is.
    pub(in super::super) const APPEND: u16 = 0x800;
}

const REQUEST: u16 = 1;
const ACK: u16 = 4;
const NESTED: u16 = 0x8000;
/// The family: what goes through a bridge.
const BRIDGE: u8 = 7;
/// nftables, among what netfilter has.
const SUBSYSTEM: u16 = 10;
/// A message of netlink that tells of an error, or of none.
const ERROR: u16 = 2;
const HEADER: usize = 16;

/// What a message does (`enum nf_tables_msg_types`).
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    NewTable = 0,
    NewChain = 3,
    NewRule = 6,
    NewSet = 9,
    NewElement = 12,
    DelElement = 14,
}

/// The content of a message, or of an attribute.
#[derive(Debug, Default)]
pub(super) struct Content(Vec<u8>);

impl Content {
    /// An attribute: its length, its type, and the value, up to a multiple of four bytes.
    pub(super) fn attribute(&mut self, kind: u16, value: &[u8]) {
        let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    /// A number, which nftables has in the order of the network.
    pub(super) fn number(&mut self, kind: u16, value: u32) {
        self.attribute(kind, &value.to_be_bytes());
    }

    /// An attribute that consists of attributes.
    pub(super) fn nested(&mut self, kind: u16, fill: impl FnOnce(&mut Content)) {
        let mut inner = Content::default();
        fill(&mut inner);
        self.attribute(kind | NESTED, &inner.0);
    }
}

/// A string with its end.
pub(super) fn string(text: &str) -> Vec<u8> {
    [text.as_bytes(), &[0]].concat()
}

/// Messages that take effect together.
#[derive(Debug)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    number: u32,
}

impl Batch {
    pub(super) fn new() -> Batch {
        let mut batch = Batch { bytes: Vec::new(), number: 0 };
        batch.message(0x10, 0, 0, SUBSYSTEM, &[]);
        batch
    }

    /// Adds a message; the last one's answer is waited for.
    pub(super) fn add(&mut self, kind: Kind, flags: u16, fill: impl FnOnce(&mut Content)) {
        let mut content = Content::default();
        fill(&mut content);
        self.number += 1;
        self.message(SUBSYSTEM << 8 | kind as u16, ACK | flags, BRIDGE, 0, &content.0);
    }

    /// All of it, and the number of the last message.
    pub(super) fn end(mut self) -> (Vec<u8>, u32) {
        let last = self.number;
        self.number += 1;
        self.message(0x11, 0, 0, SUBSYSTEM, &[]);
        (self.bytes, last)
    }

    fn message(&mut self, kind: u16, flags: u16, family: u8, resource: u16, content: &[u8]) {
        let length = u32::try_from(HEADER + 4 + content.len()).unwrap_or(u32::MAX);
        self.bytes.extend(length.to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend((REQUEST | flags).to_ne_bytes());
        self.bytes.extend(self.number.to_ne_bytes());
        self.bytes.extend(0u32.to_ne_bytes());
        // Family, version, and what the batch is about.
        self.bytes.extend([family, 0]);
        self.bytes.extend(resource.to_be_bytes());
        self.bytes.extend(content);
    }
}

/// The numbers and errors (0 for none) in what the kernel has answered.
pub(super) fn answers(mut bytes: &[u8]) -> Vec<(u32, i32)> {
    let mut all = Vec::new();
    while let Some(header) = bytes.first_chunk::<HEADER>() {
        let word =
            |at: usize| u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let length = (word(0) as usize).clamp(HEADER, bytes.len());
        if u16::from_ne_bytes([header[4], header[5]]) == ERROR
            && let Some(code) = bytes.get(HEADER..HEADER + 4).and_then(|code| code.first_chunk::<4>())
        {
            all.push((word(8), -i32::from_ne_bytes(*code)));
        }
        bytes = &bytes[length.next_multiple_of(4).min(bytes.len())..];
    }
    all
}
