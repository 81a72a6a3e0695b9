//! Pulls of much and from afar: 1 GB in eight layers, its memory, and a line of 100 ms that loses packets.

use crate::common::{ImageBuilder, Layer, Registry, coracle_binary, sha256_hex};
use crate::peer::Podman;
use crate::pull::{in_namespace, noisy, settled, text};
use crate::rows::{Bench, megabytes, timed};
use crate::table::{Row, median};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const ROUNDS: usize = 3;
const MIB: usize = 1 << 20;
/// Layers of the large image, files in each, and bytes in each of these.
const LARGE: (usize, usize, usize) = (8, 512, MIB / 4);
/// Layers of the image from afar, and bytes in each, which do not shrink.
const AFAR: (usize, usize) = (4, 4 * MIB);
/// Milliseconds of each way of the bad line, and how many of a thousand packets get lost there.
const LINE: [&str; 2] = ["50", "10"];

/// The large image, in a registry of its own, and its layers as files for the floor.
struct Large {
    registry: Registry,
    layers: Vec<PathBuf>,
}

impl Large {
    fn get(bench: &Bench) -> &'static Large {
        static LARGE_IMAGE: OnceLock<Large> = OnceLock::new();
        LARGE_IMAGE.get_or_init(|| {
            let registry = Registry::start();
            let bytes = text(LARGE.0 * LARGE.1 * LARGE.2);
            let mut image = ImageBuilder::new();
            let mut layers = Vec::new();
            for (number, bytes) in bytes.chunks(LARGE.1 * LARGE.2).enumerate() {
                let layer = || {
                    let start = Layer::new().dir(&format!("d{number}"), 0o755);
                    bytes.chunks(LARGE.2).enumerate().fold(start, |layer, (at, bytes)| {
                        layer.file(&format!("d{number}/f{at}"), 0o644, bytes)
                    })
                };
                let file = bench.env.path().join(format!("large{number}.tar.gz"));
                std::fs::write(&file, layer().finish().1).unwrap();
                layers.push(file);
                image = image.layer(layer());
            }
            image.push(&registry, "large", "1");
            Large { registry, layers }
        })
    }

    fn name(&self) -> String {
        self.registry.reference("large", "1")
    }

    fn pull(&self, bench: &Bench, root: &Path) {
        let mut command = Command::new(coracle_binary());
        command.arg("--root").arg(root).arg("--runroot").arg(bench.env.path().join("run/large"));
        command.args(["pull", "-q", &self.name()]).env("HOME", bench.env.home());
        let output = command.env_remove("XDG_CONFIG_HOME").output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

/// The floor: the same bytes by gunzip and tar, two layers at a time, then syncfs.
const UNPACK: &str = r#"dir=$1; shift; mkdir "$dir" && printf '%s\n' "$@" |
    xargs -P2 -I FILE sh -c 'gunzip -c FILE | tar -x --numeric-owner -C "$0"' "$dir" && sync -f "$dir""#;

pub(crate) fn large(bench: &Bench) -> Row {
    let image = Large::get(bench);
    let name = image.name();
    let (mut ours, mut peer, mut floor) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let dir = |what: &str| bench.env.path().join(format!("large-{what}{round}"));
        ours.push(settled(bench, || image.pull(bench, &dir("ours"))));
        let podman = Podman::below(&bench.env, &format!("large-podman{round}"));
        peer.push(settled(bench, || drop(podman.call(["pull", "-q", "--tls-verify=false", &name]).ok())));
        floor.push(settled(bench, || in_namespace(UNPACK, &dir("floor"), &image.layers)));
        podman.call(["rmi", "-a", "-f"]).ok();
        for what in ["ours", "floor"] {
            in_namespace(r#"rm -rf "$1""#, &dir(what), &[]);
        }
    }
    Row {
        unit: "ms",
        ours: median(ours),
        peer: Some(median(peer)),
        floor: Some(("gunzip, tar x, two at a time, syncfs", median(floor))),
        target: "<= 1/4 of podman, <= 1.1 x the floor",
    }
}

/// The most that the processes of a pull have, looked at every few milliseconds.
pub(crate) fn large_memory(bench: &Bench) -> Row {
    let image = Large::get(bench);
    let most = |program: &str, work: &dyn Fn()| {
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let looking = scope.spawn(|| {
                let mut most = 0f64;
                while !done.load(Ordering::Relaxed) {
                    most = most.max(megabytes(|exe, _| exe == program));
                    std::thread::sleep(Duration::from_millis(5));
                }
                most
            });
            work();
            done.store(true, Ordering::Relaxed);
            looking.join().unwrap()
        })
    };
    let root = bench.env.path().join("large-memory");
    let ours = most(&coracle_binary().display().to_string(), &|| image.pull(bench, &root));
    in_namespace(r#"rm -rf "$1""#, &root, &[]);
    let podman = Podman::below(&bench.env, "large-memory-podman");
    let peer = most("/usr/bin/podman", &|| {
        podman.call(["pull", "-q", "--tls-verify=false", &image.name()]).ok();
    });
    podman.call(["rmi", "-a", "-f"]).ok();
    Row { unit: "MB", ours, peer: Some(peer), floor: None, target: "<= 100 MB" }
}

/// A pull over a bad line, against curl with as many connections as there are layers.
pub(crate) fn afar(bench: &Bench) -> Row {
    let link = bench.env.path().join("link");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/link.c");
    let built = Command::new("cc").args(["-O2", "-o"]).arg(&link).arg(source).status().unwrap();
    assert!(built.success(), "the line's program cannot be built");
    let registry = Registry::start();
    let layer = |number| Layer::new().file("f", 0o644, noisy(number as u32, AFAR.1));
    (0..AFAR.0).fold(ImageBuilder::new(), |image, n| image.layer(layer(n))).push(&registry, "afar", "1");
    // The same data, served at the far end.
    let config = std::fs::read_to_string(registry.dir().join("config.yml")).unwrap();
    let config = config.replace(registry.address(), "10.9.0.2:5000");
    let config = bench.env.file("afar.yml", config).display().to_string();
    let far = format!(
        "ip link set lo up; ip addr add 10.9.0.2/24 dev line; ip link set line up; \
         OTEL_TRACES_EXPORTER=none exec docker-registry serve {config}"
    );
    let over = |script: &str| {
        let ready = "ip addr add 10.9.0.1/24 dev line; ip link set line up; \
                     until curl -s -o /dev/null http://10.9.0.2:5000/v2/; do sleep 0.1; done";
        let (seen, home) = (bench.env.path().join("afar-seconds"), bench.env.home());
        let near = format!(
            "export HOME={}; {ready}; s=$(date +%s%N) && {script} && e=$(date +%s%N) && echo $((e-s)) >{}",
            home.display(),
            seen.display()
        );
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-auto", "--map-root-user", "--net"]);
        command.arg(&link).args(LINE).arg(&far).arg(near).env_remove("XDG_CONFIG_HOME");
        timed(command);
        std::fs::read_to_string(&seen).unwrap().trim().parse::<f64>().unwrap() / 1e6
    };
    let blobs: Vec<String> = (0..AFAR.0)
        .map(|n| format!("http://10.9.0.2:5000/v2/afar/blobs/sha256:{}", sha256_hex(&layer(n).finish().1)))
        .collect();
    let curl =
        format!("printf '%s\\n' {} | xargs -P{} -n1 curl -sf -o /dev/null", blobs.join(" "), blobs.len());
    let (mut ours, mut floor) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let (root, run) = (bench.env.path().join(format!("afar{round}")), bench.env.path().join("run/afar"));
        let pull = format!(
            "{} --root {} --runroot {} pull -q --tls-verify=false 10.9.0.2:5000/afar:1",
            coracle_binary().display(),
            root.display(),
            run.display()
        );
        ours.push(over(&pull));
        floor.push(over(&curl));
        in_namespace(r#"rm -rf "$1""#, &root, &[]);
    }
    Row {
        unit: "ms",
        ours: median(ours),
        peer: None,
        floor: Some(("curl of the layers, all at once", median(floor))),
        target: "<= 1.25 x the floor",
    }
}
