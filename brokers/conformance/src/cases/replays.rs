//! Putting a finished task back in line.

use serde_json::value::RawValue;
use tidemill_shared::{
    Burial, Change, Changed, ContentType, ErrorKind, KeyFate, Payload, Replay, State,
};

use crate::scene::{QUEUE, Scene, claim, demand, id, ids, queue, seconds};
use crate::verdicts::{ack_with, bury, retry};

fn json(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.into()).expect("the case writes JSON")
}

/// A dead letter with two failures.
async fn dead(scene: &Scene) {
    let lease = scene.put_active("a").await;
    let at = scene.after(seconds(1));
    scene.end(&lease, retry(at, "first"), State::Retry).await;
    scene.advance(seconds(1));
    let lease = scene.take("a").await;
    scene.end(&lease, bury("second"), State::Dead).await;
}

const BACK: Changed = Changed::Done {
    from: State::Dead,
    to: Some(State::Pending),
};

/// A replayed task runs again under its id.
pub(crate) async fn a_replayed_task_gets_one_more_run(scene: &Scene) {
    dead(scene).await;
    assert_eq!(
        scene.change("a", Change::Replay(Replay::default())).await,
        BACK
    );
    let record = scene.record("a").await;
    assert_eq!((record.state, record.failures), (State::Pending, 2));
    assert_eq!((record.finished_at, record.bury_reason), (None, None));
    let lease = scene.take("a").await;
    assert_eq!((lease.attempt, lease.failures), (3, 2));
}

/// A replay with a reset counts from the start.
pub(crate) async fn a_replay_can_reset_the_attempts(scene: &Scene) {
    dead(scene).await;
    let replay = Replay {
        reset_attempts: true,
        ..Replay::default()
    };
    assert_eq!(scene.change("a", Change::Replay(replay)).await, BACK);
    let lease = scene.take("a").await;
    assert_eq!((lease.attempt, lease.failures, lease.crashes), (1, 0, 0));
}

/// A replay into another queue moves the task.
pub(crate) async fn a_replay_can_go_to_another_queue(scene: &Scene) {
    dead(scene).await;
    let replay = Replay {
        to_queue: Some(queue("other")),
        ..Replay::default()
    };
    assert_eq!(scene.change("a", Change::Replay(replay)).await, BACK);
    scene.nothing_ready().await;
    assert_eq!(scene.record("a").await.envelope.queue, queue("other"));
    let leases = scene.lease(&demand(&[("other", 5)], 5)).await;
    assert_eq!(ids(&leases), ["a"]);
    assert_eq!(leases[0].token.queue, queue("other"));
    assert_eq!(leases[0].envelope.queue, queue("other"));
}

/// An edit is a JSON merge patch (RFC 7396).
pub(crate) async fn a_replay_can_edit_the_payload(scene: &Scene) {
    let mut envelope = scene.task("a");
    let payload = json(r#"{"to":"ada","cc":null,"n":{"a":1,"b":2},"list":[1,2]}"#);
    envelope.payload = Payload::json(&payload).expect("JSON");
    scene.admit(envelope).await;
    let lease = scene.take("a").await;
    scene.end(&lease, bury("boom"), State::Dead).await;
    let replay = Replay {
        edit: Some(json(r#"{"to":"eve","n":{"a":null,"c":3},"list":[9]}"#)),
        ..Replay::default()
    };
    assert_eq!(scene.change("a", Change::Replay(replay)).await, BACK);
    let payload = scene.take("a").await.envelope.payload;
    let edited: serde_json::Value =
        serde_json::from_slice(payload.as_bytes()).expect("it is JSON still");
    let expected = serde_json::json!(
        { "to": "eve", "cc": null, "n": { "b": 2, "c": 3 }, "list": [9] }
    );
    assert_eq!(edited, expected);
}

/// What is not JSON cannot be patched, and stays as it was.
pub(crate) async fn an_edit_of_a_payload_that_is_not_json_is_refused(scene: &Scene) {
    let mut envelope = scene.task("a");
    envelope.payload = Payload::new(ContentType::bytes(), *b"\xff\x00");
    scene.admit(envelope).await;
    let lease = scene.take("a").await;
    scene.end(&lease, bury("boom"), State::Dead).await;
    let replay = Replay {
        edit: Some(json("{}")),
        ..Replay::default()
    };
    let answer = scene
        .inspect()
        .change(&id("a"), &Change::Replay(replay))
        .await;
    assert_eq!(
        answer.expect_err("no patch fits").kind(),
        ErrorKind::Invalid
    );
    assert_eq!(scene.state("a").await, Some(State::Dead));
}

/// A replay for later waits until then.
pub(crate) async fn a_replay_can_be_for_later(scene: &Scene) {
    dead(scene).await;
    let at = scene.after(seconds(30));
    let replay = Replay {
        at: Some(at),
        ..Replay::default()
    };
    let later = Changed::Done {
        from: State::Dead,
        to: Some(State::Scheduled),
    };
    assert_eq!(scene.change("a", Change::Replay(replay)).await, later);
    scene.nothing_ready().await;
    scene.advance(seconds(30));
    let lease = scene.take("a").await;
    assert_eq!(lease.ready_at, at);
}

/// Completed and cancelled tasks come back too, without their result.
pub(crate) async fn a_completed_or_cancelled_task_can_be_replayed(scene: &Scene) {
    let lease = scene.put_active("a").await;
    scene.end(&lease, ack_with("old"), State::Completed).await;
    let replay = Change::Replay(Replay::default());
    scene.change("a", replay.clone()).await;
    assert_eq!(scene.record("a").await.result, None);
    let lease = scene.take("a").await;
    scene.end(&lease, ack_with("new"), State::Completed).await;
    let result = scene.record("a").await.result;
    assert_eq!(result, Some(Payload::bytes(*b"new")));

    let lease = scene.put_active("b").await;
    scene.change("b", Change::Cancel).await;
    scene.end(&lease, bury("stopped"), State::Cancelled).await;
    scene.change("b", replay).await;
    assert!(!scene.record("b").await.cancel_requested);
    let lease = scene.take("b").await;
    let at = scene.after(seconds(1));
    scene.end(&lease, retry(at, "boom"), State::Retry).await;
}

/// Clause 9. A key that its own task kept does not stand in the way of its replay.
pub(crate) async fn a_replay_is_not_stopped_by_its_own_key(scene: &Scene) {
    let mut envelope = scene.keyed("a", claim("k", seconds(60)));
    if let Some(claim) = &mut envelope.key {
        claim.on_failure = KeyFate::Keep;
    }
    scene.admit(envelope).await;
    let lease = scene.take("a").await;
    scene.end(&lease, bury("boom"), State::Dead).await;
    assert_eq!(
        scene.change("a", Change::Replay(Replay::default())).await,
        BACK
    );
    assert_eq!(scene.stats(QUEUE).await.dead, 0);
}

/// A letter whose replay is taken back is the letter that it was.
pub(crate) async fn a_replay_that_is_taken_back_leaves_the_letter_as_it_was(scene: &Scene) {
    dead(scene).await;
    let before = scene.record("a").await;
    let attempts = scene.attempts("a").await;
    let burial = Burial::of(&before).expect("it is a dead letter");
    scene.advance(seconds(60));
    for delay in [None, Some(seconds(30))] {
        let replay = Replay {
            reset_attempts: true,
            at: delay.map(|delay| scene.after(delay)),
            ..Replay::default()
        };
        scene.change("a", Change::Replay(replay)).await;
        assert_eq!(scene.record("a").await.failures, 0);
        let rebury = Change::Rebury(burial);
        assert!(matches!(
            scene.change("a", rebury).await,
            Changed::Done {
                to: Some(State::Dead),
                ..
            }
        ));
        let after = scene.record("a").await;
        assert_eq!(Burial::of(&after), Some(burial));
        assert_eq!(after.error, before.error);
        assert_eq!(after.finished_at, before.finished_at);
        assert_eq!(scene.attempts("a").await, attempts);
        assert_eq!(scene.stats(QUEUE).await.dead, 1);
        scene.nothing_ready().await;
    }
}

/// Behaviour 15. A queue that is full takes no dead letters back, as it takes nothing else.
pub(crate) async fn a_replay_into_a_full_queue_is_refused(scene: &Scene) {
    dead(scene).await;
    let before = scene.record("a").await;
    let (name, replay) = (queue(QUEUE), Change::Replay(Replay::default()));
    let inspect = scene.inspect();
    let limit = |most| inspect.set_limit(&name, Some(most));
    limit(1).await.expect("limited");
    scene.put("b", State::Pending).await;
    let full = Changed::QueueFull { limit: 1 };
    assert_eq!(scene.change("a", replay.clone()).await, full);
    limit(0).await.expect("drained");
    let drained = Changed::QueueFull { limit: 0 };
    assert_eq!(scene.change("a", replay.clone()).await, drained);
    let record = scene.record("a").await;
    assert_eq!(Burial::of(&record), Burial::of(&before));
    // What counts is the queue that it would come to.
    let aside = Replay {
        to_queue: Some(queue("other")),
        ..Replay::default()
    };
    assert_eq!(scene.change("a", Change::Replay(aside)).await, BACK);
}
