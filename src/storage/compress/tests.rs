//! Tests of [`super`].

use super::*;
use crate::storage::Store;
use crate::storage::unpack::decode;
use std::io::Read;

/// Bytes that shrink, but not to nothing.
fn text(length: usize) -> Vec<u8> {
    let mut state = 7u32;
    let word = |n: u32| format!("word{} ", n % 5000);
    let mut all = Vec::new();
    while all.len() < length {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        all.extend_from_slice(word(state >> 8).as_bytes());
    }
    all.truncate(length);
    all
}

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("data"), &dir.path().join("run"), &[]).unwrap();
    (dir, store)
}

fn compress(store: &Store, recipe: Recipe, bytes: &[u8]) -> Vec<u8> {
    let (pool, owned) = (Pool::new().unwrap(), bytes.to_vec());
    let open = move || -> Result<Box<dyn Read>> { Ok(Box::new(io::Cursor::new(owned))) };
    let archive = CompressedArchive::start(store.blobs(), &pool, recipe, open).unwrap();
    let (mut all, mut buffer) = (Vec::new(), vec![0; 10_000]);
    loop {
        match archive.read_at(all.len() as u64, &mut buffer).unwrap() {
            0 => break,
            count => all.extend_from_slice(&buffer[..count]),
        }
    }
    assert_eq!(archive.finish().unwrap(), (crate::image::Digest::sha256_of(&all), all.len() as u64));
    assert_eq!(archive.length(), Some(all.len() as u64));
    all
}

#[test]
fn what_is_compressed_is_the_same_each_time_and_comes_back() {
    let (_dir, store) = store();
    for (compression, level) in
        [(Compression::Gzip, None), (Compression::Gzip, Some(9)), (Compression::Zstd, None)]
    {
        let recipe = Recipe::new(compression, level).unwrap();
        for length in [0, 1, 1000, GZIP_BLOCK - 1, GZIP_BLOCK, GZIP_BLOCK + 1, 5 << 20] {
            let bytes = text(length);
            let packed = compress(&store, recipe, &bytes);
            assert_eq!(packed, compress(&store, recipe, &bytes), "{recipe:?} {length}");
            let mut back = Vec::new();
            decode::open(packed.as_slice()).unwrap().1.read_to_end(&mut back).unwrap();
            assert!(back == bytes, "{recipe:?} {length}");
            if compression == Compression::Gzip {
                // One member: what reads only the first has all of it.
                let mut first = Vec::new();
                flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut first).unwrap();
                assert!(first == bytes, "{length}");
            }
        }
    }
}

#[test]
fn a_failure_of_the_archive_is_told_to_who_reads() {
    let (_dir, store) = store();
    let pool = Pool::new().unwrap();
    let open = || -> Result<Box<dyn Read>> { Err(Error::new(Kind::Image, "broken here")) };
    let archive = CompressedArchive::start(store.blobs(), &pool, Recipe::default(), open).unwrap();
    let (mut at, mut buffer) = (0, [0; 100]);
    let failure = loop {
        match archive.read_at(at, &mut buffer) {
            Ok(0) => panic!("it has an end"),
            Ok(count) => at += count as u64,
            Err(e) => break e,
        }
    };
    assert!(failure.to_string().contains("broken here"), "{failure}");
    assert!(archive.finish().is_err());
}

#[test]
fn levels_have_bounds() {
    assert!(Recipe::new(Compression::Gzip, Some(10)).is_err());
    assert!(Recipe::new(Compression::Zstd, Some(0)).is_err());
    assert!(Recipe::new(Compression::None, None).is_err());
    assert_eq!(Recipe::new(Compression::Gzip, None).unwrap(), Recipe::default());
}
