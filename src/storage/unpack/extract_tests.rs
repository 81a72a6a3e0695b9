use super::*;
use std::io::Write;
use std::os::unix::fs::MetadataExt;

const HOW: Extract =
    Extract { owner: Owner::Caller, overwrite: true, privileges: false, apart: false, below: String::new() };

fn extractor(into: BorrowedFd<'_>) -> Extractor<'_> {
    Extractor {
        tree: Tree::new(into),
        how: HOW,
        many: false,
        pending: BTreeMap::new(),
        held: 0,
        done: Extracted::default(),
    }
}

fn directory(path: &str) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Directory);
    header.set_size(0);
    header.set_mode(0o555);
    header.set_mtime(1_000_000);
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_data(&mut header, path, std::io::empty()).unwrap();
    archive.into_inner().unwrap()
}

fn add(extractor: &mut Extractor<'_>, archive: &[u8]) {
    let mut archive = Archive::new(archive);
    while let Some(entry) = archive.next().unwrap() {
        extractor.entry(&entry, &mut archive).unwrap();
    }
}

#[test]
fn case_09_what_is_remembered_of_directories_has_a_bound() {
    let dir = tempfile::tempdir().unwrap();
    let held = File::open(dir.path()).unwrap();
    let mut extractor = extractor(held.as_fd());
    add(&mut extractor, &directory("implied/by/this"));
    assert!(extractor.tree.implied.is_empty());
    assert_eq!(extractor.pending.len(), 1);
    extractor.held = PENDING_MAX;
    add(&mut extractor, &directory("one"));
    assert!(extractor.pending.is_empty() && extractor.held == 0);
    let made = std::fs::metadata(dir.path().join("one")).unwrap();
    assert_eq!((made.mode() & 0o777, made.mtime()), (0o555, 1_000_000));
}

#[test]
fn a_directory_that_is_replaced_takes_no_other_along() {
    let dir = tempfile::tempdir().unwrap();
    let held = File::open(dir.path()).unwrap();
    let mut extractor = extractor(held.as_fd());
    for path in ["a", "a/below", "ab"] {
        add(&mut extractor, &directory(path));
    }
    let mut header = tar::Header::new_ustar();
    header.set_size(0);
    header.set_mode(0o644);
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_data(&mut header, "a", std::io::empty()).unwrap();
    add(&mut extractor, &archive.into_inner().unwrap());
    assert_eq!(extractor.pending.keys().collect::<Vec<_>>(), [b"ab"]);
}

#[test]
fn case_09_a_bomb_is_refused_and_a_large_file_is_not() {
    let zeros = vec![0; 4 << 20];
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&zeros).unwrap();
    let gzip = gzip.finish().unwrap();
    let read = |ratio_from| {
        let packed = Rc::new(Cell::new(0));
        let source = Counted { inner: io::Cursor::new(gzip.clone()), count: packed.clone() };
        let inner = flate2::read::MultiGzDecoder::new(source);
        let limits = Limits { bytes: u64::MAX, ratio: 100, ratio_from, ..Limits::default() };
        Bounded { inner, packed, total: 0, limits }.read_to_end(&mut Vec::new())
    };
    assert!(read(1 << 20).unwrap_err().to_string().contains("bomb"));
    assert_eq!(read(8 << 20).unwrap(), zeros.len());
}
