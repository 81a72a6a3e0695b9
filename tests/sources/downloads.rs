//! Files of web servers.

use super::Scene;
use super::web::Web;
use coracle::build::sources::http::{Wanted, WebDownload, download};
use coracle::build::sources::remote::{self, HttpSource, Remote};
use coracle::error::{Error, Kind};
use coracle::image::Digest;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

/// Large enough to be cut in the middle.
fn content() -> Vec<u8> {
    b"some text of a file\n".repeat(20_000)
}

fn scene() -> (Scene, Web) {
    let scene = Scene::new();
    scene.env.file("www/a%20b.txt", content());
    scene.env.file("www/a.txt", content());
    let web = Web::start(&scene.env.path().join("www"));
    (scene, web)
}

fn source(url: &str) -> HttpSource {
    match remote::of_source(url) {
        Ok(Some(Remote::Http(source))) => source,
        other => panic!("{url}: {other:?}"),
    }
}

fn fetch(scene: &Scene, url: &str, wanted: Wanted) -> Result<Option<WebDownload>, Error> {
    let wanted = Wanted { retry: Scene::retry(), ..wanted };
    download(&scene.store, &source(url), wanted, &mut |_| {})
}

fn whole(scene: &Scene, url: &str) -> WebDownload {
    fetch(scene, url, Wanted::default()).unwrap_or_else(|e| panic!("{url}: {}", e.in_one_line())).unwrap()
}

fn bytes(download: &WebDownload) -> Vec<u8> {
    let mut bytes = Vec::new();
    download.open().unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

pub(crate) fn a_file_arrives_whole() {
    let (scene, web) = scene();
    let got = whole(&scene, &web.url("ok/a%20b.txt?token=x#y"));
    assert_eq!((got.name.as_str(), got.size), ("a b.txt", content().len() as u64));
    assert_eq!(got.digest, Digest::sha256_of(&content()));
    assert_eq!(bytes(&got), content());
    assert_eq!(got.modified, Some(1_445_412_480));
    let file = got.scratch().path().join(got.name_in_scratch()).metadata().unwrap();
    assert_eq!((file.mtime(), file.permissions().mode() & 0o777), (1_445_412_480, 0o600));
    assert!(web.asked()[0].contains("?token=x "), "the query is sent, the fragment is not");
    let plain = whole(&scene, &web.url("plain/a.txt"));
    assert_eq!((plain.modified, plain.open().unwrap().metadata().unwrap().mtime()), (None, 0));
    assert_eq!(whole(&scene, &web.url("named/a.txt")).name, "a.txt");
    let missing = fetch(&scene, &web.url("ok/none?secret=1"), Wanted::default()).unwrap_err();
    assert_eq!(missing.kind(), Kind::NotFound);
    let said = missing.in_one_line();
    assert!(said.contains("404") && said.contains("ok/none") && !said.contains("secret"), "{said}");
    let refused = fetch(&scene, "http://127.0.0.1:1/x", Wanted::default()).unwrap_err();
    assert!(refused.hints()[0].contains("Nothing listens there"), "{}", refused.in_one_line());
    drop((got, plain));
    assert_eq!(scene.left_over(), [""; 0]);
}

pub(crate) fn an_interrupted_download_is_resumed() {
    let (scene, web) = scene();
    assert_eq!(bytes(&whole(&scene, &web.url("cut/a.txt"))), content());
    let asked = web.asked();
    assert_eq!(asked.len(), 2);
    assert!(asked[1].contains("range: bytes=200000-"), "{asked:?}");
    assert!(asked[1].contains("if-range: \"one\""), "{asked:?}");
    // Nothing tells whether a part belongs to it.
    assert_eq!(bytes(&whole(&scene, &web.url("plaincut/a.txt"))), content());
    assert!(!web.asked()[1].contains("range"));
}

pub(crate) fn a_file_that_changed_is_taken_from_the_start() {
    let (scene, web) = scene();
    let got = whole(&scene, &web.url("changed/a.txt"));
    let other = content().to_ascii_uppercase();
    assert_eq!(bytes(&got), other);
    assert_eq!(got.digest, Digest::sha256_of(&other));
    assert_eq!(got.validator.etag.as_deref(), Some("\"two\""));
}

pub(crate) fn an_overloaded_server_is_asked_again() {
    let (scene, web) = scene();
    assert_eq!(bytes(&whole(&scene, &web.url("flaky/a.txt"))), content());
    assert_eq!(web.asked().len(), 2);
    let error = fetch(&scene, &web.url("busy/a.txt"), Wanted::default()).unwrap_err();
    assert!(error.in_one_line().contains("503"), "{}", error.in_one_line());
    assert_eq!(web.asked().len(), 4);
    assert_eq!(scene.left_over(), [""; 0]);
}

pub(crate) fn an_unchanged_file_is_not_sent() {
    let (scene, web) = scene();
    let known = Some(whole(&scene, &web.url("ok/a.txt")).validator.clone());
    let again = fetch(&scene, &web.url("ok/a.txt"), Wanted { known: known.clone(), ..Wanted::default() });
    assert!(again.unwrap().is_none());
    assert!(web.asked()[1].contains("if-none-match: \"one\""));
    let mut stale = known;
    stale.as_mut().unwrap().etag = Some("\"zero\"".to_owned());
    let again = fetch(&scene, &web.url("ok/a.txt"), Wanted { known: stale, ..Wanted::default() });
    assert_eq!(bytes(&again.unwrap().unwrap()), content());
}

pub(crate) fn another_checksum_keeps_nothing() {
    let (scene, web) = scene();
    let with = |digest| Wanted { checksum: Some(digest), ..Wanted::default() };
    let right = Digest::sha256_of(&content());
    assert!(fetch(&scene, &web.url("cut/a.txt"), with(right.clone())).is_ok());
    let error = fetch(&scene, &web.url("ok/a.txt"), with(Digest::sha256_of(b"other"))).unwrap_err();
    assert_eq!(error.kind(), Kind::Image);
    assert!(error.message().contains(right.as_str()), "{error}");
    assert_eq!(scene.left_over(), [""; 0]);
}

pub(crate) fn passwords_stay_with_their_server() {
    let (scene, web) = scene();
    assert_eq!(bytes(&whole(&scene, &web.secret_url("auth/a.txt"))), content());
    let error = fetch(&scene, &web.url("auth/a.txt"), Wanted::default()).unwrap_err();
    assert!(error.in_one_line().contains("401"));
    web.asked();
    // Another name is another origin, even of the same machine.
    let error = fetch(&scene, &web.secret_url("away/a.txt"), Wanted::default()).unwrap_err();
    let asked = web.asked();
    assert!(asked[0].contains("authorization") && !asked[1].contains("authorization"), "{asked:?}");
    assert!(!error.in_one_line().contains("s3cret"), "{}", error.in_one_line());
}

pub(crate) fn redirects_have_an_end() {
    let (scene, web) = scene();
    assert_eq!(bytes(&whole(&scene, &web.url("hop/a.txt"))), content());
    let error = fetch(&scene, &web.url("circle/a.txt"), Wanted::default()).unwrap_err();
    assert!(error.in_one_line().contains("circles"), "{}", error.in_one_line());
}
