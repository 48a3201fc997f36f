use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use tidemill::{QueueName, QueueStats, Timestamp};

use super::super::orders::Order;
use super::super::screen::{Screen, Wish};
use super::super::snapshot::Snapshot;
use super::span::short;
use super::tables::rate;
use super::{Look, draw};

fn snapshot(second: i64, done: u64) -> Snapshot {
    let mut queue = QueueStats::empty(QueueName::new("mail").unwrap());
    queue.pending = 7;
    queue.dead = 2;
    queue.enqueued_total = done;
    queue.pause_reason = Some("evil\u{1b}[31m\u{202e}".into());
    queue.paused = true;
    Snapshot {
        at: Timestamp::from_millis(second * 1_000),
        queues: vec![queue],
        workers: Vec::new(),
        producers: Vec::new(),
        schedules: Vec::new(),
        more_schedules: false,
        failures: Vec::new(),
    }
}

fn press(screen: &mut Screen, code: KeyCode) -> Option<Wish> {
    screen.press(KeyEvent::new(code, KeyModifiers::NONE))
}

fn shown(screen: &mut Screen) -> String {
    let mut terminal = Terminal::new(TestBackend::new(160, 12)).unwrap();
    terminal
        .draw(|frame| draw(frame, screen, Look::Plain))
        .unwrap();
    terminal.backend().to_string()
}

#[test]
fn a_queue_is_shown_with_its_pace_and_without_what_could_drive_the_terminal() {
    let mut screen = Screen::new("memory".into());
    assert!(shown(&mut screen).contains("looking"));
    screen.see(Ok(snapshot(1, 100)));
    screen.see(Ok(snapshot(3, 300)));
    let text = shown(&mut screen);
    assert!(
        text.contains("mail") && text.contains("dead 2") && text.contains("100"),
        "{text}"
    );
    assert!(text.contains("paused: evil\\u{1b}"), "{text}");
    assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
    assert!(text.contains("none leads"), "{text}");
}

#[test]
fn what_changes_something_asks_first() {
    let mut screen = Screen::new("memory".into());
    assert_eq!(press(&mut screen, KeyCode::Char('p')), None);
    screen.see(Ok(snapshot(1, 0)));
    assert_eq!(press(&mut screen, KeyCode::Char('p')), None);
    assert!(shown(&mut screen).contains("resume queue mail?"));
    assert_eq!(press(&mut screen, KeyCode::Char('n')), None);
    assert!(!shown(&mut screen).contains("resume queue"));
    press(&mut screen, KeyCode::Char('p'));
    let order = Order::ResumeQueue(QueueName::new("mail").unwrap());
    assert_eq!(
        press(&mut screen, KeyCode::Char('y')),
        Some(Wish::Order(order))
    );
    assert_eq!(press(&mut screen, KeyCode::Char('y')), None);
}

#[test]
fn a_store_that_is_away_is_said_and_what_was_seen_stays() {
    let mut screen = Screen::new("memory".into());
    screen.see(Ok(snapshot(1, 0)));
    screen.see(Err(crate::problem::Problem::failed("it is away")));
    let text = shown(&mut screen);
    assert!(
        text.contains("NOT SEEN SINCE: it is away") && text.contains("mail"),
        "{text}"
    );
}

#[test]
fn spans_and_rates_are_short() {
    let after = |seconds| short(Duration::from_secs(seconds));
    assert_eq!(
        [after(0), after(61), after(3_671), after(90_061)],
        ["0s", "1m1s", "1h1m", "1d1h"]
    );
    assert_eq!(
        [rate(5, 9, 1.0), rate(9, 8, 2.0), rate(2_000, 0, 2.0)],
        ["0", "0.5", "1000"]
    );
}
