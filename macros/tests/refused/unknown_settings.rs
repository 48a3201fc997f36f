use serde::{Deserialize, Serialize};
use tidemill_macros::Task;

#[derive(Task, Serialize, Deserialize)]
#[task(kind = "a", retries = 5, delay)]
struct Unknown;

#[derive(Task, Serialize, Deserialize)]
#[task(kind = "a", kind = "b")]
struct Twice;

fn main() {}
