//! The test kit for users.

use serde::{Deserialize, Serialize};
use tidemill::WorkerBuilder;
use tidemill::prelude::*;
use tidemill::testing::TestKit;

#[derive(Task, Serialize, Deserialize, Debug, PartialEq)]
#[task(kind = "add", attempts = 3)]
struct Add {
    a: i64,
    b: i64,
}

#[derive(Task, Serialize, Deserialize, Debug, PartialEq)]
#[task(kind = "print", queue = "paper")]
struct Print {
    text: String,
}

async fn add(task: Add, run: Run<Client>) -> TaskResult<i64> {
    if task.b == 0 {
        return Err(Failure::new("nothing to add"));
    }
    let text = (task.a + task.b).to_string();
    let step = async { Ok(run.state().enqueue(Print { text }).await?.id) };
    run.once("print", step).await?;
    Ok(task.a + task.b)
}

async fn print(_task: Print, _run: Run<Client>) -> TaskResult {
    Ok(())
}

fn handlers(kit: &TestKit) -> impl Fn(WorkerBuilder<()>) -> WorkerBuilder<Client> + use<> {
    let client = kit.client();
    move |worker| {
        worker
            .state(client.clone())
            .queue("default", 2)
            .queue("paper", 1)
            .handle(add)
            .handle(print)
    }
}

#[tokio::test]
async fn a_drain_runs_what_is_due_and_what_that_enqueues() {
    let kit = TestKit::new();
    kit.client().enqueue(Add { a: 1, b: 2 }).await.unwrap();
    assert_eq!(kit.enqueued::<Add>(), [Add { a: 1, b: 2 }]);
    assert_eq!(kit.drain(handlers(&kit)).await.unwrap(), 2);
    let completed = kit.completed();
    assert_eq!(completed.len(), 2);
    assert_eq!(completed[0].task::<Add>(), Some(Add { a: 1, b: 2 }));
    assert_eq!(completed[0].task::<Print>(), None);
    assert_eq!(completed[0].attempt, 1);
    assert_eq!(completed[0].result.as_ref().unwrap().as_bytes(), b"3");
    let printed = completed[1].task::<Print>().unwrap();
    assert_eq!(printed.text, "3");
    assert!(completed[1].result.is_none());
}

#[tokio::test]
async fn a_retry_waits_until_the_clock_is_moved() {
    let kit = TestKit::new();
    kit.client().enqueue(Add { a: 1, b: 0 }).await.unwrap();
    for _ in 0..3 {
        kit.assert_enqueued::<Add>(|task| task.a == 1);
        assert_eq!(kit.drain(handlers(&kit)).await.unwrap(), 1);
        assert_eq!(kit.drain(handlers(&kit)).await.unwrap(), 0);
        kit.advance(1.hours());
    }
    kit.assert_none_enqueued::<Add>();
    let dead = kit.dead();
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].failures, 3);
    assert_eq!(dead[0].error.as_ref().unwrap().message, "nothing to add");
    assert!(kit.completed().is_empty());
}

#[tokio::test]
async fn a_queue_that_nobody_serves_fails_the_drain() {
    let kit = TestKit::new();
    let text = String::from("a");
    kit.client().enqueue(Print { text }).await.unwrap();
    let only_default = |worker: WorkerBuilder<()>| worker.state(kit.client()).handle(print);
    let error = kit.drain(only_default).await.unwrap_err();
    assert!(error.to_string().contains("queue paper"), "{error}");
}

#[tokio::test]
async fn what_waits_is_listed_in_the_order_of_its_enqueues() {
    let kit = TestKit::new();
    let client = kit.client();
    for a in 0..2_500 {
        let item = client.enqueue(Add { a, b: 1 });
        item.after(u64::try_from(a % 3).unwrap().hours())
            .await
            .unwrap();
    }
    let found: Vec<_> = kit.enqueued::<Add>().iter().map(|task| task.a).collect();
    assert_eq!(found, (0..2_500).collect::<Vec<_>>());
}

#[tokio::test]
#[should_panic(
    expected = "no task of kind add that waits is the one that was expected; 1 of them wait"
)]
async fn a_task_that_is_not_there_fails_the_test() {
    let kit = TestKit::new();
    kit.client().enqueue(Add { a: 1, b: 2 }).await.unwrap();
    kit.assert_enqueued::<Add>(|task| task.a == 2);
}

#[tokio::test]
#[should_panic(expected = "1 tasks of kind add wait; expected none")]
async fn a_task_that_should_not_be_there_fails_the_test() {
    let kit = TestKit::new();
    kit.client().enqueue(Add { a: 1, b: 2 }).await.unwrap();
    kit.assert_none_enqueued::<Add>();
}

#[test]
fn a_kit_stands_at_a_known_instant() {
    let kit = TestKit::new();
    assert_eq!(kit.now().to_string(), "2026-01-01T00:00:00.000Z");
    kit.advance(90.seconds());
    assert_eq!(kit.now().to_string(), "2026-01-01T00:01:30.000Z");
}
