//! The files that say what is trusted, and what a build reads: the policy fails closed.

use crate::common::{Layer, TestEnv, one_file, shared_registry};
use nix::sys::stat::Mode;
use serde_json::json;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

const CONFIG: &str = "home/.config/containers";

/// An image of the shared registry.
fn image(name: &str) -> String {
    one_file(name).push(shared_registry(), name, "1");
    shared_registry().reference(name, "1")
}

fn reject(env: &TestEnv, transport: &str, scope: &str) {
    let policy = json!({
        "default": [{"type": "insecureAcceptAnything"}],
        "transports": {transport: {scope: [{"type": "reject"}]}},
    });
    env.file(&format!("{CONFIG}/policy.json"), policy.to_string());
}

/// Layouts and caches that a build names are images, too.
#[test]
fn what_builds_take_obeys_the_policy() {
    let env = TestEnv::new();
    let name = image("trust/build");
    env.coracle(["pull", "-q", &name]).ok();
    env.coracle(["push", "-q", &name, "oci:in/layout:x"]).ok();
    env.file("context/Containerfile", "FROM scratch\nADD f /f\n");
    env.file("context/f", "f");
    env.coracle(["build", "-q", "--cache-to", "type=local,dest=in/cache", "context"]).ok();
    env.coracle(["rmi", "-a", "-f"]).ok();
    let here = env.path().join("in").canonicalize().unwrap();
    let build = |text: &str| {
        env.file("other/Containerfile", text);
        env.coracle(["build", "-q", "--build-context", "x=oci-layout://in/layout:x", "other"])
    };
    for text in ["FROM x\n", "FROM scratch\nCOPY --from=x / /\n"] {
        for scope in [String::new(), here.display().to_string(), format!("{}/layout:x", here.display())] {
            reject(&env, "oci", &scope);
            build(text).fails(125).says("in/layout:x is rejected by policy");
            assert_eq!(env.coracle(["images", "-qa"]).ok().text(), "");
        }
        reject(&env, "oci", "/elsewhere");
        build(text).ok();
        env.coracle(["rmi", "-a", "-f"]).ok();
    }
    env.coracle(["builder", "prune", "-a", "-f"]).ok();
    reject(&env, "oci", here.to_str().unwrap());
    let cached = env.coracle(["build", "--cache-from", "type=local,src=in/cache", "context"]).ok();
    cached.says("it is not used").says("is rejected by policy");
    reject(&env, "docker", shared_registry().address());
    let place = format!("type=registry,ref={name}");
    let cached = env.coracle(["build", "--no-cache=false", "--cache-from", &place, "context"]).ok();
    cached.says("it is not used").says("is rejected by policy");
}

/// Makes something odd of a path, for a file of settings.
fn odd(what: &str, path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let _ = fs::remove_file(path);
    match what {
        "fifo" => nix::unistd::mkfifo(path, Mode::S_IRWXU).unwrap(),
        "zero" => symlink("/dev/zero", path).unwrap(),
        "huge" => fs::File::create(path).unwrap().set_len(1 << 40).unwrap(),
        _ => symlink("nowhere", path).unwrap(),
    }
}

#[test]
fn odd_files_of_settings_neither_hang_nor_count_as_missing() {
    let env = TestEnv::new();
    let name = image("trust/odd");
    for (file, kinds) in [
        ("containers/policy.json", &["fifo", "zero", "huge", "lost"][..]),
        ("containers/registries.conf", &["fifo", "zero", "huge", "lost"]),
        ("containers/registries.conf.d/a.conf", &["fifo", "lost"]),
        ("containers/registries.d/a.yaml", &["fifo", "lost"]),
        ("coracle/coracle.toml", &["fifo", "zero", "lost"]),
    ] {
        for what in kinds {
            if file.contains("registries.d") {
                // They are read where there is a policy.
                reject(&env, "docker", "example.com");
            }
            let path = env.path().join("home/.config").join(file);
            odd(what, &path);
            let why = match *what {
                "huge" => "larger than 16 MiB",
                "lost" => "leads nowhere",
                _ => "not a regular file",
            };
            env.coracle(["pull", "-q", &name]).fails(125).says(why).says(path.to_str().unwrap());
            fs::remove_file(&path).unwrap();
            let _ = fs::remove_file(env.path().join(CONFIG).join("policy.json"));
        }
    }
    // So does a whole directory that is not there.
    let config = env.path().join(CONFIG);
    fs::remove_dir_all(&config).unwrap();
    symlink("nowhere", &config).unwrap();
    env.coracle(["pull", "-q", &name]).fails(125).says(config.to_str().unwrap());
    fs::remove_file(&config).unwrap();
    // A pipe that was handed over is read; one that somebody has made is not waited for.
    odd("fifo", &env.path().join("pipe"));
    env.coracle(["logout", "--authfile", "pipe", "example.com"]).fails(125).says("is not a regular file");
    env.coracle(["pull", "-q", "--authfile", "pipe", &name]).fails(125).says("is not a regular file");
    env.coracle(["pull", "-q", "--authfile", "/dev/null", &name]).ok();
}

/// The scope is that of what is read, also where the path leads elsewhere by then.
#[test]
fn an_open_input_has_the_scope_of_its_place() {
    let env = TestEnv::new();
    let layer = Layer::new().file("f", 0o644, "x").finish().0;
    env.file("in/plain.tar", layer);
    env.coracle(["import", "-q", "in/plain.tar", "made:1"]).ok();
    env.coracle(["push", "-q", "made:1", "oci-archive:in/made.tar"]).ok();
    let here = env.path().join("in").canonicalize().unwrap();
    reject(&env, "oci-archive", here.to_str().unwrap());
    let input = fs::read(env.path().join("in/made.tar")).unwrap();
    env.coracle(["load", "-q"]).stdin(input).ok();
    symlink("in/made.tar", env.path().join("link.tar")).unwrap();
    for command in [&["load", "-q", "-i", "link.tar"][..], &["pull", "-q", "oci-archive:link.tar"]] {
        env.coracle(command).fails(125).says("is rejected by policy");
    }
}
