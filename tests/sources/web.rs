//! A small web server that misbehaves on request: this program once more, as the tests themselves have one thread.
//!
//! The first part of a path says how it is answered, the rest names a file of its directory:
//!
//! ```text
//! /ok/NAME        with an entity tag, a time, ranges and conditions
//! /plain/NAME     with none of these
//! /cut/NAME       as ok, but the first answer ends after half of the body
//! /plaincut/NAME  as plain, likewise
//! /changed/NAME   as cut, and it is another file from then on
//! /flaky/NAME     503 first
//! /busy/NAME      503 always
//! /auth/NAME      for me:s3cret only
//! /hop/NAME       a redirect to /ok/NAME, /away/NAME to /auth/NAME of another origin, /circle/NAME to itself
//! /named/NAME     as plain, with the name that a server gives it
//! ```

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The argument that makes this program the server.
pub(crate) const SERVE: &str = "--serve";
/// The time of every file.
pub(crate) const TIME: &str = "Wed, 21 Oct 2015 07:28:00 GMT";
/// `me:s3cret`.
const SECRET: &str = "Basic bWU6czNjcmV0";

/// A running one; ends when dropped.
pub(crate) struct Web {
    child: Child,
    port: u16,
    dir: PathBuf,
}

impl Web {
    /// Serves a directory on a free port of loopback.
    pub(crate) fn start(dir: &Path) -> Web {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg(SERVE)
            .arg(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Web { child, port: line.trim().parse().unwrap(), dir: dir.to_owned() }
    }

    /// `http://127.0.0.1:PORT/PATH`.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }

    /// The same, with a user and a password.
    pub(crate) fn secret_url(&self, path: &str) -> String {
        format!("http://me:s3cret@127.0.0.1:{}/{path}", self.port)
    }

    /// What was asked for since the last call: a line for each request, its path and then its headers.
    pub(crate) fn asked(&self) -> Vec<String> {
        let log = self.dir.join(".log");
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        let _ = std::fs::remove_file(log);
        text.lines().map(str::to_owned).collect()
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The server: one connection after the other, one request in each.
pub(crate) fn serve(dir: &Path) {
    // With its maker it goes, too.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::abort();
    });
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("{}", listener.local_addr().unwrap().port());
    let mut counts = HashMap::new();
    for stream in listener.incoming().flatten() {
        // A client that goes in the middle is not the server's trouble.
        let _ = answer(&stream, dir, &mut counts);
    }
}

fn answer(stream: &TcpStream, dir: &Path, counts: &mut HashMap<String, u32>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let path = first.split(' ').nth(1).unwrap_or("/").to_owned();
    let mut shown: Vec<String> = headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    shown.sort();
    let mut log = std::fs::OpenOptions::new().append(true).create(true).open(dir.join(".log"))?;
    writeln!(log, "{path} {}", shown.join(" | "))?;
    let count = counts.entry(path.clone()).or_insert(0);
    *count += 1;
    respond(stream, dir, &path, &headers, *count)
}

fn respond(
    mut stream: &TcpStream,
    dir: &Path,
    path: &str,
    headers: &HashMap<String, String>,
    count: u32,
) -> std::io::Result<()> {
    let plain = path.split('?').next().unwrap_or(path).trim_start_matches('/');
    let (how, name) = plain.split_once('/').unwrap_or(("", plain));
    let host = headers.get("host").map_or("", String::as_str);
    let port = host.rsplit(':').next().unwrap_or("");
    let mut say = |status: &str, more: &str, body: &[u8], length: usize| {
        let head =
            format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n{more}\r\n");
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)
    };
    let redirect = |to: String| format!("Location: {to}\r\n");
    match how {
        "hop" => return say("302 Found", &redirect(format!("/ok/{name}")), b"", 0),
        "circle" => return say("302 Found", &redirect(path.to_owned()), b"", 0),
        "away" => {
            let to = format!("http://localhost:{port}/auth/{name}");
            return say("307 Temporary Redirect", &redirect(to), b"", 0);
        }
        "busy" => return say("503 Service Unavailable", "Retry-After: 0\r\n", b"", 0),
        "flaky" if count == 1 => return say("503 Service Unavailable", "Retry-After: 0\r\n", b"", 0),
        "auth" if headers.get("authorization").map(String::as_str) != Some(SECRET) => {
            return say("401 Unauthorized", "WWW-Authenticate: Basic realm=\"x\"\r\n", b"", 0);
        }
        _ => {}
    }
    let Ok(mut body) = std::fs::read(dir.join(name)) else { return say("404 Not Found", "", b"", 0) };
    let mut tag = "\"one\"";
    if how == "changed" && count > 1 {
        body.iter_mut().for_each(|byte| *byte = byte.to_ascii_uppercase());
        tag = "\"two\"";
    }
    let whole = body.len();
    let cut = count == 1 && matches!(how, "cut" | "plaincut" | "changed");
    let sent = if cut { whole / 2 } else { whole };
    if matches!(how, "plain" | "plaincut") {
        return say("200 OK", "", &body[..sent], whole);
    }
    if how == "named" {
        return say("200 OK", "Content-Disposition: attachment; filename=\"../given\"\r\n", &body, whole);
    }
    let told = format!("ETag: {tag}\r\nLast-Modified: {TIME}\r\n");
    if headers.get("if-none-match").is_some_and(|known| known == tag) {
        return say("304 Not Modified", &told, b"", 0);
    }
    let range = headers.get("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'));
    match range.and_then(|from| from.parse::<usize>().ok()) {
        Some(from) if headers.get("if-range").is_none_or(|condition| condition == tag) => {
            let told = format!("{told}Content-Range: bytes {from}-{}/{whole}\r\n", whole - 1);
            say("206 Partial Content", &told, &body[from..], whole - from)
        }
        _ => say("200 OK", &told, &body[..sent], whole),
    }
}
