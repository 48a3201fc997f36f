//! Secrets that are known by how they look, whatever stands before them.

use super::announced::end_of_word;

/// Words after which a token stands in a header.
pub(super) const SCHEMES: [&str; 2] = ["bearer", "basic"];

/// How the tokens of the HTTP API begin; a name, a point and the secret follow.
const OWN_TOKEN: &str = "tidemill_";

/// Shorter than the secret of any token of the HTTP API.
const LEAST_SECRET: usize = 16;

/// How far is looked for the end of what may turn out to be no secret.
const REACH: usize = 128;

/// User and password of a URL, from `://` on.
pub(super) fn user_info(rest: &str) -> Option<(usize, usize)> {
    let authority = rest.strip_prefix("://")?;
    let end = authority
        .find(|c: char| c.is_whitespace() || "/?#\"'<>\\".contains(c))
        .unwrap_or(authority.len());
    let word = authority.get(..end)?;
    let at = word.rfind('@').or_else(|| unencoded(authority, word))?;
    Some((3, 3 + at))
}

/// The end of a password with signs in it that should have been encoded. What is behind the colon is no port.
fn unencoded(authority: &str, word: &str) -> Option<usize> {
    let (host, behind) = word.split_once(':')?;
    let behind = behind.trim_end_matches([':', ',', '.', ';', ')']);
    let is_port = behind.bytes().all(|byte| byte.is_ascii_digit()) && !host.is_empty();
    if is_port || host.starts_with('[') {
        return None;
    }
    let reach = authority.char_indices().take(REACH);
    reach
        .take_while(|(_, c)| !"\n\r\"'<>".contains(*c))
        .filter_map(|(index, c)| (c == '@').then_some(index))
        .last()
}

/// A token of the HTTP API.
pub(super) fn own_token(text: &str, at: usize, rest: &str) -> Option<(usize, usize)> {
    let before = text.get(..at)?.chars().next_back();
    let begins = before.is_none_or(|c| !c.is_alphanumeric() && c != '_');
    // No name of a token is nearly as long.
    let near = rest
        .get(..rest.floor_char_boundary(4 * REACH))
        .filter(|_| begins)?;
    let word = near.get(..end_of_word(near))?;
    let (name, secret) = word.strip_prefix(OWN_TOKEN)?.rsplit_once('.')?;
    let from = OWN_TOKEN.len() + name.len() + 1;
    (secret.len() >= LEAST_SECRET).then(|| (from, end_of_word(rest)))
}

/// What stands behind `Bearer` or `Basic`.
pub(super) fn scheme(rest: &str) -> Option<(usize, usize)> {
    let scheme = SCHEMES.iter().find(|scheme| {
        let head = rest.as_bytes().get(..scheme.len());
        head.is_some_and(|head| head.eq_ignore_ascii_case(scheme.as_bytes()))
    })?;
    let behind = rest.get(scheme.len()..)?;
    let token = behind.trim_start_matches([' ', '\t']);
    let word = end_of_word(token);
    let from = rest.len() - token.len();
    // Shorter than any token: two words of a sentence.
    (word >= 8 && token.len() < behind.len()).then_some((from, from + word))
}

/// A JSON Web Token: three or more parts in base64url, the first of which begins a JSON object.
pub(super) fn web_token(text: &str, at: usize, rest: &str) -> Option<(usize, usize)> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let before = text.as_bytes().get(..at)?.last();
    if !rest.starts_with("eyJ") || before.is_some_and(|before| is_part(*before)) {
        return None;
    }
    let token = rest
        .bytes()
        .take_while(|byte| is_part(*byte) || *byte == b'.');
    let token = rest.get(..token.count())?.trim_end_matches('.');
    (token.split('.').count() >= 3).then_some((0, token.len()))
}

/// A private key in PEM: what stands between its first and its last line.
pub(super) fn private_key(rest: &str) -> Option<(usize, usize)> {
    let label = rest.strip_prefix("-----BEGIN ")?;
    let near = label.get(..label.floor_char_boundary(REACH))?;
    let (label, _) = near.split_once("-----")?;
    let from = "-----BEGIN -----".len() + label.len();
    let body = rest
        .get(from..)
        .filter(|_| label.ends_with("PRIVATE KEY"))?;
    Some((from, from + body.find("-----END").unwrap_or(body.len())))
}
