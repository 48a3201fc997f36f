//! Variables as a shell reads them.

use std::io::Write as _;

use crate::step::Outcome;

/// Prints one `export NAME=value` for each variable, and nothing else, to standard output.
pub(super) fn print(variables: &[(&'static str, String)]) -> Outcome {
    let lines: String = variables
        .iter()
        .map(|(name, value)| line(name, value))
        .collect();
    // Whoever reads from a pipe must have the lines now: the command goes on for hours.
    let mut output = std::io::stdout().lock();
    output
        .write_all(lines.as_bytes())
        .and_then(|()| output.flush())
        .map_err(|error| vec![format!("the variables could not be printed: {error}")])
}

fn line(name: &str, value: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/:,.+-_".contains(c);
    if !value.is_empty() && value.chars().all(is_plain) {
        format!("export {name}={value}\n")
    } else {
        format!("export {name}='{}'\n", value.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn an_address_is_exported_as_it_is() {
        assert_eq!(
            line("A", "redis+sentinel://127.0.0.1:1,127.0.0.1:2/tidemill"),
            "export A=redis+sentinel://127.0.0.1:1,127.0.0.1:2/tidemill\n"
        );
    }

    #[test]
    fn a_path_that_a_shell_would_split_is_quoted() {
        assert_eq!(
            line("A", "/my tools/it's"),
            "export A='/my tools/it'\\''s'\n"
        );
    }
}
