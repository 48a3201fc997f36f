//! A request as a handler sees it, and its reply.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use hyper::body::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use tidemill_shared::ledger::Ledger;
use tidemill_shared::{Broker, Clock, Cursor, Inspect, QueueName, TaskId, Timestamp, check_json};

use crate::access::Principal;
use crate::problem::Problem;
use crate::route::Route;
use crate::state::App;

/// The page that a listing answers unless another size is asked for.
const PAGE: usize = 100;
/// The largest page.
const MAX_PAGE: usize = 1_000;

/// One request, which has passed the gate.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) app: Arc<App>,
    pub(crate) route: &'static Route,
    pub(crate) principal: Principal,
    pub(crate) params: Vec<(String, String)>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) remote: SocketAddr,
    /// An id for a task that follows from the idempotency key, so that even a repeat after a crash
    /// makes no second task.
    pub(crate) derived_id: Option<TaskId>,
}

impl Call {
    pub(crate) fn broker(&self) -> &dyn Broker {
        &*self.app.connection.broker
    }

    pub(crate) fn ledger(&self) -> &dyn Ledger {
        &*self.app.connection.ledger
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.app.connection.clock
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock().now()
    }

    pub(crate) fn inspect(&self) -> Result<&dyn Inspect, Problem> {
        self.app.client.inspect().map_err(Problem::from)
    }

    /// A parameter of the path, as what it has to be.
    pub(crate) fn param<T: std::str::FromStr<Err = tidemill_shared::Error>>(
        &self,
        name: &str,
    ) -> Result<T, Problem> {
        let found = self.params.iter().find(|(key, _)| key == name);
        let text = found.map_or("", |(_, value)| value.as_str());
        Ok(text.parse()?)
    }

    /// A parameter of the query, if it is given.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The same, as what it has to be.
    pub(crate) fn parsed<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, Problem>
    where
        T::Err: std::fmt::Display,
    {
        let parse = |text: &str| {
            text.parse()
                .map_err(|e| Problem::invalid(format!("{name}: {e}")))
        };
        self.query(name).map(parse).transpose()
    }

    /// A yes or no, which is no unless it is given.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Problem> {
        match self.query(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(Problem::invalid(format!("{name}: expected true or false"))),
        }
    }

    /// How many are asked for: 1 to 1,000.
    pub(crate) fn limit(&self) -> Result<usize, Problem> {
        match self.parsed::<usize>("limit")? {
            None => Ok(PAGE),
            Some(limit @ 1..=MAX_PAGE) => Ok(limit),
            Some(_) => Err(Problem::invalid("limit: expected a number from 1 to 1000")),
        }
    }

    /// Where a listing goes on.
    pub(crate) fn cursor(&self) -> Result<Option<Cursor>, Problem> {
        self.query("cursor").map(read_cursor).transpose()
    }

    /// An instant, or how long ago.
    pub(crate) fn when(&self, name: &str) -> Result<Option<Timestamp>, Problem> {
        let Some(text) = self.query(name) else {
            return Ok(None);
        };
        if let Ok(ago) = tidemill_shared::parse_duration(text) {
            return Ok(Some(self.now() - ago));
        }
        let wrong =
            "expected RFC 3339 with a zone, a date (midnight in UTC), or how long ago, such as 15m";
        let at = Timestamp::read(text);
        at.map(Some)
            .map_err(|_| Problem::invalid(format!("{name}: {wrong}")))
    }

    /// The body, as strictly as [`check_json`] reads it. A field that is not known is refused.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        check_json(&self.body)?;
        self.form()
    }

    /// The body of a request that may have none.
    pub(crate) fn json_or_default<T: DeserializeOwned + Default>(&self) -> Result<T, Problem> {
        if self.body.is_empty() {
            return Ok(T::default());
        }
        self.json()
    }

    /// The body without the check of its inner values, for those that are checked one by one.
    pub(crate) fn form<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        must_be_object(&self.body)?;
        let mut reader = serde_json::Deserializer::from_slice(&self.body);
        let form = serde_path_to_error::deserialize(&mut reader)
            .map_err(|e| Problem::invalid(format!("{}: {}", e.path(), e.inner())))?;
        reader
            .end()
            .map_err(|e| Problem::invalid(format!("the body: {e}")))?;
        Ok(form)
    }

    /// Why it is asked for, where the caller says so in a header.
    pub(crate) fn reason(&self) -> Option<String> {
        let text = self.headers.get("x-reason")?.as_bytes();
        let text = std::str::from_utf8(text).ok()?;
        Some(text.chars().take(1_000).collect())
    }

    /// Refuses what is outside the scope of whoever asks, as if it were not there.
    pub(crate) fn must_see(&self, queue: &QueueName) -> Result<(), Problem> {
        if self.principal.scope.has(queue) {
            return Ok(());
        }
        Err(Problem::not_found())
    }
}

/// An object within a body: a list would be read as its members in their order.
pub(crate) fn object<'de, D, T>(reader: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let members = serde_json::Map::<String, serde_json::Value>::deserialize(reader)?;
    T::deserialize(serde_json::Value::Object(members)).map_err(serde::de::Error::custom)
}

/// The same where there may be none.
pub(crate) fn some_object<'de, D, T>(reader: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    object(reader).map(Some)
}

/// Refuses lists, which would otherwise be read as the members of an object in their order.
pub(crate) fn must_be_object(text: &[u8]) -> Result<(), tidemill_shared::Error> {
    if text.trim_ascii_start().starts_with(b"{") {
        return Ok(());
    }
    let what = "expected a JSON object, at line 1 column 1";
    Err(tidemill_shared::Error::invalid("body", what))
}

/// Reads a cursor: hexadecimal, with a check that catches what was made up.
pub(crate) fn read_cursor(text: &str) -> Result<Cursor, Problem> {
    let wrong = || Problem::invalid("cursor: expected one that a listing answered");
    let (number, check) = text.split_at_checked(16).ok_or_else(wrong)?;
    let number = u64::from_str_radix(number, 16).map_err(|_| wrong())?;
    if show_cursor(Cursor(number)) != format!("{number:016x}{check}") {
        return Err(wrong());
    }
    Ok(Cursor(number))
}

/// A cursor as it is shown.
pub(crate) fn show_cursor(cursor: Cursor) -> String {
    let check = cursor.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
    format!("{:016x}{check:04x}", cursor.0)
}

/// One page of a listing, as it is shown.
#[derive(Debug, Serialize)]
pub(crate) struct PageView<T> {
    pub(crate) items: Vec<T>,
    /// Where to go on; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_cursor: Option<String>,
    /// Whether it ended before it was full, for the time that looking takes.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) partial: bool,
}

impl<T> PageView<T> {
    pub(crate) fn new(items: Vec<T>, next: Option<Cursor>) -> Self {
        Self {
            items,
            next_cursor: next.map(show_cursor),
            partial: false,
        }
    }
}

impl<T> PageView<T> {
    /// A page of all that there is, in the order of their places, behind the place that is the cursor.
    pub(crate) fn of_all<P: Ord + ToString>(
        items: Vec<T>,
        place: impl Fn(&T) -> P,
        after: Option<&P>,
        limit: usize,
    ) -> Self {
        let mut placed: Vec<_> = items.into_iter().map(|one| (place(&one), one)).collect();
        placed.retain(|(place, _)| after.is_none_or(|after| place > after));
        placed.sort_by(|(one, _), (other, _)| one.cmp(other));
        let more = placed.len() > limit;
        placed.truncate(limit);
        let last = placed.last().filter(|_| more);
        Self {
            next_cursor: last.map(|(place, _)| place.to_string()),
            items: placed.into_iter().map(|(_, one)| one).collect(),
            partial: false,
        }
    }
}

/// The same, read by whoever asked.
#[derive(Debug, Deserialize)]
pub(crate) struct Items<T> {
    pub(crate) items: Vec<T>,
    #[serde(default = "nothing")]
    pub(crate) next_cursor: Option<String>,
}

const fn nothing() -> Option<String> {
    None
}

/// What is answered.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: ReplyBody,
    /// What was changed, where the path does not say it.
    pub(crate) subject: Option<String>,
    /// With what, for the audit record.
    pub(crate) details: Option<serde_json::Value>,
}

/// The body of a reply.
#[derive(Debug)]
pub(crate) enum ReplyBody {
    Whole(Vec<u8>),
    Stream(Body),
}

impl Reply {
    pub(crate) fn json<T: Serialize + ?Sized>(status: StatusCode, value: &T) -> Self {
        // What is shown has text keys and finite numbers only, so that writing it cannot fail.
        let bytes = serde_json::to_vec(value).unwrap_or_default();
        let mut headers = HeaderMap::new();
        let media = HeaderValue::from_static("application/json");
        headers.insert(header::CONTENT_TYPE, media);
        Self {
            status,
            headers,
            body: ReplyBody::Whole(bytes),
            subject: None,
            details: None,
        }
    }

    pub(crate) fn ok<T: Serialize + ?Sized>(value: &T) -> Self {
        Self::json(StatusCode::OK, value)
    }

    pub(crate) fn no_content() -> Self {
        Self {
            status: StatusCode::NO_CONTENT,
            headers: HeaderMap::new(),
            body: ReplyBody::Whole(Vec::new()),
            subject: None,
            details: None,
        }
    }

    #[must_use]
    pub(crate) fn about(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    #[must_use]
    pub(crate) fn with_details(mut self, details: serde_json::Value) -> Self {
        self.details = Some(details);
        self
    }

    pub(crate) fn into_response(self) -> Response {
        let body = match self.body {
            ReplyBody::Whole(bytes) => Body::from(bytes),
            ReplyBody::Stream(body) => body,
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

#[cfg(test)]
mod tests {
    use tidemill_shared::Cursor;

    use super::{PageView, read_cursor, show_cursor};

    #[test]
    fn pages_of_all_hold_everything_once() {
        let all = vec![4, 1, 3, 5, 2];
        for limit in 1..7 {
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let page = PageView::of_all(all.clone(), |one| *one, after.as_ref(), limit);
                assert!(page.items.len() <= limit);
                seen.extend(page.items);
                let Some(next) = page.next_cursor else { break };
                after = Some(next.parse().unwrap());
            }
            assert_eq!(seen, [1, 2, 3, 4, 5], "{limit}");
        }
    }

    #[test]
    fn a_cursor_reads_back_and_a_tampered_one_is_refused() {
        for number in [0, 1, 77, u64::MAX] {
            let shown = show_cursor(Cursor(number));
            assert_eq!(read_cursor(&shown).unwrap(), Cursor(number));
        }
        for bad in ["", "1", "zzzzzzzzzzzzzzzz0000", "00000000000000010000", "é"] {
            assert!(read_cursor(bad).is_err(), "{bad}");
        }
    }
}
