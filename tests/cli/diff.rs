//! `diff`: what a container has written, against its image or another.

use crate::common::{ImageBuilder, Layer, TestEnv, shared_registry};

#[test]
fn changes_of_a_container_are_shown() {
    let env = TestEnv::with_images();
    let script = "mkdir /new && echo x >/new/file && echo y >>/etc/passwd && rm /etc/group && mkdir -p /dev/x /tmp; sleep 1000";
    env.coracle(["run", "-d", "--name", "web", "--network=none", "busybox", "sh", "-c", script]).ok();
    let diff = |args: &[&str]| env.coracle(["diff"]).args(args).ok();
    crate::common::eventually("it is done", || diff(&["web"]).stdout.contains("D /etc/group"));
    let shown = diff(&["web"]).lines();
    for line in ["C /etc", "D /etc/group", "C /etc/passwd", "A /new", "A /new/file"] {
        assert!(shown.iter().any(|l| l == line), "{line}: {shown:?}");
    }
    assert!(!shown.iter().any(|l| l.ends_with("/etc/hosts") || l.ends_with(" /proc")), "{shown:?}");
    let json = diff(&["--format", "json", "-l"]).json();
    assert_eq!(json["deleted"][0], "/etc/group");
    assert!(json["added"].as_array().unwrap().contains(&"/new/file".into()));
    env.coracle(["kill", "web"]).ok();
    assert_eq!(env.coracle(["container", "diff", "web"]).ok().lines(), shown);
    // Another container of the same image, and the image itself.
    env.coracle(["run", "--name", "other", "--network=none", "busybox", "touch", "/mine"]).ok();
    let two = diff(&["web", "other"]).lines();
    assert!(two.contains(&"A /new".to_owned()) && two.contains(&"D /mine".to_owned()), "{two:?}");
    assert_eq!(diff(&["web", "busybox"]).lines(), shown);
    for (args, why) in [
        (&["nobody"][..], "nobody"),
        (&[], "--latest"),
        (&["web", "other", "web"], ""),
        (&["--format", "table", "web"], "json"),
    ] {
        env.coracle(["diff"]).args(args).fails(125).says(why);
    }
    env.coracle(["container", "diff", "busybox"]).fails(125).says("busybox");
}

#[test]
fn an_image_is_compared_with_the_layers_below_its_last() {
    let env = TestEnv::new();
    let lower = Layer::new().file("a", 0o644, "a").file("d/gone", 0o644, "x").file("d/kept", 0o644, "x");
    let upper = Layer::new().file("a", 0o755, "b").whiteout("d/gone").file("n", 0o644, "n");
    ImageBuilder::new().layer(lower).layer(upper).push(shared_registry(), "diff/image", "latest");
    let image = shared_registry().reference("diff/image", "latest");
    env.coracle(["pull", "-q", &image]).ok();
    let expected = ["C /a", "C /d", "D /d/gone", "A /n"];
    assert_eq!(env.coracle(["image", "diff", &image]).ok().lines(), expected);
    assert_eq!(env.coracle(["diff", &image]).ok().lines(), expected);
    let rootfs = env.busybox_rootfs();
    env.coracle(["run", "--name", "plain", "--network=none", "--rootfs"]).arg(rootfs).arg("true").ok();
    env.coracle(["diff", "plain"]).fails(125).says("no base");
}
