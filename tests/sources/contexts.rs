//! Contexts of every kind, and the Containerfiles in them.

use super::Scene;
use super::repositories::Served;
use super::web::Web;
use crate::common::Layer;
use coracle::build::request::{ContextSource, FileSource};
use coracle::build::sources::Progress;
use coracle::build::sources::containerfile::{self, DOCKER_NAMES, NAMES, Origin, Search, Text};
use coracle::build::sources::context::{self, Identity, OpenedContext};
use coracle::error::{Error, Kind};
use coracle::image::Digest;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

fn quiet(_: Progress) {}

fn open(scene: &Scene, source: &ContextSource) -> Result<OpenedContext, Error> {
    context::open(&scene.means(), source, &mut quiet)
}

fn opened(scene: &Scene, source: &ContextSource) -> OpenedContext {
    open(scene, source).unwrap_or_else(|e| panic!("{source:?}: {}", e.in_one_line()))
}

/// A file of a context, by its descriptor.
fn content(context: &OpenedContext, name: &str) -> String {
    let fd = openat(context.root(), name, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()).unwrap();
    let mut text = String::new();
    File::from(fd).read_to_string(&mut text).unwrap();
    text
}

fn read(
    scene: &Scene,
    context: &OpenedContext,
    files: &[FileSource],
    cwd: Option<&Path>,
) -> Result<Vec<Text>, Error> {
    containerfile::read(&scene.means(), context, files, Search { cwd, names: &NAMES }, &mut quiet)
}

/// A context as `build -` has it: what is written into a pipe, which the maker has closed.
fn piped(bytes: &[u8]) -> (std::io::PipeReader, ContextSource) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    assert!(bytes.len() < 60_000, "it fits into the pipe");
    writer.write_all(bytes).unwrap();
    let source = ContextSource::Archive(PathBuf::from(format!("/proc/self/fd/{}", reader.as_raw_fd())));
    (reader, source)
}

pub(crate) fn a_directory_is_held() {
    let scene = Scene::new();
    let file = scene.env.file("ctx/file", "content");
    let real = file.parent().unwrap().canonicalize().unwrap();
    let link = scene.env.path().join("link");
    symlink(&real, &link).unwrap();
    let context = opened(&scene, &ContextSource::Directory(link.clone()));
    assert_eq!(context.identity, Identity::Directory(real.clone()));
    // What takes its place is not the context.
    std::fs::rename(&real, scene.env.path().join("moved")).unwrap();
    std::fs::remove_file(&link).unwrap();
    assert_eq!(content(&context, "file"), "content");
    for missing in ["none", "moved/file"] {
        let path = scene.env.path().join(missing);
        let error = open(&scene, &ContextSource::Directory(path.clone())).unwrap_err();
        assert_eq!(error.message(), format!("context must be a directory: {path:?}"));
        assert!(error.in_dockers_words().starts_with("unable to prepare context: path"));
    }
    let none = opened(&scene, &ContextSource::None);
    assert_eq!(none.identity, Identity::Empty);
    assert_eq!(read(&scene, &none, &[], None).unwrap_err().kind(), Kind::NotFound);
    drop(none);
    assert_eq!(scene.left_over(), [""; 0]);
}

pub(crate) fn a_stream_is_an_archive_or_a_text() {
    let scene = Scene::new();
    let layer = Layer::new().dir("d", 0o700).file("d/f", 0o600, "in").file("Dockerfile", 0o644, "FROM a");
    let (plain, zipped) = layer.finish();
    let squeezed = zstd::encode_all(plain.as_slice(), 3).unwrap();
    for bytes in [&plain, &zipped, &squeezed] {
        let (_pipe, source) = piped(bytes);
        let context = opened(&scene, &source);
        assert_eq!(context.identity, Identity::Archive(Digest::sha256_of(bytes)));
        assert_eq!((content(&context, "d/f"), context.text.as_ref()), ("in".into(), None));
        let [text] = &read(&scene, &context, &[], None).unwrap()[..] else { panic!() };
        assert_eq!((text.name.as_str(), &text.bytes[..]), ("Dockerfile", &b"FROM a"[..]));
    }
    let (_pipe, source) = piped(b"FROM busybox\n");
    let context = opened(&scene, &source);
    assert_eq!(
        (&context.identity, context.text.as_deref()),
        (&Identity::Empty, Some(&b"FROM busybox\n"[..]))
    );
    let [text] = &read(&scene, &context, &[], None).unwrap()[..] else { panic!() };
    assert_eq!((&text.origin, &text.bytes[..]), (&Origin::Elsewhere, &b"FROM busybox\n"[..]));
    drop(context);
    let (_pipe, source) = piped(b"");
    let context = opened(&scene, &source);
    assert!(read(&scene, &context, &[], None).unwrap_err().message().starts_with("no contents in"));
    let (_pipe, source) = piped(&zipped[..zipped.len() / 2]);
    assert_eq!(open(&scene, &source).unwrap_err().kind(), Kind::Image);
    let (_pipe, source) = piped(&Layer::new().file("../x", 0o644, "x").finish().0);
    assert_eq!(open(&scene, &source).unwrap_err().kind(), Kind::Image);
    drop(context);
    assert_eq!(scene.left_over(), [""; 0]);
}

pub(crate) fn an_address_is_an_archive_or_a_text() {
    let scene = Scene::new();
    let (_, zipped) = Layer::new().file("Containerfile", 0o644, "FROM a").finish();
    scene.env.file("www/ctx.tgz", &zipped);
    scene.env.file("www/file", "FROM b");
    let web = Web::start(&scene.env.path().join("www"));
    let context = opened(&scene, &ContextSource::Remote(web.url("cut/ctx.tgz")));
    assert_eq!(context.identity, Identity::Archive(Digest::sha256_of(&zipped)));
    assert_eq!(content(&context, "Containerfile"), "FROM a");
    let context = opened(&scene, &ContextSource::Remote(web.url("ok/file?q=1")));
    assert_eq!(
        (context.text.as_deref(), context.name.as_str()),
        (Some(&b"FROM b"[..]), &*web.url("ok/file"))
    );
    let text = &read(&scene, &context, &[FileSource::Remote(web.url("ok/file"))], None).unwrap()[0];
    assert_eq!((&text.origin, &text.bytes[..]), (&Origin::Elsewhere, &b"FROM b"[..]));
    let error = open(&scene, &ContextSource::Remote("some/path".to_owned())).unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    for address in ["git@host:x", "some/path"] {
        let files = [FileSource::Remote(address.to_owned())];
        assert_eq!(read(&scene, &context, &files, None).unwrap_err().kind(), Kind::Usage, "{address}");
    }
}

pub(crate) fn a_repository_is_a_context() {
    let Some(served) = Served::new() else { return };
    served.repository("r");
    let scene = &served.scene;
    let context = opened(scene, &ContextSource::Remote(served.url("r#main")));
    assert_eq!(content(&context, "file"), "two");
    let Identity::Commit { id, subdir: None } = &context.identity else { panic!("{:?}", context.identity) };
    assert_eq!(id.len(), 40);
    // What is in the caller's directory is looked for first, unless it is not wanted.
    scene.env.file("Containerfile", "FROM here");
    let files = [FileSource::Path("Containerfile".into())];
    let first = |cwd| read(scene, &context, &files, cwd).unwrap().remove(0);
    assert_eq!(first(Some(scene.env.path())).bytes, b"FROM here");
    let inside = first(None);
    assert_eq!(inside.bytes, b"FROM scratch\n");
    assert_eq!(inside.origin, Origin::Context("Containerfile".into()));
    let sub = opened(scene, &ContextSource::Remote(served.url("r#:sub/deep")));
    assert_eq!(content(&sub, "x"), "x");
    drop((context, sub));
    assert_eq!(scene.left_over(), [""; 0]);
}

pub(crate) fn containerfiles_are_found() {
    let scene = Scene::new();
    let cwd = scene.env.path().to_owned();
    let dir = |name: &str| opened(&scene, &ContextSource::Directory(cwd.join(name)));
    for (path, text) in [
        ("both/Containerfile", "FROM c"),
        ("both/Dockerfile", "FROM d"),
        ("docker/Dockerfile", "FROM d"),
        ("docker/build/My.Dockerfile", "FROM m"),
        ("here.Dockerfile", "FROM h"),
        ("empty/Containerfile", ""),
        ("in/Containerfile.in", "FROM i"),
        ("none/x", ""),
    ] {
        scene.env.file(path, text);
    }
    let usual = |name: &str, names: &[&str]| {
        let search = Search { cwd: Some(&cwd), names };
        containerfile::read(&scene.means(), &dir(name), &[], search, &mut quiet).map(|mut all| all.remove(0))
    };
    assert_eq!(usual("both", &NAMES).unwrap().bytes, b"FROM c");
    assert_eq!(usual("both", &DOCKER_NAMES).unwrap().bytes, b"FROM d");
    assert_eq!(usual("docker", &NAMES).unwrap().name, "Dockerfile");
    let missing = usual("none", &NAMES).unwrap_err();
    let wanted = "no Containerfile or Dockerfile specified or found in context directory, ";
    assert!(missing.message().starts_with(wanted), "{missing}");
    assert!(usual("empty", &NAMES).unwrap_err().message().starts_with("no contents in"));

    let path = |path: &str| FileSource::Path(path.into());
    let texts = read(
        &scene,
        &dir("docker"),
        &[path("here.Dockerfile"), path("build/My.Dockerfile"), FileSource::Text(b"RUN x".to_vec())],
        Some(&cwd),
    )
    .unwrap();
    let found: Vec<_> = texts.iter().map(|t| (t.name.as_str(), &t.origin, &t.bytes[..])).collect();
    assert_eq!(
        found,
        [
            ("here.Dockerfile", &Origin::Host(cwd.join("here.Dockerfile")), &b"FROM h"[..]),
            ("build/My.Dockerfile", &Origin::Context("build/My.Dockerfile".into()), &b"FROM m"[..]),
            ("-", &Origin::Elsewhere, &b"RUN x"[..]),
        ]
    );
    let refused = |file: FileSource| read(&scene, &dir("in"), &[file], Some(&cwd)).unwrap_err();
    assert!(refused(path("Containerfile.in")).hints()[0].contains("cpp "));
    let missing = refused(path("none"));
    assert!(missing.message().contains("cannot be path to a directory"), "{missing}");
    let missing = refused(path("nothing"));
    assert!(missing.message().starts_with("the specified Containerfile or Dockerfile does not exist"));
    let large = refused(FileSource::Text(vec![b'x'; (10 << 20) + 1]));
    assert_eq!(large.message(), "- has more than 10 MiB");
    // A shell's `<(...)`.
    let (pipe, _) = piped(b"FROM p");
    let through = FileSource::Path(format!("/dev/fd/{}", pipe.as_raw_fd()).into());
    assert_eq!(read(&scene, &dir("none"), &[through], Some(&cwd)).unwrap()[0].bytes, b"FROM p");
}

pub(crate) fn case_47_no_containerfile_lies_outside() {
    let scene = Scene::new();
    let secret = scene.env.file("secret", "FROM secret");
    let ctx = scene.env.path().join("ctx");
    std::fs::create_dir(&ctx).unwrap();
    let context = opened(&scene, &ContextSource::Directory(ctx.clone()));
    for (to, refused) in [("../secret", true), (secret.to_str().unwrap(), true), ("inside", false)] {
        let link = ctx.join("Containerfile");
        let _ = std::fs::remove_file(&link);
        symlink(to, link).unwrap();
        std::fs::write(ctx.join("inside"), "FROM inside").unwrap();
        match read(&scene, &context, &[], None) {
            Err(e) => assert!(refused && e.message().contains("leads out of the context"), "{to}: {e}"),
            Ok(texts) => assert!(!refused && texts[0].bytes == b"FROM inside", "{to}"),
        }
    }
    let up = [FileSource::Path("../secret".into())];
    assert!(read(&scene, &context, &up, None).unwrap_err().message().contains("leads out"));
}

pub(crate) fn what_is_no_file_is_no_containerfile() {
    let scene = Scene::new();
    let ctx = scene.env.path().join("ctx");
    std::fs::create_dir_all(ctx.join("dir")).unwrap();
    nix::unistd::mkfifo(&ctx.join("fifo"), Mode::S_IRWXU).unwrap();
    let _socket = UnixListener::bind(ctx.join("socket")).unwrap();
    let sparse = File::create(ctx.join("sparse")).unwrap();
    sparse.set_len(1 << 40).unwrap();
    let context = opened(&scene, &ContextSource::Directory(ctx.clone()));
    for name in ["dir", "fifo", "socket", "sparse"] {
        for (files, cwd) in [(name.to_owned(), None), (ctx.join(name).display().to_string(), None)] {
            let files = [FileSource::Path(files.into())];
            assert_eq!(read(&scene, &context, &files, cwd).unwrap_err().kind(), Kind::Usage, "{name}");
        }
    }
    let zero = [FileSource::Path("/dev/zero".into())];
    let error = read(&scene, &context, &zero, None).unwrap_err();
    assert!(error.message().contains("is not a regular file"), "{error}");
}
