//! Producers, clocks and definitions of schedules fail or change on purpose; see `docs/reliability.md`.
//!
//! `cargo xtask test` names the server that they start (`TIDEMILL_TEST_REDIS_SERVER`) and the library
//! that bends clocks (`TIDEMILL_TEST_FAKETIME`).

mod faults {
    use std::time::Duration;

    use futures::future::try_join_all;
    use tidemill_e2e::faults::{Trial, schedule_row};
    use tidemill_e2e::{Result, fresh_seed};

    /// The short form of a row, on its stores at once.
    #[expect(clippy::print_stdout, reason = "the seed belongs to a failure")]
    async fn short(name: &str) -> Result {
        let seed = fresh_seed();
        println!("seed {seed}");
        let row = schedule_row(name)?;
        let stores = row.on.iter().map(|on| async move {
            let folder = tempfile::tempdir()?;
            let trial = Trial {
                seed,
                length: Duration::from_secs(8),
                folder: folder.path().to_owned(),
            };
            let seen = row.run(&trial, *on).await;
            if seen.is_err() {
                println!("kept in {}", folder.keep().display());
            }
            seen
        });
        println!("{:?}", try_join_all(stores).await?);
        Ok(())
    }

    /// F41.
    #[tokio::test(flavor = "multi_thread")]
    async fn leaders_killed_at_due_instants_repeat_and_leave_out_nothing() -> Result {
        short("F41").await
    }

    /// F42.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_leader_that_was_paused_over_fires_repeats_none() -> Result {
        short("F42").await
    }

    /// F43.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_leader_that_was_cut_off_repeats_nothing() -> Result {
        short("F43").await
    }

    /// F44.
    #[tokio::test(flavor = "multi_thread")]
    async fn two_forced_leaders_fire_each_instant_once() -> Result {
        short("F44").await
    }

    /// F45.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_clock_that_jumps_by_two_hours_repeats_and_forgets_nothing() -> Result {
        short("F45").await
    }

    /// F45.
    #[tokio::test(flavor = "multi_thread")]
    async fn producers_whose_clocks_are_wrong_fire_by_the_clock_of_redis() -> Result {
        short("F45s").await
    }

    /// F46.
    #[tokio::test(flavor = "multi_thread")]
    async fn clocks_put_forward_and_back_fire_as_documented() -> Result {
        short("F46").await
    }

    /// F47.
    #[tokio::test(flavor = "multi_thread")]
    async fn ten_minutes_without_a_producer_are_made_up_for_as_the_policy_says() -> Result {
        short("F47").await
    }

    /// F48.
    #[tokio::test(flavor = "multi_thread")]
    async fn five_thousand_schedules_of_one_minute_keep_to_their_jitter() -> Result {
        short("F48").await
    }

    /// F49.
    #[tokio::test(flavor = "multi_thread")]
    async fn two_hundred_schedules_survive_random_kills_of_three_producers() -> Result {
        short("F49").await
    }

    /// F50.
    #[tokio::test(flavor = "multi_thread")]
    async fn leaders_that_flap_repeat_and_leave_out_nothing() -> Result {
        short("F50").await
    }

    /// F51.
    #[tokio::test(flavor = "multi_thread")]
    async fn no_fire_comes_after_an_acknowledged_pause_or_of_an_older_revision() -> Result {
        short("F51").await
    }

    /// F52.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_store_that_is_rolled_back_leaves_out_no_instant() -> Result {
        short("F52").await
    }
}
