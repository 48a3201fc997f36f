//! W3C Trace Context: which trace a task belongs to, in the headers of its envelope.

use std::fmt;
use std::str::FromStr;

use crate::Headers;

/// The header that names the trace and the span.
pub const TRACEPARENT: &str = "traceparent";

/// The header with what tracing systems add of their own.
pub const TRACESTATE: &str = "tracestate";

/// The header with the application's own values.
pub const BAGGAGE: &str = "baggage";

/// The most that is sent on of `tracestate`; more is dropped, as the recommendation allows.
const MAX_STATE: usize = 512;

/// The most that is sent on of `baggage`, in bytes and in members; more is dropped whole. These are
/// what the recommendation asks everybody to send on.
const MAX_BAGGAGE: usize = 8_192;
const MAX_MEMBERS: usize = 64;

/// The headers about traces of a call from elsewhere, as they may travel with a task. What is invalid
/// or too long is left out, and the task is not worse for it.
pub fn trace_headers<'a>(get: impl Fn(&'static str) -> Option<&'a str>) -> Headers {
    let mut headers = Headers::new();
    if let Some(mut context) = get(TRACEPARENT).and_then(|text| TraceContext::from_str(text).ok()) {
        let state = get(TRACESTATE).filter(|state| state.len() <= MAX_STATE);
        context.state = state.map(str::to_owned).unwrap_or_default();
        context.write(&mut headers);
    }
    let fits = |text: &&str| {
        (1..=MAX_BAGGAGE).contains(&text.len()) && text.split(',').count() <= MAX_MEMBERS
    };
    if let Some(baggage) = get(BAGGAGE).filter(fits) {
        headers.insert(BAGGAGE.into(), baggage.to_owned());
    }
    headers
}

/// Takes out of a task's headers what does not travel with it: those about traces that are invalid or too
/// long. So it is with every task, whoever wrote its headers.
pub fn keep_what_travels(headers: &mut Headers) {
    let kept = trace_headers(|name| headers.get(name).map(String::as_str));
    for name in [TRACEPARENT, TRACESTATE, BAGGAGE] {
        if !kept.contains_key(name) {
            headers.remove(name);
        }
    }
}

/// A place in a trace.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TraceContext {
    /// The trace; never all zeros.
    pub trace_id: [u8; 16],
    /// The span; never all zeros.
    pub span_id: [u8; 8],
    /// Whether the trace is recorded.
    pub sampled: bool,
    /// What tracing systems have added, at most 512 bytes.
    pub state: String,
}

impl TraceContext {
    /// What the headers of a task say; `None` when they name no trace, or name it in a form that the
    /// recommendation calls invalid.
    #[must_use]
    pub fn of(headers: &Headers) -> Option<Self> {
        let mut context = Self::from_str(headers.get(TRACEPARENT)?).ok()?;
        let state = headers
            .get(TRACESTATE)
            .filter(|state| state.len() <= MAX_STATE);
        context.state = state.cloned().unwrap_or_default();
        Some(context)
    }

    /// Writes it into headers, in the place of what they said.
    pub fn write(&self, headers: &mut Headers) {
        headers.insert(TRACEPARENT.into(), self.to_string());
        if self.state.is_empty() {
            headers.remove(TRACESTATE);
        } else {
            headers.insert(TRACESTATE.into(), self.state.clone());
        }
    }

    /// The trace in 32 hexadecimal digits.
    #[must_use]
    pub fn trace_hex(&self) -> String {
        hex(&self.trace_id)
    }

    /// The span in 16 hexadecimal digits.
    #[must_use]
    pub fn span_hex(&self) -> String {
        hex(&self.span_id)
    }
}

/// The trace that headers name, in 32 hexadecimal digits.
#[must_use]
pub fn trace_id(headers: &Headers) -> Option<&str> {
    let text = headers.get(TRACEPARENT)?;
    TraceContext::from_str(text).ok()?;
    text.get(3..35)
}

/// A `traceparent` that the recommendation calls invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidTraceParent;

impl FromStr for TraceContext {
    type Err = InvalidTraceParent;

    /// Reads a `traceparent`. Later versions may have more fields behind those of version 00.
    fn from_str(text: &str) -> Result<Self, InvalidTraceParent> {
        let mut parts = text.split('-');
        let mut next = || parts.next().ok_or(InvalidTraceParent);
        let [version] = bytes::<1>(next()?)?;
        let (trace_id, span_id) = (bytes::<16>(next()?)?, bytes::<8>(next()?)?);
        let [flags] = bytes::<1>(next()?)?;
        let more = parts.next().is_some();
        let invalid =
            version == 0xff || (version == 0 && more) || trace_id == [0; 16] || span_id == [0; 8];
        if invalid {
            return Err(InvalidTraceParent);
        }
        Ok(Self {
            trace_id,
            span_id,
            sampled: flags & 1 == 1,
            state: String::new(),
        })
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = u8::from(self.sampled);
        write!(f, "00-{}-{}-{flags:02x}", self.trace_hex(), self.span_hex())
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value & 15)]);
    let digits = bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(*byte)]);
    digits.collect()
}

/// Lower-case hexadecimal digits, exactly as many as there have to be.
fn bytes<const N: usize>(text: &str) -> Result<[u8; N], InvalidTraceParent> {
    let mut found = [0; N];
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return Err(InvalidTraceParent);
    }
    for (byte, pair) in found.iter_mut().zip(digits.chunks_exact(2)) {
        for digit in pair {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                _ => return Err(InvalidTraceParent),
            };
            *byte = *byte << 4 | value;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::{
        BAGGAGE, TRACEPARENT, TRACESTATE, TraceContext, keep_what_travels, trace_headers, trace_id,
    };
    use crate::Headers;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn headers(parent: &str, state: &str) -> Headers {
        [(TRACEPARENT, parent), (TRACESTATE, state), (BAGGAGE, "a=b")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    }

    #[test]
    fn a_context_goes_into_headers_and_comes_out_as_it_was() {
        let context = TraceContext::of(&headers(GOOD, "k=v")).unwrap();
        assert!(context.sampled);
        let mut written = Headers::new();
        context.write(&mut written);
        assert_eq!(written[TRACEPARENT], GOOD);
        assert_eq!(TraceContext::of(&written), Some(context));
        assert_eq!(trace_id(&written), Some("0af7651916cd43dd8448eb211c80319c"));
    }

    /// S45.
    #[test]
    fn what_is_not_a_context_names_no_trace() {
        for bad in [
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "",
            "00-é",
        ] {
            assert_eq!(TraceContext::of(&headers(bad, "")), None, "{bad}");
            assert_eq!(trace_id(&headers(bad, "")), None, "{bad}");
        }
        let long = TraceContext::of(&headers(GOOD, &"k=v,".repeat(16_384))).unwrap();
        assert_eq!(long.state, "");
        let later = TraceContext::of(&headers(&GOOD.replacen("00", "01", 1), "")).unwrap();
        assert_eq!(later.to_string(), GOOD);
    }

    /// S45.
    #[test]
    fn what_is_too_long_or_invalid_does_not_travel_with_a_task() {
        let kept = |parent: &str, state: &str, baggage: &str| {
            let given = [
                (TRACEPARENT, parent),
                (TRACESTATE, state),
                (BAGGAGE, baggage),
            ];
            let get = |name| {
                given
                    .iter()
                    .find(|(own, _)| *own == name)
                    .map(|(_, value)| *value)
            };
            trace_headers(get).into_keys().collect::<Vec<_>>()
        };
        assert_eq!(kept(GOOD, "k=v", "a=b"), [BAGGAGE, TRACEPARENT, TRACESTATE]);
        let (state, baggage) = ("k=v,".repeat(16_384), vec!["a=b"; 200].join(","));
        assert_eq!(kept(GOOD, &state, &baggage), [TRACEPARENT]);
        assert!(kept(&GOOD.replacen("00", "ff", 1), "k=v", "").is_empty());

        let mut headers = crate::Headers::from([
            (TRACEPARENT.to_owned(), GOOD.to_owned()),
            (TRACESTATE.to_owned(), state),
            (BAGGAGE.to_owned(), baggage),
            ("own".to_owned(), "x".repeat(1_000)),
        ]);
        keep_what_travels(&mut headers);
        assert_eq!(
            headers.into_keys().collect::<Vec<_>>(),
            ["own", TRACEPARENT]
        );
    }
}
