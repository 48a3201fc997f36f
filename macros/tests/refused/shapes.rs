use serde::{Deserialize, Serialize};
use tidemill_macros::Task;

#[derive(Task, Serialize, Deserialize)]
#[task(kind = "generic")]
struct Generic<T> {
    value: T,
}

#[derive(Task, Serialize)]
#[task(kind = "borrowed")]
struct Borrowed<'a> {
    value: &'a str,
}

#[derive(Task)]
#[task(kind = "union")]
union Either {
    one: u8,
    other: i8,
}

fn main() {}
