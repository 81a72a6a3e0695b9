//! Web servers that speak TLS with a certificate of an authority of their own.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Serves the directory it is in, and says at which port.
const SERVER: &str = "\
import http.server, ssl, sys
class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *words): pass
server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Quiet)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1] + '/server.pem', sys.argv[1] + '/server.key')
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
";

/// What the two functions below need.
pub(crate) const TLS_PROGRAMS: [&str; 2] = ["openssl", "python3"];

/// A running one; ends when dropped.
pub(crate) struct TlsServer {
    child: Child,
    port: u16,
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Makes an authority, `trusted/ca.crt`, and a certificate of it for 127.0.0.1 in an empty directory.
pub(crate) fn make_authority(dir: &Path) {
    let script = "\
        exec >/dev/null 2>&1
        mkdir trusted
        openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=tests-ca -keyout ca.key -out trusted/ca.crt \
            -addext basicConstraints=critical,CA:TRUE
        openssl req -newkey rsa:2048 -nodes -subj /CN=127.0.0.1 -keyout server.key -out server.csr
        echo subjectAltName=IP:127.0.0.1 >extensions
        openssl x509 -req -in server.csr -CA trusted/ca.crt -CAkey ca.key -CAcreateserial -days 2 \
            -extfile extensions -out server.pem
        test -s server.pem";
    let made = Command::new("bash").args(["-c", script]).current_dir(dir).env("HOME", dir).status().unwrap();
    assert!(made.success());
}

impl TlsServer {
    /// Serves a directory with the certificate in `authority`.
    pub(crate) fn start(authority: &Path, served: &Path) -> TlsServer {
        let mut server = Command::new("python3");
        server.args(["-c", SERVER]).arg(authority).current_dir(served);
        server.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = server.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        TlsServer { child, port: line.trim().parse().unwrap() }
    }

    /// The address of a file in it.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}/{path}", self.port)
    }
}
