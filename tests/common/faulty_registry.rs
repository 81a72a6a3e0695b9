//! A small registry of our own that misbehaves on request: for what a real one does too rarely.
//!
//! One thread per connection, HTTP/1.1 with keep-alive, plain `std`. Every request is noted, so that a
//! test can look at what was sent where. Rules are tried in the order they were added; the first whose
//! text occurs in the request's method and path (`PATCH /v2/x/`), and that has not been used up, decides.

mod uploads;

use super::{Layer, sha256_hex};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How a request is answered wrongly.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// This status with these headers and body.
    Status(u16, Vec<(String, String)>, String),
    /// All headers, this many bytes of the body, then the end of the connection.
    Cut(usize),
    /// As `Cut`, but the connection stays open and silent until [`FaultyRegistry::release`].
    Stall(usize),
    /// The body byte by byte, one every 50 ms.
    Drip,
    /// The end of the connection before any answer.
    Hang,
    /// As `Hang`, after the request was done.
    Mute,
    /// Another body of the same kind; its length is announced.
    Body(Vec<u8>),
    /// `Range` is ignored: the whole body with status 200.
    NoRange,
    /// 307 to this URL.
    Redirect(String),
    /// This many bytes of the request's body are taken, then the connection ends.
    CutBody(usize),
    /// As `CutBody`, but the connection stays open and silent until [`FaultyRegistry::release`].
    StallBody(usize),
}

/// How the registry asks for authorization.
#[derive(Debug, Clone)]
pub(crate) enum Auth {
    /// A user and password with every request.
    Basic(String, String),
    /// Tokens from `realm`; each is good for this many requests.
    Bearer {
        /// The token server's URL; `None` is `/token` of this registry.
        realm: Option<String>,
        /// Requests a token is good for.
        uses: usize,
    },
}

/// A request that came in.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// `GET`, ...
    pub(crate) method: String,
    /// Path and query.
    pub(crate) path: String,
    headers: HashMap<String, String>,
    /// The body as text.
    pub(crate) body: String,
}

impl Seen {
    /// A header by its lower-case name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

#[derive(Debug, Default)]
struct State {
    blobs: HashMap<String, Vec<u8>>,
    manifests: HashMap<String, (String, Vec<u8>)>,
    rules: Vec<(String, usize, Fault)>,
    auth: Option<Auth>,
    /// What the token server accepts: the value of `authorization`, or a refresh token.
    token_secret: Option<String>,
    tokens: HashMap<String, usize>,
    seen: Vec<Seen>,
    released: bool,
    uploads: uploads::Uploads,
    /// By `repository/signatures/digest`, if it keeps any (OpenShift's extension).
    signatures: Option<HashMap<String, Vec<Vec<u8>>>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    stop: AtomicBool,
    address: String,
}

/// A running one; ends when dropped.
#[derive(Debug)]
pub(crate) struct FaultyRegistry {
    shared: Arc<Shared>,
}

impl FaultyRegistry {
    /// Starts one on a free port of loopback.
    pub(crate) fn start() -> FaultyRegistry {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap_or_else(|e| panic!("no free port: {e}"));
        let address = listener.local_addr().map(|a| a.to_string()).unwrap_or_default();
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            changed: Condvar::new(),
            stop: AtomicBool::new(false),
            address,
        });
        let (theirs, those) = (shared.clone(), shared.clone());
        accept(listener, move || those.stop.load(Ordering::Relaxed), move |stream| theirs.serve(stream));
        FaultyRegistry { shared }
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> &str {
        &self.shared.address
    }

    /// Stores a blob; returns its digest.
    pub(crate) fn put_blob(&self, bytes: &[u8]) -> String {
        let digest = format!("sha256:{}", sha256_hex(bytes));
        self.shared.state().blobs.insert(digest.clone(), bytes.to_owned());
        digest
    }

    /// Stores a manifest under `repository:tag` and by digest; returns the digest.
    pub(crate) fn put_manifest(&self, repository: &str, tag: &str, media_type: &str, bytes: &[u8]) -> String {
        let digest = format!("sha256:{}", sha256_hex(bytes));
        let mut state = self.shared.state();
        for name in [tag, &digest] {
            let entry = (media_type.to_owned(), bytes.to_owned());
            state.manifests.insert(format!("{repository}/manifests/{name}"), entry);
        }
        digest
    }

    /// Stores an OCI image of these layers; returns the digests of its layer blobs and its id.
    pub(crate) fn put_image(&self, repository: &str, tag: &str, layers: Vec<Layer>) -> (Vec<String>, String) {
        let (mut diff_ids, mut blobs, mut descriptors) = (Vec::new(), Vec::new(), Vec::new());
        for layer in layers {
            let (tar, packed) = layer.finish();
            diff_ids.push(format!("sha256:{}", sha256_hex(&tar)));
            let digest = self.put_blob(&packed);
            descriptors.push(json!({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                "digest": digest, "size": packed.len()}));
            blobs.push(digest);
        }
        let config = json!({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/bin/sh"]},
            "rootfs": {"type": "layers", "diff_ids": diff_ids}})
        .to_string();
        let id = self.put_blob(config.as_bytes());
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        let manifest = json!({"schemaVersion": 2, "mediaType": media_type, "layers": descriptors,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": id, "size": config.len()}});
        self.put_manifest(repository, tag, media_type, manifest.to_string().as_bytes());
        (blobs, id.trim_start_matches("sha256:").to_owned())
    }

    /// Answers the next `times` requests whose path contains `text` with a fault.
    pub(crate) fn fault(&self, text: &str, times: usize, fault: Fault) {
        self.shared.state().rules.push((text.to_owned(), times, fault));
    }

    /// Keeps a signature of a manifest, as OpenShift's registry does.
    pub(crate) fn put_signature(&self, repository: &str, manifest: &str, signature: &[u8]) {
        let name = format!("{repository}/signatures/{manifest}");
        let mut state = self.shared.state();
        state.signatures.get_or_insert_default().entry(name).or_default().push(signature.to_owned());
    }

    /// Forgets all faults and lets go of stalled connections.
    pub(crate) fn release(&self) {
        let mut state = self.shared.state();
        state.rules.clear();
        state.released = true;
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Loses uploads whose connection breaks.
    pub(crate) fn forget_uploads(&self) {
        self.shared.state().uploads.forgetful = true;
    }

    /// A blob that it has.
    pub(crate) fn blob(&self, digest: &str) -> Option<Vec<u8>> {
        self.shared.state().blobs.get(digest).cloned()
    }

    /// A manifest that it has, by `repository/manifests/tag`.
    pub(crate) fn manifest(&self, name: &str) -> Option<Vec<u8>> {
        self.shared.state().manifests.get(name).map(|(_, bytes)| bytes.clone())
    }

    /// How many requests had this method and this text in their path.
    pub(crate) fn count_of(&self, method: &str, text: &str) -> usize {
        self.seen().iter().filter(|s| s.method == method && s.path.contains(text)).count()
    }

    /// Asks for authorization from now on; the token server accepts `secret` (the whole value of
    /// `Authorization`, or a refresh token), or everybody.
    pub(crate) fn require(&self, auth: Auth, secret: Option<&str>) {
        let mut state = self.shared.state();
        state.auth = Some(auth);
        state.token_secret = secret.map(str::to_owned);
    }

    /// All requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.state().seen.clone()
    }

    /// How many requests had this text in their path.
    pub(crate) fn count(&self, text: &str) -> usize {
        self.shared.state().seen.iter().filter(|s| s.path.contains(text)).count()
    }

    /// Waits until a request with this text in its path has come.
    pub(crate) fn wait_for(&self, text: &str) {
        let mut state = self.shared.state();
        for _ in 0..600 {
            if state.seen.iter().any(|s| s.path.contains(text)) {
                return;
            }
            let waited = self.shared.changed.wait_timeout(state, Duration::from_millis(100));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        panic!("no request for {text} came");
    }
}

impl Drop for FaultyRegistry {
    fn drop(&mut self) {
        self.release();
        self.shared.stop.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(&self.shared.address);
    }
}

/// An answer to be sent.
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Answer {
    fn new(status: u16, body: impl Into<Vec<u8>>) -> Answer {
        Answer { status, headers: Vec::new(), body: body.into() }
    }

    fn with(mut self, name: &str, value: impl Into<String>) -> Answer {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        while let Some(request) = read_head(&mut reader) {
            let fault = self.note(&request);
            if self.serve_one(&mut reader, request, fault).is_none() {
                break;
            }
        }
        let _ = stream.shutdown(Shutdown::Both);
    }

    /// Reads the body of one request, and answers it; `None` ends the connection.
    fn serve_one(
        &self,
        reader: &mut BufReader<&TcpStream>,
        mut request: Seen,
        fault: Option<Fault>,
    ) -> Option<()> {
        if let Some(Fault::CutBody(most) | Fault::StallBody(most)) = fault {
            let mut bytes = vec![0; most];
            read_body(reader, &request, Some(&mut bytes))?;
            self.state().uploads.cut(&request.path, &bytes);
            if matches!(fault, Some(Fault::StallBody(_))) {
                self.wait_for_release();
            }
            return None;
        }
        let bytes = read_body(reader, &request, None)?;
        request.body = String::from_utf8_lossy(&bytes).into_owned();
        if let Some(seen) = self.state().seen.iter_mut().rfind(|seen| seen.path == request.path) {
            seen.body.clone_from(&request.body);
        }
        self.answer(reader.get_ref(), &request, &bytes, fault)
    }

    fn wait_for_release(&self) {
        let mut state = self.state();
        while !state.released {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn note(&self, request: &Seen) -> Option<Fault> {
        let mut state = self.state();
        state.seen.push(request.clone());
        self.changed.notify_all();
        let line = format!("{} {}", request.method, request.path);
        let rule = state.rules.iter_mut().find(|(text, left, _)| *left > 0 && line.contains(text.as_str()));
        rule.map(|(_, left, fault)| {
            *left -= 1;
            fault.clone()
        })
    }

    /// Answers one request; `None` ends the connection.
    fn answer(&self, stream: &TcpStream, request: &Seen, bytes: &[u8], fault: Option<Fault>) -> Option<()> {
        let mut ranges = true;
        let mut answer = None;
        let mut limit = usize::MAX;
        let (mut stall, mut drips) = (false, false);
        if matches!(fault, Some(Fault::Mute)) {
            uploads::answer(&mut self.state(), request, bytes);
            return None;
        }
        match fault {
            None | Some(Fault::Mute | Fault::CutBody(_) | Fault::StallBody(_)) => {}
            Some(Fault::Hang) => return None,
            Some(Fault::NoRange) => ranges = false,
            Some(Fault::Status(status, headers, body)) => {
                answer = Some(Answer { status, headers, body: body.into() })
            }
            Some(Fault::Redirect(to)) => answer = Some(Answer::new(307, "").with("Location", to)),
            Some(Fault::Body(bytes)) => answer = Some(Answer::new(200, bytes)),
            Some(Fault::Cut(bytes)) => limit = bytes,
            Some(Fault::Stall(bytes)) => (limit, stall) = (bytes, true),
            Some(Fault::Drip) => drips = true,
        }
        let answer = match answer.or_else(|| self.refuse(request)) {
            Some(answer) => answer,
            None => {
                let changed = uploads::answer(&mut self.state(), request, bytes);
                changed.unwrap_or_else(|| self.content(request, ranges))
            }
        };
        let mut head = format!("HTTP/1.1 {} X\r\nContent-Length: {}\r\n", answer.status, answer.body.len());
        for (name, value) in &answer.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        let mut stream = stream;
        stream.write_all(head.as_bytes()).ok()?;
        if request.method == "HEAD" {
            return Some(());
        }
        for byte in answer.body.chunks(1).filter(|_| drips) {
            stream.write_all(byte).ok()?;
            std::thread::sleep(Duration::from_millis(50));
        }
        if drips {
            return Some(());
        }
        let sent = answer.body.len().min(limit);
        stream.write_all(&answer.body[..sent]).ok()?;
        if stall {
            self.wait_for_release();
        }
        (limit == usize::MAX).then_some(())
    }

    /// The challenge, when the request lacks what is asked for.
    fn refuse(&self, request: &Seen) -> Option<Answer> {
        let mut state = self.state();
        let auth = state.auth.clone()?;
        if !request.path.starts_with("/v2/") {
            return None;
        }
        let given = request.header("authorization").unwrap_or_default().to_owned();
        let challenge = match auth {
            Auth::Basic(user, password) => {
                use base64::Engine;
                let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
                if given == format!("Basic {pair}") {
                    return None;
                }
                "Basic realm=\"tests\"".to_owned()
            }
            Auth::Bearer { realm, .. } => {
                if let Some(left) = given.strip_prefix("Bearer ").and_then(|t| state.tokens.get_mut(t))
                    && *left > 0
                {
                    *left -= 1;
                    return None;
                }
                let realm = realm.unwrap_or_else(|| format!("http://{}/token", self.address));
                format!("Bearer realm=\"{realm}\",service=\"tests\",scope=\"repository:any:pull\"")
            }
        };
        let body = r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#;
        Some(Answer::new(401, body).with("WWW-Authenticate", challenge))
    }

    fn content(&self, request: &Seen, ranges: bool) -> Answer {
        let path = request.path.split('?').next().unwrap_or_default();
        if path == "/v2/" {
            let keeps = self.state().signatures.is_some();
            let answer = Answer::new(200, "{}");
            return if keeps { answer.with("X-Registry-Supports-Signatures", "1") } else { answer };
        }
        if let Some(name) = path.strip_prefix("/extensions/v2/") {
            return self.signatures(name);
        }
        if path == "/token" {
            return self.token(request);
        }
        let state = self.state();
        let Some(path) = path.strip_prefix("/v2/") else { return Answer::new(404, "") };
        if let Some((media_type, bytes)) = state.manifests.get(path) {
            return Answer::new(200, bytes.clone()).with("Content-Type", media_type.clone());
        }
        if let Some(repository) = path.strip_suffix("/tags/list") {
            let prefix = format!("{repository}/manifests/");
            let mut tags: Vec<&str> =
                state.manifests.keys().filter_map(|k| k.strip_prefix(&prefix)).collect();
            tags.retain(|t| !t.starts_with("sha256:"));
            tags.sort_unstable();
            return self.page(request, &tags);
        }
        let blob = path.rsplit_once("/blobs/").and_then(|(_, digest)| state.blobs.get(digest));
        let Some(bytes) = blob else {
            return Answer::new(404, r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"unknown"}]}"#);
        };
        let from =
            request.header("range").and_then(|r| r.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
        match from {
            Some(from) if ranges && from < bytes.len() => Answer::new(206, &bytes[from..])
                .with("Content-Range", format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len())),
            Some(_) if ranges => Answer::new(416, ""),
            _ => Answer::new(200, bytes.clone()),
        }
    }

    fn signatures(&self, name: &str) -> Answer {
        use base64::Engine;
        let state = self.state();
        let kept = state.signatures.iter().flat_map(|all| all.get(name)).flatten();
        let list: Vec<Value> = kept
            .map(|bytes| {
                let content = base64::engine::general_purpose::STANDARD.encode(bytes);
                json!({"schemaVersion": 2, "name": "x", "type": "atomic", "content": content})
            })
            .collect();
        Answer::new(200, json!({"signatures": list}).to_string())
    }

    /// Two tags to a page.
    fn page(&self, request: &Seen, tags: &[&str]) -> Answer {
        let after = request.path.split_once("last=").map(|(_, tag)| tag).unwrap_or_default();
        let rest: Vec<&str> = tags.iter().copied().filter(|t| *t > after).collect();
        let page = &rest[..rest.len().min(2)];
        let answer = Answer::new(200, json!({"name": "x", "tags": page}).to_string());
        match page.last() {
            Some(last) if rest.len() > 2 => {
                let path = request.path.split('?').next().unwrap_or_default();
                answer.with("Link", format!("<{path}?n=2&last={last}>; rel=\"next\""))
            }
            _ => answer,
        }
    }

    fn token(&self, request: &Seen) -> Answer {
        let mut state = self.state();
        let given = match request.method.as_str() {
            "POST" => request.body.split('&').find_map(|p| p.strip_prefix("refresh_token=")),
            _ => request.header("authorization"),
        };
        if state.token_secret.is_some() && given != state.token_secret.as_deref() {
            return Answer::new(401, "");
        }
        let uses = match state.auth {
            Some(Auth::Bearer { uses, .. }) => uses,
            _ => usize::MAX,
        };
        let token = format!("token-{}", state.tokens.len());
        state.tokens.insert(token.clone(), uses);
        Answer::new(200, json!({"access_token": token, "expires_in": 60}).to_string())
    }
}

/// Serves each connection on a thread of its own, until one comes after `stopped` says so.
pub(super) fn accept(
    listener: TcpListener,
    stopped: impl Fn() -> bool + Send + 'static,
    serve: impl Fn(&TcpStream) + Send + Sync + 'static,
) {
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if stopped() {
                return;
            }
            let serve = serve.clone();
            std::thread::spawn(move || serve(&stream));
        }
    });
}

/// Reads one request; `None` at the end of the connection, or if it is no HTTP.
pub(super) fn read_request(reader: &mut BufReader<&TcpStream>) -> Option<Seen> {
    let head = read_head(reader)?;
    let body = read_body(reader, &head, None)?;
    Some(Seen { body: String::from_utf8_lossy(&body).into_owned(), ..head })
}

/// Reads a request up to its body.
fn read_head(reader: &mut BufReader<&TcpStream>) -> Option<Seen> {
    // A client that tries TLS first does not begin with a letter, and waits for our answer.
    if !reader.fill_buf().ok()?.first()?.is_ascii_uppercase() {
        return None;
    }
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    Some(Seen { method, path, headers, body: String::new() })
}

/// Reads a body, or as much of it as has room in `part`. `None` when the connection ended before.
fn read_body(
    reader: &mut BufReader<&TcpStream>,
    request: &Seen,
    part: Option<&mut Vec<u8>>,
) -> Option<Vec<u8>> {
    let most = part.as_ref().map(|part| part.len());
    let mut body = Vec::new();
    if request.header("transfer-encoding") == Some("chunked") {
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let size = usize::from_str_radix(line.trim(), 16).ok()?;
            let mut chunk = vec![0; size + 2];
            reader.read_exact(&mut chunk).ok()?;
            body.extend_from_slice(&chunk[..size]);
            if size == 0 || most.is_some_and(|most| body.len() >= most) {
                break;
            }
        }
        body.truncate(most.unwrap_or(usize::MAX));
    } else {
        let length = request.header("content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
        body.resize(most.map_or(length, |most: usize| most.min(length)), 0);
        reader.read_exact(&mut body).ok()?;
    }
    if let Some(part) = part {
        part.clone_from(&body);
    }
    Some(body)
}
