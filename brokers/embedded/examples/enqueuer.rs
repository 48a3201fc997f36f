//! `enqueuer FILE COUNT`: enqueues so many tasks one by one, and prints the id of each when it has
//! been acknowledged. The tests with real processes start it, and kill it.

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use tidemill_embedded::{SqliteOptions, SqliteStore};
use tidemill_shared::{
    Admission, Broker, Clock, Envelope, Kind, Namespace, Payload, Sleep, TaskId, Timestamp,
};

/// The time of this machine.
#[derive(Debug)]
struct WallClock;

impl Clock for WallClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock of this program"
    )]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Timestamp::from_micros(0) + since.unwrap_or_default()
    }

    fn sleep_until(&self, deadline: Timestamp) -> Sleep {
        Box::pin(tokio::time::sleep(deadline.since(self.now())))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(file), Some(count)) = (arguments.next(), arguments.next()) else {
        return Err("expected a file and a count".into());
    };
    let (options, namespace) = (SqliteOptions::default(), Namespace::default());
    let store = SqliteStore::open(Path::new(&file), options, namespace, Arc::new(WallClock))?;
    let mut out = std::io::stdout();
    for _ in 0..count.parse::<u64>()? {
        let now = WallClock.now();
        let id = TaskId::generate(now);
        let task = Envelope::new(id.clone(), Kind::new("test.kind")?, Payload::default(), now);
        let answers = store.enqueue(vec![task]).await?;
        if answers != [Admission::Admitted] {
            return Err(format!("{id} was not admitted: {answers:?}").into());
        }
        writeln!(out, "{id}")?;
        out.flush()?;
    }
    Ok(())
}
