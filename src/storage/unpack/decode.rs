//! Decompressing a layer to its archive, on a thread of its own.
//!
//! Theory of operation. One thread reads, decompresses and hashes; the unpacker takes full buffers from a short
//! queue and returns the empty ones, so nothing is copied twice and memory stays bounded. The format is
//! recognised by its first bytes: media types are wrong more often than magic numbers. The end of the queue is
//! reached only if the hash is the diff id (attack cases 10 and 12).

use super::limits::Limits;
use crate::error::{Error, Kind, Result};
use crate::fork::{Doing, Step};
use crate::image::DiffId;
use crate::storage::blobs::Hasher;
use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

/// What files may be compressed with, and layers of images not: no media type says so.
pub(in crate::storage) const FILES_ONLY: [&str; 2] = ["bzip2", "xz"];
/// Most memory that unpacking xz may take, in KiB. Its strongest preset takes 65 MiB, but the dictionary that
/// a file asks for may have 4 GiB (attack case 9). The other formats have bounds of their own.
const XZ_MEMORY_KIB: u32 = 256 << 10;
/// Bytes in one buffer.
const BUFFER: usize = 256 << 10;
/// Buffers in the queue.
const QUEUE: usize = 8;

/// One step of the decoding thread.
enum Piece {
    Bytes(Vec<u8>),
    Verified,
    Failed(Error),
}

/// The uncompressed archive, as it is decoded.
pub(super) struct Decoded {
    pieces: Receiver<Piece>,
    empties: Sender<Vec<u8>>,
    current: Vec<u8>,
    position: usize,
    verified: bool,
}

/// Starts decoding.
pub(super) fn start(source: impl Read + Send + 'static, diff_id: &DiffId, limits: Limits) -> Result<Decoded> {
    let (send, pieces) = sync_channel(QUEUE);
    let (empties, spare) = channel();
    let diff_id = diff_id.clone();
    let thread = std::thread::Builder::new().name("decode".into()).spawn(move || {
        let end = match decode(source, &diff_id, limits, &send, &spare) {
            Ok(()) => Piece::Verified,
            Err(e) => Piece::Failed(e),
        };
        // Nobody listens when the unpacker has given up for reasons of its own.
        let _ = send.send(end);
    });
    thread.doing(Step::Start, "a thread")?;
    Ok(Decoded { pieces, empties, current: Vec::new(), position: 0, verified: false })
}

/// Counts what goes by, and remembers whether a failure was the source's own.
struct Source<R> {
    inner: R,
    count: Arc<AtomicU64>,
    failed: Arc<AtomicBool>,
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let result = self.inner.read(buffer);
        match &result {
            Ok(n) => drop(self.count.fetch_add(*n as u64, Ordering::Relaxed)),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => self.failed.store(true, Ordering::Relaxed),
        }
        result
    }
}

fn decode(
    source: impl Read,
    diff_id: &DiffId,
    limits: Limits,
    send: &SyncSender<Piece>,
    spare: &Receiver<Vec<u8>>,
) -> Result<()> {
    let (count, failed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let source = Source { inner: source, count: count.clone(), failed: failed.clone() };
    let mut source = source;
    let explain = |e: io::Error, format: &str| {
        if failed.load(Ordering::Relaxed) {
            return Error::new(Kind::Storage, "the layer is incomplete").caused_by(e);
        }
        Error::new(Kind::Image, format!("the layer is not a complete {format} stream")).caused_by(e)
    };
    let (format, mut reader) = match open(&mut source) {
        Ok(opened) => opened,
        Err(e) => return Err(explain(e, "archive")),
    };
    if FILES_ONLY.contains(&format) {
        return Err(no_layer(format));
    }
    let mut hash = Hasher::new(&diff_id.0);
    let mut total = 0u64;
    loop {
        let mut buffer = spare.try_recv().unwrap_or_default();
        buffer.resize(BUFFER, 0);
        let length = fill(&mut reader, &mut buffer).map_err(|e| explain(e, format))?;
        buffer.truncate(length);
        if length == 0 {
            break;
        }
        total += length as u64;
        limits.check_bytes(total, count.load(Ordering::Relaxed))?;
        hash.update(&buffer);
        if send.send(Piece::Bytes(buffer)).is_err() {
            return Ok(());
        }
    }
    let found = hash.finish();
    if found == diff_id.0 {
        return Ok(());
    }
    Err(Error::new(
        Kind::Image,
        format!("the layer's content has the diff id {found}, its image promises {}", diff_id.0),
    )
    .hint("The image is inconsistent and nothing of it was kept. Tell whoever made it."))
}

/// The uncompressed bytes of a source, and what it is compressed with: `gzip`, `zstd`, one of
/// [`FILES_ONLY`], or `tar` for not at all.
///
/// # Errors
/// Those of the source.
pub(in crate::storage) fn open<'a>(source: impl Read + 'a) -> io::Result<(&'static str, Box<dyn Read + 'a>)> {
    let mut source = BufReader::with_capacity(128 << 10, source);
    // A first read may be short; a magic number is four bytes.
    let mut start = [0u8; 6];
    let known = fill(&mut source, &mut start)?;
    let start = &start[..known];
    let source = io::Cursor::new(start.to_vec()).chain(source);
    let format = format(start);
    Ok((
        format,
        match format {
            "gzip" => Box::new(MultiGzDecoder::new(source)),
            "zstd" => Box::new(zstd::stream::read::Decoder::with_buffer(source)?),
            "bzip2" => Box::new(MultiBzDecoder::new(source)),
            "xz" => Box::new(XzReader::new_mem_limit(source, true, XZ_MEMORY_KIB)),
            _ => Box::new(source),
        },
    ))
}

/// What a file that begins so is compressed with, as [`open`] says it.
pub(super) fn format(start: &[u8]) -> &'static str {
    match start {
        [0x1f, 0x8b, ..] => "gzip",
        // A frame, or a skippable one as some tools put in front (RFC 8878, 3.1.2).
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => "zstd",
        [b'B', b'Z', b'h', ..] => "bzip2",
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => "xz",
        _ => "tar",
    }
}

fn no_layer(format: &str) -> Error {
    Error::new(Kind::Image, format!("a layer is compressed with {format}, which is not allowed for layers"))
        .hint(
            "OCI layers are plain, gzip or zstd. Convert the image: skopeo copy --dest-compress-format \
               zstd ...",
        )
}

/// Reads until the buffer is full or the end is reached.
pub(in crate::storage) fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

impl Read for Decoded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Decoded {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.position == self.current.len() && !self.verified {
            let next = match self.pieces.recv() {
                Ok(Piece::Bytes(next)) => next,
                Ok(Piece::Verified) => {
                    self.verified = true;
                    Vec::new()
                }
                Ok(Piece::Failed(e)) => return Err(io::Error::other(e)),
                Err(_) => return Err(io::Error::other("the decoding thread died")),
            };
            self.position = 0;
            let used = std::mem::replace(&mut self.current, next);
            // The thread is gone at the end, and needs no more buffers.
            let _ = self.empties.send(used);
        }
        Ok(&self.current[self.position..])
    }

    fn consume(&mut self, count: usize) {
        self.position += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The beginning of an xz file with this code for the size of its dictionary (xz file format, 5.3.1).
    fn xz_with_dictionary(code: u8) -> Vec<u8> {
        let summed = |bytes: &[u8]| {
            let mut sum = flate2::Crc::new();
            sum.update(bytes);
            [bytes, &sum.sum().to_le_bytes()].concat()
        };
        let header = summed(&[2, 0, 0x21, 1, code, 0, 0, 0]);
        let data = [1, 0, 4, b'w', b'h', b'o', b'l', b'e', 0, 0, 0, 0];
        [b"\xfd7zXZ\0".to_vec(), summed(&[0, 0])[..].to_vec(), header, data.to_vec()].concat()
    }

    #[test]
    fn case_09_an_xz_dictionary_has_a_bound() {
        let first = |code: u8| {
            let (format, mut reader) = open(io::Cursor::new(xz_with_dictionary(code))).unwrap();
            assert_eq!(format, "xz");
            let mut bytes = [0; 5];
            reader.read_exact(&mut bytes).map(|()| bytes)
        };
        // 64 MiB, as of `xz -9`, and 4 GiB.
        assert_eq!(&first(28).unwrap(), b"whole");
        let refused = first(40).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::OutOfMemory, "{refused}");
    }
}
