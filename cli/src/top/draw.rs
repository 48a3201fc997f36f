//! The screen, drawn: a head with the totals, the table or what lies over it, and a foot with the keys.

mod look;
mod span;
mod tables;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Paragraph, Tabs, Wrap};
use tidemill::{QueueStats, Timestamp};

use super::screen::{Notice, Over, Screen, Tab};
use crate::clean;
pub(super) use look::Look;
use span::at;
use tables::{failures, put, queues, schedules, workers};

const HELP: &str = "\
1 2 3 4, Tab, arrows   choose a table
up, down, j, k         choose a row; also PageUp, PageDown, Home, End
Enter                  queues: the tasks of a queue; tasks: everything about one
p                      pause or resume a queue or a schedule
r                      retry a task; fire a schedule now
Esc, q                 go back; q in a table ends
?                      this help

What changes something asks first; `y` does it.";

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, screen: &mut Screen, look: Look) {
    let [head, tabs, body, foot] = Layout::vertical([
        Constraint::Length(2),
        Constraint::Length(1),
        Constraint::Min(1),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(Paragraph::new(totals(screen, look)), head);
    let names = Tab::ALL.map(Tab::name);
    let chosen = Style::new().add_modifier(Modifier::REVERSED);
    let names = Tabs::new(names)
        .select(screen.tab.number())
        .divider(" ")
        .highlight_style(chosen);
    frame.render_widget(names, tabs);
    table(frame, body, screen, look);
    over(frame, body, screen, look);
    frame.render_widget(Paragraph::new(last_line(screen, look)), foot);
}

fn totals<'a>(screen: &Screen, look: Look) -> Vec<Line<'a>> {
    let title = Span::styled(
        format!("tidemill top  {}", clean::line(&screen.title)),
        Style::new().add_modifier(Modifier::BOLD),
    );
    let Some(now) = &screen.now else {
        let state = match &screen.trouble {
            Some(trouble) => Span::styled(clean::line(trouble).into_owned(), look.bad()),
            None => Span::raw("looking …"),
        };
        return vec![Line::from(title), Line::from(state)];
    };
    let sum = |of: fn(&QueueStats) -> u64| now.queues.iter().map(of).sum::<u64>();
    let dead = sum(|queue| queue.dead);
    let slots: u32 = now.workers.iter().map(|worker| worker.slots).sum();
    let busy: u32 = now.workers.iter().map(|worker| worker.busy).sum();
    let leads = now.producers.iter().any(|producer| producer.leader);
    let mut first = vec![title, Span::raw(format!("  {}", at(now.at)))];
    if let Some(trouble) = &screen.trouble {
        let text = format!("  NOT SEEN SINCE: {}", clean::line(trouble));
        first.push(Span::styled(text, look.bad()));
    }
    let second = vec![
        Span::raw(format!(
            "pending {}  active {}  retry {}  ",
            sum(|queue| queue.pending),
            sum(|queue| queue.active),
            sum(|queue| queue.retry)
        )),
        styled(format!("dead {dead}"), (dead > 0).then(|| look.bad())),
        styled(
            format!("  workers {} ({busy}/{slots} busy)", now.workers.len()),
            now.workers.is_empty().then(|| look.doubtful()),
        ),
        styled(
            format!(
                "  producers {}{}",
                now.producers.len(),
                if leads { "" } else { ", none leads" }
            ),
            (!leads).then(|| look.doubtful()),
        ),
    ];
    vec![Line::from(first), Line::from(second)]
}

fn styled<'a>(text: String, style: Option<Style>) -> Span<'a> {
    Span::styled(text, style.unwrap_or_default())
}

fn table(frame: &mut Frame<'_>, area: Rect, screen: &mut Screen, look: Look) {
    let tab = screen.tab;
    let Some(now) = &screen.now else { return };
    let (names, widths, rows) = match tab {
        Tab::Queues => queues(now, screen.before.as_ref(), look),
        Tab::Workers => workers(now, look),
        Tab::Schedules => schedules(now, look),
        Tab::Failures => failures(now.failures.iter(), now.at, look),
    };
    put(frame, area, (names, widths, rows), screen.row(tab));
}

fn over(frame: &mut Frame<'_>, area: Rect, screen: &mut Screen, look: Look) {
    let Some(over) = screen.over.last_mut() else {
        return;
    };
    frame.render_widget(Clear, area);
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let [title, body] = Layout::vertical([Constraint::Length(1), Constraint::Min(1)]).areas(area);
    match over {
        Over::Help => frame.render_widget(Paragraph::new(HELP), area),
        Over::Task(page) => {
            let name = Line::styled(format!("task {}", page.task), bold);
            frame.render_widget(name, title);
            let lines: Vec<_> = page
                .lines
                .iter()
                .map(|line| Line::raw(line.as_str()))
                .collect();
            frame.render_widget(
                Paragraph::new(lines)
                    .wrap(Wrap { trim: false })
                    .scroll((page.scroll, 0)),
                body,
            );
        }
        Over::Tasks { queue, tasks, row } => {
            let name = match tasks.len() {
                0 => format!("queue {queue}: nothing that has not ended well"),
                _ => format!("queue {queue}: newest enqueued first"),
            };
            frame.render_widget(Line::styled(name, bold), title);
            let now = screen.now.as_ref().map_or(Timestamp::MIN, |now| now.at);
            put(frame, body, failures(tasks.iter(), now, look), row);
        }
    }
}

fn last_line<'a>(screen: &Screen, look: Look) -> Line<'a> {
    if let Some(order) = &screen.question {
        let text = format!(
            "{} y: yes, any other key: no",
            order.question().unwrap_or_default()
        );
        return Line::styled(text, look.doubtful());
    }
    match &screen.notice {
        Some(Notice::Good(text)) => {
            return Line::styled(clean::line(text).into_owned(), look.good());
        }
        Some(Notice::Bad(text)) => return Line::styled(clean::line(text).into_owned(), look.bad()),
        None => {}
    }
    Line::raw(match (screen.over.last(), screen.tab) {
        (Some(Over::Help), _) => "Esc back",
        (Some(Over::Task(_)), _) => "up/down scroll  r retry  Esc back",
        (Some(Over::Tasks { .. }), _) => "Enter look  r retry  Esc back",
        (None, Tab::Queues) => "Enter tasks  p pause/resume  ? help  q end",
        (None, Tab::Workers) => "? help  q end",
        (None, Tab::Schedules) => "p pause/resume  r fire now  ? help  q end",
        (None, Tab::Failures) => "Enter look  r retry  ? help  q end",
    })
}

#[cfg(test)]
mod tests;
