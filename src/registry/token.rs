//! Authorization: from a challenge and the user's credentials to a header.
//!
//! Bearer tokens come from the token server named by the registry (distribution spec, token authentication): by
//! GET, with user name and password or anonymously, or by an OAuth2 POST with an identity token. The server
//! must first pass [`challenge::check_realm`].

use super::answer;
use super::challenge::{self, Challenge, RealmTrust};
use super::credentials::Credentials;
use super::endpoint::{Endpoint, Errand};
use super::retry::Trouble;
use crate::error::{Error, Kind, Result};
use base64::Engine as _;
use reqwest::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Client, RequestBuilder, Url};
use serde::Deserialize;
use std::cell::{Cell, RefCell};

/// Largest token document, in bytes.
const TOKEN_MAX: u64 = 1 << 20;

/// What to type for want of a login.
pub(super) fn login_hint(host: &str) -> String {
    format!("Log in with `coracle login {host}`, or use --creds USER:PASSWORD.")
}

/// Knows how to authorize requests to one registry.
#[derive(Debug)]
pub(super) struct Authorizer {
    endpoint: Endpoint,
    base: Url,
    header: RefCell<Option<HeaderValue>>,
    /// Counts headers, so that requests sent with an old one do not renew twice.
    generation: Cell<u32>,
    renewing: tokio::sync::Mutex<()>,
    /// A token server that the user's credentials were kept from.
    withheld_from: RefCell<Option<String>>,
    /// What tokens are asked for; if nothing, what the registry says.
    scopes: RefCell<Vec<String>>,
    /// Whether the header has a token of a token server's.
    fetched: Cell<bool>,
    /// Whether what the user has given was sent and did not suffice.
    refused: Cell<bool>,
}

/// Which header a request was sent with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticket(u32);

#[derive(Deserialize)]
struct TokenAnswer {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
}

impl Authorizer {
    pub(super) fn new(endpoint: &Endpoint, base: &Url) -> Authorizer {
        Authorizer {
            endpoint: endpoint.clone(),
            base: base.clone(),
            header: RefCell::new(None),
            generation: Cell::new(0),
            renewing: tokio::sync::Mutex::new(()),
            withheld_from: RefCell::new(None),
            scopes: RefCell::new(Vec::new()),
            fetched: Cell::new(false),
            refused: Cell::new(false),
        }
    }

    /// Asks for tokens that are good for this, too (distribution spec, token scope). One that is not is given up.
    pub(super) fn widen(&self, scope: String) {
        let mut scopes = self.scopes.borrow_mut();
        if scopes.contains(&scope) {
            return;
        }
        scopes.push(scope);
        if self.fetched.take() {
            *self.header.borrow_mut() = None;
            self.generation.set(self.generation.get() + 1);
        }
    }

    /// Taken before a request is sent.
    pub(super) fn ticket(&self) -> Ticket {
        Ticket(self.generation.get())
    }

    /// The `Authorization` header, once a challenge was answered.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        self.header.borrow().clone()
    }

    /// Whether the user's credentials were sent, to the registry or its token server, and refused.
    pub(super) fn refused(&self) -> bool {
        self.refused.get()
    }

    /// Answers the challenges of a 401. `false` when another request has done it meanwhile.
    ///
    /// # Errors
    /// No credentials that fit, a realm that is not trusted, a token server that refuses.
    pub(super) async fn renew(
        &self,
        ticket: Ticket,
        headers: &HeaderMap,
        client: &Client,
    ) -> Result<bool, Trouble> {
        let _only_one = self.renewing.lock().await;
        if ticket.0 != self.generation.get() {
            return Ok(false);
        }
        let values = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|v| v.to_str().ok());
        let challenges = challenge::parse(values);
        let bearer = challenges.iter().find_map(|c| match c {
            Challenge::Bearer { realm, service, scope } => {
                Some((realm, service.as_deref(), scope.as_deref()))
            }
            Challenge::Basic => None,
        });
        let header = match (bearer, &self.endpoint.found.credentials) {
            (Some(_), Some(Credentials::Bearer(token))) => format!("Bearer {token}"),
            (Some((realm, service, scope)), _) => {
                let token = self.fetch(realm, service, scope, client).await?;
                self.fetched.set(true);
                format!("Bearer {token}")
            }
            (None, Some(Credentials::Password { user, password }))
                if challenges.contains(&Challenge::Basic) =>
            {
                // The same header was refused already: it will not get better.
                if self.generation.get() > 0 {
                    self.refused.set(true);
                    return Err(self.denied("user name or password is wrong").into());
                }
                basic(user, password)
            }
            _ => return Err(self.denied("authentication required").into()),
        };
        let mut value = HeaderValue::from_str(&header)
            .map_err(|_| Error::new(Kind::Registry, "the token has forbidden characters"))?;
        value.set_sensitive(true);
        *self.header.borrow_mut() = Some(value);
        self.generation.set(self.generation.get() + 1);
        Ok(true)
    }

    async fn fetch(
        &self,
        realm: &str,
        service: Option<&str>,
        scope: Option<&str>,
        client: &Client,
    ) -> Result<String, Trouble> {
        let (mut url, trust) = challenge::check_realm(&self.base, realm)?;
        let own = self.endpoint.found.credentials.as_ref();
        let credentials = match trust {
            RealmTrust::Own => own,
            RealmTrust::Foreign => {
                let theirs = url.host_str().and_then(|host| self.endpoint.hosts.get(host));
                if theirs.is_none() && own.is_some() {
                    *self.withheld_from.borrow_mut() = Some(url.authority().to_owned());
                    // A token for nobody would look as if the credentials were right.
                    if self.endpoint.errand == Errand::Login {
                        return Err(self.denied("its token server is on another host").into());
                    }
                }
                theirs
            }
        };
        let mut scopes = self.scopes.borrow().clone();
        if scopes.is_empty() {
            let usual = match self.endpoint.errand {
                Errand::Pull => format!("repository:{}:pull", self.endpoint.reference.path()),
                Errand::Login => String::new(),
                Errand::Search => "registry:catalog:*".to_owned(),
            };
            let asked = scope.filter(|s| !s.is_empty()).map_or(usual, str::to_owned);
            scopes.extend(Some(asked).filter(|scope| !scope.is_empty()));
        }
        let all = scopes.join(" ");
        let request: RequestBuilder = if let Some(Credentials::Identity(refresh)) = credentials {
            let form = [
                ("grant_type", "refresh_token"),
                ("client_id", "coracle"),
                ("service", service.unwrap_or_default()),
                ("scope", all.as_str()),
                ("refresh_token", refresh),
            ];
            client.post(url.clone()).form(&form)
        } else {
            {
                let mut query = url.query_pairs_mut();
                if let Some(service) = service {
                    query.append_pair("service", service);
                }
                for scope in &scopes {
                    query.append_pair("scope", scope);
                }
                if let Some(Credentials::Password { user, .. }) = credentials {
                    query.append_pair("account", user);
                }
            }
            match credentials {
                Some(Credentials::Password { user, password }) => {
                    client.get(url.clone()).basic_auth(user, Some(password))
                }
                _ => client.get(url.clone()),
            }
        };
        let server = url.authority().to_owned();
        let mut response =
            request.send().await.map_err(|e| Trouble::passing(answer::unreachable(&server, &e)))?;
        let status = response.status();
        if matches!(status.as_u16(), 400 | 401 | 403) {
            self.refused.set(credentials.is_some());
            return Err(self.denied(&format!("token server {server} refused the request")).into());
        }
        if !status.is_success() {
            let error =
                Error::new(Kind::Registry, format!("token server {server} answered {}", status.as_u16()));
            let retry = status.is_server_error() || status.as_u16() == 429;
            return Err(Trouble { error, retry, after: None, status: None });
        }
        let body =
            answer::read_limited(&mut response, &format!("the answer of token server {server}"), TOKEN_MAX)
                .await?;
        let bad = || Error::new(Kind::Registry, format!("token server {server} sent no token"));
        let answer: TokenAnswer = serde_json::from_slice(&body).map_err(|_| bad())?;
        let token = if answer.token.is_empty() { answer.access_token } else { answer.token };
        if token.is_empty() { Err(bad().into()) } else { Ok(token) }
    }

    /// The failure to say when the registry does not let us in.
    pub(super) fn denied(&self, why: &str) -> Error {
        let host = self.endpoint.host();
        let what = match self.endpoint.errand {
            Errand::Pull => self.endpoint.reference.repository(),
            Errand::Login => host.to_owned(),
            Errand::Search => format!("the catalog of {host}"),
        };
        let mut error = Error::new(Kind::Registry, format!("access to {what} is denied: {why}"));
        if let Some(server) = self.withheld_from.borrow().as_deref() {
            return error.hint(format!(
                "The credentials for {host} were not sent to its token server {server}, which is a \
                different host: \
                 if that is right, add an entry for {server} to auth.json."
            ));
        }
        if let Some(trouble) = &self.endpoint.found.trouble {
            error = error.caused_by(Error::new(Kind::Host, trouble.clone()));
        }
        if self.endpoint.found.credentials.is_none() {
            error.hint(format!("It may not exist, or need a login. {}", login_hint(host)))
        } else {
            error.hint(format!("The credentials may be wrong or lack permission. {}", login_hint(host)))
        }
    }
}

fn basic(user: &str, password: &str) -> String {
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    format!("Basic {pair}")
}
