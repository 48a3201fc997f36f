//! Answers that are lost: a repeat makes neither a second task nor a false duplicate.

use std::time::Duration;

use tidemill_producer::Client;
use tidemill_shared::{Admission, ErrorKind, TaskId};

use crate::probe::{Fault, Probe};
use crate::stores::{Store, note, on_every_store};

const LOST: Fault = Fault::After(ErrorKind::Timeout);
const DOWN: Fault = Fault::Before(ErrorKind::Unavailable);

on_every_store! {
    /// Behaviour 13.
    async fn a_lost_answer_makes_one_task_and_a_success(store: Store) {
        let (connection, probe) = Probe::before(&store.connection);
        let client = Client::new(&connection);
        probe.fail([DOWN, LOST, LOST]);
        let done = client.enqueue(note("a")).await.unwrap();
        assert_eq!(done.admission, Admission::Admitted);
        assert_eq!(probe.batches().len(), 4);
        assert_eq!(store.waiting().await, 1);
        assert_eq!(store.lease("default", 9).await[0].token.task, done.id);
    }

    /// Behaviour 13.
    async fn a_lost_answer_makes_no_false_duplicate_of_a_keyed_task(store: Store) {
        let (connection, probe) = Probe::before(&store.connection);
        let client = Client::new(&connection);
        probe.fail([LOST]);
        let done = client.enqueue(note("a")).key("k").await.unwrap();
        assert_eq!(done.admission, Admission::Admitted);
        let other = client.enqueue(note("b")).key("k").await.unwrap();
        assert_eq!(other.admission, Admission::Duplicate(done.id));
    }

    /// Behaviour 13.
    async fn a_lost_answer_is_repaired_where_tasks_cannot_be_looked_up(store: Store) {
        let (connection, probe) = Probe::before(&store.connection);
        let client = Client::new(&connection);
        probe.blind();
        probe.fail([LOST]);
        let done = client.enqueue(note("a")).await.unwrap();
        assert_eq!(done.admission, Admission::Admitted);
        assert_eq!(store.waiting().await, 1);
    }

    /// Behaviour 13.
    async fn with_the_callers_own_id_the_repeat_knows_its_task_from_another(store: Store) {
        let (connection, probe) = Probe::before(&store.connection);
        let client = Client::new(&connection);
        probe.fail([LOST]);
        let own = client.enqueue(note("a")).id("own").await.unwrap();
        assert_eq!(own.admission, Admission::Admitted);
        store.clock.advance(Duration::from_secs(1));
        probe.fail([DOWN]);
        let error = client.enqueue(note("a")).id("own").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert_eq!(store.waiting().await, 1);
    }

    /// Behaviour 13.
    async fn a_lost_answer_to_a_batch_makes_each_task_once(store: Store) {
        let (connection, probe) = Probe::before(&store.connection);
        let client = Client::new(&connection);
        client.enqueue(note("first")).id("taken").await.unwrap();
        store.clock.advance(Duration::from_secs(1));
        probe.fail([LOST]);
        let answers = client
            .enqueue_many([
                client.enqueue(note("1")),
                client.enqueue(note("2")).id("own"),
                client.enqueue(note("3")).id("taken"),
            ])
            .await;
        let [made, own, taken] = answers.try_into().unwrap();
        assert_eq!(made.unwrap().admission, Admission::Admitted);
        assert_eq!(own.unwrap().admission, Admission::Admitted);
        assert_eq!(taken.unwrap_err().kind(), ErrorKind::Conflict);
        assert_eq!(store.waiting().await, 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_stays_down_is_given_up_in_time_with_the_id_to_repeat() {
    let store = crate::stores::memory();
    let (connection, probe) = Probe::before(&store.connection);
    let client = Client::new(&connection);
    probe.fail([DOWN; 1_000]);
    let start = tokio::time::Instant::now();
    let limit = Duration::from_secs(3);
    let error = client
        .enqueue(note("a"))
        .id("own")
        .enqueue_timeout(limit)
        .await
        .unwrap_err();
    assert!(start.elapsed() <= limit, "{:?}", start.elapsed());
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.is_transient());
    assert!(error.to_string().contains("the task own may be"), "{error}");
    let calls = probe.batches().len();
    assert!(
        (4..40).contains(&calls),
        "{calls} calls: backs off, and no busy loop"
    );
}

#[tokio::test]
async fn what_is_not_transient_is_not_repeated() {
    let store = crate::stores::memory();
    let (connection, probe) = Probe::before(&store.connection);
    let client = Client::new(&connection);
    probe.fail([Fault::Before(ErrorKind::Corrupt)]);
    let error = client.enqueue(note("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert_eq!(probe.batches().len(), 1);
    let id = TaskId::new("x").unwrap();
    assert!(client.task(&id).await.unwrap().is_none());
}
