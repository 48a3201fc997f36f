//! The link against real servers. Each test starts its own `redis-server`, that of the environment
//! variable `TIDEMILL_TEST_REDIS_SERVER` or the one on the path, and fails where there is none.

mod certificates;
mod clocks;
mod cluster;
mod durability;
mod kit;
mod logs;
mod outages;
mod permissions;
mod refusals;
mod scripts;
mod sentinel;
mod server;
mod tls;
