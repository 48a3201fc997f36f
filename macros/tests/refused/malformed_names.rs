use serde::{Deserialize, Serialize};
use tidemill_macros::Task;

#[derive(Task, Serialize, Deserialize)]
#[task(kind = "")]
struct Empty;

#[derive(Task, Serialize, Deserialize)]
#[task(kind = "email welcome")]
struct Space;

#[derive(Task, Serialize, Deserialize)]
#[task(kind = "ok", queue = "-mail")]
struct Start;

#[derive(Task, Serialize, Deserialize)]
#[task(kind = Start)]
struct NotText;

fn main() {}
