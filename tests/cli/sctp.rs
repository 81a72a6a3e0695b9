//! Published ports of SCTP where the kernel has none; where it has, scripts/smoke.sh passes messages on.

use crate::common::TestEnv;
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};

#[test]
fn ports_of_sctp_are_refused_where_the_kernel_has_none() {
    if socket(AddressFamily::Inet, SockType::Stream, SockFlag::empty(), SockProtocol::Sctp).is_ok() {
        eprintln!("skipped: this machine's kernel has SCTP");
        return;
    }
    let env = TestEnv::with_images();
    let refusal = |port: &str| {
        format!(
            "Error: cannot publish {port}->9/sctp: this kernel has no SCTP: protocol not supported\nHint: "
        )
    };
    for network in ["private", "slirp4netns", "pasta", "bridge"] {
        let options = ["run", "--name", "web", "--network", network, "-p", "80", "-p", "36412:9/sctp"];
        let refused = env.coracle(options).args(["busybox", "true"]).fails(125);
        assert!(refused.stderr.starts_with(&refusal("0.0.0.0:36412")), "{refused}");
        assert_eq!(refused.stderr.lines().count(), 2, "{refused}");
        refused.says("sudo modprobe sctp");
    }
    // Not even an image is pulled, nor a directory made.
    let missing = format!("{}:/mnt", env.path().join("missing").display());
    let options = ["run", "--rm", "-p", "9/sctp", "-v", &missing, "127.0.0.1:1/none", "true"];
    let refused = env.called("docker", options).fails(125);
    assert!(refused.stderr.contains("this kernel has no SCTP"), "{refused}");
    assert!(!env.path().join("missing").exists());
    // An image's own port comes to light later.
    env.coracle(["create", "--name", "made", "busybox"]).ok();
    env.coracle(["commit", "-q", "--change", "EXPOSE 9/sctp", "made", "exposes"]).ok();
    env.coracle(["rm", "made"]).ok();
    let refused = env.coracle(["run", "-P", "exposes", "true"]).fails(125);
    assert!(refused.stderr.starts_with(&refusal("0.0.0.0:0")), "{refused}");
    assert_eq!(env.coracle(["ps", "-aq"]).ok().text(), "");
}

#[test]
fn ports_of_sctp_are_recorded() {
    let env = TestEnv::with_images();
    let call = env.coracle(["create", "--name", "web", "-p", "127.0.0.1:36412:36412/SCTP"]);
    call.args(["--expose", "9/sctp", "busybox", "true"]).ok();
    let field = |format: &str| env.coracle(["inspect", "-f", format, "web"]).ok().text().to_owned();
    assert_eq!(field("{{json .Config.ExposedPorts}}"), r#"{"9/sctp":{},"36412/sctp":{}}"#);
    assert_eq!(
        field("{{json .HostConfig.PortBindings}}"),
        r#"{"36412/sctp":[{"HostIp":"127.0.0.1","HostPort":"36412"}]}"#
    );
    let shown = env.coracle(["ps", "-a", "--format", "{{.Ports}}"]).ok();
    assert_eq!(shown.text(), "127.0.0.1:36412->36412/sctp, 9/sctp");
    for filter in ["publish=36412/sctp", "expose=9/sctp"] {
        assert_eq!(env.coracle(["ps", "-aq", "--filter", filter]).ok().lines().len(), 1, "{filter}");
    }
    assert_eq!(env.coracle(["ps", "-aq", "--filter", "publish=36412"]).ok().text(), "");
}
