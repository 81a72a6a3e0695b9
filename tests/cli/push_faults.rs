//! `coracle push` to a registry that misbehaves.

use crate::common::{Auth, Fault, FaultyRegistry, Output, TestEnv};
use crate::pull_faults::noise;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

/// A registry with an image of these layers, which is also in the store, and an empty one to push it to.
fn pulled(env: &TestEnv, sizes: &[usize]) -> (FaultyRegistry, FaultyRegistry, Vec<String>) {
    let (from, to) = (FaultyRegistry::start(), FaultyRegistry::start());
    let layers = sizes.iter().enumerate().map(|(n, kib)| noise(70 + n as u32, *kib)).collect();
    let (blobs, _) = from.put_image("x", "latest", layers);
    env.coracle(["pull", "-q", &name(&from)]).ok();
    (from, to, blobs)
}

fn name(registry: &FaultyRegistry) -> String {
    format!("{}/x", registry.address())
}

fn push(env: &TestEnv, from: &FaultyRegistry, to: &FaultyRegistry, options: &[&str]) -> Output {
    env.coracle(["push", "--retry-delay=10ms"]).args(options).args([name(from), name(to)]).run()
}

/// Pushes well; what is there then is what was pulled.
#[track_caller]
fn pushed(env: &TestEnv, from: &FaultyRegistry, to: &FaultyRegistry) -> Output {
    let output = push(env, from, to, &[]);
    assert_eq!((output.code, output.text()), (0, ""), "{output}");
    is_there(from, to);
    output
}

#[track_caller]
fn is_there(from: &FaultyRegistry, to: &FaultyRegistry) {
    let manifest = from.manifest("x/manifests/latest").unwrap();
    assert_eq!(to.manifest("x/manifests/latest").as_ref(), Some(&manifest));
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    for blob in manifest["layers"].as_array().unwrap().iter().chain([&manifest["config"]]) {
        let digest = blob["digest"].as_str().unwrap();
        assert!(to.blob(digest) == from.blob(digest), "{digest}");
    }
}

/// Fails with this text, and nothing has the name.
#[track_caller]
fn refused(env: &TestEnv, from: &FaultyRegistry, to: &FaultyRegistry, text: &str) -> Output {
    let output = push(env, from, to, &[]);
    assert_eq!((output.code, output.text()), (125, ""), "{output}");
    assert_eq!(output.stderr.matches("Error:").count(), 1, "{output}");
    assert!(to.manifest("x/manifests/latest").is_none(), "{output}");
    output.says(text)
}

fn status(code: u16, headers: &[(&str, &str)], message: &str) -> Fault {
    let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    let body = json!({"errors": [{"code": "UNKNOWN", "message": message}]}).to_string();
    Fault::Status(code, headers, body)
}

#[test]
fn an_upload_that_is_cut_goes_on_where_it_was() {
    let env = TestEnv::new();
    let (from, to, _) = pulled(&env, &[900]);
    to.fault("PATCH ", 1, Fault::CutBody(300_000));
    to.fault("PATCH ", 1, Fault::CutBody(300_000));
    pushed(&env, &from, &to);
    let ranges: Vec<Option<String>> = to
        .seen()
        .iter()
        .filter(|s| s.method == "PATCH" && s.path.contains("/uploads/1"))
        .map(|s| s.header("content-range").map(|range| range.split('-').next().unwrap().to_owned()))
        .collect();
    assert_eq!(ranges, [None, Some("300000".to_owned()), Some("600000".to_owned())]);
}

#[test]
fn an_upload_that_the_registry_loses_begins_again() {
    let env = TestEnv::new();
    let (from, to, _) = pulled(&env, &[900, 20]);
    to.forget_uploads();
    to.fault("PATCH ", 2, Fault::CutBody(10_000));
    pushed(&env, &from, &to);
}

#[test]
fn too_many_requests_and_server_errors_are_tried_again() {
    let env = TestEnv::new();
    let (from, to, blobs) = pulled(&env, &[50, 50]);
    to.fault(&format!("HEAD /v2/x/blobs/{}", blobs[0]), 1, status(503, &[], "later"));
    to.fault("POST ", 1, status(429, &[("Retry-After", "0")], "slowly"));
    to.fault("PATCH ", 1, status(500, &[], "oops"));
    to.fault("PATCH ", 1, Fault::Hang);
    to.fault("PUT /v2/x/blobs/", 1, status(502, &[], "bad gateway"));
    to.fault("PUT /v2/x/manifests/", 1, status(429, &[("Retry-After", "0")], "slowly"));
    pushed(&env, &from, &to);
}

/// The registry has stored a blob, and its answer is lost.
#[test]
fn an_end_whose_answer_is_lost_is_looked_for() {
    let env = TestEnv::new();
    let (from, to, blobs) = pulled(&env, &[50]);
    to.fault("PUT /v2/x/blobs/", 1, Fault::Mute);
    pushed(&env, &from, &to);
    assert_eq!((to.count_of("HEAD", &blobs[0]), to.count_of("PATCH", "")), (2, 2));
}

#[test]
fn what_the_registry_refuses_is_told() {
    let env = TestEnv::new();
    let (from, to, _) = pulled(&env, &[50]);
    for (request, fault, says) in [
        ("PATCH ", status(413, &[], "too large"), "client_max_body_size"),
        ("POST ", status(403, &[], "requested access to the resource is denied"), "requested access"),
        ("POST ", status(404, &[], "no"), "takes no uploads for"),
        ("POST ", status(429, &[("Retry-After", "21600")], "limit reached"), "21600 seconds"),
        ("PATCH ", status(507, &[], "the disk is full"), "the disk is full"),
        ("PUT /v2/x/blobs/", status(400, &[], "digest invalid"), "digest invalid"),
        ("POST ", Fault::Status(202, vec![], String::new()), "sends an upload to nowhere"),
        // By then all blobs are there.
        ("PUT /v2/x/manifests/", status(400, &[], "manifest invalid"), "manifest invalid"),
    ] {
        to.fault(request, 99, fault);
        refused(&env, &from, &to, says);
        to.release();
    }
    pushed(&env, &from, &to);
}

#[test]
fn wrong_digests_in_answers_are_refused() {
    let env = TestEnv::new();
    let (from, to, _) = pulled(&env, &[50]);
    let wrong = format!("sha256:{}", "1".repeat(64));
    // It says that it has more than it was sent.
    to.fault("PATCH ", 99, status(202, &[("Range", "0-9999999"), ("Location", "/v2/x/blobs/uploads/1")], ""));
    refused(&env, &from, &to, "says that it has 10000000");
    to.release();
    for request in ["PUT /v2/x/blobs/", "PUT /v2/x/manifests/"] {
        to.fault(request, 99, status(201, &[("Docker-Content-Digest", &wrong)], ""));
        refused(&env, &from, &to, "is not what was sent");
        to.release();
    }
}

#[test]
fn case_13_uploads_on_another_host_get_no_secret() {
    let env = TestEnv::new();
    let (from, to, blobs) = pulled(&env, &[50]);
    let elsewhere = FaultyRegistry::start();
    elsewhere.put_blob(b"x");
    to.require(Auth::Basic("bob".into(), "secret".into()), None);
    // The other host takes the bytes: an upload begins there by hand.
    let place = format!("http://{}/v2/x/blobs/uploads/1?token=t", elsewhere.address());
    let ended = status(201, &[], "");
    to.fault("POST ", 1, status(202, &[("Location", &place)], ""));
    elsewhere.fault("PATCH ", 1, status(202, &[], ""));
    elsewhere.fault("PUT ", 1, ended);
    let output = push(&env, &from, &to, &["--creds=bob:secret"]);
    assert_eq!(output.code, 0, "{output}");
    let there = elsewhere.seen();
    assert!(
        there.iter().any(|s| s.method == "PUT" && s.path.contains(blobs[0].trim_start_matches("sha256:")))
    );
    assert!(there.iter().all(|s| s.header("authorization").is_none()));
    assert!(to.seen().iter().any(|s| s.header("authorization").is_some()));
}

#[test]
fn case_13_uploads_do_not_leave_for_files() {
    let env = TestEnv::new();
    let (from, to, _) = pulled(&env, &[5]);
    to.fault("POST ", 99, status(202, &[("Location", "file:///etc/passwd")], ""));
    refused(&env, &from, &to, "sends an upload to a file URL");
}

#[test]
fn tokens_that_expire_are_renewed_in_the_middle() {
    let env = TestEnv::new();
    let (from, to, _) = pulled(&env, &[20, 20, 20, 20, 20]);
    to.require(Auth::Bearer { realm: None, uses: 2 }, None);
    pushed(&env, &from, &to);
    let tokens = to.seen();
    let tokens: Vec<&str> =
        tokens.iter().filter(|s| s.path.starts_with("/token")).map(|s| s.path.as_str()).collect();
    assert!(tokens.len() >= 3, "{tokens:?}");
    assert!(tokens.iter().all(|path| path.contains("scope=repository%3Ax%3Apull%2Cpush")), "{tokens:?}");
}

#[test]
fn a_killed_push_does_not_send_again_what_is_there() {
    let env = TestEnv::new();
    let (from, to, blobs) = pulled(&env, &[20, 600]);
    // The larger one hangs; the smaller one gets there.
    to.fault("PUT /v2/x/manifests/", 1, Fault::StallBody(0));
    let running = env.coracle(["push", &name(&from), &name(&to)]).start();
    to.wait_for("/manifests/");
    running.signal(Signal::SIGKILL);
    running.wait();
    assert!(to.manifest("x/manifests/latest").is_none());
    to.release();
    let before = to.count_of("PATCH", "");
    pushed(&env, &from, &to);
    assert_eq!(to.count_of("PATCH", ""), before);
    assert!(to.count_of("HEAD", &blobs[1]) >= 2);
}

#[test]
fn an_interrupted_push_ends_at_once_and_leaves_nothing() {
    let env = TestEnv::new();
    let (from, to, _) = pulled(&env, &[600]);
    to.fault("PATCH ", 99, Fault::StallBody(1000));
    let running = env.coracle(["push", &name(&from), &name(&to)]).start();
    to.wait_for("/uploads/1");
    running.signal(Signal::SIGINT);
    let output = running.wait();
    assert_ne!(output.code, 0, "{output}");
    assert!(std::fs::read_dir(env.root().join("tmp")).unwrap().next().is_none());
    to.release();
    pushed(&env, &from, &to);
}

#[test]
fn a_blob_that_is_damaged_here_is_named() {
    let env = TestEnv::new();
    let (from, to, blobs) = pulled(&env, &[50]);
    let digits = blobs[0].trim_start_matches("sha256:");
    let path = env.root().join("oci/blobs/sha256").join(digits);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[1000] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    refused(&env, &from, &to, &format!("blob {} is damaged on disk", blobs[0]));
}

/// Blobs are asked for in a few other repositories, and in none once the registry has enough of us.
#[test]
fn blobs_are_asked_for_in_few_repositories() {
    for (code, most) in [(503, 1), (429, 1), (404, 5)] {
        let env = TestEnv::new();
        let (from, to, _) = pulled(&env, &[1]);
        for n in 0..9 {
            env.coracle(["push", "-q", &name(&from), &format!("{}/r{n}", to.address())]).ok();
        }
        to.fault("HEAD /v2/x/blobs", 100, status(404, &[], "unknown"));
        to.fault("mount=", 100, status(code, &[], "no"));
        pushed(&env, &from, &to);
        assert_eq!(to.count("/v2/x/blobs/uploads/?mount="), most, "{code}");
    }
}

/// A registry that says that it has more than there is has its upload begun again.
#[test]
fn an_upload_does_not_go_on_behind_its_end() {
    let env = TestEnv::new();
    let (from, to, _) = pulled(&env, &[300]);
    to.fault("PATCH", 1, Fault::CutBody(100 << 10));
    to.fault("GET /v2/x/blobs/uploads", 1, status(204, &[("Range", "0-9999999999")], ""));
    pushed(&env, &from, &to);
}
