//! Secrets behind their names: `password=x`, `"password" : "x"`, `X-Api-Key: x`, `Cookie: x; y`.

use super::shapes::{self, SCHEMES};

/// Names of what is secret, in lower case, with `_` for `-`; the end of a name counts, so that `db_password`
/// is one too.
const NAMES: [&str; 16] = [
    "authorization",
    "cookie",
    "password",
    "passwd",
    "passphrase",
    "secret",
    "secret_key",
    "secretkey",
    "signature",
    "api_key",
    "apikey",
    "access_key",
    "accesskey",
    "private_key",
    "credentials",
    "token",
];

/// Names that end many a harmless word, such as `bypass`: they are secret as a whole word of a name only.
const WORDS: [&str; 4] = ["auth", "pass", "pwd", "sig"];

/// Names whose values have blanks in them.
const LINES: [&str; 2] = ["authorization", "cookie"];

/// How far is looked back for where a name begins, and ahead for where its value does.
const REACH: usize = 64;

/// Whether what a field of this name holds is secret. The idempotency token of a task is its id.
pub(super) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('-', "_");
    let is_word = |word: &&str| {
        let before = name.strip_suffix(*word);
        before.is_some_and(|before| !before.ends_with(char::is_alphanumeric))
    };
    name != "idempotency_token"
        && (NAMES.iter().any(|secret| name.ends_with(secret)) || WORDS.iter().any(is_word))
}

/// What stands behind the name that begins at `at`, as a range of `rest`.
pub(super) fn secret(text: &str, at: usize, rest: &str) -> Option<(usize, usize)> {
    let before = text.get(..at)?;
    let is_word = !before.ends_with(char::is_alphanumeric);
    let words = WORDS.iter().filter(|_| is_word);
    NAMES.iter().chain(words).find_map(|name| {
        let tail = rest.get(name.len()..).filter(|_| begins(rest, name))?;
        let value = value(tail)?;
        let from = rest.len() - value.len();
        if let Some((open, length)) = quoted(value) {
            return Some((from + open, from + open + length));
        }
        let length = if LINES.contains(name) {
            line(value, enclosing(before), value.len() == tail.len() - 1)
        } else {
            plain(value)
        };
        Some((from, from + length))
    })
}

/// Whether a text begins with a name, however its letters and dashes are written.
fn begins(text: &str, name: &str) -> bool {
    let head = text.as_bytes().get(..name.len());
    head.is_some_and(|head| {
        let mut pairs = head.iter().zip(name.as_bytes());
        pairs.all(|(given, known)| {
            given.eq_ignore_ascii_case(known) || (*given == b'-' && *known == b'_')
        })
    })
}

/// What stands behind the separator.
fn value(tail: &str) -> Option<&str> {
    let unquoted = match tail.trim_start_matches('\\').strip_prefix(['"', '\'']) {
        Some(unquoted) => unquoted,
        None => tail,
    };
    let separated = unquoted.trim_start_matches(BLANKS);
    let value = separated.strip_prefix(['=', ':'])?;
    let value = value.strip_prefix('>').unwrap_or(value);
    Some(value.trim_start_matches(BLANKS))
}

const BLANKS: [char; 2] = [' ', '\t'];

/// The text within quotes, which may be quoted themselves, and may stand in brackets: `"x"`, `\"x\"`,
/// `Some("x")`. Where it begins, and how long it is.
fn quoted(value: &str) -> Option<(usize, usize)> {
    let bytes = value.as_bytes();
    let is_before = |byte: &u8| byte.is_ascii_alphanumeric() || b"_([{ ".contains(byte);
    let ahead = bytes.iter().take(REACH).take_while(|byte| is_before(byte));
    let ahead = ahead.count();
    let before = bytes.get(..ahead)?;
    if !(before.is_empty() || before == b"b" || before.ends_with(b"(") || before.ends_with(b"[")) {
        return None;
    }
    let level = slashes(bytes.get(ahead..)?);
    let quote = *bytes.get(ahead + level)?;
    if !matches!(quote, b'"' | b'\'') {
        return None;
    }
    let open = ahead + level + 1;
    Some((open, closing(bytes.get(open..)?, quote, level)))
}

/// How long the text is that ends with this quote, when `level` backslashes stand before the quotes around it.
fn closing(inner: &[u8], quote: u8, level: usize) -> usize {
    let mut run = 0;
    for (index, byte) in inner.iter().enumerate() {
        // In a text that is quoted once more, each backslash is two, and each quote has one before it.
        if *byte == quote && (run < level || (run - level).is_multiple_of(2 * (level + 1))) {
            return index - run.min(level);
        }
        run = if *byte == b'\\' { run + 1 } else { 0 };
    }
    inner.len()
}

fn slashes(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| **byte == b'\\').count()
}

/// The quote that stands before the name whose last part begins at the end of this text, and the backslashes
/// before it.
fn enclosing(before: &str) -> Option<(u8, usize)> {
    let mut back = before.bytes().rev().take(REACH);
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-".contains(byte);
    let quote = back.find(|byte| !is_name(byte))?;
    let level = back.take_while(|byte| *byte == b'\\').count();
    matches!(quote, b'"' | b'\'').then_some((quote, level))
}

/// The rest of the line of a header, or of the quotes that it stands in. A part of a URL or of a list, which
/// nothing divides from its name, ends before.
fn line(value: &str, within: Option<(u8, usize)>, is_close: bool) -> usize {
    let word = end_of_word(value);
    let behind = value.as_bytes().get(word);
    if is_close && matches!(behind, Some(b'&' | b',' | b')' | b'}' | b']')) {
        return word;
    }
    let line = value.find(['\n', '\r']).unwrap_or(value.len());
    let bytes = value.as_bytes().get(..line).unwrap_or_default();
    within.map_or(line, |(quote, level)| closing(bytes, quote, level))
}

/// A value without quotes: a word, with the token behind it when it is the name of a scheme, or a key of many
/// lines.
fn plain(value: &str) -> usize {
    if let Some((_, end)) = shapes::private_key(value) {
        return end;
    }
    let word = end_of_word(value);
    let is_scheme = SCHEMES.iter().any(|scheme| {
        let head = value.get(..word);
        head.is_some_and(|head| head.eq_ignore_ascii_case(scheme))
    });
    let rest = value.get(word..).unwrap_or_default();
    let token = rest.trim_start_matches(BLANKS);
    match is_scheme && token.len() < rest.len() {
        true => value.len() - token.len() + end_of_word(token),
        false => word,
    }
}

pub(super) fn end_of_word(text: &str) -> usize {
    text.find(|c: char| c.is_whitespace() || "&\"',;)}]".contains(c))
        .unwrap_or(text.len())
}
