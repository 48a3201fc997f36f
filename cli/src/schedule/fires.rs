//! `tidemill schedule fires`.

use clap::{Args, ValueEnum};
use tidemill::ledger::{FireOutcome, FireRecord, Fires, Schedules};
use tidemill::{Cursor, FireView, ScheduleId, Timestamp};

use crate::context::Context;
use crate::output::{self, Format, OutputArgs, Rows, or_dash};
use crate::problem::Problem;
use crate::task::PageArgs;
use crate::values::When;

const COLUMNS: [&str; 6] = ["SCHEDULED", "OUTCOME", "LATE", "ENDED", "TASK", "REASON"];

/// How many fires one step looks at.
const STEP: usize = 1_000;

/// Whose fires, which of them, and how many.
#[derive(Args, Debug)]
pub(crate) struct FiresArgs {
    /// The schedule's id
    #[arg(value_name = "ID")]
    id: ScheduleId,
    /// Whose instant is this one or later, or at most this long ago (15m)
    #[arg(long, value_name = "TS", value_parser = When::read, allow_hyphen_values = true)]
    since: Option<When>,
    /// Whose instant is before this one, or longer ago than this
    #[arg(long, value_name = "TS", value_parser = When::read, allow_hyphen_values = true)]
    until: Option<When>,
    /// With one of these outcomes
    #[arg(long, value_name = "OUTCOME", value_delimiter = ',')]
    outcome: Vec<Outcome>,
    /// Also those that were put ahead and whose instant is still to come
    #[arg(long)]
    ahead: bool,
    #[command(flatten)]
    page: PageArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// What may stand on record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Outcome {
    /// Its task is in the broker, or was.
    Enqueued,
    /// Not run, by the schedule's own policy, or because it was paused or removed.
    Skipped,
    /// Not run, because nothing was up at its time.
    Missed,
}

impl Outcome {
    fn of(fire: &FireRecord) -> Option<Self> {
        match fire.outcome {
            FireOutcome::Enqueued => Some(Self::Enqueued),
            FireOutcome::Skipped => Some(Self::Skipped),
            FireOutcome::Missed => Some(Self::Missed),
            FireOutcome::Duplicate | FireOutcome::Refused => None,
        }
    }
}

/// Which fires are meant.
struct Choice<'a> {
    since: Timestamp,
    until: Timestamp,
    /// The last instant that is not still to come.
    present: Timestamp,
    outcomes: &'a [Outcome],
}

impl<'a> Choice<'a> {
    fn new(args: &'a FiresArgs, context: &Context) -> Self {
        let instant = |when: Option<When>| when.map(|when| when.instant(context.clock()));
        let now = context.clock().now();
        Self {
            since: instant(args.since).unwrap_or(Timestamp::MIN),
            until: instant(args.until).unwrap_or(Timestamp::MAX),
            present: if args.ahead { Timestamp::MAX } else { now },
            outcomes: &args.outcome,
        }
    }

    fn takes(&self, fire: &FireRecord) -> bool {
        let outcome = Outcome::of(fire);
        fire.scheduled_at >= self.since
            && fire.scheduled_at < self.until
            && fire.scheduled_at <= self.present
            && (self.outcomes.is_empty() || outcome.is_some_and(|it| self.outcomes.contains(&it)))
    }
}

/// What one reading of the record gave.
#[derive(Default)]
struct Found {
    fires: Vec<FireRecord>,
    /// Whether the record has any fire, and any that is still to come.
    any: bool,
    ahead: bool,
    next: Option<Cursor>,
}

pub(super) async fn run(args: &FiresArgs, context: &mut Context) -> Result<(), Problem> {
    let choice = Choice::new(args, context);
    let mut cursor = args.page.start();
    loop {
        let found = read(&args.id, &choice, cursor, args.page.size(), context).await?;
        let is_first = cursor.is_none();
        let mut rows = Rows::new(&COLUMNS);
        for fire in &found.fires {
            let view = FireView::from(fire);
            match args.output.format {
                Format::Json => context.out.json(&view)?,
                Format::Table => rows.add(row(fire, &view)),
            }
        }
        // Fires outlive their schedule; only when there are none can the id be a mistyped one.
        if is_first && !found.any {
            let stored = Schedules::schedule(context.ledger(), &args.id).await?;
            stored.ok_or_else(|| super::unknown(&args.id))?;
        }
        context.out.page(args.output.format, &rows, cursor)?;
        if is_first && found.fires.is_empty() && found.ahead {
            output::warn("what is there is still to come; --ahead shows it");
        }
        cursor = args.page.follow(found.next);
        if cursor.is_none() {
            return Ok(());
        }
    }
}

/// Reads on until there are `most` fires that are meant, or no more.
async fn read(
    id: &ScheduleId,
    choice: &Choice<'_>,
    mut cursor: Option<Cursor>,
    most: usize,
    context: &Context,
) -> Result<Found, Problem> {
    let mut found = Found::default();
    loop {
        let page = Fires::fires(context.ledger(), id, cursor, STEP).await?;
        found.any |= !page.items.is_empty();
        let looked_at = page.items.len();
        for (index, fire) in page.items.into_iter().enumerate() {
            // Newest first: those that follow are older still.
            if fire.scheduled_at < choice.since {
                found.next = None;
                return Ok(found);
            }
            found.ahead |= fire.scheduled_at > choice.present;
            if choice.takes(&fire) {
                found.fires.push(fire);
            }
            if found.fires.len() == most {
                found.next = match looked_at == index + 1 {
                    true => page.next,
                    // Where to go on is known only for the end of a page.
                    false => {
                        Fires::fires(context.ledger(), id, cursor, index + 1)
                            .await?
                            .next
                    }
                };
                return Ok(found);
            }
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok(found);
        }
    }
}

fn row(fire: &FireRecord, view: &FireView) -> [String; 6] {
    let mut outcome = view.outcome.to_owned();
    if fire.manual {
        outcome.push_str(" by hand");
    }
    if fire.count > 1 {
        outcome.push_str(&format!(" ×{}", fire.count));
    }
    [
        view.scheduled_at.to_string(),
        outcome,
        or_dash(view.lateness_ms.map(|ms| format!("{ms} ms"))),
        or_dash(view.ended),
        or_dash(view.task_id.as_ref()),
        view.reason.clone().unwrap_or_default(),
    ]
}
