//! What a builder does with a store: it lets a step write to an overlay, makes a layer of what was written, and
//! records an image of it, which all commands then use.

use crate::common::{Registry, TestEnv, busybox, eventually, skip};
use coracle::error::Result;
use coracle::fork;
use coracle::image::Digest;
use coracle::runtime::root::own_mounts;
use coracle::spec::RootSpec;
use coracle::storage::Store;
use coracle::storage::archive::{Family, RecordImage, record_image};
use coracle::storage::build::{StepKind, StepRecord};
use coracle::storage::layers::Adopt;
use coracle::storage::rootfs::{Overlay, Places, assemble};
use coracle::userns;
use nix::mount::{MntFlags, umount2};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;

/// Something that a RUN could do: new files, a new owner, a change of a file below, a deletion, a directory in the
/// place of another one.
fn step(root: &Path) -> std::io::Result<()> {
    fs::create_dir(root.join("app"))?;
    fs::write(root.join("app/file"), "content")?;
    chown(root.join("app/file"), Some(7), Some(8))?;
    fs::write(root.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\n")?;
    fs::remove_file(root.join("etc/group"))?;
    fs::remove_dir_all(root.join("tmp"))?;
    fs::create_dir(root.join("tmp"))?;
    // As they are made for what is mounted there.
    fs::write(root.join("etc/hosts"), "")?;
    fs::create_dir_all(root.join("cache/mount"))
}

/// Makes an image of the base with one more layer; `None` where the kernel mounts no overlay.
fn build(store: &Store) -> Result<Option<Digest>> {
    let base = store.images().need("base:1")?;
    let _member = userns::enter(store.runtime())?;
    store.check_id_map()?;
    own_mounts()?;
    let _making = store.making()?;
    let running = store.build_cache().begin()?;
    running.needs_image(&store.shared()?, &base)?;
    let key = Digest::sha256_of(format!("RUN on {}", base.id).as_bytes());
    let _lock = store.build_cache().lock_step(&key, &|| false)?;
    assert_eq!(running.get(&store.shared()?, &key, base.layers.last())?, None);
    let workshop = store.layers().workshop(&base.layers)?;
    let lowers = base.layers.iter().map(|layer| store.layers().path(layer)).collect::<Result<_>>()?;
    let places = Places {
        lowers,
        upper: workshop.path().join("fs"),
        work: workshop.path().join("work"),
        merged: workshop.path().join("merged"),
        fresh: true,
        volatile: true,
        overlay: Overlay::Kernel,
    };
    if let Err(failure) = assemble(&RootSpec::Layers(base.layers.clone()), &places) {
        println!("no overlay: {failure}");
        return Ok(None);
    }
    step(&places.merged).unwrap();
    umount2(&places.merged, MntFlags::empty()).unwrap();
    let made = [b"/cache/mount".to_vec(), b"/cache".to_vec()];
    let how = Adopt { made: &made, ran: true, ..Adopt::default() };
    let layer = store.layers().adopt(workshop, &base.layers, &how, |_, _| Ok(()))?.unwrap();
    let record = StepRecord {
        chain: Some(layer.chain.clone()),
        parent: base.layers.last().cloned(),
        archive: layer.archive,
        ..StepRecord::new(key.clone(), StepKind::Regular, "RUN step")
    };
    store.build_cache().put(&store.shared()?, &record)?;
    assert_eq!(running.get(&store.shared()?, &key, base.layers.last())?, Some(record));
    let image = RecordImage {
        base: Some(&base),
        layers: &[layer],
        config: base.config.clone(),
        family: Family::Oci,
        annotations: &BTreeMap::new(),
        names: &["localhost/built:1".parse()?],
    };
    Ok(Some(record_image(store, &store.shared()?, image)?.id))
}

/// What a container of the image sees.
fn is_right(env: &TestEnv, image: &str) {
    let script = "cat /app/file; stat -c ' %u:%g' /app/file; head -c 4 /etc/passwd; ls -d /etc/group /cache; ls /tmp; id -u";
    let seen = env.coracle(["run", "--rm", "--network=none", image, "sh", "-c", script]).run();
    assert_eq!(seen.stdout, "content 7:8\nroot0\n", "{seen:?}");
    assert!(
        seen.stderr.contains("/etc/group: No such") && seen.stderr.contains("/cache: No such"),
        "{seen:?}"
    );
}

pub(super) fn what_a_step_wrote_is_a_layer_that_all_commands_use() {
    let env = TestEnv::new();
    let registry = Registry::start();
    env.use_registry(registry.address());
    busybox().push(&registry, "library/busybox", "1");
    // With what the step deletes.
    let files = "echo g > /etc/group; mkdir -p /tmp; echo t > /tmp/old";
    env.coracle(["run", "--name=c", "--network=none", "busybox:1", "sh", "-c", files]).ok();
    env.coracle(["commit", "c", "base:1"]).ok();
    env.coracle(["rm", "c"]).ok();
    let store = Store::open(&env.root(), &env.runroot(), &[]).unwrap();
    eventually("threads of the fixtures are gone", fork::single_threaded);
    let id = fork::leaf::<(), _>("build", &[], |_| build(&store), |()| {}).unwrap();
    let Some(id) = id else { return skip("the kernel mounts no overlay here") };
    is_right(&env, "built:1");
    env.coracle(["system", "check"]).ok();
    let history = env.coracle(["diff", "built:1"]).ok().stdout;
    assert!(history.contains("D /etc/group") && history.contains("A /app/file"), "{history}");
    let archive = env.path().join("built.tar");
    for format in ["docker-archive", "oci-archive"] {
        env.coracle(["save", "--format", format, "-o"]).arg(&archive).arg("built:1").ok();
        let other = TestEnv::new();
        other.coracle(["load", "-i"]).arg(&archive).ok();
        is_right(&other, "built:1");
        fs::remove_file(&archive).unwrap();
    }
    // The result of the step keeps its layer and those below when the images go.
    env.coracle(["rmi", "built:1", "base:1", "busybox:1"]).ok();
    assert!(store.images().find(id.as_str()).unwrap().is_none());
    env.coracle(["image", "prune", "-a", "-f"]).ok();
    let used = |prune: &[&str]| {
        env.coracle(["system", "prune", "-f"]).args(prune).ok();
        store.layers().list().unwrap().len()
    };
    assert_eq!((used(&[]), used(&["--build", "--filter", "until=1h"])), (3, 3));
    assert_eq!(used(&["--build"]), 0);
}
