//! A replay by filter that is killed with -9 and gone on with, and one that is taken back.

use tidemill_e2e::scenario::Replays;
use tidemill_e2e::{Result, fresh_seed};

/// Behaviour 78.
#[tokio::test(flavor = "multi_thread")]
async fn each_letter_comes_back_once_through_kills_and_an_undo_loses_none() -> Result {
    let folder = tempfile::tempdir()?;
    let seed = fresh_seed();
    println!("seed {seed}");
    let replays = Replays {
        seed,
        letters: 2_000,
        kills: 2,
        rate: 1_000,
    };
    let seen = replays.run(folder.path()).await?;
    assert_eq!((seen.replayed, seen.died_again), (2_000, 1_000));
    assert_eq!(seen.ran_before_undo + seen.taken_back, 1_000);
    Ok(())
}
