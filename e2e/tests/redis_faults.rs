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

    /// F11.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_redis_that_is_killed_again_and_again_loses_nothing() -> Result {
        short("F11").await
    }
}
