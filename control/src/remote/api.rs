//! Requests and their answers.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tidemill_shared::{Clock, Error, ErrorKind, Result};

use crate::call::Items;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a request is sent in all. A change carries an idempotency key, so that it counts once.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(100);

/// How a service is reached.
#[derive(Clone, Default)]
pub struct ApiSettings {
    /// Its address, such as `https://tasks.example.com`.
    pub url: String,
    /// Who asks.
    pub token: Option<String>,
    /// Why changes are made: it stands in the audit records, and in the logs of tasks.
    pub reason: Option<String>,
}

impl std::fmt::Debug for ApiSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let token = self.token.as_ref().map(|_| "…");
        f.debug_struct("ApiSettings")
            .field("url", &self.url)
            .field("token", &token)
            .field("reason", &self.reason)
            .finish()
    }
}

/// A service, and who asks it.
pub(super) struct Api {
    base: Url,
    client: Client,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api")
            .field("base", &self.base.as_str())
            .finish_non_exhaustive()
    }
}

/// A problem body.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Refusal {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) status: u16,
    pub(super) detail: String,
    pub(super) state: Option<tidemill_shared::State>,
    pub(super) count: Option<u64>,
    pub(super) limit: Option<u64>,
}

impl Refusal {
    /// The same as an error of a contract.
    pub(super) fn error(self) -> Error {
        let kind = match StatusCode::from_u16(self.status).unwrap_or_default() {
            StatusCode::NOT_FOUND => ErrorKind::NotFound,
            StatusCode::CONFLICT
            | StatusCode::PRECONDITION_FAILED
            | StatusCode::PRECONDITION_REQUIRED => ErrorKind::Conflict,
            StatusCode::TOO_MANY_REQUESTS => ErrorKind::Refused,
            // Nothing that is tried again will change it.
            StatusCode::FORBIDDEN => ErrorKind::Fenced,
            StatusCode::REQUEST_TIMEOUT
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => ErrorKind::Unavailable,
            StatusCode::NOT_IMPLEMENTED => ErrorKind::Unsupported,
            status if status.is_client_error() => ErrorKind::Invalid,
            _ => ErrorKind::Internal,
        };
        let said = match self.detail.is_empty() {
            true => "it gives no reason".to_owned(),
            false => self.detail,
        };
        Error::new(
            kind,
            "ask the API",
            format!("{} from the API: {said}", self.status),
        )
    }
}

/// A request in the making.
#[derive(Debug)]
pub(super) struct Ask<'a> {
    api: &'a Api,
    method: Method,
    path: Vec<&'a str>,
    query: Vec<(&'static str, String)>,
    body: Option<String>,
}

impl Api {
    pub(super) fn new(settings: &ApiSettings, clock: Arc<dyn Clock>) -> Result<Self> {
        let wrong = |what: &str| Error::invalid("api", format!("the address of the API {what}"));
        let mut base = Url::parse(&settings.url).map_err(|e| wrong("is no URL").with_source(e))?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err(wrong("is neither http://HOST nor https://HOST"));
        }
        if !base.username().is_empty() || base.password().is_some() || base.query().is_some() {
            return Err(wrong(
                "holds more than host and path; give the token apart from it",
            ));
        }
        if base.path().trim_matches('/').is_empty() {
            base.set_path("/api/v1");
        }
        let mut headers = HeaderMap::new();
        if let Some(token) = &settings.token {
            let text = format!("Bearer {}", token.trim());
            let mut value = HeaderValue::try_from(text)
                .map_err(|_| Error::invalid("token", "the token holds characters that none has"))?;
            value.set_sensitive(true);
            headers.insert("authorization", value);
        }
        if let Some(reason) = &settings.reason {
            // Of other characters a header cannot speak; the log of the service shows what is left.
            let text: String = reason
                .chars()
                .map(|c| if c.is_control() { ' ' } else { c })
                .collect();
            if let Ok(value) = HeaderValue::from_bytes(text.as_bytes()) {
                headers.insert("x-reason", value);
            }
        }
        // Fails when the program has chosen a provider already, which is then used.
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let client = Client::builder()
            .connect_timeout(CONNECT)
            .timeout(PATIENCE)
            .default_headers(headers)
            // A token is for the service that it was given to.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|e| Error::invalid("api", "no client can be made").with_source(e))?;
        Ok(Self {
            base,
            client,
            clock,
        })
    }

    pub(super) const fn ask<'a>(&'a self, method: Method, path: Vec<&'a str>) -> Ask<'a> {
        Ask {
            api: self,
            method,
            path,
            query: Vec::new(),
            body: None,
        }
    }

    pub(super) const fn get<'a>(&'a self, path: Vec<&'a str>) -> Ask<'a> {
        self.ask(Method::GET, path)
    }

    /// Every page of a listing.
    pub(super) async fn all<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let ask = self.get(vec![path]).with("limit", 1_000);
            let page: Items<T> = ask.maybe("cursor", after).good().await?;
            all.extend(page.items);
            after = page.next_cursor;
            if after.is_none() {
                return Ok(all);
            }
        }
    }

    pub(super) const fn post<'a>(&'a self, path: Vec<&'a str>) -> Ask<'a> {
        self.ask(Method::POST, path)
    }
}

impl Ask<'_> {
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a literal reads better at the call"
    )]
    pub(super) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.query.push((name, value.to_string()));
        self
    }

    pub(super) fn maybe(self, name: &'static str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// What is sent has text keys and finite numbers only, so that writing it cannot fail.
    pub(super) fn body(mut self, body: impl Serialize) -> Self {
        self.body = serde_json::to_string(&body).ok();
        self
    }

    /// The answer, or why there is none but a refusal.
    pub(super) async fn answer<T: DeserializeOwned>(self) -> Result<Result<T, Refusal>> {
        let response = self.send().await?;
        let status = response.status();
        let bytes = response.bytes().await.map_err(away)?;
        if !status.is_success() {
            let mut refusal: Refusal = serde_json::from_slice(&bytes).unwrap_or_default();
            refusal.status = status.as_u16();
            return Ok(Err(refusal));
        }
        let bytes: &[u8] = if bytes.is_empty() { b"null" } else { &bytes };
        let read = serde_json::from_slice(bytes).map_err(|e| {
            let what = "the API answered what cannot be read: is the address that of a Tidemill, of this version?";
            Error::new(ErrorKind::Corrupt, "ask the API", what).with_source(e)
        });
        read.map(Ok)
    }

    /// The answer; a refusal is an error.
    pub(super) async fn good<T: DeserializeOwned>(self) -> Result<T> {
        self.answer().await?.map_err(Refusal::error)
    }

    /// The answer; `None` when what was asked for is not there.
    pub(super) async fn found<T: DeserializeOwned>(self) -> Result<Option<T>> {
        match self.answer().await? {
            Ok(found) => Ok(Some(found)),
            Err(refusal) if refusal.status == 404 => Ok(None),
            Err(refusal) => Err(refusal.error()),
        }
    }

    /// What makes a change count once where the service asks for that: new for each time it is sent.
    fn once(&self, request: RequestBuilder) -> RequestBuilder {
        if self.method == Method::GET {
            return request;
        }
        let now = self.api.clock.now();
        request
            .header("x-nonce", uuid::Uuid::new_v4().to_string())
            .header("x-timestamp", now.to_string())
    }

    async fn send(self) -> Result<Response> {
        let mut url = self.api.base.clone();
        if let Ok(mut parts) = url.path_segments_mut() {
            parts.pop_if_empty().extend(&self.path);
        }
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        let mut request = self.api.client.request(self.method.clone(), url);
        if self.method != Method::GET {
            request = request.header("idempotency-key", uuid::Uuid::new_v4().to_string());
        }
        if let Some(body) = &self.body {
            request = request
                .header("content-type", "application/json")
                .body(body.clone());
        }
        let mut tries = 0;
        loop {
            tries += 1;
            let again = request.try_clone().filter(|_| tries < TRIES);
            let sent = match again {
                Some(copy) => self.once(copy).send().await,
                None => return self.once(request).send().await.map_err(away),
            };
            match sent {
                Ok(answer) if !may_pass(answer.status()) => return Ok(answer),
                // Whoever is not there at all will not be there in a moment.
                Err(error) if error.is_builder() || error.is_connect() => return Err(away(error)),
                Ok(_) | Err(_) => tokio::time::sleep(PAUSE * tries).await,
            }
        }
    }
}

/// Whether the same request may fare better in a moment.
fn may_pass(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502..=504)
}

fn away(error: reqwest::Error) -> Error {
    let kind = match error.is_timeout() && !error.is_connect() {
        true => ErrorKind::Timeout,
        false => ErrorKind::Unavailable,
    };
    // The address may stand in other errors; secrets never do.
    Error::new(kind, "ask the API", "the API cannot be reached").with_source(error)
}

/// What is not done through the API.
pub(super) fn not_here<T>(what: &'static str) -> Result<T> {
    let why = format!("{what} is not done through the API; name the broker itself, with --broker");
    Err(Error::new(ErrorKind::Unsupported, "ask the API", why))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tidemill_shared::{Clock, Sleep, Timestamp};

    use super::{Api, ApiSettings};

    /// A clock for what never asks it.
    #[derive(Debug)]
    struct Stopped;

    impl Clock for Stopped {
        fn now(&self) -> Timestamp {
            Timestamp::from_micros(0)
        }

        fn sleep_until(&self, _: Timestamp) -> Sleep {
            Box::pin(std::future::pending())
        }
    }

    fn made(url: &str) -> Result<Api, tidemill_shared::Error> {
        let settings = ApiSettings {
            url: url.into(),
            token: Some("s3cret".into()),
            reason: None,
        };
        Api::new(&settings, Arc::new(Stopped))
    }

    #[test]
    fn an_address_is_a_host_with_a_path_at_most() {
        for bad in [
            "",
            "tasks.example.com",
            "ftp://x",
            "http://",
            "http://a:b@host",
            "http://h/?q=1",
        ] {
            assert!(made(bad).is_err(), "{bad}");
        }
        let api = made("http://127.0.0.1:8080/").unwrap();
        assert_eq!(api.base.path(), "/api/v1");
        assert!(!format!("{api:?}").contains("s3cret"));
    }
}
