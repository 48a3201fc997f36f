//! Redis, its network and the processes around it fail on purpose; see `docs/reliability.md`.
//!
//! `cargo xtask test` names the server that they start (`TIDEMILL_TEST_REDIS_SERVER`).

mod faults {
    use std::time::Duration;

    use tidemill_e2e::faults::{Trial, row};
    use tidemill_e2e::{Result, fresh_seed};

    /// The short form of a row.
    #[expect(clippy::print_stdout, reason = "the seed belongs to a failure")]
    async fn short(name: &str) -> Result {
        let folder = tempfile::tempdir()?;
        let trial = Trial {
            seed: fresh_seed(),
            length: Duration::from_secs(3),
            folder: folder.path().to_owned(),
        };
        println!("seed {}", trial.seed);
        let finding = row(name)?.run(&trial).await;
        if finding.is_err() {
            println!("kept in {}", folder.keep().display());
        }
        println!("{:?}", finding?);
        Ok(())
    }

    /// F1.
    #[tokio::test(flavor = "multi_thread")]
    async fn tasks_of_killed_workers_run_again_within_their_lease() -> Result {
        short("F1").await
    }

    /// F2.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_death_between_effect_and_end_repeats_no_effect() -> Result {
        short("F2").await
    }

    /// F3.
    #[tokio::test(flavor = "multi_thread")]
    async fn the_late_end_of_a_paused_worker_is_refused() -> Result {
        short("F3").await
    }

    /// F4.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_pause_within_the_lease_repeats_nothing() -> Result {
        short("F4").await
    }

    /// F5.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_starved_worker_loses_nothing() -> Result {
        short("F5").await
    }

    /// F9.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_worker_told_to_end_gives_back_what_it_cannot_finish() -> Result {
        short("F9").await
    }

    /// F10.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_worker_told_to_end_without_redis_ends_within_its_grace() -> Result {
        short("F10").await
    }

    /// F11.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_redis_that_is_killed_again_and_again_loses_nothing() -> Result {
        short("F11").await
    }

    /// F13.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_redis_that_comes_back_empty_is_said_aloud_and_schedules_come_back() -> Result {
        short("F13").await
    }

    /// F14.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_redis_that_hangs_is_left_and_found_again() -> Result {
        short("F14").await
    }

    /// F15.
    #[tokio::test(flavor = "multi_thread")]
    async fn no_weather_between_redis_and_the_others_loses_a_task() -> Result {
        short("F15").await
    }

    /// F16.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_lost_reply_makes_no_second_task_and_no_second_run() -> Result {
        short("F16").await
    }

    /// F21.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_full_redis_refuses_tasks_and_still_lets_runs_end() -> Result {
        short("F21").await
    }

    /// F22.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_redis_that_evicts_is_refused_and_lost_leases_are_mended() -> Result {
        short("F22").await
    }

    /// F23.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_full_disk_accepts_nothing_and_loses_nothing() -> Result {
        short("F23").await
    }

    /// F25.
    #[tokio::test(flavor = "multi_thread")]
    async fn connections_that_are_closed_again_and_again_come_back() -> Result {
        short("F25").await
    }

    /// F53.
    #[tokio::test(flavor = "multi_thread")]
    async fn no_sweep_rewrites_the_end_of_a_run() -> Result {
        short("F53").await
    }

    /// F55.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_worker_without_descriptors_waits_for_some() -> Result {
        short("F55").await
    }

    /// F12.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_power_cut_loses_nothing_that_every_write_brought_to_the_disk() -> Result {
        short("F12").await
    }

    /// F17.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_split_brain_loses_nothing_that_replicas_have_confirmed() -> Result {
        short("F17").await
    }

    /// F18.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_planned_failover_loses_nothing_that_a_replica_has_confirmed() -> Result {
        short("F18").await
    }

    /// F19.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_cluster_loses_nothing_when_its_slot_moves_and_its_masters_die() -> Result {
        short("F19").await
    }

    /// F20.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_master_that_was_a_replica_for_a_while_is_used_again() -> Result {
        short("F20").await
    }

    /// F24.
    #[tokio::test(flavor = "multi_thread")]
    async fn what_was_tampered_with_is_mended_or_set_aside() -> Result {
        short("F24").await
    }

    /// F44.
    #[tokio::test(flavor = "multi_thread")]
    async fn two_leaders_fire_each_instant_once() -> Result {
        short("F44").await
    }

    /// F59.
    #[tokio::test(flavor = "multi_thread")]
    async fn who_starts_before_redis_waits_and_who_is_refused_says_why() -> Result {
        short("F59").await
    }
}
