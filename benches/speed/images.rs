//! Many images in a store.

use crate::common::{ImageBuilder, Layer, Registry, coracle_binary};
use crate::peer::Podman;
use crate::rows::{Bench, in_turns, once};
use crate::table::Row;

/// How many images we have, and how many of them podman has.
const MANY: (usize, usize) = (500, 100);

/// `images` with five hundred, each with a layer of its own on one that all have.
pub(crate) fn list(bench: &Bench) -> Row {
    let registry = Registry::start();
    let base = || ImageBuilder::new().layer(Layer::new().file("base", 0o644, vec![0; 1 << 16]));
    let podman = Podman::below(&bench.env, "podman-images");
    let ours = || bench.env.program(coracle_binary()).arg("--root").arg(bench.env.path().join("many"));
    for number in 0..MANY.0 {
        let tag = number.to_string();
        base().layer(Layer::new().file("own", 0o644, tag.clone())).push(&registry, "many", &tag);
        let name = registry.reference("many", &tag);
        ours().args(["pull", "-q", &name]).ok();
        if number < MANY.1 {
            podman.call(["pull", "-q", "--tls-verify=false", &name]).ok();
        }
    }
    let [mine, peer] =
        in_turns(21, [&mut || once(ours().arg("images")), &mut || once(podman.call(["images"]))]);
    podman.call(["rmi", "-a", "-f"]).ok();
    ours().args(["rmi", "-a", "-f"]).ok();
    Row { unit: "ms", ours: mine, peer: Some(peer), floor: None, target: "<= 20 ms" }
}
