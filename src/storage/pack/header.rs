//! Headers of an archive: ustar, with PAX records for what does not fit (POSIX pax(1), "ustar
//! Interchange Format" and "pax Extended Header").

/// Bytes in a block.
pub(super) const BLOCK: usize = 512;

/// What one entry says about a file.
#[derive(Debug, Clone, Default)]
pub(super) struct Entry<'a> {
    /// The type flag: `0` file, `1` hard link, `2` symlink, `3` and `4` devices, `5` directory, `6` FIFO.
    pub(super) flag: u8,
    /// The name, with a slash at the end for a directory.
    pub(super) name: &'a [u8],
    /// The target of a link.
    pub(super) link: &'a [u8],
    /// Permission bits.
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Bytes of content that follow.
    pub(super) size: u64,
    /// For a file with holes its true size; the content is then a map and the pieces with data.
    pub(super) real_size: Option<u64>,
    /// Seconds since the epoch and nanoseconds.
    pub(super) mtime: (i64, u32),
    /// Major and minor number of a device.
    pub(super) device: (u32, u32),
    /// Extended attributes, sorted by name.
    pub(super) xattrs: &'a [(Vec<u8>, Vec<u8>)],
}

impl Entry<'_> {
    /// The blocks in front of the content.
    pub(super) fn blocks(&self) -> Vec<u8> {
        let records = self.records();
        let mut all = Vec::with_capacity(BLOCK * 3);
        if !records.is_empty() {
            let name = self.aside(b"PaxHeaders.0/");
            let extended = Entry {
                flag: b'x',
                name: &name,
                mode: 0o644,
                size: records.len() as u64,
                ..Entry::default()
            };
            all.extend_from_slice(&extended.block());
            all.extend_from_slice(&records);
            all.resize(all.len().next_multiple_of(BLOCK), 0);
        }
        match self.real_size {
            // Programs that do not support holes see a file with another name.
            Some(_) => {
                let name = self.aside(b"GNUSparseFile.0/");
                all.extend_from_slice(&Entry { name: &name, ..self.clone() }.block());
            }
            None => all.extend_from_slice(&self.block()),
        }
        all
    }

    /// A separate name for the entry that accompanies the file, or for the file.
    fn aside(&self, prefix: &[u8]) -> Vec<u8> {
        let base = self.name.strip_suffix(b"/").unwrap_or(self.name);
        let base = base.rsplit(|b| *b == b'/').next().unwrap_or_default();
        [prefix, &base[..base.len().min(80)]].concat()
    }

    /// The records for what the plain header cannot hold.
    fn records(&self) -> Vec<u8> {
        let mut records = Vec::new();
        let mut add = |key: &[u8], value: &[u8]| record(&mut records, key, value);
        match self.real_size {
            Some(size) => {
                add(b"GNU.sparse.major", b"1");
                add(b"GNU.sparse.minor", b"0");
                add(b"GNU.sparse.name", self.name);
                add(b"GNU.sparse.realsize", size.to_string().as_bytes());
            }
            None if self.name.len() > 100 => add(b"path", self.name),
            None => {}
        }
        if self.link.len() > 100 {
            add(b"linkpath", self.link);
        }
        if octal(self.size, 11).is_none() {
            add(b"size", self.size.to_string().as_bytes());
        }
        for (key, id) in [(b"uid", self.uid), (b"gid", self.gid)] {
            if octal(u64::from(id), 7).is_none() {
                add(key, id.to_string().as_bytes());
            }
        }
        let (seconds, nanos) = self.mtime;
        if nanos != 0 || u64::try_from(seconds).ok().and_then(|s| octal(s, 11)).is_none() {
            add(b"mtime", time(seconds, nanos).as_bytes());
        }
        for (name, value) in self.xattrs {
            add(&[b"SCHILY.xattr.", name.as_slice()].concat(), value);
        }
        records
    }

    /// The plain header; what does not fit is cut or zero.
    fn block(&self) -> [u8; BLOCK] {
        let mut block = [0u8; BLOCK];
        let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &self.name[..self.name.len().min(100)]);
        put(157, &self.link[..self.link.len().min(100)]);
        let seconds = u64::try_from(self.mtime.0).unwrap_or(0);
        for (at, digits, value) in [
            (100, 7, u64::from(self.mode)),
            (108, 7, u64::from(self.uid)),
            (116, 7, u64::from(self.gid)),
            (124, 11, self.size),
            (136, 11, seconds),
            (329, 7, u64::from(self.device.0)),
            (337, 7, u64::from(self.device.1)),
        ] {
            let text = octal(value, digits).or_else(|| octal(0, digits)).unwrap_or_default();
            put(at, text.as_bytes());
        }
        put(156, &[self.flag]);
        put(257, b"ustar\x0000");
        put(148, b"        ");
        let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        block
    }
}

/// The map that stands before the content of a file with holes: offset and length of each piece with data,
/// as decimal lines, up to a whole block (GNU tar manual, "PAX Format, Version 1.0").
pub(super) fn map(pieces: &[(u64, u64)]) -> Vec<u8> {
    let mut map = format!("{}\n", pieces.len()).into_bytes();
    for (offset, length) in pieces {
        map.extend_from_slice(format!("{offset}\n{length}\n").as_bytes());
    }
    map.resize(map.len().next_multiple_of(BLOCK), 0);
    map
}

/// That many octal digits and a NUL byte; `None` when the number is larger.
fn octal(value: u64, digits: usize) -> Option<String> {
    let text = format!("{value:0digits$o}\0");
    (text.len() == digits + 1).then_some(text)
}

/// Decimal seconds; before the epoch the fraction counts downwards.
fn time(seconds: i64, nanos: u32) -> String {
    match (seconds, nanos) {
        (s, 0) => s.to_string(),
        (s, n) if s >= 0 => trimmed(format!("{s}.{n:09}")),
        (s, n) => trimmed(format!("-{}.{:09}", (s + 1).unsigned_abs(), 1_000_000_000 - n)),
    }
}

fn trimmed(text: String) -> String {
    text.trim_end_matches('0').to_owned()
}

/// Appends `length key=value\n`, where the length counts itself.
fn record(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    records.extend_from_slice(format!("{length} ").as_bytes());
    records.extend_from_slice(key);
    records.push(b'=');
    records.extend_from_slice(value);
    records.push(b'\n');
}
