//! What becomes of a task that is enqueued.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidemill_producer::Client;
use tidemill_shared::{
    Admission, Clock, ContentType, ErrorKind, Key, KeyFate, Payload, QueueName, RetryPolicy, State,
    Task, TaskDefaults, TaskId,
};

use crate::stores::{Note, Store, note, on_every_store};

/// A task whose defaults differ from Tidemill's, and whose data can be changed from outside.
#[derive(Serialize, Deserialize)]
struct Shared {
    value: Arc<Mutex<u32>>,
}

impl Task for Shared {
    const KIND: &'static str = "shared";

    fn defaults() -> TaskDefaults {
        TaskDefaults {
            queue: Some("mail"),
            max_attempts: Some(5),
            timeout: Some(Duration::from_secs(30)),
            priority: Some(7),
            retention: Some(Duration::from_secs(60)),
        }
    }
}

fn shared(value: u32) -> Shared {
    Shared {
        value: Arc::new(Mutex::new(value)),
    }
}

on_every_store! {
    /// Behaviour 1.
    async fn without_options_a_task_has_the_documented_defaults(store: Store) {
        let client = Client::new(&store.connection);
        let done = client.enqueue(note("a")).await.unwrap();
        assert_eq!(done.admission, Admission::Admitted);
        let task = store.get(&done.id).await;
        assert_eq!(task.state, State::Pending);
        assert_eq!(task.envelope.kind.as_str(), "note");
        assert_eq!(task.envelope.queue.as_str(), "default");
        assert_eq!(task.envelope.priority.level(), 5);
        assert_eq!(task.envelope.retry, RetryPolicy::default());
        assert_eq!(task.envelope.retry.max_attempts, 10);
        assert_eq!(task.envelope.timeout, Duration::from_secs(1_800));
        assert_eq!(task.envelope.retention, Duration::ZERO);
        assert_eq!(task.envelope.key, None);
        assert_eq!(task.envelope.enqueued_at, store.clock.now());
        assert_eq!(task.envelope.payload.as_bytes(), br#"{"text":"a"}"#);
    }

    /// Behaviour 1. What the task says comes before Tidemill's defaults, what the enqueue says before both.
    async fn the_defaults_of_a_task_come_before_those_of_tidemill(store: Store) {
        let client = Client::new(&store.connection);
        let own = client.enqueue(shared(1)).await.unwrap();
        let own = store.get(&own.id).await.envelope;
        assert_eq!(own.queue.as_str(), "mail");
        assert_eq!(own.retry.max_attempts, 5);
        assert_eq!(own.timeout, Duration::from_secs(30));
        assert_eq!(own.priority.level(), 7);
        assert_eq!(own.retention, Duration::from_secs(60));
        let told = client
            .enqueue(shared(1))
            .queue("slow")
            .max_attempts(2)
            .timeout(Duration::from_secs(1))
            .priority(0)
            .retention(Duration::ZERO)
            .await
            .unwrap();
        let told = store.get(&told.id).await.envelope;
        assert_eq!(told.queue.as_str(), "slow");
        assert_eq!(told.retry.max_attempts, 2);
        assert_eq!(told.timeout, Duration::from_secs(1));
        assert_eq!(told.priority.level(), 0);
        assert_eq!(told.retention, Duration::ZERO);
    }

    async fn every_option_reaches_the_store(store: Store) {
        let client = Client::new(&store.connection);
        let now = store.clock.now();
        let policy = RetryPolicy { max_attempts: 3, initial: Duration::from_secs(7), ..RetryPolicy::default() };
        let done = client
            .enqueue(note("a"))
            .id("order-1")
            .key("order:1")
            .key_ttl(Duration::from_secs(60))
            .key_on_success(KeyFate::Keep)
            .key_on_failure(KeyFate::Keep)
            .after(Duration::from_secs(600))
            .retry(policy.clone())
            .deadline(now + Duration::from_secs(3_600))
            .header("tenant", "acme")
            .await
            .unwrap();
        assert_eq!(done.id.as_str(), "order-1");
        let task = store.get(&done.id).await;
        assert_eq!(task.state, State::Scheduled);
        assert_eq!(task.due_at, now + Duration::from_secs(600));
        let envelope = task.envelope;
        let claim = envelope.key.as_ref().unwrap();
        assert_eq!(claim.key, Key::new("order:1").unwrap());
        assert_eq!(claim.ttl, Duration::from_secs(60));
        assert_eq!((claim.on_success, claim.on_failure), (KeyFate::Keep, KeyFate::Keep));
        assert_eq!(envelope.retry, policy);
        assert_eq!(envelope.deadline, Some(now + Duration::from_secs(3_600)));
        assert_eq!(envelope.headers.get("tenant").map(String::as_str), Some("acme"));
    }

    /// Behaviour 3.
    async fn the_option_given_later_wins(store: Store) {
        let client = Client::new(&store.connection);
        let now = store.clock.now();
        let done = client
            .enqueue(note("a"))
            .queue("not a queue")
            .queue("b")
            .id("")
            .id("second")
            .priority(-1)
            .priority(3)
            .at(now + Duration::from_secs(5))
            .after(Duration::from_secs(9))
            .max_attempts(2)
            .retry(RetryPolicy { max_attempts: 8, ..RetryPolicy::default() })
            .header("h", "1")
            .header("h", "2")
            .await
            .unwrap();
        assert_eq!(done.id.as_str(), "second");
        let envelope = store.get(&done.id).await.envelope;
        assert_eq!(envelope.queue.as_str(), "b");
        assert_eq!(envelope.priority.level(), 3);
        assert_eq!(envelope.due_at, now + Duration::from_secs(9));
        assert_eq!(envelope.retry.max_attempts, 8);
        assert_eq!(envelope.headers.get("h").map(String::as_str), Some("2"));
    }

    /// Behaviour 4.
    async fn names_that_differ_in_case_are_different_names(store: Store) {
        let client = Client::new(&store.connection);
        for (queue, id, key) in [("mail", "a", "k"), ("Mail", "A", "k"), ("mail", "b", "K")] {
            let done = client.enqueue(note("a")).queue(queue).id(id).key(key).await.unwrap();
            assert_eq!(done.admission, Admission::Admitted, "{queue} {id} {key}");
        }
        let upper = client.enqueue_raw("Note", Payload::default()).queue("mail").key("k").await;
        assert_eq!(upper.unwrap().admission, Admission::Admitted);
        assert_eq!(store.lease("Mail", 9).await.len(), 1);
        assert_eq!(store.lease("mail", 9).await.len(), 3);
    }

    /// Behaviour 6.
    async fn the_same_id_twice_is_a_conflict_and_the_first_stays_intact(store: Store) {
        let client = Client::new(&store.connection);
        client.enqueue(note("first")).id("one").await.unwrap();
        let same = client.enqueue(note("first")).id("one").await.unwrap_err();
        assert_eq!(same.kind(), ErrorKind::Conflict);
        let error = client.enqueue(note("second")).id("one").key("k").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(error.to_string().contains("one"), "{error}");
        let first = store.get(&TaskId::new("one").unwrap()).await;
        assert_eq!(first.envelope.payload, Payload::json(&note("first")).unwrap());
        assert_eq!(first.envelope.key, None);
        assert_eq!(store.waiting().await, 1);
        let free = client.enqueue(note("third")).key("k").await.unwrap();
        assert!(!free.is_duplicate());
    }

    /// Behaviour 7.
    async fn a_past_due_time_means_now(store: Store) {
        let client = Client::new(&store.connection);
        let past = store.clock.now() - Duration::from_secs(3_600);
        let done = client.enqueue(note("a")).at(past).await.unwrap();
        assert_eq!(store.get(&done.id).await.state, State::Pending);
        assert_eq!(store.lease("default", 1).await.len(), 1);
    }

    /// Behaviour 8.
    async fn a_future_task_is_invisible_to_workers_until_it_is_due(store: Store) {
        let client = Client::new(&store.connection);
        let done = client.enqueue(note("a")).after(Duration::from_secs(60)).await.unwrap();
        assert_eq!(store.get(&done.id).await.state, State::Scheduled);
        assert!(store.lease("default", 1).await.is_empty());
        store.clock.advance(Duration::from_millis(59_999));
        assert!(store.lease("default", 1).await.is_empty());
        store.clock.advance(Duration::from_millis(1));
        let leases = store.lease("default", 1).await;
        assert_eq!(leases.len(), 1);
        assert_eq!(leases[0].token.task, done.id);
    }

    /// Behaviour 9.
    async fn headers_and_payload_arrive_byte_for_byte(store: Store) {
        let client = Client::new(&store.connection);
        let json = |text: &str| Payload::new(ContentType::json(), text.as_bytes());
        let text = ContentType::new("text/plain; charset=utf-8").unwrap();
        let every_byte: Vec<u8> = (0..=255).collect();
        let payloads = [
            json("null"),
            json(r#"{"big":18446744073709551617,"exact":9007199254740993,"f":0.1,"é":"😀\u0000"}"#),
            json(" [1, 2]\n"),
            Payload::bytes(Vec::new()),
            Payload::bytes(every_byte),
            Payload::new(text, "grüße".as_bytes()),
        ];
        for payload in payloads {
            client
                .enqueue_raw("raw", payload.clone())
                .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
                .header("x-empty", "")
                .header("x-text", "é😀\n\"")
                .await
                .unwrap();
            let leases = store.lease("default", 1).await;
            let envelope = &leases[0].envelope;
            assert_eq!(envelope.payload, payload);
            assert_eq!(envelope.headers.get("x-empty").map(String::as_str), Some(""));
            assert_eq!(envelope.headers.get("x-text").map(String::as_str), Some("é😀\n\""));
            assert_eq!(envelope.headers.len(), 3);
        }
    }

    /// Behaviour 10.
    async fn changing_the_data_afterwards_has_no_effect(store: Store) {
        let client = Client::new(&store.connection);
        let task = shared(1);
        let value = Arc::clone(&task.value);
        let enqueue = client.enqueue(task);
        *value.lock().unwrap() = 2;
        let done = enqueue.await.unwrap();
        *value.lock().unwrap() = 3;
        let kept = store.get(&done.id).await.envelope.payload;
        assert_eq!(kept.as_bytes(), br#"{"value":1}"#);
    }

    /// Behaviour 11.
    async fn the_answers_of_a_batch_align_and_a_bad_item_harms_no_good_one(store: Store) {
        let client = Client::new(&store.connection);
        let mut items = Vec::new();
        for n in 0..700 {
            let item = client.enqueue(note("a")).id(format!("t{n}"));
            items.push(match n % 7 {
                3 => item.queue("no queue"),
                5 => item.priority(99),
                _ => item,
            });
        }
        let answers = client.enqueue_many(items).await;
        assert_eq!(answers.len(), 700);
        for (n, answer) in answers.into_iter().enumerate() {
            match n % 7 {
                3 | 5 => assert_eq!(answer.unwrap_err().kind(), ErrorKind::Invalid),
                _ => assert_eq!(answer.unwrap().id.as_str(), format!("t{n}")),
            }
        }
        assert_eq!(store.waiting().await, 500);
        let order = store.lease("default", 3).await;
        let ids: Vec<_> = order.iter().map(|lease| lease.token.task.as_str()).collect();
        assert_eq!(ids, ["t0", "t1", "t2"]);
    }

    /// Behaviour 12.
    async fn a_conflict_inside_a_batch_is_reported_as_one(store: Store) {
        let client = Client::new(&store.connection);
        let answers = client
            .enqueue_many([
                client.enqueue(note("1")).id("one").key("k"),
                client.enqueue(note("2")).id("one"),
                client.enqueue(note("3")).id("two").key("k"),
                client.enqueue(note("4")).id("two"),
            ])
            .await;
        let [first, second, third, fourth] = answers.try_into().unwrap();
        assert_eq!(first.unwrap().admission, Admission::Admitted);
        assert_eq!(second.unwrap_err().kind(), ErrorKind::Conflict);
        let one = TaskId::new("one").unwrap();
        assert_eq!(third.unwrap().admission, Admission::Duplicate(one));
        assert_eq!(fourth.unwrap().admission, Admission::Admitted);
        assert_eq!(store.waiting().await, 2);
    }

    async fn a_duplicate_is_no_error_and_names_the_first(store: Store) {
        let client = Client::new(&store.connection);
        let first = client.enqueue(note("a")).key("k").await.unwrap();
        let second = client.enqueue(note("b")).key("k").await.unwrap();
        assert!(second.is_duplicate());
        assert_eq!(second.id, first.id);
        assert_eq!(store.waiting().await, 1);
    }

    /// Behaviour 15.
    async fn a_full_queue_refuses_with_a_retryable_error(store: Store) {
        let client = Client::new(&store.connection);
        let queue = QueueName::new("small").unwrap();
        client.inspect().unwrap().set_limit(&queue, Some(2)).await.unwrap();
        let small = || client.enqueue(note("a")).queue("small");
        small().await.unwrap();
        let answers = client.enqueue_many([small(), small(), client.enqueue(note("a"))]).await;
        let [fits, full, elsewhere] = answers.try_into().unwrap();
        fits.unwrap();
        elsewhere.unwrap();
        let error = full.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.is_transient());
        assert!(error.to_string().contains("small is full: it holds its limit of 2"), "{error}");
        store.lease("small", 1).await;
        small().await.unwrap();
    }

    async fn a_task_can_be_looked_up_and_cancelled(store: Store) {
        let client = Client::new(&store.connection);
        let done = client.enqueue(note("a")).retention(Duration::from_secs(60)).await.unwrap();
        client.cancel(&done.id).await.unwrap();
        let task = client.task(&done.id).await.unwrap().unwrap();
        assert_eq!(task.state, State::Cancelled);
        let nobody = TaskId::new("nobody").unwrap();
        assert!(client.task(&nobody).await.unwrap().is_none());
    }
}

#[test]
fn a_task_reads_back_what_was_written() {
    let written = Payload::json(&note("é")).unwrap();
    let read: Note = serde_json::from_slice(written.as_bytes()).unwrap();
    assert_eq!(read, note("é"));
}
