//! Definitions of schedules, with revisions.

use std::collections::BTreeMap;

use tidemill_shared::ledger::{Applied, CHANGES_KEPT, FireOutcome, ScheduleRecord};
use tidemill_shared::schedule::{Overlap, Schedule};
use tidemill_shared::{ErrorKind, ScheduleId, State};

use crate::planning::{SOURCE, schedule, schedule_id};
use crate::scene::{Scene, ids, seconds};

async fn apply(scene: &Scene, source: &str, schedules: Vec<Schedule>) -> Applied {
    let applied = scene.ledger.apply_schedules(source, schedules).await;
    applied.expect("apply_schedules answers")
}

fn changed(id: &str) -> Schedule {
    let mut schedule = schedule(id);
    schedule.payload = serde_json::json!("changed");
    schedule
}

/// Behaviour 59.
pub(crate) async fn applying_the_same_file_again_changes_nothing(scene: &Scene) {
    let file = vec![schedule("a"), schedule("b")];
    let applied = apply(scene, SOURCE, file.clone()).await;
    assert_eq!(applied.added, [schedule_id("a"), schedule_id("b")]);
    let version = scene.ledger.schedules_version().await.expect("a version");
    let stored = scene.schedule("a").await;
    for _ in 0..3 {
        scene.advance(seconds(1));
        let applied = apply(scene, SOURCE, file.clone()).await;
        let nothing = Applied {
            unchanged: 2,
            ..Applied::default()
        };
        assert_eq!(applied, nothing);
    }
    assert_eq!(scene.schedule("a").await, stored);
    assert_eq!(
        scene.ledger.schedules_version().await.expect("one"),
        version
    );
}

/// Behaviour 59.
pub(crate) async fn applying_a_changed_file_changes_just_the_difference(scene: &Scene) {
    apply(
        scene,
        SOURCE,
        vec![schedule("a"), schedule("b"), schedule("c")],
    )
    .await;
    let before = scene.schedule("a").await;
    let file = vec![schedule("a"), changed("b"), schedule("d")];
    let applied = apply(scene, SOURCE, file).await;
    assert_eq!(applied.added, [schedule_id("d")]);
    assert_eq!(applied.changed, [schedule_id("b")]);
    assert_eq!(applied.removed, [schedule_id("c")]);
    assert_eq!(applied.unchanged, 1);
    assert_eq!(scene.schedule("a").await, before);
    assert_eq!(scene.schedule("c").await, None);
    let b = scene.schedule("b").await.expect("it is there");
    assert_eq!(b.schedule, changed("b"));
}

/// Behaviour 59.
pub(crate) async fn a_file_owns_only_what_it_declared(scene: &Scene) {
    apply(scene, "file:one", vec![schedule("a")]).await;
    apply(scene, "file:two", vec![schedule("b")]).await;
    let taken = vec![schedule("c"), schedule("a")];
    let refused = scene.ledger.apply_schedules("file:two", taken).await;
    assert_eq!(
        refused.expect_err("a is not its own").kind(),
        ErrorKind::Conflict
    );
    assert_eq!(scene.schedule("c").await, None, "all or nothing");
    assert!(scene.schedule("b").await.is_some(), "all or nothing");
    let applied = apply(scene, "file:two", Vec::new()).await;
    assert_eq!(applied.removed, [schedule_id("b")]);
    assert_eq!(scene.schedule("a").await.expect("it").source, "file:one");
}

/// Behaviour 59.
pub(crate) async fn putting_a_schedule_makes_its_source_the_owner(scene: &Scene) {
    apply(scene, "file:one", vec![schedule("a")]).await;
    let put = scene.ledger.put_schedule("cli", changed("a")).await;
    let record = put.expect("put_schedule answers");
    assert_eq!(record.source, "cli");
    assert_eq!(record.schedule, changed("a"));
    let applied = apply(scene, "file:one", Vec::new()).await;
    assert_eq!(applied.removed, []);
}

/// Behaviour 59.
pub(crate) async fn a_revision_grows_with_every_change_and_is_never_used_again(scene: &Scene) {
    let ledger = &scene.ledger;
    let backup = schedule_id("a");
    let mut revisions = Vec::new();
    let put = ledger.put_schedule("cli", schedule("a")).await;
    revisions.push(put.expect("stored").revision);
    let put = ledger.put_schedule("cli", changed("a")).await;
    revisions.push(put.expect("stored").revision);
    assert!(ledger.pause_schedule(&backup, None).await.expect("paused"));
    revisions.push(scene.schedule("a").await.expect("it").revision);
    assert!(ledger.resume_schedule(&backup).await.expect("resumed"));
    revisions.push(scene.schedule("a").await.expect("it").revision);
    assert!(ledger.delete_schedule(&backup).await.expect("deleted"));
    let put = ledger.put_schedule("cli", schedule("a")).await;
    revisions.push(put.expect("stored").revision);
    assert_eq!(revisions[0], 1);
    assert!(revisions.is_sorted_by(|a, b| a < b), "{revisions:?}");
}

/// Behaviour 59.
pub(crate) async fn the_version_grows_with_every_change(scene: &Scene) {
    let ledger = &scene.ledger;
    let a = schedule_id("a");
    let mut versions = vec![ledger.schedules_version().await.expect("a version")];
    apply(scene, SOURCE, vec![schedule("a")]).await;
    versions.push(ledger.schedules_version().await.expect("a version"));
    apply(scene, SOURCE, vec![changed("a")]).await;
    versions.push(ledger.schedules_version().await.expect("a version"));
    ledger.pause_schedule(&a, None).await.expect("paused");
    versions.push(ledger.schedules_version().await.expect("a version"));
    ledger.resume_schedule(&a).await.expect("resumed");
    versions.push(ledger.schedules_version().await.expect("a version"));
    ledger.delete_schedule(&a).await.expect("deleted");
    versions.push(ledger.schedules_version().await.expect("a version"));
    assert!(versions.is_sorted_by(|a, b| a < b), "{versions:?}");
}

/// What has changed since a version, page by page: each schedule as it is, or `None` when it is gone.
async fn changes(
    scene: &Scene,
    mut since: u64,
    limit: usize,
) -> Option<BTreeMap<ScheduleId, Option<ScheduleRecord>>> {
    let mut all = BTreeMap::new();
    loop {
        let page = scene.ledger.schedule_changes(since, limit).await;
        let page = page.expect("schedule_changes answers")?;
        let told = page.changed.len() + page.removed.len();
        assert!(told <= limit, "{told} of {limit}");
        for record in page.changed {
            all.insert(record.schedule.id.clone(), Some(record));
        }
        for id in page.removed {
            all.insert(id, None);
        }
        assert!(!page.more || page.until > since, "it goes on");
        since = page.until;
        if !page.more {
            let version = scene.ledger.schedules_version().await;
            assert_eq!(since, version.expect("a version"));
            return Some(all);
        }
    }
}

/// Behaviour 59.
pub(crate) async fn changes_since_a_version_are_told(scene: &Scene) {
    let ledger = &scene.ledger;
    let version = async || ledger.schedules_version().await.expect("a version");
    let empty = version().await;
    assert_eq!(changes(scene, empty, 10).await, Some(BTreeMap::new()));
    let all: Vec<Schedule> = ["a", "b", "c", "d", "e", "f"].map(schedule).into();
    apply(scene, SOURCE, all).await;
    let before = version().await;
    apply(
        scene,
        SOURCE,
        ["a", "b", "d", "e", "f"].map(schedule).into(),
    )
    .await;
    ledger.put_schedule("cli", changed("b")).await.expect("put");
    let (d, e, f) = (schedule_id("d"), schedule_id("e"), schedule_id("f"));
    ledger.pause_schedule(&d, None).await.expect("paused");
    ledger.pause_schedule(&e, None).await.expect("paused");
    ledger
        .pause_schedule(&e, Some("why"))
        .await
        .expect("paused");
    ledger.resume_schedule(&e).await.expect("resumed");
    ledger.delete_schedule(&f).await.expect("deleted");
    ledger
        .put_schedule("cli", schedule("f"))
        .await
        .expect("put");
    let mut expected = BTreeMap::from([(schedule_id("c"), None)]);
    for id in ["b", "d", "e", "f"] {
        let record = scene.schedule(id).await.expect("it is there");
        expected.insert(record.schedule.id.clone(), Some(record));
    }
    for limit in [1, 2, 100] {
        assert_eq!(changes(scene, before, limit).await, Some(expected.clone()));
    }
    let everything = changes(scene, empty, 100).await.expect("it is known");
    assert_eq!(everything.len(), 6, "all that was ever there");
    assert_eq!(
        changes(scene, version().await, 10).await,
        Some(BTreeMap::new())
    );
    // Nothing is known of a version that has not come: the store was set back.
    assert_eq!(changes(scene, version().await + 1, 10).await, None);
    // A fire is no change.
    let plan = scene.plan(schedule("a")).await;
    let at = scene.after(seconds(60));
    let since = version().await;
    assert_eq!(scene.fire(&plan, at).await, FireOutcome::Enqueued);
    assert_eq!(changes(scene, since, 10).await, Some(BTreeMap::new()));
}

/// Behaviour 59.
pub(crate) async fn too_many_changes_are_not_told(scene: &Scene) {
    let before = scene.ledger.schedules_version().await.expect("a version");
    // Some at a time, as a store may serve nobody else meanwhile.
    let all: Vec<_> = (0..=CHANGES_KEPT).collect();
    for (file, numbers) in all.chunks(500).enumerate() {
        let schedules = numbers.iter().map(|number| schedule(&format!("s{number}")));
        apply(scene, &format!("file:{file}"), schedules.collect()).await;
    }
    assert_eq!(changes(scene, before, 10_000).await, None);
    let told = changes(scene, before + 1, 10_000)
        .await
        .expect("it is known");
    assert_eq!(told.len(), CHANGES_KEPT);
    let backup = schedule_id("s5");
    assert!(
        scene
            .ledger
            .delete_schedule(&backup)
            .await
            .expect("deleted")
    );
    assert_eq!(changes(scene, before + 1, 10_000).await, None);
    let told = changes(scene, before + 2, 10_000)
        .await
        .expect("it is known");
    assert_eq!(told.get(&backup), Some(&None));
}

/// Behaviour 58.
pub(crate) async fn a_change_takes_back_what_was_put_ahead(scene: &Scene) {
    let plan = scene.plan(schedule("a")).await;
    scene.fires_in(&plan, &[60, 120, 180]).await;
    scene.advance(seconds(60));
    scene.sweep().await;
    let applied = apply(scene, SOURCE, vec![changed("a")]).await;
    assert_eq!(applied.revoked, 2);
    assert_eq!(
        scene.fires("a").await.len(),
        1,
        "what was taken back is forgotten"
    );
    scene.advance(seconds(600));
    let leases = scene.ready(10).await;
    assert_eq!(leases.len(), 1, "what was due already stays");
}

/// Behaviour 58.
pub(crate) async fn a_new_revision_plans_the_same_instants_again(scene: &Scene) {
    let plan = scene.plan(schedule("a")).await;
    let at = scene.after(seconds(60));
    assert_eq!(scene.fire(&plan, at).await, FireOutcome::Enqueued);
    let plan = scene.plan(changed("a")).await;
    assert_eq!(scene.fire(&plan, at).await, FireOutcome::Enqueued);
    scene.advance(seconds(60));
    let leases = scene.ready(10).await;
    assert_eq!(ids(&leases), [plan.task(at)]);
    let origin = leases[0].envelope.origin.as_ref().expect("a fire");
    assert_eq!(origin.revision, plan.record.revision);
    assert_eq!(leases[0].envelope.payload.as_bytes(), b"\"changed\"");
}

/// Behaviour 58.
pub(crate) async fn removing_a_schedule_stops_it(scene: &Scene) {
    let plan = scene.plan(schedule("a")).await;
    scene.fires_in(&plan, &[60]).await;
    scene.advance(seconds(60));
    scene.sweep().await;
    scene.fires_in(&plan, &[60]).await;
    let a = schedule_id("a");
    assert!(scene.ledger.delete_schedule(&a).await.expect("an answer"));
    assert!(!scene.ledger.delete_schedule(&a).await.expect("an answer"));
    let late = scene.after(seconds(120));
    assert_eq!(scene.fire(&plan, late).await, FireOutcome::Refused);
    scene.advance(seconds(600));
    assert_eq!(scene.ready(10).await.len(), 1, "what was due already");
    assert_eq!(scene.fires("a").await.len(), 1, "its fires stay on record");
}

/// Behaviour 66.
pub(crate) async fn a_fire_within_its_jitter_survives_a_change_but_not_a_pause(scene: &Scene) {
    let jittery = |seconds_of_jitter| Schedule {
        jitter: seconds(seconds_of_jitter),
        ..schedule("a")
    };
    let plan = scene.plan(jittery(3_600)).await;
    let first = scene.fires_in(&plan, &[60]).await.remove(0);
    scene.advance(seconds(60));
    assert_eq!(scene.state(&first).await, Some(State::Scheduled));
    let plan = scene.plan(jittery(3_000)).await;
    assert_eq!(scene.state(&first).await, Some(State::Scheduled));
    let second = scene.fires_in(&plan, &[60]).await.remove(0);
    let a = plan.record.schedule.id.clone();
    scene.ledger.pause_schedule(&a, None).await.expect("paused");
    assert_eq!(scene.state(&first).await, None);
    assert_eq!(scene.state(&second).await, None);
    assert_eq!(scene.outcomes("a").await, [FireOutcome::Skipped]);
}

/// Behaviour 66.
pub(crate) async fn a_paused_schedule_has_no_fires(scene: &Scene) {
    let plan = scene.plan(schedule("a")).await;
    scene.fires_in(&plan, &[60]).await;
    let a = schedule_id("a");
    let paused = scene.ledger.pause_schedule(&a, Some("deploy")).await;
    assert!(paused.expect("an answer"));
    let record = scene.schedule("a").await.expect("it is there");
    assert!(record.paused);
    assert_eq!(record.pause_reason.as_deref(), Some("deploy"));
    let current = crate::planning::Plan { record, ..plan };
    let at = scene.after(seconds(60));
    assert_eq!(scene.fire(&current, at).await, FireOutcome::Refused);
    scene.advance(seconds(120));
    scene.nothing_ready().await;
    assert_eq!(scene.fires("a").await, []);
}

/// Behaviour 66.
pub(crate) async fn a_resumed_schedule_goes_on_from_now(scene: &Scene) {
    let plan = scene.plan(schedule("a")).await;
    let a = schedule_id("a");
    scene.ledger.pause_schedule(&a, None).await.expect("paused");
    scene.advance(seconds(3_600));
    assert!(scene.ledger.resume_schedule(&a).await.expect("resumed"));
    let record = scene.schedule("a").await.expect("it is there");
    assert!(!record.paused);
    assert_eq!(record.pause_reason, None);
    assert_eq!(
        record.planned_until,
        scene.now(),
        "what passed is not made up for"
    );
    let current = crate::planning::Plan { record, ..plan };
    let at = scene.after(seconds(60));
    assert_eq!(scene.fire(&current, at).await, FireOutcome::Enqueued);
}

/// Behaviour 66.
pub(crate) async fn pausing_what_does_not_exist_says_so(scene: &Scene) {
    let ledger = &scene.ledger;
    let nobody = schedule_id("nobody");
    assert!(
        !ledger
            .pause_schedule(&nobody, None)
            .await
            .expect("an answer")
    );
    assert!(!ledger.resume_schedule(&nobody).await.expect("an answer"));
    assert!(!ledger.delete_schedule(&nobody).await.expect("an answer"));
    assert_eq!(ledger.schedule(&nobody).await.expect("an answer"), None);
}

/// A definition comes back as it was stored, and pages hold each once.
pub(crate) async fn schedules_are_listed_page_by_page(scene: &Scene) {
    let mut odd = schedule("s3");
    odd.overlap = Overlap::CancelPrevious;
    odd.headers.insert("a".into(), "b".into());
    odd.jitter = seconds(5);
    let mut file: Vec<_> = (0..7).map(|n| schedule(&format!("s{n}"))).collect();
    file[3] = odd;
    apply(scene, SOURCE, file.clone()).await;
    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        let page = scene.ledger.schedules(cursor, 3).await;
        let page = page.expect("schedules answer");
        assert!(page.items.len() <= 3, "a page is bounded");
        seen.extend(page.items.into_iter().map(|record| record.schedule));
        assert!(seen.len() <= 7, "paging ends");
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    seen.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(seen, file);
}
