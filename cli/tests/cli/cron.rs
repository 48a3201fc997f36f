//! `tidemill cron`.

use std::time::{Duration, Instant};

use crate::bench::{Answer, Bench};

fn next(expression: &str, more: &[&str]) -> Answer {
    let mut args = vec!["cron", "next", expression, "--from", "2026-01-01T00:00:00Z"];
    args.extend(more);
    Bench::new().run(args)
}

#[test]
fn the_next_instants_are_rfc_3339_with_offset_one_a_line() {
    let answer = next("30 9 * * MON", &["--tz", "Europe/Madrid", "--count", "2"]).good();
    assert_eq!(
        answer,
        "2026-01-05T09:30:00+01:00\n2026-01-12T09:30:00+01:00\n"
    );
    let answer = next("0 0 12 1 7 ? 2026", &["-o", "json"]).good();
    assert_eq!(answer, "{\"at\":\"2026-07-01T12:00:00+00:00\"}\n");
}

#[test]
fn explain_says_what_an_expression_means() {
    let answer = Bench::new()
        .run(["cron", "explain", "0 9 * * MON", "--tz", "Europe/Madrid"])
        .good();
    assert!(answer.contains("Monday"), "{answer}");
    assert_eq!(answer.matches("T09:00:00+0").count(), 5, "{answer}");
}

/// S36.
#[test]
fn an_expression_that_never_fires_is_refused_at_once() {
    for bad in ["0 0 30 2 *", "0 0 31 4 *"] {
        #[expect(
            clippy::disallowed_methods,
            reason = "the time that it takes is what is tested"
        )]
        let start = Instant::now();
        next(bad, &[]).refused(2, "never fires");
        // The process starts in this time too; the expression alone has 50 ms.
        assert!(start.elapsed() < Duration::from_secs(2));
    }
}

/// S37.
#[test]
fn a_field_out_of_range_is_refused_with_its_place() {
    for bad in [
        "*/0 * * * *",
        "*/61 * * * *",
        "60 * * * *",
        "* 24 * * *",
        "5-1 * * * *",
        "-1 * * * *",
        "1-99999999999999999999 * * * *",
    ] {
        let answer = next(bad, &[]).refused(2, bad);
        assert!(
            answer
                .stderr
                .lines()
                .any(|line| line.trim_start().starts_with('^')),
            "{answer:?}"
        );
    }
}

/// S38.
#[test]
fn a_malformed_expression_is_refused() {
    for bad in [
        "1,,2 * * * *",
        "1/2/3 * * * *",
        "? ? ? ? ?",
        "H H * * *",
        "@reboot",
        "@every 0s",
        "@every 1ns",
        "* * * *",
        "* * * * * * * *",
        "",
    ] {
        next(bad, &[]).refused(2, "");
    }
}

/// S39.
#[test]
fn text_that_is_no_expression_is_refused_without_a_panic() {
    let long = "1,".repeat(50_000);
    for bad in [
        "* * * * *\n* * * * *",
        "٣ * * * *",
        "é * * * *",
        &long,
        "CRON_TZ=Nope * * * * *",
        "TZ= * * * * *",
    ] {
        let answer = next(bad, &[]).refused(2, "");
        assert!(answer.stderr.len() < 20_000, "{}", answer.stderr.len());
    }
}

/// S40.
#[test]
fn the_usual_extensions_mean_what_they_say() {
    for (expression, first) in [
        // Sunday is 7 as well as 0.
        ("0 0 * * 7", "2026-01-04T00:00:00+00:00"),
        // Day of month or day of week.
        ("0 0 1,15 * MON", "2026-01-05T00:00:00+00:00"),
        ("0 0 * * mon-sun", "2026-01-02T00:00:00+00:00"),
        ("0 0 L * *", "2026-01-31T00:00:00+00:00"),
        ("0 0 15W * *", "2026-01-15T00:00:00+00:00"),
    ] {
        let answer = next(expression, &["-n", "1"]).good();
        assert_eq!(answer.trim(), first, "{expression}");
    }
}

/// S41.
#[test]
fn only_names_of_the_tzdb_are_time_zones() {
    for bad in [
        "../../etc/passwd",
        "EST5EDT,M3.2.0",
        "Local",
        "",
        "Mars/Olympus",
        "+02:00",
    ] {
        next("0 0 * * *", &[&format!("--tz={bad}")]).refused(2, "time zone");
    }
}

#[test]
fn an_expression_whose_years_have_passed_is_told_as_such() {
    let past = "0 0 0 1 1 ? 2020";
    next(past, &[]).refused(2, "never fires again after 2026-01-01");
    next(past, &["-o", "json"]).refused(2, "never fires again");
    let explained = Bench::new().run(["cron", "explain", past]).good();
    assert!(explained.contains("never fires again"), "{explained}");
    // Fewer than were asked for is no mistake.
    assert_eq!(next("0 0 0 1 1 ? 2027", &[]).good().lines().count(), 1);
}
