//! What a process exports is what the documents say.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tidemill_memory::MemoryStore;
use tidemill_producer::SchedulerEvent;
use tidemill_shared::ledger::Shard;
use tidemill_shared::schedule::Misfire;
use tidemill_shared::{
    Envelope, Kind, ManualClock, Payload, QueueName, ScheduleId, TaskId, Timestamp,
};
use tidemill_telemetry::{CATALOGUE, Exposition, Format, Metrics, names};
use tidemill_worker::{Bound, Event, Worker, builtin};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

fn store() -> MemoryStore {
    MemoryStore::new(Arc::new(ManualClock::new(Timestamp::from_millis(0))))
}

/// The names that a page has a `# TYPE` line for.
fn families(page: &str) -> BTreeSet<String> {
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let names = types.filter_map(|rest| rest.split(' ').next());
    names.map(str::to_owned).collect()
}

/// A page on which every metric has a series: after runs that succeed and fail, and fires.
async fn full_page() -> String {
    let metrics = Metrics::new("test");
    let connection = metrics.watch(&store().connection());
    let now = connection.clock.now();
    let tasks = ["echo", "fail"].map(|kind| {
        let kind = Kind::new(kind).unwrap();
        let payload = Payload::json(&()).unwrap();
        Envelope::new(TaskId::generate(now), kind, payload, now)
    });
    drop(connection.broker.enqueue(tasks.into()).await.unwrap());
    let worker = builtin::register(Worker::new(&connection))
        .on_event(metrics.worker_observer())
        .build()
        .unwrap();
    metrics.watch_worker(&worker);
    assert_eq!(worker.drain().await.unwrap(), 2);
    metrics.worker_observer()(&Event::DeadDropped {
        queue: &QueueName::default(),
        bound: Bound::Age,
        count: 1,
    });
    let tell = metrics.scheduler_observer(&connection);
    let schedule = ScheduleId::new("s").unwrap();
    let epoch = 1;
    tell(&SchedulerEvent::Elected { shard: 0, epoch });
    tell(&SchedulerEvent::Missed {
        schedule: schedule.clone(),
        scheduled_at: now,
        count: 1,
        policy: Misfire::FireOnce,
        reason: "a reason",
    });
    tell(&SchedulerEvent::Planned {
        schedule,
        scheduled_at: now,
        due_at: now,
        task: TaskId::generate(now),
        queue: QueueName::default(),
        next: Some(now + Duration::from_secs(1)),
    });
    metrics.http_request("metrics", 200, Duration::ZERO);
    metrics.render(Format::Text).await
}

#[tokio::test]
async fn every_metric_is_in_the_document_and_the_document_has_no_other() {
    let page = full_page().await;
    let exported = families(&page);
    let described: BTreeSet<String> = CATALOGUE.iter().map(|one| one.name.to_owned()).collect();
    // A worker that only drains gives no sign of life.
    let of_a_running_worker = names::WORKER_LAST_HEARTBEAT_TIMESTAMP_SECONDS.to_owned();
    let missing: Vec<_> = described.difference(&exported).collect();
    assert_eq!(missing, [&of_a_running_worker]);
    assert!(exported.is_subset(&described), "{exported:?}");

    let document = include_str!("../../docs/metrics.md");
    let rows = document.lines().filter(|line| line.starts_with("| `"));
    let documented: BTreeSet<String> = rows
        .filter_map(|row| Some(row.split('`').nth(1)?.to_owned()))
        .collect();
    assert_eq!(documented, described);
    for one in CATALOGUE {
        let row = format!("| `{}` | {} |", one.name, one.form);
        assert!(document.contains(&row), "{row}");
        assert!(document.contains(one.help), "{}", one.help);
    }
}

/// The lines of one metric.
fn series<'p>(page: &'p str, name: &str) -> Vec<&'p str> {
    let own = |line: &&str| {
        let rest = line.strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with([' ', '{']))
    };
    page.lines().filter(own).collect()
}

#[tokio::test]
async fn a_process_without_a_worker_says_nothing_of_one() {
    let metrics = Metrics::new("producer");
    let watched = metrics.watch(&store().connection());
    let page = metrics.render(Format::Text).await;
    for name in [
        names::WORKER_LAST_HEARTBEAT_TIMESTAMP_SECONDS,
        names::OLDEST_RUNNING_START_TIMESTAMP_SECONDS,
        names::WORKER_SLOTS,
    ] {
        assert_eq!(series(&page, name), [""; 0]);
    }
    drop(watched);
}

#[tokio::test]
async fn what_an_alert_counts_begins_at_zero() {
    let metrics = Metrics::new("producer");
    let connection = metrics.watch(&store().connection());
    let tell = metrics.scheduler_observer(&connection);
    tell(&SchedulerEvent::Started { shards: 2 });
    let now = connection.clock.now();
    let kind = Kind::new("echo").unwrap();
    let task = Envelope::new(TaskId::generate(now), kind, Payload::json(&1).unwrap(), now);
    drop(connection.broker.enqueue(vec![task]).await.unwrap());
    let page = metrics.render(Format::Text).await;
    for line in [
        r#"tidemill_scheduler_is_leader{shard="0"} 0.0"#,
        r#"tidemill_scheduler_is_leader{shard="1"} 0.0"#,
        r#"tidemill_enqueued_total{queue="default",result="error"} 0"#,
        r#"tidemill_dead_total{reason="crash_loop"} 0"#,
        r#"tidemill_amqp_publish_total{result="returned"} 0"#,
    ] {
        assert!(page.contains(line), "{line} is not in\n{page}");
    }
    let missed = series(&page, names::SCHEDULER_MISSED_FIRES_TOTAL);
    assert_eq!(missed.len(), Misfire::ALL.len());
}

#[tokio::test]
async fn a_schedule_is_told_by_who_leads_it_while_it_is_planned() {
    let metrics = Metrics::new("producer");
    let connection = metrics.watch(&store().connection());
    let tell = metrics.scheduler_observer(&connection);
    tell(&SchedulerEvent::Started { shards: 2 });
    let now = connection.clock.now();
    let schedules: Vec<_> = (0..8)
        .map(|number| ScheduleId::new(format!("s{number}")).unwrap())
        .collect();
    for schedule in &schedules {
        tell(&SchedulerEvent::Planned {
            schedule: schedule.clone(),
            scheduled_at: now + Duration::from_secs(1),
            due_at: now,
            task: TaskId::generate(now),
            queue: QueueName::default(),
            next: None,
        });
    }
    let name = names::SCHEDULER_NEXT_FIRE_TIMESTAMP_SECONDS;
    let page = metrics.render(Format::Text).await;
    assert_eq!(series(&page, name).len(), 8);

    let schedule = schedules[0].clone();
    tell(&SchedulerEvent::TakenBack { schedule });
    let page = metrics.render(Format::Text).await;
    assert_eq!(series(&page, name).len(), 7);

    let shards = Shard::all(2).unwrap();
    let kept = schedules.iter().skip(1).filter(|one| shards[1].holds(one));
    tell(&SchedulerEvent::Deposed { shard: 0, epoch: 1 });
    let page = metrics.render(Format::Text).await;
    assert_eq!(series(&page, name).len(), kept.count());
}

/// S46.
#[tokio::test]
async fn a_label_cannot_forge_a_line() {
    let metrics = Metrics::new("a\"} evil 1\n");
    let watched = metrics.watch(&store().connection());
    let page = metrics.render(Format::Text).await;
    assert!(page.contains(r#"role="a\"} evil 1\n""#), "{page}");
    assert!(!page.lines().any(|line| line.starts_with("evil")));
    drop(watched);
}

#[tokio::test]
async fn what_is_enqueued_is_counted_and_served() {
    let metrics = Metrics::new("test");
    let store = metrics.watch(&store().connection());
    let now = store.clock.now();
    let kind = Kind::new("echo").unwrap();
    let task = Envelope::new(TaskId::generate(now), kind, Payload::json(&1).unwrap(), now);
    let twice = vec![task.clone(), task];
    let admissions = store.broker.enqueue(twice).await.unwrap();
    assert_eq!(admissions.len(), 2);

    let serving = Exposition::bind("127.0.0.1:0".parse().unwrap(), &metrics)
        .await
        .unwrap();
    let address = serving.address().unwrap();
    let stop = CancellationToken::new();
    let ask = async {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept: application/openmetrics-text\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).await.unwrap();
        stop.cancel();
        page
    };
    let both = async { tokio::join!(ask, serving.serve(&stop)) };
    let (page, ()) = tokio::time::timeout(Duration::from_secs(30), both)
        .await
        .unwrap();
    for line in [
        r#"tidemill_enqueued_total{queue="default",result="admitted"} 1"#,
        r#"tidemill_enqueued_total{queue="default",result="conflict"} 1"#,
        r#"tidemill_tasks{queue="default",state="pending"} 1.0"#,
        r#"tidemill_broker_up{backend="tidemill.memory"} 1.0"#,
        "# EOF",
    ] {
        assert!(page.contains(line), "{line} is not in\n{page}");
    }
}
