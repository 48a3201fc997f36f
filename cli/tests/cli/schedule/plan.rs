//! `tidemill schedule plan`.

use serde_json::Value;

use crate::bench::Bench;
use crate::schedule::{TWO, two};

#[test]
fn a_plan_shows_the_difference_with_the_next_five_fires_and_changes_nothing() {
    let bench = two();
    bench.file(
        "jobs.toml",
        TWO.replace("MON", "TUE") + "[[schedule]]\nid = \"new\"\nevery = \"1m\"\nkind = \"echo\"\n",
    );
    let before = bench.say("schedule list -o json").good();
    for words in [
        "schedule plan jobs.toml",
        "schedule apply jobs.toml --dry-run",
    ] {
        let plan = bench.say(words).good();
        assert!(
            plan.contains("~ digest  0 9 * * TUE (Europe/Madrid)"),
            "{plan}"
        );
        assert!(plan.contains("+ new  every 1m"), "{plan}");
        // The fires of the other schedules may fall on nine o'clock, too.
        let changed = plan.lines().take_while(|line| !line.starts_with("+ new"));
        let next = changed.filter(|line| line.starts_with("    20"));
        let tuesdays = next.filter(|line| line.contains("T09:00:00+0"));
        assert_eq!(tuesdays.count(), 5, "{plan}");
        assert!(plan.contains("    + 1 fire within 7 days: 20"), "{plan}");
        assert!(plan.contains("    - 1 fire within 7 days: 20"), "{plan}");
        assert!(plan.contains("    + 10080 fires within 7 days\n"), "{plan}");
        assert!(
            plan.contains("most fires in a minute within 7 days:"),
            "{plan}"
        );
        assert!(
            plan.ends_with("1 to add, 1 to change, 0 to remove, 1 unchanged\n"),
            "{plan}"
        );
    }
    let steps = bench.say("schedule plan jobs.toml -o json").json();
    assert_eq!(steps.len(), 3);
    assert_eq!(steps[0]["next"].as_array().unwrap().len(), 5);
    for side in ["gained", "lost"] {
        assert_eq!(steps[0][side]["count"], 1);
        assert!(steps[0][side]["first"][0]["at"].is_string());
    }
    let every_one = bench
        .say("schedule plan jobs.toml --days 1 --fires 2000 -o json")
        .json();
    let gained = &every_one[1]["gained"];
    assert_eq!(
        (&every_one[1]["id"], &gained["count"]),
        (&"new".into(), &1440.into())
    );
    assert_eq!(gained["first"].as_array().unwrap().len(), 1440);
    // What follows for all together.
    let busiest = &steps[2]["busiest"][0];
    assert!(busiest["before"] == 1 && busiest["after"] == 3, "{busiest}");
    assert!(steps[2]["clock_changes"].is_array());
    let revision = |text: &str| -> Vec<Value> {
        let lines = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.map(|record| record["revision"].clone()).collect()
    };
    assert_eq!(
        revision(&before),
        revision(&bench.say("schedule list -o json").good())
    );
}

/// Behaviour 63. Each clock of a zone with summer time changes twice within 366 days.
#[test]
fn a_plan_marks_what_the_clock_does_to_fires() {
    let bench = Bench::new();
    let night = |id: &str, month: u8| {
        format!(
            "[[schedule]]\nid = \"{id}\"\ncron = \"30 2 ? {month} SUNL\"\ntime_zone = \"Europe/Madrid\"\nkind = \"echo\"\n"
        )
    };
    bench.file("jobs.toml", night("spring", 3) + &night("autumn", 10));
    let plan = bench.say("schedule plan jobs.toml --days 366").good();
    assert_eq!(plan.matches("T03:00:00+02:00 (gap)").count(), 5, "{plan}");
    assert_eq!(
        plan.matches("T02:30:00+02:00 (first pass)").count(),
        5,
        "{plan}"
    );
    assert!(
        plan.contains("clock of Europe/Madrid: +01 → +02 at "),
        "{plan}"
    );
    assert!(
        plan.contains("clock of Europe/Madrid: +02 → +01 at "),
        "{plan}"
    );
    let steps = bench
        .say("schedule plan jobs.toml --days 366 -o json")
        .json();
    assert_eq!(steps[0]["gained"]["first"][0]["clock_change"], "gap");
    let kinds: Vec<_> = steps[2]["clock_changes"]
        .as_array()
        .unwrap()
        .iter()
        .collect();
    assert!(kinds.iter().any(|change| change["kind"] == "gap"));
    assert!(kinds.iter().any(|change| change["kind"] == "overlap"));
}

#[test]
fn a_plan_for_fast_schedules_stays_short() {
    let bench = Bench::new();
    let fast = "[[schedule]]\nid = \"fast\"\nevery = \"1s\"\nkind = \"echo\"\n";
    bench.file("jobs.toml", fast);
    bench.say("schedule apply jobs.toml").good();
    bench.file("jobs.toml", fast.replace("1s", "2s"));
    let plan = bench.say("schedule plan jobs.toml --days 1").good();
    assert!(plan.contains("    - 43200 fires within 1 day: "), "{plan}");
    assert!(plan.len() < 2_000, "{plan}");
    bench.file("jobs.toml", "");
    let gone = bench.say("schedule plan jobs.toml --days 2").good();
    assert!(
        gone.contains("- fast  every 1s\n    - 172800 fires within 2 days: "),
        "{gone}"
    );
    for days in ["0", "367", "-1", "week"] {
        let words = format!("schedule plan jobs.toml --days {days}");
        bench.say(&words).refused(2, "--days");
    }
}

#[test]
fn a_plan_that_changes_nothing_says_just_that() {
    let bench = two();
    let plan = bench.say("schedule plan jobs.toml").good();
    assert_eq!(plan, "0 to add, 0 to change, 0 to remove, 2 unchanged\n");
    assert_eq!(bench.say("schedule plan jobs.toml -o json").good(), "");
}
