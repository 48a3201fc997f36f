//! Which slot of a Cluster a key is in.

/// The slot of a key: CRC-16/XMODEM of its hash tag, or of all of it, modulo 16,384
/// (the Redis Cluster specification, "Key distribution model").
pub(super) fn of(key: &str) -> u16 {
    let tag = key
        .split_once('{')
        .and_then(|(_, rest)| rest.split_once('}'))
        .map_or(key, |(tag, _)| if tag.is_empty() { key } else { tag });
    tag.bytes().fold(0, step) % 16_384
}

fn step(crc: u16, byte: u8) -> u16 {
    (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
        if crc & 0x8000 == 0 {
            crc << 1
        } else {
            (crc << 1) ^ 0x1021
        }
    })
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn the_slot_is_that_of_the_hash_tag() {
        assert_eq!(of("123456789"), 0x31C3);
        assert_eq!(of("foo"), 12_182);
        assert_eq!(of("{foo}:tasks"), of("foo"));
        assert_eq!(of("a{foo}b{bar}"), of("foo"));
        assert_ne!(of("{}foo"), of(""));
    }
}
