//! What must not be shown: the one place that knows a secret when it sees one.
//!
//! Logs, errors and spans carry text from configurations, servers and strangers. What a URL says before its
//! `@`, what stands behind the name of a secret, and what a header of authentication holds is left out.

use std::borrow::Cow;

/// What stands in the place of a secret.
const MASK: &str = "…";

/// Names of what is secret, in lower case; the end of a name counts, so that `db_password` is one too.
const NAMES: [&str; 11] = [
    "authorization",
    "cookie",
    "password",
    "passwd",
    "secret",
    "api_key",
    "apikey",
    "access_key",
    "private_key",
    "credentials",
    "token",
];

/// Words after which a token stands in a header.
const SCHEMES: [&str; 2] = ["bearer ", "basic "];

/// How the tokens of the HTTP API begin; a name, a point and the secret follow.
const OWN_TOKEN: &str = "tidemill_";

/// Shorter than the secret of any token of the HTTP API.
const LEAST_SECRET: usize = 16;

/// Whether what a field of this name holds is secret. The idempotency token of a task is its id.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('-', "_");
    name != "idempotency_token" && NAMES.iter().any(|secret| name.ends_with(secret))
}

/// The value of a field, as it may be shown.
pub fn value<'a>(name: &str, text: &'a str) -> Cow<'a, str> {
    match is_secret(name) {
        true => Cow::Borrowed(MASK),
        false => self::text(text),
    }
}

/// A text as it may be shown.
pub fn text(text: &str) -> Cow<'_, str> {
    let mut out: Option<String> = None;
    let mut kept = 0;
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if let Some((from, to)) = secret_at(text, at, rest) {
            let out = out.get_or_insert_default();
            out.push_str(text.get(kept..from).unwrap_or_default());
            out.push_str(MASK);
            (kept, at) = (to, to);
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    match out {
        None => Cow::Borrowed(text),
        Some(mut out) => {
            out.push_str(text.get(kept..).unwrap_or_default());
            Cow::Owned(out)
        }
    }
}

/// The secret that is announced here, as a range of the whole text.
fn secret_at(text: &str, at: usize, rest: &str) -> Option<(usize, usize)> {
    let first = rest.as_bytes().first()?.to_ascii_lowercase();
    let found = match first {
        b':' => user_info(rest),
        b't' => own_token(text, at, rest).or_else(|| named(rest)),
        b'a' | b'c' | b'p' | b's' => named(rest),
        b'b' => scheme(rest),
        _ => None,
    };
    found
        .filter(|(from, to)| from < to)
        .map(|(from, to)| (at + from, at + to))
}

/// User and password of a URL, from `://` on.
fn user_info(rest: &str) -> Option<(usize, usize)> {
    let authority = rest.strip_prefix("://")?;
    let end = authority
        .find(|c: char| c.is_whitespace() || "/?#\"'<>\\".contains(c))
        .unwrap_or(authority.len());
    let at = authority.get(..end)?.rfind('@')?;
    Some((3, 3 + at))
}

/// A token of the HTTP API.
fn own_token(text: &str, at: usize, rest: &str) -> Option<(usize, usize)> {
    let before = text.get(..at)?.chars().next_back();
    let begins = before.is_none_or(|c| !c.is_alphanumeric() && c != '_');
    let word = rest.get(..end_of_word(rest)).filter(|_| begins)?;
    let (name, secret) = word.strip_prefix(OWN_TOKEN)?.rsplit_once('.')?;
    let from = OWN_TOKEN.len() + name.len() + 1;
    (secret.len() >= LEAST_SECRET).then_some((from, word.len()))
}

/// What stands behind the name of a secret: `password=x`, `"password": "x"`, `Cookie: x`.
fn named(rest: &str) -> Option<(usize, usize)> {
    let name = NAMES.iter().find(|name| {
        let head = rest.as_bytes().get(..name.len());
        head.is_some_and(|head| head.eq_ignore_ascii_case(name.as_bytes()))
    })?;
    let tail = rest.get(name.len()..)?;
    let quoted = tail.strip_prefix(['"', '\'']).unwrap_or(tail);
    let value = quoted.strip_prefix(['=', ':'])?;
    let is_header = matches!(*name, "authorization" | "cookie") && quoted.starts_with(':');
    let value = value.trim_start_matches(' ');
    let from = rest.len() - value.len();
    let (open, value) = match value.strip_prefix(['"', '\'']) {
        Some(inner) => (1, inner),
        None => (0, value),
    };
    let length = match (open, is_header) {
        (1, _) => value.find(['"', '\'']).unwrap_or(value.len()),
        (_, true) => value.find(['\n', '\r', '"']).unwrap_or(value.len()),
        _ => end_of_word(value),
    };
    Some((from + open, from + open + length))
}

/// What stands behind `Bearer` or `Basic`.
fn scheme(rest: &str) -> Option<(usize, usize)> {
    let scheme = SCHEMES.iter().find(|scheme| {
        let head = rest.as_bytes().get(..scheme.len());
        head.is_some_and(|head| head.eq_ignore_ascii_case(scheme.as_bytes()))
    })?;
    let word = end_of_word(rest.get(scheme.len()..)?);
    // Shorter than any token: two words of a sentence.
    (word >= 8).then_some((scheme.len(), scheme.len() + word))
}

fn end_of_word(text: &str) -> usize {
    text.find(|c: char| c.is_whitespace() || "&\"',;)}]".contains(c))
        .unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::{text, value};

    /// S47.
    #[test]
    fn what_is_secret_is_left_out_wherever_it_stands() {
        for (given, shown) in [
            ("redis://:pw@host/0 is gone", "redis://…@host/0 is gone"),
            ("at amqps://ada:p@ss@h:5671/v", "at amqps://…@h:5671/v"),
            ("redis://h?password=hunter2&x=1", "redis://h?password=…&x=1"),
            (
                r#"{"password": "a b", "n": 1}"#,
                r#"{"password": "…", "n": 1}"#,
            ),
            ("Authorization: Bearer abc.def", "Authorization: …"),
            ("cookie: a=b; c=d\nnext", "cookie: …\nnext"),
            ("sent bearer eyJhbGciOiJI now", "sent bearer … now"),
            ("PGPASSWORD=x y", "PGPASSWORD=… y"),
            ("api_key='k', more", "api_key='…', more"),
            (
                "is tidemill_ci.0123456789abcdef0123 yours?",
                "is tidemill_ci.… yours?",
            ),
        ] {
            assert_eq!(text(given), shown);
        }
        assert_eq!(value("http.Authorization", "x"), "…");
        assert_eq!(value("db-password", "x"), "…");
        assert_eq!(value("set-cookie", "x"), "…");
    }

    #[test]
    fn what_only_looks_like_it_stays() {
        for plain in [
            "",
            "the password is wrong",
            "a basic idea",
            "http://host/a@b",
            "mail to ada@example.com",
            "passwords: 3 tokens",
            "naïve ✓ tokenizer=fast",
            "warn,tidemill_worker.run=debug",
            "://",
        ] {
            assert_eq!(text(plain), plain);
        }
        assert_eq!(value("idempotency_token", "id-1"), "id-1");
    }
}
