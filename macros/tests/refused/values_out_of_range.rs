use serde::{Deserialize, Serialize};
use tidemill_macros::Task;

#[derive(Task, Serialize, Deserialize)]
#[task(
    kind = "a",
    attempts = 0,
    priority = 10,
    timeout = "0s",
    retention = "5"
)]
struct AllAtOnce;

#[derive(Task, Serialize, Deserialize)]
#[task(kind = "a", priority = -1)]
struct Negative;

#[derive(Task, Serialize, Deserialize)]
#[task(kind = "a", timeout = "1 fortnight")]
struct Unit;

#[derive(Task, Serialize, Deserialize)]
#[task(kind = "a", retention = "1s 1h")]
struct Order;

#[derive(Task, Serialize, Deserialize)]
#[task(kind = "a", attempts = 99999999999)]
struct Huge;

fn main() {}
