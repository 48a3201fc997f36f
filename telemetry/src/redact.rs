//! What must not be shown: the one place that knows a secret when it sees one.
//!
//! Logs, errors and spans carry text from configurations, servers and strangers. What a URL says before its
//! `@`, what stands behind the name of a secret, what a header of authentication holds, and what looks like a
//! token or a private key is left out. A text is gone through once: the time that it takes grows with its
//! length, whatever is in it.

use std::borrow::Cow;

mod announced;
mod shapes;

/// What stands in the place of a secret.
const MASK: &str = "…";

/// The value of a field, as it may be shown.
pub fn value<'a>(name: &str, text: &'a str) -> Cow<'a, str> {
    match announced::is_secret(name) {
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
        b':' => shapes::user_info(rest),
        b'-' => shapes::private_key(rest),
        b'b' => shapes::scheme(rest),
        b'e' => shapes::web_token(text, at, rest),
        b't' => shapes::own_token(text, at, rest).or_else(|| announced::secret(text, at, rest)),
        b'a' | b'c' | b'p' | b's' => announced::secret(text, at, rest),
        _ => None,
    };
    found
        .filter(|(from, to)| from < to)
        .map(|(from, to)| (at + from, at + to))
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
        assert_eq!(value("REDISCLI_AUTH", "x"), "…");
        assert_eq!(value("x-api-key", "x"), "…");
        assert_eq!(value("db-password", "x"), "…");
        assert_eq!(value("set-cookie", "x"), "…");
    }

    #[test]
    fn a_secret_is_left_out_however_it_is_written() {
        for given in [
            "authorization=Bearer S3CRET",
            "authorization=Custom S3CRET",
            "token: Bearer S3CRET",
            "X-Api-Key: S3CRET",
            "api-key=S3CRET",
            r#"{"x-api-key":"S3CRET"}"#,
            r#"{"api_key" : "S3CRET"}"#,
            "PASSWORD = S3CRET",
            "password:\tS3CRET",
            r#"password => "S3CRET""#,
            r#"Authorization: Basic x password="a S3CRET""#,
            r#"Authorization: Digest username="ada", response="S3CRET""#,
            r#"token="a\"S3CRET""#,
            r#"token="a\\\"S3CRET""#,
            r#"password="it's S3CRET""#,
            r#"told {\"password\":\"a \\\"S3CRET\"}"#,
            r#"Login { password: Some("a S3CRET") }"#,
            "pwd=S3CRET",
            "passphrase=S3CRET",
            "pass=S3CRET",
            "REDISCLI_AUTH=S3CRET",
            "http://h/?X-Amz-Signature=S3CRET&x=1",
            "cookie=a=b; c=S3CRET",
            "got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.S3CRET here",
            "-----BEGIN RSA PRIVATE KEY-----\nabc\nS3CRET\n-----END RSA PRIVATE KEY-----",
            "private_key=-----BEGIN PRIVATE KEY-----\nS3CRET\n-----END PRIVATE KEY-----",
            "-----BEGIN PRIVATE KEY-----\\nS3CRET",
            "redis://u:p S3CRET@h",
            "redis://u:p/S3CRET@h",
        ] {
            let shown = text(given);
            assert!(shown.contains('…'), "{given:?} is shown as {shown:?}");
            assert!(!shown.contains("S3CRET"), "{given:?} is shown as {shown:?}");
        }
    }

    #[test]
    fn what_stands_beside_a_secret_stays() {
        for (given, shown) in [
            (r#"{"x-api-key":"S","n":1}"#, r#"{"x-api-key":"…","n":1}"#),
            (r#"token="a\"S", n=1"#, r#"token="…", n=1"#),
            (r#"\"token\":\"S\",\"n\":1"#, r#"\"token\":\"…\",\"n\":1"#),
            (
                r#"["Authorization: Bearer S", "n: 1"]"#,
                r#"["Authorization: …", "n: 1"]"#,
            ),
            ("h?authorization=S&n=1", "h?authorization=…&n=1"),
            ("password: Some(\"S\") }", "password: Some(\"…\") }"),
            ("redis://u:p w@h is gone", "redis://…@h is gone"),
            ("is eyJh.eyJz.S.", "is …."),
            (
                "-----BEGIN PRIVATE KEY-----S-----END PRIVATE KEY----- is old",
                "-----BEGIN PRIVATE KEY-----…-----END PRIVATE KEY----- is old",
            ),
        ] {
            assert_eq!(text(given), shown);
        }
    }

    /// Whoever writes the text must not make its reading slow by what begins like a secret and is none.
    #[test]
    fn a_long_text_is_gone_through_once() {
        for part in [
            "tidemill_a/",
            "eyJ",
            "eyJ.",
            "://",
            "://u:p ",
            "-----BEGIN ",
            "password ",
            "password\\",
            "password=\"\"",
            "bearer ",
            "authorization=&",
            "a\"cookie:\"",
        ] {
            let given = part.repeat(10_000);
            let begun = tokio::time::Instant::now();
            std::hint::black_box(text(&given));
            // It takes some tenths of a second at most; a look at all that follows, each time, takes minutes.
            let took = begun.elapsed();
            assert!(took.as_secs() < 5, "{part:?}: {took:?}");
        }
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
            "bypass=1 compass: north",
            "http://host:80 and mail to ada@example.com",
            "http://[::1]:80 and mail to ada@example.com",
            "at redis://host:6379: ask ada@example.com",
            "eyJhbGci is half of eyJh.eyJz",
            "-----BEGIN CERTIFICATE-----abc-----END CERTIFICATE-----",
        ] {
            assert_eq!(text(plain), plain);
        }
        assert_eq!(value("idempotency_token", "id-1"), "id-1");
    }
}
