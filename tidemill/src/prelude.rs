//! What most programs use: `use tidemill::prelude::*;`.

pub use crate::{
    Client, DurationExt, Error, ErrorKind, Failure, KeyFate, RetryPolicy, Run, Scheduler, Task,
    TaskResult, Timestamp, Worker, WorkerBuilder, at, connect, cron, every,
};
