//! A handler's panic becomes a failure that says where and why.
//!
//! The place of a panic is known only to the process's panic hook, so this module wraps the hook
//! that is there, once: the wrapper notes place and message while a handler runs on the thread, then
//! calls the wrapped hook as before.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Once;
use std::task::{Context, Poll};

use futures::future::BoxFuture;

use crate::{Failure, Outcome};

thread_local! {
    static IN_HANDLER: Cell<bool> = const { Cell::new(false) };
    static NOTE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Wraps the process's panic hook; later calls do nothing.
pub(crate) fn install_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let wrapped = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if IN_HANDLER.get() {
                let place = info
                    .location()
                    .map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
                let note = format!("panicked at {place}: {}", text(info.payload()));
                NOTE.with(|slot| *slot.borrow_mut() = Some(note));
            }
            wrapped(info);
        }));
    });
}

fn text(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(no text)")
}

/// Calls what may panic; a panic is a failure of class `panic`.
pub(crate) fn guard<T>(call: impl FnOnce() -> T) -> Result<T, Failure> {
    let outer = IN_HANDLER.replace(true);
    let result = catch_unwind(AssertUnwindSafe(call));
    IN_HANDLER.set(outer);
    result.map_err(|payload| {
        // Another hook may have taken the place of ours; then the place is not known.
        let note = NOTE
            .with(|slot| slot.borrow_mut().take())
            .unwrap_or_else(|| format!("panicked: {}", text(&*payload)));
        // Dropping the payload may run user code that panics again.
        if catch_unwind(AssertUnwindSafe(|| drop(payload))).is_err() {
            tracing::warn!("the payload of a panic panicked when it was dropped");
        }
        Failure::class("panic", note)
    })
}

/// A handler's future, each poll of which is guarded.
pub(crate) struct Guarded(Option<BoxFuture<'static, Outcome>>);

impl Guarded {
    pub(crate) const fn new(future: BoxFuture<'static, Outcome>) -> Self {
        Self(Some(future))
    }

    /// Ends the handler where it stands.
    pub(crate) fn discard(&mut self) {
        if let Some(future) = self.0.take()
            && let Err(failure) = guard(|| drop(future))
        {
            tracing::warn!(%failure, "a handler panicked while it was dropped");
        }
    }
}

impl Future for Guarded {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let Some(future) = self.0.as_mut() else {
            return Poll::Pending;
        };
        match guard(|| future.as_mut().poll(cx)) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(outcome)) => {
                self.discard();
                Poll::Ready(outcome)
            }
            Err(failure) => {
                self.discard();
                Poll::Ready(Err(failure))
            }
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.discard();
    }
}
