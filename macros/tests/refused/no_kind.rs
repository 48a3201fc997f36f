use serde::{Deserialize, Serialize};
use tidemill_macros::Task;

#[derive(Task, Serialize, Deserialize)]
struct NoAttribute;

#[derive(Task, Serialize, Deserialize)]
#[task(queue = "mail")]
struct NoKind;

fn main() {}
