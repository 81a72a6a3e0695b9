//! The pull row: a Debian tree in five layers, from the registry on loopback into an empty store.

use crate::common::{ImageBuilder, Layer, debian_tar, shared_registry};
use crate::peer::Podman;
use crate::rows::Bench;
use crate::table::{Row, median};
use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

const LAYERS: usize = 5;
const ROUNDS: usize = 3;

pub(crate) fn row(bench: &Bench) -> Row {
    let tar = debian_tar().expect("a Debian tree by mmdebstrap");
    let mut image = ImageBuilder::new();
    let mut files = Vec::new();
    for (number, tar) in split(&tar).into_iter().enumerate() {
        let (_, packed) = Layer::from_tar(tar.clone()).finish();
        let file = bench.env.path().join(format!("layer{number}.tar.gz"));
        std::fs::write(&file, packed).unwrap();
        files.push(file);
        image = image.layer(Layer::from_tar(tar));
    }
    image.push(shared_registry(), "library/debian", "bench");
    let reference = "docker.io/library/debian:bench";
    let (mut ours, mut peer, mut floor) = (Vec::new(), Vec::new(), Vec::new());
    // Nothing is removed until the end: ext4 looks at each inode that was freed in the last minutes
    // before it gives a new one away, and that would be counted against whoever comes next.
    let (mut used, mut podmans) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let root = bench.env.path().join(format!("pull{round}"));
        ours.push(settled(bench, || {
            let mut command = Command::new(crate::common::coracle_binary());
            command.arg("--root").arg(&root).arg("--runroot").arg(bench.env.path().join("run/pull"));
            command.args(["pull", "-q", reference]).env("HOME", bench.env.home());
            command.env_remove("XDG_CONFIG_HOME");
            assert!(command.output().unwrap().status.success());
        }));
        let podman = Podman::below(&bench.env, &format!("podman-pull{round}"));
        peer.push(settled(bench, || drop(podman.call(["pull", "-q", reference]).ok())));
        podmans.push(podman);
        let dir = bench.env.path().join(format!("floor{round}"));
        floor.push(settled(bench, || in_namespace(UNPACK, &dir, &files)));
        used.extend([root, dir]);
    }
    for podman in podmans {
        podman.call(["rmi", "-a", "-f"]).ok();
    }
    for dir in used {
        in_namespace(r#"rm -rf "$1""#, &dir, &[]);
    }
    Row {
        unit: "ms",
        ours: median(ours),
        peer: Some(median(peer)),
        floor: Some(("gunzip, tar x, syncfs", median(floor))),
        target: "<= 1/4 of podman, <= 1.5 x the floor",
    }
}

/// Milliseconds of some work. What others wrote is on the disk before it begins: a pull that syncs
/// would write it too.
pub(crate) fn settled(bench: &Bench, work: impl FnOnce()) -> f64 {
    assert!(Command::new("sync").arg("-f").arg(bench.env.path()).status().unwrap().success());
    let begun = Instant::now();
    work();
    begun.elapsed().as_secs_f64() * 1e3
}

/// Bytes that do not shrink.
pub(crate) fn noisy(seed: u32, length: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    (0..length).map(|_| next()).collect()
}

/// Bytes that shrink as programs do, to about two fifths.
pub(crate) fn text(length: usize) -> Vec<u8> {
    let noise = noisy(1, 1 << 20);
    let mut all = Vec::with_capacity(length);
    let mut at = 0usize;
    while all.len() < length {
        at = (at * 31 + 17) % (noise.len() - 64);
        all.extend_from_slice(&noise[at..at + 24]);
        all.extend_from_slice(format!("{:016x} the same words as before\n", at % 997).as_bytes());
    }
    all.truncate(length);
    all
}

/// The floor: the same bytes by gunzip and tar, one layer after the other, then syncfs.
const UNPACK: &str = r#"dir=$1; shift; mkdir "$dir" && for f; do
    gunzip -c "$f" | tar -x --numeric-owner -C "$dir" || exit 1; done; sync -f "$dir""#;

/// Runs a script as root of a user namespace.
pub(crate) fn in_namespace(script: &str, dir: &Path, files: &[PathBuf]) {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-auto", "--map-root-user", "sh", "-c", script, "sh"]).arg(dir).args(files);
    assert!(command.status().unwrap().success(), "{script}");
}

/// The tree as five tar streams of about one size. Directories go into each layer that has something
/// in them, hard links to their targets.
fn split(tar: &Path) -> Vec<Vec<u8>> {
    let total = std::fs::metadata(tar).unwrap().len();
    let mut archive = tar::Archive::new(std::fs::File::open(tar).unwrap());
    let mut layers: Vec<tar::Builder<Vec<u8>>> = (0..LAYERS).map(|_| tar::Builder::new(Vec::new())).collect();
    let mut homes: HashMap<Vec<u8>, usize> = HashMap::new();
    let mut written = 0;
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let header = entry.header().clone();
        let kind = header.entry_type();
        let path = entry.path_bytes().into_owned();
        let link = entry.link_name_bytes().map(|l| l.into_owned());
        let current = ((written * LAYERS as u64 / total) as usize).min(LAYERS - 1);
        if kind.is_character_special() || kind.is_block_special() {
            continue;
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        written += 512 + bytes.len() as u64;
        let target = match (kind.is_hard_link(), &link) {
            (true, Some(link)) => homes.get(link).copied().unwrap_or(current),
            _ => current,
        };
        homes.insert(path.clone(), target);
        let range = if kind.is_dir() { 0..LAYERS } else { target..target + 1 };
        for layer in &mut layers[range] {
            append(layer, &header, &path, link.as_deref(), &bytes);
        }
    }
    layers
        .into_iter()
        .map(|layer| {
            let mut bytes = layer.into_inner().unwrap();
            // Layer::finish writes the end mark again.
            bytes.truncate(bytes.len() - 1024);
            bytes
        })
        .collect()
}

fn append(
    layer: &mut tar::Builder<Vec<u8>>,
    header: &tar::Header,
    path: &[u8],
    link: Option<&[u8]>,
    bytes: &[u8],
) {
    use std::os::unix::ffi::OsStrExt;
    let path = Path::new(std::ffi::OsStr::from_bytes(path));
    let mut header = header.clone();
    match link {
        Some(link) => {
            let link = Path::new(std::ffi::OsStr::from_bytes(link));
            layer.append_link(&mut header, path, link).unwrap();
        }
        None => layer.append_data(&mut header, path, bytes).unwrap(),
    }
}
