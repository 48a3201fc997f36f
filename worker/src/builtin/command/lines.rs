//! From bytes as they come to lines.

/// The longest line; a longer one is split.
const MAX_LINE: usize = 8 * 1024;

/// A line, or a part of one that is too long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    /// The text without its line end.
    pub(super) text: &'a str,
    /// What it took in the stream, with its line end if it has one.
    pub(super) bytes: u64,
}

/// Cuts a stream of bytes into lines of at most 8 KiB.
#[derive(Debug, Default)]
pub(super) struct LineSplitter {
    rest: Vec<u8>,
}

impl LineSplitter {
    /// Takes bytes and hands on each line that is complete.
    pub(super) fn push(&mut self, mut bytes: &[u8], mut line: impl FnMut(Line<'_>)) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (head, tail) = bytes.split_at(end);
            self.take(head, &mut line);
            hand_on(&self.rest, 1, &mut line);
            self.rest.clear();
            bytes = tail.get(1..).unwrap_or_default();
        }
        self.take(bytes, &mut line);
    }

    /// Hands on what is left at the end of the stream.
    pub(super) fn finish(&mut self, mut line: impl FnMut(Line<'_>)) {
        if !self.rest.is_empty() {
            hand_on(&self.rest, 0, &mut line);
            self.rest.clear();
        }
    }

    fn take(&mut self, bytes: &[u8], line: &mut impl FnMut(Line<'_>)) {
        self.rest.extend_from_slice(bytes);
        while self.rest.len() > MAX_LINE {
            let end = split_point(&self.rest);
            hand_on(self.rest.get(..end).unwrap_or_default(), 0, line);
            self.rest.drain(..end);
        }
    }
}

/// Hands on a line that was followed by so many bytes of line end.
fn hand_on(bytes: &[u8], end: usize, line: &mut impl FnMut(Line<'_>)) {
    let text = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    line(Line {
        text: &String::from_utf8_lossy(text),
        bytes: u64::try_from(bytes.len() + end).unwrap_or(u64::MAX),
    });
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
            splitter.push(chunk, |line| lines.push(line.text.to_owned()));
        }
        splitter.finish(|line| lines.push(line.text.to_owned()));
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

    #[test]
    fn every_byte_belongs_to_one_line() {
        let long = "é".repeat(MAX_LINE);
        let text = format!("one\r\n\n{long}\ntwo\u{0}\nend");
        let mut bytes = text.into_bytes();
        bytes.push(0xff);
        let (mut splitter, mut sizes) = (LineSplitter::default(), Vec::new());
        for chunk in bytes.chunks(1_000) {
            splitter.push(chunk, |line| sizes.push(line.bytes));
        }
        splitter.finish(|line| sizes.push(line.bytes));
        assert_eq!(sizes, [5, 1, 8_192, 8_193, 5, 4]);
        assert_eq!(sizes.iter().sum::<u64>(), bytes.len() as u64);
    }
}
