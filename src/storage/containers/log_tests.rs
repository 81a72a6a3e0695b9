use super::*;

struct Fixture {
    dir: tempfile::TempDir,
    fd: OwnedFd,
    form: Form,
}

fn fixture() -> Fixture {
    fixture_of(Form::K8s)
}

fn fixture_of(form: Form) -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let fd = crate::storage::place::directory(dir.path()).unwrap();
    Fixture { dir, fd, form }
}

type Read = (Stream, bool, Vec<u8>);

impl Fixture {
    fn place(&self) -> Place {
        Place { dir: self.fd.try_clone().unwrap(), name: "log".to_owned() }
    }

    fn writer(&self, max_size: Option<u64>) -> Writer {
        self.writer_with(&Options { max_size, form: self.form, ..Options::default() })
    }

    fn writer_with(&self, options: &Options<'_>) -> Writer {
        Writer::open_at(self.place(), options).unwrap()
    }

    fn reader(&self, tail: Option<u64>) -> Reader {
        Reader::open_at(self.place(), self.form, tail).unwrap()
    }

    fn read(&self, tail: Option<u64>) -> Vec<Read> {
        rest(&mut self.reader(tail))
    }

    fn texts(&self, tail: Option<u64>) -> Vec<String> {
        self.read(tail).into_iter().map(|(_, _, text)| String::from_utf8(text).unwrap()).collect()
    }

    fn size(&self, name: &str) -> u64 {
        std::fs::metadata(self.dir.path().join(name)).map_or(0, |m| m.len())
    }
}

fn rest(reader: &mut Reader) -> Vec<Read> {
    let mut all = Vec::new();
    while let Some(line) = reader.next_line().unwrap() {
        all.push((line.stream, line.full, line.text.to_vec()));
    }
    all
}

#[test]
fn lines_and_pieces_come_back_as_they_were_written() {
    let f = fixture();
    let mut w = f.writer(None);
    w.append(Stream::Stdout, b"one\ntwo\n$ ").unwrap();
    w.append(Stream::Stderr, b"\xff\x00\r\n").unwrap();
    w.append(Stream::Stdout, b"ls\n").unwrap();
    w.append(Stream::Stdout, b"").unwrap();
    w.append(Stream::Stdout, b"\n").unwrap();
    let full = |stream, text: &[u8]| (stream, true, text.to_vec());
    assert_eq!(
        f.read(None),
        [
            full(Stream::Stdout, b"one"),
            full(Stream::Stdout, b"two"),
            (Stream::Stdout, false, b"$ ".to_vec()),
            full(Stream::Stderr, b"\xff\x00\r"),
            full(Stream::Stdout, b"ls"),
            full(Stream::Stdout, b""),
        ]
    );
    let text = std::fs::read(f.dir.path().join("log")).unwrap();
    let first = text.split(|&b| b == b'\n').next().unwrap();
    assert_eq!(&first[first.len() - 13..], b" stdout F one");
    assert!(DateTime::parse_from_rfc3339(std::str::from_utf8(&first[..30]).unwrap()).is_ok());
}

#[test]
fn any_bytes_in_any_chunks_come_back() {
    use proptest::prelude::*;
    proptest!(ProptestConfig::with_cases(40), |(chunks in prop::collection::vec(
        prop::collection::vec(prop_oneof![3 => Just(b'\n'), 8 => any::<u8>()], 0..300), 0..20), json in any::<bool>())| {
        let f = fixture_of(if json { Form::Json } else { Form::K8s });
        let mut w = f.writer(None);
        for chunk in &chunks {
            w.append(Stream::Stdout, chunk).unwrap();
        }
        // The beginning of a character may have been waited with.
        drop(w);
        let mut back = Vec::new();
        for (_, full, text) in f.read(None) {
            back.extend(text);
            if full {
                back.push(b'\n');
            }
        }
        let mut whole = chunks.concat();
        if json {
            // JSON is text: other bytes are replacement characters, one each.
            let text = |chunk: std::str::Utf8Chunk<'_>| {
                chunk.valid().to_owned() + &"\u{fffd}".repeat(chunk.invalid().len())
            };
            whole = whole.utf8_chunks().map(text).collect::<String>().into_bytes();
        }
        prop_assert_eq!(back, whole);
    });
}

#[test]
fn case_39_gigantic_lines_stay_within_one_block_of_memory() {
    let f = fixture();
    let mut w = f.writer(None);
    let big = vec![b'x'; 5 * BLOCK + 17];
    w.append(Stream::Stdout, &big).unwrap();
    w.append(Stream::Stdout, b"\n").unwrap();
    assert!(w.block.capacity() < 2 * BLOCK + 1024);
    let back = f.read(None);
    assert_eq!(back.iter().map(|l| l.2.len()).sum::<usize>(), big.len());
    assert_eq!(back.iter().filter(|l| l.1).count(), 1);
    assert_eq!(f.read(Some(1)).len(), back.len(), "the tail of one line is the whole line");
}

#[test]
fn rotation_keeps_the_latest_within_the_limit() {
    let f = fixture();
    let mut w = f.writer(Some(10_000));
    for n in 0..2000 {
        w.append(Stream::Stdout, format!("line {n}\n").as_bytes()).unwrap();
    }
    assert!(f.size("log.1") > 0 && f.size("log") + f.size("log.1") <= 10_000);
    let texts = f.texts(None);
    let first: usize = texts[0].strip_prefix("line ").unwrap().parse().unwrap();
    let expected: Vec<String> = (first..2000).map(|n| format!("line {n}")).collect();
    assert_eq!(texts, expected);
    // A tail that reaches into the rotated part.
    let many = texts.len() as u64 - 5;
    assert_eq!(f.texts(Some(many)), texts[5..]);
    assert_eq!(f.texts(Some(100_000)), texts);
}

#[test]
fn rotation_cuts_no_line_that_came_in_pieces() {
    // Pipes hand over blocks that end anywhere: a line begun in one file must end there.
    let f = fixture();
    let mut w = f.writer(Some(10_000));
    let text: String = (0..4000).map(|n| format!("line {n}\n")).collect();
    for (n, chunk) in text.as_bytes().chunks(997).enumerate() {
        w.append(Stream::Stdout, chunk).unwrap();
        assert!(f.size("log") + f.size("log.1") <= 10_000);
        let rotated = std::fs::read(f.dir.path().join("log.1")).unwrap_or_default();
        let last = rotated.split(|&b| b == b'\n').rfind(|line| !line.is_empty());
        assert!(last.is_none_or(|line| Line::parse(line).unwrap().full), "after chunk {n}");
    }
}

#[test]
fn floods_and_gigantic_lines_stay_within_the_limit() {
    let f = fixture();
    let mut w = f.writer(Some(20_000));
    for flood in [vec![b'\n'; 100_000], vec![b'x'; 300_000], b"short\n".repeat(20_000)] {
        w.append(Stream::Stderr, &flood).unwrap();
        assert!(f.size("log") + f.size("log.1") <= 20_000, "{} {}", f.size("log"), f.size("log.1"));
    }
    assert_eq!(f.texts(Some(2)), ["short", "short"]);
}

#[test]
fn a_tail_is_found_from_the_end() {
    let f = fixture();
    assert!(f.read(Some(3)).is_empty());
    let mut w = f.writer(None);
    for n in 0..5000 {
        w.append(Stream::Stdout, format!("{n} {}\n", "y".repeat(n % 200)).as_bytes()).unwrap();
    }
    let all = f.texts(None);
    for tail in [0, 1, 2, 499, 3000, 4999, 5000, 6000] {
        assert_eq!(f.texts(Some(tail)), all[all.len().saturating_sub(tail as usize)..], "{tail}");
    }
    w.append(Stream::Stdout, b"a").unwrap();
    w.append(Stream::Stdout, b"b").unwrap();
    assert_eq!(f.texts(Some(1)), ["a", "b"], "a line without an end is one line");
    w.append(Stream::Stdout, b"c\n").unwrap();
    assert_eq!(f.texts(Some(1)), ["a", "b", "c"]);
    assert_eq!(f.texts(Some(2)).len(), 4);
}

#[test]
fn a_torn_tail_is_repaired_by_the_writer_and_skipped_by_readers() {
    let whole = b"2026-01-01T00:00:00.000000000Z stdout F whole\n";
    for torn in [&b"2026-01-01T00:00:00.0000"[..], b"2026-01-01T00:00:00.000000000Z std", b"\0\0\0\0", b"x"] {
        let f = fixture();
        std::fs::write(f.dir.path().join("log"), [whole, torn].concat()).unwrap();
        assert_eq!(f.texts(None), ["whole"]);
        f.writer(None).append(Stream::Stdout, b"next\n").unwrap();
        assert_eq!(f.texts(None), ["whole", "next"]);
        assert_eq!(f.texts(Some(1)), ["next"]);
    }
}

#[test]
fn a_reader_follows_across_rotations() {
    let f = fixture();
    let mut w = f.writer(Some(8192));
    let mut reader = f.reader(None);
    assert!(reader.next_line().unwrap().is_none());
    let mut seen = Vec::new();
    for n in 0..1000 {
        w.append(Stream::Stdout, format!("{n}\n").as_bytes()).unwrap();
        if n % 40 == 0 {
            seen.extend(rest(&mut reader));
        }
    }
    seen.extend(rest(&mut reader));
    let texts: Vec<String> = seen.into_iter().map(|l| String::from_utf8(l.2).unwrap()).collect();
    assert_eq!(texts, (0..1000).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[test]
fn a_reader_waits_for_the_end_of_a_line() {
    let f = fixture();
    let path = f.dir.path().join("log");
    let line = b"2026-01-01T00:00:00.000000000Z stderr F whole\n";
    std::fs::write(&path, &line[..40]).unwrap();
    let mut reader = f.reader(None);
    assert!(reader.next_line().unwrap().is_none());
    assert!(reader.torn_line().is_some_and(|l| l.text == b""));
    std::fs::write(&path, line).unwrap();
    assert_eq!(reader.next_line().unwrap().unwrap().text, b"whole");
    assert!(reader.torn_line().is_none());
}

#[test]
fn objects_are_dockers_and_hold_text() {
    let f = fixture_of(Form::Json);
    let options = Options { form: Form::Json, tag: Some("a \"tag\""), ..Options::default() };
    let mut w = f.writer_with(&options);
    w.append(Stream::Stdout, "one \"ä\" \\ \t\r\n$ ".as_bytes()).unwrap();
    w.append(Stream::Stderr, b"\xff\x00\n").unwrap();
    let text = String::from_utf8(std::fs::read(f.dir.path().join("log")).unwrap()).unwrap();
    let mut objects = text.lines();
    let first: serde_json::Value = serde_json::from_str(objects.next().unwrap()).unwrap();
    assert_eq!(first["log"], "one \"ä\" \\ \t\r\n");
    assert_eq!((&first["stream"], &first["attrs"]["tag"]), (&"stdout".into(), &"a \"tag\"".into()));
    assert!(DateTime::parse_from_rfc3339(first["time"].as_str().unwrap()).is_ok());
    assert!(objects.next().unwrap().starts_with(r#"{"log":"$ ","stream":"stdout""#));
    assert!(objects.next().unwrap().starts_with(r#"{"log":"\ufffd\u0000\n","stream":"stderr""#));
    let all = f.read(None);
    assert_eq!(all[0], (Stream::Stdout, true, "one \"ä\" \\ \t\r".as_bytes().to_vec()));
    assert_eq!(all[2], (Stream::Stderr, true, "\u{fffd}\0".as_bytes().to_vec()));
    assert_eq!(f.read(Some(1)), all[1..]);
    // A character may come in pieces, on each stream; what has no end is no character.
    for piece in ["\u{20ac}".as_bytes(), "\u{1f600}".as_bytes()] {
        for (at, byte) in piece.iter().enumerate() {
            w.append(Stream::Stdout, &[*byte]).unwrap();
            w.append(Stream::Stderr, if at == 0 { b"\xc3" } else { b"" }).unwrap();
        }
        w.append(Stream::Stderr, b"\xa4").unwrap();
    }
    w.append(Stream::Stdout, b"\xe2\x82").unwrap();
    drop(w);
    let pieces: Vec<(Stream, Vec<u8>)> = f.read(None)[3..].iter().map(|l| (l.0, l.2.clone())).collect();
    let of = |wanted| pieces.iter().filter(|p| p.0 == wanted).flat_map(|p| p.1.clone()).collect::<Vec<u8>>();
    assert_eq!(String::from_utf8(of(Stream::Stdout)).unwrap(), "\u{20ac}\u{1f600}\u{fffd}\u{fffd}");
    assert_eq!(String::from_utf8(of(Stream::Stderr)).unwrap(), "\u{e4}\u{e4}");
    // What earlier versions wrote of a byte that is no text.
    let lone = br#"{"log":"\udcff\n","stream":"stdout","time":"2026-01-01T00:00:00.1Z"}"#;
    assert_eq!(json::decode(lone, &mut Vec::new()).unwrap().text, b"\xff");
    // What docker itself wrote: other escapes, no attributes.
    let docker =
        br#"{"log":"\u003c\ud83d\ude00\u0026 \/\n","stream":"stdout","time":"2026-01-01T00:00:00.1Z"}"#;
    let mut text = Vec::new();
    assert_eq!(json::decode(docker, &mut text).unwrap().text, "<\u{1f600}& /".as_bytes());
    for wrong in
        [&b""[..], b"{}", br#"{"log":"x","stream":"stdout","time":"#, br#"{"log":"x"#, b"{\"log\":\"\\u12"]
    {
        assert!(json::decode(wrong, &mut text).is_none());
    }
}

#[test]
fn several_files_hold_what_dockers_options_say() {
    for form in [Form::K8s, Form::Json] {
        let f = fixture_of(form);
        let mut w =
            f.writer_with(&Options { form, max_size: Some(8192), max_file: Some(4), ..Options::default() });
        let mut reader = f.reader(None);
        let mut seen = Vec::new();
        for n in 0..3000 {
            w.append(Stream::Stdout, format!("{n}\n").as_bytes()).unwrap();
            if n % 50 == 0 {
                seen.extend(rest(&mut reader));
            }
        }
        seen.extend(rest(&mut reader));
        assert_eq!(seen.len(), 3000, "a reader that keeps up misses nothing");
        assert!(f.size("log.3") > 4096 && f.size("log.4") == 0);
        assert!(["log", "log.1", "log.2", "log.3"].iter().all(|part| f.size(part) <= 8192));
        let texts = f.texts(None);
        let first: usize = texts[0].parse().unwrap();
        assert_eq!(texts, (first..3000).map(|n| n.to_string()).collect::<Vec<_>>());
        assert_eq!(f.texts(Some(100)), texts[texts.len() - 100..]);
    }
}
