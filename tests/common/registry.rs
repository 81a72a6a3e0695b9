//! The real registry (Debian's `docker-registry`) on a free port of loopback, and a plain HTTP client
//! to put images into it.

use super::{TokenServer, scratch, spawn_with_us, which, write};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

/// A running registry; ends when dropped, or with the test process.
#[derive(Debug)]
pub(crate) struct Registry {
    process: Mutex<Child>,
    dir: PathBuf,
    address: String,
    authorization: Option<String>,
    tokens: Option<TokenServer>,
}

/// The registry that holds what every test may pull; nobody changes or deletes its images.
pub(crate) fn shared_registry() -> &'static Registry {
    static SHARED: OnceLock<Registry> = OnceLock::new();
    SHARED.get_or_init(Registry::start)
}

impl Registry {
    /// Starts one that anybody may read and write.
    pub(crate) fn start() -> Registry {
        Registry::launch("", None, |_| {})
    }

    /// Starts one that asks for this user and password (basic challenge).
    pub(crate) fn with_password(user: &str, password: &str) -> Registry {
        let pair = format!("{user}:{password}");
        let header = {
            use base64::Engine;
            base64::engine::general_purpose::STANDARD.encode(&pair)
        };
        let line = htpasswd(user, password);
        let extra = "auth:\n  htpasswd:\n    realm: tests\n    path: DIR/htpasswd\n";
        Registry::launch(extra, Some(format!("Basic {header}")), move |dir| {
            write(&dir.join("htpasswd"), &line);
        })
    }

    /// Starts one that asks for tokens, with the token server that gives them to this user.
    pub(crate) fn with_tokens(user: &str, password: &str) -> Registry {
        let server = TokenServer::start(user, password);
        let mut registry =
            Registry::launch(&server.configuration(), None, |dir| server.write_certificate(dir));
        registry.tokens = Some(server);
        registry
    }

    /// The token server of [`Registry::with_tokens`].
    pub(crate) fn tokens(&self) -> &TokenServer {
        self.tokens.as_ref().unwrap_or_else(|| panic!("this registry asks for no tokens"))
    }

    /// Starts one with more configuration; `DIR` in it stands for the registry's directory, which
    /// `prepare` may fill.
    pub(crate) fn launch(extra: &str, authorization: Option<String>, prepare: impl Fn(&Path)) -> Registry {
        let program = which("docker-registry")
            .unwrap_or_else(|| panic!("docker-registry is not installed: scripts/setup.sh --test"));
        for _ in 0..5 {
            let dir = scratch("r");
            prepare(&dir);
            // Another process may take the port before the registry does: then the registry ends.
            let port = free_port();
            let address = format!("127.0.0.1:{port}");
            let config = format!(
                "version: 0.1\nlog:\n  level: error\n  accesslog:\n    disabled: true\nstorage:\n  delete:\n    \
                 enabled: true\n  filesystem:\n    rootdirectory: DIR/data\nhttp:\n  addr: {address}\n{extra}"
            );
            let config = config.replace("DIR", &dir.display().to_string());
            write(&dir.join("config.yml"), config);
            let mut command = Command::new(&program);
            command.arg("serve").arg(dir.join("config.yml")).env("OTEL_TRACES_EXPORTER", "none");
            let process = spawn_with_us(command).unwrap_or_else(|e| panic!("start docker-registry: {e}"));
            let (process, authorization) = (Mutex::new(process), authorization.clone());
            let registry = Registry { process, dir, address, authorization, tokens: None };
            if registry.wait_until_it_listens() {
                return registry;
            }
        }
        panic!("docker-registry did not start in five attempts");
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// `127.0.0.1:PORT/REPOSITORY:TAG`.
    pub(crate) fn reference(&self, repository: &str, tag: &str) -> String {
        format!("{}/{repository}:{tag}", self.address)
    }

    /// The registry's own directory; its blobs are below `data/`.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The registry's pid.
    pub(crate) fn pid(&self) -> i32 {
        self.process.lock().unwrap_or_else(std::sync::PoisonError::into_inner).id() as i32
    }

    /// Uploads a blob unless it is there; returns its digest.
    pub(crate) fn put_blob(&self, repository: &str, bytes: &[u8]) -> String {
        let digest = format!("sha256:{}", super::sha256_hex(bytes));
        let path = format!("/v2/{repository}/blobs/{digest}");
        if self.request("HEAD", &path, &[], b"").status == 200 {
            return digest;
        }
        let begun = self.request("POST", &format!("/v2/{repository}/blobs/uploads/"), &[], b"");
        assert_eq!(begun.status, 202, "{begun:?}");
        let location = begun.header("location").unwrap_or_else(|| panic!("no Location: {begun:?}"));
        let path =
            location.split_once("//").map_or(location, |(_, rest)| &rest[rest.find('/').unwrap_or(0)..]);
        let joint = if path.contains('?') { '&' } else { '?' };
        let kind = [("Content-Type", "application/octet-stream")];
        let done = self.request("PUT", &format!("{path}{joint}digest={digest}"), &kind, bytes);
        assert_eq!(done.status, 201, "{done:?}");
        digest
    }

    /// Uploads a manifest or index under a tag or digest; returns its digest.
    pub(crate) fn put_manifest(&self, repository: &str, tag: &str, media_type: &str, bytes: &[u8]) -> String {
        let path = format!("/v2/{repository}/manifests/{tag}");
        let done = self.request("PUT", &path, &[("Content-Type", media_type)], bytes);
        assert_eq!(done.status, 201, "{done:?}");
        format!("sha256:{}", super::sha256_hex(bytes))
    }

    /// The tags of a repository.
    pub(crate) fn tags(&self, repository: &str) -> Vec<String> {
        let answer = self.request("GET", &format!("/v2/{repository}/tags/list"), &[], b"");
        let list: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        list["tags"].as_array().into_iter().flatten().filter_map(|t| t.as_str().map(str::to_owned)).collect()
    }

    fn wait_until_it_listens(&self) -> bool {
        for _ in 0..1500 {
            if matches!(
                self.process.lock().unwrap_or_else(std::sync::PoisonError::into_inner).try_wait(),
                Ok(Some(_)) | Err(_)
            ) {
                return false;
            }
            if TcpStream::connect(&self.address).is_ok() {
                return matches!(self.request("GET", "/v2/", &[], b"").status, 200 | 401);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    /// One HTTP/1.1 request on a connection of its own.
    pub(crate) fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n",
            self.address,
            body.len()
        );
        let token = self.tokens.as_ref().map(|tokens| {
            let path = path.split('?').next().unwrap_or_default().trim_start_matches("/v2/");
            let part = ["/manifests/", "/blobs/", "/tags/"].iter().find_map(|part| path.find(part));
            format!("Bearer {}", tokens.token(&[&path[..part.unwrap_or(path.len())]]))
        });
        if let Some(authorization) = token.as_ref().or(self.authorization.as_ref()) {
            head.push_str(&format!("Authorization: {authorization}\r\n"));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        let mut stream = TcpStream::connect(&self.address)
            .unwrap_or_else(|e| panic!("connect to the registry at {}: {e}", self.address));
        let mut answer = Vec::new();
        let sent = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        let read = sent.and_then(|()| stream.read_to_end(&mut answer));
        if answer.is_empty() {
            panic!("{method} {path}: {read:?}");
        }
        Answer::parse(&answer)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let process = self.process.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        let _ = process.kill();
        let _ = process.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// An answer of the registry.
#[derive(Debug)]
pub(crate) struct Answer {
    /// HTTP status code.
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    /// The body; chunked encoding is taken off.
    pub(crate) body: Vec<u8>,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Answer {
        let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or(bytes.len());
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.lines();
        let status = lines.next().and_then(|l| l.split(' ').nth(1)).and_then(|s| s.parse().ok()).unwrap_or(0);
        let headers: Vec<(String, String)> = lines
            .filter_map(|l| l.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let raw = bytes.get(end + 4..).unwrap_or_default();
        let chunked = headers.iter().any(|(n, v)| n == "transfer-encoding" && v == "chunked");
        let body = if chunked { unchunk(raw) } else { raw.to_owned() };
        Answer { status, headers, body }
    }

    /// A header by its lower-case name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

fn unchunk(mut raw: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(line) = raw.windows(2).position(|w| w == b"\r\n") {
        let size = std::str::from_utf8(&raw[..line]).ok().and_then(|s| usize::from_str_radix(s, 16).ok());
        let Some(size @ 1..) = size else { break };
        body.extend_from_slice(raw.get(line + 2..line + 2 + size).unwrap_or_default());
        raw = raw.get(line + 4 + size..).unwrap_or_default();
    }
    body
}

/// A port of loopback that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|l| l.local_addr())
        .map(|a: SocketAddr| a.port())
        .unwrap_or_else(|e| panic!("no free port: {e}"))
}

/// A line for an htpasswd file. The registry takes bcrypt only, which perl's crypt (libcrypt) makes.
fn htpasswd(user: &str, password: &str) -> String {
    let script = r#"print crypt($ARGV[0], '$2b$05$coracletestscoracletes')"#;
    let made = Command::new("perl").args(["-e", script, password]).output();
    let hash = made.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    assert!(hash.starts_with("$2b$"), "perl's crypt does not know bcrypt: {hash:?}");
    format!("{user}:{hash}\n")
}
