//! What a build says of what it does not do, or cannot.

use super::{build, context, run};
use crate::common::TestEnv;
use crate::docker::docker;
use std::fs;

/// A place that cannot be written has nothing to do with where the store is.
#[test]
fn places_that_cannot_be_written_are_told_with_their_own_advice() {
    let env = TestEnv::with_images();
    for option in
        ["-o=type=tar,dest=/proc/x", "-o=type=oci,dest=/proc/x", "--cache-to=type=local,dest=/proc/x"]
    {
        let failed = env.coracle(["build", option, "-"]).stdin("FROM busybox\nCOPY <<a /a\na\n").fails(125);
        assert!(!failed.stderr.contains("--root"), "{option}: {failed}");
        assert!(failed.stderr.contains("/proc/x"), "{option}: {failed}");
    }
    let closed = env.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, std::os::unix::fs::PermissionsExt::from_mode(0o500)).unwrap();
    let option = format!("-o=type=tar,dest={}/x", closed.display());
    let failed = env.coracle(["build", &option, "-"]).stdin("FROM busybox\n").fails(125);
    failed.says("This account may not write there. See who may: ls -ld ").says("closed");
}

/// A build goes on without a cache that cannot be used.
#[test]
fn a_cache_that_is_none_is_called_a_cache() {
    let env = TestEnv::with_images();
    let digest = "0".repeat(64);
    let index = format!(
        "{{\"schemaVersion\":2,\"manifests\":[{{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\
         \"digest\":\"sha256:{digest}\",\"size\":3}}]}}"
    );
    let dir = context(&env, "cache", &[("index.json", &index)]);
    let option = format!("--cache-from=type=local,src={}", dir.display());
    let built = env.coracle(["build", &option, "-"]).stdin("FROM busybox\n").ok();
    assert!(!built.stderr.contains("image archive"), "{built}");
    built.says("it is not used: the build cache is refused: blobs/sha256/0000");
}

/// As BuildKit does: the base has a caret, and a command that is a heredoc its first line.
#[test]
fn names_say_what_is_meant() {
    let env = TestEnv::with_images();
    let failed = build(&env, "FROM busybox\nFROM --platform=$BUILDPLATFORM Bad/name AS b\n");
    assert!(failed.code == 125 && failed.stderr.contains("invalid reference format"), "{failed}");
    assert!(failed.stderr.contains(&format!("|     {}^^^^^^^^\n", " ".repeat(31))), "{failed}");
    let built = build(&env, "FROM busybox\nRUN <<EOF\n\ntrue\necho ho\nEOF\nRUN <<EOF cat >/x\nx\nEOF\n");
    assert!(built.stderr.contains("[2/3] RUN <<EOF (true...)\n"), "{built}");
    assert!(built.stderr.contains("[3/3] RUN <<EOF cat >/x\n"), "{built}");
}

/// As podman takes it, an image may be named by the beginning of its id.
#[test]
fn a_base_is_found_by_the_beginning_of_its_id() {
    let env = TestEnv::with_images();
    let id = build(&env, "FROM busybox\nENV A=b\n").lines().last().unwrap().clone();
    build(&env, &format!("FROM {}\nRUN echo $A >/a\n", &id[..10])).says("naming to localhost/made");
    assert_eq!(run(&env, "made", "cat /a"), "b");
}

#[test]
fn another_language_is_told_and_read_as_this_one() {
    let env = TestEnv::with_images();
    let text = |syntax: &str| format!("# syntax={syntax}\nFROM busybox\n");
    build(&env, &text("ghcr.io/team/language:1"))
        .says("Warning: syntax=ghcr.io/team/language:1: other front ends");
    let usual = build(&env, &text("docker/dockerfile:1.7-labs"));
    assert!(!usual.stderr.contains("front end"), "{usual}");
}

/// Options that would change nothing are taken, and others refused with the reason.
#[test]
fn options_of_others_are_known() {
    let env = TestEnv::with_images();
    let file = "FROM busybox\n";
    let call = |option: &str| env.coracle(["build", "-q", option, "-"]).stdin(file).run();
    for option in [
        "--save-stages=false",
        "--stage-labels=false",
        "--rusage=false",
        "--builder=ci",
        "--policy=disabled=true",
        "--detach=false",
    ] {
        assert_eq!(call(option).code, 0, "{option}");
    }
    for (option, why) in [
        ("--save-stages", "Error: --save-stages: stages get no images of their own"),
        (
            "--stage-labels=true",
            "Error: invalid argument \"true\" for \"--stage-labels\" flag: stages get no",
        ),
        ("--rusage", "Error: --rusage: what a step uses is not measured"),
        ("--compression-format=zstd", "layers are compressed when they leave the store"),
        ("--force-compression", "layers are compressed when they leave the store"),
        ("--policy=filename=x", "there is no policy"),
        ("--invoke=sh", "--debug-shell"),
        ("--detach", "a build ends with its command"),
        ("--tga=x", "Did you mean --tag?"),
        ("--taget=x", "Did you mean --target?"),
    ] {
        call(option).says(why);
    }
    let id = env.path().join("id");
    let built = env.coracle(["build", "-q", "--iidfile-raw"]).arg(&id).arg("-").stdin(file).ok();
    assert_eq!(fs::read_to_string(&id).unwrap(), built.text());
    let platforms = ["build", "--platform=linux/amd64,linux/arm64", "--iidfile-raw=x", "-"];
    env.coracle(platforms).stdin(file).fails(125).says("several platforms have several images");
}

/// `--mount`: as if each RUN had it.
#[test]
fn every_run_has_the_mounts_of_the_command_line() {
    let env = TestEnv::with_images();
    let secret = env.file("secret", "hidden");
    let option = format!("--secret=id=s,src={}", secret.display());
    let text = "FROM busybox AS a\nRUN test -s /run/secrets/s && touch /a\nONBUILD RUN wc -c </run/secrets/s >/c\n\
                FROM a\nRUN cat /run/secrets/s | wc -c >/b\n";
    let call = ["build", "--network=none", &option, "--mount=type=secret,id=s", "-t", "made", "-"];
    env.coracle(call).stdin(text).ok();
    assert_eq!(run(&env, "made", "cat /b /c; ls /a; ls /run/secrets 2>/dev/null || true"), "6\n6\n/a");
    let call = ["build", "--mount=type=nosuch", "-"];
    env.coracle(call).stdin(text).fails(125).says("unsupported mount type \"nosuch\"");
}

/// Scripts make a builder of their own, use it and remove it.
#[test]
fn any_name_is_that_of_the_only_builder() {
    let env = TestEnv::with_images();
    let dir = context(&env, "app", &[("Dockerfile", "FROM busybox\n")]);
    let dir = dir.to_str().unwrap();
    let create = ["buildx", "create", "--name", "ci", "--driver", "docker-container", "--use", "--bootstrap"];
    assert_eq!(docker(&env, &create).ok().stdout, "ci\n");
    docker(&env, &["buildx", "inspect", "--bootstrap", "ci"]).ok();
    docker(&env, &["buildx", "--builder", "ci", "build", "--load", "-t", "made", dir]).ok();
    docker(&env, &["buildx", "build", "--builder=ci", "--load", "-t", "made", dir]).ok();
    docker(&env, &["buildx", "prune", "-f", "--builder", "ci"]).ok();
    docker(&env, &["buildx", "stop", "ci"]).ok();
    assert_eq!(docker(&env, &["buildx", "rm", "ci"]).ok().stdout, "ci removed\n");
    docker(&env, &["buildx", "create", "--driver", "remote", "tcp://host:1234"])
        .fails(125)
        .says("this machine");
    docker(&env, &["buildx", "bake"]).fails(1).says("bake files are not read");
}
