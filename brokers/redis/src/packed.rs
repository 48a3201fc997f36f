//! Reading the maps that scripts pack: as much of MessagePack as `cmsgpack` writes for them.

/// A value in a map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Packed<'a> {
    Number(i64),
    Text(&'a [u8]),
    Truth(bool),
}

impl<'a> Packed<'a> {
    pub(crate) const fn number(self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(number),
            Self::Text(_) | Self::Truth(_) => None,
        }
    }

    pub(crate) fn text(self) -> Option<&'a str> {
        match self {
            Self::Text(bytes) => std::str::from_utf8(bytes).ok(),
            Self::Number(_) | Self::Truth(_) => None,
        }
    }

    /// Whether it is `true`.
    pub(crate) const fn truth(self) -> bool {
        matches!(self, Self::Truth(true))
    }
}

/// Goes through the fields of a map of texts to values, in any order. `None` when it is something else, or
/// ends early.
pub(crate) fn fields<'a>(
    bytes: &'a [u8],
    mut each: impl FnMut(&'a [u8], Packed<'a>),
) -> Option<()> {
    let mut rest = Rest(bytes);
    let count = match rest.byte()? {
        short @ 0x80..=0x8f => u32::from(short & 0x0f),
        0xde => u32::from(u16::from_be_bytes(rest.array()?)),
        0xdf => u32::from_be_bytes(rest.array()?),
        _ => return None,
    };
    for _ in 0..count {
        let Packed::Text(name) = rest.value()? else {
            return None;
        };
        each(name, rest.value()?);
    }
    rest.0.is_empty().then_some(())
}

struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, size: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(size)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn text(&mut self, size: usize) -> Option<Packed<'a>> {
        self.take(size).map(Packed::Text)
    }

    fn value(&mut self) -> Option<Packed<'a>> {
        let number = match self.byte()? {
            small @ 0x00..=0x7f => i64::from(small),
            small @ 0xe0..=0xff => i64::from(i8::from_be_bytes([small])),
            short @ 0xa0..=0xbf => return self.text(usize::from(short & 0x1f)),
            0xc2 => return Some(Packed::Truth(false)),
            0xc3 => return Some(Packed::Truth(true)),
            0xca => whole(f64::from(f32::from_be_bytes(self.array()?)))?,
            0xcb => whole(f64::from_be_bytes(self.array()?))?,
            0xcc => i64::from(u8::from_be_bytes(self.array()?)),
            0xcd => i64::from(u16::from_be_bytes(self.array()?)),
            0xce => i64::from(u32::from_be_bytes(self.array()?)),
            0xcf => i64::try_from(u64::from_be_bytes(self.array()?)).ok()?,
            0xd0 => i64::from(i8::from_be_bytes(self.array()?)),
            0xd1 => i64::from(i16::from_be_bytes(self.array()?)),
            0xd2 => i64::from(i32::from_be_bytes(self.array()?)),
            0xd3 => i64::from_be_bytes(self.array()?),
            0xd9 => {
                let size = u8::from_be_bytes(self.array()?);
                return self.text(usize::from(size));
            }
            0xda => {
                let size = u16::from_be_bytes(self.array()?);
                return self.text(usize::from(size));
            }
            0xdb => {
                let size = u32::from_be_bytes(self.array()?);
                return self.text(usize::try_from(size).ok()?);
            }
            _ => return None,
        };
        Some(Packed::Number(number))
    }
}

/// A number of Lua's, which are all floating, as the integer that it has to be.
fn whole(number: f64) -> Option<i64> {
    const LARGEST: f64 = 9_007_199_254_740_992.0;
    let is_whole = number.fract() == 0.0 && number.abs() <= LARGEST;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "it is whole and small enough"
    )]
    is_whole.then_some(number as i64)
}

#[cfg(test)]
mod tests {
    use super::{Packed, fields};

    fn read(bytes: &[u8]) -> Option<Vec<(Vec<u8>, Packed<'_>)>> {
        let mut all = Vec::new();
        fields(bytes, |name, value| all.push((name.to_vec(), value)))?;
        Some(all)
    }

    #[test]
    fn every_form_of_a_number_is_read() {
        let forms: [(&[u8], i64); 13] = [
            (&[0x07], 7),
            (&[0xff], -1),
            (&[0xcc, 200], 200),
            (&[0xcd, 1, 0], 256),
            (&[0xce, 0, 1, 0, 0], 65_536),
            (&[0xcf, 0, 0, 0, 1, 0, 0, 0, 0], 4_294_967_296),
            (&[0xd0, 0x80], -128),
            (&[0xd1, 0xff, 0], -256),
            (&[0xd2, 0xff, 0xff, 0, 0], -65_536),
            (&[0xd3, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0], -4_294_967_296),
            (&[0xca, 0x40, 0x40, 0, 0], 3),
            (&[0xcb, 0x40, 0x08, 0, 0, 0, 0, 0, 0], 3),
            (
                &[0xcb, 0xc3, 0x40, 0, 0, 0, 0, 0, 0],
                -9_007_199_254_740_992,
            ),
        ];
        for (form, number) in forms {
            let bytes = [&[0x81, 0xa1, b'n'], form].concat();
            let expected = vec![(b"n".to_vec(), Packed::Number(number))];
            assert_eq!(read(&bytes), Some(expected), "{form:?}");
        }
    }

    #[test]
    fn texts_of_every_size_and_truths_are_read() {
        for (head, size) in [
            (vec![0xbf], 31),
            (vec![0xd9, 200], 200),
            (vec![0xda, 1, 44], 300),
            (vec![0xdb, 0, 1, 0, 0], 65_536),
        ] {
            let text = vec![b'x'; size];
            let bytes = [&[0xde, 0, 1, 0xa1, b't'][..], &head, &text].concat();
            let expected = vec![(b"t".to_vec(), Packed::Text(&text))];
            assert_eq!(read(&bytes), Some(expected));
        }
        let both = [0x82, 0xa1, b'a', 0xc3, 0xa1, b'b', 0xc2];
        let expected = vec![
            (b"a".to_vec(), Packed::Truth(true)),
            (b"b".to_vec(), Packed::Truth(false)),
        ];
        assert_eq!(read(&both), Some(expected));
    }

    #[test]
    fn what_is_no_map_or_ends_early_is_nothing() {
        let good = [0x81, 0xa1, b'n', 0xcd, 1, 0];
        for size in 0..good.len() {
            assert_eq!(read(&good[..size]), None, "{size}");
        }
        assert_eq!(read(&[good.as_slice(), &[0]].concat()), None);
        assert_eq!(read(&[0x91, 0x01]), None);
        assert_eq!(read(&[0x81, 0x01, 0x01]), None);
    }
}
