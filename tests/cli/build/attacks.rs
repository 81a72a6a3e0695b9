//! Attack cases of builds.

use super::{build, context, run};
use crate::common::TestEnv;
use std::fs;
use std::os::unix::fs::symlink;

/// A link in a stage is followed inside the stage only, whether files are copied or mounted (attack case 41).
#[test]
fn case_41_links_of_a_stage_do_not_lead_to_the_host() {
    let env = TestEnv::with_images();
    let secret = env.file("host-secret", "of the host");
    let path = secret.display();
    for step in ["COPY --from=a /link/ /got/", "RUN --mount=from=a,source=/link,target=/m cp -r /m /got"] {
        let parent = secret.parent().unwrap().display().to_string();
        let text = format!("FROM busybox AS a\nRUN ln -s {parent} /link\nFROM busybox\n{step}\n");
        let built = build(&env, &text);
        if built.code == 0 {
            assert_eq!(run(&env, "made", "find /got -name 'host-secret' | wc -l"), "0", "{step}: {path}");
        }
    }
}

/// A link in the context that leads out of it is followed inside it only.
#[test]
fn links_of_the_context_do_not_lead_out_of_it() {
    let env = TestEnv::with_images();
    env.file("outside", "of the host");
    let dir = context(&env, "context", &[("Containerfile", "FROM busybox\nCOPY up/outside /got\n")]);
    symlink("..", dir.join("up")).unwrap();
    env.coracle(["build", "--network=none"]).arg(&dir).fails(125);
}

/// Options of mounts are the documented ones (attack case 42).
#[test]
fn case_42_mounts_have_no_other_options() {
    let env = TestEnv::with_images();
    for option in
        ["bind-propagation=shared", "type=volume", "type=image", "propagation=rshared", "type=bind,exec"]
    {
        let text = format!("FROM busybox\nRUN --mount={option},target=/m true\n");
        let failed = build(&env, &text);
        assert_eq!(failed.code, 125, "{option}: {}", failed.stderr);
    }
}

/// The name of a cache is no path (attack case 43).
#[test]
fn case_43_names_of_caches_are_names() {
    let env = TestEnv::with_images();
    let text = "FROM busybox\nRUN --mount=type=cache,id=../../../../outside,target=/c echo x >/c/x\n";
    assert_eq!(build(&env, text).code, 0);
    assert!(!env.path().join("outside").exists());
    let data = env.root().join("build/mounts");
    assert_eq!(fs::read_dir(data).unwrap().count(), 1);
}

/// Records of layers that lead in a circle end commands, and do not keep them.
#[test]
fn layers_that_lie_on_themselves_stop_nobody() {
    let env = TestEnv::with_images();
    let text = "FROM busybox\nRUN echo x >/x\nRUN echo y >/y\n";
    assert_eq!(build(&env, text).code, 0);
    for layer in crate::common::entries(&env.root().join("layers")) {
        let path = layer.join("layer.json");
        let mut record: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let own = layer.file_name().unwrap().to_str().unwrap().to_owned();
        record["parent"] = format!("sha256:{own}").into();
        fs::write(&path, record.to_string()).unwrap();
    }
    for words in [
        &["builder", "du"][..],
        &["system", "df"],
        &["system", "check"],
        &["builder", "prune", "-a", "-f"],
        &["system", "check", "--repair"],
    ] {
        env.coracle(words).run();
    }
    assert_eq!(build(&env, text).code, 0);
}

/// Places that were made to be mounted on go with the step, and only those (attack case 45).
#[test]
fn case_45_nothing_but_mount_points_is_cleaned_up() {
    let env = TestEnv::with_images();
    let text = "FROM busybox\nRUN mkdir -p /keep/empty; echo x >/keep/file; ln -s /keep/empty /link\n\
        RUN --mount=type=tmpfs,target=/keep/empty --mount=type=tmpfs,target=/link/below --mount=type=tmpfs,target=/new/place touch /new/beside\n";
    assert_eq!(build(&env, text).code, 0);
    assert_eq!(
        run(&env, "made", "ls /keep /keep/empty /new"),
        "/keep:\nempty\nfile\n\n/keep/empty:\n\n/new:\nbeside"
    );
}

/// An archive that ADD unpacks stays in its destination (attack cases 47, 48).
#[test]
fn case_47_archives_are_unpacked_where_they_are_to_be() {
    let env = TestEnv::with_images();
    let mut tar = tar::Builder::new(Vec::new());
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_size(0);
    tar.append_link(&mut link, "out", env.path()).unwrap();
    let mut file = tar::Header::new_gnu();
    file.set_size(1);
    file.set_mode(0o644);
    tar.append_data(&mut file, "out/escaped", &b"x"[..]).unwrap();
    let dir = context(&env, "context", &[("Containerfile", "FROM busybox\nADD evil.tar /in/\n")]);
    fs::write(dir.join("evil.tar"), tar.into_inner().unwrap()).unwrap();
    env.coracle(["build", "--network=none"]).arg(&dir).run();
    assert!(!env.path().join("escaped").exists());
}
