use super::*;
use crate::container::Status;
use crate::storage::containers::Specs;
use crate::storage::testing::spec;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

struct Scene {
    dir: tempfile::TempDir,
    containers: Containers,
}

impl Scene {
    fn new() -> Scene {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        std::fs::create_dir(&data).unwrap();
        std::fs::write(dir.path().join("outside"), "untouched").unwrap();
        let containers = Containers::new(&data, &dir.path().join("run"));
        Scene { dir, containers }
    }

    fn make(&self, name: &str) -> ContainerDir {
        let id = Containers::new_id().unwrap();
        self.containers.create(&id, &name.parse().unwrap(), &spec(name)).unwrap()
    }

    fn outside(&self) -> PathBuf {
        self.dir.path().join("outside")
    }

    fn specs(&self) -> Specs {
        self.containers.specs().unwrap()
    }

    /// Every fault is mended, and then there is none.
    fn mend(&self) -> Vec<String> {
        let faults = self.containers.faults().unwrap();
        let told =
            faults.iter().map(|fault| format!("{}: {}", fault.what, self.containers.mend(fault).unwrap()));
        let told = told.collect();
        assert!(self.containers.faults().unwrap().is_empty(), "{:?}", self.containers.faults());
        told
    }
}

/// Puts every kind of damage in the place of a file, one after the other.
fn spoil(path: &Path, outside: &Path, mut then: impl FnMut(&str)) {
    let clear = || {
        let _ = std::fs::remove_dir(path);
        let _ = std::fs::remove_file(path);
    };
    for kind in ["empty", "torn", "garbage", "link", "loop", "fifo", "socket", "directory", "sparse"] {
        clear();
        match kind {
            "empty" => std::fs::write(path, "").unwrap(),
            "torn" => std::fs::write(path, "{\"version\":1,\"na").unwrap(),
            "garbage" => std::fs::write(path, [0; 5000]).unwrap(),
            "link" => symlink(outside, path).unwrap(),
            "loop" => symlink(path, path).unwrap(),
            "fifo" => nix::unistd::mkfifo(path, Mode::S_IRWXU).unwrap(),
            "socket" => nix::sys::stat::mknod(path, SFlag::S_IFSOCK, Mode::S_IRWXU, 0).unwrap(),
            "directory" => std::fs::create_dir(path).unwrap(),
            _ => std::fs::File::create(path).unwrap().set_len(3 << 40).unwrap(),
        }
        then(kind);
    }
    clear();
}

#[test]
fn a_plan_that_cannot_be_read_is_never_a_plan_that_names_nothing() {
    let scene = Scene::new();
    let (dir, other) = (scene.make("bad"), scene.make("good"));
    let plan = dir.path().join("plan.json");
    let whole = std::fs::read(&plan).unwrap();
    spoil(&plan, &scene.outside(), |kind| {
        let specs = scene.specs();
        assert_eq!(specs.read.len(), 1, "{kind}");
        assert_eq!(specs.read[0].0.id(), other.id(), "{kind}");
        assert_eq!(specs.unreadable[0].id, *dir.id(), "{kind}");
        assert!(!specs.unreadable[0].is_newer);
        // Listings go on with what the summary says.
        assert_eq!(scene.containers.list().unwrap().len(), 2, "{kind}");
    });
    // Gone altogether is no better.
    assert_eq!(scene.specs().unreadable.len(), 1);
    std::fs::write(&plan, r#"{"version":99,"name":"bad","created":"2026-01-01T00:00:00Z"}"#).unwrap();
    assert!(scene.specs().unreadable[0].is_newer);
    std::fs::write(&plan, whole).unwrap();
    assert!(scene.specs().unreadable.is_empty());
    assert_eq!(std::fs::read_to_string(scene.outside()).unwrap(), "untouched");
}

#[test]
fn whatever_is_in_the_place_of_a_record_the_container_is_listed_and_can_be_removed() {
    for file in
        ["summary", "settings.json", "run.json", "exit.json", "stop", "lock", "alive", "plan.json", "log"]
    {
        let scene = Scene::new();
        let path = scene.make("web").path().join(file);
        let id: ContainerId = path.parent().unwrap().file_name().unwrap().to_str().unwrap().parse().unwrap();
        spoil(&path, &scene.outside(), |kind| {
            let list = scene.containers.list().unwrap();
            assert_eq!((list.len(), &list[0].id), (1, &id), "{file} {kind}");
            assert_eq!(list[0].status, Status::Created, "{file} {kind}");
            let dir = scene.containers.find("web").unwrap();
            // A change replaces what is there; a link's target stays what it is.
            let _ = dir.ask_stop(1);
            if let Ok(settings) = dir.settings() {
                dir.set_settings(&settings).unwrap();
            }
            assert_eq!(std::fs::read_to_string(scene.outside()).unwrap(), "untouched", "{file} {kind}");
        });
        std::fs::write(&path, "{").unwrap();
        let dir = scene.containers.open(&id).unwrap();
        dir.trash(&dir.lock().unwrap()).unwrap();
        assert!(scene.containers.list().unwrap().is_empty());
        assert_eq!(std::fs::read_dir(scene.containers.data.join("names")).unwrap().count(), 0, "{file}");
    }
}

#[test]
fn a_summary_is_made_anew_and_lost_settings_fall_back_to_the_plan() {
    let scene = Scene::new();
    let dir = scene.make("first");
    scene.containers.rename(&dir, &"second".parse().unwrap()).unwrap();
    spoil(&dir.path().join("summary"), &scene.outside(), |kind| {
        assert_eq!(scene.mend(), ["its summary cannot be read: has a new summary"], "{kind}");
        assert_eq!(scene.containers.list().unwrap()[0].name, "second");
    });
    std::fs::write(dir.path().join("summary"), "").unwrap();
    assert_eq!(scene.mend().len(), 1);
    spoil(&dir.path().join("settings.json"), &scene.outside(), |kind| {
        let told = scene.mend();
        assert!(told[0].ends_with("under the name second"), "{kind}: {told:?}");
        assert_eq!(scene.containers.find("second").unwrap().id(), dir.id());
    });
    scene.mend();
    scene.containers.rename(&dir, &"second".parse().unwrap()).unwrap();
    for file in ["run.json", "exit.json"] {
        std::fs::write(dir.path().join(file), "{").unwrap();
        assert_eq!(scene.mend(), [format!("its {file} cannot be read: goes without {file}")]);
    }
    std::fs::remove_file(scene.containers.data.join("names/second")).unwrap();
    std::fs::remove_file(dir.path().join("settings.json")).ok();
    scene.mend();
    assert_eq!(scene.containers.list().unwrap().len(), 1);
}

#[test]
fn what_is_no_directory_of_a_container_is_set_aside_and_blocks_nothing() {
    let scene = Scene::new();
    scene.make("good");
    let place = scene.containers.data.join("containers");
    let ids: Vec<String> = (0..3).map(|_| Containers::new_id().unwrap().to_string()).collect();
    std::fs::write(place.join(&ids[0]), "file").unwrap();
    symlink(scene.dir.path(), place.join(&ids[1])).unwrap();
    std::fs::create_dir(place.join(&ids[2])).unwrap();
    std::fs::write(place.join(&ids[2]).join("data"), "kept").unwrap();
    std::fs::set_permissions(place.join(&ids[2]), std::fs::Permissions::from_mode(0o0)).unwrap();
    std::fs::create_dir(place.join("stranger")).unwrap();
    assert_eq!(scene.containers.list().unwrap().len(), 1);
    // Root gets into any directory.
    let closed = usize::from(!nix::unistd::geteuid().is_root());
    assert_eq!(scene.specs().unreadable.len(), 2 + closed);
    assert_eq!(scene.mend().len(), 3 + closed);
    let aside = scene.containers.data.join("damaged");
    assert_eq!(std::fs::read_to_string(aside.join(format!("containers-{}", ids[0]))).unwrap(), "file");
    if closed == 1 {
        assert_eq!(
            std::fs::read_to_string(aside.join(format!("containers-{}/data", ids[2]))).unwrap(),
            "kept"
        );
    }
    assert!(scene.specs().unreadable.is_empty());
    assert_eq!(std::fs::read_to_string(scene.outside()).unwrap(), "untouched");
}

#[test]
fn what_is_no_directory_of_a_container_can_be_removed_by_id() {
    let scene = Scene::new();
    let dir = scene.make("web");
    let path = dir.path();
    std::fs::rename(&path, scene.containers.data.join("elsewhere")).unwrap();
    symlink(scene.dir.path(), &path).unwrap();
    let refused = scene.containers.find("web").unwrap_err();
    assert_eq!(refused.kind(), Kind::Storage);
    assert!(refused.hints().iter().any(|hint| hint.contains("coracle rm -f")));
    scene.containers.discard_unopenable("web").unwrap();
    assert!(std::fs::symlink_metadata(&path).is_err());
    assert!(scene.outside().exists());
    assert_eq!(scene.containers.find("web").unwrap_err().kind(), Kind::NotFound);
    assert_eq!(std::fs::read_dir(scene.containers.data.join("names")).unwrap().count(), 0);
}

#[test]
fn settings_that_cannot_be_written_leave_everything_as_it_was() {
    let scene = Scene::new();
    let dir = scene.make("old");
    // As on a full disk: the second of the two files cannot be written.
    std::fs::create_dir(dir.path().join(format!(".summary.{}", std::process::id()))).unwrap();
    let blocked = dir.path().join(format!(".summary.{}", std::process::id()));
    std::fs::write(blocked.join("in the way"), "").unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o500)).unwrap();
    if nix::unistd::geteuid().is_root() {
        println!("skipped: nothing is closed to root");
        return;
    }
    scene.containers.rename(&dir, &"new".parse().unwrap()).unwrap_err();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(dir.settings().unwrap().name.as_str(), "old");
    assert_eq!(scene.containers.find("old").unwrap().id(), dir.id());
    assert!(scene.containers.find("new").is_err());
    assert_eq!(std::fs::read_dir(scene.containers.data.join("names")).unwrap().count(), 1);
    // What is in the way of a temporary file stops nobody.
    scene.containers.rename(&dir, &"new".parse().unwrap()).unwrap();
    assert_eq!(scene.containers.list().unwrap()[0].name, "new");
}
