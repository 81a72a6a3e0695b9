//! The policy on what `load`, `import` and `pull` read, and where signatures are found.

use crate::common::{
    Fault, FaultyRegistry, Layer, Output, Registry, TLS_PROGRAMS, TestEnv, TlsServer, eventually, free_port,
    lacks, make_authority, one_file, skip, which,
};
use crate::trust::Signer;
use serde_json::{Value, json};
use std::path::Path;

const POLICY: &str = "home/.config/containers/policy.json";
const ACCEPT: &str = "insecureAcceptAnything";

fn policy(env: &TestEnv, default: &str, transports: Value) {
    let whole = json!({"default": [{"type": default}], "transports": transports});
    env.file(POLICY, whole.to_string());
}

#[test]
fn load_and_import_obey_the_scopes_of_what_they_read() {
    let env = TestEnv::new();
    let name = {
        one_file("scopes").push(crate::common::shared_registry(), "trust/scopes", "1");
        crate::common::shared_registry().reference("trust/scopes", "1")
    };
    env.coracle(["pull", "-q", &name]).ok();
    std::fs::create_dir(env.path().join("in")).unwrap();
    for (form, to) in [
        ("docker-archive", "in/docker.tar"),
        ("oci-archive", "in/oci.tar"),
        ("oci-dir", "in/oci"),
        ("docker-dir", "in/dir"),
    ] {
        env.coracle(["save", "-q", "--format", form, "-o", to, &name]).ok();
    }
    let plain = Layer::new().file("f", 0o644, "x").finish().0;
    env.file("in/plain.tar", plain);
    env.coracle(["rmi", "-a", "-f"]).ok();
    let here = env.path().join("in").canonicalize().unwrap();
    let here = here.to_str().unwrap();
    let load = |path: &str| env.coracle(["load", "-q", "-i", path]).run();
    let refused = |output: &Output, transport: &str| {
        assert_eq!((output.code, output.text()), (125, ""), "{output}");
        assert_eq!(output.stderr.matches("Error:").count(), 1, "{output}");
        let words = format!("Source image rejected: Running image {transport}:");
        assert!(output.stderr.contains(&words) && output.stderr.contains("rejected by policy."), "{output}");
        assert!(env.coracle(["images", "-qa"]).ok().text().is_empty());
        assert!(std::fs::read_dir(env.root().join("tmp")).unwrap().next().is_none());
    };
    let all = [
        ("in/docker.tar", "docker-archive"),
        ("in/oci.tar", "oci-archive"),
        ("in/oci", "oci"),
        ("in/dir", "dir"),
    ];
    policy(&env, "reject", json!({"docker": {"": [{"type": ACCEPT}]}}));
    for (path, transport) in all {
        refused(&load(path), transport);
    }
    let import = |path: &str| env.coracle(["import", "-q", path, "made:1"]).run();
    refused(&import("in/plain.tar"), "tarball");
    // A stream is in no directory.
    let bytes = std::fs::read(env.path().join("in/docker.tar")).unwrap();
    refused(&env.coracle(["load", "-q"]).stdin(bytes.clone()).run(), "docker-archive");
    // Each by its own scope: its path, a directory above, its transport.
    for (path, transport) in all {
        let scopes = match transport {
            "docker-archive" => vec![String::new()],
            _ => vec![
                String::new(),
                here.to_owned(),
                env.path().join(path).canonicalize().unwrap().display().to_string(),
            ],
        };
        for scope in scopes {
            policy(&env, "reject", json!({transport: {scope.as_str(): [{"type": ACCEPT}]}}));
            assert_eq!(load(path).code, 0, "{transport} {scope}");
            env.coracle(["rmi", "-a", "-f"]).ok();
            policy(&env, ACCEPT, json!({transport: {scope.as_str(): [{"type": "reject"}]}}));
            refused(&load(path), transport);
        }
    }
    // A link leads to what it leads to.
    std::os::unix::fs::symlink("in", env.path().join("link")).unwrap();
    policy(&env, ACCEPT, json!({"oci-archive": {here: [{"type": "reject"}]}}));
    refused(&load("link/oci.tar"), "oci-archive");
    // Docker's archives have no scopes, a stream neither.
    policy(
        &env,
        ACCEPT,
        json!({"docker-archive": {here: [{"type": "reject"}]}, "tarball": {here: [{"type": "reject"}]}}),
    );
    env.coracle(["load", "-q"]).stdin(bytes).ok();
    env.coracle(["import", "-q", "in/plain.tar", "made:1"]).ok();
    env.coracle(["rmi", "-a", "-f"]).ok();
    // Signatures are not looked for in files.
    policy(
        &env,
        ACCEPT,
        json!({"oci": {"": [{"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/none"}]}}),
    );
    load("in/oci").says("needs a signature, and those of files and directories cannot be checked");
    if which("podman").is_none() {
        return skip("podman is not installed");
    }
    // As podman has it.
    policy(&env, "reject", json!({}));
    for (path, transport) in &all[..2] {
        let theirs = env.program("podman").args(["--storage-driver=vfs", "load", "-i", path]).fails(125);
        theirs.says(&format!("{transport}: Source image rejected: Running image {transport}:"));
    }
    let theirs = env.program("podman").args(["--storage-driver=vfs", "import", "in/plain.tar"]).fails(125);
    theirs.says("Source image rejected: Running image tarball:in/plain.tar is rejected by policy.");
    env.program("podman").args(["--storage-driver=vfs", "system", "reset", "-f"]).ok();
}

/// An image that is signed by `team`, in a registry of our own; its name and its manifest's digest.
pub(crate) fn signed(
    env: &TestEnv,
    team: &Signer,
    registry: &FaultyRegistry,
    tag: &str,
) -> (String, String, Vec<u8>) {
    registry.put_image("app", tag, vec![Layer::new().file(tag, 0o644, tag)]);
    let manifest = registry.manifest(&format!("app/manifests/{tag}")).unwrap();
    let digest = format!("sha256:{}", crate::common::sha256_hex(&manifest));
    let name = format!("{}/app:{tag}", registry.address());
    env.file("manifest", &manifest);
    let sign = ["standalone-sign", "manifest", &name, &team.fingerprint, "-o", "signature"];
    env.program("skopeo").env("GNUPGHOME", env.path().join("team")).args(sign).ok();
    (name, digest, std::fs::read(env.path().join("signature")).unwrap())
}

pub(crate) fn demand(env: &TestEnv, registry: &FaultyRegistry) {
    let scope = registry.address();
    env.coracle(["image", "trust", "set", "-f", "team.gpg", scope]).ok();
}

#[test]
fn signatures_that_the_registry_keeps_decide() {
    if lacks(&["gpg", "skopeo"]) {
        return;
    }
    let env = TestEnv::new();
    let registry = FaultyRegistry::start();
    let team = Signer::new(&env, "team");
    let (name, digest, signature) = signed(&env, &team, &registry, "good");
    let (other, other_digest, _) = signed(&env, &team, &registry, "other");
    demand(&env, &registry);
    let lookaside = env.path().join("lookaside");
    env.file(
        "home/.config/containers/registries.d/a.yaml",
        format!("default-docker:\n  lookaside: file://{}\n", lookaside.display()),
    );
    // What the lookaside has does not count once the registry keeps signatures.
    let file = format!("lookaside/app@{}/signature-1", other_digest.replacen(':', "=", 1));
    env.file(&file, &signature);
    registry.put_signature("app", &digest, b"noise");
    registry.put_signature("app", &digest, &signature);
    // Another's signature: it is for another manifest.
    registry.put_signature("app", &other_digest, &signature);
    env.coracle(["pull", "-q", &name]).ok();
    assert!(registry.count("/extensions/v2/app/signatures/") > 0);
    env.coracle(["pull", "-q", &other]).fails(125).says("Source image rejected");
    // A list that is none is no empty list.
    registry.fault("/extensions/v2/", 99, Fault::Body(b"<html>".to_vec()));
    env.coracle(["pull", "-q", &name]).fails(125).says("sent no signatures");
}

/// What is verified is what is pulled: a registry that shows the signed manifest first and another one then.
#[test]
fn case_12_the_policy_is_checked_on_the_digest_that_is_used() {
    if lacks(&["gpg", "skopeo"]) {
        return;
    }
    let env = TestEnv::new();
    let registry = FaultyRegistry::start();
    let team = Signer::new(&env, "team");
    let (name, digest, signature) = signed(&env, &team, &registry, "good");
    registry.put_signature("app", &digest, &signature);
    registry.put_image("app", "evil", vec![Layer::new().file("evil", 0o644, "evil")]);
    let evil = registry.manifest("app/manifests/evil").unwrap();
    let good = registry.manifest("app/manifests/good").unwrap();
    demand(&env, &registry);
    registry.fault("GET /v2/app/manifests/good", 1, Fault::Body(good));
    registry.fault("GET /v2/app/manifests/good", 99, Fault::Body(evil));
    let output = env.coracle(["pull", "-q", &name]).fails(125);
    assert!(output.text().is_empty(), "{output}");
    assert!(env.coracle(["images", "-qa"]).ok().text().is_empty());
    registry.release();
    env.coracle(["pull", "-q", &name]).ok();
}

#[test]
fn signatures_of_a_web_server_decide() {
    if lacks(&["gpg", "skopeo", "python3"]) {
        return;
    }
    let env = TestEnv::new();
    let registry = Registry::start();
    let team = Signer::new(&env, "team");
    one_file("web").push(&registry, "source/app", "1");
    let (from, name) = (registry.reference("source/app", "1"), registry.reference("signed/app", "1"));
    let store = env.path().join("web");
    team.sign(&env, &from, &name, &name, &store);
    env.coracle(["image", "trust", "set", "-f", "team.gpg", registry.address()]).ok();
    let port = free_port();
    let server = crate::common::spawn_with_us({
        let mut command = std::process::Command::new("python3");
        command.args(["-m", "http.server", "--bind", "127.0.0.1", &port.to_string()]).current_dir(&store);
        command
    });
    let mut server = server.unwrap();
    eventually("the web server listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    let lookaside = |url: &str| {
        let text = format!("docker:\n  {}:\n    lookaside: {url}\n", registry.address());
        env.file("home/.config/containers/registries.d/a.yaml", text);
    };
    lookaside(&format!("http://127.0.0.1:{port}"));
    env.coracle(["pull", "-q", &name]).ok();
    if let Some(skopeo) = which("skopeo") {
        // The same policy and place of signatures satisfy skopeo.
        env.program(skopeo)
            .args(["--registries.d"])
            .arg(env.home().join(".config/containers/registries.d"))
            .args(["copy", "--src-tls-verify=false", &format!("docker://{name}"), "dir:copied"])
            .ok();
    }
    // Elsewhere on the server there is nothing, and no server is not an empty one.
    lookaside(&format!("http://127.0.0.1:{port}/none"));
    env.coracle(["pull", "-q", &name]).fails(125).says("no signature exists");
    let _ = server.kill();
    let _ = server.wait();
    lookaside(&format!("http://127.0.0.1:{port}"));
    env.coracle(["pull", "-q", &name]).fails(125).says(&format!("read signatures from 127.0.0.1:{port}"));
    lookaside("ftp://127.0.0.1/x");
    env.coracle(["pull", "-q", &name]).fails(125).says("neither of file, nor of http or https");
}

#[test]
fn what_needs_certificates_or_logs_is_refused_with_the_reason() {
    let env = TestEnv::new();
    one_file("log").push(crate::common::shared_registry(), "trust/log", "1");
    let name = crate::common::shared_registry().reference("trust/log", "1");
    let key = env.file("team.pub", "key");
    let fulcio =
        json!({"caPath": key, "oidcIssuer": "https://issuer.example", "subjectEmail": "a@example.com"});
    for (requirement, says) in [
        (json!({"type": "sigstoreSigned", "keyPath": key, "rekorPublicKeyPath": key}), "Rekor"),
        (json!({"type": "sigstoreSigned", "fulcio": fulcio, "rekorPublicKeyPath": key}), "Fulcio"),
    ] {
        let whole = json!({"default": [requirement]});
        env.file(POLICY, whole.to_string());
        let output = env.coracle(["pull", "-q", &name]).fails(125);
        assert!(output.stderr.contains(says), "{says}: {output}");
        assert_eq!(output.stderr.matches("Error:").count(), 1, "{output}");
    }
    assert!(!Path::new(&env.root()).join("images").read_dir().is_ok_and(|mut all| all.next().is_some()));
}

/// A lookaside that speaks TLS is trusted as any web server is: by the system's authorities, or those of SSL_CERT_FILE.
#[test]
fn signatures_of_a_web_server_with_tls_decide() {
    if lacks(&["gpg", "skopeo"]) || lacks(&TLS_PROGRAMS) {
        return;
    }
    let env = TestEnv::new();
    let registry = FaultyRegistry::start();
    let team = Signer::new(&env, "team");
    let (good, digest, signature) = signed(&env, &team, &registry, "good");
    let (other, ..) = signed(&env, &team, &registry, "other");
    demand(&env, &registry);
    env.file(&format!("web/app@{}/signature-1", digest.replacen(':', "=", 1)), signature);
    let authority = env.path().join("authority");
    std::fs::create_dir(&authority).unwrap();
    make_authority(&authority);
    let server = TlsServer::start(&authority, &env.path().join("web"));
    let config = format!("default-docker:\n  lookaside: {}\n", server.url(""));
    env.file("home/.config/containers/registries.d/a.yaml", config);
    let pull = |name: &str| env.coracle(["pull", "-q", name]);
    let trusting = |name: &str| pull(name).env("SSL_CERT_FILE", authority.join("trusted/ca.crt"));
    // Whoever it is that answers, it is not the lookaside; and that is not taken for one without signatures.
    let refused = pull(&good).fails(125).says("read signatures from 127.0.0.1:");
    assert!(refused.stderr.contains("certificate") && !refused.stderr.contains("no signature"), "{refused}");
    assert!(env.coracle(["images", "-qa"]).ok().text().is_empty());
    trusting(&good).ok();
    trusting(&other).fails(125).says("no signature exists");
}
