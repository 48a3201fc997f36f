//! The code that is written says where everything comes from.
#![allow(dead_code, non_camel_case_types)]

use tidemill_macros::Task as DeriveTask;

struct Option;
struct Some;
struct None;
struct Duration;
trait Task {}
mod core {}

#[derive(DeriveTask, serde::Serialize, serde::Deserialize)]
#[task(kind = "ping", timeout = "1s")]
struct Ping {}

fn main() {
    assert_eq!(
        <Ping as tidemill::Task>::defaults().timeout,
        ::core::option::Option::Some(::core::time::Duration::from_secs(1))
    );
}
