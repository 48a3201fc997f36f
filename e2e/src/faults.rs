//! The fault campaigns. The one on Redis: servers, networks and processes that fail on purpose, and oracles that
//! say whether what was promised was kept.
//!
//! Each row of the list of faults is one function, in the size that a [`Trial`] says: a few seconds
//! with the tests, longer in `cargo xtask campaign redis-faults`. A feeder enqueues seeded tasks of
//! four kinds, workers run them, and all write down what they do, on the disk, outside of the store.

mod campaign;
mod certificates;
mod cluster;
mod ledger;
mod oracle;
mod ports;
mod program;
mod proxy;
mod rabbitmq;
mod redis;
mod replicas;
mod report;
mod rows;
mod scene;
mod schedules;
mod workload;

pub use campaign::Campaign;
pub use cluster::Cluster;
pub use ledger::{Deed, Ledger, Line};
pub use oracle::{Bounds, Finding};
pub use ports::free_port;
pub use proxy::{Proxy, Weather};
pub use rabbitmq::{
    Bed, Desk, Furniture, House, Node, RABBIT_ROWS, RabbitCluster, RabbitRow, line, rabbit_row,
};
pub use redis::{EVERY_SECOND, Redis};
pub use replicas::ReplicaSet;
pub use report::Report;
pub use rows::{ROWS, Row, row};
pub use scene::{LEASE, PATIENCE, Scene, Trial};
pub use schedules::{On, SCHEDULE_ROWS, ScheduleCampaign, ScheduleRow, schedule_row};
pub use workload::{Feeder, Point, Shift};
