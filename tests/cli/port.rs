//! `port`.

use super::docker::docker;
use super::ps::IDLE;
use crate::common::TestEnv;

#[test]
fn ports_are_shown_as_podman_shows_them() {
    let env = TestEnv::new();
    let rootfs = env.busybox_rootfs();
    let run = |name: &str, ports: &[&str]| {
        let mut call = env.coracle(["run", "-d", "--name", name]);
        for port in ports {
            call = call.args(["-p", port]);
        }
        call.arg("--rootfs").arg(&rootfs).args(["sh", "-c", IDLE]).ok().text().to_owned()
    };
    let web = run("web", &["127.0.0.1::80", "[::1]::53/udp"]);
    run("quiet", &[]);
    let lines = env.coracle(["port", "web"]).ok().lines();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with("80/tcp -> 127.0.0.1:"), "{lines:?}");
    assert!(lines[1].starts_with("53/udp -> [::1]:"), "{lines:?}");
    let place = lines[0].trim_start_matches("80/tcp -> ").to_owned();
    for port in ["80", "80/tcp", "80/TCP"] {
        assert_eq!(env.coracle(["port", "web", port]).ok().text(), place);
    }
    assert_eq!(env.coracle(["container", "port", &web[..5], "80"]).ok().text(), place);
    assert!(env.coracle(["port", "web", "53/udp"]).ok().text().starts_with("[::1]:"));
    env.coracle(["port", "web", "80/udp"]).fails(125).says("80/udp");
    assert_eq!(env.coracle(["port", "quiet"]).ok().text(), "");
    assert_eq!(env.coracle(["port", "-l"]).ok().text(), "");
    env.coracle(["port", "-l", "80"]).fails(125).says("failed to find published port");
    let all = env.coracle(["port", "--all"]).ok().lines();
    assert_eq!(all[0], format!("{}\t{}", &web[..12], lines[0]));
    assert_eq!(all.len(), 2);
    env.coracle(["stop", "-t", "0", "web"]).ok();
    assert_eq!(env.coracle(["port", "web"]).ok().text(), "");
    for wrong in [
        &["port"][..],
        &["port", "nobody"],
        &["port", "web", "http"],
        &["port", "web", "0"],
        &["port", "-a", "web"],
    ] {
        env.coracle(wrong).fails(125);
    }
    env.coracle(["port", "-l", "web", "80"]).fails(125);
}

#[test]
fn who_shares_a_network_has_its_ports() {
    let env = TestEnv::with_images();
    env.coracle(["pod", "create", "--name=shop", "-p", "127.0.0.1::80", "-p", "53/udp"]).ok();
    env.coracle(["run", "-d", "--pod=shop", "--name=web", "busybox", "sleep", "1000"]).ok();
    let lines = env.coracle(["port", "web"]).ok().lines();
    assert!(lines.len() == 2 && lines[0].starts_with("80/tcp -> 127.0.0.1:"), "{lines:?}");
    assert_eq!(env.coracle(["port", "-a"]).ok().lines().len(), 4);
    let shown = env.coracle(["inspect", "-f", "{{json .NetworkSettings.Ports}}", "web"]).ok().json();
    let published = lines[0].trim_start_matches("80/tcp -> 127.0.0.1:");
    assert_eq!(shown["80/tcp"][0]["HostPort"], published, "{shown}");
    // Docker tells each family.
    let dockers = docker(&env, &["port", "web", "53/udp"]).ok().lines();
    let port = lines[1].trim_start_matches("53/udp -> 0.0.0.0:");
    assert_eq!(dockers, [format!("0.0.0.0:{port}"), format!("[::]:{port}")]);
    env.coracle(["pod", "rm", "-f", "-t=0", "shop"]).ok();
}
