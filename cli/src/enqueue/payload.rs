//! A payload: from the command line, a file or standard input.

use std::fs::File;
use std::io::{self, Read};

use tidemill::{ContentType, Payload, check_json};

use crate::problem::Problem;

/// The most that is read; each broker has a lower limit of its own, and names it.
const MAX: u64 = 64 * 1024 * 1024;

/// Reads and checks it. It is kept byte for byte, so that no number is rounded.
pub(crate) fn read(argument: Option<&str>) -> Result<Payload, Problem> {
    let bytes = match argument {
        None => return Ok(Payload::default()),
        Some("-") => bounded(io::stdin().lock(), "standard input")?,
        Some(text) => match text.strip_prefix('@') {
            Some(path) => {
                let file = File::open(path).map_err(|e| unreadable(path, &e))?;
                bounded(file, path)?
            }
            None => text.as_bytes().to_vec(),
        },
    };
    check_json(&bytes).map_err(|error| {
        Problem::from(error).hint("--payload takes JSON, @FILE with JSON, or - for standard input; text is JSON in double quotes")
    })?;
    let text = bytes.trim_ascii().to_vec();
    Ok(Payload::new(ContentType::json(), text))
}

fn bounded(source: impl Read, name: &str) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    source
        .take(MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| unreadable(name, &e))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX {
        return Err(
            Problem::usage(format!("the payload in {name} is over {MAX} bytes"))
                .hint("put the data elsewhere and enqueue where it is"),
        );
    }
    Ok(bytes)
}

fn unreadable(name: &str, error: &io::Error) -> Problem {
    Problem::usage(format!("the payload in {name} cannot be read"))
        .because(error)
        .hint("after @ stands the path of a file that can be read")
}
