//! `tidemill schedule backfill`.

use crate::bench::Bench;
use crate::schedule::two;

fn beat() -> Bench {
    let bench = Bench::new();
    let beat = "[[schedule]]\nid = \"beat\"\nevery = \"1h\"\nkind = \"echo\"\n";
    bench.file("jobs.toml", beat);
    bench.say("schedule apply jobs.toml").good();
    bench
}

#[test]
fn a_backfill_is_shown_by_a_dry_run_and_done_once() {
    let bench = beat();
    let recent = bench.say("schedule backfill beat --from 6h --until 0s --dry-run -o json");
    let recent = recent.json();
    assert_eq!(recent.len(), 6);
    let [from, until] = [&recent[0], &recent[5]].map(|fire| fire["scheduled_at"].as_str().unwrap());
    let say = |more: &str| {
        bench.say(&format!(
            "schedule backfill beat --from {from} --until {until} {more}"
        ))
    };
    let planned = say("--dry-run -o json").json();
    assert_eq!(planned[..], recent[..5], "the end is not in the range");
    assert!(planned.iter().all(|fire| fire["outcome"] == "planned"));
    assert_eq!(bench.say("schedule fires beat -o json").good(), "");
    let shown = bench.say("schedule show beat -o json").json().remove(0);
    let done = say("-o json").json();
    assert_eq!(done.len(), 5);
    for (fire, plan) in done.iter().zip(&planned) {
        assert_eq!(fire["scheduled_at"], plan["scheduled_at"]);
        assert_eq!(
            (&fire["schedule_id"], &fire["outcome"]),
            (&"beat".into(), &"enqueued".into())
        );
        let task = bench.task(fire["task_id"].as_str().unwrap());
        assert_eq!(task["scheduled_at"], fire["scheduled_at"]);
    }
    assert_eq!(say("-o json").good(), "");
    assert_eq!(say("").good(), "0 fires enqueued, 0 not\n");
    let after = bench.say("schedule show beat -o json").json().remove(0);
    for field in ["planned_until", "revision"] {
        assert_eq!(after[field], shown[field], "{field}");
    }
    let fires = bench.say("schedule fires beat -o json").json();
    assert!(fires.iter().all(|fire| fire["manual"] == true));
}

#[test]
fn a_backfill_notes_its_reason_with_each_task() {
    let bench = beat();
    let words = "schedule backfill beat --from 3h --until 0s -o json";
    let mut words: Vec<_> = words.split(' ').collect();
    words.extend(["--limit", "2", "--reason", "the disk was full"]);
    let done = bench.run(words).json();
    assert_eq!(done.len(), 2);
    for fire in done {
        let id = fire["task_id"].as_str().unwrap();
        let log = bench.run(["task", "logs", id]).good();
        assert!(
            log.contains("backfilled by ada: the disk was full"),
            "{log}"
        );
    }
}

#[test]
fn a_backfill_that_makes_no_sense_is_refused_with_a_remedy() {
    let bench = two();
    let say = |more: &str| bench.say(&format!("schedule backfill tick {more}"));
    say("--from 1h --until 2h").refused(2, "expected a later end");
    say("--from 1h --until 2999-01-01T00:00:00Z").refused(2, "still to come");
    say("--from 30d --until 0s").refused(2, "--beyond-record");
    say("--from 1h").refused(2, "--until");
    say("--from 1h --until 0s --limit 0").refused(2, "--limit");
    let listed = say("--from 30d --until 29d --beyond-record --dry-run").good();
    assert!(listed.ends_with("24 fires to enqueue\n"), "{listed}");
    let nobody = "schedule backfill nobody --from 1h --until 0s";
    bench.say(nobody).refused(1, "there is no schedule nobody");
}

#[test]
fn a_backfill_of_a_schedule_that_does_not_let_fires_overlap_warns() {
    let bench = Bench::new();
    let beat = "[[schedule]]\nid = \"beat\"\nevery = \"1h\"\noverlap = \"skip\"\nkind = \"echo\"\n";
    bench.file("jobs.toml", beat);
    bench.say("schedule apply jobs.toml").good();
    let done = bench.say("schedule backfill beat --from 3h --until 0s");
    assert!(done.stderr.contains("overlap policy"), "{}", done.stderr);
    assert!(
        done.stdout.ends_with("1 fire enqueued, 2 not\n"),
        "{}",
        done.stdout
    );
}
