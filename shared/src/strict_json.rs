//! JSON as strictly as a queue needs it.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::{Error, Result};

/// Checks that `bytes` are one JSON text (RFC 8259) and nothing else, and says where they are not.
///
/// Refused: anything after the value, a byte order mark, invalid UTF-8, lone surrogates, numbers
/// beyond what a double can hold, a name that stands twice in one object, nesting deeper than 127.
/// Big integers pass, because the bytes are kept as they are.
pub fn check_json(bytes: &[u8]) -> Result<()> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    Strict
        .deserialize(&mut deserializer)
        .and_then(|()| deserializer.end())
        .map_err(|e| Error::invalid("payload", format!("the payload is not valid JSON: {e}")))
}

struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(name) = entries.next_key::<String>()? {
            if seen.contains(&name) {
                let shown: String = name.chars().take(64).collect();
                return Err(serde::de::Error::custom(format_args!(
                    "the name {shown:?} stands twice in one object"
                )));
            }
            seen.insert(name);
            entries.next_value_seed(Self)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::check_json;

    #[test]
    fn json_of_every_shape_passes() {
        for good in [
            "null",
            "18446744073709551616",
            "9007199254740993",
            r#"{"a":[1,-2.5e3,"é😀"]}"#,
            " [] ",
        ] {
            assert!(check_json(good.as_bytes()).is_ok(), "{good}");
        }
    }

    #[test]
    fn what_is_not_json_is_refused_with_its_place() {
        let deep = "[".repeat(100_000);
        for bad in [
            "",
            "nul",
            "NaN",
            "1e999",
            "[1,]",
            r#"{"a":1,"a":2}"#,
            r#""\ud800""#,
            "\u{feff}1",
            "1 2",
            &deep,
        ] {
            let message = check_json(bad.as_bytes()).unwrap_err().to_string();
            assert!(message.contains("line 1 column"), "{message}");
        }
        assert!(check_json(b"\xff\xfe1\0").is_err());
        assert!(check_json(b"\"\xff\"").is_err());
    }
}
