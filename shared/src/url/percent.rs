//! Percent-encoding.

/// Undoes `%41` for `A`. `None` where a `%` is not followed by two hexadecimal digits, or where the
/// outcome is not UTF-8.
#[must_use]
pub fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let high = char::from(bytes.next()?).to_digit(16)?;
        let low = char::from(bytes.next()?).to_digit(16)?;
        decoded.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::percent_decode;

    #[test]
    fn percent_signs_are_undone_or_refused() {
        assert_eq!(percent_decode("a%3Ab%2f%25").as_deref(), Some("a:b/%"));
        assert_eq!(percent_decode("%C3%A9").as_deref(), Some("é"));
        for wrong in ["%", "%4", "%4x", "%+4", "%ff"] {
            assert_eq!(percent_decode(wrong), None, "{wrong}");
        }
    }
}
