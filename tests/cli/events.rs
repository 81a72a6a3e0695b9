//! `events`: what verbs tell, and how it is shown.

use super::ps::{IDLE, start};
use crate::common::{TestEnv, eventually};

/// What has happened, by a template.
fn told(env: &TestEnv, options: &[&str], template: &str) -> Vec<String> {
    let mut lines =
        env.coracle(["events", "--stream=false", "--format", template]).args(options).ok().lines();
    // Comes when nobody waits any more, or not at all when the container is removed first.
    lines.retain(|line| !line.contains("cleanup"));
    lines
}

#[test]
fn a_containers_life_is_told() {
    let env = TestEnv::new();
    let id = start(&env, "web", &["-l", "tier=front"], "exit 3");
    env.coracle(["wait", "web"]).ok();
    env.coracle(["rm", "web"]).ok();
    let of_it = &["--filter", "container=web"];
    assert_eq!(
        told(&env, of_it, "{{.Type}} {{.Status}} {{.Name}} {{.ContainerExitCode}} {{.Attributes.tier}}"),
        [
            "container create web 0 front",
            "container init web 0 front",
            "container start web 0 front",
            "container died web 3 front",
            "container remove web 0 front",
        ]
    );
    assert!(told(&env, of_it, "{{.ID}}").iter().all(|line| *line == id));
    start(&env, "idle", &["--rm"], IDLE);
    env.coracle(["kill", "-s", "USR1", "idle"]).run();
    env.coracle(["stop", "idle"]).ok();
    let words = told(&env, &["--filter", "container=idle"], "{{.Status}}");
    assert_eq!(words[..4], ["create", "init", "start", "kill"]);
    let mut rest = words[4..].to_vec();
    rest.sort();
    assert_eq!(rest, ["died", "remove", "stop"]);
}

#[test]
fn forms_and_filters() {
    let env = TestEnv::new();
    let id = start(&env, "one", &["-l", "a=b"], "exit 0");
    start(&env, "two", &[], "exit 0");
    env.coracle(["wait", "one", "two"]).ok();
    let events = |options: &[&str]| env.coracle(["events", "--stream=false"]).args(options).ok().lines();
    let line = events(&["-f", "event=start", "-f", "container=one"]);
    assert_eq!(line.len(), 1, "{line:?}");
    assert!(line[0].ends_with(&format!(" container start {id} (image=, name=one, a=b)")), "{line:?}");
    let short = events(&["--no-trunc=false", "-f", "event=start", "-f", &format!("container={}", &id[..6])]);
    assert!(short[0].contains(&format!(" start {} (", &id[..12])), "{short:?}");
    let json: serde_json::Value =
        serde_json::from_str(&events(&["--format", "json", "-f", "event=die", "-f", "container=one"])[0])
            .unwrap();
    assert_eq!((&json["Status"], &json["ContainerExitCode"]), (&"died".into(), &0.into()));
    assert_eq!((&json["Type"], &json["Attributes"]["a"]), (&"container".into(), &"b".into()));
    assert_eq!(events(&["-f", "event=create", "-f", "event=died"]).len(), 4);
    assert_eq!(events(&["-f", "label=a"]).len(), events(&["-f", "container=one"]).len());
    assert_eq!(events(&["-f", "type=image"]).len(), 0);
    assert_eq!(events(&["--since", "1h", "-f", "event=create"]).len(), 2);
    assert_eq!(events(&["--since", "2000-01-01", "--until", "2000-01-02"]).len(), 0);
    // The past does not stream.
    let until = env.coracle(["events", "--until", "0s", "-f", "event=create", "--format", "{{.Name}}"]).ok();
    assert_eq!(until.lines(), ["one", "two"]);
    for wrong in [
        &["--filter", "colour=red"][..],
        &["--filter", "event=explode"],
        &["--filter", "type"],
        &["--since", "soon"],
        &["--until", "never"],
        &["--format", "{{.ID"],
        &["surplus"],
    ] {
        env.coracle(["events", "--stream=false"]).args(wrong).fails(125);
    }
    env.coracle(["events", "--stream=false", "--format", "{{.Colour}}"]).fails(125).says(".Colour");
}

#[test]
fn what_happens_is_followed() {
    let env = TestEnv::new();
    start(&env, "before", &[], "exit 0");
    let follower = env
        .coracle(["events", "--until", "3s", "--since", "1h", "--format", "{{.Status}} {{.Name}}"])
        .start();
    let silent = env.coracle(["events", "-f", "container=before", "-f", "event=create"]).start();
    start(&env, "after", &[], "exit 0");
    let lines = follower.wait().lines();
    for line in ["create before", "create after", "died after"] {
        assert!(lines.iter().any(|l| l == line), "{line} in {lines:?}");
    }
    // Without --since it shows nothing of the past.
    silent.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(silent.wait().stdout, "");
}

#[test]
fn a_killed_monitors_container_is_told_dead() {
    let env = TestEnv::new();
    start(&env, "web", &[], IDLE);
    super::ps::kill_monitor(&env, "web");
    eventually("the death is noticed", || {
        env.coracle(["ps", "-a"]).ok();
        told(&env, &["-f", "event=died"], "{{.ContainerExitCode}}") == ["255"]
    });
}

#[test]
fn images_and_volumes_are_told() {
    let env = TestEnv::new();
    let registry = crate::common::shared_registry();
    let image = crate::common::ImageBuilder::new().layer(crate::common::Layer::new().dir("etc", 0o755));
    let (media_type, manifest) = image.upload(registry, "events/image");
    registry.put_manifest("events/image", "v1", media_type, &manifest);
    let name = registry.reference("events/image", "v1");
    let id = env.coracle(["pull", "-q", &name]).ok().text().to_owned();
    env.coracle(["rmi", &name]).ok();
    assert_eq!(
        told(&env, &["-f", "type=image"], "{{.Status}} {{.Name}} {{.ID}}"),
        [format!("pull {name} {id}"), format!("untag {name} {id}"), format!("remove {name} {id}")]
    );
    // What could not be pulled is told too, with the reason.
    let missing = registry.reference("events/missing", "v1");
    env.coracle(["pull", "-q", "--retry", "0", &missing]).fails(125);
    let failed = told(&env, &["-f", "event=pull-error"], "{{.Name}} {{.Error}}");
    assert!(
        failed.len() == 1 && failed[0].starts_with(&missing) && failed[0].len() > missing.len(),
        "{failed:?}"
    );
    env.coracle(["volume", "create", "data"]).ok();
    env.coracle(["volume", "rm", "data"]).ok();
    assert_eq!(
        told(&env, &["-f", "volume=data"], "{{.Type}} {{.Status}}"),
        ["volume create", "volume remove"]
    );
}

#[test]
fn what_the_monitor_does_by_itself_is_told() {
    let env = TestEnv::new();
    start(&env, "web", &["--restart", "on-failure:1"], "exit 3");
    env.coracle(["wait", "web"]).ok();
    eventually("it has been cleared up", || {
        let all = env.coracle(["events", "--stream=false", "--format", "{{.Status}}"]).ok().lines();
        let expected = ["create", "init", "start", "died", "init", "start", "restart", "died", "cleanup"];
        // It may have ended before its restart is told.
        let sorted = |words: &[String]| {
            let mut words = words.to_vec();
            words.sort();
            words
        };
        all.len() >= expected.len() && sorted(&all) == sorted(&expected.map(str::to_owned))
    });
    env.coracle(["export", "-o", "/dev/null", "web"]).ok();
    assert_eq!(told(&env, &["-f", "event=export"], "{{.Name}}"), ["web"]);
    // Another name for the same verb.
    let system =
        env.coracle(["system", "events", "--stream=false", "-f", "event=restart", "--format", "{{.Name}}"]);
    assert_eq!(system.ok().lines(), ["web"]);
}
