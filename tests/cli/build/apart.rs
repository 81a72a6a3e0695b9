//! `COPY --link`: as if nothing was at the destination.

use super::{context, run};
use crate::common::TestEnv;

const BASE: &str = "\
FROM busybox AS base
RUN mkdir -p /real/sub /file /kept/old; ln -s /real /way; ln -s real /dir; touch /real/old /file/x /kept/old/x; \\
    ln -s nowhere /final; echo text >/text
FROM base
";

#[test]
fn links_at_the_destination_are_replaced() {
    let env = TestEnv::with_images();
    let copies = "\
        COPY --link a /way/a\n\
        COPY --link tree /\n\
        COPY --link a /file\n\
        COPY --link a /final\n\
        COPY --link a b /text/\n\
        COPY --link tree /kept/\n";
    let files = [("a", "a"), ("b", "b"), ("tree/dir/x", "x"), ("Containerfile", &format!("{BASE}{copies}"))];
    let dir = context(&env, "context", &files);
    env.coracle(["build", "--network=none", "-t", "made"]).arg(&dir).ok();
    let look = "for f in /way /dir /final; do [ -L $f ] && echo $f is a link; done; ls /way /dir /real /text /kept; \
                cat /way/a /dir/x /file /final; ls /kept/old";
    assert_eq!(
        run(&env, "made", look),
        "/dir:\nx\n\n/kept:\ndir\nold\n\n/real:\nold\nsub\n\n/text:\na\nb\n\n/way:\na\naxaax"
    );
    // Without it links are followed, and a directory takes a file in.
    let files = [("Containerfile", &*format!("{BASE}COPY a /way/a\nCOPY a /file\n"))];
    context(&env, "context", &files);
    env.coracle(["build", "--network=none", "-t", "made"]).arg(&dir).ok();
    assert_eq!(run(&env, "made", "readlink /way; cat /real/a /file/a"), "/real\naa");
}

/// podman's name comes first, and docker's under its name.
#[test]
fn the_usual_file_is_that_of_the_dialect() {
    let env = TestEnv::new();
    let files = [
        ("Containerfile", "FROM scratch\nLABEL from=podman\n"),
        ("Dockerfile", "FROM scratch\nLABEL from=docker\n"),
    ];
    let dir = context(&env, "context", &files);
    let label =
        || env.coracle(["image", "inspect", "-f", "{{.Config.Labels.from}}", "made"]).ok().text().to_owned();
    env.coracle(["build", "-t", "made"]).arg(&dir).ok();
    assert_eq!(label(), "podman");
    crate::docker::docker(&env, &["build", "-t", "made", dir.to_str().unwrap()]).ok();
    assert_eq!(label(), "docker");
}
