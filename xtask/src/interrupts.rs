//! What wakes xtask while it waits: the end of a child, or the wish that it stops.

use std::cell::Cell;
use std::io;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::signal::Signal;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

/// The signals that xtask answers, from now until this is dropped.
///
/// Without it SIGINT and SIGTERM would end xtask at once, and what it started would stay behind.
pub(crate) struct Interrupts {
    // Dropped before the listener: a listener that waits for room in the channel is let go by that.
    events: Receiver<i32>,
    wish: Cell<Option<Signal>>,
    _listener: Listener,
}

impl Interrupts {
    /// Takes over SIGINT, SIGTERM and SIGHUP, and hears of children that end.
    pub(crate) fn listen() -> Result<Self, Vec<String>> {
        let failed = |error: io::Error| vec![format!("signals could not be taken over: {error}")];
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGCHLD]).map_err(failed)?;
        let handle = signals.handle();
        let (sender, events) = sync_channel(16);
        let thread = std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || {
                for signal in &mut signals {
                    if sender.send(signal).is_err() {
                        break;
                    }
                }
            })
            .map_err(failed)?;
        Ok(Self {
            events,
            wish: Cell::new(None),
            _listener: Listener {
                handle,
                thread: Some(thread),
            },
        })
    }

    /// Waits for a signal, but no longer than this.
    pub(crate) fn pause(&self, most: Duration) {
        let Ok(signal) = self.events.recv_timeout(most) else {
            return;
        };
        if signal != SIGCHLD && self.wish.get().is_none() {
            self.wish.set(Signal::try_from(signal).ok());
        }
    }

    /// The first signal that asked for an end.
    pub(crate) fn wish(&self) -> Option<Signal> {
        self.wish.get()
    }

    /// An error once an end was asked for.
    pub(crate) fn check(&self) -> Result<(), Vec<String>> {
        match self.wish() {
            None => Ok(()),
            Some(signal) => Err(vec![format!("stopped by {signal}")]),
        }
    }
}

struct Listener {
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.handle.close();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
