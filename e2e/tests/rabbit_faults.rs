//! RabbitMQ, its network and the processes around it fail on purpose; see `docs/reliability.md`.
//!
//! `cargo xtask test` names the servers that they start (`TIDEMILL_TEST_RABBITMQ_SERVER`,
//! `TIDEMILL_TEST_REDIS_SERVER`).

mod faults {
    use std::time::Duration;

    use tidemill_e2e::faults::{Bed, Furniture, Trial, rabbit_row};
    use tidemill_e2e::{Result, fresh_seed};

    /// The short form of rows, one after the other in one bed, because a node takes seconds to start.
    #[expect(clippy::print_stdout, reason = "the seed belongs to a failure")]
    async fn short(furniture: Furniture, names: &[&str]) -> Result {
        let folder = tempfile::tempdir()?;
        let mut bed = Bed::make(folder.path(), furniture).await?;
        for name in names {
            let home = folder.path().join(name);
            std::fs::create_dir(&home)?;
            let trial = Trial {
                seed: fresh_seed(),
                length: Duration::from_secs(2),
                folder: home,
            };
            println!("{name}, seed {}", trial.seed);
            let finding = rabbit_row(name)?.run(&trial, &mut bed).await;
            if finding.is_err() {
                println!("kept in {}", folder.keep().display());
                return finding.map(drop);
            }
            println!("{finding:?}");
        }
        Ok(())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn workers_that_die_stall_or_are_told_to_end_lose_nothing() -> Result {
        let rows = ["F1", "F2", "F3", "F4", "F9", "F10", "F34"];
        short(Furniture::Node, &rows).await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_a_node_refuses_or_forgets_is_said_and_made_good() -> Result {
        let rows = ["F29", "F31", "F31b", "F32", "F33", "F36"];
        short(Furniture::Node, &rows).await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_node_that_goes_is_found_again_and_has_lost_nothing() -> Result {
        short(Furniture::Node, &["F35", "F35b", "F26a"]).await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_run_beyond_the_consumer_timeout_has_one_effect() -> Result {
        short(Furniture::Impatient, &["F30"]).await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn three_nodes_do_without_one_of_them_and_take_it_back() -> Result {
        short(Furniture::Cluster, &["F26", "F27", "F28"]).await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_is_refused_says_why_and_keeps_the_secret() -> Result {
        short(Furniture::Tls, &["F59", "F59b"]).await
    }
}
