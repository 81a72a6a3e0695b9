use super::*;
use crate::container::ContainerId;
use crate::host::Limit;
use crate::image::{ChainId, Digest, ImageConfig};
use crate::plan::mount::{TmpfsArg, VolumeArg};
use crate::plan::request::{LifecycleRequest, MountRequest, ProcessRequest, RootfsRequest};
use crate::spec::{MountSource, SeccompSpec};
use chrono::DateTime;
use std::collections::BTreeMap;

pub(in crate::plan) fn facts() -> Facts {
    Facts {
        id: ContainerId::from_random([0xab; 32]),
        spare_name: "calm_heron".parse().unwrap(),
        created: DateTime::UNIX_EPOCH,
        caller: Caller {
            env: vec![("http_proxy".into(), "http://proxy".into())],
            cwd: "/home/u/work".into(),
            hostname: "laptop".into(),
            limits: vec![Limit { name: "nofile", soft: 1024, hard: 4096 }],
            sockets: None,
        },
        account: crate::plan::ids::Account {
            available: (65537, 65537),
            host: crate::container::ids::IdMaps::default(),
            ids: (1000, 1000),
            entry: Some("me:*:1000:1000:Me:/home/me:/bin/sh".into()),
        },
    }
}

pub(in crate::plan) fn request() -> Request {
    Request {
        process: ProcessRequest { passwd_entry: true, ..ProcessRequest::default() },
        mounts: MountRequest { read_only_tmpfs: true, ..MountRequest::default() },
        create_command: vec!["coracle".into(), "run".into()],
        ..Request::default()
    }
}

fn image(config: serde_json::Value) -> Image {
    let config: ImageConfig = serde_json::from_value(serde_json::json!({ "config": config })).unwrap();
    Image {
        id: Digest::sha256_of(b"config"),
        manifest: Digest::sha256_of(b"manifest"),
        reference: Some("docker.io/library/alpine".parse().unwrap()),
        layers: vec![ChainId(Digest::sha256_of(b"layer"))],
        config,
    }
}

fn shell() -> Image {
    image(serde_json::json!({ "Cmd": ["sh"] }))
}

fn plan_of(change: impl FnOnce(&mut Request), image: &Image) -> Result<ContainerSpec> {
    let mut request = request();
    change(&mut request);
    resolve(request, Some(image), &facts()).map(|resolved| resolved.spec)
}

#[test]
fn an_image_without_wishes_gets_the_defaults() {
    let plan = plan_of(|_| {}, &shell()).unwrap();
    assert_eq!(plan.process.argv, ["sh"]);
    assert_eq!(plan.process.cwd, Path::new("/"));
    assert_eq!(plan.process.umask, 0o022);
    assert_eq!(plan.name.as_str(), "calm_heron");
    assert_eq!(plan.hostname, "abababababab");
    assert_eq!(plan.limits.shm_size, 64 << 20);
    assert_eq!(plan.lifecycle.stop_signal, 15);
    assert_eq!(plan.lifecycle.stop_timeout, 10);
    assert_eq!(plan.lifecycle.timeout, None);
    assert_eq!(plan.image.as_ref().unwrap().reference, "docker.io/library/alpine:latest");
    assert_eq!(plan.root, RootSpec::Layers(shell().layers));
    assert!(plan.mounts.is_empty());
    assert_eq!(plan.process.user.user, "");
}

#[test]
fn a_plan_survives_being_written_and_read() {
    let plan = plan_of(
        |r| {
            r.mounts.list =
                vec!["./a:/b:ro,U".parse::<VolumeArg>().unwrap().0, "/t".parse::<TmpfsArg>().unwrap().0];
            r.network.ports = crate::netns::parse_publish("8080:80").unwrap();
            r.security.seccomp = Some(SeccompSpec::Profile("{}".into()));
        },
        &shell(),
    )
    .unwrap();
    let text = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<ContainerSpec>(&text).unwrap(), plan);
}

#[test]
fn the_image_configuration_is_honoured() {
    let image = image(serde_json::json!({
        "Entrypoint": ["/init"], "Cmd": ["serve"], "Env": ["PATH=/opt/bin", "MODE=prod"], "User": "app:web",
        "WorkingDir": "/srv/app", "ExposedPorts": {"80/tcp": {}, "53/udp": {}, "443": {}},
        "Volumes": {"/data": {}, "/data/deep": {}}, "StopSignal": "SIGQUIT",
        "Labels": {"a": "image", "b": "image"}, "Wat": [1, 2, 3]
    }));
    let plan = plan_of(
        |r| {
            r.labels = BTreeMap::from([("a".into(), "mine".into())]);
            r.network.expose = vec!["90-91/udp".into(), "80".into()];
        },
        &image,
    )
    .unwrap();
    assert_eq!(plan.process.argv, ["/init", "serve"]);
    assert!(plan.process.env.contains(&"PATH=/opt/bin".to_owned()));
    assert!(plan.process.env.contains(&"HOSTNAME=abababababab".to_owned()));
    assert_eq!(plan.process.user.user, "app:web");
    assert_eq!(plan.process.cwd, Path::new("/srv/app"));
    assert_eq!(plan.asked.exposed_ports, ["443/tcp", "53/udp", "80/tcp", "90/udp", "91/udp"]);
    assert_eq!(plan.lifecycle.stop_signal, 3);
    assert_eq!(plan.labels["a"], "mine");
    assert_eq!(plan.labels["b"], "image");
    let places: Vec<_> = plan.mounts.iter().map(|m| m.destination.to_str().unwrap()).collect();
    assert_eq!(places, ["/data", "/data/deep"]);
    for mount in &plan.mounts {
        let MountSource::Volume { anonymous, copy_up, .. } = &mount.source else { panic!("{mount:?}") };
        assert!(anonymous & copy_up);
    }
    assert_ne!(plan.mounts[0].source, plan.mounts[1].source);
    assert!(plan.network.ports.is_empty());
}

#[test]
fn what_is_asked_for_wins_over_the_image() {
    let image = image(serde_json::json!({
        "Cmd": ["serve"], "User": "app", "WorkingDir": "/srv", "StopSignal": "QUIT",
        "Volumes": {"/data": {}, "/run": {}}
    }));
    let plan = plan_of(
        |r| {
            r.name = Some("web".parse().unwrap());
            r.process.command = vec!["ls".into()];
            r.process.user = Some("7:8".into());
            r.process.cwd = Some("/x".into());
            r.hostname = Some("box".into());
            r.lifecycle = LifecycleRequest {
                stop_signal: Some(Signal::KILL),
                stop_timeout: Some(0),
                timeout: 5,
                monitor_pidfile: None,
                pidfile: Some("p".into()),
                auto_remove: true,
                remove_image: false,
                restart: "on-failure:2".parse().unwrap(),
                requires: Vec::new(),
            };
            r.mounts.list = vec![
                "./x/../d:/data/sub:ro".parse::<VolumeArg>().unwrap().0,
                "v:/data".parse::<VolumeArg>().unwrap().0,
            ];
            r.mounts.zone = Some("/usr/share/zoneinfo/UTC".into());
            r.security.readonly_root = true;
        },
        &image,
    )
    .unwrap();
    assert_eq!(
        (plan.name.as_str(), plan.hostname.as_str(), plan.process.user.user.as_str()),
        ("web", "box", "7:8")
    );
    assert_eq!(plan.process.argv, ["ls"]);
    assert_eq!(plan.process.cwd, Path::new("/x"));
    assert_eq!(plan.lifecycle.stop_signal, 9);
    assert_eq!(plan.lifecycle.stop_timeout, 0);
    assert_eq!(plan.lifecycle.timeout, Some(5));
    assert_eq!(plan.lifecycle.pidfile.as_deref(), Some(Path::new("/home/u/work/p")));
    let places: Vec<_> = plan.mounts.iter().map(|m| m.destination.to_str().unwrap()).collect();
    assert_eq!(places, ["/data", "/run", "/tmp", "/data/sub", "/var/tmp", "/etc/localtime"]);
    assert_eq!(plan.mounts[3].source, MountSource::Bind { path: "/home/u/work/d".into(), recursive: true });
    let MountSource::Volume { name, anonymous: false, .. } = &plan.mounts[0].source else { panic!() };
    assert_eq!(name.as_str(), "v");
    assert!(matches!(plan.mounts[1].source, MountSource::Volume { anonymous: true, .. }));
    assert!(plan.mounts[5].read_only && plan.mounts[3].read_only && !plan.mounts[2].no_exec);
}

#[test]
fn contradictions_are_refused() {
    type Change = fn(&mut Request);
    let cases: [(&str, Change); 12] = [
        ("--hostname", |r| {
            r.namespaces.uts = Share::Host;
            r.hostname = Some("x".into());
        }),
        ("--shm-size", |r| {
            r.namespaces.ipc = Share::Host;
            r.mounts.shm_size = Some(1);
        }),
        ("--init", |r| {
            r.namespaces.pid = Share::Host;
            r.process.init = true;
        }),
        ("passthrough", |r| {
            r.tty = true;
            r.log.driver = LogDriver::Passthrough;
        }),
        ("--dns", |r| {
            r.network.mode = NetworkMode::None;
            r.network.dns.search = vec!["x".into()];
        }),
        ("--no-hosts", |r| {
            r.files.hosts = false;
            r.network.hosts = crate::netns::parse_add_host("a:1.2.3.4").unwrap();
        }),
        ("keep-groups", |r| r.process.groups = vec!["keep-groups".into(), "5".into()]),
        ("duplicate mount destination", |r| {
            r.mounts.list = ["/a:/b", "/c:/b/"].map(|v| v.parse::<VolumeArg>().unwrap().0).to_vec();
        }),
        ("--sysctl", |r| {
            r.network.mode = NetworkMode::Host;
            r.limits.sysctls = vec!["net.ipv4.ip_forward=1".parse().unwrap()];
        }),
        ("limit nofile", |r| r.limits.ulimits = vec!["nofile=5000".parse().unwrap()]),
        ("added and dropped", |r| {
            r.security.cap_add = vec!["CHOWN".parse().unwrap()];
            r.security.cap_drop = r.security.cap_add.clone();
        }),
        ("published twice", |r| {
            r.network.ports = ["80:80", "80:81"].map(|p| crate::netns::parse_publish(p).unwrap()).concat();
        }),
    ];
    for (names, change) in cases {
        let mut early = request();
        change(&mut early);
        assert!(check(&early, &facts()).is_err(), "{names} is refused before a pull");
        let error = plan_of(change, &shell()).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        let text = format!("{} {:?}", error.message(), error.hints());
        let names = if names == "--sysctl" { "ip_forward" } else { names };
        assert!(text.contains(names), "{names}: {text}");
        assert!(!error.hints().is_empty(), "{names}");
    }
}

#[test]
fn odd_images_are_refused_by_name_and_never_panic() {
    for (config, names) in [
        (serde_json::json!({}), "no command or entrypoint provided"),
        (serde_json::json!({ "Cmd": null, "Entrypoint": null }), "no command or entrypoint provided"),
        (serde_json::json!({ "Cmd": ["sh"], "User": "4294967296" }), "user"),
        (serde_json::json!({ "Cmd": ["sh"], "User": "a b" }), "user"),
        (serde_json::json!({ "Cmd": ["sh"], "StopSignal": "SIGWAT" }), "stop signal"),
        (serde_json::json!({ "Cmd": ["sh"], "Volumes": { "/": {} } }), "volume"),
        (serde_json::json!({ "Cmd": ["sh"], "Volumes": { "/a\u{0}b": {} } }), "NUL"),
        (serde_json::json!({ "Cmd": ["sh"], "Env": ["A=\u{0}"] }), "NUL"),
        (serde_json::json!({ "Cmd": ["sh\u{0}"] }), "NUL"),
        (serde_json::json!({ "Cmd": ["sh"], "WorkingDir": "/a\u{0}" }), "NUL"),
        (serde_json::json!({ "Cmd": [""] }), "empty"),
    ] {
        let error = plan_of(|_| {}, &image(config.clone())).unwrap_err();
        assert!(error.message().contains(names), "{config}: {error}");
    }
    let odd = image(serde_json::json!({
        "Cmd": ["sh"], "Env": ["", "=", "A", "B=1=2"], "ExposedPorts": {"x": {}, "": {}, "1-65535/tcp": {}},
        "Volumes": {"data": {}, "/../up": {}}, "WorkingDir": "rel", "Healthcheck": {"Test": 5}
    }));
    let plan = plan_of(|_| {}, &odd).unwrap();
    assert_eq!(plan.process.cwd, Path::new("/rel"));
    let places: Vec<_> = plan.mounts.iter().map(|m| m.destination.to_str().unwrap()).collect();
    assert_eq!(places, ["/up", "/data"]);
    assert!(plan_of(|r| r.network.publish_all = true, &odd).is_err());
}

#[test]
fn case_15_labels_and_annotations_change_no_setting() {
    let hostile = [
        ("io.podman.annotations.privileged", "TRUE"),
        ("io.podman.annotations.seccomp", "unconfined"),
        ("io.podman.annotations.label", "disable"),
        ("io.containers.seccomp.profile", "{}"),
        ("io.containers.capabilities", "ALL"),
        ("run.oci.keep_original_groups", "1"),
        ("run.oci.seccomp.receiver", "/tmp/x"),
        ("run.oci.systemd.subgroup", "../.."),
        ("org.systemd.property.ExecStart", "'/bin/sh'"),
        ("io.kubernetes.cri-o.userns-mode", "host"),
        ("io.coracle.privileged", "true"),
        ("coracle.network", "host"),
    ];
    let labels: BTreeMap<String, String> = hostile.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    let plain = plan_of(|_| {}, &shell()).unwrap();
    let labelled = image(serde_json::json!({ "Cmd": ["sh"], "Labels": labels }));
    let mut plan = plan_of(
        |r| {
            r.labels = labels.clone();
            r.annotations = labels.clone();
        },
        &labelled,
    )
    .unwrap();
    assert_eq!((&plan.labels, &plan.asked.labels), (&labels, &labels));
    assert!(
        plan_of(|_| {}, &labelled).unwrap().asked.labels.is_empty(),
        "what an image says nobody has asked for"
    );
    plan.labels.clear();
    plan.asked.labels.clear();
    plan.annotations.clear();
    assert_eq!(plan, plain);
}

#[test]
fn ports_are_published_where_the_network_carries_them() {
    let image = image(serde_json::json!({ "Cmd": ["sh"], "ExposedPorts": {"80/tcp": {}, "53/udp": {}} }));
    let all = |mode: &NetworkMode| {
        plan_of(
            |r| {
                r.network.mode = mode.clone();
                r.network.publish_all = true;
                r.network.expose = vec!["90-91".into()];
                r.network.ports = crate::netns::parse_publish("8080:80").unwrap();
            },
            &image,
        )
        .unwrap()
        .network
        .ports
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
    };
    let ports = all(&NetworkMode::default());
    assert_eq!(ports.len(), 4, "{ports:?}");
    assert!(ports.contains(&"0.0.0.0:8080->80/tcp".to_owned()));
    assert!(ports.contains(&"0.0.0.0:0->53/udp".to_owned()));
    assert!(all(&NetworkMode::Host).is_empty());
    assert!(all(&NetworkMode::None).is_empty());
}

#[test]
fn roots_are_images_directories_or_the_hosts_tree() {
    let rooted = |path: &str, overlay: bool| {
        let mut request = request();
        request.rootfs = Some(RootfsRequest { path: path.into(), overlay });
        request.process.command = vec!["sh".into()];
        resolve(request, None, &facts()).map(|resolved| resolved.spec.root)
    };
    assert_eq!(rooted("/", true).unwrap(), RootSpec::HostTree);
    assert_eq!(
        rooted("tree", false).unwrap(),
        RootSpec::Directory { path: "/home/u/work/tree".into(), overlay: false }
    );
    assert_eq!(
        rooted("/srv/./tree/", true).unwrap(),
        RootSpec::Directory { path: "/srv/tree".into(), overlay: true }
    );
    assert!(rooted("/", false).unwrap_err().hints()[0].contains("/:O"));
}

#[test]
fn the_hosts_name_is_kept_where_its_network_or_name_is_shared() {
    for (change, name) in [
        ((|r| r.network.mode = NetworkMode::Host) as fn(&mut Request), "laptop"),
        (|r| r.namespaces.uts = Share::Host, "laptop"),
        (|r| r.network.mode = NetworkMode::None, "abababababab"),
    ] {
        assert_eq!(plan_of(change, &shell()).unwrap().hostname, name);
    }
}
