//! What a worker does, as its users see it: through the public API, on real stores.

mod asked;
mod dispatch;
mod faults;
mod journal;
mod limits;
mod outcomes;
mod recovery;
mod retention;
mod shutdown;
mod stage;
mod steps;
mod trouble;
