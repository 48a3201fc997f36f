//! Schedules while producers, clocks and definitions change: what fires is compared with a set of
//! instants that is written down by hand or by plain arithmetic, never by Tidemill's own planner.
//!
//! Each row is one function, on a SQLite file and on a Redis of its own: a few seconds with the tests,
//! longer in `cargo xtask campaign schedules`.

mod campaign;
mod clock;
mod judge;
mod rows;
mod skew;
mod stage;
mod store;
mod timetable;

pub use campaign::ScheduleCampaign;
pub use rows::{SCHEDULE_ROWS, ScheduleRow, schedule_row};
pub use store::On;
