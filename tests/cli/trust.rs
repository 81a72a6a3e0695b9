//! `coracle image trust`, and what it means for pulls.

use crate::common::{TestEnv, one_file, shared_registry};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

fn policy_path(env: &TestEnv) -> PathBuf {
    env.home().join(".config/containers/policy.json")
}

fn policy(env: &TestEnv) -> Value {
    serde_json::from_str(&std::fs::read_to_string(policy_path(env)).unwrap()).unwrap()
}

#[test]
fn the_policy_is_shown_as_podman_shows_it() {
    let env = TestEnv::new();
    let text = json!({"default": [{"type": "reject"}], "transports": {
        "docker": {"a.io": [{"type": "insecureAcceptAnything"}], "": [{"type": "reject"}],
            "q.io": [{"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/nonexistent"}],
            "s.io": [{"type": "sigstoreSigned", "keyPath": "/nonexistent"}]},
        "docker-daemon": {"": [{"type": "insecureAcceptAnything"}]}}});
    env.file("home/.config/containers/policy.json", text.to_string());
    let stores = "default-docker:\n  lookaside: file:///var/lib/x\ndocker:\n  q.io:\n    lookaside: https://q.example/sigs\n";
    env.file("home/.config/containers/registries.d/a.yaml", stores);
    let show = |args: &[&str]| env.coracle(["image", "trust", "show"]).args(args).ok();
    let table = show(&[]);
    let words: Vec<Vec<String>> =
        table.lines().iter().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect();
    let expected = [
        "TRANSPORT NAME TYPE ID STORE",
        "all default reject file:///var/lib/x",
        "repository reject file:///var/lib/x",
        "repository a.io accept file:///var/lib/x",
        "repository q.io signed https://q.example/sigs",
        "repository s.io sigstoreSigned N/A file:///var/lib/x",
        "docker-daemon accept file:///var/lib/x",
    ];
    assert_eq!(words.iter().map(|line| line.join(" ")).collect::<Vec<_>>(), expected, "{table}");
    assert_eq!(show(&["-n"]).lines().len(), 6);
    let shown = show(&["--json"]).json();
    assert_eq!(
        shown[0],
        json!({"transport": "all", "name": "* (default)", "repo_name": "default", "sigstore": "file:///var/lib/x",
            "type": "reject"})
    );
    assert_eq!(
        shown[1],
        json!({"transport": "repository", "sigstore": "file:///var/lib/x", "type": "reject"})
    );
    assert_eq!(show(&["--json", "q.io"]).json().as_array().unwrap().len(), 2);
    assert_eq!(show(&["--raw"]).json(), text);
}

#[test]
fn the_policy_is_changed_for_this_user() {
    let env = TestEnv::new();
    let key = env.file("key.gpg", "no key yet");
    let set = |args: &[&str]| env.coracle(["image", "trust", "set"]).args(args);
    set(&["-t", "reject", "default"]).ok();
    set(&["-t", "accept", "docker.io"]).ok();
    // A relative path is made one that is good anywhere.
    set(&["-f", "key.gpg", "q.io/team"]).ok();
    set(&["-t", "sigstoreSigned", "-f", "key.gpg,key.gpg", "s.io"]).ok();
    let wanted = policy(&env);
    assert_eq!(wanted["default"], json!([{"type": "reject"}]));
    assert_eq!(wanted["transports"]["docker"]["docker.io"], json!([{"type": "insecureAcceptAnything"}]));
    assert_eq!(
        wanted["transports"]["docker"]["q.io/team"],
        json!([{"type": "signedBy", "keyType": "GPGKeys", "keyPath": key}])
    );
    assert_eq!(wanted["transports"]["docker"]["s.io"].as_array().unwrap().len(), 2);
    let before = std::fs::read_to_string(policy_path(&env)).unwrap();
    for (args, says) in [
        (&["-t", "signedBy", "x.io"][..], "at least one public key must be defined for type 'signedBy'"),
        (
            &["-t", "accept", "-f", "key.gpg", "x.io"],
            "1 public keys unexpectedly provided for trust type accept",
        ),
        (&["-f", "/nonexistent", "x.io"], "no such file or directory"),
        (&["-t", "foo", "x.io"], "foo"),
        (&["-t", "accept", "busybox"], "is not the name of a registry"),
    ] {
        set(args).fails(125).says(says);
    }
    assert_eq!(std::fs::read_to_string(policy_path(&env)).unwrap(), before);
    // What is malformed is neither used nor replaced.
    env.file("home/.config/containers/policy.json", "{\"default\": [{\"type\": \"accept\"}]}");
    set(&["-t", "accept", "default"]).fails(125).says("is not a policy").says("containers-policy.json");
    env.coracle(["image", "trust", "show"]).fails(125).says("is not a policy");
    env.coracle(["pull", "busybox"]).fails(125).says("is not a policy");
    assert!(std::fs::read_to_string(policy_path(&env)).unwrap().contains("accept\""));
    assert_eq!(std::fs::metadata(policy_path(&env)).unwrap().permissions().mode() & 0o022, 0);
}

#[test]
fn what_is_rejected_is_not_even_asked_for() {
    let env = TestEnv::new();
    one_file("trust").push(shared_registry(), "trust/good", "1");
    let host = shared_registry().address();
    let (good, bad) = (shared_registry().reference("trust/good", "1"), format!("{host}/trust/bad:1"));
    let set = |args: &[&str]| env.coracle(["image", "trust", "set"]).args(args).ok();
    set(&["-t", "reject", "default"]);
    set(&["-t", "accept", &format!("{host}/trust/good")]);
    env.coracle(["pull", "-q", &good]).ok();
    let refused = env.coracle(["pull", &bad]).fails(125);
    refused
        .says(&format!("Source image rejected: Running image docker://{bad} is rejected by policy."))
        .says("image trust show");
    // What is here already may be used.
    set(&["-t", "reject", &format!("{host}/trust/good")]);
    env.coracle(["pull", "--policy", "missing", "-q", &good]).ok();
    env.coracle(["pull", "-q", &good]).fails(125).says("is rejected by policy");
    assert_eq!(env.coracle(["images", "-q"]).ok().lines().len(), 1);
}

/// A GPG key of a test's own: its home and its fingerprint.
pub(crate) struct Signer {
    home: PathBuf,
    pub(crate) fingerprint: String,
}

impl Signer {
    pub(crate) fn new(env: &TestEnv, name: &str) -> Signer {
        // A short path: gpg's agent has a socket below it.
        let home = env.path().join(name);
        std::fs::create_dir(&home).unwrap();
        std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o700)).unwrap();
        let mut signer = Signer { home, fingerprint: String::new() };
        let user = format!("{name} <{name}@example.com>");
        signer.gpg(env, &["--batch", "--passphrase", "", "--quick-gen-key", &user, "rsa2048", "sign", "0"]);
        let listed = signer.gpg(env, &["--with-colons", "--fingerprint"]);
        let line = listed.lines().into_iter().find(|line| line.starts_with("fpr:")).unwrap();
        let fingerprint = line.trim_matches(|c| c == ':').rsplit(':').next().unwrap().to_owned();
        env.file(&format!("{name}.gpg"), signer.gpg(env, &["--export"]).bytes);
        signer.fingerprint = fingerprint;
        signer
    }

    pub(crate) fn gpg(&self, env: &TestEnv, args: &[&str]) -> crate::common::Output {
        env.program("gpg").env("GNUPGHOME", &self.home).args(args).ok()
    }

    /// Copies an image within the registry, and signs it as `identity`; signatures go below `store`.
    pub(crate) fn sign(&self, env: &TestEnv, from: &str, to: &str, identity: &str, store: &std::path::Path) {
        let config = format!(
            "default-docker:\n  lookaside-staging: file://{0}\n  lookaside: file://{0}\n",
            store.display()
        );
        env.file("staging/a.yaml", config);
        let call = env.program("skopeo").env("GNUPGHOME", &self.home).arg("--insecure-policy");
        let call = call.arg("--registries.d").arg(env.path().join("staging"));
        let call = call.args([
            "copy",
            "--src-tls-verify=false",
            "--dest-tls-verify=false",
            "--sign-by",
            &self.fingerprint,
        ]);
        let call = call.args(["--sign-identity", identity]);
        call.arg(format!("docker://{from}")).arg(format!("docker://{to}")).ok();
    }
}

impl Drop for Signer {
    fn drop(&mut self) {
        let _ = std::process::Command::new("gpgconf")
            .arg("--homedir")
            .arg(&self.home)
            .args(["--kill", "all"])
            .status();
    }
}

#[test]
fn signatures_by_gpg_decide() {
    if crate::common::lacks(&["gpg", "skopeo"]) {
        return;
    }
    let env = TestEnv::new();
    let registry = crate::common::Registry::start();
    let (team, other) = (Signer::new(&env, "team"), Signer::new(&env, "other"));
    let host = registry.address();
    let store = env.path().join("signatures");
    let name = |tag: &str| registry.reference("signed/app", tag);
    for tag in ["good", "bad", "moved", "none"] {
        one_file(tag).push(&registry, "source/app", tag);
    }
    let source = |tag: &str| registry.reference("source/app", tag);
    team.sign(&env, &source("good"), &name("good"), &name("good"), &store);
    other.sign(&env, &source("bad"), &name("bad"), &name("bad"), &store);
    team.sign(&env, &source("moved"), &name("moved"), &name("good"), &store);
    one_file("none").push(&registry, "signed/app", "none");
    env.file(
        "home/.config/containers/registries.d/a.yaml",
        format!("default-docker:\n  lookaside: file://{}\n", store.display()),
    );
    let scope = format!("{host}/signed");
    env.coracle(["image", "trust", "set", "-f", "team.gpg", &scope]).ok();
    let shown = env.coracle(["image", "trust", "show"]).ok();
    assert!(shown.stdout.contains("team@example.com"), "{shown}");

    let pull = |tag: &str| env.coracle(["pull", "-q", &name(tag)]).run();
    let refused = |tag: &str, says: &str| {
        let output = pull(tag);
        assert_eq!((output.code, output.text()), (125, ""), "{output}");
        output.says("Source image rejected").says(says);
    };
    refused("none", "A signature was required, but no signature exists");
    refused("bad", "it is by another key");
    refused("moved", "it is for another name");
    assert!(env.coracle(["images", "-q"]).ok().text().is_empty());
    assert_eq!(pull("good").code, 0);
    // Nothing of gpg's work is left.
    assert_eq!(std::fs::read_dir(env.root().join("tmp")).map_or(0, Iterator::count), 0);
    // By digest any tag of the repository will do.
    let digest =
        env.coracle(["image", "inspect", "--format", "{{.Digest}}", &name("good")]).ok().text().to_owned();
    env.coracle(["rmi", &name("good")]).ok();
    env.coracle(["pull", "-q", &format!("{host}/signed/app@{digest}")]).ok();

    // Two keys: both must have signed.
    env.coracle(["image", "trust", "set", "-f", "team.gpg,other.gpg", &scope]).ok();
    refused("good", "it is by another key");
    // Beside the one that is there.
    other.sign(&env, &name("good"), &name("good"), &name("good"), &store);
    assert_eq!(pull("good").code, 0);
    // What was signed and is replaced afterwards is not what was signed.
    one_file("replaced").push(&registry, "signed/app", "good");
    refused("good", "A signature was required, but no signature exists");
    // A damaged signature, a key that is not one, a key that is gone.
    env.coracle(["image", "trust", "set", "-f", "team.gpg", &scope]).ok();
    let dir = std::fs::read_dir(store.join("signed")).unwrap().flatten().map(|e| e.path());
    for signature in dir.map(|dir| dir.join("signature-1")).filter(|path| path.exists()) {
        let mut bytes = std::fs::read(&signature).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&signature, bytes).unwrap();
    }
    let output = pull("moved");
    assert_eq!(output.code, 125, "{output}");
    env.file("nokey.gpg", "nothing");
    env.coracle(["image", "trust", "set", "-f", "nokey.gpg", &scope]).ok();
    let output = pull("moved");
    assert_eq!(output.code, 125, "{output}");
    output.says("is not a GPG key");
    std::fs::remove_file(env.path().join("nokey.gpg")).unwrap();
    let output = pull("moved");
    assert_eq!(output.code, 125, "{output}");
    output.says("a key that the policy names");
}

/// As `cosign sign --key` stores it: the payload is a layer, its signature an annotation.
#[test]
fn sigstore_signatures_decide() {
    use base64::Engine as _;
    let env = TestEnv::new();
    let registry = crate::common::Registry::start();
    let host = registry.address();
    for key in ["team", "other"] {
        let script = format!(
            "openssl ecparam -name prime256v1 -genkey -noout -out {key}.key && openssl ec -in {key}.key -pubout -out {key}.pub"
        );
        env.program("sh").args(["-c", &script]).ok();
    }
    let sign = |repository: &str, digest: &str, claimed: &str, says: &str, key: &str| {
        let payload = json!({"critical": {"identity": {"docker-reference": says},
            "image": {"docker-manifest-digest": claimed}, "type": "cosign container image signature"}, "optional": null});
        let payload = payload.to_string();
        env.file("payload", &payload);
        let signed =
            env.program("openssl").args(["dgst", "-sha256", "-sign", &format!("{key}.key"), "payload"]).ok();
        let signature = base64::engine::general_purpose::STANDARD.encode(signed.bytes);
        let blob = registry.put_blob(repository, payload.as_bytes());
        let config = registry.put_blob(repository, b"{}");
        let manifest = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 2},
            "layers": [{"mediaType": "application/vnd.dev.cosign.simplesigning.v1+json", "digest": blob,
                "size": payload.len(), "annotations": {"dev.cosignproject.cosign/signature": signature}}]});
        let tag = format!("{}.sig", digest.replace(':', "-"));
        let kind = "application/vnd.oci.image.manifest.v1+json";
        registry.put_manifest(repository, &tag, kind, manifest.to_string().as_bytes());
    };
    let digest_of = |repository: &str| {
        let answer = registry.request(
            "GET",
            &format!("/v2/{repository}/manifests/1"),
            &[("Accept", "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json")],
            b"",
        );
        format!("sha256:{}", crate::common::sha256_hex(&answer.body))
    };
    for repository in ["s/good", "s/other", "s/none", "s/lie"] {
        one_file(repository).push(&registry, repository, "1");
    }
    let (good, lie) = (digest_of("s/good"), digest_of("s/lie"));
    sign("s/good", &good, &good, &format!("{host}/s/good"), "team");
    sign("s/other", &digest_of("s/other"), &digest_of("s/other"), &format!("{host}/s/other"), "other");
    sign("s/lie", &lie, &good, &format!("{host}/s/lie"), "team");
    let policy = |identity: Value| {
        let wanted = json!({"default": [{"type": "reject"}], "transports": {"docker": {format!("{host}/s"): [
            {"type": "sigstoreSigned", "keyPath": env.path().join("team.pub"), "signedIdentity": identity}]}}});
        env.file("home/.config/containers/policy.json", wanted.to_string());
    };
    policy(json!({"type": "matchRepository"}));
    let pull = |repository: &str| env.coracle(["pull", "-q", &format!("{host}/{repository}:1")]).run();
    // They are looked for where registries.d says so.
    let output = pull("s/good");
    assert_eq!(output.code, 125, "{output}");
    output.says("use-sigstore-attachments").says("no signature exists");
    env.file(
        "home/.config/containers/registries.d/a.yaml",
        "default-docker:\n  use-sigstore-attachments: true\n",
    );
    for (repository, says) in [
        ("s/none", "A signature was required, but no signature exists"),
        ("s/other", "it is by another key"),
        ("s/lie", "it is for another manifest"),
    ] {
        let output = pull(repository);
        assert_eq!(output.code, 125, "{output}");
        output.says(says);
    }
    assert!(env.coracle(["images", "-q"]).ok().text().is_empty());
    assert_eq!(pull("s/good").code, 0);
    // Without a tag in it such a signature is for no tag.
    policy(json!({"type": "matchRepoDigestOrExact"}));
    pull("s/good").says("it is for another name");
}
