//! JSON merge patches on payloads, without reading what they leave alone.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::{ContentType, Error, Payload, Result};

/// The deepest nesting that a patch may have.
const MAX_DEPTH: usize = 100;

/// Applies a JSON merge patch (RFC 7396) to a payload.
///
/// Members that the patch does not name keep their bytes, so that a number of any size survives.
/// Fails with [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when the payload is not JSON.
pub fn merge_patch(target: &Payload, patch: &RawValue) -> Result<Payload> {
    let not_json = || Error::invalid("edit", "the payload is not JSON, so no patch can edit it");
    if !target.content_type().is_json() {
        return Err(not_json());
    }
    let whole: &RawValue =
        serde_json::from_slice(target.as_bytes()).map_err(|e| not_json().with_source(e))?;
    let merged = merge(Some(whole), patch, MAX_DEPTH)?;
    Ok(Payload::new(ContentType::json(), merged.get().as_bytes()))
}

type Members<'a> = BTreeMap<String, &'a RawValue>;

fn members(value: &RawValue) -> Option<Members<'_>> {
    value
        .get()
        .starts_with('{')
        .then(|| serde_json::from_str(value.get()).ok())
        .flatten()
}

fn merge(target: Option<&RawValue>, patch: &RawValue, depth: usize) -> Result<Box<RawValue>> {
    let Some(changes) = members(patch) else {
        return Ok(patch.to_owned());
    };
    if depth == 0 {
        return Err(Error::invalid(
            "edit",
            format!("the patch is nested deeper than {MAX_DEPTH} levels"),
        ));
    }
    let mut kept = target.and_then(members).unwrap_or_default();
    let mut merged: BTreeMap<String, Box<RawValue>> = BTreeMap::new();
    for (name, change) in changes {
        let before = kept.remove(&name);
        if change.get() != "null" {
            merged.insert(name, merge(before, change, depth - 1)?);
        }
    }
    merged.extend(
        kept.into_iter()
            .map(|(name, value)| (name, value.to_owned())),
    );
    serde_json::value::to_raw_value(&merged)
        .map_err(|e| Error::invalid("edit", "the edited payload cannot be written").with_source(e))
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::merge_patch;
    use crate::Payload;

    fn patched(target: &str, patch: &str) -> String {
        let target = Payload::new(crate::ContentType::json(), target.as_bytes());
        let patch: Box<RawValue> = serde_json::from_str(patch).unwrap();
        let merged = merge_patch(&target, &patch).unwrap();
        String::from_utf8(merged.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn the_examples_of_the_rfc_hold() {
        for (target, patch, merged) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, "{}"),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (
                r#"{"a":{"b":"c"}}"#,
                r#"{"a":{"b":"d","c":null}}"#,
                r#"{"a":{"b":"d"}}"#,
            ),
            (r#"["a","b"]"#, r#"["c","d"]"#, r#"["c","d"]"#),
            (r#"{"a":"foo"}"#, "null", "null"),
            (r#"{"a":"foo"}"#, r#""bar""#, r#""bar""#),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"a":1,"e":null}"#),
            ("[1,2]", r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#),
            ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
        ] {
            assert_eq!(patched(target, patch), merged, "{target} {patch}");
        }
    }

    #[test]
    fn what_the_patch_leaves_alone_keeps_its_digits() {
        let huge = "123456789012345678901234567890.10";
        let target = format!(r#"{{"n":{huge},"a":1}}"#);
        assert_eq!(
            patched(&target, r#"{"a":2}"#),
            format!(r#"{{"a":2,"n":{huge}}}"#)
        );
    }

    #[test]
    fn a_payload_that_is_not_json_is_refused() {
        let patch: Box<RawValue> = serde_json::from_str("{}").unwrap();
        assert!(merge_patch(&Payload::bytes(*b"\xff"), &patch).is_err());
        let lying = Payload::new(crate::ContentType::json(), *b"{");
        assert!(merge_patch(&lying, &patch).is_err());
    }
}
