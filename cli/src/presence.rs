//! `tidemill workers` and `tidemill producers`: who is alive.

use tidemill::ledger::{Presence, PresenceRecord, Role};

use crate::context::{Context, Missing};
use crate::output::{Format, OutputArgs, Rows, instant, or_dash};
use crate::problem::Problem;
use crate::settings::Settings;

/// Lists the workers.
pub(crate) async fn workers(args: OutputArgs, settings: Settings) -> Result<(), Problem> {
    let mut rows = Rows::new(&[
        "ID", "HOST", "PID", "BUSY", "QUEUES", "STATE", "STARTED", "VERSION",
    ]);
    let show = |worker: &PresenceRecord, rows: &mut Rows| {
        let queues: Vec<_> = worker.queues.iter().map(AsRef::as_ref).collect();
        rows.add([
            worker.id.to_string(),
            worker.host.clone(),
            worker.pid.to_string(),
            format!("{}/{}", worker.busy, worker.slots),
            queues.join(","),
            if worker.draining {
                "draining"
            } else {
                "working"
            }
            .to_owned(),
            instant(worker.started_at),
            worker.version.clone(),
        ]);
    };
    list(Role::Worker, args, settings, &mut rows, show).await
}

/// Lists the producers.
pub(crate) async fn producers(args: OutputArgs, settings: Settings) -> Result<(), Problem> {
    let mut rows = Rows::new(&[
        "ID", "HOST", "PID", "ROLE", "EPOCH", "SHARDS", "STARTED", "VERSION",
    ]);
    let show = |producer: &PresenceRecord, rows: &mut Rows| {
        rows.add([
            producer.id.to_string(),
            producer.host.clone(),
            producer.pid.to_string(),
            if producer.leader {
                "leader"
            } else {
                "stand-by"
            }
            .to_owned(),
            or_dash(producer.epoch),
            shards(producer),
            instant(producer.started_at),
            producer.version.clone(),
        ]);
    };
    list(Role::Producer, args, settings, &mut rows, show).await
}

/// What it leads: the numbers of the shards, each with its epoch, and of how many.
fn shards(producer: &PresenceRecord) -> String {
    if producer.shards == 1 {
        return or_dash(producer.leader.then_some("all"));
    }
    let held = producer.held.iter();
    let held: Vec<_> = held
        .map(|held| format!("{}@{}", held.shard, held.epoch))
        .collect();
    format!(
        "{} of {}",
        or_dash(Some(held.join(",")).filter(|held| !held.is_empty())),
        producer.shards
    )
}

async fn list(
    role: Role,
    args: OutputArgs,
    settings: Settings,
    rows: &mut Rows,
    show: impl Fn(&PresenceRecord, &mut Rows),
) -> Result<(), Problem> {
    let mut context = Context::open(settings, Missing::Refuse).await?;
    let present = Presence::present(context.ledger(), role).await?;
    for record in &present {
        match args.format {
            Format::Json => context.out.json(record)?,
            Format::Table => show(record, rows),
        }
    }
    if args.format == Format::Table {
        context.out.table(rows)?;
    }
    context.out.flush()
}
