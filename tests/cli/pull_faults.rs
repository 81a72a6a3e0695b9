//! `coracle pull` from a registry that misbehaves.

use crate::common::{Fault, FaultyRegistry, Layer, Output, TestEnv};
use expectrl::Expect as _;
use serde_json::json;
use std::path::PathBuf;

pub(crate) const OCI: &str = "application/vnd.oci.image.manifest.v1+json";

/// A layer with bytes that do not shrink.
pub(crate) fn noise(seed: u32, kib: usize) -> Layer {
    let mut state = seed | 1;
    let bytes: Vec<u8> = (0..kib << 10)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as u8
        })
        .collect();
    Layer::new().file(&format!("noise-{seed}"), 0o644, bytes)
}

pub(crate) fn pull(env: &TestEnv, registry: &FaultyRegistry, options: &[&str]) -> Output {
    let name = format!("{}/x", registry.address());
    env.coracle(["pull", "--retry-delay", "10ms"]).args(options).arg(name).run()
}

#[track_caller]
pub(crate) fn pulled(env: &TestEnv, registry: &FaultyRegistry, id: &str) -> Output {
    let output = pull(env, registry, &[]);
    assert_eq!((output.code, output.text()), (0, id), "{output}");
    output
}

/// Fails with exit code 125 and this text, one `Error:` line, nothing on standard output.
#[track_caller]
pub(crate) fn refused(env: &TestEnv, registry: &FaultyRegistry, text: &str) -> Output {
    let output = pull(env, registry, &[]);
    assert_eq!((output.code, output.text()), (125, ""), "{output}");
    assert_eq!(output.stderr.matches("Error:").count(), 1, "{output}");
    output.says(text)
}

/// Names of what lies in a directory of the store.
fn files(env: &TestEnv, dir: &str) -> Vec<String> {
    let entries = std::fs::read_dir(env.root().join(dir)).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// The store holds no image, layer, or anything half-made but downloads to be resumed.
#[track_caller]
fn nothing_is_left(env: &TestEnv) {
    for dir in ["images", "layers", "refs"] {
        assert!(files(env, dir).is_empty(), "{dir}: {:?}", files(env, dir));
    }
    let half_made: Vec<String> =
        files(env, "tmp").into_iter().filter(|n| !n.starts_with("partial-")).collect();
    assert!(half_made.is_empty(), "{half_made:?}");
}

#[test]
fn a_cut_stream_is_resumed_by_range() {
    let (env, registry) = (TestEnv::new(), FaultyRegistry::start());
    let (blobs, id) = registry.put_image("x", "latest", vec![noise(1, 300)]);
    registry.fault(&blobs[0], 2, Fault::Cut(100_000));
    pulled(&env, &registry, &id);
    let ranges: Vec<Option<String>> = registry
        .seen()
        .iter()
        .filter(|s| s.path.contains(&blobs[0]))
        .map(|s| s.header("range").map(str::to_owned))
        .collect();
    let expected = [None, Some("bytes=100000-".to_owned()), Some("bytes=200000-".to_owned())];
    assert_eq!(ranges, expected);
}

#[test]
fn a_server_without_ranges_is_read_from_the_start() {
    let (env, registry) = (TestEnv::new(), FaultyRegistry::start());
    let (blobs, id) = registry.put_image("x", "latest", vec![noise(2, 300)]);
    registry.fault(&blobs[0], 1, Fault::Cut(100_000));
    registry.fault(&blobs[0], 1, Fault::NoRange);
    pulled(&env, &registry, &id);
}

#[test]
fn the_next_pull_resumes_what_the_last_one_left() {
    let (env, registry) = (TestEnv::new(), FaultyRegistry::start());
    let (blobs, id) = registry.put_image("x", "latest", vec![noise(3, 300)]);
    registry.fault(&blobs[0], 1, Fault::Cut(150_000));
    registry.fault(&blobs[0], 9, Fault::Status(503, vec![], String::new()));
    let output = pull(&env, &registry, &["--retry", "1"]);
    assert_eq!(output.code, 125, "{output}");
    output.says("answered 503");
    nothing_is_left(&env);
    assert_eq!(files(&env, "tmp").len(), 1);
    registry.release();
    pulled(&env, &registry, &id);
    let last = registry.seen().into_iter().rfind(|s| s.path.contains(&blobs[0])).unwrap();
    assert_eq!(last.header("range"), Some("bytes=150000-"));
    assert!(files(&env, "tmp").is_empty());
}

#[test]
fn a_damaged_partial_download_is_fetched_again() {
    let (env, registry) = (TestEnv::new(), FaultyRegistry::start());
    let (blobs, id) = registry.put_image("x", "latest", vec![noise(4, 300)]);
    registry.fault(&blobs[0], 1, Fault::Cut(150_000));
    registry.fault(&blobs[0], 9, Fault::Status(500, vec![], String::new()));
    pull(&env, &registry, &["--retry=0"]);
    let partial = env.root().join("tmp").join(&files(&env, "tmp")[0]);
    std::fs::write(&partial, vec![7; 150_000]).unwrap();
    registry.release();
    pulled(&env, &registry, &id);
}

#[test]
fn too_many_requests_and_server_errors_are_tried_again() {
    let (env, registry) = (TestEnv::new(), FaultyRegistry::start());
    let (blobs, id) = registry.put_image("x", "latest", vec![noise(5, 10)]);
    let after = vec![("Retry-After".to_owned(), "0".to_owned())];
    registry.fault("/manifests/", 1, Fault::Status(429, after, String::new()));
    registry.fault("/manifests/", 1, Fault::Status(502, vec![], String::new()));
    registry.fault(&blobs[0], 1, Fault::Hang);
    registry.fault(&blobs[0], 1, Fault::Status(503, vec![], "<html>".to_owned()));
    pulled(&env, &registry, &id);
    assert_eq!(registry.count("/manifests/"), 3);
}

#[test]
fn a_wait_that_is_too_long_is_told() {
    let (env, registry) = (TestEnv::new(), FaultyRegistry::start());
    registry.put_image("x", "latest", vec![noise(6, 10)]);
    let body = r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"pull limit reached"}]}"#;
    let after = vec![("Retry-After".to_owned(), "21600".to_owned())];
    registry.fault("/manifests/", 9, Fault::Status(429, after, body.to_owned()));
    refused(&env, &registry, "pull limit reached").says("21600 seconds");
}

#[test]
fn case_10_lying_layers_are_refused() {
    let (env, registry) = (TestEnv::new(), FaultyRegistry::start());
    let (blobs, id) = registry.put_image("x", "latest", vec![noise(30, 50), noise(31, 50)]);
    let other = noise(32, 50).finish().1;
    registry.fault(&blobs[1], 9, Fault::Body(other));
    let output = pull(&env, &registry, &[]);
    assert_eq!(output.code, 125, "{output}");
    assert!(output.stderr.contains(&blobs[1]), "{output}");
    assert!(files(&env, "images").is_empty() && files(&env, "refs").is_empty());
    registry.release();
    pulled(&env, &registry, &id);
    // Too long, too short, and rightly addressed but not the layer the configuration promises.
    let env = TestEnv::new();
    registry.fault(&blobs[0], 1, Fault::Body(vec![0; 1 << 20]));
    refused(&env, &registry, "longer than the promised");
    registry.fault(&blobs[0], 99, Fault::Body(vec![0; 1 << 10]));
    refused(&env, &registry, "stream ended early");
}

#[test]
fn case_10_a_layer_must_have_its_diff_id() {
    let (env, registry) = (TestEnv::new(), FaultyRegistry::start());
    let (_, packed) = noise(33, 20).finish();
    let blob = registry.put_blob(&packed);
    let config = json!({"architecture": "amd64", "os": "linux", "config": {},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", "1".repeat(64))]}})
    .to_string();
    let id = registry.put_blob(config.as_bytes());
    let manifest = json!({"schemaVersion": 2, "mediaType": OCI,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": id, "size": config.len()},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": blob, "size": packed.len()}]});
    registry.put_manifest("x", "latest", OCI, manifest.to_string().as_bytes());
    refused(&env, &registry, "unpack layer 111111111111");
    nothing_is_left(&env);
}

#[test]
fn case_10_documents_that_are_no_manifest_are_refused() {
    let (env, registry) = (TestEnv::new(), FaultyRegistry::start());
    let digest = format!("sha256:{}", "a".repeat(64));
    let config =
        json!({"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": 2});
    let both = json!({"schemaVersion": 2, "mediaType": OCI, "config": config, "layers": [], "manifests": []});
    let chart = json!({"schemaVersion": 2, "mediaType": OCI, "layers": [],
        "config": {"mediaType": "application/vnd.cncf.helm.config.v1+json", "digest": digest, "size": 2}});
    for (media_type, text, says) in [
        (OCI, both.to_string(), "members of an image and of an index"),
        (OCI, chart.to_string(), "is not a container image but application/vnd.cncf.helm"),
        ("text/html", "<html>hello</html>".to_owned(), "is not an image manifest"),
        (OCI, String::new(), "is not an image manifest"),
        (OCI, " ".repeat(5 << 20), "longer than"),
    ] {
        registry.put_manifest("x", "latest", media_type, text.as_bytes());
        refused(&env, &registry, says);
        nothing_is_left(&env);
    }
}

/// A manifest of these blobs as layers, whose configuration promises these diff ids.
fn image_of(registry: &FaultyRegistry, tag: &str, layers: &[Vec<u8>], diff_ids: &[String]) {
    let config =
        json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}});
    let config = config.to_string();
    let id = registry.put_blob(config.as_bytes());
    let layers: Vec<_> = layers
        .iter()
        .map(|bytes| {
            json!({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                "digest": registry.put_blob(bytes), "size": bytes.len()})
        })
        .collect();
    let manifest = json!({"schemaVersion": 2, "mediaType": OCI, "layers": layers,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": id, "size": config.len()}});
    registry.put_manifest("x", tag, OCI, manifest.to_string().as_bytes());
}

/// All files of the store with their sizes, but for locks and what only grows.
fn listing(env: &TestEnv) -> Vec<String> {
    let script =
        "find . -path ./events -prune -o -name '*lock' -o -printf '%p %s\\n' | grep -v ' 4096$' | sort";
    env.program("sh").args(["-c", script]).cwd(env.root()).ok().lines()
}

#[test]
fn a_refused_image_leaves_the_store_as_it_was() {
    let (env, registry) = (TestEnv::new(), FaultyRegistry::start());
    let diff_id = |tar: &[u8]| format!("sha256:{}", crate::common::sha256_hex(tar));
    let (kept, good, bad) = (noise(200, 20).finish(), noise(201, 20).finish(), noise(202, 90).finish());
    image_of(&registry, "kept", std::slice::from_ref(&kept.1), &[diff_id(&kept.0)]);
    env.coracle(["pull", "-q", &format!("{}/x:kept", registry.address())]).ok();
    let before = listing(&env);
    let wrong = format!("sha256:{}", "1".repeat(64));
    let stack = |last: &[u8]| vec![kept.1.clone(), good.1.clone(), last.to_vec()];
    let ids = |last: &str| vec![diff_id(&kept.0), diff_id(&good.0), last.to_owned()];
    let junk = b"no archive".repeat(200);
    // Another content than promised, no whole archive, no archive at all.
    image_of(&registry, "lying", &stack(&bad.1), &ids(&wrong));
    image_of(&registry, "cut", &stack(&bad.1[..bad.1.len() / 2]), &ids(&diff_id(&bad.0)));
    image_of(&registry, "junk", &stack(&junk), &ids(&diff_id(&junk)));
    let link = Layer::new().hard_link("h", "nowhere").finish();
    image_of(&registry, "link", &stack(&link.1), &ids(&diff_id(&link.0)));
    for (tag, says) in [("lying", "unpack"), ("cut", "unpack"), ("junk", "unpack"), ("link", "hard link /h")]
    {
        let name = format!("{}/x:{tag}", registry.address());
        let output = env.coracle(["pull", &name]).fails(125).says(says).says(&name);
        assert_eq!(output.stderr.matches("Error:").count(), 1, "{output}");
        assert_eq!(listing(&env), before, "{tag}");
    }
    // More bytes than promised; a digest that its content has not.
    image_of(&registry, "long", &stack(&bad.1), &ids(&diff_id(&bad.0)));
    let blob = format!("blobs/{}", diff_id(&bad.1));
    for body in [vec![7; 1 << 20], vec![7; bad.1.len()]] {
        registry.fault(&blob, 1, Fault::Body(body));
        env.coracle(["pull", &format!("{}/x:long", registry.address())]).fails(125).says("promised");
        assert_eq!(listing(&env), before);
    }
    env.coracle(["pull", "-q", &format!("{}/x:long", registry.address())]).ok();
}

#[test]
fn what_is_missing_at_the_registry_is_named() {
    let (env, registry) = (TestEnv::new(), FaultyRegistry::start());
    let (blobs, _) = registry.put_image("x", "latest", vec![noise(210, 5)]);
    registry.fault(&blobs[0], 1, Fault::Status(404, Vec::new(), "{}".into()));
    refused(&env, &registry, &format!("lacks blob {}", blobs[0]));
    let missing = format!("sha256:{}", "3".repeat(64));
    let index = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [
        {"mediaType": OCI, "digest": missing, "size": 7, "platform": {"os": "linux", "architecture": "amd64"}}]});
    registry.put_manifest(
        "x",
        "latest",
        "application/vnd.oci.image.index.v1+json",
        index.to_string().as_bytes(),
    );
    refused(&env, &registry, &format!("lacks manifest {missing}"));
    nothing_is_left(&env);
}

#[test]
fn a_web_page_in_place_of_a_manifest_is_called_one() {
    let (env, registry) = (TestEnv::new(), FaultyRegistry::start());
    registry.put_manifest("x", "latest", "text/html", b"<html>Welcome! Please log in.</html>");
    refused(&env, &registry, "it was sent as text/html").says("Hint: ").says("proxy");
    registry.put_manifest("x", "latest", OCI, b"[1]");
    let output = refused(&env, &registry, "it is not a JSON object");
    assert!(!output.stderr.contains("struct"), "{output}");
    registry.put_manifest("x", "latest", OCI, " ".repeat(10 << 20).as_bytes());
    refused(&env, &registry, &format!("manifest of {}/x:latest", registry.address())).says("longer than");
}

#[test]
fn a_registry_that_cannot_be_reached_gets_its_hint() {
    let env = TestEnv::new();
    let nobody = format!("127.0.0.1:{}/x", crate::common::free_port());
    env.coracle(["pull", "--retry", "0", &nobody]).fails(125).says("Hint: Nothing listens there");
    // Plain http that ends the connection when TLS is spoken.
    let registry = FaultyRegistry::start();
    let name = format!("{}/x", registry.address());
    let output = env.coracle(["pull", "--retry", "0", "--tls-verify", &name]).fails(125);
    output.says("pinging container registry").says("plain http");
}

#[test]
fn one_bad_tag_does_not_stop_the_others() {
    let (env, registry) = (TestEnv::new(), FaultyRegistry::start());
    registry.put_manifest("x", "a", OCI, b"junk");
    let (_, id) = registry.put_image("x", "b", vec![noise(220, 1)]);
    registry.put_manifest("x", ".not-a-tag", OCI, b"{}");
    let name = format!("{}/x", registry.address());
    let output = env.coracle(["pull", "-q", "-a", &name]).fails(125);
    assert_eq!(output.lines(), [id]);
    output.says("x:a is not an image manifest").says(".not-a-tag");
}

#[test]
fn the_platform_that_is_missing_is_named_as_it_was_asked_for() {
    let (env, registry) = (TestEnv::new(), FaultyRegistry::start());
    let digest = format!("sha256:{}", "4".repeat(64));
    let index = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [
        {"mediaType": OCI, "digest": digest, "size": 7, "platform": {"os": "plan9", "architecture": "mips"}}]});
    registry.put_manifest(
        "x",
        "latest",
        "application/vnd.oci.image.index.v1+json",
        index.to_string().as_bytes(),
    );
    let output = refused(&env, &registry, "has no image for linux/").says("plan9/mips");
    assert!(!output.stderr.contains("/v"), "{output}");
}

#[test]
fn case_12_what_is_asked_by_digest_must_have_it() {
    let (env, registry) = (TestEnv::new(), FaultyRegistry::start());
    registry.put_image("x", "latest", vec![noise(40, 10)]);
    let manifest = registry.put_manifest("x", "other", OCI, b"{}");
    let body = json!({"schemaVersion": 2}).to_string().into_bytes();
    registry.fault("/manifests/sha256:", 9, Fault::Body(body));
    let name = format!("{}/x@{manifest}", registry.address());
    env.coracle(["pull", &name]).fails(125).says("is not what was promised");
    nothing_is_left(&env);
}

#[test]
fn a_layer_that_occurs_twice_is_fetched_once() {
    let (env, registry) = (TestEnv::new(), FaultyRegistry::start());
    let (blobs, id) = registry.put_image("x", "latest", vec![noise(60, 10), noise(61, 10), noise(60, 10)]);
    pulled(&env, &registry, &id);
    assert_eq!(registry.count(&blobs[0]), 1);
    assert_eq!(files(&env, "layers").len(), 3);
    let before = registry.count("/blobs/");
    pulled(&env, &registry, &id);
    assert_eq!(registry.count("/blobs/"), before, "nothing is fetched twice");
}

#[test]
fn a_layer_in_another_compression_is_kept_for_save_as_well() {
    let (env, registry) = (TestEnv::new(), FaultyRegistry::start());
    let (tar, packed) = noise(240, 30).finish();
    let ids = [format!("sha256:{}", crate::common::sha256_hex(&tar))];
    image_of(&registry, "gzip", &[packed], &ids);
    image_of(&registry, "plain", std::slice::from_ref(&tar), &ids);
    for tag in ["gzip", "plain"] {
        let name = format!("{}/x:{tag}", registry.address());
        env.coracle(["pull", "-q", &name]).ok();
        env.coracle(["save", "-q", "--format", "oci-archive", "-o"])
            .arg(env.path().join(tag))
            .arg(&name)
            .ok();
    }
    assert_eq!(files(&env, "layers").len(), 1);
    // A blob that is not what the configuration promises gets no further than one for a new layer.
    image_of(&registry, "lying", &[noise(241, 30).finish().1], &ids);
    let name = format!("{}/x:lying", registry.address());
    env.coracle(["pull", &name]).fails(125).says("unpack layer");
    // One that was lost comes back.
    let blob = format!("oci/blobs/sha256/{}", crate::common::sha256_hex(&tar));
    std::fs::remove_file(env.root().join(&blob)).unwrap();
    env.coracle(["pull", "-q", &format!("{}/x:plain", registry.address())]).ok();
    assert!(env.root().join(&blob).is_file());
}

#[test]
fn an_interrupted_pull_leaves_finished_layers_only() {
    let (env, registry) = (TestEnv::new(), FaultyRegistry::start());
    let layers = vec![noise(70, 50), noise(71, 200), noise(72, 50)];
    let (blobs, id) = registry.put_image("x", "latest", layers);
    registry.fault(&blobs[1], 1, Fault::Stall(100_000));
    let name = format!("{}/x", registry.address());
    let running = env.coracle(["pull", &name]).start();
    registry.wait_for(&blobs[1]);
    // The other layers are downloaded by the time their blobs are visible.
    let blob = |digest: &str| -> PathBuf {
        env.root().join("oci/blobs/sha256").join(digest.trim_start_matches("sha256:"))
    };
    for _ in 0..1000 {
        if blob(&blobs[0]).exists() && blob(&blobs[2]).exists() && !files(&env, "tmp").is_empty() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    running.signal(nix::sys::signal::Signal::SIGTERM);
    let output = running.wait();
    assert_eq!(output.code, 128 + 15, "{output}");
    assert!(files(&env, "images").is_empty());
    assert!(files(&env, "tmp").iter().all(|n| n.starts_with("partial-")), "{:?}", files(&env, "tmp"));
    registry.release();
    pulled(&env, &registry, &id);
    assert_eq!((registry.count(&blobs[0]), registry.count(&blobs[2])), (1, 1));
    assert!(files(&env, "tmp").is_empty());
}

#[test]
fn two_pulls_of_one_image_do_not_disturb_each_other() {
    let (env, registry) = (TestEnv::new(), FaultyRegistry::start());
    let (blobs, id) = registry.put_image("x", "latest", vec![noise(75, 200), noise(76, 50)]);
    registry.fault(&blobs[0], 1, Fault::Stall(100_000));
    let name = format!("{}/x", registry.address());
    let first = env.coracle(["pull", "-q", &name]).start();
    registry.wait_for(&blobs[0]);
    pulled(&env, &registry, &id);
    registry.release();
    let first = first.wait();
    assert_eq!((first.code, first.text()), (0, id.as_str()), "{first}");
    assert!(files(&env, "tmp").is_empty(), "{:?}", files(&env, "tmp"));
    assert_eq!(files(&env, "layers").len(), 2);
}

#[test]
fn ctrl_c_ends_a_pull_and_the_next_one_goes_on() {
    let (env, registry) = (TestEnv::new(), FaultyRegistry::start());
    let (blobs, id) =
        registry.put_image("x", "latest", vec![noise(230, 50), noise(231, 200), noise(232, 50)]);
    registry.fault(&blobs[1], 1, Fault::Stall(100_000));
    let name = format!("{}/x", registry.address());
    let mut session = env.coracle(["pull", &name]).env("TERM", "xterm").pty();
    // A bar for each layer, the one that stands still too.
    for blob in &blobs {
        session.expect(&blob[7..19]).unwrap();
    }
    let arrived = |digest: &str| env.root().join("oci/blobs/sha256").join(&digest[7..]).exists();
    crate::common::eventually("the other layers are here", || arrived(&blobs[0]) && arrived(&blobs[2]));
    session.send("\x03").unwrap();
    session.expect(expectrl::Eof).unwrap();
    assert!(files(&env, "images").is_empty() && files(&env, "refs").is_empty());
    assert!(files(&env, "tmp").iter().all(|n| n.starts_with("partial-")), "{:?}", files(&env, "tmp"));
    registry.release();
    pulled(&env, &registry, &id);
    assert_eq!((registry.count(&blobs[0]), registry.count(&blobs[2])), (1, 1));
    let second = registry.seen().into_iter().rfind(|s| s.path.contains(&blobs[1])).unwrap();
    assert_eq!(second.header("range"), Some("bytes=100000-"));
}

/// What `df` calls reclaimable is what `prune` frees, and at once: the disk may be full. What another command is just
/// fetching stays.
#[test]
fn what_a_failed_pull_leaves_is_pruned_at_once() {
    let begin = |env: &TestEnv, registry: &FaultyRegistry| {
        let (blobs, id) = registry.put_image("x", "latest", vec![noise(270, 20), noise(271, 200)]);
        registry.fault(&blobs[1], 1, Fault::Stall(100_000));
        let running = env.coracle(["pull", "-q", &format!("{}/x", registry.address())]).start();
        registry.wait_for(&blobs[1]);
        let first = env.root().join("oci/blobs/sha256").join(&blobs[0][7..]);
        crate::common::eventually("the first layer is here", || first.exists());
        (running, blobs, id)
    };
    for prune in [&["image", "prune", "-f"][..], &["system", "prune", "-f"]] {
        let (env, registry) = (TestEnv::new(), FaultyRegistry::start());
        let (running, ..) = begin(&env, &registry);
        running.signal(nix::sys::signal::Signal::SIGINT);
        assert_ne!(running.wait().code, 0);
        assert!(files(&env, "tmp").iter().any(|n| n.starts_with("partial-")));
        env.coracle([""; 0]).args(prune).ok();
        for dir in ["tmp", "trash", "layers", "oci/blobs/sha256"] {
            assert!(files(&env, dir).is_empty(), "{prune:?}: {dir}: {:?}", files(&env, dir));
        }
        let rows = ["system", "df", "--format", "{{.Type}} {{.RawReclaimable}}"];
        let rows = env.coracle(rows).ok().lines();
        assert!(rows.iter().all(|row| row.ends_with(" 0")), "{rows:?}");

        let (env, registry) = (TestEnv::new(), FaultyRegistry::start());
        let (running, blobs, id) = begin(&env, &registry);
        env.coracle([""; 0]).args(prune).ok();
        registry.release();
        assert_eq!(running.wait().text(), id);
        assert_eq!(registry.count(&blobs[0]), 1);
    }
}

#[test]
fn a_pull_whose_process_is_killed_says_so_and_the_next_one_works() {
    let (env, registry) = (TestEnv::new(), FaultyRegistry::start());
    let (blobs, id) = registry.put_image("x", "latest", vec![noise(260, 200)]);
    registry.fault(&blobs[0], 1, Fault::Stall(100_000));
    let running = env.coracle(["pull", &format!("{}/x", registry.address())]).start();
    registry.wait_for(&blobs[0]);
    let children = format!("/proc/{0}/task/{0}/children", running.pid());
    let leaf = std::fs::read_to_string(children).unwrap().trim().parse().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(leaf), nix::sys::signal::Signal::SIGKILL).unwrap();
    let output = running.wait();
    assert_eq!(output.code, 125, "{output}");
    output.says("the pull process died").says("Hint: ").says("memory");
    registry.release();
    pulled(&env, &registry, &id);
    // What it had half unpacked goes with a later pull's clean-up; what it had downloaded was of use.
    assert!(files(&env, "tmp").iter().all(|n| !n.starts_with("partial-")), "{:?}", files(&env, "tmp"));
}

#[test]
fn what_another_command_removes_meanwhile_is_fetched_again() {
    let (env, registry) = (TestEnv::new(), FaultyRegistry::start());
    let (shared, slow) = (noise(250, 20).finish(), noise(251, 200).finish());
    let ids = [&shared.0, &slow.0].map(|tar| format!("sha256:{}", crate::common::sha256_hex(tar)));
    image_of(&registry, "first", std::slice::from_ref(&shared.1), &ids[..1]);
    image_of(&registry, "second", &[shared.1.clone(), slow.1.clone()], &ids);
    let [first, second] = ["first", "second"].map(|tag| format!("{}/x:{tag}", registry.address()));
    env.coracle(["pull", "-q", &first]).ok();
    let blob = crate::common::sha256_hex(&slow.1);
    registry.fault(&blob, 1, Fault::Stall(100_000));
    let running = env.coracle(["pull", "-q", &second]).start();
    registry.wait_for(&blob);
    // The layer and the blob that the pull has found to be here.
    env.coracle(["rmi", &first]).ok();
    registry.release();
    let output = running.wait();
    assert_eq!(output.code, 0, "{output}");
    env.coracle(["save", "-q", "-o"]).arg(env.path().join("saved")).arg(&second).ok();
    assert_eq!(files(&env, "layers").len(), 2);
}

#[test]
fn a_registry_that_dies_midway_is_named() {
    let (env, registry) = (TestEnv::new(), FaultyRegistry::start());
    let (blobs, _) = registry.put_image("x", "latest", vec![noise(80, 100)]);
    registry.fault(&blobs[0], 1, Fault::Cut(10_000));
    registry.fault(&blobs[0], 99, Fault::Hang);
    refused(&env, &registry, registry.address());
    nothing_is_left(&env);
}

#[test]
fn a_long_tag_list_has_pages() {
    let (env, registry) = (TestEnv::new(), FaultyRegistry::start());
    for tag in ["a", "b", "c", "d", "e"] {
        registry.put_image("x", tag, vec![noise(90, 1)]);
    }
    let name = format!("{}/x", registry.address());
    assert_eq!(env.coracle(["pull", "-q", "-a", &name]).ok().lines().len(), 5);
    assert_eq!(registry.count("/tags/list"), 3);
}

#[test]
fn a_terminal_shows_a_bar_for_each_layer() {
    let (env, registry) = (TestEnv::new(), FaultyRegistry::start());
    let (blobs, id) = registry.put_image("x", "latest", vec![noise(95, 200)]);
    let name = format!("{}/x", registry.address());
    let mut session = env.coracle(["pull", &name]).env("TERM", "xterm").pty();
    session.expect(&blobs[0][7..19]).unwrap();
    session.expect("done").unwrap();
    session.expect(id.as_str()).unwrap();
    session.expect(expectrl::Eof).unwrap();
}
