//! What is checked of a request before hyper reads it: that there is one way alone to tell where its head, its lines and
//! its body end.
//!
//! hyper takes a bare LF for the end of a line, and of two framings it silently keeps one. A proxy in front that reads
//! the same bytes otherwise would let a second request through inside of the first. So each head waits here until it
//! is whole; one that could be read in two ways never gets to hyper, which is given nonsense instead, answers 400 and
//! closes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What hyper reads in place of a head that is refused: no request line begins like this.
const NONSENSE: &[u8] = b"\0\r\n\r\n";
/// How much is read at once.
const READ: usize = 8 * 1_024;

/// A connection of which hyper gets nothing to read that is not well framed.
#[derive(Debug)]
pub(super) struct Framed<S> {
    inner: S,
    /// What was read and is not passed on yet.
    raw: Vec<u8>,
    /// How much of its beginning was passed on.
    passed: usize,
    /// How far it was looked at: up to here it may be passed on.
    looked: usize,
    place: Place,
    max_head: usize,
}

/// Where the next byte belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Head,
    /// So many bytes of a body are to come.
    Body(u64),
    /// The line with the size of a chunk, or that behind the last chunk.
    ChunkSize,
    /// So many bytes of a chunk are to come, with the line end behind them.
    Chunk(u64),
    Trailers,
    /// Nothing is looked at any more: hyper refuses it by itself.
    Refused,
}

/// How the body of a request is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Frame {
    Length(u64),
    Chunks,
}

impl<S> Framed<S> {
    /// Heads that are longer than `max_head` are hyper's to refuse.
    pub(super) const fn new(inner: S, max_head: usize) -> Self {
        Self {
            inner,
            raw: Vec::new(),
            passed: 0,
            looked: 0,
            place: Place::Head,
            max_head,
        }
    }

    /// Looks at what has come, and says whether any of it may be passed on.
    fn look(&mut self) -> bool {
        loop {
            let rest = self.raw.get(self.looked..).unwrap_or_default();
            if rest.is_empty() || self.place == Place::Refused {
                break;
            }
            let step = match self.place {
                Place::Head => head(rest, self.max_head),
                Place::Body(left) => {
                    Step::Take(taken(rest, left), body(left - taken(rest, left) as u64))
                }
                Place::ChunkSize => chunk_size(rest),
                Place::Chunk(left) => {
                    let count = taken(rest, left);
                    let left = left - count as u64;
                    Step::Take(
                        count,
                        if left == 0 {
                            Place::ChunkSize
                        } else {
                            Place::Chunk(left)
                        },
                    )
                }
                Place::Trailers => trailers(rest, self.max_head),
                Place::Refused => break,
            };
            match step {
                Step::Take(count, next) => {
                    self.looked += count;
                    self.place = next;
                }
                Step::More => break,
                Step::Refuse => {
                    self.raw.truncate(self.looked);
                    self.raw.extend_from_slice(NONSENSE);
                    self.give_up();
                }
                Step::TooLong => self.give_up(),
            }
        }
        self.looked > self.passed
    }

    /// Passes everything on that is there, and looks at nothing any more.
    fn give_up(&mut self) {
        self.looked = self.raw.len();
        self.place = Place::Refused;
    }

    fn pass_on(&mut self, to: &mut ReadBuf<'_>) {
        let part = self.raw.get(self.passed..self.looked).unwrap_or_default();
        let count = part.len().min(to.remaining());
        to.put_slice(part.get(..count).unwrap_or_default());
        self.passed += count;
        if self.passed == self.looked {
            self.raw.drain(..self.passed);
            (self.passed, self.looked) = (0, 0);
        }
    }
}

/// What a look at the bytes of one place comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// So many are well framed; then comes that.
    Take(usize, Place),
    /// The rest has to come first.
    More,
    /// They could be read in two ways.
    Refuse,
    /// hyper refuses what is so long.
    TooLong,
}

fn taken(rest: &[u8], left: u64) -> usize {
    usize::try_from(left).unwrap_or(usize::MAX).min(rest.len())
}

const fn body(left: u64) -> Place {
    match left {
        0 => Place::Head,
        left => Place::Body(left),
    }
}

/// The length of lines up to and with an empty one; each ends with CRLF, and has no other CR, LF or NUL.
fn lines(rest: &[u8], most: usize) -> Result<usize, Step> {
    let mut begun = 0;
    for (at, byte) in rest.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| rest.get(at));
        match byte {
            b'\n' if before != Some(&b'\r') => return Err(Step::Refuse),
            b'\n' if at == begun + 1 => return Ok(at + 1),
            b'\n' => begun = at + 1,
            0 => return Err(Step::Refuse),
            _ if before == Some(&b'\r') => return Err(Step::Refuse),
            _ => {}
        }
    }
    Err(match rest.len() < most {
        true => Step::More,
        false => Step::TooLong,
    })
}

fn head(rest: &[u8], most: usize) -> Step {
    // Empty lines before a request are allowed, and nothing.
    let blank = rest.chunks(2).take_while(|pair| *pair == b"\r\n").count() * 2;
    let (_, text) = rest.split_at(blank);
    if text.is_empty() {
        return Step::Take(blank, Place::Head);
    }
    let size = match lines(text, most) {
        Ok(size) => size,
        Err(step) => return step,
    };
    let (text, _) = text.split_at(size);
    match frame(text) {
        Some(Frame::Length(length)) => Step::Take(blank + size, body(length)),
        Some(Frame::Chunks) => Step::Take(blank + size, Place::ChunkSize),
        None => Step::Refuse,
    }
}

/// How the body behind a head is framed; `None` where that could be read in two ways.
fn frame(head: &[u8]) -> Option<Frame> {
    let mut found = None;
    let lines = head.split(|byte| *byte == b'\n').skip(1);
    for line in lines.filter_map(|line| line.strip_suffix(b"\r")) {
        if line.is_empty() {
            break;
        }
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (name, value) = line.split_at(colon);
        // A line that goes on, or a space before the colon: hyper refuses both, and nobody is to trust in that.
        if name.is_empty() || name.iter().any(u8::is_ascii_whitespace) {
            return None;
        }
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        let framed = if name.eq_ignore_ascii_case(b"content-length") {
            let digits = std::str::from_utf8(value).ok()?;
            let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            Frame::Length(digits.parse().ok().filter(|_| is_number)?)
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            value
                .eq_ignore_ascii_case(b"chunked")
                .then_some(Frame::Chunks)?
        } else {
            continue;
        };
        if found.replace(framed).is_some() {
            return None;
        }
    }
    Some(found.unwrap_or(Frame::Length(0)))
}

/// The longest line with the size of a chunk.
const MAX_SIZE_LINE: usize = 1_024;

/// The line of a chunk's size: hexadecimal digits, and perhaps extensions behind a semicolon. The line end of a
/// chunk before it belongs to that chunk.
fn chunk_size(rest: &[u8]) -> Step {
    let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
        let is_long = rest.len() > MAX_SIZE_LINE;
        return if is_long { Step::Refuse } else { Step::More };
    };
    let line = rest.get(..end).and_then(|line| line.strip_suffix(b"\r"));
    let Some(line) = line.filter(|line| !line.contains(&b'\r') && line.len() <= MAX_SIZE_LINE)
    else {
        return Step::Refuse;
    };
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
    let digits = digits.trim_ascii_end();
    if digits.is_empty() || digits.len() > 15 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Step::Refuse;
    }
    let size = std::str::from_utf8(digits).ok();
    let size = size.and_then(|digits| u64::from_str_radix(digits, 16).ok());
    Step::Take(
        end + 1,
        match size.unwrap_or_default() {
            0 => Place::Trailers,
            size => Place::Chunk(size + 2),
        },
    )
}

/// What is behind the last chunk: lines like those of a head, and an empty one.
fn trailers(rest: &[u8], most: usize) -> Step {
    match lines(rest, most) {
        Ok(size) => Step::Take(size, Place::Head),
        Err(Step::TooLong) => Step::Refuse,
        Err(step) => step,
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Framed<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if to.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        while !this.look() {
            // What came before the nonsense is read; nothing behind it is.
            if this.place == Place::Refused {
                return Poll::Ready(Ok(()));
            }
            let mut bytes = [0; READ];
            let mut read = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut this.inner).poll_read(cx, &mut read))?;
            if read.filled().is_empty() {
                // The end, perhaps in the middle of a head: hyper knows what that means.
                this.give_up();
            }
            this.raw.extend_from_slice(read.filled());
        }
        this.pass_on(to);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Framed<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(cx, from)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write_vectored(cx, from)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
