//! `system df`, item by item, against du(1).

use crate::common::{ImageBuilder, Layer, TestEnv, busybox};
use coracle::text::units;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Allocated bytes of these paths below the data root together, as du counts them.
fn du(env: &TestEnv, paths: &[impl AsRef<Path>]) -> u64 {
    let here = paths.iter().map(|path| env.root().join(path)).filter(|path| path.exists());
    let said = env.coracle(["unshare", "du", "-s", "-c", "-B1", "--"]).args(here).ok();
    let total = said.stdout.lines().last().unwrap_or("0").split_whitespace().next().unwrap();
    total.parse().unwrap()
}

/// What an image is made of, below the data root: its layers by the records of the store, and the blobs by its manifest.
fn parts(env: &TestEnv, name: &str) -> Vec<PathBuf> {
    let shown = env.coracle(["image", "inspect", name]).ok().json()[0].take();
    let wanted: Vec<&str> =
        shown["RootFS"]["Layers"].as_array().unwrap().iter().map(|l| l.as_str().unwrap()).collect();
    let (mut parts, mut below) = (Vec::new(), Value::Null);
    for layer in wanted {
        let of = |entry: &fs::DirEntry| {
            let record: Value =
                serde_json::from_slice(&fs::read(entry.path().join("layer.json")).unwrap()).unwrap();
            record["diff_id"] == layer && record["parent"] == below
        };
        let found = fs::read_dir(env.root().join("layers")).unwrap().flatten().find(of).unwrap().file_name();
        below = Value::String(format!("sha256:{}", found.to_str().unwrap()));
        parts.push(Path::new("layers").join(found));
    }
    let blob = |digest: &str| Path::new("oci/blobs/sha256").join(digest.trim_start_matches("sha256:"));
    let manifest = blob(shown["Digest"].as_str().unwrap());
    let text = fs::read(env.root().join(&manifest)).unwrap();
    let document: Value = serde_json::from_slice(&text).unwrap();
    let named = document["layers"].as_array().unwrap().iter().chain([&document["config"]]);
    parts.extend(named.map(|part| blob(part["digest"].as_str().unwrap())).collect::<Vec<_>>());
    parts.push(manifest);
    parts
}

/// The rows of a table below its title: the columns of each by its header.
fn table(text: &str, title: &str) -> Vec<BTreeMap<String, String>> {
    let begin = text.split_once(title).unwrap_or_else(|| panic!("{title}: {text}")).1;
    let mut lines = begin
        .lines()
        .skip_while(|line| line.is_empty() || line.starts_with(' '))
        .skip_while(|l| l.is_empty());
    let columns = |line: &str| {
        let parts = line.split("  ").map(str::trim).filter(|part| !part.is_empty());
        parts.map(str::to_owned).collect::<Vec<_>>()
    };
    let header = columns(lines.next().unwrap());
    let rows = lines.take_while(|line| !line.is_empty());
    rows.map(|row| header.iter().cloned().zip(columns(row)).collect()).collect()
}

#[test]
fn each_item_of_df_is_what_du_says() {
    let env = TestEnv::new();
    let base = || busybox().layer(Layer::new().file("base", 0o644, vec![1; 300_000]));
    let (lower, _) = env.pulled(base(), "df/base");
    let (upper, _) = env.pulled(base().layer(Layer::new().file("more", 0o644, vec![2; 200_000])), "df/more");
    let (alone, _) =
        env.pulled(ImageBuilder::new().layer(Layer::new().file("x", 0o644, vec![3; 100_000])), "df/alone");
    let fill = "dd if=/dev/zero of=/big bs=1k count=700 2>/dev/null; dd if=/dev/zero of=/v/data bs=1k count=500 2>/dev/null; \
                ln /big /again; dd if=/dev/zero of=/sparse bs=1 count=1 seek=9000000 2>/dev/null; chown -R 7:7 /v; mkdir -m 0 /closed";
    let run = ["run", "--name=c", "--network=none", "-v=data:/v", &upper, "sh", "-c", fill];
    env.coracle(run).ok();
    env.coracle(["volume", "create", "idle"]).ok();
    env.file("context/Containerfile", format!("FROM {lower}\nCOPY own /own\n"));
    env.file("context/own", vec![4; 400_000]);
    env.coracle(["build", "-q", "-t=built", env.path().join("context").to_str().unwrap()]).ok();
    env.coracle(["rmi", "built"]).ok();
    env.coracle(["mount", "c"]).fails(125);
    let rows = env.coracle(["system", "df", "--format", "json"]).ok().json();
    let raw = |at: usize| rows[at]["RawSize"].as_u64().unwrap();
    assert_eq!((0..5).map(raw).sum::<u64>(), du(&env, &["."]), "{rows}");
    // The layer of the image that is gone belongs to the build cache.
    let pulled: Vec<PathBuf> =
        [&lower, &upper, &alone].into_iter().flat_map(|name| parts(&env, name)).collect();
    let of_images: Vec<&PathBuf> = pulled.iter().filter(|part| part.starts_with("layers")).collect();
    let layers = fs::read_dir(env.root().join("layers")).unwrap().flatten();
    let cached: Vec<PathBuf> = layers
        .map(|entry| Path::new("layers").join(entry.file_name()))
        .filter(|layer| !of_images.contains(&layer))
        .collect();
    assert_eq!(cached.len(), 1);
    let cached = du(&env, &cached);
    assert_eq!(raw(0), du(&env, &["layers", "oci", "images", "lists", "refs"]) - cached, "{rows}");
    assert_eq!(raw(1), du(&env, &["containers", "names"]), "{rows}");
    assert_eq!(raw(2), du(&env, &["volumes"]), "{rows}");
    assert_eq!(raw(3), du(&env, &["build"]) + cached, "{rows}");
    let details = env.coracle(["system", "df", "-v"]).ok().stdout;
    let images = table(&details, "Images space usage:");
    assert_eq!(images.len(), 3, "{details}");
    for name in [&lower, &upper, &alone] {
        let (repository, _) = name.rsplit_once(':').unwrap();
        let row = images.iter().find(|row| row["REPOSITORY"] == repository).unwrap();
        let own = parts(&env, name);
        let others: Vec<PathBuf> = [&lower, &upper, &alone]
            .into_iter()
            .filter(|other| *other != name)
            .flat_map(|other| parts(&env, other))
            .collect();
        let (shared, unique): (Vec<PathBuf>, Vec<PathBuf>) =
            own.iter().cloned().partition(|part| others.contains(part));
        let size = |paths: &[PathBuf]| if paths.is_empty() { 0 } else { du(&env, paths) };
        let wanted = [size(&own), size(&shared), size(&unique)].map(units::decimal_size);
        assert_eq!(
            [&row["SIZE"], &row["SHARED SIZE"], &row["UNIQUE SIZE"]],
            wanted.each_ref(),
            "{name}: {details}"
        );
    }
    let id = env.coracle(["inspect", "-f", "{{.Id}}", "c"]).ok().text().to_owned();
    let containers = table(&details, "Containers space usage:");
    let size = du(&env, &[Path::new("containers").join(id)]);
    assert_eq!(containers[0]["SIZE"], units::decimal_size(size), "{details}");
    for volume in table(&details, "Local Volumes space usage:") {
        let size = du(&env, &[Path::new("volumes").join(&volume["VOLUME NAME"])]);
        assert_eq!(volume["SIZE"], units::decimal_size(size), "{details}");
    }
    let docker = super::docker::docker(&env, &["system", "df", "-v"]).ok().stdout;
    let said = format!("Build cache usage: {}", units::decimal_size(raw(3)));
    assert!(docker.contains(&said), "{said}: {docker}");
}

/// Podman has three rows; ours are there only where there is something to tell.
#[test]
fn rows_that_podman_lacks_are_never_empty() {
    let env = TestEnv::new();
    let rows = env.coracle(["system", "df", "--format", "json"]).ok().json();
    let kinds: Vec<&str> = rows.as_array().unwrap().iter().map(|row| row["Type"].as_str().unwrap()).collect();
    assert_eq!(kinds[..3], ["Images", "Containers", "Local Volumes"]);
    assert!(!kinds.contains(&"Build Cache"), "{rows}");
    assert!(rows.as_array().unwrap()[3..].iter().all(|row| row["RawSize"].as_u64() > Some(0)), "{rows}");
    let docker = super::docker::docker(&env, &["system", "df"]).ok();
    assert!(docker.stdout.contains("Build Cache"), "{docker}");
}
