//! For tests: archives built byte by byte, stores to unpack them into, and counters.

use super::Store;
use super::layers::{Adopt, Adopted, StackLayer, Unpacked};
use super::unpack::Limits;
use crate::error::Result;
use crate::image::{ChainId, DiffId, Digest};
use crate::spec::ContainerSpec;
use crate::sys::xattr;
use std::io::{Cursor, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// How many descriptors of this process lead below a directory. All of them would be those of other tests, too.
pub(in crate::storage) fn open_below(directory: &Path) -> usize {
    let links = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    links.filter(|link| std::fs::read_link(link.path()).is_ok_and(|to| to.starts_with(directory))).count()
}

/// Gives a directory a default access list (linux/posix_acl_xattr.h) that leaves all to the user; false where the
/// file system has none.
pub(in crate::storage) fn hand_down(directory: &Path) -> bool {
    let mut list = 2u32.to_le_bytes().to_vec();
    for (tag, permissions) in [(1u16, 7u16), (4, 0), (0x20, 0)] {
        list.extend(tag.to_le_bytes().into_iter().chain(permissions.to_le_bytes()).chain([0xff; 4]));
    }
    let open = std::fs::File::open(directory).unwrap();
    let set = xattr::set(open.as_fd(), c"system.posix_acl_default", &list).is_ok();
    if !set {
        println!("skipped: no access lists in {}", directory.display());
    }
    set
}

/// Whether a directory hands something down.
pub(in crate::storage) fn hands_down(directory: &Path) -> bool {
    let open = std::fs::File::open(directory).unwrap();
    xattr::get(open.as_fd(), c"system.posix_acl_default").unwrap().is_some()
}

/// The plan of a container with one layer and a published port.
pub(in crate::storage) fn spec(name: &str) -> ContainerSpec {
    let image = format!("sha256:{}", "a".repeat(64));
    serde_json::from_value(serde_json::json!({
        "version": 1,
        "id": "c".repeat(64),
        "name": name,
        "created": chrono::Utc::now(),
        "image": {"reference": "docker.io/library/alpine:latest", "id": image, "manifest": image},
        "root": {"layers": [format!("sha256:{}", "b".repeat(64))]},
        "process": {
            "argv": ["sh", "-c", "true"], "env": [], "cwd": "/", "umask": 0o22, "preserve_fds": 0, "init": false,
            "user": {"user": "", "groups": [], "passwd_entry": true},
        },
        "hostname": "host",
        "namespaces": {"pid": "private", "ipc": "private", "uts": "private", "cgroup": "private"},
        "network": {
            "mode": "none", "dns": {"servers": [], "search": [], "options": []}, "hosts": [],
            "ports": [{"host_ip": null, "host_port": 8080, "container_port": 80, "protocol": "tcp"}],
        },
        "mounts": [],
        "security": {
            "capabilities": [], "privileged": false, "no_new_privileges": false, "seccomp": "default",
            "masked_paths": [], "readonly_paths": [], "readonly_root": false,
        },
        "limits": {"ulimits": [], "sysctls": {}, "shm_size": 0},
        "io": {"tty": false, "stdin": false, "log": {"driver": "none"}},
        "lifecycle": {"auto_remove": false, "stop_signal": 15, "stop_timeout": 10},
        "labels": {},
        "asked": {
            "create_command": [], "entrypoint": [], "command": [], "exposed_ports": [], "cap_add": [],
            "cap_drop": [], "security_opt": [], "binds": [], "publish_all": false,
        },
    }))
    .unwrap()
}

/// A raw header; every field can lie.
#[derive(Debug, Clone)]
pub(super) struct Raw {
    pub(super) name: Vec<u8>,
    pub(super) flag: u8,
    pub(super) link: Vec<u8>,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) size: u64,
    pub(super) mtime: u64,
    pub(super) magic: [u8; 8],
    pub(super) device: (u32, u32),
}

impl Raw {
    pub(super) fn new(flag: u8, name: impl AsRef<[u8]>) -> Self {
        Raw {
            name: name.as_ref().to_vec(),
            flag,
            link: Vec::new(),
            mode: if flag == b'5' { 0o755 } else { 0o644 },
            uid: 0,
            gid: 0,
            size: 0,
            mtime: 1_000_000_000,
            magic: *b"ustar\x0000",
            device: (0, 0),
        }
    }

    pub(super) fn block(&self) -> [u8; 512] {
        let mut block = [0u8; 512];
        let name = &self.name[..self.name.len().min(100)];
        block[..name.len()].copy_from_slice(name);
        block[100..108].copy_from_slice(format!("{:07o}\0", self.mode).as_bytes());
        block[108..116].copy_from_slice(format!("{:07o}\0", self.uid).as_bytes());
        block[116..124].copy_from_slice(format!("{:07o}\0", self.gid).as_bytes());
        block[124..136].copy_from_slice(format!("{:011o}\0", self.size).as_bytes());
        block[136..148].copy_from_slice(format!("{:011o}\0", self.mtime).as_bytes());
        block[156] = self.flag;
        let link = &self.link[..self.link.len().min(100)];
        block[157..157 + link.len()].copy_from_slice(link);
        block[257..265].copy_from_slice(&self.magic);
        block[329..337].copy_from_slice(format!("{:07o}\0", self.device.0).as_bytes());
        block[337..345].copy_from_slice(format!("{:07o}\0", self.device.1).as_bytes());
        seal(block)
    }
}

/// Puts the checksum in.
pub(super) fn seal(mut block: [u8; 512]) -> [u8; 512] {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// An archive in the making.
#[derive(Debug, Clone, Default)]
pub(super) struct Tar(pub(super) Vec<u8>);

impl Tar {
    pub(super) fn new() -> Self {
        Tar::default()
    }

    pub(super) fn raw(mut self, header: &Raw, data: &[u8]) -> Self {
        self.0.extend_from_slice(&header.block());
        self.blocks(data)
    }

    /// Data, padded to a block.
    pub(super) fn blocks(mut self, data: &[u8]) -> Self {
        self.0.extend_from_slice(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub(super) fn file(self, name: &str, data: &[u8]) -> Self {
        self.raw(&Raw { size: data.len() as u64, ..Raw::new(b'0', name) }, data)
    }

    pub(super) fn dir(self, name: &str) -> Self {
        self.raw(&Raw::new(b'5', name), b"")
    }

    pub(super) fn symlink(self, name: &str, target: &str) -> Self {
        self.raw(&Raw { link: target.into(), ..Raw::new(b'2', name) }, b"")
    }

    pub(super) fn hard_link(self, name: &str, target: &str) -> Self {
        self.raw(&Raw { link: target.into(), ..Raw::new(b'1', name) }, b"")
    }

    /// An extended header for the next entry.
    pub(super) fn pax(self, records: &[(&str, &[u8])]) -> Self {
        let mut text = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let mut length = rest + 1;
            while length != rest + length.to_string().len() {
                length = rest + length.to_string().len();
            }
            text.extend_from_slice(format!("{length} {key}=").as_bytes());
            text.extend_from_slice(value);
            text.push(b'\n');
        }
        self.raw(&Raw { size: text.len() as u64, ..Raw::new(b'x', "pax") }, &text)
    }

    pub(super) fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

/// Compresses with gzip.
pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A store in a temporary directory, which has a file beside it that nothing may touch.
pub(super) struct Scene {
    pub(super) dir: tempfile::TempDir,
    pub(super) store: Store,
}

impl Drop for Scene {
    fn drop(&mut self) {
        // Trees may have directories that their owner cannot enter, which the directory's own drop does
        // not get past.
        let place = super::place::Place::open(self.dir.path()).unwrap();
        super::trash::remove_in(&place, "data").unwrap();
    }
}

impl Scene {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("outside"), "untouched").unwrap();
        let store = Store::open(&dir.path().join("data"), &dir.path().join("run"), &[]).unwrap();
        Scene { dir, store }
    }

    /// Unpacks one archive by itself.
    pub(super) fn unpack(&self, tar: &[u8]) -> Result<Unpacked> {
        self.unpack_within(tar, Limits::default())
    }

    pub(super) fn unpack_within(&self, tar: &[u8], limits: Limits) -> Result<Unpacked> {
        let diff_id = DiffId(Digest::sha256_of(tar));
        let source = Cursor::new(tar.to_vec());
        self.store.layers().begin_within(&diff_id, "", source, limits).unwrap().join()
    }

    /// Unpacks and commits a stack; returns the directories of the trees, bottom first.
    pub(super) fn stack(&self, tars: &[Vec<u8>]) -> Result<Vec<PathBuf>> {
        Ok(self.commit(tars)?.iter().map(|id| self.store.layers().path(id).unwrap()).collect())
    }

    pub(super) fn commit(&self, tars: &[Vec<u8>]) -> Result<Vec<ChainId>> {
        let stack = tars.iter().map(|tar| self.unpack(tar).map(StackLayer::New)).collect::<Result<_>>()?;
        self.store.layers().commit(&self.store.shared().unwrap(), stack)
    }

    /// A layer that a step of a build makes of one file, on top of others.
    pub(super) fn step(&self, below: &[ChainId], file: &str) -> Adopted {
        let workshop = self.store.layers().workshop(below).unwrap();
        std::fs::write(workshop.path().join("fs").join(file), file).unwrap();
        let how = Adopt { all: Some(1_000_000_000), ..Adopt::default() };
        self.store.layers().adopt(workshop, below, &how, |_, _| Ok(())).unwrap().unwrap()
    }

    /// One layer whose tree is looked at.
    pub(super) fn layer(&self, tar: &[u8]) -> Result<PathBuf> {
        Ok(self.stack(&[tar.to_vec()])?.remove(0))
    }

    /// An archive that must be refused, leaving nothing; returns the whole message.
    pub(super) fn refused(&self, tar: &[u8]) -> String {
        let error = self.unpack(tar).unwrap_err();
        self.assert_clean();
        error.in_one_line()
    }

    /// Nothing half-made, nothing outside.
    pub(super) fn assert_clean(&self) {
        assert_eq!(std::fs::read_dir(self.store.data().join("tmp")).unwrap().count(), 0, "tmp is not empty");
        self.assert_outside();
    }

    pub(super) fn assert_outside(&self) {
        assert_eq!(std::fs::read_to_string(self.dir.path().join("outside")).unwrap(), "untouched");
        let mut names: Vec<_> =
            std::fs::read_dir(self.dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["data", "outside", "run"]);
    }
}
