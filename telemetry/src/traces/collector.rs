//! The way to a collector: bounded, and nothing waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SpanData, SpanExporter, SpanProcessor,
};

use super::refusals::{Outlet, Refusals};
use super::told::{self, Told};

/// What became of spans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpanCounts {
    /// The collector took them.
    pub exported: u64,
    /// The collector refused them, and took the rest of their batch. Told apart over `http/protobuf` alone; over
    /// `grpc` they count as exported.
    pub rejected: u64,
    /// There was no room for them: the collector is slow, or not there.
    pub dropped: u64,
    /// The collector refused them, or could not be reached.
    pub failed: u64,
}

/// Spans that wait, and the thread of the SDK that sends them in batches.
#[derive(Debug)]
pub(super) struct Collector {
    processor: BatchSpanProcessor,
    room: usize,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Spans that were taken and have not been sent.
    waiting: AtomicUsize,
    exported: AtomicU64,
    rejected: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
    is_failing: told::State,
    is_full: AtomicBool,
    fullness: Told,
    refusal: Told,
}

impl Collector {
    pub(super) fn new(
        outlet: Outlet<impl SpanExporter + 'static>,
        resource: &Resource,
        room: usize,
    ) -> Self {
        let state = Arc::new(State::default());
        let watched = Watched {
            exporter: outlet.exporter,
            refusals: outlet.refusals,
            room,
            state: Arc::clone(&state),
        };
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(room)
            .build();
        let mut processor = BatchSpanProcessor::builder(watched)
            .with_batch_config(batches)
            .build();
        processor.set_resource(resource);
        Self {
            processor,
            room,
            state,
        }
    }

    /// Whether there is room for one more. What there is none for counts as dropped.
    pub(super) fn has_room(&self) -> bool {
        let has_room = self.state.waiting.load(Ordering::Relaxed) < self.room;
        if !has_room {
            self.drop_one();
        }
        has_room
    }

    /// Takes a span, which is only made if there is room for it.
    pub(super) fn take(&self, span: impl FnOnce() -> SpanData) {
        let state = &self.state;
        // The SDK's own queue has as much room, so that it never is the one to drop.
        if state.waiting.fetch_add(1, Ordering::AcqRel) >= self.room {
            state.waiting.fetch_sub(1, Ordering::AcqRel);
            self.drop_one();
            return;
        }
        self.processor.on_end(span());
    }

    fn drop_one(&self) {
        self.state.dropped.fetch_add(1, Ordering::Relaxed);
        if !self.state.is_full.swap(true, Ordering::Relaxed) && self.state.fullness.is_due() {
            tracing::warn!(
                room = self.room,
                "the collector is slower than spans come: some are dropped, as tidemill_spans_total counts"
            );
        }
    }

    pub(super) fn counts(&self) -> SpanCounts {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        SpanCounts {
            exported: count(&self.state.exported),
            rejected: count(&self.state.rejected),
            dropped: count(&self.state.dropped),
            failed: count(&self.state.failed),
        }
    }

    pub(super) fn shut_down(&self, limit: Duration) {
        if let Err(error) = self.processor.shutdown_with_timeout(limit) {
            let waiting = self.state.waiting.load(Ordering::Relaxed);
            tracing::warn!(%error, waiting, "the last spans did not reach the collector");
        }
    }
}

impl<E> Watched<E> {
    /// A batch was taken, perhaps without some of it.
    fn taken(&self, count: u64) {
        let state = &self.state;
        let refused = self.refusals.take();
        let rejected = refused.spans.min(count);
        state
            .exported
            .fetch_add(count - rejected, Ordering::Relaxed);
        let so_far = state.rejected.fetch_add(rejected, Ordering::Relaxed) + rejected;
        if rejected > 0 && state.refusal.is_due() {
            tracing::warn!(
                rejected,
                so_far,
                reason = refused.reason,
                "the collector refuses some spans of the batches that it takes"
            );
        }
    }
}

/// An exporter whose answers are counted, and told when they change.
#[derive(Debug)]
struct Watched<E> {
    exporter: E,
    refusals: Refusals,
    room: usize,
    state: Arc<State>,
}

impl<E: SpanExporter> SpanExporter for Watched<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let (state, count) = (&self.state, batch.len());
        let left = state.waiting.fetch_sub(count, Ordering::AcqRel) - count;
        if left < self.room / 2 {
            state.is_full.store(false, Ordering::Relaxed);
        }
        let answer = self.exporter.export(batch).await;
        match &answer {
            Ok(()) => {
                self.taken(count as u64);
                if state.is_failing.is_news(false) {
                    tracing::info!("the collector takes spans again");
                }
            }
            Err(error) => {
                state.failed.fetch_add(count as u64, Ordering::Relaxed);
                if state.is_failing.is_news(true) {
                    tracing::warn!(%error, "the collector takes no spans; they are lost until it does");
                }
            }
        }
        answer
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use opentelemetry::InstrumentationScope;
    use opentelemetry_sdk::Resource;
    use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
    use opentelemetry_sdk::trace::{SpanData, SpanExporter};
    use tidemill_shared::{SpanKind, SpanRecord, Timestamp};

    use super::{Collector, SpanCounts};
    use crate::traces::convert;
    use crate::traces::refusals::Outlet;

    /// Takes a batch when it is told to, and then answers what it is told.
    #[derive(Debug)]
    struct Told(Mutex<Receiver<OTelSdkResult>>);

    impl SpanExporter for Told {
        async fn export(&self, _batch: Vec<SpanData>) -> OTelSdkResult {
            self.0.lock().unwrap().recv().unwrap_or(Ok(()))
        }
    }

    fn collector(room: usize) -> (Collector, SyncSender<OTelSdkResult>) {
        let (tell, told) = sync_channel(16);
        let exporter = Told(Mutex::new(told));
        let resource = Resource::builder_empty().build();
        (Collector::new(Outlet::of(exporter), &resource, room), tell)
    }

    fn end_spans(collector: &Collector, count: usize) {
        let scope = InstrumentationScope::builder("test").build();
        for _ in 0..count {
            let record = SpanRecord {
                name: "test".into(),
                kind: SpanKind::Client,
                context: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
                    .parse()
                    .unwrap(),
                parent: None,
                links: Vec::new(),
                attributes: Vec::new(),
                failure: None,
                started_at: Timestamp::default(),
                ended_at: Timestamp::default(),
            };
            collector.take(|| convert::span(record, &scope));
        }
    }

    /// F57. The exporter stands still, as with a collector that takes a connection and never answers.
    #[test]
    fn a_collector_that_stands_still_holds_nobody_up_and_what_has_no_room_is_counted() {
        let (collector, tell) = collector(100);
        // More than there is room for, sent or not: at most one batch of 100 is with the exporter.
        end_spans(&collector, 1_000);
        let counts = collector.counts();
        assert!((800..=900).contains(&counts.dropped), "{counts:?}");
        assert_eq!(counts.exported, 0);
        drop(tell);
        collector.shut_down(Duration::from_secs(10));
        let counts = collector.counts();
        assert_eq!(counts.exported + counts.dropped, 1_000);
    }

    #[test]
    fn what_a_collector_refuses_is_counted_as_failed() {
        let (collector, tell) = collector(100);
        tell.send(Err(OTelSdkError::InternalFailure("refused".into())))
            .unwrap();
        end_spans(&collector, 10);
        drop(tell);
        collector.shut_down(Duration::from_secs(10));
        let failed = 10;
        assert_eq!(
            collector.counts(),
            SpanCounts {
                failed,
                ..SpanCounts::default()
            }
        );
    }

    #[test]
    fn the_end_does_not_wait_for_a_collector_for_longer_than_it_may() {
        let (collector, tell) = collector(100);
        end_spans(&collector, 10);
        let collector = Arc::new(collector);
        // The exporter waits for a word that does not come: this returns all the same.
        collector.shut_down(Duration::from_millis(50));
        assert_eq!(collector.counts().exported, 0);
        drop(tell);
    }
}
