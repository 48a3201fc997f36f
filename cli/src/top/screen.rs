//! What is shown, and what the keys mean.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::widgets::TableState;
use tidemill::{QueueName, TaskId, TaskRecord};

use super::orders::{Done, Order};
use super::page::Page;
use super::snapshot::Snapshot;
use crate::problem::Problem;

/// The tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tab {
    Queues,
    Workers,
    Schedules,
    Failures,
}

impl Tab {
    pub(super) const ALL: [Self; 4] =
        [Self::Queues, Self::Workers, Self::Schedules, Self::Failures];

    pub(super) const fn number(self) -> usize {
        self as usize
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Queues => "1 queues",
            Self::Workers => "2 workers",
            Self::Schedules => "3 schedules",
            Self::Failures => "4 failures",
        }
    }

    fn step(self, by: usize) -> Self {
        let all = Self::ALL;
        let number = (self.number() + by) % all.len();
        all.get(number).copied().unwrap_or(self)
    }
}

/// What lies over the tables.
#[derive(Debug)]
pub(super) enum Over {
    Help,
    Task(Page),
    Tasks {
        queue: QueueName,
        tasks: Vec<TaskRecord>,
        row: TableState,
    },
}

/// What a key leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wish {
    End,
    Order(Order),
}

/// Everything that is shown.
#[derive(Debug)]
pub(super) struct Screen {
    /// Which store it is.
    pub(super) title: String,
    pub(super) tab: Tab,
    rows: [TableState; 4],
    pub(super) over: Vec<Over>,
    /// What waits for a yes.
    pub(super) question: Option<Order>,
    /// What was said last.
    pub(super) notice: Option<Notice>,
    /// Why the last look failed.
    pub(super) trouble: Option<String>,
    pub(super) now: Option<Snapshot>,
    /// The look before: what was done in between.
    pub(super) before: Option<Snapshot>,
}

/// Something that is told in the last line.
#[derive(Debug)]
pub(super) enum Notice {
    Good(String),
    Bad(String),
}

impl Screen {
    pub(super) fn new(title: String) -> Self {
        Self {
            title,
            tab: Tab::Queues,
            rows: std::array::from_fn(|_| TableState::default().with_selected(0)),
            over: Vec::new(),
            question: None,
            notice: None,
            trouble: None,
            now: None,
            before: None,
        }
    }

    /// Takes what was read.
    pub(super) fn see(&mut self, found: Result<Snapshot, Problem>) {
        match found {
            Ok(found) => {
                self.trouble = None;
                self.before = self.now.replace(found);
                for tab in Tab::ALL {
                    let last = self.count(tab).saturating_sub(1);
                    let row = self.row(tab);
                    row.select(Some(row.selected().unwrap_or_default().min(last)));
                }
            }
            Err(problem) => self.trouble = Some(problem.in_one_line()),
        }
    }

    /// Takes what came of an order.
    pub(super) fn hear(&mut self, done: Result<Done, Problem>) {
        match done {
            Ok(Done::Changed(text)) => self.notice = Some(Notice::Good(text)),
            Ok(Done::Task(page)) => self.over.push(Over::Task(page)),
            Ok(Done::Tasks(queue, tasks)) => self.over.push(Over::Tasks {
                queue,
                tasks,
                row: TableState::default().with_selected(0),
            }),
            Err(problem) => self.notice = Some(Notice::Bad(problem.in_one_line())),
        }
    }

    /// The row that is chosen in a table.
    pub(super) fn row(&mut self, tab: Tab) -> &mut TableState {
        match tab {
            Tab::Queues => &mut self.rows[0],
            Tab::Workers => &mut self.rows[1],
            Tab::Schedules => &mut self.rows[2],
            Tab::Failures => &mut self.rows[3],
        }
    }

    fn count(&self, tab: Tab) -> usize {
        let count = |now: &Snapshot| match tab {
            Tab::Queues => now.queues.len(),
            Tab::Workers => now.workers.len(),
            Tab::Schedules => now.schedules.len(),
            Tab::Failures => now.failures.len(),
        };
        self.now.as_ref().map_or(0, count)
    }

    /// What a key means.
    pub(super) fn press(&mut self, key: KeyEvent) -> Option<Wish> {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        if control && key.code == KeyCode::Char('c') {
            return Some(Wish::End);
        }
        self.notice = None;
        if let Some(order) = self.question.take() {
            let yes = matches!(key.code, KeyCode::Char('y' | 'Y'));
            return yes.then_some(Wish::Order(order));
        }
        match key.code {
            KeyCode::Char('q') if self.over.is_empty() => return Some(Wish::End),
            KeyCode::Char('q') | KeyCode::Esc | KeyCode::Backspace => {
                self.over.pop();
            }
            KeyCode::Char('?' | 'h') => self.over.push(Over::Help),
            KeyCode::Up | KeyCode::Char('k') => self.step(-1),
            KeyCode::Down | KeyCode::Char('j') => self.step(1),
            KeyCode::PageUp => self.step(-10),
            KeyCode::PageDown | KeyCode::Char(' ') => self.step(10),
            KeyCode::Home | KeyCode::Char('g') => self.step(i32::MIN / 2),
            KeyCode::End | KeyCode::Char('G') => self.step(i32::MAX / 2),
            KeyCode::Tab | KeyCode::Right => self.turn_to(self.tab.step(1)),
            KeyCode::BackTab | KeyCode::Left => self.turn_to(self.tab.step(Tab::ALL.len() - 1)),
            KeyCode::Char(number @ '1'..='4') => {
                let tab = Tab::ALL.into_iter();
                let mut tab = tab.filter(|tab| tab.name().starts_with(number));
                self.turn_to(tab.next().unwrap_or(self.tab));
            }
            KeyCode::Enter => return self.look_at().map(Wish::Order),
            KeyCode::Char('p') => self.question = self.pause(),
            KeyCode::Char('r') => self.question = self.retry(),
            _ => {}
        }
        None
    }

    fn turn_to(&mut self, tab: Tab) {
        self.over.clear();
        self.tab = tab;
    }

    fn step(&mut self, by: i32) {
        let tab = self.tab;
        let count = self.count(tab);
        match self.over.last_mut() {
            Some(Over::Task(page)) => page.scroll(by),
            Some(Over::Tasks { tasks, row, .. }) => step(row, by, tasks.len()),
            Some(Over::Help) => {}
            None => step(self.row(tab), by, count),
        }
    }

    /// The task that is chosen, or looked at.
    fn task(&mut self) -> Option<TaskId> {
        let chosen = self.row(Tab::Failures).selected()?;
        let record = match self.over.last() {
            Some(Over::Task(page)) => return Some(page.task.clone()),
            Some(Over::Tasks { tasks, row, .. }) => tasks.get(row.selected()?)?,
            Some(Over::Help) => return None,
            None if self.tab == Tab::Failures => self.now.as_ref()?.failures.get(chosen)?,
            None => return None,
        };
        Some(record.envelope.id.clone())
    }

    fn look_at(&mut self) -> Option<Order> {
        if let Some(Over::Task(_) | Over::Help) = self.over.last() {
            return None;
        }
        if let Some(task) = self.task() {
            return Some(Order::LookAt(task));
        }
        let chosen = self.row(Tab::Queues).selected()?;
        let queue = self.now.as_ref()?.queues.get(chosen)?;
        (self.tab == Tab::Queues && self.over.is_empty()).then(|| Order::List(queue.queue.clone()))
    }

    /// Pauses what goes on, and lets go on what is paused.
    fn pause(&mut self) -> Option<Order> {
        if !self.over.is_empty() {
            return None;
        }
        let chosen = self.row(self.tab).selected()?;
        let now = self.now.as_ref()?;
        match self.tab {
            Tab::Queues => {
                let queue = now.queues.get(chosen)?;
                let name = queue.queue.clone();
                Some(match queue.paused {
                    true => Order::ResumeQueue(name),
                    false => Order::PauseQueue(name),
                })
            }
            Tab::Schedules => {
                let record = now.schedules.get(chosen)?;
                let id = record.schedule.id.clone();
                Some(match record.paused {
                    true => Order::ResumeSchedule(id),
                    false => Order::PauseSchedule(id),
                })
            }
            Tab::Workers | Tab::Failures => None,
        }
    }

    fn retry(&mut self) -> Option<Order> {
        if let Some(task) = self.task() {
            return Some(Order::Retry(task));
        }
        let chosen = self.row(Tab::Schedules).selected()?;
        let record = self.now.as_ref()?.schedules.get(chosen)?;
        let here = self.tab == Tab::Schedules && self.over.is_empty();
        here.then(|| Order::Fire(record.schedule.id.clone()))
    }
}

fn step(row: &mut TableState, by: i32, count: usize) {
    let last = i32::try_from(count.saturating_sub(1)).unwrap_or(i32::MAX);
    let from = i32::try_from(row.selected().unwrap_or_default()).unwrap_or(i32::MAX);
    let to = from.saturating_add(by).clamp(0, last);
    row.select(usize::try_from(to).ok());
}
