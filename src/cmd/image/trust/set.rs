//! `coracle image trust set`.

use crate::engine::images::trust::Trust;
use crate::error::{Context, Error, Kind, Result};
use crate::host::Env;
use std::path::PathBuf;
use std::process::ExitCode;

/// What is accepted, in podman's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum TrustType {
    /// Every image
    #[value(name = "accept")]
    Accept,
    /// No image
    #[value(name = "reject")]
    Reject,
    /// Images signed with all of the given GPG keys
    #[value(name = "signedBy")]
    SignedBy,
    /// Images signed with all of the given sigstore keys
    #[value(name = "sigstoreSigned")]
    SigstoreSigned,
}

impl TrustType {
    fn word(self) -> &'static str {
        match self {
            TrustType::Accept => "accept",
            TrustType::Reject => "reject",
            TrustType::SignedBy => "signedBy",
            TrustType::SigstoreSigned => "sigstoreSigned",
        }
    }
}

/// Arguments of `image trust set`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Registry, namespace, repository or image; default for everything else
    #[arg(value_name = "REGISTRY")]
    pub registry: String,
    /// File with a public key; may be repeated
    #[arg(short = 'f', long = "pubkeysfile", value_name = "FILE", value_delimiter = ',')]
    pub keys: Vec<PathBuf>,
    /// What is accepted
    #[arg(short = 't', long = "type", value_name = "TYPE", default_value = "signedBy")]
    pub kind: TrustType,
}

/// Changes the user's policy.
///
/// # Errors
/// Wrong options, keys that are not there, a policy that is malformed or cannot be written.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let (kind, count) = (args.kind.word(), args.keys.len());
    let bad = |why: String| Err(Error::new(Kind::Usage, why));
    match args.kind {
        TrustType::Accept | TrustType::Reject if count > 0 => {
            return bad(format!("{count} public keys unexpectedly provided for trust type {kind}"));
        }
        TrustType::SignedBy | TrustType::SigstoreSigned if count == 0 => {
            return bad(format!("at least one public key must be defined for type '{kind}'"));
        }
        _ => {}
    }
    if !is_scope(&args.registry) {
        return Err(Error::new(
            Kind::Usage,
            format!("{:?} is not the name of a registry or a part of one", args.registry),
        )
        .hint("Write host[:port][/namespace][/name[:tag]], *.domain, or default."));
    }
    let keys = args.keys.iter().map(|key| {
        // The policy is read from anywhere.
        let path = std::path::absolute(key).context(Kind::Usage, || format!("key {}", key.display()))?;
        std::fs::metadata(&path).context(Kind::Usage, || format!("key {}", path.display()))?;
        Ok(path)
    });
    let keys = keys.collect::<Result<Vec<_>>>()?;
    let trust = match args.kind {
        TrustType::Accept => Trust::Accept,
        TrustType::Reject => Trust::Reject,
        TrustType::SignedBy => Trust::SignedBy(keys),
        TrustType::SigstoreSigned => Trust::SigstoreSigned(keys),
    };
    let store = crate::cmd::store(env)?;
    crate::cmd::store::engine(&store, env).set_trust(&args.registry, &trust)?;
    Ok(ExitCode::SUCCESS)
}

/// Whether something could ever be in a scope of this name.
fn is_scope(text: &str) -> bool {
    use crate::image::Reference;
    let is_name = |text: &str| text.parse::<Reference>().is_ok_and(|name| name.registry().is_some());
    match text.strip_prefix("*.") {
        _ if text == "default" => true,
        Some(domain) => is_name(&format!("x.{domain}/x")) && !domain.contains(['/', ':']),
        None => is_name(text) || is_name(&format!("{text}/x")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_of_registries() {
        for yes in
            ["default", "quay.io", "localhost:5000/team", "docker.io/library/busybox:1", "*.example.com"]
        {
            assert!(is_scope(yes), "{yes}");
        }
        for no in ["", "busybox", "Quay_io/X", "oci:/x", "*.example.com/x", "a*.example.com", "*"] {
            assert!(!is_scope(no), "{no}");
        }
    }
}
