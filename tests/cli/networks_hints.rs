//! What is said about networks and pods that cannot be had: the hints lead to what can.

use super::docker::docker;
use crate::common::TestEnv;
use std::net::TcpListener;

#[test]
fn hints_lead_to_what_works() {
    let env = TestEnv::with_images();
    env.coracle(["network", "create", "front"]).ok();
    env.coracle(["network", "create", "back"]).ok();
    env.coracle(["pod", "create", "--name=shop", "--network=front"]).ok();
    env.coracle(["create", "--pod=shop", "--name=web", "busybox", "sleep", "1000"]).ok();
    env.coracle(["create", "--name=own", "busybox", "sleep", "1000"]).ok();
    let infra = env.coracle(["pod", "inspect", "-f", "{{.InfraContainerID}}", "shop"]).ok().text().to_owned();
    for (words, said) in [
        (&["network", "create", "podman"][..], "Hint: Choose another name: this network is always there"),
        (
            &["create", "--pod=shop", "--ip=192.0.2.9", "busybox"],
            "networks must be defined when the pod is created",
        ),
        (&["create", "--pod=shop", "--ip=192.0.2.9", "busybox"], "Hint: Give it to the pod"),
        (&["network", "connect", "back", "own"], "Make it again on a network: coracle run --network bridge"),
        (
            &["create", "--network=host:foo", "busybox"],
            "Hint: Write the mode alone, for example --network host.",
        ),
        (&["network", "ls", "--filter=type=foo"], "Hint: Write type=builtin or type=custom."),
        (&["pod", "ps", "--filter=status=foo"], "Hint: Write status= with created, running"),
        (&["pod", "ps", "--filter=ctr-status=foo"], "Hint: Write ctr-status= with created, running"),
        (&["pod", "stop", "--pod-id-file=nosuch"], "reading pod ID file: open nosuch"),
        (&["create", "--pod-id-file=nosuch", "busybox"], "reading pod ID file: open nosuch"),
        (&["pod", "logs", "-c", "nosuch", "shop"], "container nosuch is not in pod shop"),
        (&["pod", "logs", "-c", "own", "shop"], "container own is not in pod shop"),
        (
            &["pod", "create", "--network=container:own"],
            "pods presently do not support network mode container",
        ),
        (&["logs", "shop"], "Hint: It is a pod. See its containers: coracle ps -a --filter pod=shop"),
        (&["stop", "shop"], "Hint: It is a pod."),
        (&["exec", "shop", "true"], "Hint: It is a pod."),
        (&["port", "shop"], "Hint: It is a pod."),
        (&["top", "shop"], "Hint: It is a pod."),
        (&["restart", "shop"], "Hint: It is a pod."),
    ] {
        env.coracle(words).fails(125).says(said);
    }
    let pruned = env.coracle(["network", "prune", "-f", "--filter=foo=bar"]).fails(125);
    assert!(!pruned.stderr.contains("images"), "{pruned}");
    env.coracle(["image", "prune", "-f", "--filter=foo=bar"]).fails(125).says("dangling=BOOL");
    // The network of a container in a pod is the infra container's.
    env.coracle(["network", "connect", "back", "web"])
        .fails(125)
        .says(&format!("coracle network connect NETWORK {}", &infra[..12]));
    env.coracle(["network", "connect", "back", &infra[..12]]).ok();
    env.coracle(["pod", "rm", "-f", "shop"]).ok();
}

/// What the hint says removes both, though they run.
#[test]
fn both_are_removed_as_the_hint_says() {
    let env = TestEnv::with_images();
    env.coracle(["run", "-d", "--name=one", "busybox", "sleep", "1000"]).ok();
    env.coracle(["run", "-d", "--name=two", "--network=container:one", "busybox", "sleep", "1000"]).ok();
    let refused = env.coracle(["rm", "one"]).fails(125);
    // Without force it says so of the dependent, whose id is long enough once.
    let running = env.coracle(["rm", "--depend", "one"]).fails(2).says("Stop it first: coracle stop ");
    let id = env.coracle(["inspect", "-f", "{{.Id}}", "two"]).ok().text().to_owned();
    assert_eq!(running.stderr.matches(&id).count(), 1, "{running}");
    let hint = refused.stderr.lines().last().unwrap().rsplit("coracle ").next().unwrap().to_owned();
    env.coracle(hint.split(' ')).arg("-t=0").ok();
    assert_eq!(env.coracle(["ps", "-aq"]).ok().stdout, "");
}

/// The neighbour of a port that is in use is often in use, too.
#[test]
fn a_port_in_use_names_a_way_that_always_works() {
    let env = TestEnv::with_images();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let publish = format!("127.0.0.1:{port}:80");
    env.coracle(["run", "--rm", "-p", &publish, "busybox", "true"])
        .fails(125)
        .says("or any free one: -p 80.");
}

#[test]
fn a_pod_is_found_by_its_name_whatever_its_host_name() {
    let env = TestEnv::with_images();
    env.coracle(["network", "create", "front"]).ok();
    env.coracle(["pod", "create", "--name=shop", "--hostname=counter", "--network=front"]).ok();
    env.coracle(["run", "-d", "--pod=shop", "--name=web", "busybox", "sleep", "1000"]).ok();
    for (name, is_found) in [("shop", true), ("counter", true), ("web", false)] {
        let asked = ["run", "--rm", "--network=front", "busybox", "nslookup", "-type=a", name];
        let asked = env.coracle(asked).run();
        assert_eq!(asked.code == 0, is_found, "{name}: {asked}");
    }
    env.coracle(["pod", "rm", "-f", "-t=0", "shop"]).ok();
}

#[test]
fn members_with_a_network_of_their_own_have_no_ports_of_the_pod() {
    let env = TestEnv::with_images();
    env.coracle(["pod", "create", "--name=shop", "-p", "127.0.0.1:18080:80"]).ok();
    env.coracle(["create", "--pod=shop", "--name=own", "--network=host", "busybox", "true"]).ok();
    env.coracle(["create", "--pod=shop", "--name=web", "busybox", "true"]).ok();
    let ports = |name: &str| {
        let filter = format!("--filter=name=^{name}$");
        env.coracle(["ps", "-a", &filter, "--format={{.Ports}}"]).ok().text().to_owned()
    };
    assert_eq!(ports("own"), "");
    assert!(ports("web").contains("->80/tcp"), "{}", ports("web"));
    env.coracle(["pod", "rm", "-f", "shop"]).ok();
}

#[test]
fn start_tells_of_what_it_started() {
    let env = TestEnv::with_images();
    env.coracle(["create", "--name=web", "busybox", "sleep", "1000"]).ok();
    assert_eq!(env.coracle(["start", "web"]).ok().text(), "web");
    assert_eq!(env.coracle(["start", "web"]).ok().stdout, "");
    assert_eq!(docker(&env, &["start", "web"]).ok().text(), "web");
    env.coracle(["rm", "-f", "-t=0", "web"]).ok();
}
