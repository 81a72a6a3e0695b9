//! `coracle pull` from the real registry: formats, platforms, names, credentials, certificates.

use crate::common::{
    Format, ImageBuilder, Layer, Registry, TestEnv, Zip, sha256_hex, shared_registry, which,
};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn small(marker: &str) -> ImageBuilder {
    ImageBuilder::new().layer(Layer::new().dir("etc", 0o755).file("etc/marker", 0o644, marker))
}

/// The image's id, from its manifest.
fn id_of(manifest: &[u8]) -> String {
    let manifest: Value = serde_json::from_slice(manifest).unwrap();
    manifest["config"]["digest"].as_str().unwrap().trim_start_matches("sha256:").to_owned()
}

fn push(builder: ImageBuilder, registry: &Registry, repository: &str, tag: &str) -> String {
    let (media_type, manifest) = builder.upload(registry, repository);
    registry.put_manifest(repository, tag, media_type, &manifest);
    id_of(&manifest)
}

#[test]
fn an_image_is_pulled_and_its_id_printed() {
    let (env, registry) = (TestEnv::new(), shared_registry());
    let id = push(small("one"), registry, "pull/plain", "v1");
    let name = registry.reference("pull/plain", "v1");
    let first = env.coracle(["pull", &name]).ok();
    assert_eq!(first.text(), id);
    let first = first.says(&format!("Trying to pull {name}..."));
    assert!(first.stderr.contains("Copying blob sha256:") && !first.stderr.contains("skipped"), "{first}");
    let again = env.coracle(["pull", &name]).ok();
    assert_eq!(again.text(), id);
    again.says("skipped: already exists").says("Writing manifest to image destination");
    let quiet = env.coracle(["pull", "-q", &name]).ok();
    assert_eq!((quiet.text(), quiet.stderr.as_str()), (id.as_str(), ""));
}

#[test]
fn docker_says_it_in_its_own_words() {
    let (env, registry) = (TestEnv::new(), shared_registry());
    let two = |top: &str| small("words").layer(Layer::new().file("top", 0o644, top));
    let (name, path) =
        (registry.reference("pull/words", "latest"), format!("{}/pull/words", registry.address()));
    let put = |top: &str, tag: &str| {
        let (media_type, manifest) = two(top).upload(registry, "pull/words");
        registry.put_manifest("pull/words", tag, media_type, &manifest);
        format!("sha256:{}", sha256_hex(&manifest))
    };
    let digest = put("1", "latest");
    let first = env.called("docker", ["pull", &path]).ok();
    let lines = first.lines();
    assert_eq!(lines[..2], ["Using default tag: latest", "latest: Pulling from pull/words"], "{first}");
    let mut layers: Vec<_> = lines[2..8].iter().map(|line| line.split_once(": ").unwrap()).collect();
    assert!(layers.iter().all(|(id, _)| id.len() == 12), "{first}");
    layers.sort_by_key(|(id, _)| *id);
    let said = ["Pulling fs layer", "Download complete", "Pull complete"];
    for layer in layers.chunks(3) {
        assert_eq!(layer.iter().map(|(_, what)| *what).collect::<Vec<_>>(), said, "{first}");
    }
    let downloaded = format!("Status: Downloaded newer image for {name}");
    let end = [format!("Digest: {digest}"), downloaded.clone(), name.clone()];
    assert_eq!(lines[8..], end, "{first}");
    assert_eq!(first.stderr, "");
    // Once more there is nothing to say of layers.
    let again = env.called("docker", ["pull", &name]).ok();
    let same = format!("Status: Image is up to date for {name}");
    assert_eq!(again.lines(), ["latest: Pulling from pull/words", &end[0], &same, &name]);
    assert_eq!(env.called("docker", ["pull", "-q", &name]).ok().text(), name);
    // Another image with the same lower layer.
    let digest = put("2", "latest");
    let newer = env.called("docker", ["pull", &name]).ok();
    let count = |what: &str| newer.lines().iter().filter(|line| line.ends_with(what)).count();
    assert_eq!((count(": Already exists"), count(": Pull complete")), (1, 1), "{newer}");
    assert!(newer.lines().contains(&downloaded), "{newer}");
    // By digest, and all tags.
    let pinned = format!("{path}@{digest}");
    let by_digest = env.called("docker", ["pull", &pinned]).ok();
    assert_eq!(by_digest.lines()[0], format!("{digest}: Pulling from pull/words"));
    assert_eq!(by_digest.lines().last(), Some(&pinned));
    put("3", "other");
    let all = env.called("docker", ["pull", "-a", &path]).ok();
    let lines = all.lines();
    assert!(lines.contains(&"other: Pulling from pull/words".to_owned()), "{all}");
    assert_eq!(lines[lines.len() - 2..], [format!("Status: Downloaded newer image for {path}"), path]);
    // A container says it on standard error, as standard output is its own.
    env.coracle(["rmi", "-f", &name]).ok();
    let made = env.called("docker", ["create", "--network=none", &name, "/none"]).ok();
    assert_eq!(made.lines().len(), 1, "{made}");
    made.says(&format!("Unable to find image '{name}' locally")).says(&downloaded);
}

#[test]
fn every_packing_of_layers_is_read() {
    let (env, registry) = (TestEnv::new(), shared_registry());
    for (tag, format, zip) in [
        ("oci-plain", Format::Oci, Zip::Plain),
        ("oci-gzip", Format::Oci, Zip::Gzip),
        ("oci-zstd", Format::Oci, Zip::Zstd),
        ("docker-gzip", Format::Docker, Zip::Gzip),
    ] {
        let layer = Layer::new().file("a", 0o644, tag).zip(zip);
        let id = push(ImageBuilder::new().format(format).layer(layer), registry, "pull/zip", tag);
        let output = env.coracle(["pull", &registry.reference("pull/zip", tag)]).ok();
        assert_eq!(output.text(), id, "{tag}");
    }
}

#[test]
fn the_platform_is_chosen_from_an_index() {
    let (env, registry) = (TestEnv::new(), shared_registry());
    let mut entries = Vec::new();
    let mut ids = Vec::new();
    for (architecture, variant) in
        [("amd64", None), ("arm", Some("v6")), ("arm", Some("v7")), ("arm64", None)]
    {
        let text = format!("{architecture}{variant:?}");
        let (media_type, manifest) =
            small(&text).platform(architecture, variant).upload(registry, "pull/index");
        let digest = format!("sha256:{}", sha256_hex(&manifest));
        registry.put_manifest("pull/index", &digest, media_type, &manifest);
        let mut platform = json!({"os": "linux", "architecture": architecture});
        if let Some(variant) = variant {
            platform["variant"] = variant.into();
        }
        entries.push(
            json!({"mediaType": media_type, "digest": digest, "size": manifest.len(), "platform": platform}),
        );
        ids.push(id_of(&manifest));
    }
    let media_type = "application/vnd.oci.image.index.v1+json";
    let index = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": entries}).to_string();
    registry.put_manifest("pull/index", "latest", media_type, index.as_bytes());
    let name = registry.reference("pull/index", "latest");
    for (options, expected) in [
        (&["--platform", "linux/amd64"][..], 0),
        (&["--platform=linux/arm/v6"], 1),
        (&["--arch", "arm"], 2),
        (&["--arch=arm", "--variant=v8"], 2),
        (&["--arch", "aarch64"], 3),
    ] {
        let output = env.coracle(["pull", "-q"]).args(options).arg(&name).ok();
        assert_eq!(output.text(), ids[expected], "{options:?}");
    }
    let refused = env.coracle(["pull", "--platform", "linux/s390x", &name]).fails(125);
    refused.says("has no image for linux/s390x").says("linux/amd64, linux/arm/v6");
    env.coracle(["pull", "--platform", "linux/arm", "--arch", "arm", &name]).fails(125);
}

#[test]
fn digests_pin_the_image() {
    let (env, registry) = (TestEnv::new(), shared_registry());
    let digest = small("pinned").push(registry, "pull/pinned", "v1");
    let name = format!("{}/pull/pinned@{digest}", registry.address());
    env.coracle(["pull", &name]).ok();
    env.coracle(["pull", "--policy=never", &name]).ok();
    let other = format!("{}/pull/pinned@sha256:{}", registry.address(), "0".repeat(64));
    env.coracle(["pull", &other]).fails(125).says("manifest unknown");
}

#[test]
fn short_names_follow_registries_conf() {
    let (env, registry) = (TestEnv::new(), shared_registry());
    let hub = push(small("hub"), registry, "library/pull-short", "latest");
    let alias = push(small("alias"), registry, "pull/alias", "v2");
    env.use_registry(registry.address());
    assert_eq!(env.coracle(["pull", "-q", "pull-short"]).ok().text(), hub);
    env.coracle(["pull", "-q", "--policy=never", "docker.io/library/pull-short:latest"]).ok();
    let address = registry.address();
    let conf = format!(
        "unqualified-search-registries = ['127.0.0.1:1', '{address}']\n[aliases]\n'nick' = '{address}/pull/alias'\n\
         [[registry]]\nlocation = 'blocked.example'\nblocked = true\n"
    );
    env.file("home/.config/containers/registries.conf", conf);
    assert_eq!(env.coracle(["pull", "-q", "nick:v2"]).ok().text(), alias);
    assert_eq!(env.coracle(["pull", "-q", "library/pull-short"]).ok().text(), hub);
    env.coracle(["pull", "blocked.example/x"]).fails(125).says("is blocked");
    env.coracle(["pull", "nowhere/at-all"]).fails(125).says("none of 127.0.0.1:1/nowhere/at-all");
}

#[test]
fn a_mirror_comes_first_and_the_registry_after_it() {
    let (env, registry) = (TestEnv::new(), shared_registry());
    let id = push(small("mirrored"), registry, "pull/mirrored", "latest");
    let address = registry.address();
    env.file(
        "home/.config/containers/registries.conf",
        format!(
            "[[registry]]\nprefix = 'q.example/team'\nlocation = '{address}/pull'\ninsecure = true\n\
             [[registry.mirror]]\nlocation = '127.0.0.1:1'\ninsecure = true\n"
        ),
    );
    let output = env.coracle(["pull", "q.example/team/mirrored"]).ok().says("Warning: mirror 127.0.0.1:1");
    assert_eq!(output.text(), id);
    env.coracle(["pull", "--policy", "never", "q.example/team/mirrored"]).ok();
}

#[test]
fn credentials_are_found_where_podman_and_docker_keep_them() {
    let registry = Registry::with_password("bob", "secret");
    push(small("private"), &registry, "team/app", "latest");
    let (name, address) = (registry.reference("team/app", "latest"), registry.address());
    let entry = {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.encode("bob:secret")
    };
    let file = |key: &str| json!({"auths": {key: {"auth": entry}}}).to_string();
    let pull = |env: &TestEnv| env.coracle(["pull", "-q", &name]);

    let env = TestEnv::new();
    pull(&env).fails(125).says("access to").says("coracle login");
    pull(&env).args(["--creds", "bob:wrong"]).fails(125).says("denied");
    pull(&env).args(["--creds", "bob:secret"]).ok();
    let named = env.file("named.json", file(address));
    pull(&env).arg("--authfile").arg(&named).ok();
    pull(&env).env("REGISTRY_AUTH_FILE", &named).ok();
    pull(&env)
        .args(["--authfile", "/nonexistent"])
        .fails(125)
        .says("faccessat /nonexistent: no such file or directory");
    for path in ["run/containers/auth.json", "home/.config/containers/auth.json", "home/.docker/config.json"]
    {
        let env = TestEnv::new();
        env.file(path, file(&format!("{address}/team")));
        pull(&env).ok();
        env.file(path, "not json");
        pull(&env).fails(125).says("is not a credentials file");
    }
}

#[test]
fn credential_helpers_are_asked() {
    let registry = Registry::with_password("bob", "secret");
    push(small("helped"), &registry, "team/app", "latest");
    let (name, address) = (registry.reference("team/app", "latest"), registry.address());
    let env = TestEnv::new();
    let script = format!(
        "#!/bin/sh\n[ \"$1\" = get ] && [ \"$(cat)\" = {address} ] || exit 1\n\
         echo '{{\"ServerURL\":\"x\",\"Username\":\"bob\",\"Secret\":\"secret\"}}'\n"
    );
    let helper = env.file("bin/docker-credential-tests", script);
    std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", helper.parent().unwrap().display(), std::env::var("PATH").unwrap());
    for config in [json!({"credHelpers": {address: "tests"}}), json!({"credsStore": "tests"})] {
        env.file("home/.docker/config.json", config.to_string());
        env.coracle(["pull", "-q", &name]).env("PATH", &path).ok();
        env.coracle(["pull", "-q", &name]).fails(125).says("docker-credential-tests");
    }
}

#[test]
fn policies_decide_whether_to_ask_the_registry() {
    let env = TestEnv::new();
    let registry = Registry::start();
    let name = registry.reference("pull/policy", "latest");
    let old = push(small("old"), &registry, "pull/policy", "latest");
    env.coracle(["pull", "--policy=never", &name]).fails(125).says("image not known");
    assert_eq!(env.coracle(["pull", "-q", "--policy=missing", &name]).ok().text(), old);
    let new = push(small("new"), &registry, "pull/policy", "latest");
    assert_eq!(env.coracle(["pull", "-q", "--policy=missing", &name]).ok().text(), old);
    assert_eq!(env.coracle(["pull", "-q", "--policy=newer", &name]).ok().text(), new);
    drop(registry);
    assert_eq!(env.coracle(["pull", "-q", "--policy=newer", &name]).ok().text(), new);
    env.coracle(["pull", "-q", &name]).fails(125).says("pinging container registry");
}

#[test]
fn several_names_are_pulled_and_one_failure_stops_none() {
    let (env, registry) = (TestEnv::new(), shared_registry());
    let one = push(small("s1"), registry, "pull/several", "1");
    let two = push(small("s2"), registry, "pull/several", "2");
    let names = ["1", "none", "2"].map(|tag| registry.reference("pull/several", tag));
    let output = env.coracle(["pull", "-q"]).args(&names).fails(125);
    assert_eq!(output.lines(), [one, two]);
    output.says("pull/several: manifest unknown");
}

#[test]
fn all_tags_are_pulled() {
    let env = TestEnv::new();
    let registry = shared_registry();
    let mut ids: Vec<String> =
        ["a", "b", "c"].iter().map(|tag| push(small(tag), registry, "pull/tags", tag)).collect();
    let name = format!("{}/pull/tags", registry.address());
    let mut got = env.coracle(["pull", "-q", "-a", &name]).ok().lines();
    ids.sort();
    got.sort();
    assert_eq!(got, ids);
    env.coracle(["pull", "-a", &format!("{name}:a")]).fails(125).says("names a single image");
}

#[test]
fn a_mistake_in_registries_conf_is_told_in_one_line() {
    let env = TestEnv::new();
    env.file("home/.config/containers/registries.conf", "[aliases]\nunqualified-search-registries = [\n");
    let output = env.coracle(["pull", "x"]).fails(125).says("registries.conf").says("line 2: ");
    assert!(!output.stderr.contains("\\n") && !output.stderr.contains(" | "), "{output}");
}

#[test]
fn every_search_registry_says_why_it_has_nothing() {
    let (env, registry) = (TestEnv::new(), shared_registry());
    let nobody = crate::common::free_port();
    let text =
        format!("unqualified-search-registries = [\"127.0.0.1:{nobody}\", \"{}\"]\n", registry.address());
    env.file("home/.config/containers/registries.conf", text);
    let output = env.coracle(["pull", "--retry", "0", "pull/nowhere"]).fails(125);
    let output = output.says(&format!("pinging container registry 127.0.0.1:{nobody}"));
    output.says("/pull/nowhere: manifest unknown");
}

#[test]
fn certificates_come_from_certs_d() {
    if which("openssl").is_none() {
        return crate::common::skip("openssl is not installed");
    }
    let env = TestEnv::new();
    let made = env.path().join("made");
    std::fs::create_dir(&made).unwrap();
    certificates(&env, &made);
    let extra =
        "  tls:\n    certificate: DIR/server.crt\n    key: DIR/server.key\n    clientcas: [DIR/ca.crt]\n";
    let Some(registry) = tls_registry(&made, extra) else { return };
    let name = format!("{}/x", registry.address);
    // Without the authority, without the client's certificate, with both.
    let refused = env.coracle(["pull", &name]).fails(125).says("pinging container registry").says("certs.d");
    assert_eq!(refused.stderr.matches("Error:").count(), 1, "a library spoke too: {refused}");
    let dir = format!("home/.config/containers/certs.d/{}", registry.address);
    env.file(&format!("{dir}/ca.crt"), "no certificate");
    env.coracle(["pull", &name]).fails(125).says("ca.crt holds no certificate");
    env.file(&format!("{dir}/ca.crt"), std::fs::read(made.join("ca.crt")).unwrap());
    let refused = env.coracle(["pull", &name]).args(["--retry", "0"]).fails(125);
    refused.says("pinging container registry").says("client certificate").says(".key");
    for file in ["client.cert", "client.key"] {
        env.file(&format!("{dir}/{file}"), std::fs::read(made.join(file)).unwrap());
    }
    env.coracle(["pull", &name]).fails(125).says("manifest unknown");
    let elsewhere = TestEnv::new();
    let named = elsewhere.coracle(["pull", "--cert-dir"]).arg(env.path().join(dir)).arg(&name);
    named.fails(125).says("manifest unknown");
}

#[test]
fn a_registry_may_be_its_own_authority() {
    if which("openssl").is_none() {
        return crate::common::skip("openssl is not installed");
    }
    let env = TestEnv::new();
    let made = env.path().join("made");
    std::fs::create_dir(&made).unwrap();
    // As docker's documentation makes it: an authority that is the server, too.
    let script = r#"set -e
        for name in server other; do
            openssl req -x509 -newkey rsa:2048 -nodes -sha256 -days 2 -subj /CN=registry \
                -addext subjectAltName=IP:127.0.0.1 -keyout $name.key -out $name.crt
        done
        openssl req -x509 -key server.key -days 2 -subj /CN=registry -addext subjectAltName=IP:127.0.0.1 -out again.crt
    "#;
    env.program("sh").args(["-c", script]).cwd(&made).ok();
    let extra = "  tls:\n    certificate: DIR/server.crt\n    key: DIR/server.key\n";
    let Some(registry) = tls_registry(&made, extra) else { return };
    let name = format!("{}/x", registry.address);
    let read = |file: &str| std::fs::read(made.join(file)).unwrap();
    let pull = || env.coracle(["pull", "--retry", "0", &name]);
    // Nobody's, another's, and one of the same key and name, which is not the one that is presented.
    pull().fails(125).says("pinging container registry").says("certs.d");
    let dir = format!("home/.config/containers/certs.d/{}", registry.address);
    for stranger in ["other.crt", "again.crt"] {
        env.file(&format!("{dir}/ca.crt"), read(stranger));
        pull().fails(125).says("pinging container registry");
    }
    env.file(&format!("{dir}/ca.crt"), read("server.crt"));
    pull().fails(125).says("manifest unknown");
    // It is trusted for the names that it has.
    let port = registry.address.rsplit(':').next().unwrap();
    let local = format!("home/.config/containers/certs.d/localhost:{port}");
    env.file(&format!("{local}/ca.crt"), read("server.crt"));
    let local = format!("localhost:{port}/x");
    env.coracle(["pull", "--retry", "0", &local]).fails(125).says("pinging container registry");

    let elsewhere = TestEnv::new();
    let named = elsewhere.coracle(["pull", "--cert-dir"]).arg(env.path().join(dir)).arg(&name);
    named.fails(125).says("manifest unknown");
    let system = elsewhere.coracle(["pull", &name]).env("SSL_CERT_FILE", made.join("server.crt"));
    system.fails(125).says("manifest unknown");
}

/// A registry that speaks TLS only.
pub(crate) struct TlsRegistry {
    process: std::process::Child,
    pub(crate) address: String,
}

impl Drop for TlsRegistry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn tls_registry(made: &Path, extra: &str) -> Option<TlsRegistry> {
    let program = which("docker-registry")?;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let config = format!(
        "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: DIR/data\nhttp:\n  \
         addr: {address}\n{extra}"
    );
    let path = made.join("config.yml");
    std::fs::write(&path, config.replace("DIR", &made.display().to_string())).unwrap();
    let mut command = std::process::Command::new(program);
    command.arg("serve").arg(&path).env("OTEL_TRACES_EXPORTER", "none");
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let process = crate::common::spawn_with_us(command).unwrap();
    let registry = TlsRegistry { process, address };
    for _ in 0..1500 {
        if std::net::TcpStream::connect(&registry.address).is_ok() {
            return Some(registry);
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("the registry did not start");
}

/// An authority, a server's and a client's certificate.
pub(crate) fn certificates(env: &TestEnv, dir: &Path) {
    let script = r#"set -e
        openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=tests-ca -keyout ca.pem -out ca.crt \
            -addext basicConstraints=critical,CA:TRUE
        printf 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n' >ext
        for who in server client; do
            openssl req -newkey rsa:2048 -nodes -subj /CN=$who -keyout $who.key -out $who.csr
            openssl x509 -req -in $who.csr -CA ca.crt -CAkey ca.pem -CAcreateserial -days 2 -extfile ext -out $who.pem
        done
        mv server.pem server.crt
        mv client.pem client.cert
        rm -f ca.pem
        mkdir -p server
    "#;
    env.program("sh").args(["-c", script]).cwd(dir).ok();
}
