//! Policies and signatures that are exchanged, for links and for what is no file, while they are read.

use crate::common::{FaultyRegistry, Layer, TestEnv, lacks};
use crate::trust::Signer;
use crate::trust_sources::{demand, signed};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// Makes something at a path.
type Make<'a> = Box<dyn Fn(&Path) + Sync + Send + 'a>;

/// Exchanges what is at a path for one after the other of others, each at once, until it is told to stop.
struct Exchange<'a> {
    at: PathBuf,
    by: Vec<Make<'a>>,
}

impl Exchange<'_> {
    fn during(&self, work: impl FnOnce()) {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let fresh = self.at.with_extension("fresh");
                for make in self.by.iter().cycle() {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    make(&fresh);
                    // A directory is not replaced by a file, nor the other way round.
                    let both = nix::fcntl::RenameFlags::RENAME_EXCHANGE;
                    nix::fcntl::renameat2(nix::fcntl::AT_FDCWD, &fresh, nix::fcntl::AT_FDCWD, &self.at, both)
                        .unwrap();
                    let is_dir = fs::symlink_metadata(&fresh).unwrap().is_dir();
                    if is_dir { fs::remove_dir_all(&fresh) } else { fs::remove_file(&fresh) }.unwrap();
                }
            });
            // Also when the work panics: the scope waits for its thread.
            let _ends = Ends(&stop);
            work();
        });
    }
}

struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn fifo(at: &Path) {
    nix::unistd::mkfifo(at, nix::sys::stat::Mode::S_IRWXU).unwrap();
}

/// Whatever of it is read, an unsigned image is never pulled, and nothing is waited for.
#[test]
fn a_policy_that_is_exchanged_while_it_is_read_lets_nothing_through() {
    if lacks(&["gpg", "skopeo"]) {
        return;
    }
    let env = TestEnv::new();
    let registry = FaultyRegistry::start();
    let _team = Signer::new(&env, "team");
    registry.put_image("app", "bad", vec![Layer::new().file("bad", 0o644, "bad")]);
    let name = format!("{}/app:bad", registry.address());
    demand(&env, &registry);
    let policy = env.home().join(".config/containers/policy.json");
    let strict = fs::read(&policy).unwrap();
    let elsewhere = env.file("elsewhere.json", &strict);
    let exchange = Exchange {
        at: policy.clone(),
        by: vec![
            Box::new(|at| symlink(&elsewhere, at).unwrap()),
            Box::new(fifo),
            Box::new(|at| symlink("nowhere", at).unwrap()),
            Box::new(|at| fs::write(at, &strict).unwrap()),
            Box::new(|at| fs::create_dir(at).unwrap()),
            Box::new(|at| symlink("/dev/zero", at).unwrap()),
            Box::new(|at| fs::write(at, &strict[..strict.len() / 2]).unwrap()),
        ],
    };
    exchange.during(|| {
        for _ in 0..40 {
            let output = env.coracle(["pull", "-q", "--retry=0", &name]).fails(125);
            assert_eq!(output.stderr.matches("Error:").count(), 1, "{output}");
            assert_eq!(output.text(), "", "{output}");
        }
    });
    assert_eq!(env.coracle(["images", "-qa"]).ok().text(), "");
}

/// A signature that is there now and then is found or not; another one never counts for it.
#[test]
fn signatures_that_are_exchanged_while_they_are_read_are_good_or_none() {
    if lacks(&["gpg", "skopeo"]) {
        return;
    }
    let env = TestEnv::new();
    let registry = FaultyRegistry::start();
    let team = Signer::new(&env, "team");
    let (good, digest, signature) = signed(&env, &team, &registry, "good");
    let (bad, bad_digest, _) = signed(&env, &team, &registry, "bad");
    demand(&env, &registry);
    let store = env.path().join("lookaside");
    let place = |store: &Path, digest: &str| store.join(format!("app@{}", digest.replacen(':', "=", 1)));
    // The other image's has the signature of the good one, which is not about it.
    let fill = |store: &Path| {
        for digest in [&digest, &bad_digest] {
            fs::create_dir_all(place(store, digest)).unwrap();
            fs::write(place(store, digest).join("signature-1"), &signature).unwrap();
        }
    };
    fill(&store);
    let whole = env.path().join("whole");
    fill(&whole);
    let broken = |at: &Path| {
        fs::create_dir_all(place(at, &digest)).unwrap();
        fifo(&place(at, &digest).join("signature-1"));
    };
    let endless = |at: &Path| {
        fs::create_dir_all(place(at, &digest)).unwrap();
        symlink("/dev/zero", place(at, &digest).join("signature-1")).unwrap();
    };
    let config = format!("default-docker:\n  lookaside: file://{}\n", store.display());
    env.file("home/.config/containers/registries.d/a.yaml", config);
    let exchange = Exchange {
        at: store.clone(),
        by: vec![
            Box::new(fill),
            Box::new(|at| symlink(&whole, at).unwrap()),
            Box::new(broken),
            Box::new(|at| symlink("nowhere", at).unwrap()),
            Box::new(fifo),
            Box::new(endless),
        ],
    };
    exchange.during(|| {
        for _ in 0..40 {
            env.coracle(["pull", "-q", "--retry=0", &bad]).fails(125);
            let output = env.coracle(["pull", "-q", "--retry=0", &good]).run();
            assert!([0, 125].contains(&output.code), "{output}");
            assert_eq!(output.stderr.matches("Error:").count(), usize::from(output.code == 125), "{output}");
        }
    });
    fs::remove_file(&store).or_else(|_| fs::remove_dir_all(&store)).unwrap();
    fill(&store);
    env.coracle(["pull", "-q", &good]).ok();
    env.coracle(["pull", "-q", &bad]).fails(125);
    let names = env.coracle(["images", "--format={{.Tag}}"]).ok();
    assert_eq!(names.text(), "good");
}
