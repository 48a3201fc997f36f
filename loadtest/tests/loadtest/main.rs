//! The load generator as a program: its scenarios, comparisons and parts, each in its smallest size.

mod api;
mod comparing;
mod every_scenario;
mod limits;
mod on_rabbitmq;
mod program;
