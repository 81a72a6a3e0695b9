//! Networks as records: making, listing, showing and removing them.

use super::docker::docker;
use crate::common::TestEnv;
use serde_json::json;

#[test]
fn a_network_is_created_listed_shown_and_removed() {
    let env = TestEnv::new();
    let made = [
        "network",
        "create",
        "--subnet",
        "198.51.100.0/24",
        "--ip-range",
        "198.51.100.128/25",
        "--label",
        "job=night",
        "-o",
        "mtu=1400",
        "--dns",
        "203.0.113.53",
        "back",
    ];
    assert_eq!(env.coracle(made).ok().text(), "back");
    assert_eq!(env.coracle(["network", "ls", "-q"]).ok().lines(), ["back", "podman"]);
    let shown = &env.coracle(["network", "inspect", "back"]).ok().json()[0];
    assert_eq!(
        shown["subnets"],
        json!([{
            "subnet": "198.51.100.0/24", "gateway": "198.51.100.1",
            "lease_range": { "start_ip": "198.51.100.129", "end_ip": "198.51.100.255" },
        }])
    );
    assert_eq!((&shown["options"]["mtu"], &shown["labels"]["job"]), (&json!("1400"), &json!("night")));
    assert_eq!(
        (&shown["dns_enabled"], &shown["network_dns_servers"]),
        (&json!(true), &json!(["203.0.113.53"]))
    );
    let id = shown["id"].as_str().unwrap().to_owned();
    assert_eq!(
        env.coracle(["network", "inspect", "-f", "{{.Name}} {{.Driver}}", &id[..9]]).ok().text(),
        "back bridge"
    );
    env.coracle(["network", "exists", &id]).ok();
    for (filter, wanted) in [
        ("label=job=night", "back"),
        ("label!=job", "podman"),
        ("type=builtin", "podman"),
        ("dangling=true", "back"),
        ("name=^ba", "back"),
        ("until=1h", ""),
    ] {
        assert_eq!(env.coracle(["network", "ls", "-q", "--filter", filter]).ok().text(), wanted, "{filter}");
    }
    env.coracle(["network", "ls", "--filter", "wat=x"]).fails(125).says("wat");
    env.coracle(["network", "create", "back"])
        .fails(125)
        .says("network name back already used: network already exists");
    env.coracle(["network", "create", "--ignore", "back"]).ok();
    assert_eq!(env.coracle(["network", "rm", "back"]).ok().text(), "back");
    env.coracle(["network", "exists", "back"]).fails(1);
    env.coracle(["network", "rm", "back"])
        .fails(1)
        .says("unable to find network with name or ID back: network not found");
    env.coracle(["network", "rm", "-f", "back"]).ok();
    let events = env
        .coracle([
            "events",
            "--since=1h",
            "--stream=false",
            "--filter=type=network",
            "--format={{.Status}} {{.Name}}",
        ])
        .ok();
    assert_eq!(events.lines(), ["create back", "remove back"]);
}

#[test]
fn names_and_ranges_are_chosen_so_that_nothing_overlaps() {
    let env = TestEnv::new();
    let names: Vec<String> =
        (0..3).map(|_| env.coracle(["network", "create", "--ipv6"]).ok().text().to_owned()).collect();
    assert_eq!(names, ["podman1", "podman2", "podman3"]);
    let mut ranges = Vec::new();
    for name in &names {
        let shown = &env.coracle(["network", "inspect", name]).ok().json()[0];
        for subnet in shown["subnets"].as_array().unwrap() {
            ranges.push(subnet["subnet"].as_str().unwrap().to_owned());
        }
    }
    let (four, six): (Vec<&String>, Vec<&String>) = ranges.iter().partition(|range| range.starts_with("10."));
    assert!(
        four.len() == 3 && six.len() == 3 && six.iter().all(|range| range.starts_with("fd")),
        "{ranges:?}"
    );
    ranges.sort();
    ranges.dedup();
    assert_eq!(ranges.len(), 6);
    env.coracle(["network", "prune", "-f"]).ok();
    assert_eq!(env.coracle(["network", "ls", "-q"]).ok().text(), "podman");
}

#[test]
fn many_at_once_get_ranges_of_their_own() {
    let env = TestEnv::new();
    let running: Vec<_> = (0..8).map(|_| env.coracle(["network", "create"]).start()).collect();
    let mut names: Vec<String> = running.into_iter().map(|one| one.wait().text().to_owned()).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 8);
    let format = "{{range .Subnets}}{{.Subnet}}{{end}}";
    let mut ranges = env.coracle(["network", "inspect", "-f", format]).args(&names).ok().lines();
    ranges.sort();
    ranges.dedup();
    assert_eq!(ranges.len(), 8);
}

#[test]
fn what_cannot_be_had_is_refused_in_podmans_words() {
    let env = TestEnv::new();
    env.coracle(["network", "create", "--subnet", "198.51.100.0/24", "back"]).ok();
    for (words, want) in [
        (
            &["--subnet", "198.51.100.0/25", "c"][..],
            "subnet 198.51.100.0/25 is already used on the host or by another config",
        ),
        (&["--subnet", "10.88.7.0/24", "c"], "is already used on the host or by another config"),
        (&["--subnet", "198.51.100.0/33", "c"], "invalid CIDR address: 198.51.100.0/33"),
        (
            &["--subnet", "203.0.113.0/24", "--gateway", "198.51.100.1", "c"],
            "gateway 198.51.100.1 not in subnet 203.0.113.0/24",
        ),
        (&["--gateway", "198.51.100.1", "c"], "cannot set gateway or range without subnet"),
        (&["-d", "macvlan", "c"], "only root can give containers an interface on the host's own link"),
        (&["-d", "wat", "c"], "unsupported driver wat: invalid argument"),
        (&["-o", "wat=1", "c"], "unsupported bridge network option wat"),
        (&["-o", "isolate=maybe", "c"], "invalid value \"maybe\" of bridge network option isolate"),
        (&["-o", "mtu=x", "c"], "invalid value \"x\" of bridge network option mtu"),
        (
            &["host"],
            "cannot create network with name \"host\" because it conflicts with a valid network mode",
        ),
        (&["a b"], "network name a b invalid: names must match [a-zA-Z0-9][a-zA-Z0-9_.-]*: invalid argument"),
        (&["podman"], "network name podman already used: network already exists"),
        (
            &["--disable-dns", "--dns", "203.0.113.53", "c"],
            "cannot set NetworkDNSServers if DNS is not enabled for the network",
        ),
        (&["--route", "wat", "c"], "invalid route \"wat\""),
        (&["--route", "10.1.0.0/16,10.2.0.1", "c"], "is in none of the network's subnets"),
        (&["--interface-name", "sixteen-letters-", "c"], "interface name sixteen-letters- invalid"),
    ] {
        env.coracle(["network", "create"]).args(words).fails(125).says(want);
    }
    assert_eq!(env.coracle(["network", "ls", "-q"]).ok().lines(), ["back", "podman"]);
    env.coracle(["network", "rm", "podman"]).fails(125).says("default network podman cannot be removed");
}

#[test]
fn a_network_stays_as_long_as_a_container_names_it() {
    let env = TestEnv::new();
    env.coracle(["network", "create", "back"]).ok();
    let rootfs = env.busybox_rootfs();
    let create = |network: &str| {
        env.coracle(["create", "--name", "web", "--network", network, "--rootfs"]).arg(&rootfs).arg("true")
    };
    create("nosuch").fails(125).says("unable to find network with name or ID nosuch: network not found");
    assert_eq!(env.coracle(["ps", "-aq"]).ok().stdout, "");
    create("back").ok();
    assert_eq!(
        env.coracle(["ps", "-a", "--filter=network=back", "--format={{.Names}} {{.Networks}}"]).ok().text(),
        "web back"
    );
    assert_eq!(env.coracle(["network", "ls", "-q", "--filter=dangling=true"]).ok().stdout, "");
    env.coracle(["network", "rm", "back"]).fails(2).says("network is being used");
    env.coracle(["network", "prune", "-f"]).ok();
    env.coracle(["network", "exists", "back"]).ok();
    env.coracle(["network", "rm", "-f", "back"]).ok();
    assert_eq!(env.coracle(["ps", "-aq"]).ok().stdout, "");
}

#[test]
fn places_that_a_network_does_not_have_are_refused() {
    let env = TestEnv::new();
    env.coracle(["network", "create", "--subnet", "198.51.100.0/24", "back"]).ok();
    env.coracle(["network", "create", "front"]).ok();
    env.coracle(["network", "create", "--disable-dns", "mute"]).ok();
    let rootfs = env.busybox_rootfs();
    for (words, want) in [
        (
            &["--network=back", "--ip=203.0.113.5"][..],
            "requested static ip 203.0.113.5 not in any subnet on network back",
        ),
        (&["--network=back", "--ip=198.51.100.1"], "requested static ip 198.51.100.1"),
        (
            &["--network=back", "--ip6=fd01::5"],
            "requested static ip fd01::5 not in any subnet on network back",
        ),
        (
            &["--network=back", "--network=front", "--ip=198.51.100.5"],
            "--ip can only be set for a single network: invalid argument",
        ),
        (&["--ip=198.51.100.5"], "--ip can only be set when the network mode is bridge: invalid argument"),
        (
            &["--network-alias=db"],
            "--network-alias can only be set when the network mode is bridge: invalid argument",
        ),
        (&["--network=back", "--network=back"], "network back is given twice"),
        (
            &["--network=back", "--network=host"],
            "can only set extra network names, selected mode host conflicts with bridge",
        ),
        (
            &["--network=host", "--network=back"],
            "cannot set multiple networks without bridge network mode, selected mode host",
        ),
        (
            &["--network=back:interface_name=eth1", "--network=front"],
            "interface name eth1 is given to two networks",
        ),
        (&["--network=mute", "--network-alias=db"], "it has no DNS"),
    ] {
        env.coracle(["create"]).args(words).arg("--rootfs").arg(&rootfs).arg("true").fails(125).says(want);
    }
    assert_eq!(env.coracle(["ps", "-aq"]).ok().stdout, "");
}

/// podman-compose gives every service an alias.
#[test]
fn the_built_in_network_takes_aliases() {
    let env = TestEnv::with_images();
    env.coracle(["run", "--rm", "--network=bridge:alias=web", "busybox", "true"]).ok();
    docker(&env, &["run", "--rm", "--network=bridge", "--network-alias=web", "busybox", "true"]).ok();
}

#[test]
fn force_takes_pods_along_and_nothing_of_dockers() {
    let env = TestEnv::with_images();
    env.coracle(["network", "create", "back"]).ok();
    env.coracle(["pod", "create", "--name=shop", "--network=back"]).ok();
    env.coracle(["run", "-d", "--pod=shop", "--name=web", "busybox", "sleep", "1000"]).ok();
    docker(&env, &["network", "rm", "-f", "back"]).fails(1).says("has active endpoints");
    assert_eq!(env.coracle(["ps", "-q"]).ok().lines().len(), 2);
    docker(&env, &["network", "rm", "-f", "nowhere"]).ok();
    env.coracle(["network", "rm", "-f", "-t=0", "back"]).ok();
    assert_eq!(env.coracle(["pod", "ps", "-q"]).ok().stdout, "");
    assert_eq!(env.coracle(["ps", "-aq"]).ok().stdout, "");
}

#[test]
fn unknown_verbs_are_called_unknown() {
    let env = TestEnv::new();
    for group in ["network", "pod", "volume"] {
        env.coracle([group, "frob"]).fails(125).says("unrecognized command");
    }
    env.coracle(["pod", "clone", "a"]).fails(125).says("is not supported: make another one");
}

#[test]
fn docker_has_its_own_form_and_names() {
    let env = TestEnv::new();
    let id = docker(&env, &["network", "create", "--label", "a=b", "back"]).ok().text().to_owned();
    assert_eq!(id.len(), 64);
    let names = docker(&env, &["network", "ls", "--format", "{{.Name}} {{.Driver}} {{.Scope}}"]).ok();
    assert_eq!(
        names.lines(),
        ["back bridge local", "bridge bridge local", "host host local", "none null local"]
    );
    let shown = &docker(&env, &["network", "inspect", "back"]).ok().json()[0];
    assert_eq!((&shown["Id"], &shown["Labels"]), (&json!(id), &json!({ "a": "b" })));
    assert!(shown["IPAM"]["Config"][0]["Gateway"].as_str().unwrap().ends_with(".1"), "{shown}");
    assert_eq!(docker(&env, &["network", "inspect", "bridge", "-f", "{{.Name}}"]).ok().text(), "bridge");
    docker(&env, &["network", "inspect", "nosuch"]).fails(1).says("network nosuch not found");
    docker(&env, &["network", "rm", "bridge"])
        .fails(1)
        .says("bridge is a pre-defined network and cannot be removed");
    docker(&env, &["network", "rm", &id[..10]]).ok();
}

#[test]
fn a_damaged_record_is_found_and_put_aside_and_leftovers_are_removed() {
    let env = TestEnv::new();
    env.coracle(["network", "create", "--internal", "back"]).ok();
    env.coracle(["network", "create", "front"]).ok();
    std::fs::write(env.root().join("networks/front/network.json"), "{").unwrap();
    let left = env.runroot().join("networks/0123456789abcdef0123456789abcdef");
    std::fs::create_dir_all(&left).unwrap();
    std::fs::write(left.join("lock"), "").unwrap();
    let found = env.coracle(["system", "check"]).run();
    assert!(found.code != 0 && found.stdout.contains("network front"), "{found}");
    assert!(found.stdout.contains("runtime directory of network 0123456789abcdef"), "{found}");
    env.coracle(["system", "check", "--repair"]).ok();
    env.coracle(["system", "check"]).ok();
    assert!(!left.exists());
    assert_eq!(env.coracle(["network", "ls", "-q"]).ok().lines(), ["back", "podman"]);
    // A network that was used leaves nothing when it is removed.
    env.coracle(["run", "--rm", "--network", "back", "--rootfs"]).arg(env.busybox_rootfs()).arg("true").ok();
    env.coracle(["network", "rm", "back"]).ok();
    assert_eq!(std::fs::read_dir(env.runroot().join("networks")).unwrap().count(), 0);
}
