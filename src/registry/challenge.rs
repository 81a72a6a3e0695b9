//! `WWW-Authenticate` challenges (RFC 9110 section 11.6.1), and which servers may receive credentials.
//!
//! A registry selects the token server by naming a `realm`. Trusting it blindly could send a password anywhere,
//! or in clear text text, so the realm is checked before anything is sent (attack case 13).

use crate::error::{Error, Kind, Result};
use reqwest::Url;

/// How a registry wants to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// User name and password with every request.
    Basic,
    /// A token from the token server at `realm`.
    Bearer {
        /// The token server.
        realm: String,
        /// The name the registry has there.
        service: Option<String>,
        /// The scope of the token that the registry requests.
        scope: Option<String>,
    },
}

/// Reads all challenges of all `WWW-Authenticate` values; unknown schemes are passed over.
pub(super) fn parse<'a>(values: impl Iterator<Item = &'a str>) -> Vec<Challenge> {
    let mut found = Vec::new();
    for value in values {
        let mut rest = value.trim();
        while !rest.is_empty() {
            let (scheme, after) = token(rest);
            if scheme.is_empty() {
                break;
            }
            let (parameters, after) = parameters(after);
            rest = after;
            let get = |name: &str| {
                parameters.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.clone())
            };
            if scheme.eq_ignore_ascii_case("basic") {
                found.push(Challenge::Basic);
            } else if scheme.eq_ignore_ascii_case("bearer")
                && let Some(realm) = get("realm")
            {
                found.push(Challenge::Bearer { realm, service: get("service"), scope: get("scope") });
            }
        }
    }
    found
}

fn token(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)))
        .unwrap_or(text.len());
    text.split_at(end)
}

/// `name=value` pairs up to the next scheme, and the text from there.
fn parameters(text: &str) -> (Vec<(String, String)>, &str) {
    let mut all = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let (name, after) = token(rest);
        let after = after.trim_start_matches([' ', '\t']);
        let Some(value) = after.strip_prefix('=') else {
            // No `=`: a new scheme begins here, or the text is over.
            return (all, if name.is_empty() { "" } else { rest });
        };
        let value = value.trim_start_matches([' ', '\t']);
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => unquote(quoted),
            None => {
                let (v, after) = token(value);
                (v.to_owned(), after)
            }
        };
        all.push((name.to_owned(), value));
        rest = after;
        if name.is_empty() {
            return (all, "");
        }
    }
}

fn unquote(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    (value, "")
}

/// What may be sent to a token server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RealmTrust {
    /// The registry's own credentials.
    Own,
    /// Nothing of the registry's: an anonymous request, or the host's own entry in the user's files.
    Foreign,
}

/// Checks a realm against the registry it was named by.
///
/// # Errors
/// A realm that is no http(s) URL, carries a user, or is plain http while the registry is not, or on
/// another host.
pub(super) fn check_realm(registry: &Url, realm: &str) -> Result<(Url, RealmTrust)> {
    let refuse = |why: &str| {
        Error::new(
            Kind::Registry,
            format!("registry {} names the token server {realm:?}, {why}", registry.authority()),
        )
    };
    let url = Url::parse(realm).map_err(|_| refuse("which is not a URL"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse("which carries a user name"));
    }
    let (Some(host), Some(registry_host)) = (url.host_str(), registry.host_str()) else {
        return Err(refuse("which has no host"));
    };
    match url.scheme() {
        "https" if same_site(registry_host, host) => Ok((url, RealmTrust::Own)),
        "https" => Ok((url, RealmTrust::Foreign)),
        "http" if registry.scheme() == "http" && host == registry_host => Ok((url, RealmTrust::Own)),
        "http" => Err(refuse("which is not encrypted")),
        _ => Err(refuse("which is neither https nor http")),
    }
}

/// Whether two hosts are the same, or one organisation's by name: `registry.gitlab.com` and
/// `gitlab.com`, `registry-1.docker.io` and `auth.docker.io`. Addresses must be equal.
fn same_site(registry: &str, realm: &str) -> bool {
    if registry == realm {
        return true;
    }
    let Some(site) = site(registry) else { return false };
    realm == site || realm.strip_suffix(site).is_some_and(|before| before.ends_with('.'))
}

/// The registry's domain: its name without the first label, if what remains is not a public suffix
/// as far as can be told from its form (`io`, `co.uk`, `com.au`).
fn site(host: &str) -> Option<&str> {
    if host.parse::<std::net::IpAddr>().is_ok() || host.starts_with('[') {
        return None;
    }
    let (_, parent) = host.split_once('.')?;
    let labels: Vec<&str> = parent.split('.').collect();
    match labels.as_slice() {
        [] | [_] => None,
        [second, top] if top.len() == 2 && second.len() <= 3 => None,
        _ => Some(parent),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        Challenge::Bearer {
            realm: realm.into(),
            service: service.map(Into::into),
            scope: scope.map(Into::into),
        }
    }

    #[test]
    fn challenges_are_read() {
        let read = |s: &str| parse(std::iter::once(s));
        assert_eq!(
            read(
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#
            ),
            [bearer(
                "https://auth.docker.io/token",
                Some("registry.docker.io"),
                Some("repository:a/b:pull,push")
            )]
        );
        assert_eq!(read(r#"basic realm="x""#), [Challenge::Basic]);
        assert_eq!(
            read(r#"Negotiate, Basic realm="a \" b", Bearer realm=https"#),
            [Challenge::Basic, bearer("https", None, None)]
        );
        assert_eq!(read(r#"Bearer service="x""#), []);
        for odd in ["", ",", "=", "\"", "Bearer realm=\"x", "Bearer =", "é", "Basic é", "a=b=c"] {
            let _ = read(odd);
        }
    }

    #[test]
    fn case_13_secrets_go_to_the_registrys_own_token_server_only() {
        let trust = |registry: &str, realm: &str| {
            check_realm(&Url::parse(registry).unwrap(), realm).ok().map(|(_, trust)| trust)
        };
        for (registry, realm) in [
            ("https://registry-1.docker.io", "https://auth.docker.io/token"),
            ("https://registry.gitlab.com", "https://gitlab.com/jwt/auth"),
            ("https://quay.io", "https://quay.io/v2/auth"),
            ("https://r.example:5000", "https://r.example:5001/token"),
            ("http://127.0.0.1:5000", "http://127.0.0.1:5001/token"),
        ] {
            assert_eq!(trust(registry, realm), Some(RealmTrust::Own), "{registry} {realm}");
        }
        for (registry, realm) in [
            ("https://r.example", "https://evil.example/token"),
            ("https://registry.firm.co.uk", "https://firm.co.uk.evil.org/"),
            ("https://firm.co.uk", "https://evil.co.uk/"),
            ("https://10.0.0.1", "https://20.0.0.1/token"),
            ("https://registry.gitlab.com", "https://evilgitlab.com/"),
        ] {
            assert_eq!(trust(registry, realm), Some(RealmTrust::Foreign), "{registry} {realm}");
        }
        for (registry, realm) in [
            ("https://r.example", "http://r.example/token"),
            ("http://127.0.0.1:5000", "http://evil.example/token"),
            ("https://r.example", "https://user:pw@r.example/token"),
            ("https://r.example", "file:///etc/passwd"),
            ("https://r.example", "/token"),
        ] {
            assert_eq!(trust(registry, realm), None, "{registry} {realm}");
        }
    }
}
