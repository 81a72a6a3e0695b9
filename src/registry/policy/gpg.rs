//! Signatures by GPG, checked by the program `gpg`: it is what their makers use, and knows of expired and revoked keys.
//!
//! It works in a directory of its own, which has the keys of one requirement and nothing of the user's; starts no agent;
//! and tells what it found on its status channel (doc/DETAILS in its sources), apart from what it says for people.

use crate::error::{Context, Error, Kind, Result};
use crate::sys::fd::command;
use std::path::Path;
use std::process::{Command, Stdio};

/// Most bytes of what is signed.
const PAYLOAD_MAX: usize = 1 << 20;
/// What tells that something about a signature is wrong.
const BAD: [&str; 10] = [
    "BADSIG",
    "ERRSIG",
    "EXPSIG",
    "EXPKEYSIG",
    "REVKEYSIG",
    "NO_PUBKEY",
    "NODATA",
    "UNEXPECTED",
    "FAILURE",
    "ERROR",
];

/// Makes the directory able to check signatures by these keys.
///
/// # Errors
/// No gpg, or keys that it does not take.
pub(super) fn prepare(home: &Path, keyrings: &[Vec<u8>]) -> Result<()> {
    for (number, keyring) in keyrings.iter().enumerate() {
        let file = home.join(format!("keys-{number}"));
        std::fs::write(&file, keyring).context(Kind::Storage, || format!("write {}", file.display()))?;
        let output = run(gpg(home).arg("--import").arg(&file))?;
        if !output.lines().any(|line| line.starts_with("IMPORT_OK ")) {
            return Err(Error::new(Kind::Usage, "a key that the policy names is not a GPG key"));
        }
    }
    Ok(())
}

/// What a signature signs, if it is good.
///
/// # Errors
/// No gpg, or a file that cannot be written; the inner one says what is wrong with the signature.
pub(super) fn verify(home: &Path, signature: &[u8]) -> Result<Result<Vec<u8>, String>> {
    let (from, to) = (home.join("signature"), home.join("payload"));
    std::fs::write(&from, signature).context(Kind::Storage, || format!("write {}", from.display()))?;
    let _ = std::fs::remove_file(&to);
    let status = run(gpg(home)
        .args(["--max-output", &PAYLOAD_MAX.to_string(), "--trust-model", "always", "--output"])
        .args([&to])
        .arg("--decrypt")
        .arg(&from))?;
    if let Err(why) = is_good(&status) {
        return Ok(Err(why));
    }
    Ok(std::fs::read(&to).map_err(|_| "it signs nothing".to_owned()))
}

/// Whether the status tells of exactly one signature, which is good in every respect.
fn is_good(status: &str) -> Result<(), String> {
    let count = |word: &str| status.lines().filter(|line| line.split(' ').next() == Some(word)).count();
    if let Some(bad) = BAD.iter().find(|word| count(word) > 0) {
        let why = match *bad {
            "EXPSIG" => "it has expired",
            "EXPKEYSIG" => "its key has expired",
            "REVKEYSIG" => "its key was revoked",
            "ERRSIG" | "NO_PUBKEY" => "it is by another key",
            "BADSIG" => "it does not match what it signs",
            _ => "it is malformed",
        };
        return Err(why.to_owned());
    }
    match (count("NEWSIG"), count("GOODSIG"), count("VALIDSIG")) {
        (0 | 1, 1, 1) => Ok(()),
        _ => Err("it is not exactly one signature".to_owned()),
    }
}

fn gpg(home: &Path) -> Command {
    let mut gpg = command("gpg");
    gpg.arg("--homedir").arg(home);
    gpg.args(["--no-options", "--batch", "--no-tty", "--yes", "--no-autostart", "--no-auto-key-retrieve"]);
    // What is said for people may quote what an attacker has chosen.
    gpg.args(["--status-fd", "1", "--logger-file", "/dev/null"]);
    gpg
}

/// Runs it; gives its status lines without what marks them.
fn run(gpg: &mut Command) -> Result<String> {
    let output = gpg.stdin(Stdio::null()).stderr(Stdio::null()).output().map_err(|e| {
        Error::new(Kind::Host, "run gpg, which checks the signatures that the policy asks for")
            .caused_by(e)
            .hint("Install it: sudo apt install gnupg")
    })?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines = text.lines().filter_map(|line| line.strip_prefix("[GNUPG:] "));
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_good_signature_is_good() {
        let good = "NEWSIG\nKEY_CONSIDERED X 0\nGOODSIG 12 me\nVALIDSIG AB 2026-01-01\nTRUST_ULTIMATE";
        assert_eq!(is_good(good), Ok(()));
        for (bad, why) in [
            ("", "exactly one"),
            ("NEWSIG\nEXPKEYSIG 12 me\nVALIDSIG AB", "key has expired"),
            ("NEWSIG\nREVKEYSIG 12 me\nVALIDSIG AB", "revoked"),
            ("NEWSIG\nBADSIG 12 GOODSIG", "does not match"),
            ("NEWSIG\nERRSIG 12\nNO_PUBKEY 12", "another key"),
            ("NEWSIG\nGOODSIG 12\nVALIDSIG A\nNEWSIG\nGOODSIG 13\nVALIDSIG B", "exactly one"),
            ("NEWSIG\nGOODSIG 12 me", "exactly one"),
        ] {
            assert!(is_good(bad).unwrap_err().contains(why), "{bad}");
        }
    }
}
