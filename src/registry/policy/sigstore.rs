//! Signatures by a plain key, as `cosign sign --key` makes them.

use base64::Engine as _;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA256_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
    VerificationAlgorithm,
};

const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";

/// Object identifiers, as DER has them (RFC 5480, RFC 8017, RFC 8410).
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const EDWARDS: &[u8] = &[0x2b, 0x65, 0x70];

const SEQUENCE: u8 = 0x30;
const OBJECT: u8 = 0x06;
const BITS: u8 = 0x03;

/// A public key that can check signatures.
#[derive(Clone)]
pub(super) struct PublicKey {
    algorithm: &'static dyn VerificationAlgorithm,
    key: Vec<u8>,
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PublicKey(..)")
    }
}

impl PublicKey {
    /// Reads a key in PEM (`SubjectPublicKeyInfo`); `None` if it is none, or of an unknown kind.
    pub(super) fn parse(pem: &[u8]) -> Option<PublicKey> {
        let text = std::str::from_utf8(pem).ok()?;
        let body = text.split_once(BEGIN)?.1.split_once(END)?.0;
        let body: String = body.split_whitespace().collect();
        let der = base64::engine::general_purpose::STANDARD.decode(body).ok()?;
        let (info, rest) = element(SEQUENCE, &der)?;
        let (kind, key) = element(SEQUENCE, info)?;
        let (object, parameters) = element(OBJECT, kind)?;
        // No bits are left over in the last byte.
        let (bits, end) = element(BITS, key)?;
        let key = bits.strip_prefix(&[0])?;
        let curve = || Some(element(OBJECT, parameters)?.0);
        let algorithm: &'static dyn VerificationAlgorithm = match object {
            RSA => &RSA_PKCS1_2048_8192_SHA256,
            EDWARDS => &ED25519,
            EC if curve() == Some(P256) => &ECDSA_P256_SHA256_ASN1,
            EC if curve() == Some(P384) => &ECDSA_P384_SHA256_ASN1,
            _ => return None,
        };
        (rest.is_empty() && end.is_empty()).then(|| PublicKey { algorithm, key: key.to_owned() })
    }

    /// Whether a signature, base64, is this key's over these bytes.
    pub(super) fn has_signed(&self, payload: &[u8], signature: &str) -> bool {
        let signature = base64::engine::general_purpose::STANDARD.decode(signature.trim());
        signature.is_ok_and(|bytes| {
            UnparsedPublicKey::new(self.algorithm, &self.key).verify(payload, &bytes).is_ok()
        })
    }
}

/// The contents of the DER element with this tag at the beginning, and what follows it.
fn element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (first, rest) = der.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(*length), rest),
        0x81..=0x83 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            (bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    if *first != tag { None } else { rest.split_at_checked(length) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// A key of openssl's, its public half in PEM, and its signature over `hello`.
    fn signed(kind: &[&str]) -> (Vec<u8>, String) {
        let dir = tempfile::tempdir().unwrap();
        let run = |args: &[&str]| {
            let output = Command::new("openssl").args(args).current_dir(dir.path()).output().unwrap();
            assert!(output.status.success(), "{output:?}");
            output.stdout
        };
        std::fs::write(dir.path().join("text"), "hello").unwrap();
        run(&[&["genpkey", "-out", "key"], kind].concat());
        let public = run(&["pkey", "-in", "key", "-pubout"]);
        let sign: &[&str] = match kind.contains(&"ed25519") {
            true => &["pkeyutl", "-sign", "-inkey", "key", "-rawin", "-in", "text"],
            false => &["dgst", "-sha256", "-sign", "key", "text"],
        };
        (public, base64::engine::general_purpose::STANDARD.encode(run(sign)))
    }

    #[test]
    fn signatures_of_each_kind_of_key_are_checked() {
        let kinds: [&[&str]; 4] = [
            &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
            &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
            &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
            &["-algorithm", "ed25519"],
        ];
        let all: Vec<_> = kinds.iter().map(|kind| signed(kind)).collect();
        for (at, (pem, _)) in all.iter().enumerate() {
            let key = PublicKey::parse(pem).unwrap_or_else(|| panic!("{:?}", kinds[at]));
            for (other, (_, signature)) in all.iter().enumerate() {
                assert_eq!(key.has_signed(b"hello", signature), at == other, "{:?}", kinds[at]);
                assert!(!key.has_signed(b"hellp", signature));
            }
            assert!(!key.has_signed(b"hello", "%") && !key.has_signed(b"hello", ""));
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for bad in ["", "text", &format!("{BEGIN}\n%\n{END}"), &format!("{BEGIN}\nMAA=\n{END}"), BEGIN] {
            assert!(PublicKey::parse(bad.as_bytes()).is_none(), "{bad}");
        }
        assert!(element(SEQUENCE, &[0x30, 0x84, 1, 1, 1, 1]).is_none());
        assert!(element(SEQUENCE, &[0x30, 0x82, 1]).is_none());
    }
}
