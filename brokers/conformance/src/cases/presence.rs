//! Who is alive.

use tidemill_shared::ledger::{HeldShard, PresenceRecord, Role};

use crate::scene::{Scene, TTL, kind, millis, queue, seconds, worker};

fn process(scene: &Scene, id: &str, role: Role) -> PresenceRecord {
    PresenceRecord {
        id: worker(id),
        role,
        host: "añó.example".into(),
        pid: 4_242,
        version: "0.1.0".into(),
        started_at: scene.now(),
        last_seen: scene.now(),
        queues: vec![queue("default"), queue("mail")],
        kinds: (role == Role::Worker).then(|| vec![kind("email.welcome")]),
        slots: 16,
        busy: 3,
        draining: false,
        leader: role == Role::Producer,
        epoch: (role == Role::Producer).then_some(7),
        shards: 8,
        held: vec![
            HeldShard { shard: 2, epoch: 7 },
            HeldShard { shard: 5, epoch: 1 },
        ],
    }
}

async fn announce(scene: &Scene, record: &PresenceRecord) {
    let announced = scene.ledger.announce(record, TTL).await;
    announced.expect("announce answers");
}

async fn present(scene: &Scene, role: Role) -> Vec<PresenceRecord> {
    scene.ledger.present(role).await.expect("present answers")
}

/// Behaviour 76.
pub(crate) async fn a_live_process_is_listed_as_it_describes_itself(scene: &Scene) {
    let first = process(scene, "z-first", Role::Worker);
    scene.advance(seconds(1));
    let second = process(scene, "a-second", Role::Worker);
    let producer = process(scene, "p", Role::Producer);
    for record in [&second, &first, &producer] {
        announce(scene, record).await;
    }
    assert_eq!(present(scene, Role::Worker).await, [first, second]);
    assert_eq!(present(scene, Role::Producer).await, [producer]);
}

/// Behaviour 76.
pub(crate) async fn announcing_again_replaces_what_was_said(scene: &Scene) {
    let mut record = process(scene, "a", Role::Worker);
    announce(scene, &record).await;
    record.busy = 16;
    record.draining = true;
    announce(scene, &record).await;
    assert_eq!(present(scene, Role::Worker).await, [record]);
}

/// Behaviour 76.
pub(crate) async fn a_process_that_is_not_heard_of_is_gone(scene: &Scene) {
    let dead = process(scene, "dead", Role::Worker);
    let alive = process(scene, "alive", Role::Worker);
    announce(scene, &dead).await;
    announce(scene, &alive).await;
    scene.advance(TTL - seconds(1));
    announce(scene, &alive).await;
    scene.advance(seconds(1) + millis(1));
    assert_eq!(present(scene, Role::Worker).await, [alive]);
}

/// Behaviour 76.
pub(crate) async fn a_process_that_departs_is_gone_at_once(scene: &Scene) {
    announce(scene, &process(scene, "a", Role::Worker)).await;
    let departed = scene.ledger.depart(&worker("a")).await;
    departed.expect("depart answers");
    assert_eq!(present(scene, Role::Worker).await, []);
    let unknown = scene.ledger.depart(&worker("nobody")).await;
    unknown.expect("departing twice does nothing");
}
