//! A registry that wants harm, and every command that speaks to one.

use crate::common::{Auth, Call, Fault, FaultyRegistry, Layer, Output, TestEnv};
use serde_json::{Value, json};
use std::fmt::Write as _;

const OCI: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// A data root with an image and a list of its own, and a registry that has `x`.
struct Scene {
    env: TestEnv,
    registry: FaultyRegistry,
}

impl Scene {
    fn new() -> Scene {
        let (env, registry) = (TestEnv::new(), FaultyRegistry::start());
        registry.put_image("x", "latest", vec![Layer::new().file("f", 0o644, "x")]);
        let plain = Layer::new().file("own", 0o644, "own").finish().0;
        env.file("plain.tar", plain);
        env.coracle(["import", "-q", "plain.tar", "own:1"]).ok();
        env.coracle(["manifest", "create", "list", "own:1"]).ok();
        env.file("context/Containerfile", format!("FROM {}/x\nCOPY f /g\n", registry.address()));
        env.file("context/own/Containerfile", "FROM own:1\nCOPY f /g\n");
        for at in ["context/f", "context/own/f"] {
            env.file(at, "f");
        }
        Scene { env, registry }
    }

    fn images(&self) -> Vec<String> {
        self.env
            .coracle(["images", "-aq", "--no-trunc"])
            .ok()
            .lines()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    /// What reads the image `x` of the registry.
    fn readers(&self) -> Vec<Vec<String>> {
        let name = format!("{}/x", self.registry.address());
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        vec![
            words(&["pull", &name]),
            words(&["pull", "-a", &name]),
            words(&["run", "--rm", "--network=none", &name, "true"]),
            words(&["build", "-q", "context"]),
            words(&["manifest", "inspect", &name]),
            words(&["manifest", "add", "list", &name]),
            words(&["manifest", "add", "--all", "list", &name]),
        ]
    }

    /// All commands that speak to the registry.
    fn commands(&self) -> Vec<Vec<String>> {
        let host = self.registry.address();
        let name = format!("{host}/x");
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let mut all = self.readers();
        all.extend([
            words(&["push", "own:1", &name]),
            words(&["manifest", "push", "--all", "list", &name]),
            words(&["search", &name]),
            words(&["search", "--list-tags", &name]),
            words(&["build", "-q", &format!("--cache-to=type=registry,ref={name}"), "context/own"]),
            words(&["build", "-q", &format!("--cache-from=type=registry,ref={name}"), "context/own"]),
        ]);
        all
    }

    fn call(&self, words: &[String]) -> Call {
        let call = self.env.coracle([&words[0]]);
        // Few waits: these tests are not about patience.
        let patient = is_quick(words);
        call.args(patient.then_some("--retry=1"))
            .args(patient.then_some("--retry-delay=10ms"))
            .args(&words[1..])
    }

    /// Fails with words for people, and leaves everything as it was. A cache that cannot be had is done without.
    #[track_caller]
    fn fails(&self, words: &[String]) -> Output {
        let before = self.images();
        let output = self.call(words).run();
        if words.iter().any(|word| word.starts_with("--cache-from")) {
            assert_eq!(output.code, 0, "{words:?}: {output}");
        } else {
            assert_ne!(output.code, 0, "{words:?}: {output}");
            assert_eq!(
                output.stderr.lines().filter(|line| line.starts_with("Error:")).count(),
                1,
                "{words:?}: {output}"
            );
            // What was built is there before its cache is.
            let is_built = words.iter().any(|word| word.starts_with("--cache-to"));
            assert!(is_built || self.images() == before, "{words:?}: {output}");
        }
        is_harmless(&output);
        let left: Vec<_> = std::fs::read_dir(self.env.root().join("tmp")).unwrap().flatten().collect();
        let left: Vec<_> = left.iter().map(std::fs::DirEntry::file_name).collect();
        // What was downloaded is of use to the next pull.
        assert!(
            left.iter().all(|name| name.to_string_lossy().starts_with("partial-")),
            "{words:?}: {left:?}"
        );
        output
    }
}

/// Whether a command takes a short pause between its tries.
fn is_quick(words: &[String]) -> bool {
    matches!(words[0].as_str(), "pull" | "push" | "run")
}

/// Nothing that moves a cursor or turns text around.
#[track_caller]
fn is_harmless(output: &Output) {
    let bad = |c: char| {
        c != '\n'
            && (c.is_control()
                || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}'))
    };
    for text in [&output.stdout, &output.stderr] {
        assert!(!text.contains(bad), "{output} {:?}", output.stderr);
    }
}

fn log_in(env: &TestEnv, registry: &FaultyRegistry) {
    use base64::Engine as _;
    let auth = base64::engine::general_purpose::STANDARD.encode("bob:secret");
    let file = json!({"auths": {registry.address(): {"auth": auth}}});
    env.file("home/.config/containers/auth.json", file.to_string());
}

#[test]
fn case_13_no_command_tells_a_strange_token_server_the_password() {
    let scene = Scene::new();
    let elsewhere = FaultyRegistry::start();
    log_in(&scene.env, &scene.registry);
    let port = elsewhere.address().rsplit_once(':').unwrap().1;
    for realm in [
        format!("http://localhost:{port}/token"),
        format!("https://localhost:{port}/token"),
        format!("http://bob@localhost:{port}/token"),
        format!("ftp://localhost:{port}/token"),
        "/token".to_owned(),
        "http://127.0.0.1:bad/token".to_owned(),
    ] {
        scene.registry.require(Auth::Bearer { realm: Some(realm), uses: 9 }, None);
        for words in scene.commands() {
            scene.fails(&words);
        }
    }
    // One on the same host, at another port, is the registry's own, as docker has it: it is asked, in vain.
    assert!(
        elsewhere.seen().iter().all(|seen| seen.header("authorization").is_none()),
        "{:?}",
        elsewhere.seen()
    );
    assert!(elsewhere.seen().iter().all(|seen| !seen.body.contains("secret")));
}

#[test]
fn case_13_no_command_takes_the_password_along_to_another_host() {
    let scene = Scene::new();
    let elsewhere = FaultyRegistry::start();
    log_in(&scene.env, &scene.registry);
    scene.registry.require(Auth::Basic("bob".into(), "secret".into()), None);
    // It asks back from there, too.
    elsewhere.require(Auth::Basic("bob".into(), "secret".into()), None);
    for words in scene.commands() {
        // The first request of each kind goes well, so that there is something to take along.
        for path in ["/v2/x/", "/v2/_catalog", "/v1/search"] {
            let asks = vec![("WWW-Authenticate".to_owned(), "Basic realm=\"tests\"".to_owned())];
            scene.registry.fault(path, 1, Fault::Status(401, asks, String::new()));
            scene.registry.fault(
                path,
                99,
                Fault::Redirect(format!("http://{}{path}moved", elsewhere.address())),
            );
        }
        scene.fails(&words);
        scene.registry.release();
    }
    assert!(!elsewhere.seen().is_empty());
    assert!(elsewhere.seen().iter().all(|seen| seen.header("authorization").is_none()));
    assert!(scene.registry.seen().iter().any(|seen| seen.header("authorization").is_some()));
}

#[test]
fn redirects_that_lead_nowhere_end() {
    let scene = Scene::new();
    let own = format!("http://{}/v2/x/round", scene.registry.address());
    for to in [own.as_str(), "file:///etc/passwd", "gopher://127.0.0.1/x", "http://", ""] {
        scene.registry.fault("/v2/x/", 100_000, Fault::Redirect(to.to_owned()));
        for words in scene.commands() {
            // A search does not ask for a repository.
            if words[0] != "search" || words.contains(&"--list-tags".to_owned()) {
                scene.fails(&words);
            }
        }
        scene.registry.release();
    }
    let asked = scene.registry.count("/v2/x/");
    assert!(asked < 3000, "{asked}");
}

/// What a registry says of a failure is shown, and does nothing.
#[test]
fn what_the_registry_says_moves_no_cursor() {
    let scene = Scene::new();
    let message =
        "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m gone \u{202e}txet\u{2066}\r\nError: all is well\u{2028}";
    let body = json!({"errors": [{"code": "DENIED", "message": message}]}).to_string();
    for code in [400, 403, 500] {
        scene.registry.fault("/", 100_000, Fault::Status(code, vec![], body.clone()));
        // What passes is tried again, and only some need not wait for that here.
        let all = scene.commands().into_iter().filter(|words| code < 500 || is_quick(words));
        for words in all {
            let output = scene.fails(&words);
            assert!(!output.stderr.contains("\nError: all is well"), "{output}");
        }
        let login = ["login", "-u", "a", "-p", "b", scene.registry.address()];
        is_harmless(&scene.env.coracle(login).fails(125));
        scene.registry.release();
    }
    // Names of tags and repositories, which listings show.
    let names =
        json!({"name": "x", "tags": [message, "ok"], "repositories": [format!("x{message}")]}).to_string();
    scene.registry.fault("/tags/list", 99, Fault::Body(names.clone().into()));
    scene.registry.fault("/_catalog", 99, Fault::Body(names.into()));
    let name = format!("{}/x", scene.registry.address());
    for words in [&["search", &name][..], &["search", "--list-tags", &name], &["pull", "-a", &name]] {
        is_harmless(&scene.env.coracle(words).run());
    }
}

#[test]
fn registries_that_are_busy_are_asked_again_and_told() {
    let scene = Scene::new();
    let status = |code, after: &str| {
        Fault::Status(code, vec![("Retry-After".to_owned(), after.to_owned())], String::new())
    };
    let name = format!("{}/x", scene.registry.address());
    for words in [
        &["pull", "-q", &name][..],
        &["manifest", "inspect", &name],
        &["manifest", "add", "list", &name],
        &["search", "--list-tags", &name],
        &["push", "-q", "own:1", &name],
        &["manifest", "push", "-q", "--all", "list", &name],
        &["build", "-q", "context"],
    ] {
        for code in [429, 503, 500] {
            scene.registry.fault("/v2/x/", 1, status(code, "0"));
            let output = scene.env.coracle(words).run();
            assert_eq!(output.code, 0, "{code} {words:?}: {output}");
            scene.registry.release();
        }
        if words[0] == "push" || words[1] == "push" {
            scene.registry.put_image("x", "latest", vec![Layer::new().file("f", 0o644, "x")]);
        }
    }
    scene.env.coracle(["rmi", "-f", &name]).ok();
    for words in scene.commands() {
        // For as long nobody waits.
        scene.registry.fault("/", 100_000, status(429, "21600"));
        scene.fails(&words);
        scene.registry.release();
    }
}

fn manifest_of(config: (&str, usize), layers: Vec<Value>) -> Vec<u8> {
    json!({"schemaVersion": 2, "mediaType": OCI, "layers": layers,
        "config": {"mediaType": CONFIG, "digest": config.0, "size": config.1}})
    .to_string()
    .into_bytes()
}

#[test]
fn case_09_indexes_that_never_end_and_images_of_ten_thousand_layers() {
    let scene = Scene::new();
    let platform = json!({"os": "linux", "architecture": "amd64"});
    // Each index names the next; the last but names one that is not there.
    let mut next = (format!("sha256:{}", "1".repeat(64)), 100, INDEX);
    for depth in 0..200 {
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [
            {"mediaType": next.2, "digest": next.0, "size": next.1, "platform": platform}]})
        .to_string();
        let tag = format!("deep-{depth}");
        let digest = scene.registry.put_manifest("x", &tag, INDEX, index.as_bytes());
        next = (digest, index.len(), INDEX);
        if depth == 199 {
            scene.registry.put_manifest("x", "latest", INDEX, index.as_bytes());
        }
    }
    let before = scene.registry.count("/manifests/");
    for words in scene.readers().iter().filter(|words| !words.contains(&"-a".to_owned())) {
        let output = scene.call(words).run();
        // What only shows or refers to the outermost index may do so.
        if words[0] == "manifest" {
            is_harmless(&output);
        } else {
            scene.fails(words).says("index");
        }
    }
    let asked = scene.registry.count("/manifests/") - before;
    assert!(asked < 300, "{asked}");

    let layer = scene.registry.put_blob(&Layer::new().file("a", 0o644, "a").finish().1);
    let one = json!({"mediaType": LAYER, "digest": layer, "size": 100});
    let config =
        json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}});
    let config = config.to_string();
    let id = scene.registry.put_blob(config.as_bytes());
    let many = manifest_of((&id, config.len()), vec![one; 10_000]);
    scene.registry.put_manifest("x", "latest", OCI, &many);
    let name = format!("{}/x", scene.registry.address());
    for words in [
        &["pull", &name][..],
        &["run", "--rm", &name],
        &["build", "-q", "context"],
        &["manifest", "add", "list", &name],
    ] {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let output = scene.fails(&words);
        assert!(output.stderr.contains("more than 500 layers"), "{output}");
    }
    assert_eq!(scene.registry.count(&layer), 0);
    // An index of as many entries, all alike.
    let mut entries = String::new();
    for n in 0..10_000 {
        let digest = format!("sha256:{:064x}", n + 1);
        write!(
            entries,
            "{}{}",
            if n > 0 { "," } else { "" },
            json!({"mediaType": OCI, "digest": digest, "size": 100, "platform": platform})
        )
        .unwrap();
    }
    let index = format!("{{\"schemaVersion\":2,\"mediaType\":\"{INDEX}\",\"manifests\":[{entries}]}}");
    scene.registry.put_manifest("x", "latest", INDEX, index.as_bytes());
    let before = scene.registry.count("/manifests/");
    for words in
        scene.readers().iter().filter(|words| words[0] != "manifest" && !words.contains(&"-a".to_owned()))
    {
        scene.fails(words);
    }
    assert!(scene.registry.count("/manifests/") - before < 60);
}

#[test]
fn case_11_digests_are_written_in_one_way() {
    let scene = Scene::new();
    let (blobs, id) = scene.registry.put_image("y", "latest", vec![Layer::new().file("f", 0o644, "y")]);
    let config = format!("sha256:{id}");
    let (config_bytes, layer_bytes) =
        (scene.registry.blob(&config).unwrap().len(), scene.registry.blob(&blobs[0]).unwrap().len());
    let tricks = |digest: &str| {
        let hex = digest.trim_start_matches("sha256:");
        vec![
            digest.to_uppercase(),
            format!("SHA256:{hex}"),
            format!("sha256:{}", hex.to_uppercase()),
            format!("sha256:{hex} "),
            format!("sha256:{}", &hex[..63]),
            format!("sha256:{hex}0"),
            format!("sha256:../{}", &hex[..61]),
            format!("sha256+b64:{hex}"),
            format!("md5:{}", &hex[..32]),
            format!("sha256:{}\u{ff10}", &hex[..61]),
            String::new(),
        ]
    };
    let layer = |digest: &str| json!({"mediaType": LAYER, "digest": digest, "size": layer_bytes});
    let put = |manifest: &[u8]| scene.registry.put_manifest("x", "latest", OCI, manifest);
    for trick in tricks(&blobs[0]) {
        scene.registry.put_blob(b"");
        put(&manifest_of((&config, config_bytes), vec![layer(&trick)]));
        for words in [&scene.readers()[0], &scene.readers()[3]] {
            scene.fails(words);
        }
    }
    for trick in tricks(&config) {
        put(&manifest_of((&trick, config_bytes), vec![layer(&blobs[0])]));
        for words in [&scene.readers()[0], &scene.readers()[5]] {
            scene.fails(words);
        }
    }
    let good = manifest_of((&config, config_bytes), vec![layer(&blobs[0])]);
    let digest = put(&good);
    for trick in tricks(&digest) {
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [{"mediaType": OCI, "digest": trick,
            "size": good.len(), "platform": {"os": "linux", "architecture": "amd64"}}]});
        scene.registry.put_manifest("x", "latest", INDEX, index.to_string().as_bytes());
        for words in [&scene.readers()[0], &scene.readers()[6]] {
            scene.fails(words);
        }
        // Nor on the command line.
        let name = format!("{}/x@{trick}", scene.registry.address());
        scene.env.coracle(["pull", &name]).fails(125);
    }
    // In a header it is no other digest either.
    put(&good);
    for trick in [digest.to_uppercase(), format!("sha256:{}", "2".repeat(64))] {
        let headers =
            vec![("Docker-Content-Digest".to_owned(), trick), ("Content-Type".to_owned(), OCI.to_owned())];
        let body = String::from_utf8(good.clone()).unwrap();
        scene.registry.fault("/manifests/", 99, Fault::Status(200, headers, body));
        let output = scene.call(&scene.readers()[0]).run();
        is_harmless(&output);
        // What the bytes are decides; a header that says otherwise is refused or of no account.
        assert!(output.code == 0 && output.text() == id || output.code == 125, "{output}");
        scene.registry.release();
    }
}
