//! Networks under docker's name: who keeps one from being removed, docker's options, names and words.

use super::docker::docker;
use crate::common::TestEnv;

#[test]
fn stopped_containers_do_not_keep_a_network() {
    let env = TestEnv::with_images();
    let exists = |name: &str| env.coracle(["network", "exists", name]).run().code == 0;
    docker(&env, &["network", "create", "back"]).ok();
    docker(&env, &["create", "--name=made", "--network=back", "busybox", "true"]).ok();
    docker(&env, &["run", "--name=ended", "--network=back", "busybox", "true"]).ok();
    docker(&env, &["run", "-d", "--name=web", "--network=back", "busybox", "sleep", "1000"]).ok();
    docker(&env, &["network", "rm", "back"]).fails(1).says("network back has active endpoints");
    assert_eq!(docker(&env, &["network", "prune", "-f"]).ok().stdout, "");
    assert_eq!(docker(&env, &["network", "ls", "-q", "--filter=dangling=true"]).ok().stdout, "");
    docker(&env, &["rm", "-f", "-t=0", "web"]).ok();
    // For podman the others count.
    env.coracle(["network", "rm", "back"]).fails(2).says("network is being used");
    env.coracle(["network", "prune", "-f"]).ok();
    assert!(exists("back"));
    assert_eq!(docker(&env, &["network", "rm", "back"]).ok().text(), "back");
    for name in ["made", "ended"] {
        docker(&env, &["start", name]).fails(1).says("network back not found");
    }
    // They keep the name, not the network.
    docker(&env, &["network", "create", "back"]).ok();
    docker(&env, &["start", "-a", "made"]).ok();
    assert!(docker(&env, &["network", "prune", "-f"]).ok().stdout.contains("back"));
    assert!(!exists("back"));
    docker(&env, &["inspect", "made"]).ok();
    docker(&env, &["ps", "-a"]).ok();
    env.coracle(["system", "check"]).ok();
    docker(&env, &["network", "create", "front"]).ok();
    docker(&env, &["network", "connect", "front", "made"]).ok();
    docker(&env, &["start", "made"]).fails(1).says("network back not found");
    docker(&env, &["network", "disconnect", "-f", "back", "made"]).ok();
    docker(&env, &["start", "-a", "made"]).ok();
    docker(&env, &["rm", "made", "ended"]).ok();
}

#[test]
fn options_of_docker_are_taken_or_refused_with_the_reason() {
    let env = TestEnv::new();
    let option = "com.docker.network.bridge.name=br7";
    docker(&env, &["network", "create", "-o", option, "--scope=local", "--ipv4", "a"]).ok();
    let shown = &docker(&env, &["network", "inspect", "a"]).ok().json()[0];
    assert_eq!(shown["Options"]["com.docker.network.bridge.name"], "br7", "{shown}");
    assert_eq!(env.coracle(["network", "inspect", "-f", "{{.NetworkInterface}}", "a"]).ok().text(), "br7");
    let create: [(&[&str], &str); 9] = [
        (
            &["-o", "com.docker.network.bridge.name=sixteen-letters-"],
            "interface name sixteen-letters- invalid",
        ),
        (&["-o", "wat=1"], "com.docker.network.driver.mtu"),
        (&["--scope=swarm"], "there is no cluster"),
        (&["--ipv4=false"], "a network has IPv4 unless it is given a range of IPv6 alone"),
        (&["--ipam-opt=a=b"], "has no options"),
        (&["--aux-address=a=10.1.1.1"], "single addresses cannot be kept free"),
        (&["--ingress"], "there is no cluster"),
        (&["--config-only"], "there is no cluster"),
        (&["--ipam-driver=none"], "addresses are given out by the network itself"),
    ];
    for (words, said) in create {
        // As with docker, wrong options end with 125.
        let refused = docker(&env, &[&["network", "create"], words, &["b"]].concat()).run();
        assert_eq!(refused.code, if words[0] == "-o" { 1 } else { 125 }, "{refused}");
        refused.says(said);
    }
    let connect: [(&str, &str); 3] = [
        ("--link=x", "links between containers"),
        ("--driver-opt=a=b", "no options for a single container"),
        ("--gw-priority=1", "the default route"),
    ];
    for (option, said) in connect {
        docker(&env, &["network", "connect", option, "a", "x"]).fails(125).says(said);
    }
    assert_eq!(env.coracle(["network", "ls", "-q"]).ok().lines(), ["a", "podman"]);
}

#[test]
fn the_built_in_network_has_dockers_name() {
    let env = TestEnv::new();
    env.coracle(["network", "create", "back"]).ok();
    env.coracle(["create", "--name=web", "--network=back", "--rootfs"])
        .arg(env.busybox_rootfs())
        .arg("true")
        .ok();
    docker(&env, &["network", "disconnect", "bridge", "web"])
        .fails(1)
        .says("container web is not connected to network bridge");
    for name in ["bridge", "host", "none"] {
        docker(&env, &["network", "rm", name]).fails(1).says(&format!(
            "Error response from daemon: {name} is a pre-defined network and cannot be removed"
        ));
    }
    let mixed = env
        .coracle(["create", "--network=bridge,back", "--rootfs"])
        .arg(env.busybox_rootfs())
        .arg("true")
        .ok();
    let format = "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}";
    assert_eq!(env.coracle(["inspect", "-f", format, mixed.text()]).ok().text().trim(), "back podman");
}

/// Hints under docker's name offer no options that it does not have.
#[test]
fn hints_are_about_dockers_options() {
    let env = TestEnv::new();
    env.coracle(["network", "create", "back"]).ok();
    env.coracle(["create", "--name=web", "--rootfs"]).arg(env.busybox_rootfs()).arg("true").ok();
    for (words, podmans) in [
        (&["network", "create", "back"][..], "--ignore"),
        (&["rename", "web", "web"], "--replace"),
        (&["port"], "--latest"),
        (&["top"], "--latest"),
        (&["logs"], "--latest"),
    ] {
        let said = docker(&env, words).fails(1);
        assert!(said.stderr.contains("Hint: ") && !said.stderr.contains(podmans), "{said}");
    }
    env.coracle(["network", "create", "back"]).fails(125).says("--ignore");
}
