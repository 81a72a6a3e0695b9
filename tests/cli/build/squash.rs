//! `--squash`, `--squash-all` and `--layers=false`.

use super::{context, run};
use crate::common::TestEnv;
use std::fs;
use std::path::Path;

/// A file whose steps remove, replace and change what others made.
const FILE: &str = "\
FROM busybox
RUN mkdir -p /made/deep /base/dir; echo 1 >/made/a; echo secret >/made/gone; echo x >/made/deep/x; echo 1 >/base/dir/old
RUN rm /made/gone /etc/group; rm -r /made/deep; mkdir /made/deep; echo y >/made/deep/y; chown 5:6 /made/deep
RUN rm -r /base; mkdir /base; echo 2 >/base/new; ln /base/new /base/link; rm -r /var; ln -s /made /var
RUN chmod 4755 /made/a; rm -f /home; rm -rf /home; mkdir /home; touch /home/mine; mknod /made/pipe p; chmod 1777 /
CMD [\"/bin/sh\"]
";

/// What such an image shows, but for times.
const LOOK: &str = "cd /; find /made /base /home /var /etc/passwd bin/sh -type d -exec stat -c '%n %F %a %u:%g' {} \\; -o \
                    -exec stat -c '%n %F %a %u:%g %s %h' {} \\; | sort; cat /made/a /made/deep/y /base/new; \
                    readlink /var; stat -c %a /; [ ! -e /etc/group ]";

/// The diff ids of an image's layers.
fn layers(env: &TestEnv, image: &str) -> Vec<String> {
    let shown = env.coracle(["image", "inspect", "-f", "{{json .RootFS.Layers}}", image]).ok();
    serde_json::from_str(shown.text()).unwrap()
}

/// The names in the layers of an image that is saved, bottom first.
fn names(env: &TestEnv, image: &str) -> Vec<Vec<String>> {
    let file = env.path().join("saved");
    env.coracle(["save", "--format=docker-archive", "-o"]).arg(&file).arg(image).ok();
    let mut archive = tar::Archive::new(fs::File::open(&file).unwrap());
    let mut found = std::collections::BTreeMap::new();
    let mut order = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().display().to_string();
        if name == "manifest.json" {
            let manifest: serde_json::Value = serde_json::from_reader(&mut entry).unwrap();
            order = serde_json::from_value(manifest[0]["Layers"].clone()).unwrap();
        } else if name.ends_with(".tar") {
            let mut layer = tar::Archive::new(&mut entry);
            let names = layer.entries().unwrap();
            let names = names.map(|inner| inner.unwrap().path().unwrap().display().to_string());
            found.insert(name, names.collect::<Vec<String>>());
        }
    }
    fs::remove_file(file).unwrap();
    order.into_iter().map(|name: String| found.remove(&name).unwrap()).collect()
}

fn built(env: &TestEnv, dir: &Path, name: &str, options: &[&str]) {
    env.coracle(["build", "--network=none", "-t", name]).args(options).arg(dir).ok();
}

/// Which history entries have a layer, and what they say.
fn history(env: &TestEnv, image: &str) -> Vec<(bool, String)> {
    let shown = env.coracle(["image", "inspect", "-f", "{{json .History}}", image]).ok();
    let all: Vec<serde_json::Value> = serde_json::from_str(shown.text()).unwrap();
    let one = |step: serde_json::Value| {
        (step["empty_layer"] != true, step["created_by"].as_str().unwrap_or_default().to_owned())
    };
    all.into_iter().map(one).collect()
}

#[test]
fn layers_become_one_and_files_stay_the_same() {
    let env = TestEnv::with_images();
    let dir = context(&env, "context", &[("Containerfile", FILE)]);
    built(&env, &dir, "plain", &[]);
    let wanted = run(&env, "plain", LOOK);
    let of_base = layers(&env, "busybox");
    for (name, options, kept) in [
        ("squashed", &["--squash"][..], of_base.len()),
        ("whole", &["--squash-all"], 0),
        ("single", &["--layers=false"], of_base.len()),
    ] {
        built(&env, &dir, name, options);
        assert_eq!(run(&env, name, LOOK), wanted, "{name}");
        let layers = layers(&env, name);
        assert_eq!((layers.len(), &layers[..kept]), (kept + 1, &of_base[..kept]), "{name}");
        let names = names(&env, name).pop().unwrap();
        let has = |wanted: &str| names.iter().any(|name| name.trim_start_matches("./") == wanted);
        // What was made and removed is nowhere; what the base has is hidden over it, and left out without it.
        assert!(
            !has("made/gone") && !has("made/.wh.gone") && !has("base/dir") && !has("made/deep/x"),
            "{names:?}"
        );
        assert_eq!((has("etc/.wh.group"), has("bin/sh")), (kept > 0, kept == 0), "{names:?}");
        // It is loaded elsewhere as what it is.
        let file = env.path().join("archive");
        env.coracle(["save", "-o"]).arg(&file).arg(name).ok();
        let other = TestEnv::new();
        other.coracle(["load", "-i"]).arg(&file).ok();
        assert_eq!(run(&other, name, LOOK), wanted, "{name}");
        fs::remove_file(file).unwrap();
    }
}

/// As podman's: every instruction has an entry, and the last one has the layer.
#[test]
fn history_tells_of_the_steps_and_of_one_layer() {
    let env = TestEnv::with_images();
    let dir = context(
        &env,
        "context",
        &[("Containerfile", "FROM busybox\nRUN echo 1 >/a\nRUN echo 2 >/b\nCMD [\"x\"]\n")],
    );
    let of_base = history(&env, "busybox");
    built(&env, &dir, "squashed", &["--squash"]);
    built(&env, &dir, "whole", &["--squash-all"]);
    let squashed = history(&env, "squashed");
    assert_eq!(squashed[..of_base.len()], of_base[..]);
    let own: Vec<bool> = squashed[of_base.len()..].iter().map(|(layer, _)| *layer).collect();
    assert_eq!(own, [false, false, true]);
    assert_eq!(history(&env, "whole"), squashed[of_base.len()..]);
    // Where nothing is changed there is no layer.
    let dir = context(&env, "other", &[("Containerfile", "FROM busybox\nRUN touch /a\nRUN rm /a\n")]);
    built(&env, &dir, "nothing", &["--squash"]);
    assert_eq!(layers(&env, "nothing"), layers(&env, "busybox"));
}

/// `--squash` uses the cache, and an unchanged build makes the same image; `--layers=false` leaves nothing behind.
#[test]
fn squashed_builds_use_the_cache_and_unlayered_ones_do_not() {
    let env = TestEnv::with_images();
    let random = "FROM busybox\nRUN cat /proc/sys/kernel/random/uuid >/id\nRUN echo x >/x\n";
    let dir = context(&env, "context", &[("Containerfile", random)]);
    let id = |options: &[&str]| {
        let built = env.coracle(["build", "--network=none", "-q"]).args(options).arg(&dir).ok();
        built.text().to_owned()
    };
    let steps = || fs::read_dir(env.root().join("build/steps")).map_or(0, |found| found.count());
    let stored = || fs::read_dir(env.root().join("layers")).map_or(0, |found| found.count());
    let before = stored();
    let first = id(&["--layers=false"]);
    assert_eq!((steps(), stored()), (0, before + 1));
    assert_ne!(first, id(&["--layers=false"]));
    let squashed = id(&["--squash"]);
    assert_eq!(id(&["--squash"]), squashed);
    assert!(env.coracle(["system", "check"]).run().code == 0);
    env.coracle(["builder", "prune", "-a", "-f"]).ok();
    assert_eq!(run(&env, &squashed, "cat /x"), "x");
    assert_ne!(id(&["--squash"]), squashed);
}
