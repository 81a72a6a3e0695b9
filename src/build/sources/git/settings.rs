//! What of the user's git configuration counts. Pure.
//!
//! Theory of operation. People expect that a build can fetch what `git clone` can, so what says how to reach and
//! enter servers is taken over: credentials, proxies, certificates, rewritten addresses, the ssh command. Nothing
//! else is: filters, hooks, templates and conversions of line ends would run programs on a stranger's files, and make
//! one commit two different contexts. What holds or yields secrets counts for the server of the repository only. A
//! stranger's repository can have anything as its submodule; with general credentials it could have the user's
//! private repositories fetched, and sent home by a step of its Containerfile.

use crate::build::sources::address::{Address, Secret};
use std::fmt::Write as _;
use std::path::Path;

/// What `git config --get-regexp` is asked for.
pub(super) const PATTERN: &str =
    r"^(credential\.|http\.|url\..*\.insteadof$|core\.sshcommand$|ssh\.variant$)";
/// Variables of `http` that hold secrets.
const SECRET: [&str; 5] = ["extraheader", "cookiefile", "sslcert", "sslkey", "emptyauth"];

/// One setting of a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    section: String,
    subsection: Option<String>,
    variable: String,
    /// None is true.
    value: Option<String>,
}

impl Setting {
    fn new(section: &str, subsection: Option<&str>, variable: &str, value: &str) -> Setting {
        Setting {
            section: section.to_owned(),
            subsection: subsection.map(str::to_owned),
            variable: variable.to_owned(),
            value: Some(value.to_owned()),
        }
    }

    fn is(&self, section: &str) -> bool {
        self.section == section
    }

    /// Whether it is the user's own way to run ssh.
    pub(super) fn is_ssh_command(&self) -> bool {
        self.is("core") && self.variable == "sshcommand"
    }
}

/// Reads the answer of `git config --null --get-regexp`.
pub(super) fn read(answer: &str) -> Vec<Setting> {
    let one = |record: &str| {
        let (key, value) = match record.split_once('\n') {
            Some((key, value)) => (key, Some(value.to_owned())),
            None => (record, None),
        };
        let (section, rest) = key.split_once('.')?;
        let (subsection, variable) = match rest.rsplit_once('.') {
            Some((subsection, variable)) => (Some(subsection.to_owned()), variable),
            None => (None, rest),
        };
        Some(Setting { section: section.to_owned(), subsection, variable: variable.to_owned(), value })
    };
    answer.split('\0').filter_map(one).collect()
}

/// The address that git makes of one (`url.BASE.insteadOf`, git-config(1)): the longest beginning counts.
pub(super) fn rewritten(settings: &[Setting], url: &str) -> String {
    let rules = settings.iter().filter(|s| s.is("url") && s.variable == "insteadof");
    let fitting = rules.filter_map(|s| {
        let begins = s.value.as_deref()?;
        Some((begins.len(), format!("{}{}", s.subsection.as_deref()?, url.strip_prefix(begins)?)))
    });
    fitting.max_by_key(|(length, _)| *length).map_or_else(|| url.to_owned(), |(_, url)| url)
}

/// Whether git reaches this address by ssh.
pub(super) fn is_ssh(url: &str) -> bool {
    Address::of(url).map_or_else(|| url.contains(':'), |address| address.scheme.eq_ignore_ascii_case("ssh"))
}

/// The scheme, host and port of an address of the web.
fn origin(url: &str) -> Option<String> {
    let address = Address::of(url)?;
    let scheme = address.scheme.to_ascii_lowercase();
    matches!(scheme.as_str(), "http" | "https").then(|| format!("{scheme}://{}", address.host))
}

/// The settings for fetching from an address: those of the user that count. Where a password was in it, no other is
/// asked for: `file`, in which it is ([`credential`]), is in the place of the user's credential helpers. A header would
/// go along to wherever the server redirects.
pub(super) fn chosen(
    settings: Vec<Setting>,
    url: &str,
    secret: Option<&Secret>,
    file: &Path,
) -> Vec<Setting> {
    let own = origin(url);
    let mut all: Vec<Setting> = settings.into_iter().filter_map(|s| limited(s, own.as_deref())).collect();
    let (Some(own), Some(Secret { user, password })) = (&own, secret) else { return all };
    if password.is_empty() {
        all.push(Setting::new("credential", Some(own), "username", user));
    } else {
        all.retain(|setting| !setting.is("credential"));
        let quoted = file.to_string_lossy().replace('\'', r"'\''");
        all.push(Setting::new("credential", Some(own), "helper", &format!("store --file '{quoted}'")));
    }
    all
}

/// The line of git-credential-store(1) for the password that was in an address.
pub(super) fn credential(url: &str, secret: &Secret) -> Option<String> {
    let own = origin(url)?;
    let (scheme, host) = own.split_once("://")?;
    Some(format!("{scheme}://{}:{}@{host}\n", coded(&secret.user), coded(&secret.password)))
}

/// Text with everything but letters, digits and `-_.~` as `%20` and the like.
fn coded(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02x}") }).collect()
}

/// A setting, with anything secret bound to the repository's server.
fn limited(setting: Setting, own: Option<&str>) -> Option<Setting> {
    let credential = setting.is("credential");
    let secret = credential || setting.is("http") && SECRET.contains(&setting.variable.as_str());
    if !secret {
        return Some(setting);
    }
    let own = own?;
    match &setting.subsection {
        None => {
            let place = if credential { own.to_owned() } else { format!("{own}/") };
            Some(Setting { subsection: Some(place), ..setting })
        }
        Some(url) => is_for(url, own).then_some(setting),
    }
}

/// Whether the address in a setting is on this server; a `*` in it stands for one part of the host's name.
fn is_for(url: &str, own: &str) -> bool {
    let host = |url| Address::of(url).map(|address: Address<'_>| address.host.to_ascii_lowercase());
    let (Some(asked), Some(own)) = (host(url).or_else(|| Some(url.to_ascii_lowercase())), host(own)) else {
        return false;
    };
    let (asked, own): (Vec<&str>, Vec<&str>) = (asked.split('.').collect(), own.split('.').collect());
    asked.len() == own.len() && asked.iter().zip(&own).all(|(a, b)| *a == "*" || a == b)
}

/// The text of a configuration file (git-config(1), "Syntax").
pub(super) fn written(settings: &[Setting]) -> String {
    let mut text = String::new();
    for Setting { section, subsection, variable, value } in settings {
        let place = subsection.as_deref().map(|name| format!(" \"{}\"", escaped(name)));
        let value = value.as_deref().map(|value| format!(" = \"{}\"", escaped(value)));
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "[{section}{}]\n\t{variable}{}",
            place.unwrap_or_default(),
            value.unwrap_or_default()
        );
    }
    text
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('\t', "\\t")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(records: &[&str]) -> Vec<Setting> {
        read(&records.iter().map(|record| format!("{record}\0")).collect::<String>())
    }

    #[test]
    fn the_answer_is_read_and_written() {
        let all = settings(&[
            "credential.helper\ncache --timeout 3",
            "url.git@h:.insteadof\nhttps://h/",
            "http.sslverify",
            "http.https://a.b/.proxy\nq\"u\\o",
        ]);
        assert_eq!(
            written(&all),
            "[credential]\n\thelper = \"cache --timeout 3\"\n[url \"git@h:\"]\n\tinsteadof = \"https://h/\"\n\
             [http]\n\tsslverify\n[http \"https://a.b/\"]\n\tproxy = \"q\\\"u\\\\o\"\n"
        );
        // A line of its own would be a setting of its own.
        let odd = settings(&["http.proxy\nx\n[core]\n\thooksPath = /tmp"]);
        assert_eq!(written(&odd).lines().count(), 2);
    }

    #[test]
    fn the_longest_rule_rewrites() {
        let all = settings(&[
            "url.https://mirror/.insteadof\nhttps://h/",
            "url.git@h:.insteadof\nhttps://h/a/",
            "url.x.insteadof",
        ]);
        assert_eq!(rewritten(&all, "https://h/b.git"), "https://mirror/b.git");
        assert_eq!(rewritten(&all, "https://h/a/b.git"), "git@h:b.git");
        assert_eq!(rewritten(&all, "https://other/b.git"), "https://other/b.git");
        assert!(is_ssh("git@h:b") && is_ssh("ssh://h/b") && !is_ssh("https://h/b") && !is_ssh("git://h/b"));
    }

    #[test]
    fn secrets_are_for_the_repositorys_server() {
        let all = [
            "credential.helper\nstore",
            "credential.https://github.com.helper\n!gh auth git-credential",
            "credential.https://*.example.com.helper\nx",
            "http.extraheader\nAuthorization: x",
            "http.https://github.com/.extraheader\nAuthorization: y",
            "http.https://github.com/.proxy\nhttp://p",
            "http.proxy\nhttp://q",
        ];
        let chosen =
            |url: &str| written(&chosen(settings(&all), url, None, Path::new("/f"))).replace("\n\t", " ");
        assert_eq!(
            chosen("https://evil.example/x.git").lines().collect::<Vec<_>>(),
            [
                "[credential \"https://evil.example\"] helper = \"store\"",
                "[http \"https://evil.example/\"] extraheader = \"Authorization: x\"",
                "[http \"https://github.com/\"] proxy = \"http://p\"",
                "[http] proxy = \"http://q\"",
            ]
        );
        let own = chosen("https://github.com/a/b.git");
        assert!(own.contains("gh auth") && own.contains("Authorization: y"), "{own}");
        assert!(chosen("https://git.example.com:8443/a").lines().count() >= 4);
        assert!(chosen("https://git.example.com/a").contains("*.example.com"));
        // No server of the web, no secrets for one.
        for url in ["git@github.com:a/b", "git://github.com/a"] {
            assert_eq!(chosen(url).lines().count(), 2, "{url}");
        }
    }

    #[test]
    fn a_password_takes_the_place_of_helpers() {
        let secret = Secret { user: "me".into(), password: "p\"w\n@".into() };
        let theirs = settings(&["credential.helper\nstore", "http.proxy\nq"]);
        let file = Path::new("/a b/it's");
        let text = written(&chosen(theirs.clone(), "https://h:81/a.git", Some(&secret), file));
        assert_eq!(
            text,
            "[http]\n\tproxy = \"q\"\n\
             [credential \"https://h:81\"]\n\thelper = \"store --file '/a b/it'\\\\''s'\"\n"
        );
        assert_eq!(credential("https://h:81/a.git", &secret).unwrap(), "https://me:p%22w%0a%40@h:81\n");
        let user = Secret { user: "me".into(), password: String::new() };
        let text = written(&chosen(Vec::new(), "https://h/a.git", Some(&user), file));
        assert_eq!(text, "[credential \"https://h\"]\n\tusername = \"me\"\n");
        assert!(chosen(Vec::new(), "git@h:a", Some(&secret), file).is_empty());
        assert_eq!(credential("git@h:a", &secret), None);
    }
}
