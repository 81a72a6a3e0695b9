//! A token server for the real registry (distribution spec, token authentication): it signs what the registry checks.
//!
//! Tokens are JWTs, signed by openssl with a key whose certificate the registry has as `rootcertbundle`. A user with the
//! right password gets whatever is asked for, except on repositories that were denied; anybody else gets `pull` on
//! what is below `public/`. A refresh token stands for the user it was given to.

use super::faulty_registry::{Seen, accept, read_request};
use super::{scratch, write};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use std::io::{BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// What a refresh token begins with; the user follows.
const REFRESH: &str = "refresh-";

/// A running one; ends when dropped.
#[derive(Debug)]
pub(crate) struct TokenServer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    dir: PathBuf,
    address: String,
    /// The signer's certificate, base64 of DER.
    certificate: String,
    user: String,
    password: String,
    state: Mutex<State>,
    stop: AtomicBool,
}

#[derive(Debug)]
struct State {
    /// Seconds that tokens are good for; the registry adds a minute.
    lifetime: i64,
    denied: Vec<String>,
    seen: Vec<Seen>,
}

impl TokenServer {
    /// Starts one on a free port of loopback that knows one user.
    pub(crate) fn start(user: &str, password: &str) -> TokenServer {
        let dir = scratch("t");
        let request =
            "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=tokens -keyout key.pem -out cert.pem";
        let made = Command::new("openssl").args(request.split(' ')).current_dir(&dir).output();
        let made = made.unwrap_or_else(|e| panic!("openssl: {e}"));
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let pem = std::fs::read_to_string(dir.join("cert.pem")).unwrap_or_default();
        let certificate = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap_or_else(|e| panic!("no free port: {e}"));
        let shared = Arc::new(Shared {
            dir,
            address: listener.local_addr().map(|a| a.to_string()).unwrap_or_default(),
            certificate,
            user: user.to_owned(),
            password: password.to_owned(),
            state: Mutex::new(State { lifetime: 300, denied: Vec::new(), seen: Vec::new() }),
            stop: AtomicBool::new(false),
        });
        let (theirs, those) = (shared.clone(), shared.clone());
        accept(listener, move || those.stop.load(Ordering::Relaxed), move |stream| theirs.serve(stream));
        TokenServer { shared }
    }

    /// The `auth:` section of a registry that asks for tokens of this server; `DIR/tokens.pem` must hold
    /// what [`TokenServer::write_certificate`] writes.
    pub(crate) fn configuration(&self) -> String {
        format!(
            "auth:\n  token:\n    realm: http://{}/token\n    service: tests\n    issuer: tests\n    \
             rootcertbundle: DIR/tokens.pem\n",
            self.shared.address
        )
    }

    /// Writes the certificate that the registry trusts.
    pub(crate) fn write_certificate(&self, dir: &Path) {
        let pem = std::fs::read(self.shared.dir.join("cert.pem"));
        write(&dir.join("tokens.pem"), pem.unwrap_or_else(|e| panic!("the certificate: {e}")));
    }

    /// A token for all that can be done in these repositories.
    pub(crate) fn token(&self, repositories: &[&str]) -> String {
        let entry =
            |name: &&str| json!({"type": "repository", "name": name, "actions": ["*", "pull", "push"]});
        self.shared.sign(&self.shared.user, repositories.iter().map(entry).collect(), 300)
    }

    /// Lets tokens be good for this many seconds; the registry accepts them for a minute longer, so those of
    /// `-61` never are.
    pub(crate) fn set_lifetime(&self, seconds: i64) {
        self.shared.state().lifetime = seconds;
    }

    /// Gives nobody access to a repository any more.
    pub(crate) fn deny(&self, repository: &str) {
        self.shared.state().denied.push(repository.to_owned());
    }

    /// All requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.state().seen.clone()
    }
}

impl Drop for TokenServer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(&self.shared.address);
        let _ = std::fs::remove_dir_all(&self.shared.dir);
    }
}

impl Shared {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        while let Some(request) = read_request(&mut reader) {
            let (status, body) = self.answer(&request);
            self.state().seen.push(request);
            let body = body.to_string();
            let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", body.len());
            let mut stream = stream;
            if stream.write_all((head + &body).as_bytes()).is_err() {
                return;
            }
        }
    }

    fn answer(&self, request: &Seen) -> (u16, Value) {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        if path != "/token" {
            return (404, json!({}));
        }
        let query = if request.method == "POST" { &request.body } else { query };
        let fields: Vec<(String, String)> = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), decoded(value)))
            .collect();
        let field = |name: &str| fields.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
        let known = |user: &str, password: &str| user == self.user && password == self.password;
        let basic = request.header("authorization").and_then(|h| h.strip_prefix("Basic "));
        let basic = basic.and_then(|b| String::from_utf8(STANDARD.decode(b).ok()?).ok());
        let user = match (field("refresh_token"), field("password"), basic.as_deref()) {
            (Some(token), _, _) if token == format!("{REFRESH}{}", self.user) => Some(&self.user),
            (None, Some(password), _) if known(field("username").unwrap_or_default(), password) => {
                Some(&self.user)
            }
            (None, None, Some(pair)) if pair == format!("{}:{}", self.user, self.password) => {
                Some(&self.user)
            }
            (None, None, None) => None,
            _ => return (401, json!({"details": "incorrect username or password"})),
        };
        let scopes =
            fields.iter().filter(|(name, _)| name == "scope").flat_map(|(_, scope)| scope.split(' '));
        let access = scopes.filter_map(|scope| self.grant(user.is_some(), scope)).collect();
        let token = self.sign(user.map_or("", String::as_str), access, self.state().lifetime);
        let mut answer = json!({"token": token, "access_token": token, "expires_in": 60});
        if let (Some(user), true) = (user, field("offline_token") == Some("true")) {
            answer["refresh_token"] = format!("{REFRESH}{user}").into();
        }
        (200, answer)
    }

    /// What a scope (`repository:a/b:pull,push`) comes to.
    fn grant(&self, known: bool, scope: &str) -> Option<Value> {
        let (kind, rest) = scope.split_once(':')?;
        let (name, actions) = rest.rsplit_once(':')?;
        let allowed = |action: &&str| known || (*action == "pull" && name.starts_with("public/"));
        let mut actions: Vec<&str> = actions.split(',').filter(allowed).collect();
        if self.state().denied.iter().any(|denied| denied == name) {
            actions.clear();
        }
        Some(json!({"type": kind, "name": name, "actions": actions}))
    }

    fn sign(&self, user: &str, access: Vec<Value>, lifetime: i64) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() as i64;
        let head = json!({"typ": "JWT", "alg": "RS256", "x5c": [self.certificate]});
        let claims = json!({"iss": "tests", "aud": "tests", "sub": user, "iat": now, "nbf": now - 600,
            "exp": now + lifetime, "jti": "x", "access": access});
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(head), part(claims));
        let mut openssl = Command::new("openssl")
            .args(["dgst", "-sha256", "-sign", "key.pem"])
            .current_dir(&self.dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("openssl: {e}"));
        if let Some(mut input) = openssl.stdin.take() {
            let _ = input.write_all(signed.as_bytes());
        }
        let output = openssl.wait_with_output().unwrap_or_else(|e| panic!("openssl: {e}"));
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(output.stdout))
    }
}

/// A field of a query or form as text.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let hex: String = rest.by_ref().take(2).map(char::from).collect();
                bytes.push(u8::from_str_radix(&hex, 16).unwrap_or(b'?'));
            }
            byte => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
