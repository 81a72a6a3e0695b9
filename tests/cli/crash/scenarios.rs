//! What is killed: one row for each verb that changes the store.
//!
//! In the words `@pull` is an image in the registry, `@push` a name there, `@archive` a saved image, `@tree` an archive of files, `@context` a
//! directory to build from, and `keep:1` an image of the store; `c`, `d`, `data`, `made:1` and the like are the objects under change.

/// A verb, what has to be there before, and what counts as right after it was killed.
#[derive(Debug)]
pub(super) struct Scenario {
    /// For messages, and to choose it by.
    pub(super) name: &'static str,
    /// Commands before.
    pub(super) prepare: &'static [Words],
    /// The commands that are killed.
    pub(super) acts: &'static [Words],
    /// What the same commands may say instead of succeeding when they come again: that all is done.
    pub(super) again: &'static [&'static str],
    /// Statuses that the containers of the acts may have in between.
    pub(super) statuses: &'static [&'static str],
    /// Whether a container that was made and not started may be left, also under a name of our choosing.
    pub(super) leaves_made: bool,
    /// Whether one container takes the place of another, and either may have a provisional name in between.
    pub(super) exchanges: bool,
}

type Words = &'static [&'static str];

const NONE: Scenario = Scenario {
    name: "",
    prepare: &[],
    acts: &[],
    again: &[],
    statuses: &[],
    leaves_made: false,
    exchanges: false,
};

const LIST: Words = &["manifest", "create", "list:1", "keep:1"];
const TAKEN_NAME: &[&str] = &["that name is already in use"];

const POD_TAKEN: &[&str] = &["is in use: pod already exists"];
const ON_FRONT_NETWORK: Words = &["network", "create", "--internal", "front"];
const ON_FRONT: [&str; 8] =
    ["run", "-d", "--name=one", "--stop-timeout=0", "--network=front", "keep:1", "sleep", "1000"];

const TAKEN: &[&str] = &["is already in use"];
const GONE: &[&str] = &["no such container"];
/// A start that was killed: not begun, begun, or ended with its monitor.
const STARTED: &[&str] = &["created", "running", "exited"];

const BUILD: Words = &["build", "-q", "--network=none", "-t=made:1", "@context"];
const IDLE: Words = &["run", "-d", "--name=one", "--network=none", "keep:1", "sleep", "1000"];
const MADE: Words = &["create", "--name=one", "--network=none", "-v=/a", "keep:1", "sleep", "1000"];

pub(super) const ALL: &[Scenario] = &[
    Scenario {
        name: "create",
        acts: &[&[
            "create",
            "--name=one",
            "--network=none",
            "-v=data:/d",
            "-v=/a",
            "--secret=kept",
            "keep:1",
            "sleep",
            "1000",
        ]],
        again: TAKEN,
        ..NONE
    },
    Scenario { name: "run-d", acts: &[IDLE], again: TAKEN, statuses: STARTED, ..NONE },
    Scenario {
        name: "run-rm",
        acts: &[&["run", "--rm", "--name=one", "-v=/a", "-v=kept:/d", "keep:1", "true"]],
        again: TAKEN,
        statuses: STARTED,
        leaves_made: true,
        ..NONE
    },
    Scenario {
        name: "run-to-its-end",
        acts: &[&["run", "--name=one", "--network=none", "keep:1", "sh", "-c", "exit 3"]],
        again: TAKEN,
        statuses: STARTED,
        ..NONE
    },
    Scenario {
        name: "run-with-restarts",
        acts: &[
            &["run", "-d", "--name=one", "--network=none", "--restart=on-failure:2", "keep:1", "false"],
            &["wait", "one"],
        ],
        again: &["is already in use", "no such container"],
        statuses: &["created", "running", "exited", "restarting"],
        ..NONE
    },
    Scenario {
        name: "run-fills-a-volume",
        prepare: &[&["volume", "create", "data"]],
        acts: &[&["run", "--rm", "--network=none", "-v=data:/content", "keep:1", "true"]],
        statuses: STARTED,
        leaves_made: true,
        ..NONE
    },
    Scenario {
        name: "run-replace",
        prepare: &[IDLE],
        acts: &[&["run", "-d", "--replace", "--name=one", "--network=none", "keep:1", "sleep", "1000"]],
        statuses: STARTED,
        leaves_made: true,
        ..NONE
    },
    Scenario {
        name: "auto-update",
        prepare: &[
            &["tag", "keep:1", "app:1"],
            &[
                "run",
                "-d",
                "--name=one",
                "--network=none",
                "-v=/a",
                "--stop-timeout=0",
                "--label=io.containers.autoupdate=local",
                "app:1",
                "sleep",
                "1000",
            ],
            &["build", "-q", "--network=none", "-t=app:1", "@context"],
        ],
        acts: &[&["auto-update"]],
        statuses: STARTED,
        exchanges: true,
        ..NONE
    },
    Scenario { name: "mount", prepare: &[MADE], acts: &[&["unshare", "sh", "-c", "@mount"]], ..NONE },
    Scenario { name: "start", prepare: &[MADE], acts: &[&["start", "one"]], statuses: STARTED, ..NONE },
    Scenario {
        name: "start-and-stop",
        prepare: &[MADE],
        acts: &[&["start", "one"], &["stop", "-t=0", "one"]],
        statuses: STARTED,
        ..NONE
    },
    Scenario {
        name: "stop",
        prepare: &[IDLE],
        acts: &[&["stop", "-t=0", "one"]],
        statuses: &["running", "exited"],
        ..NONE
    },
    Scenario {
        name: "restart",
        prepare: &[IDLE],
        acts: &[&["restart", "-t=0", "one"]],
        statuses: STARTED,
        ..NONE
    },
    Scenario {
        name: "exec",
        prepare: &[IDLE],
        acts: &[&["exec", "one", "true"]],
        statuses: &["running"],
        ..NONE
    },
    Scenario { name: "rm", prepare: &[MADE], acts: &[&["rm", "-v", "one"]], again: GONE, ..NONE },
    Scenario {
        name: "rm-f",
        prepare: &[&["run", "-d", "--name=one", "--network=none", "-v=/a", "keep:1", "sleep", "1000"]],
        acts: &[&["rm", "-f", "-v", "-t=0", "one"]],
        // `sleep` does not care for the signal that comes before the kill.
        statuses: &["running", "stopping", "exited"],
        ..NONE
    },
    Scenario { name: "rename", prepare: &[MADE], acts: &[&["rename", "one", "two"]], again: GONE, ..NONE },
    Scenario { name: "update", prepare: &[MADE], acts: &[&["update", "--restart=always", "one"]], ..NONE },
    Scenario {
        name: "update-limits",
        prepare: &[IDLE],
        acts: &[&["update", "--pids-limit=100", "one"]],
        statuses: &["running"],
        ..NONE
    },
    Scenario {
        name: "container-prune",
        prepare: &[MADE, &["create", "--name=two", "--network=none", "keep:1", "true"]],
        acts: &[&["container", "prune", "-f", "--filter=label!=keep"]],
        ..NONE
    },
    Scenario {
        name: "commit",
        prepare: &[&["run", "--name=one", "--network=none", "keep:1", "sh", "-c", "echo made >/mark"]],
        acts: &[&["commit", "-q", "one", "made:1"]],
        ..NONE
    },
    Scenario {
        name: "commit-over-a-name",
        prepare: &[
            &["run", "--name=one", "--network=none", "keep:1", "sh", "-c", "echo made >/mark"],
            &["tag", "keep:1", "made:1"],
        ],
        acts: &[&["commit", "-q", "-s", "one", "made:1"]],
        ..NONE
    },
    Scenario { name: "build", acts: &[BUILD], ..NONE },
    Scenario { name: "build-on-a-killed-one", prepare: &[&["@killed-build"]], acts: &[BUILD], ..NONE },
    Scenario {
        name: "build-after-a-power-cut",
        prepare: &[BUILD, &["rmi", "made:1"], &["@tear"]],
        acts: &[BUILD],
        ..NONE
    },
    Scenario {
        name: "builder-prune",
        prepare: &[BUILD],
        acts: &[&["rmi", "made:1"], &["builder", "prune", "-a", "-f"]],
        again: &["image not known"],
        ..NONE
    },
    Scenario { name: "pull", acts: &[&["pull", "-q", "@pull"]], ..NONE },
    Scenario { name: "push", prepare: &[BUILD], acts: &[&["push", "-q", "made:1", "@push"]], ..NONE },
    Scenario { name: "load", acts: &[&["load", "-q", "-i", "@archive"]], ..NONE },
    Scenario { name: "import", acts: &[&["import", "-q", "@tree", "made:1"]], ..NONE },
    Scenario { name: "tag", acts: &[&["tag", "keep:1", "more:1", "more:2"]], ..NONE },
    Scenario {
        name: "untag",
        prepare: &[&["tag", "keep:1", "more:1"]],
        acts: &[&["untag", "keep:1", "more:1"]],
        again: &["tag not known"],
        ..NONE
    },
    Scenario {
        name: "tag-with-full-events",
        prepare: &[&["@fill-events"]],
        acts: &[&["tag", "keep:1", "more:1"]],
        ..NONE
    },
    Scenario {
        name: "rmi",
        prepare: &[&["pull", "-q", "@pull"], &["tag", "@pull", "more:1"]],
        acts: &[&["rmi", "more:1", "@pull"]],
        again: &["image not known"],
        ..NONE
    },
    Scenario {
        name: "image-prune",
        prepare: &[&["import", "-q", "@tree", "made:1"], &["import", "-q", "@tree", "made:1"]],
        acts: &[&["image", "prune", "-f"], &["image", "prune", "-a", "-f"]],
        ..NONE
    },
    Scenario {
        name: "manifest-create",
        acts: &[&["manifest", "create", "--annotation=a=b", "list:1", "keep:1"]],
        again: TAKEN_NAME,
        ..NONE
    },
    Scenario {
        name: "manifest-change",
        prepare: &[&["import", "-q", "@tree", "made:1"], LIST],
        acts: &[
            &["manifest", "add", "--annotation=a=b", "list:1", "made:1"],
            &["manifest", "annotate", "--os-version=1", "list:1", "keep:1"],
            &["manifest", "remove", "list:1", "made:1"],
        ],
        ..NONE
    },
    Scenario {
        name: "manifest-tag",
        prepare: &[LIST, &["tag", "list:1", "more:1"]],
        acts: &[&["tag", "more:1", "other:1"], &["tag", "keep:1", "list:1"]],
        ..NONE
    },
    Scenario {
        name: "manifest-rm",
        prepare: &[LIST, &["tag", "list:1", "more:1"]],
        acts: &[&["manifest", "rm", "list:1"], &["manifest", "rm", "more:1"]],
        again: &["image not known"],
        ..NONE
    },
    Scenario {
        name: "rmi-of-a-list",
        prepare: &[
            &["import", "-q", "@tree", "made:1"],
            &["manifest", "create", "list:1", "made:1"],
            &["rmi", "made:1"],
        ],
        acts: &[&["rmi", "list:1"]],
        again: &["image not known"],
        ..NONE
    },
    Scenario {
        name: "prune-of-a-list",
        prepare: &[
            &["import", "-q", "@tree", "made:1"],
            &["manifest", "create", "list:1", "made:1"],
            &["untag", "made:1"],
            &["untag", "list:1"],
        ],
        acts: &[&["image", "prune", "-f"]],
        ..NONE
    },
    Scenario {
        name: "build-manifest",
        acts: &[&["build", "-q", "--network=none", "--manifest=list:1", "@context"]],
        ..NONE
    },
    Scenario {
        name: "volume-create",
        acts: &[&["volume", "create", "data"]],
        again: &["volume already exists"],
        ..NONE
    },
    Scenario {
        name: "volume-rm",
        prepare: &[&["volume", "create", "data"], &["volume", "import", "data", "@tree"]],
        acts: &[&["volume", "rm", "data"]],
        again: &["no volume with name"],
        ..NONE
    },
    Scenario {
        name: "volume-prune",
        prepare: &[
            &["volume", "create", "data"],
            &["volume", "import", "data", "@tree"],
            &["volume", "create", "more"],
        ],
        acts: &[&["volume", "prune", "-f"]],
        ..NONE
    },
    Scenario {
        name: "network-create",
        acts: &[&["network", "create", "back"]],
        again: &["network already exists"],
        ..NONE
    },
    Scenario {
        name: "network-rm",
        prepare: &[&["network", "create", "back"]],
        acts: &[&["network", "rm", "back"]],
        again: &["network not found"],
        ..NONE
    },
    Scenario {
        name: "network-prune",
        prepare: &[&["network", "create", "back"], &["network", "create", "front"]],
        acts: &[&["network", "prune", "-f"]],
        ..NONE
    },
    Scenario {
        name: "pod-create",
        acts: &[&["pod", "create", "--name=p", "--network=none"]],
        again: POD_TAKEN,
        ..NONE
    },
    Scenario {
        name: "pod-rm",
        prepare: &[
            &["pod", "create", "--name=p", "--network=none"],
            &["create", "--pod=p", "--name=one", "-v=/a", "keep:1", "sleep", "1000"],
        ],
        acts: &[&["pod", "rm", "p"]],
        again: &["no such pod"],
        ..NONE
    },
    Scenario {
        name: "run-in-a-new-pod",
        acts: &[&["run", "-d", "--pod=new:p", "--name=one", "--network=none", "keep:1", "sleep", "1000"]],
        again: POD_TAKEN,
        statuses: STARTED,
        leaves_made: true,
        ..NONE
    },
    Scenario {
        name: "network-update",
        prepare: &[&["network", "create", "back"]],
        acts: &[&["network", "update", "--dns-add=192.0.2.53", "back"]],
        ..NONE
    },
    Scenario {
        name: "network-connect",
        prepare: &[ON_FRONT_NETWORK, &["network", "create", "--internal", "back"], &ON_FRONT],
        acts: &[&["network", "connect", "back", "one"]],
        again: &["is already connected"],
        ..NONE
    },
    Scenario {
        name: "network-connect-monitor",
        prepare: &[ON_FRONT_NETWORK, &["network", "create", "--internal", "back"]],
        acts: &[&ON_FRONT, &["network", "connect", "back", "one"]],
        // Each child of a monitor that was started so is killed.
        again: &["is already connected", "is already in use", "the helper died"],
        statuses: STARTED,
        ..NONE
    },
    Scenario {
        name: "rename-on-a-network",
        prepare: &[ON_FRONT_NETWORK, &ON_FRONT],
        acts: &[&["rename", "one", "two"]],
        again: GONE,
        statuses: STARTED,
        ..NONE
    },
    Scenario {
        name: "network-disconnect",
        prepare: &[ON_FRONT_NETWORK, &ON_FRONT],
        acts: &[&["network", "disconnect", "front", "one"]],
        again: &["is not connected"],
        ..NONE
    },
    Scenario {
        name: "secret-create",
        acts: &[&["secret", "create", "data", "@secret"]],
        again: &["exists already"],
        ..NONE
    },
    Scenario {
        name: "secret-replace",
        prepare: &[&["secret", "create", "data", "@tree-list"]],
        acts: &[&["secret", "create", "--replace", "data", "@secret"]],
        ..NONE
    },
    Scenario {
        name: "secret-rm",
        prepare: &[&["secret", "create", "data", "@secret"]],
        acts: &[&["secret", "rm", "data"]],
        again: &["no secret with name or id"],
        ..NONE
    },
    Scenario {
        name: "system-prune",
        prepare: &[
            MADE,
            &["import", "-q", "@tree", "made:1"],
            &["import", "-q", "@tree", "made:1"],
            &["volume", "create", "data"],
        ],
        acts: &[&["system", "prune", "-f", "-a", "--volumes", "--filter=label!=keep"]],
        ..NONE
    },
    Scenario {
        name: "reset",
        prepare: &[&[
            "run",
            "-d",
            "--name=one",
            "--stop-timeout=0",
            "--network=none",
            "keep:1",
            "sleep",
            "1000",
        ]],
        acts: &[&["system", "reset", "-f"]],
        statuses: STARTED,
        ..NONE
    },
];
