//! The memory broker keeps the contract.

#[path = "harness/memory.rs"]
mod harness;

use harness::Memory;
use tidemill_conformance::{Harness, excluded};

mod memory {
    tidemill_conformance::conformance!(super::Memory);
}

#[tokio::test]
async fn what_memory_leaves_out_is_what_outlives_or_crosses_a_process() {
    let capabilities = Memory.fresh().await.connection().broker.capabilities();
    let one_process = "only one process can use the store";
    let forgets = "the store does not outlive its process";
    assert_eq!(
        excluded(&capabilities),
        [
            ("what_was_acknowledged_is_there_after_a_crash", forgets),
            ("a_lease_outlives_the_process_of_the_broker", forgets),
            ("a_settlement_is_there_after_a_crash", forgets),
            ("a_lease_that_lapsed_during_a_crash_is_taken_back", forgets),
            ("a_key_is_still_taken_after_a_crash", forgets),
            ("what_an_operator_did_is_there_after_a_crash", forgets),
            ("schedules_and_fires_are_there_after_a_crash", forgets),
            ("two_processes_share_a_backlog_without_doubles", one_process),
            (
                "nothing_is_lost_or_done_twice_between_two_processes",
                one_process
            ),
            ("a_waiting_lease_wakes_for_another_process", one_process),
            (
                "two_processes_sweep_without_doing_anything_twice",
                one_process
            ),
            ("two_processes_admit_an_id_and_a_key_once", one_process),
            ("an_undecodable_task_is_set_aside_with_its_bytes", forgets),
            ("two_processes_fire_each_instant_once", one_process),
        ]
    );
}
