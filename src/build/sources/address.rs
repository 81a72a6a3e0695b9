//! The parts of an address, as far as build contexts and ADD need them (RFC 3986). Pure.

/// A user name and a password that stand in an address. They are in no message, log or event.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// The user name.
    pub user: String,
    /// The password; empty where there is none.
    pub password: String,
}

impl std::fmt::Debug for Secret {
    /// Keeps it out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// `scheme://authority/path?query#fragment`, taken apart; nothing is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Address<'a> {
    pub(super) scheme: &'a str,
    /// What stands before the host, up to the last `@`.
    pub(super) user: Option<&'a str>,
    /// Host and port.
    pub(super) host: &'a str,
    /// With its slash in front; may be empty.
    pub(super) path: &'a str,
    pub(super) query: Option<&'a str>,
    pub(super) fragment: Option<&'a str>,
}

impl<'a> Address<'a> {
    /// Takes an address apart; `None` where no scheme and `://` come first.
    pub(super) fn of(text: &'a str) -> Option<Address<'a>> {
        let (scheme, rest) = text.split_once("://")?;
        if scheme.is_empty() || !scheme.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return None;
        }
        let (rest, query, fragment) = tail(rest);
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        Some(Address { scheme, user, host, path, query, fragment })
    }

    /// The user name and the password in it, decoded.
    pub(super) fn secret(&self) -> Option<Secret> {
        let user = self.user?;
        let (user, password) = user.split_once(':').unwrap_or((user, ""));
        Some(Secret { user: decoded(user), password: decoded(password) })
    }

    /// Without user, query and fragment: what messages may show.
    pub(super) fn plain(&self) -> String {
        format!("{}://{}{}", self.scheme.to_ascii_lowercase(), self.host, self.path)
    }

    /// The decoded last part of its path, if it can be the name of a file.
    pub(super) fn file_name(&self) -> Option<String> {
        file_name(&decoded(self.path))
    }
}

/// The last part of a path, if it can be the name of a file.
pub(super) fn file_name(path: &str) -> Option<String> {
    let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let fit = !matches!(name, "" | "." | "..") && name.len() <= 255 && !name.contains('\0');
    fit.then(|| name.to_owned())
}

/// What comes before the query and the fragment, and these.
pub(super) fn tail(text: &str) -> (&str, Option<&str>, Option<&str>) {
    let (rest, fragment) = match text.split_once('#') {
        Some((rest, fragment)) => (rest, Some(fragment)),
        None => (text, None),
    };
    match rest.split_once('?') {
        Some((rest, query)) => (rest, Some(query), fragment),
        None => (rest, None, fragment),
    }
}

/// Text with `%20` and the like decoded; what is no such code is left as it is.
pub(super) fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = bytes.get(at + 1..at + 3).and_then(|d| std::str::from_utf8(d).ok());
        let code = digits.filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
        match code.and_then(|d| u8::from_str_radix(d, 16).ok()) {
            Some(byte) if bytes[at] == b'%' => {
                plain.push(byte);
                at += 3;
            }
            _ => {
                plain.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

/// The keys and values of a query, decoded, in order; a key without `=` has no value.
pub(super) fn pairs(query: &str) -> Vec<(String, Option<String>)> {
    let plain = |text: &str| decoded(&text.replace('+', " "));
    let parts = query.split('&').filter(|part| !part.is_empty());
    parts
        .map(|part| match part.split_once('=') {
            Some((key, value)) => (plain(key), Some(plain(value))),
            None => (plain(part), None),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_parts() {
        let all = Address::of("https://me:p%40ss@h.example:81/a/b%20c.tar?x=1&y#frag").unwrap();
        assert_eq!((all.scheme, all.host, all.path), ("https", "h.example:81", "/a/b%20c.tar"));
        assert_eq!((all.query, all.fragment), (Some("x=1&y"), Some("frag")));
        assert_eq!(all.secret().unwrap(), Secret { user: "me".into(), password: "p@ss".into() });
        assert_eq!(all.plain(), "https://h.example:81/a/b%20c.tar");
        assert_eq!(all.file_name().as_deref(), Some("b c.tar"));
        assert_eq!(format!("{:?}", all.secret()), "Some(Secret(..))");
        let short = Address::of("http://h").unwrap();
        assert_eq!((short.host, short.path, short.secret()), ("h", "", None));
        assert_eq!(short.file_name(), None);
        for none in ["a/b", "git@h:p", "://x", "a b://x", "ext::sh"] {
            assert_eq!(Address::of(none), None, "{none}");
        }
    }

    #[test]
    fn names_of_files_are_names() {
        assert_eq!(file_name("/a/b.tgz").as_deref(), Some("b.tgz"));
        assert_eq!(file_name("/a/").as_deref(), Some("a"));
        for none in ["/", "", "/..", "/a/.", "/\0"] {
            assert_eq!(file_name(none), None, "{none:?}");
        }
        // A slash that was encoded is one all the same.
        assert_eq!(Address::of("http://h/..%2f..%2fetc").unwrap().file_name().as_deref(), Some("etc"));
    }

    #[test]
    fn codes_are_decoded_once() {
        assert_eq!(decoded("a%2Fb%252F%zz%4"), "a/b%2F%zz%4");
        assert_eq!(decoded("%+1%ffx"), "%+1\u{fffd}x");
        assert_eq!(
            pairs("a=b+c&&d&e=%26"),
            [
                ("a".to_owned(), Some("b c".to_owned())),
                ("d".to_owned(), None),
                ("e".to_owned(), Some("&".to_owned()))
            ]
        );
    }
}
