//! Archives: as a context, and unpacked by ADD.

use super::{context, run};
use crate::common::TestEnv;

/// An archive of these: a name that ends with a slash is a directory, `a->b` a symlink, `a=b` a hard link, and anything
/// else a file with its own name in it.
fn archive(entries: &[(&str, u32)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, mode) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_mode(*mode);
        header.set_size(0);
        let link = |sign| name.split_once(sign);
        if let Some((name, target)) = link("->") {
            header.set_entry_type(tar::EntryType::Symlink);
            archive.append_link(&mut header, name, target).unwrap();
        } else if let Some((name, target)) = link("=") {
            header.set_entry_type(tar::EntryType::Link);
            archive.append_link(&mut header, name, target).unwrap();
        } else if name.ends_with('/') {
            header.set_entry_type(tar::EntryType::Directory);
            archive.append_data(&mut header, name, std::io::empty()).unwrap();
        } else {
            header.set_size(name.len() as u64);
            archive.append_data(&mut header, name, name.as_bytes()).unwrap();
        }
    }
    archive.into_inner().unwrap()
}

/// As COPY --link: symlinks of the image are replaced, and those of the archive followed.
#[test]
fn an_archive_is_added_as_if_nothing_was_there() {
    let env = TestEnv::with_images();
    let file = "\
        FROM busybox AS base\n\
        RUN mkdir -p /real/sub /kept; ln -s /real /way; ln -s real /dir; touch /real/old /kept/old; \
            ln -s nowhere /final; echo text >/text; ln -s /real/old /hard; chmod 700 /kept; mkfifo /fifo\n\
        FROM base\n\
        ADD LINK a.tar /\n";
    let dir = context(&env, "context", &[]);
    let entries = [
        ("way/a", 0o644),
        ("dir/", 0o755),
        ("dir/b", 0o644),
        ("text/", 0o755),
        ("text/c", 0o644),
        ("link->own", 0o777),
        ("own/", 0o755),
        ("link/d", 0o644),
        ("final", 0o644),
        ("hard=way/a", 0o644),
        ("kept/e", 0o644),
        ("fifo", 0o644),
    ];
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("a.tar"), archive(&entries)).unwrap();
    let built = |link: &str| {
        std::fs::write(dir.join("Containerfile"), file.replace("LINK", link)).unwrap();
        env.coracle(["build", "--network=none", "-t", "made"]).arg(&dir).run()
    };
    assert_eq!(built("--link").code, 0);
    let look = "for f in /way /dir /final /hard /link; do [ -L $f ] && echo $f is a link; done; \
                ls /way /dir /text /own /real /kept; cat /way/a /link/d /final /hard /fifo; stat -c ' %a' /kept";
    assert_eq!(
        run(&env, "made", look),
        "/link is a link\n/dir:\nb\n\n/kept:\ne\nold\n\n/own:\nd\n\n/real:\nold\nsub\n\n/text:\nc\n\n/way:\na\n\
         way/alink/dfinalway/afifo 700"
    );
    // Without it they are followed, and a FIFO stays what it is.
    let failed = built("");
    assert!(failed.code != 0 && failed.stderr.contains("/fifo is not replaced"), "{failed}");
}

/// What is wrong with a context that is an archive is told by the names in it.
#[test]
fn what_an_archive_lacks_is_told() {
    let env = TestEnv::with_images();
    let file = ("Containerfile", 0o644);
    let hard = archive(&[file, ("lost=no/where", 0o644)]);
    let failed = env.coracle(["build", "-"]).stdin(hard).fails(125);
    failed.says("the archive's hard link /lost leads to /no/where, which is not there").says("tar -tvf");
    let closed = whole(&[("closed/", 0), ("closed/x", 0o644)]);
    let failed = env.coracle(["build", "-"]).stdin(closed).fails(125);
    failed.says("open directory /closed: permission denied").says("chmod u+rX");
}

/// A context of these that is copied as it is.
fn whole(entries: &[(&str, u32)]) -> Vec<u8> {
    let text = "FROM scratch\nCOPY . /\n";
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(text.len() as u64);
    let mut context = tar::Builder::new(Vec::new());
    context.append_data(&mut header, "Containerfile", text.as_bytes()).unwrap();
    let mut context = context.into_inner().unwrap();
    // Without the two blocks of its end.
    context.truncate(1024);
    context.extend(archive(entries));
    context
}

/// It is read once, however many platforms there are.
#[test]
fn an_archive_serves_several_platforms() {
    let env = TestEnv::with_images();
    let to = env.path().join("files");
    let option = format!("-o=type=local,dest={}", to.display());
    let call = ["build", "--platform=linux/amd64,linux/arm64", &option, "-"];
    let built = env.coracle(call).stdin(whole(&[("a", 0o644)])).ok();
    assert_eq!(built.stderr.matches("load build definition").count(), 1, "{built}");
    for platform in ["linux_amd64", "linux_arm64"] {
        assert_eq!(std::fs::read_to_string(to.join(platform).join("a")).unwrap(), "a");
    }
}
