//! `tidemill check`: what is right, what is wrong, and how to mend it.

use std::time::Duration;

use tidemill::ledger::{Book, Notes, Precondition, Presence, Role, Schedules};
use tidemill::{NoteName, QueueName, TaskId};

use crate::clean;
use crate::context::{Context, Missing, broker_url, without_secrets};
use crate::grammar::known_variables;
use crate::output::counted;
use crate::problem::Problem;
use crate::schedule::{check_sources, spent, unserved};
use crate::settings::{Settings, try_producer, try_worker};

/// Checks everything. What stops Tidemill from working ends with an error; what may be meant so is
/// a warning.
pub(crate) async fn run(settings: Settings) -> Result<(), Problem> {
    let mut report = Report::default();
    match &settings.file {
        Some(path) => report.good(format!("configuration {}", path.display())),
        None => report.good("no configuration file: flags and environment only"),
    }
    for name in unknown_variables() {
        report.doubt(
            format!("the environment variable {name} means nothing to Tidemill"),
            "check its spelling",
        );
    }
    let sources = settings.schedules()?;
    let declared: usize = sources.iter().map(|source| source.schedules.len()).sum();
    report.good(format!(
        "{} in {}",
        counted(declared, "schedule"),
        counted(sources.len(), "file")
    ));
    try_worker(&settings, &settings.worker, &settings.worker).await?;
    try_producer(&settings, &settings.producer, &settings.producer).await?;
    let url = broker_url(&settings)?;
    let configured = settings.worker.queues.iter();
    let mut served: Vec<_> = configured.map(|one| one.queue.clone()).collect();
    if served.is_empty() {
        served.push(QueueName::default());
    }
    let mut context = Context::open(settings, Missing::Refuse).await?;
    let system = context.broker().capabilities().system;
    report.good(format!("broker {} ({system})", without_secrets(&url)));
    for finding in context.broker().findings() {
        report.doubt(finding, "see docs/redis.md");
    }
    if system == "tidemill.rabbitmq" {
        // No client is told it. What comes too late for it is said in the log of the worker.
        report.good("consumer_timeout of RabbitMQ is not told to clients: two minutes or more are enough for runs of any length");
    }
    space(&context, &mut report).await?;
    queues(&context, &mut report).await?;
    people(&context, &mut served, &mut report).await?;
    check_sources(context.broker().capabilities().max_payload, &sources)?;
    for doubt in spent(&sources, context.clock().now()) {
        report.doubt(doubt, "give it later instants, or remove it");
    }
    for doubt in unserved(&sources, &served) {
        report.doubt(doubt, "add it to [worker] queues, or start a worker for it");
    }
    let writes = writes(&context).await;
    if writes.is_ok() {
        report.good("the broker takes writes");
    }
    for line in &report.lines {
        context.out.line(&clean::line(line))?;
    }
    if writes.is_err() {
        context.out.flush()?;
        return writes;
    }
    let verdict = match report.doubts {
        0 => "all is well".to_owned(),
        count => format!("it works; {} to look at", counted(count, "thing")),
    };
    context.out.line(&verdict)?;
    context.out.flush()
}

/// A broker that can be read may yet take nothing in: it is full, or waits for replicas that are not there. So
/// a note is written and removed.
async fn writes(context: &Context) -> Result<(), Problem> {
    let ledger = context.ledger();
    let name = NoteName::new(TaskId::generate(context.clock().now()).as_str())?;
    let put = Notes::put_note(
        ledger,
        Book::Nonces,
        &name,
        "check",
        Precondition::None,
        Some(Duration::from_secs(60)),
    );
    let written = match put.await {
        Ok(_) => Notes::forget_note(ledger, Book::Nonces, &name).await,
        Err(error) => Err(error),
    };
    // The note is kept by the ledger, which may be another server.
    let probed = match written {
        Ok(_) => context.broker().probe().await,
        Err(error) => Err(error),
    };
    probed.map_err(|error| {
        Problem::failed("the broker takes no writes")
            .because(&error)
            .hint("see the lines above that begin with `look`; until then nothing can be enqueued")
    })
}

#[derive(Default)]
struct Report {
    lines: Vec<String>,
    doubts: usize,
}

impl Report {
    fn good(&mut self, what: impl AsRef<str>) {
        self.lines.push(format!("ok    {}", what.as_ref()));
    }

    fn doubt(&mut self, what: impl AsRef<str>, remedy: &str) {
        self.doubts += 1;
        self.lines
            .push(format!("look  {}; {remedy}", what.as_ref()));
    }
}

/// A server answers under any namespace, so that a mistyped one looks like one that is new.
async fn space(context: &Context, report: &mut Report) -> Result<(), Problem> {
    let name = &context.settings.namespace;
    let has_queues = !context.broker().stats(&[]).await?.is_empty();
    let has_schedules = || Schedules::schedules(context.ledger(), None, 1);
    if has_queues || !has_schedules().await?.items.is_empty() {
        report.good(format!("namespace {name}"));
    } else {
        report.doubt(
            format!("namespace {name} is empty"),
            "if it should not be, check --namespace, TIDEMILL_NAMESPACE and the broker's URL",
        );
    }
    Ok(())
}

async fn queues(context: &Context, report: &mut Report) -> Result<(), Problem> {
    let queues = context.broker().stats(&[]).await?;
    report.good(counted(queues.len(), "queue"));
    for queue in queues {
        let name = &queue.queue;
        if queue.paused {
            report.doubt(
                format!("queue {name} is paused"),
                "`tidemill queue resume` ends that",
            );
        }
        if queue.dead > 0 {
            report.doubt(
                format!("queue {name} has {}", counted(queue.dead, "dead letter")),
                "see `tidemill dead list`",
            );
        }
        let waiting = queue.scheduled + queue.pending + queue.retry;
        if queue.limit.is_some_and(|limit| waiting >= limit) {
            report.doubt(
                format!("queue {name} is full"),
                "see `tidemill queue limit`, or start more workers",
            );
        }
    }
    Ok(())
}

/// Who is alive; adds the queues of the living workers to those that are served.
async fn people(
    context: &Context,
    served: &mut Vec<QueueName>,
    report: &mut Report,
) -> Result<(), Problem> {
    let ledger = context.ledger();
    let workers = Presence::present(ledger, Role::Worker).await?;
    served.extend(workers.iter().flat_map(|worker| worker.queues.clone()));
    match workers.len() {
        0 => report.doubt("no worker is alive", "start `tidemill worker`"),
        count => report.good(format!("{} alive", counted(count, "worker"))),
    }
    let stored = Schedules::schedules(ledger, None, 1).await?;
    let mut producers = Presence::present(ledger, Role::Producer).await?;
    producers.retain(|producer| producer.leader);
    match &*producers {
        [producer] => report.good(format!("producer {} leads", producer.id)),
        [] if stored.items.is_empty() => {}
        [] => report.doubt(
            "schedules are stored, but no producer leads",
            "start `tidemill producer`",
        ),
        several => report.good(format!(
            "{} share the lead",
            counted(several.len(), "producer")
        )),
    }
    Ok(())
}

/// Variables that look like Tidemill's and are not.
fn unknown_variables() -> Vec<String> {
    let known = known_variables();
    let mut names: Vec<_> = std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| name.starts_with("TIDEMILL_") && !known.contains(name))
        .collect();
    names.sort_unstable();
    names
}
