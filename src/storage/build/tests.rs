use super::*;
use crate::error::{Error, Kind};
use crate::image::{ChainId, Digest, ImageConfig};
use crate::storage::SharedLock;
use crate::storage::archive::{Family, RecordImage, record_image};
use crate::storage::measure;
use crate::storage::place::Place;
use crate::storage::testing::{Scene, Tar};
use chrono::{TimeDelta, Utc};
use std::collections::BTreeMap;
use std::fs;

fn key(text: &str) -> Digest {
    Digest::sha256_of(text.as_bytes())
}

fn lock(scene: &Scene) -> SharedLock {
    scene.store.shared().unwrap()
}

/// A step with a layer on top of a base, and its record.
fn step(scene: &Scene, below: &[ChainId], file: &str) -> StepRecord {
    let layer = scene.step(below, file);
    let record = StepRecord {
        chain: Some(layer.chain),
        parent: below.last().cloned(),
        archive: layer.archive,
        ..StepRecord::new(key(file), StepKind::Regular, format!("RUN touch {file}"))
    };
    scene.store.build_cache().put(&lock(scene), &record).unwrap();
    record
}

fn base(scene: &Scene) -> Vec<ChainId> {
    scene.commit(&[Tar::new().dir("./").end()]).unwrap()
}

#[test]
fn a_result_is_found_while_all_of_its_layers_are_there() {
    let scene = Scene::new();
    let cache = scene.store.build_cache();
    assert_eq!(cache.get(&lock(&scene), &key("one")), None);
    assert!(cache.steps().unwrap().is_empty() && cache.layers().unwrap().is_empty());
    let below = base(&scene);
    let one = step(&scene, &below, "one");
    assert_eq!(cache.get(&lock(&scene), &one.key), Some(one.clone()));
    // One that changed no files.
    let same = StepRecord {
        parent: one.chain.clone(),
        ..StepRecord::new(key("same"), StepKind::Regular, "RUN true")
    };
    cache.put(&lock(&scene), &same).unwrap();
    assert_eq!(cache.get(&lock(&scene), &same.key), Some(same.clone()));
    let layers = [below[0].clone(), one.chain.clone().unwrap()];
    assert_eq!(cache.layers().unwrap(), layers.iter().cloned().collect());
    fs::remove_dir_all(scene.store.data().join("layers").join(below[0].0.hex())).unwrap();
    assert_eq!((cache.get(&lock(&scene), &one.key), cache.get(&lock(&scene), &same.key)), (None, None));
    assert_eq!(cache.steps().unwrap().len(), 2);
    cache.forget(&one.key).unwrap();
    cache.forget(&one.key).unwrap();
    assert_eq!(cache.steps().unwrap(), [same]);
}

#[test]
fn a_damaged_record_is_no_result() {
    let scene = Scene::new();
    let cache = scene.store.build_cache();
    let below = base(&scene);
    let (one, two) = (step(&scene, &below, "one"), step(&scene, &below, "two"));
    let at = |key: &Digest| scene.store.data().join("build/steps").join(key.hex());
    fs::copy(at(&one.key), at(&two.key)).unwrap();
    fs::write(at(&one.key), "{").unwrap();
    let newer = serde_json::to_value(StepRecord { key: key("new"), version: 2, ..two.clone() }).unwrap();
    fs::write(at(&key("new")), newer.to_string()).unwrap();
    assert_eq!(
        (
            cache.get(&lock(&scene), &one.key),
            cache.get(&lock(&scene), &two.key),
            cache.get(&lock(&scene), &key("new"))
        ),
        (None, None, None)
    );
    let damaged = cache.damaged_steps().unwrap();
    assert_eq!(damaged.len(), 2, "{damaged:?}");
    damaged.iter().for_each(|(name, _)| cache.discard_damaged(name).unwrap());
    assert!(cache.damaged_steps().unwrap().is_empty() && at(&key("new")).exists());
}

#[test]
fn the_use_of_a_result_is_noted_once_an_hour() {
    let scene = Scene::new();
    let cache = scene.store.build_cache();
    let one = step(&scene, &base(&scene), "one");
    let used = |minutes: i64| {
        let used = Utc::now() - TimeDelta::minutes(minutes);
        cache.put(&lock(&scene), &StepRecord { used, ..one.clone() }).unwrap();
        (used, cache.get(&lock(&scene), &one.key).unwrap().used, cache.steps().unwrap()[0].used)
    };
    let (before, got, noted) = used(59);
    assert_eq!((got, noted), (before, before));
    let (before, got, noted) = used(61);
    assert!(got > before && noted == got);
}

#[test]
fn of_two_who_come_to_a_step_the_second_waits_for_the_first() {
    let scene = Scene::new();
    let cache = scene.store.build_cache();
    let held = cache.try_lock_step(&key("one")).unwrap().unwrap();
    assert!(cache.try_lock_step(&key("one")).unwrap().is_none());
    assert!(cache.try_lock_step(&key("two")).unwrap().is_some());
    let asked = std::cell::Cell::new(0);
    let stop = || {
        asked.set(asked.get() + 1);
        asked.get() == 3
    };
    assert_eq!(cache.lock_step(&key("one"), &stop).unwrap_err().message(), "interrupted");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| cache.lock_step(&key("one"), &|| false).map(drop));
        std::thread::sleep(std::time::Duration::from_millis(50));
        assert!(!waiting.is_finished());
        drop(held);
        waiting.join().unwrap().unwrap();
    });
    assert_eq!(fs::read_dir(scene.store.data().join("build/locks")).unwrap().count(), 0);
}

/// Each takes and gives back the same lock; a lock on a file without a name would let two in.
#[test]
fn never_have_two_the_lock_of_a_step() {
    let scene = Scene::new();
    let inside = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..100 {
                    let lock = scene.store.build_cache().lock_step(&key("one"), &|| false).unwrap();
                    assert_eq!(inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                    inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                    drop(lock);
                }
            });
        }
    });
}

#[test]
fn what_is_remembered_is_there_until_it_is_replaced() {
    let scene = Scene::new();
    let cache = scene.store.build_cache();
    assert_eq!((cache.remembered("/src"), cache.memo(&key("a"))), (None, None));
    cache.remember(&lock(&scene), "/src", b"one").unwrap();
    cache.remember(&lock(&scene), "/src", b"two").unwrap();
    cache.set_memo(&lock(&scene), &key("a"), b"memo").unwrap();
    assert_eq!(cache.remembered("/src").as_deref(), Some(&b"two"[..]));
    assert_eq!(cache.memo(&key("a")).as_deref(), Some(&b"memo"[..]));
    assert_eq!((cache.remembered("/sr"), cache.memo(&key("b"))), (None, None));
}

#[test]
fn a_cache_mount_is_shared_private_or_locked() {
    let scene = Scene::new();
    let cache = scene.store.build_cache();
    let filled = std::cell::Cell::new(0);
    let fill = |_: &CacheMount| {
        filled.set(filled.get() + 1);
        Ok(())
    };
    let mount = |sharing| cache.mount("go", sharing, &|| true, &fill);
    let first = mount(Sharing::Shared).unwrap();
    assert_eq!(filled.get(), 1);
    fs::write(first.path().join("file"), "content").unwrap();
    let second = mount(Sharing::Shared).unwrap();
    assert_eq!((filled.get(), second.path()), (1, first.path()));
    // Others are in it.
    assert_eq!(mount(Sharing::Locked).unwrap_err().message(), "interrupted");
    let apart = mount(Sharing::Private).unwrap();
    assert!(filled.get() == 2 && apart.path() != first.path());
    let further = mount(Sharing::Private).unwrap();
    assert!(further.path() != apart.path() && further.path() != first.path());
    drop((first, second));
    let locked = mount(Sharing::Locked).unwrap();
    assert_eq!(fs::read_to_string(locked.path().join("file")).unwrap(), "content");
    assert!(mount(Sharing::Shared).is_err() && mount(Sharing::Locked).is_err());
    assert_ne!(cache.mount("other", Sharing::Locked, &|| true, &fill).unwrap().path(), locked.path());
    drop((locked, apart));
    // A private one takes the first that is free.
    let before = filled.get();
    mount(Sharing::Private).unwrap();
    assert_eq!(filled.get(), before);
}

#[test]
fn a_cache_mount_is_whole_before_it_is_used() {
    let scene = Scene::new();
    let cache = scene.store.build_cache();
    let write = |mount: &CacheMount, name: &str| fs::write(mount.path().join(name), name).unwrap();
    // Killed, or out of space.
    let failing = |mount: &CacheMount| {
        write(mount, "half");
        Err(Error::new(Kind::Storage, "no room"))
    };
    assert_eq!(cache.mount("go", Sharing::Shared, &|| true, &failing).unwrap_err().message(), "no room");
    let whole = |mount: &CacheMount| {
        assert_eq!(fs::read_dir(mount.path()).unwrap().count(), 0);
        // Nobody sees it meanwhile.
        let other = cache.mount("go", Sharing::Shared, &|| true, &|_| Ok(()));
        assert_eq!(other.unwrap_err().message(), "interrupted");
        write(mount, "whole");
        Ok(())
    };
    let mount = cache.mount("go", Sharing::Shared, &|| true, &whole).unwrap();
    assert_eq!(fs::read_to_string(mount.path().join("whole")).unwrap(), "whole");
    cache.mount("go", Sharing::Shared, &|| true, &whole).unwrap();
}

#[test]
fn results_and_running_builds_keep_layers_from_being_pruned() {
    let scene = Scene::new();
    let (store, cache) = (&scene.store, scene.store.build_cache());
    let below = base(&scene);
    let one = step(&scene, &below, "one");
    let loose = scene.step(&below, "loose");
    let has = |layer: &ChainId| store.layers().has(layer);
    let prune = || store.images().prune(&store.exclusive().unwrap(), false, |_| true).unwrap();
    // Whoever makes something may be about to name it.
    let making = store.making().unwrap();
    prune();
    assert!(has(&loose.chain));
    drop(making);
    let running = cache.begin().unwrap();
    running.needs_layers(&store.shared().unwrap(), std::slice::from_ref(&loose.chain)).unwrap();
    prune();
    assert!(has(&loose.chain) && has(one.chain.as_ref().unwrap()) && has(&below[0]));
    drop(running);
    prune();
    assert!(!has(&loose.chain) && has(one.chain.as_ref().unwrap()) && has(&below[0]));
    cache.forget(&one.key).unwrap();
    prune();
    assert!(store.layers().list().unwrap().is_empty());
    assert_eq!(fs::read_dir(store.data().join("build/running")).unwrap().count(), 0);
}

#[test]
fn a_list_of_a_build_that_was_killed_keeps_nothing() {
    let scene = Scene::new();
    let loose = scene.step(&base(&scene), "loose");
    let cache = scene.store.build_cache();
    let running = cache.begin().unwrap();
    running.needs_layers(&scene.store.shared().unwrap(), std::slice::from_ref(&loose.chain)).unwrap();
    let lists = scene.store.data().join("build/running");
    fs::copy(fs::read_dir(&lists).unwrap().next().unwrap().unwrap().path(), lists.join("killed")).unwrap();
    assert_eq!(cache.needed().unwrap().layers, [loose.chain].into_iter().collect());
    assert!(!lists.join("killed").exists());
    drop(running);
    assert!(cache.needed().unwrap().layers.is_empty());
}

fn sizes(scene: &Scene) -> BTreeMap<String, u64> {
    measure::data_root(&scene.store).unwrap()
}

fn usage(scene: &Scene) -> Vec<Entry> {
    scene.store.build_cache().usage(scene.store.images(), &sizes(scene)).unwrap()
}

/// Has the result be one that was used so many hours ago.
fn used(scene: &Scene, record: &StepRecord, hours: i64) {
    let used = Utc::now() - TimeDelta::hours(hours);
    scene.store.build_cache().put(&lock(scene), &StepRecord { used, ..record.clone() }).unwrap();
}

/// The ids that went, in the order in which they did.
fn pruned(scene: &Scene, request: PruneRequest<'_>) -> Vec<String> {
    let (store, sizes) = (&scene.store, sizes(scene));
    let lock = store.exclusive().unwrap();
    let gone = store.build_cache().prune(&lock, store.images(), &sizes, request).unwrap();
    gone.into_iter().map(|entry| entry.id).collect()
}

const EVERYTHING: PruneRequest<'static> =
    PruneRequest { all: true, unused_since: None, keep: None, wanted: &|_| true };

fn ids(records: &[&StepRecord]) -> Vec<String> {
    records.iter().map(|record| record.key.hex().to_owned()).collect()
}

#[test]
fn what_was_used_longest_ago_goes_first_and_nothing_that_others_stand_on() {
    let scene = Scene::new();
    let below = base(&scene);
    let one = step(&scene, &below, "one");
    let under = [below[0].clone(), one.chain.clone().unwrap()];
    let (two, three) = (step(&scene, &under, "two"), step(&scene, &below, "three"));
    let entries = usage(&scene);
    let of = |record: &StepRecord| entries.iter().find(|entry| entry.id == record.key.hex()).unwrap();
    assert_eq!((entries.len(), of(&two).parents.clone()), (3, ids(&[&one])));
    assert!(entries.iter().all(|entry| entry.size > 0 && entry.is_reclaimable() && !entry.is_mutable()));
    // The first is the oldest, but the second stands on it.
    used(&scene, &one, 30);
    used(&scene, &two, 10);
    used(&scene, &three, 20);
    let old = PruneRequest { unused_since: Some(Utc::now() - TimeDelta::hours(15)), ..EVERYTHING };
    assert_eq!(pruned(&scene, old), ids(&[&three]));
    assert!(!scene.store.layers().has(three.chain.as_ref().unwrap()));
    let room = usage(&scene).iter().find(|entry| entry.id == one.key.hex()).unwrap().size;
    assert_eq!(pruned(&scene, PruneRequest { keep: Some(room), ..EVERYTHING }), ids(&[&two]));
    let none = PruneRequest { wanted: &|entry| entry.description != "RUN touch one", ..EVERYTHING };
    assert!(pruned(&scene, none).is_empty());
    assert_eq!(pruned(&scene, EVERYTHING), ids(&[&one]));
    // With the base, which nothing else needs.
    scene.store.images().prune(&scene.store.exclusive().unwrap(), false, |_| true).unwrap();
    assert!(scene.store.layers().list().unwrap().is_empty());
}

#[test]
fn what_images_and_running_builds_need_stays() {
    let scene = Scene::new();
    let (store, cache) = (&scene.store, scene.store.build_cache());
    let one = step(&scene, &[], "one");
    let layer = store.layers().adopted(one.chain.as_ref().unwrap()).unwrap().unwrap();
    let config = ImageConfig::default();
    let (notes, names) = (BTreeMap::new(), ["localhost/app:1".parse().unwrap()]);
    let image = RecordImage {
        base: None,
        layers: &[layer],
        config,
        family: Family::Oci,
        annotations: &notes,
        names: &names,
    };
    let image = record_image(store, &store.shared().unwrap(), image).unwrap();
    assert!(usage(&scene)[0].shared);
    assert!(pruned(&scene, PruneRequest { all: false, ..EVERYTHING }).is_empty());
    let running = cache.begin().unwrap();
    running.needs_image(&store.shared().unwrap(), &image).unwrap();
    assert!(usage(&scene)[0].in_use && pruned(&scene, EVERYTHING).is_empty());
    // Base images are removed under builds; what they consist of stays.
    store.images().remove(&store.exclusive().unwrap(), &image.id).unwrap();
    assert!(store.blobs().has(&image.id) && store.layers().has(&image.layers[0]));
    let found = running.get(&store.shared().unwrap(), &one.key, one.parent.as_ref()).unwrap();
    assert_eq!(found.unwrap().chain, one.chain);
    drop(running);
    assert!(!usage(&scene)[0].shared);
    assert_eq!(pruned(&scene, PruneRequest { all: false, ..EVERYTHING }), ids(&[&one]));
    assert!(!store.layers().has(&image.layers[0]));
}

#[test]
fn cache_mounts_and_notes_are_pruned_unless_they_are_in_use() {
    let scene = Scene::new();
    let cache = scene.store.build_cache();
    cache.remember(&lock(&scene), "/src", b"files").unwrap();
    cache.set_memo(&lock(&scene), &key("memo"), b"digest").unwrap();
    let held = cache.mount("held", Sharing::Shared, &|| true, &|_| Ok(())).unwrap();
    fs::write(held.path().join("file"), vec![7; 10_000]).unwrap();
    drop(cache.mount("free", Sharing::Locked, &|| true, &|_| Ok(())).unwrap());
    let entries = usage(&scene);
    assert_eq!(entries.len(), 4);
    let of_held = entries.iter().find(|entry| entry.description.ends_with("id held")).unwrap();
    assert!(of_held.in_use && of_held.size >= 10_000 && of_held.kind == StepKind::CacheMount);
    assert_eq!(pruned(&scene, PruneRequest { all: false, ..EVERYTHING }).len(), 2);
    assert_eq!(pruned(&scene, EVERYTHING).len(), 1);
    assert!(held.path().join("file").exists());
    drop(held);
    assert_eq!(pruned(&scene, EVERYTHING).len(), 1);
    assert!(usage(&scene).is_empty());
}

/// A build that waits for a mount gets one that is there.
#[test]
fn a_cache_mount_that_is_pruned_is_made_again_for_those_who_wait() {
    let scene = Scene::new();
    let cache = scene.store.build_cache();
    std::thread::scope(|scope| {
        let use_it = || {
            for _ in 0..50 {
                let mount = cache.mount("one", Sharing::Locked, &|| false, &|_| Ok(())).unwrap();
                fs::write(mount.path().join("file"), "content").unwrap();
            }
        };
        let users: Vec<_> = (0..4).map(|_| scope.spawn(use_it)).collect();
        while !users.iter().all(|user| user.is_finished()) {
            pruned(&scene, EVERYTHING);
            store_trash(&scene);
        }
    });
}

/// Deletes what `prune` has moved away, as a command that ends does.
fn store_trash(scene: &Scene) {
    crate::storage::trash::sweep(&scene.store, usize::MAX).unwrap();
}

#[test]
fn a_lock_in_a_directory_that_was_removed_is_not_waited_for() {
    let scene = Scene::new();
    let path = scene.store.data().join("gone");
    let gone = Place::make(&path).unwrap();
    fs::remove_dir(&path).unwrap();
    assert!(super::locks::try_lock(&gone, "lock", true).unwrap().is_none());
}
