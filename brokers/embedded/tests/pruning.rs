//! Nothing stays in the file for ever.

#[path = "support/kit.rs"]
mod kit;

use std::time::Duration;

use kit::{ack, admit, demand, manual_clock, open, raw, task};
use tidemill_shared::ledger::{Completions, Leadership, Presence, PresenceRecord, Role, Steps};
use tidemill_shared::ledger::{FireOutcome, Fires, PlannedFire, Schedules};
use tidemill_shared::{Broker, Clock, Key, KeyClaim, KeyFate, LeaseToken, Payload, WorkerId};

const DAY: Duration = Duration::from_secs(86_400);

#[tokio::test]
async fn a_sweep_removes_every_row_that_has_outlived_its_use() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tasks.db");
    let clock = manual_clock();
    let store = open(&path, clock.clone());
    let worker = WorkerId::random();

    // A task with a key, a log, an attempt, a step and a retention.
    let mut kept = task("kept", clock.now());
    let mut claim = KeyClaim::new(Key::new("once").unwrap());
    (claim.ttl, claim.on_success) = (DAY, KeyFate::Keep);
    kept.key = Some(claim);
    kept.retention = DAY;
    admit(&store, kept).await;
    let leases = store.lease(&demand(1, Duration::ZERO)).await.unwrap();
    let (token, result) = (&leases[0].token, Payload::json("done").unwrap());
    store.claim_step(token, "one").await.unwrap();
    assert!(store.commit_step(token, "one", &result, DAY).await.unwrap());
    store.settle(vec![ack(&leases[0])]).await.unwrap();

    // A step of a task that another broker keeps, a marker, a process, a fire.
    let elsewhere = LeaseToken {
        task: task("elsewhere", clock.now()).id,
        ..token.clone()
    };
    store.claim_step(&elsewhere, "one").await.unwrap();
    store.mark_completed(&elsewhere.task, DAY).await.unwrap();
    let process = PresenceRecord {
        id: worker.clone(),
        role: Role::Worker,
        host: "here".into(),
        pid: 1,
        version: "0".into(),
        started_at: clock.now(),
        last_seen: clock.now(),
        queues: Vec::new(),
        kinds: None,
        slots: 1,
        busy: 0,
        draining: false,
        leader: false,
        epoch: None,
        shards: 1,
        held: Vec::new(),
    };
    store.announce(&process, DAY).await.unwrap();
    let text = r#"{"id": "s", "every": "1h", "kind": "work"}"#;
    let schedule = serde_json::from_str(text).unwrap();
    let record = store.put_schedule("cli", schedule).await.unwrap();
    let term = store.lead(0, &worker, DAY).await.unwrap();
    let missed = PlannedFire {
        schedule: record.schedule.id,
        scheduled_at: clock.now(),
        revision: record.revision,
        task: Err((FireOutcome::Missed, "nobody was there".into())),
        count: 1,
        planned_until: clock.now(),
        manual: false,
    };
    let answers = store.record_fires(term.as_ref(), vec![missed]).await;
    assert_eq!(answers.unwrap().outcomes, [FireOutcome::Missed]);

    let tables = [
        "task",
        "detail",
        "attempt",
        "log",
        "key",
        "step",
        "completion",
        "presence",
        "fire",
        "history",
    ];
    clock.advance(8 * DAY);
    let mut rounds = 0;
    while store.sweep(1).await.unwrap().more {
        rounds += 1;
        assert!(rounds < 10, "the sweep comes to no end");
    }
    for table in tables {
        let sql = format!("SELECT count(*) FROM {table}");
        let rows: i64 = raw(&path).query_row(&sql, (), |row| row.get(0)).unwrap();
        assert_eq!(rows, 0, "{table}");
    }
}
