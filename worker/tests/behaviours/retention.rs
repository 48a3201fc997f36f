//! Dead letters within bounds.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tidemill_shared::{Change, Error, ErrorKind, Payload, TaskId};
use tidemill_worker::{Bound, Event, Retention, Run, TaskResult};

use crate::stage::{Count, Running, Stage, eventually};

async fn count(_: Count, _: Run<()>) -> TaskResult {
    Ok(())
}

/// Dead letters in a queue, oldest first, with a payload of so many bytes each.
async fn letters(stage: &Stage, queue: &str, number: u64, bytes: usize) -> Vec<TaskId> {
    let mut ids = Vec::new();
    for n in 0..number {
        let mut envelope = stage.count_in(queue, n);
        envelope.payload = Payload::bytes(vec![b'x'; bytes]);
        let id = stage.enqueue(envelope).await;
        let inspect = stage
            .connection
            .broker
            .inspect()
            .expect("a store of records");
        let buried = inspect.change(&id, &Change::Bury).await;
        buried.expect("it can be buried");
        ids.push(id);
    }
    ids
}

/// What a worker told of letters that went: queue, bound and number.
type Told = Arc<Mutex<Vec<(String, Bound, u64)>>>;

fn listen(told: &Told) -> impl Fn(&Event<'_>) + Send + Sync + 'static {
    let told = Arc::clone(told);
    move |event| {
        if let Event::DeadDropped {
            queue,
            bound,
            count,
        } = event
        {
            let mut told = told.lock().expect("nobody panics with it");
            told.push((queue.to_string(), *bound, *count));
        }
    }
}

/// Behaviour 77.
#[tokio::test]
async fn letters_beyond_the_bounds_of_their_queue_are_kept_elsewhere_and_go() {
    for stage in Stage::each().await {
        let mail = letters(&stage, "mail", 130, 10).await;
        letters(&stage, "other", 5, 10).await;
        let (told, kept) = (Told::default(), Arc::new(Mutex::new(Vec::new())));
        let keeper = Arc::clone(&kept);
        let worker = stage
            .worker()
            .handle(count)
            .retain_dead_of("mail", Retention::new().max_count(20))
            .keep_dropped(move |letters| {
                let ids = letters.iter().map(|letter| letter.task.envelope.id.clone());
                keeper.lock().expect("nobody panics with it").extend(ids);
                Ok(())
            })
            .on_event(listen(&told));
        let running = Running::start(worker.build().expect("a worker"));
        eventually(async || stage.stats("mail").await.dead == 20).await;
        assert_eq!(stage.stats("other").await.dead, 5);
        running.stop().await;
        let mut kept = kept.lock().expect("nobody panics with it").clone();
        kept.reverse();
        assert_eq!(kept, mail[..110], "the oldest go");
        let told = told.lock().expect("nobody panics with it").clone();
        assert!(
            told.iter()
                .all(|(queue, bound, _)| queue == "mail" && *bound == Bound::Count)
        );
        assert_eq!(told.iter().map(|(_, _, count)| count).sum::<u64>(), 110);
    }
}

/// Behaviour 77.
#[tokio::test]
async fn letters_go_by_age_and_by_bytes_over_all_queues() {
    let (stage, clock) = Stage::manual().await;
    let old = letters(&stage, "mail", 3, 10).await;
    clock.advance(Duration::from_secs(7_200));
    let first = letters(&stage, "mail", 2, 60).await;
    let last = letters(&stage, "other", 1, 60).await;
    let told = Told::default();
    let bounds = Retention::new()
        .max_age(Duration::from_secs(3_600))
        .max_bytes(130);
    let worker = stage.worker().handle(count).retain_dead(bounds);
    let worker = worker.on_event(listen(&told)).build().expect("a worker");
    let running = Running::start(worker);
    eventually(async || stage.stats("mail").await.dead == 1).await;
    running.stop().await;
    for gone in old.iter().chain(&first[..1]) {
        assert!(stage.get(gone).await.is_none(), "{gone}");
    }
    for kept in [&first[1], &last[0]] {
        assert!(stage.get(kept).await.is_some(), "{kept}");
    }
    let told = told.lock().expect("nobody panics with it").clone();
    let count = |wanted| {
        let of = told.iter().filter(|(_, bound, _)| *bound == wanted);
        of.map(|(_, _, count)| count).sum::<u64>()
    };
    assert_eq!((count(Bound::Age), count(Bound::Bytes)), (3, 1));
}

#[tokio::test]
async fn nothing_goes_that_nobody_has_kept() {
    let stage = Stage::fresh().await;
    letters(&stage, "mail", 3, 10).await;
    let troubled = Arc::new(Mutex::new(false));
    let seen = Arc::clone(&troubled);
    let worker = stage
        .worker()
        .handle(count)
        .retain_dead(Retention::new().max_count(1))
        .keep_dropped(|_| {
            let what = "there is no room";
            Err(Error::new(ErrorKind::Unavailable, "keep", what))
        })
        .on_event(move |event| {
            if let Event::Trouble { agent, .. } = event {
                *seen.lock().expect("nobody panics with it") |= *agent == "retainer";
            }
        });
    let running = Running::start(worker.build().expect("a worker"));
    eventually(async || *troubled.lock().expect("nobody panics with it")).await;
    running.stop().await;
    assert_eq!(stage.stats("mail").await.dead, 3);
}
