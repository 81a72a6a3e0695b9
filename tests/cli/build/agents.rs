//! `--ssh` with keys.

use super::context;
use crate::common::TestEnv;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

fn key(env: &TestEnv, name: &str, passphrase: &str) -> PathBuf {
    let path = env.path().join(name);
    let mut made = Command::new("ssh-keygen");
    made.args(["-q", "-t", "ed25519", "-C", name, "-N", passphrase, "-f"]).arg(&path);
    assert!(made.status().unwrap().success());
    path
}

/// How many directories there are for something that is being made: an agent's is one.
fn scratch(env: &TestEnv) -> usize {
    fs::read_dir(env.root().join("tmp")).map_or(0, |found| found.count())
}

/// Where the host's ssh-add finds what it needs.
const HOST: [&str; 3] = ["-v=/usr:/usr:ro", "-v=/lib:/lib:ro", "-v=/lib64:/lib64:ro"];

fn build(env: &TestEnv, dir: &Path, options: &[String]) -> crate::common::Output {
    env.coracle(["build", "--network=none", "--no-cache", "--progress=plain"]).args(options).arg(dir).run()
}

#[test]
fn steps_get_an_agent_with_the_keys() {
    let env = TestEnv::with_images();
    let (one, two) = (key(&env, "first-key", ""), key(&env, "second-key", ""));
    fs::set_permissions(&two, fs::Permissions::from_mode(0o644)).unwrap();
    let text = "\
        FROM busybox\nRUN --mount=type=ssh,id=k,required=true /usr/bin/ssh-add -l\n\
         RUN env | grep SSH; ls /run/buildkit; true\n";
    let dir = context(&env, "context", &[("Containerfile", text)]);
    let keys = format!("--ssh=k={},{}", one.display(), two.display());
    let built = build(&env, &dir, &[&HOST.map(str::to_owned)[..], &[keys]].concat());
    assert_eq!(built.code, 0, "{built}");
    assert!(built.stderr.contains("first-key") && built.stderr.contains("second-key"), "{built}");
    assert_eq!(scratch(&env), 0);
    // No part of a key is anywhere in the store.
    let secret: String = fs::read_to_string(&one).unwrap().lines().nth(2).unwrap().to_owned();
    let found = Command::new("grep").args(["-rlF", &secret]).arg(env.root()).output().unwrap();
    assert!(found.stdout.is_empty(), "{found:?}");
}

#[test]
fn keys_that_cannot_be_used_are_refused() {
    let env = TestEnv::with_images();
    let locked = key(&env, "locked", "secret");
    let text = env.file("text", "no key\n");
    let dir =
        context(&env, "context", &[("Containerfile", "FROM busybox\nRUN --mount=type=ssh,id=k true\n")]);
    for (path, says) in [(&locked, "is a key with a passphrase"), (&text, "is no private key")] {
        let refused = build(&env, &dir, &[format!("--ssh=k={}", path.display())]);
        assert_eq!(refused.code, 125, "{refused}");
        refused.says(says).says("ssh-add FILE");
    }
    assert_eq!(scratch(&env), 0);
}
