//! The campaign on RabbitMQ: nodes, networks and processes that fail on purpose, under the oracles of the one on
//! Redis. A Redis beside it is the ledger, and stays well.

mod bed;
mod campaign;
mod cluster;
mod console;
mod desk;
mod node;
mod rows;

pub use bed::{Bed, Furniture, line};
pub use cluster::Cluster as RabbitCluster;
pub use desk::Desk;
pub use node::{House, Node};
pub use rows::{RABBIT_ROWS, RabbitRow, rabbit_row};
