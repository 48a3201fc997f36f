//! `tidemill top`: queues, workers, schedules and failures as they change, with keys to act on them.
//!
//! [`Snapshot`] is what was read last, [`Screen`] what is shown of it and which [`Order`](orders::Order) a key means,
//! and [`draw`] puts it on the terminal. Reading and acting go on beside the keys, so that a store that
//! is slow or away never holds the screen.

mod draw;
mod orders;
mod page;
mod screen;
mod snapshot;

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use crossterm::event::{Event, EventStream, KeyEventKind};
use futures::StreamExt;
use ratatui::DefaultTerminal;
use tidemill::parse_duration;
use tokio::task::JoinSet;

use crate::context::{Context, Missing};
use crate::problem::Problem;
use crate::settings::Settings;
use crate::signals::Signals;
use draw::Look;
use orders::Done;
use screen::{Screen, Wish};
use snapshot::Snapshot;

/// The shortest time between two looks at the store.
const OFTEN: Duration = Duration::from_secs(1);
/// The longest.
const SELDOM: Duration = Duration::from_secs(3_600);

/// What is looked at, and how often.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  tidemill top
  tidemill top --every 5s
  NO_COLOR=1 tidemill top

Keys: 1-4 or Tab choose a table, arrows choose a row, Enter looks at it, p pauses or resumes a queue
or a schedule, r retries a task or fires a schedule now, ? shows all keys, q ends. What changes
something asks first, and is kept with the audit records.")]
pub(crate) struct TopArgs {
    /// How often the store is looked at, 1s to 1h
    #[arg(long, value_name = "DUR", default_value = "1s", value_parser = pace, allow_hyphen_values = true)]
    every: Duration,
}

fn pace(text: &str) -> tidemill::Result<Duration> {
    match parse_duration(text)? {
        every if (OFTEN..=SELDOM).contains(&every) => Ok(every),
        _ => Err(tidemill::Error::invalid(
            "every",
            "expected 1s to 1h: looking more often would load the store for nothing",
        )),
    }
}

/// What comes back from beside the keys.
enum News {
    Snapshot(Result<Box<Snapshot>, Problem>),
    Done(Result<Done, Problem>),
}

/// Runs until `q`, or until it is told to stop.
pub(crate) async fn run(args: TopArgs, settings: Settings) -> Result<(), Problem> {
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err(Problem::usage("this is no terminal")
            .hint("`queue list`, `workers`, `schedule list` and `dead list` show the same once"));
    }
    let context = Arc::new(Context::open(settings, Missing::Refuse).await?);
    let mut signals = Signals::listen()?;
    let mut terminal = ratatui::try_init()
        .map_err(|e| Problem::failed("the terminal cannot be taken over").because(e))?;
    let shown = signals.before(show(&args, &context, &mut terminal)).await;
    ratatui::restore();
    shown.map(|_| ())
}

async fn show(
    args: &TopArgs,
    context: &Arc<Context>,
    terminal: &mut DefaultTerminal,
) -> Result<(), Problem> {
    let look = Look::of_environment();
    let mut screen = Screen::new(context.title());
    let mut keys = EventStream::new();
    let mut beside = JoinSet::new();
    let mut next = context.clock().now();
    let mut is_looking = false;
    loop {
        terminal
            .draw(|frame| draw::draw(frame, &mut screen, look))
            .map_err(Problem::from)?;
        tokio::select! {
            key = keys.next() => match key {
                Some(Ok(Event::Key(key))) if key.kind != KeyEventKind::Release => {
                    match screen.press(key) {
                        Some(Wish::End) => return Ok(()),
                        Some(Wish::Order(order)) => {
                            let context = Arc::clone(context);
                            beside.spawn(async move { News::Done(order.carry_out(&context).await) });
                        }
                        None => {}
                    }
                }
                Some(Ok(_)) => {}
                // Nobody is at the keys any more.
                Some(Err(_)) | None => return Ok(()),
            },
            Some(news) = beside.join_next() => match news {
                Ok(News::Snapshot(found)) => {
                    is_looking = false;
                    next = context.clock().now() + args.every;
                    screen.see(found.map(|found| *found));
                }
                Ok(News::Done(done)) => {
                    // What has changed is seen at once.
                    next = context.clock().now();
                    screen.hear(done);
                }
                Err(broken) => return Err(Problem::failed("a look at the store broke off").because(broken)),
            },
            () = context.clock().sleep_until(next), if !is_looking => {
                is_looking = true;
                let context = Arc::clone(context);
                beside.spawn(async move {
                    News::Snapshot(Snapshot::take(&context).await.map(Box::new))
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::pace;

    /// S28.
    #[test]
    fn nobody_looks_more_often_than_once_a_second() {
        for bad in ["0s", "1ms", "999ms", "2h", "", "-1s"] {
            assert!(pace(bad).is_err(), "{bad}");
        }
        assert_eq!(pace("1s").unwrap().as_secs(), 1);
    }
}
