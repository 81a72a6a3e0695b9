//! The store inside the user namespace: owners and capabilities, full and read-only disks, one id only,
//! changed ids, and commands killed at any moment.

use crate::common::{ImageBuilder, Layer, TestEnv, busybox, many_layers, shared_registry, skip, which};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `cap_net_raw+ep` as version 3 of another machine's namespace (`struct vfs_ns_cap_data`).
const FOREIGN_CAPABILITY: [u8; 24] =
    [1, 0, 0, 3, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xa0, 0x86, 1, 0];

fn push(image: ImageBuilder, repository: &str) -> String {
    image.push(shared_registry(), repository, "1");
    shared_registry().reference(repository, "1")
}

/// The unpacked layers of a data root.
fn layers(root: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = std::fs::read_dir(root.join("layers"))
        .map_or(Vec::new(), |d| d.flatten().map(|e| e.path()).collect());
    all.sort();
    all
}

fn count(dir: PathBuf) -> usize {
    std::fs::read_dir(dir).map_or(0, Iterator::count)
}

#[test]
fn owners_modes_and_capabilities_are_those_of_the_archive() {
    let env = TestEnv::new();
    let layer = Layer::new()
        .dir("bin/", 0o755)
        .owned_file("www", 0o640, (33, 44), "x")
        .owned_file("suid", 0o6755, (7, 8), "x")
        .owned_file("last", 0o600, (65535, 65535), "x")
        .pax(&[
            ("SCHILY.xattr.security.capability", &FOREIGN_CAPABILITY),
            ("SCHILY.xattr.user.note", b"kept"),
        ])
        .file("capped", 0o755, "x");
    let image = push(ImageBuilder::new().layer(layer), "store/owners");
    env.coracle(["pull", "-q", &image]).ok();
    let fs = layers(&env.root())[0].join("fs");
    let stat = |name: &str| {
        let path = fs.join(name);
        env.coracle(["unshare", "stat", "-c", "%u:%g %a"]).arg(path).ok().text().to_owned()
    };
    if which("newuidmap").is_none() {
        return skip("newuidmap is not installed");
    }
    assert_eq!(stat("www"), "33:44 640");
    assert_eq!(stat("suid"), "7:8 6755");
    assert_eq!(stat("last"), "65535:65535 600");
    if which("getcap").is_none() {
        return skip("getcap is not installed");
    }
    let caps = env.coracle(["unshare", "getcap"]).arg(fs.join("capped")).ok();
    assert!(caps.stdout.contains("cap_net_raw=ep"), "{caps}");
}

#[test]
fn an_owner_beyond_the_range_is_explained() {
    let env = TestEnv::new();
    let image =
        push(ImageBuilder::new().layer(Layer::new().owned_file("x", 0o644, (2_000_000, 5), "")), "store/far");
    env.coracle(["pull", "-q", &image]).fails(125).says("2000000:5").says("usermod --add-subuids");
    assert!(layers(&env.root()).is_empty());
    assert_eq!(count(env.root().join("tmp")), 0);
}

#[test]
fn case_9_a_full_disk_leaves_the_store_clean() {
    let env = TestEnv::new();
    // Xorshift, so that the compressed form is as large: both do not fit.
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    let noise: Vec<u8> = (0..5_000_000).map(|_| next()).collect();
    let image = push(ImageBuilder::new().layer(Layer::new().file("big", 0o644, noise)), "store/full");
    let disk = env.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let script = format!(
        "mount -t tmpfs -o size=7m none {disk} || exit 99; {coracle} --root {disk}/root --runroot {run} pull -q {image}; \
         code=$?; echo layers $(ls {disk}/root/layers | wc -l) tmp $(ls {disk}/root/tmp | grep -vc partial); exit $code",
        disk = disk.display(),
        coracle = crate::common::coracle_binary().display(),
        run = env.runroot().display(),
    );
    let output =
        env.program("unshare").args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]).run();
    if output.code == 99 {
        return skip("no tmpfs in a user namespace here");
    }
    assert_eq!(output.code, 125, "{output}");
    assert!(output.stderr.contains("full"), "{output}");
    assert_eq!(output.text(), "layers 0 tmp 0", "{output}");
}

#[test]
fn one_id_only_is_enough_and_owners_are_recorded() {
    let env = TestEnv::new();
    let layer = Layer::new().dir("d", 0o755).owned_file("d/www", 0o644, (33, 44), "x");
    let image = push(busybox().layer(layer), "store/single");
    let script = format!(
        "{} --root {} --runroot {} pull -q {image}",
        crate::common::coracle_binary().display(),
        env.root().display(),
        env.runroot().display(),
    );
    env.program("unshare").args(["--user", "--map-root-user", "sh", "-c", &script]).ok();
    let owners: Vec<String> = layers(&env.root())
        .iter()
        .filter_map(|l| std::fs::read_to_string(l.join("owners")).ok())
        .flat_map(|text| text.split('\0').map(str::to_owned).collect::<Vec<_>>())
        .collect();
    assert!(owners.iter().any(|record| record == "33:44:d/www"), "{owners:?}");
    // The same store with more ids would show the wrong owners: that is explained.
    env.coracle(["pull", "-q", &image])
        .fails(125)
        .says("ids of this account have changed")
        .says("They were made with one id");
}

#[test]
fn a_store_that_cannot_be_made_says_why() {
    let env = TestEnv::new();
    let coracle = |root: &str| {
        let mut command = env.program(crate::common::coracle_binary());
        command = command.args(["--root", root]).arg("--runroot").arg(env.runroot());
        command.arg("images")
    };
    coracle("/proc/coracle").fails(125).says("/proc/coracle").says("--root DIR");
    std::fs::create_dir_all(env.path().join("closed")).unwrap();
    let closed = env.path().join("closed");
    std::fs::set_permissions(&closed, std::os::unix::fs::PermissionsExt::from_mode(0o500)).unwrap();
    coracle(closed.join("root").to_str().unwrap()).fails(125).says("may not write there");
    env.coracle(["images"]).ok();
    std::fs::write(env.root().join("version"), r#"{"format":99}"#).unwrap();
    env.coracle(["images"]).fails(125).says("format 99").says("Update this one");
    std::fs::write(env.root().join("version"), r#"{"format":1}"#).unwrap();
}

#[test]
fn a_pull_killed_at_any_moment_leaves_a_store_that_works() {
    let env = TestEnv::new();
    let image = push(many_layers(12), "store/killed");
    for moment in [0, 3, 10, 25, 60, 120] {
        let mut pull = env.coracle(["pull", "-q", &image]).into_command();
        let mut child =
            pull.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(moment));
        child.kill().unwrap();
        child.wait().unwrap();
        // Whatever is there is whole: every layer has its record, every name its image.
        for layer in layers(&env.root()) {
            assert!(layer.join("layer.json").is_file() && layer.join("fs").is_dir(), "{layer:?}");
        }
        env.coracle(["images"]).ok();
    }
    env.coracle(["pull", "-q", &image]).ok();
    assert!(layers(&env.root()).len() >= 12);
    env.coracle(["rmi", "-a"]).ok();
    assert!(layers(&env.root()).is_empty());
}

#[test]
fn two_pulls_of_the_same_image_at_once_agree() {
    let env = TestEnv::new();
    let image = push(many_layers(12), "store/twice");
    let pulls: Vec<_> = (0..3).map(|_| env.coracle(["pull", "-q", &image]).start()).collect();
    let ids: Vec<String> = pulls
        .into_iter()
        .map(|pull| {
            let output = pull.wait();
            assert_eq!(output.code, 0, "{output}");
            output.text().to_owned()
        })
        .collect();
    assert!(ids.iter().all(|id| *id == ids[0] && id.len() == 64));
    assert_eq!(env.coracle(["images", "-q"]).ok().lines().len(), 1);
    assert_eq!(count(env.root().join("tmp")), 0);
}

#[test]
fn an_image_without_layers_is_an_empty_root() {
    let env = TestEnv::new();
    let image = push(ImageBuilder::new(), "store/scratch");
    env.coracle(["run", "--rm", "--network=none", &image, "sh"])
        .fails(127)
        .says("executable file `sh` not found in $PATH");
    env.coracle(["create", "--name", "filled", "--network=none", &image, "/busybox", "cat", "/made"]).ok();
    let program = which("busybox").unwrap();
    env.coracle(["cp"]).arg(program).arg("filled:/busybox").ok();
    env.coracle(["cp", "-", "filled:/"]).stdin(Layer::new().file("made", 0o644, "here").finish().0).ok();
    assert_eq!(env.coracle(["start", "-a", "filled"]).ok().text(), "here");
    assert!(env.coracle(["diff", "filled"]).ok().stdout.contains("A /made"));
}

#[test]
fn other_programs_read_the_image_layout() {
    let env = TestEnv::new();
    let image = push(busybox(), "store/layout");
    env.coracle(["pull", "-q", &image]).ok();
    if which("skopeo").is_none() {
        return skip("skopeo is not installed");
    }
    let source = format!("oci:{}:{image}", env.root().join("oci").display());
    let seen = env.program("skopeo").args(["inspect", &source]).ok().json();
    assert_eq!(seen["Os"], "linux");
    // Byte-exact: copied out of the store, the manifest has the digest it was pulled by.
    let digest = env.coracle(["images", "--format", "{{.Digest}}"]).ok().text().to_owned();
    assert_eq!(seen["Digest"], digest.as_str());
}
