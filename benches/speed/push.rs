//! The push rows, to registries on loopback of their own: a pulled image, a built layer of 500 MB, and what is there
//! already.

use crate::common::{ImageBuilder, Layer, Registry, TestEnv};
use crate::peer::Podman;
use crate::pull::{noisy, settled, text};
use crate::rows::Bench;
use crate::table::{Row, median};
use std::io::Write;
use std::path::Path;
use std::process::Command;

const ROUNDS: usize = 3;
const MIB: usize = 1 << 20;
/// Layers of the pulled image, and bytes of each.
const LAYERS: (usize, usize) = (8, 64 * MIB);
/// Bytes of the built layer.
const BUILT: usize = 500 * MIB;

fn push(env: &TestEnv, root: &Path, image: &str, to: &str) {
    let mut command = Command::new(crate::common::coracle_binary());
    command.arg("--root").arg(root).arg("--runroot").arg(env.path().join("run/push"));
    command.args(["push", "-q", image, to]).env("HOME", env.home()).env_remove("XDG_CONFIG_HOME");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// An image of layers that do not shrink, which is in a registry, in our store and in podman's.
pub(crate) fn pulled(bench: &Bench) -> Row {
    let from = Registry::start();
    let mut image = ImageBuilder::new();
    for number in 0..LAYERS.0 {
        image = image.layer(Layer::new().file(&format!("f{number}"), 0o644, noisy(number as u32, LAYERS.1)));
    }
    image.push(&from, "x", "1");
    let name = from.reference("x", "1");
    bench.env.coracle(["pull", "-q", &name]).ok();
    let podman = Podman::below(&bench.env, "podman-push");
    podman.call(["pull", "-q", "--tls-verify=false", &name]).ok();
    let (mut ours, mut peer, mut floor) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (to, other) = (Registry::start(), Registry::start());
        ours.push(settled(bench, || push(&bench.env, &bench.env.root(), &name, &to.reference("x", "1"))));
        peer.push(settled(bench, || {
            podman.call(["push", "-q", "--tls-verify=false", &name, &other.reference("x", "1")]).ok();
        }));
        let third = Registry::start();
        floor.push(settled(bench, || by_curl(&from.dir().join("data"), third.address())));
    }
    podman.call(["rmi", "-a", "-f"]).ok();
    Row {
        unit: "ms",
        ours: median(ours),
        peer: Some(median(peer)),
        floor: Some(("curl of its blobs, four at a time", median(floor))),
        target: "<= 1/3 of podman, near the registry's own speed",
    }
}

/// Uploads all blobs of a registry's directory: the least that a client can ask of the other registry.
fn by_curl(data: &Path, registry: &str) {
    let script = r#"find "$1" -path '*/blobs/sha256/*/data' -size +1M | REGISTRY=$2 xargs -P4 -I FILE sh -ec '
        digest=$(basename "$(dirname FILE)")
        begun=$(curl -s -i -X POST "http://$REGISTRY/v2/x/blobs/uploads/" | tr -d "\r")
        place=$(echo "$begun" | sed -n "s/^Location: //p")
        curl -sf -H Expect: -H "Content-Type: application/octet-stream" -T FILE "$place&digest=sha256:$digest"'"#;
    let status = Command::new("sh").args(["-c", script, "sh"]).arg(data).arg(registry).status();
    assert!(status.unwrap().success());
}

/// A layer that a build has made, against gzip -6 on two processors.
pub(crate) fn built(bench: &Bench) -> Row {
    let file = bench.env.path().join("text");
    let bytes = text(BUILT);
    std::fs::write(&file, &bytes).unwrap();
    let dir = bench.env.path().join("push-context");
    std::fs::create_dir(&dir).unwrap();
    std::fs::rename(&file, dir.join("text")).unwrap();
    std::fs::write(dir.join("Containerfile"), "FROM scratch\nCOPY text /\n").unwrap();
    bench.env.coracle(["build", "-q", "-t=pushed"]).arg(&dir).ok();
    let (mut ours, mut floor) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let to = Registry::start();
        ours.push(settled(bench, || push(&bench.env, &bench.env.root(), "pushed", &to.reference("x", "1"))));
        floor.push(settled(bench, || {
            std::thread::scope(|threads| {
                for half in bytes.chunks(BUILT / 2) {
                    threads.spawn(|| gzip(half));
                }
            });
        }));
    }
    bench.env.coracle(["rmi", "-f", "pushed"]).ok();
    Row {
        unit: "ms",
        ours: median(ours),
        peer: None,
        floor: Some(("gzip -6 of zlib-rs on two processors", median(floor))),
        target: "<= 1.2 x the floor",
    }
}

/// The same image again.
pub(crate) fn there(bench: &Bench) -> Row {
    let to = Registry::start();
    let podman = Podman::below(&bench.env, "podman-there");
    let name = to.reference("x", "1");
    ImageBuilder::new().layer(Layer::new().file("a", 0o644, "a")).push(&to, "x", "1");
    bench.env.coracle(["pull", "-q", &name]).ok();
    podman.call(["pull", "-q", "--tls-verify=false", &name]).ok();
    let again = || push(&bench.env, &bench.env.root(), &name, &name);
    let ours = (0..9).map(|_| settled(bench, again)).collect();
    let peer = (0..ROUNDS).map(|_| {
        settled(bench, || drop(podman.call(["push", "-q", "--tls-verify=false", &name, &name]).ok()))
    });
    let peer = median(peer.collect());
    Row { unit: "ms", ours: median(ours), peer: Some(peer), floor: None, target: "<= 50 ms" }
}

fn gzip(bytes: &[u8]) {
    let mut encoder = flate2::write::GzEncoder::new(std::io::sink(), flate2::Compression::new(6));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap();
}
