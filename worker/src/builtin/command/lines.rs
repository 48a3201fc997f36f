//! From bytes as they come to lines.

/// The longest line; a longer one is split.
const MAX_LINE: usize = 8 * 1024;

/// Cuts a stream of bytes into lines of at most 8 KiB.
#[derive(Debug, Default)]
pub(super) struct LineSplitter {
    rest: Vec<u8>,
}

impl LineSplitter {
    /// Takes bytes and hands on each line that is complete, without its end.
    pub(super) fn push(&mut self, mut bytes: &[u8], mut line: impl FnMut(&str)) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (head, tail) = bytes.split_at(end);
            self.take(head, &mut line);
            self.emit(self.rest.len(), &mut line);
            bytes = tail.get(1..).unwrap_or_default();
        }
        self.take(bytes, &mut line);
    }

    /// Hands on what is left at the end of the stream.
    pub(super) fn finish(&mut self, mut line: impl FnMut(&str)) {
        if !self.rest.is_empty() {
            self.emit(self.rest.len(), &mut line);
        }
    }

    fn take(&mut self, bytes: &[u8], line: &mut impl FnMut(&str)) {
        self.rest.extend_from_slice(bytes);
        while self.rest.len() > MAX_LINE {
            self.emit(split_point(&self.rest), line);
        }
    }

    fn emit(&mut self, end: usize, line: &mut impl FnMut(&str)) {
        let bytes = self.rest.get(..end).unwrap_or_default();
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        line(&String::from_utf8_lossy(bytes));
        self.rest.drain(..end);
    }
}

/// Where a long line is split: at most three bytes early, so that no character is torn.
fn split_point(bytes: &[u8]) -> usize {
    let continues = |at: &usize| bytes.get(*at).is_some_and(|byte| byte & 0xc0 == 0x80);
    (MAX_LINE - 3..=MAX_LINE)
        .rev()
        .find(|at| !continues(at))
        .unwrap_or(MAX_LINE)
}

#[cfg(test)]
mod tests {
    use super::{LineSplitter, MAX_LINE};

    fn lines(chunks: &[&[u8]]) -> Vec<String> {
        let mut splitter = LineSplitter::default();
        let mut lines = Vec::new();
        for chunk in chunks {
            splitter.push(chunk, |line| lines.push(line.to_owned()));
        }
        splitter.finish(|line| lines.push(line.to_owned()));
        lines
    }

    #[test]
    fn lines_are_cut_wherever_the_chunks_end() {
        assert_eq!(
            lines(&[b"on", b"e\ntwo\r", b"\n", b"\nend"]),
            ["one", "two", "", "end"]
        );
        assert_eq!(lines(&[b""]), Vec::<String>::new());
    }

    #[test]
    fn a_line_without_end_is_split_between_characters() {
        let text = "é".repeat(MAX_LINE);
        let found = lines(&[text.as_bytes()]);
        assert!(found.iter().all(|line| line.len() <= MAX_LINE));
        assert_eq!(found.concat(), text);
        let odd = format!("x{text}");
        assert_eq!(lines(&[odd.as_bytes()]).concat(), odd);
    }

    #[test]
    fn bytes_that_are_not_text_are_shown_as_such() {
        assert_eq!(lines(&[b"a\xffb\n"]), ["a\u{fffd}b"]);
        let garbage = vec![0x80; 3 * MAX_LINE];
        assert_eq!(lines(&[&garbage]).concat().chars().count(), 3 * MAX_LINE);
    }
}
