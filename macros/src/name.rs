//! The rule for names, as `tidemill-shared` has it.

const MAX_NAME: usize = 128;

/// Checks a name against `^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$`.
pub(crate) fn check(what: &str, text: &str) -> Result<(), String> {
    let mark = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if text.is_empty() {
        return Err(format!("the {what} is empty; expected 1 to 128 characters"));
    }
    if text.len() > MAX_NAME {
        return Err(format!(
            "the {what} has {} bytes; expected at most {MAX_NAME}",
            text.len()
        ));
    }
    if let Some(bad) = text.chars().find(|c| !mark(*c)) {
        return Err(format!(
            "the {what} contains {bad:?}; expected only letters, digits, '_', '.' and '-'"
        ));
    }
    if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Err(format!(
            "the {what} must start with an ASCII letter or digit"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn the_rule_is_that_of_the_language() {
        let long = "x".repeat(129);
        for text in [
            "a", "A-1_b.c", "0", "", " ", "a b", "a:b", "-a", ".a", "_a", "é", "a\0", &long,
        ] {
            assert_eq!(
                check("kind", text).is_ok(),
                tidemill::Kind::new(text).is_ok(),
                "{text:?}"
            );
        }
    }
}
