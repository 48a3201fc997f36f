//! Where the entries of a schedule file stand.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The places of a text that has been read: it is parsed once, and its lines are counted once, however
/// many entries ask.
#[derive(Debug)]
pub(super) struct Places<'t> {
    /// Of a text that is not TOML nothing is known but the lines.
    document: Option<Spanned<DeTable<'t>>>,
    /// Where each line starts.
    lines: Vec<usize>,
}

impl<'t> Places<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Self {
            document: DeTable::parse(text).ok(),
            lines: std::iter::once(0)
                .chain(ends.map(|(at, _)| at + 1))
                .collect(),
        }
    }

    /// The line, from 1, in which a byte stands.
    pub(super) fn line_of(&self, offset: usize) -> usize {
        self.lines.partition_point(|start| *start <= offset)
    }

    /// Where a key of the entry with this index stands, at any depth.
    pub(super) fn of_key(&self, index: usize, key: &str) -> Option<usize> {
        find_key(self.entry(index)?.get_ref().as_table()?, key)
    }

    /// Where the first number of the entry with this index stands that is none: `inf` or `nan`.
    pub(super) fn of_endless_number(&self, index: usize) -> Option<usize> {
        find_endless(self.entry(index)?)
    }

    fn entry(&self, index: usize) -> Option<&Spanned<DeValue<'t>>> {
        let entries = self.document.as_ref()?.get_ref().get("schedule")?;
        entries.get_ref().as_array()?.get(index)
    }
}

fn find_key(table: &DeTable<'_>, key: &str) -> Option<usize> {
    let here = table.iter().find(|(name, _)| name.get_ref() == key);
    here.map(|(name, _)| name.span().start).or_else(|| {
        let tables = table
            .iter()
            .filter_map(|(_, value)| value.get_ref().as_table());
        tables.into_iter().find_map(|inner| find_key(inner, key))
    })
}

fn find_endless(value: &Spanned<DeValue<'_>>) -> Option<usize> {
    match value.get_ref() {
        DeValue::Float(number) => {
            let finite = number.as_str().parse().is_ok_and(f64::is_finite);
            (!finite).then(|| value.span().start)
        }
        DeValue::Array(items) => items.iter().find_map(find_endless),
        DeValue::Table(entries) => entries.iter().find_map(|(_, value)| find_endless(value)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Places;

    const TEXT: &str = "\
log = \"info\"

[[schedule]]
id = \"a\"
retry = { max_attempts = 3 }

[[schedule]]
kind = \"k\"
payload = { of = [1, inf] }
id = \"b\"
";

    #[test]
    fn every_entry_is_found_in_one_reading() {
        let places = Places::of(TEXT);
        let line = |index, key| places.of_key(index, key).map(|at| places.line_of(at));
        assert_eq!((line(0, "id"), line(1, "id")), (Some(4), Some(10)));
        assert_eq!(line(0, "max_attempts"), Some(5));
        assert_eq!((line(1, "cron"), line(2, "id")), (None, None));
        let endless = places.of_endless_number(1).map(|at| places.line_of(at));
        assert_eq!((endless, places.of_endless_number(0)), (Some(9), None));
    }

    #[test]
    fn lines_count_from_one() {
        for (text, lines) in [
            ("a\nb\nc", [1, 1, 2, 2, 3, 3]),
            ("\n\n\n\n\n", [1, 2, 3, 4, 5, 6]),
        ] {
            let places = Places::of(text);
            let found: Vec<_> = (0..6).map(|at| places.line_of(at)).collect();
            assert_eq!(found, lines);
        }
        assert_eq!(Places::of("x = {").of_key(0, "id"), None);
    }
}
