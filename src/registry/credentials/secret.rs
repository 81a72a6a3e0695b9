//! A secret for one host.

use crate::error::{Error, Kind, Result};

/// A secret for one host.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A user name and a password.
    Password {
        /// The user name.
        user: String,
        /// The password.
        password: String,
    },
    /// An OAuth2 refresh token, exchanged for access tokens.
    Identity(String),
    /// A ready-made bearer token.
    Bearer(String),
}

impl Credentials {
    /// A user name and password that were typed for a login.
    ///
    /// # Errors
    /// [`Kind::Usage`] for what basic authentication cannot carry (RFC 7617, section 2): a colon or control
    /// character in the user name, a control character in the password; or if either is empty. Keys of service accounts,
    /// which are JSON of several lines, are sent as passwords all the same.
    pub fn typed(user: &str, password: String) -> Result<Credentials> {
        let bad = |why: &str| Err(Error::new(Kind::Usage, why));
        if user.is_empty() {
            return bad("the user name is empty");
        }
        if password.is_empty() {
            return bad("the password is empty");
        }
        Credentials::checked(user, password)
    }

    fn checked(user: &str, password: String) -> Result<Credentials> {
        let bad = |why: &str| Err(Error::new(Kind::Usage, why));
        if user.contains(|c: char| c == ':' || c.is_control()) {
            return bad("a user name cannot contain a colon or control characters");
        }
        let is_key = || serde_json::from_str::<serde_json::Map<_, serde_json::Value>>(&password).is_ok();
        if password.contains(char::is_control) && !is_key() {
            return bad("a password cannot contain line ends or other control characters");
        }
        Ok(Credentials::Password { user: user.to_owned(), password })
    }
}

impl std::fmt::Debug for Credentials {
    /// Keeps secrets out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(..)")
    }
}

impl std::str::FromStr for Credentials {
    type Err = Error;
    /// Reads `user:password`, the form of `--creds`.
    fn from_str(text: &str) -> Result<Self> {
        match text.split_once(':') {
            Some((user, password)) if !user.is_empty() => Credentials::checked(user, password.to_owned()),
            _ => Err(Error::new(Kind::Usage, "credentials must be written user:password")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_basic_authentication_cannot_carry_is_refused() {
        for (user, password) in [
            ("", "p"),
            ("a:b", "p"),
            ("a\r\nb", "p"),
            ("a\0", "p"),
            ("a", ""),
            ("a", "p\0"),
            ("a", "p\r"),
            ("a", "p\nq"),
        ] {
            let error = Credentials::typed(user, password.to_owned()).unwrap_err();
            assert!(password.is_empty() || !error.in_one_line().contains("p\0"), "{error}");
        }
        for bad in ["a", ":p", "a\n:p", "a:p\n", "a:p\rq", "a:\u{7f}"] {
            assert!(bad.parse::<Credentials>().is_err(), "{bad:?}");
        }
        assert!("a:b:c".parse::<Credentials>().is_ok() && "a:".parse::<Credentials>().is_ok());
        // Keys of service accounts are JSON of several lines.
        assert!(Credentials::typed("_json_key", "{\n\"a\": \"b:c\"\n}".into()).is_ok());
    }
}
