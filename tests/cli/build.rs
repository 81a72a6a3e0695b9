//! `build`, end to end. Files of the language itself are in `tests/corpus`.

mod agents;
mod apart;
mod archives;
mod attacks;
mod cache;
mod caches;
mod corpus;
mod debug;
mod downloads;
mod foreign;
mod kills;
mod limits;
mod mounts;
mod outputs;
mod platforms;
mod projects;
mod published;
mod squash;
mod tls;
mod told;

use crate::common::{Output, TestEnv, eventually};
use std::fs;
use std::path::PathBuf;

/// A context with these files; `Containerfile` is one of them.
pub(super) fn context(env: &TestEnv, name: &str, files: &[(&str, &str)]) -> PathBuf {
    let dir = env.path().join(name);
    for (path, content) in files {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    dir
}

/// Builds a Containerfile, without network and without a context, under the name `made`.
pub(super) fn build(env: &TestEnv, text: &str) -> Output {
    env.coracle(["build", "--network=none", "-t", "made", "-"]).stdin(text).run()
}

/// Runs a script in an image.
pub(super) fn run(env: &TestEnv, image: &str, script: &str) -> String {
    env.coracle(["run", "--rm", "--network=none", "--entrypoint=", image, "sh", "-c", script])
        .ok()
        .text()
        .to_owned()
}

#[test]
fn instructions_become_files_and_configuration() {
    let env = TestEnv::with_images();
    let dir = context(
        &env,
        "app",
        &[
            (
                "Containerfile",
                "FROM busybox\nARG V=1\nENV A=$V\nWORKDIR /app\nCOPY a.txt sub ./\nRUN echo $A$V >out\nUSER 7\nCMD [\"cat\", \"out\"]\n",
            ),
            ("a.txt", "a"),
            ("sub/b.txt", "b"),
        ],
    );
    let built = env.coracle(["build", "--network=none", "--build-arg=V=2", "-t", "app"]).arg(&dir).ok();
    let id = built.lines().last().unwrap().clone();
    assert_eq!(env.coracle(["image", "inspect", "-f", "{{.Id}}", "app"]).ok().text(), id);
    assert_eq!(env.coracle(["run", "--rm", "--network=none", "app"]).ok().text(), "22");
    assert_eq!(run(&env, "app", "cat a.txt b.txt; pwd; id -u"), "ab/app\n7");
    let history = env.coracle(["history", "--format", "{{.CreatedBy}}", "--no-trunc", "app"]).ok();
    assert!(history.stdout.contains("RUN |1 V=2 /bin/sh -c echo $A$V >out # buildkit"), "{}", history.stdout);
}

/// The step that fails says what it wrote, where it is and how it ended; what was before can be looked at.
#[test]
fn a_failed_step_has_its_code_and_its_place() {
    let env = TestEnv::with_images();
    let text = "FROM busybox\nRUN echo kept >/kept\nRUN echo last words; exit 7\n";
    let failed = build(&env, text);
    assert_eq!(failed.code, 7, "{}", failed.stderr);
    for part in ["last words", "exit status 7", ">>> RUN echo last words; exit 7", "--entrypoint sh "] {
        assert!(failed.stderr.contains(part), "{part}: {}", failed.stderr);
    }
    let hint = failed.stderr.split("coracle run --rm -it --entrypoint sh ").nth(1).unwrap();
    let image = hint.split_whitespace().next().unwrap();
    assert_eq!(run(&env, image, "cat /kept"), "kept");
    // As with docker, whose exit code says only that it failed.
    let docker = env.path().join("docker");
    std::os::unix::fs::symlink(crate::common::coracle_binary(), &docker).unwrap();
    let store = env.stores().map(|store| format!("additionalimagestore={store}")).next().unwrap();
    let call = env.program(&docker).arg("--root").arg(env.root()).args(["--storage-opt", &store]);
    let call = call.args(["build", "--network=none", "-"]).stdin(text);
    call.fails(1).says("did not complete successfully: exit code: 7");
}

#[test]
fn plain_progress_has_all_that_a_step_writes() {
    let env = TestEnv::with_images();
    let built = build(&env, "FROM busybox\nRUN seq 100001 100700; seq 200001 200700 >&2\n");
    assert_eq!(built.code, 0, "{}", built.stderr);
    let is_there = |n: usize| built.stderr.contains(&format!(" {n}\n"));
    let lost: Vec<usize> = (100_001..=100_700).chain(200_001..=200_700).filter(|n| !is_there(*n)).collect();
    assert!(lost.is_empty(), "{lost:?}");
}

#[test]
fn nothing_is_begun_where_something_is_wrong() {
    let env = TestEnv::with_images();
    let before = env.coracle(["images", "-q"]).ok().stdout;
    for (text, words) in [
        ("RNU x\n", "RNU"),
        ("FROM busybox\nRNU x\n", "Unknown instruction"),
        ("FROM busybox AS a\nCOPY --from=b x y\nFROM busybox\nCOPY --nosuch x y\n", "nosuch"),
        ("FROM busybox\nENV\n", "ENV"),
        ("FROM ${NOSUCH}\n", "should not be blank"),
        ("", "no contents"),
    ] {
        let failed = build(&env, text);
        assert_eq!(failed.code, 125, "{text:?}: {}", failed.stderr);
        assert!(failed.stderr.contains(words), "{text:?}: {}", failed.stderr);
        assert!(
            failed.stderr.lines().filter(|line| line.starts_with("Error:")).count() == 1,
            "{}",
            failed.stderr
        );
    }
    assert_eq!(env.coracle(["images", "-q"]).ok().stdout, before);
}

/// Two stages of which the last copies run side by side, and one that nobody needs does not run.
#[test]
fn stages_run_side_by_side_and_only_those_that_are_needed() {
    let env = TestEnv::with_images();
    // Each waits for what the other writes: alone, neither would end.
    let dir = env.path().join("meet");
    fs::create_dir(&dir).unwrap();
    fs::set_permissions(&dir, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let wait = |own: &str, other: &str| {
        format!(
            "touch /meet/{own}; i=0; while [ ! -e /meet/{other} ] && [ $i -lt 600 ]; do sleep 0.1; i=$((i+1)); done; echo {own} >/{own}"
        )
    };
    let text = format!(
        "FROM busybox AS a\nRUN {}\nFROM busybox AS b\nRUN {}\nFROM busybox AS unused\nRUN exit 9\nFROM busybox\nCOPY --from=a /a /\nCOPY --from=b /b /\n",
        wait("a", "b"),
        wait("b", "a")
    );
    let volume = format!("{}:/meet", dir.display());
    env.coracle(["build", "--network=none", "-v", &volume, "-t", "made", "-"]).stdin(text).ok();
    assert_eq!(run(&env, "made", "cat /a /b"), "a\nb");
}

/// A build that is killed takes the containers of its steps along, and what it had finished is used by the next.
#[test]
fn a_killed_build_leaves_no_process_and_its_finished_steps() {
    let env = TestEnv::with_images();
    let text = |sleep: &str| {
        format!("FROM busybox\nRUN cat /proc/sys/kernel/random/uuid >/id; echo one\nRUN {sleep}\n")
    };
    let mut running = env
        .coracle(["build", "--network=none", "--progress=plain", "-"])
        .stdin(text("echo asleep; sleep 1000"))
        .start();
    let begun = std::time::Instant::now();
    // The second step has begun once the cache has the first one.
    let steps = env.root().join("build/steps");
    while fs::read_dir(&steps).map_or(0, |found| found.count()) < 1 && begun.elapsed().as_secs() < 60 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert!(!running.has_ended());
    running.signal(nix::sys::signal::Signal::SIGKILL);
    running.wait();
    let second = env
        .coracle(["build", "--network=none", "--progress=plain", "-t", "made", "-"])
        .stdin(text("true"))
        .ok();
    assert!(second.stderr.contains("CACHED"), "{}", second.stderr);
}

/// A name that is no stage is taken for an image, and the message says what may have been meant.
#[test]
fn a_misspelt_stage_is_told() {
    let env = TestEnv::with_images();
    let text = "FROM busybox AS builder\nRUN true\nFROM busybox\nCOPY --from=biulder /etc /x\n";
    let failed = build(&env, text);
    assert_eq!(failed.code, 125);
    assert!(failed.stderr.contains("Error: biulder: failed to resolve source metadata"), "{failed}");
    assert!(failed.stderr.contains(">>> COPY --from=biulder"), "{failed}");
    assert!(failed.stderr.contains("No stage is called biulder. Did you mean builder?"), "{failed}");
    let failed = build(&env, "FROM busybox\nEXPOSE abc\n");
    assert!(failed.stderr.contains("EXPOSE abc: a port is"), "{failed}");
}

/// The image of the last good step is the same one each time, and the step's own files go.
#[test]
fn a_failing_build_leaves_one_image_and_no_files() {
    let env = TestEnv::with_images();
    let steps = |before: &str| format!("FROM busybox\n{before}RUN touch /x && chown 3:3 /x && false\n");
    let hint = "--entrypoint sh ";
    for (before, shows) in [("", ""), ("ENV A=b\n", "b"), ("RUN echo b >/made\nENV A=b\n", "b")] {
        let failed = || build(&env, &steps(before)).stderr;
        let of = |text: &str| text.split(hint).nth(1).unwrap_or_default().lines().next().unwrap().to_owned();
        let id = of(&failed());
        assert_eq!(of(&failed()), id, "{before}");
        assert_eq!(run(&env, &id, "echo $A"), shows, "{before}");
    }
    let left = |dir: &str| fs::read_dir(env.root().join(dir)).map_or(0, |found| found.count());
    eventually("the files are in the trash", || left("tmp") == 0);
    env.coracle(["system", "prune", "-f"]).ok();
    assert_eq!(left("trash"), 0);
}

#[test]
fn checks_are_chosen_by_an_argument_and_stages_by_number() {
    let env = TestEnv::with_images();
    let text = "# check=error=true\nFROM busybox\nCMD echo hi\n";
    let call = |options: &[&str], text: &str| {
        env.coracle(["build", "--network=none", "-"]).args(options).stdin(text).run()
    };
    let failed = call(&[], text);
    assert!(failed.code == 125 && failed.stderr.contains("the build checks found a problem"), "{failed}");
    assert_eq!(call(&["--build-arg=BUILDKIT_DOCKERFILE_CHECK=skip=all"], text).code, 0);
    for step in ["COPY --from=2 /etc /x", "RUN --mount=from=1,target=/m true"] {
        let failed = call(&[], &format!("FROM busybox\nRUN true\nFROM busybox\n{step}\n"));
        assert!(failed.code == 125 && failed.stderr.contains("invalid stage index"), "{failed}");
    }
    let failed = call(&[], "FROM busybox\nADD --checksum=sha256:00 ./a /a\n");
    assert!(failed.code == 125 && failed.stderr.contains("--checksum"), "{failed}");
    let told = "FROM busybox\nARG SOURCE_DATE_EPOCH\nRUN echo $SOURCE_DATE_EPOCH >/time\n";
    assert_eq!(call(&["--timestamp=77", "-t", "made"], told).code, 0);
    assert_eq!(run(&env, "made", "cat /time"), "77");
    env.coracle(["build", ""]).fails(125).says("the build context is an empty word");
}
