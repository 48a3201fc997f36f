//! The same run several times: the middle of what its turns found, and how far they lie apart.

use serde_json::{Map, Value};

use crate::Result;
use crate::compare::Spread;
use crate::report::{Form, Report};

/// Prints what the turns found as one report: each figure that they all have by its median, with the least
/// and the most where they differ. The line of JSON has medians in the places of figures, and in `turns` the
/// lines of all. The first turn that lost or doubled a task is printed alone, as the error that it is.
pub(crate) fn print(reports: Vec<Report>, form: Form) -> Result {
    let turns = reports.len();
    let (mut title, mut found) = (String::new(), Vec::new());
    for report in reports {
        if !report.is_sound() {
            return report.print(form);
        }
        let one;
        (title, one) = report.into_json();
        found.push(Value::Object(one));
    }
    let mut middle = median(&found);
    if form != Form::Json {
        println!("{title}: medians of {turns} turns (least–most)");
        let rows = rows(&found, &middle);
        let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, shown) in rows {
            println!("  {name:width$}  {shown}");
        }
    }
    if form != Form::Table {
        middle["turns"] = Value::Array(found);
        println!("{middle}");
    }
    Ok(())
}

/// The numbers at one place, if all turns have one there.
fn numbers(values: &[Value]) -> Option<Spread> {
    let numbers: Option<Vec<f64>> = values.iter().map(Value::as_f64).collect();
    Spread::of(numbers?)
}

fn at(values: &[Value], key: &str) -> Vec<Value> {
    values.iter().map(|value| value[key].clone()).collect()
}

/// With a median in the place of each number; of what is no number, the first.
fn median(values: &[Value]) -> Value {
    match values.first() {
        Some(Value::Object(first)) => {
            let keys = first.keys();
            let pairs = keys.map(|key| (key.clone(), median(&at(values, key))));
            Value::Object(pairs.collect::<Map<_, _>>())
        }
        // A whole number that is the same everywhere stays whole.
        Some(first) if values.iter().all(|value| value == first) => first.clone(),
        Some(first) => numbers(values).map_or_else(|| first.clone(), |spread| spread.median.into()),
        None => Value::Null,
    }
}

/// What people read: a line for each figure, and one for each distribution.
fn rows(found: &[Value], middle: &Value) -> Vec<(String, String)> {
    let all = middle.as_object().into_iter().flatten();
    let shown = all.filter_map(|(key, value)| {
        let turns = at(found, key);
        let shown = match value {
            Value::Object(points) if key.ends_with("_ms") => {
                let points = points.keys().filter_map(|point| {
                    let spread = numbers(&at(&turns, point))?;
                    Some(format!("{point} {}", spread.shown()))
                });
                points.collect::<Vec<_>>().join("  ")
            }
            Value::Number(number) => match numbers(&turns)? {
                same if same.least == same.most => number.to_string(),
                spread => spread.shown(),
            },
            Value::String(text) => text.clone(),
            _ => return None,
        };
        Some((key.replace('_', " "), shown))
    });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{median, rows};

    #[test]
    fn figures_become_medians_and_the_rest_stays() {
        let found = [
            json!({"broker": "redis", "tasks": 5, "tasks_per_second": 90, "latency_ms": {"p50": 1.0}, "rss": 3}),
            json!({"broker": "redis", "tasks": 5, "tasks_per_second": 120, "latency_ms": {"p50": 3.0}, "rss": null}),
            json!({"broker": "redis", "tasks": 5, "tasks_per_second": 100, "latency_ms": {"p50": 2.0}, "rss": 3}),
        ];
        let middle = median(&found);
        assert_eq!(
            middle,
            json!({"broker": "redis", "tasks": 5, "tasks_per_second": 100.0, "latency_ms": {"p50": 2.0}, "rss": 3})
        );
        let shown = rows(&found, &middle);
        let mut shown: Vec<_> = shown
            .iter()
            .map(|(name, shown)| format!("{name}: {shown}"))
            .collect();
        shown.sort_unstable();
        assert_eq!(
            shown,
            [
                "broker: redis",
                "latency ms: p50 2.00 (1.00–3.00)",
                "tasks per second: 100 (90.0–120)",
                "tasks: 5",
            ]
        );
    }
}
