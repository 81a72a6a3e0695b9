//! What becomes of a result.

use super::context;
use crate::common::TestEnv;
use expectrl::Expect as _;
use std::fs;

#[test]
fn files_come_as_a_directory_or_an_archive() {
    let env = TestEnv::with_images();
    let dir = context(&env, "context", &[("Containerfile", "FROM scratch\nCOPY a /d/a\n"), ("a", "1")]);
    let out = env.path().join("out");
    env.coracle(["build", "-o"]).arg(&out).arg(&dir).ok();
    assert_eq!(fs::read_to_string(out.join("d/a")).unwrap(), "1");
    let tar = env.coracle(["build", "-q", "-o", "type=tar,dest=-"]).arg(&dir).ok();
    let mut archive = tar::Archive::new(tar.bytes.as_slice());
    let names: Vec<String> = archive
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().display().to_string())
        .collect();
    assert!(names.iter().any(|name| name.trim_start_matches("./") == "d/a"), "{names:?}");
}

/// An image whose layers were never archives is saved, and loaded elsewhere with the same id and files.
#[test]
fn a_built_image_is_saved_and_loaded() {
    let env = TestEnv::with_images();
    let dir = context(
        &env,
        "context",
        &[
            (
                "Containerfile",
                "FROM busybox\nRUN mkdir /d; echo x >/d/x; rm /etc/group; chown 5:6 /d\nCOPY a /d/\n",
            ),
            ("a", "1"),
        ],
    );
    env.coracle(["build", "--network=none", "-t", "made"]).arg(&dir).ok();
    let id = env.coracle(["image", "inspect", "-f", "{{.Id}}", "made"]).ok().stdout;
    for format in ["oci-archive", "docker-archive"] {
        let file = env.path().join(format);
        env.coracle(["save", "--format", format, "-o"]).arg(&file).arg("made").ok();
        let other = TestEnv::new();
        other.coracle(["load", "-i"]).arg(&file).ok();
        let look = "stat -c '%u %g %n' /d; cat /d/x /d/a; [ ! -e /etc/group ]";
        assert_eq!(super::run(&other, "made", look), "5 6 /d\nx\n1");
        if format == "oci-archive" {
            assert_eq!(other.coracle(["image", "inspect", "-f", "{{.Id}}", "made"]).ok().stdout, id);
        }
    }
}

/// On a terminal progress is drawn as BuildKit draws it: a head with a count, a line for each step, its latest output.
#[test]
fn a_terminal_shows_what_goes_on() {
    let env = TestEnv::with_images();
    let file = "FROM busybox AS base\nRUN echo of-the-step; sleep 0.5\nFROM base\nCOPY Containerfile /\n";
    let dir = context(&env, "context", &[("Containerfile", file)]);
    let call = env.coracle(["build", "--network=none", "-t", "made"]).arg(&dir);
    let mut terminal = call.env("TERM", "xterm").pty();
    for text in [
        "[+] Building ",
        " => [internal] load build definition from Containerfile ",
        " => => transferring dockerfile: ",
        " => [base 2/2] RUN echo of-the-step; sleep 0.5 ",
        " => => # of-the-step",
        " (7/7) FINISHED",
        " => [base 1/2] FROM docker.io/library/busybox:latest ",
        " => [stage-1 1/1] COPY Containerfile / ",
        " => exporting to image ",
        " => => writing image sha256:",
        " => => naming to localhost/made:latest ",
    ] {
        let seen = terminal.expect(text);
        assert!(seen.is_ok(), "{text:?} was not seen: {:?}", seen.err());
    }
    terminal.expect(expectrl::Eof).unwrap();
}

/// With given times two builds in two places come to the same image.
#[test]
fn with_times_given_images_are_the_same_everywhere() {
    let built = || {
        let env = TestEnv::with_images();
        let dir = context(
            &env,
            "context",
            &[
                ("Containerfile", "FROM busybox\nWORKDIR /w\nCOPY a .\nRUN echo x >/x; mkdir /y\n"),
                ("a", "1"),
            ],
        );
        env.coracle(["build", "--network=none", "-q", "--timestamp=0"]).arg(&dir).ok().stdout
    };
    assert_eq!(built(), built());
}
