//! What a message of RabbitMQ says of its trace, to whoever looks at it there.

use std::collections::BTreeMap;
use std::path::Path;

use super::{PATIENCE, Protocol, Spans, Target, Traces, api, collector::Collector};
use crate::faults::Desk;
use crate::{Place, Result, ensure, until};

/// How many tasks.
const TASKS: usize = 20;

/// Enqueues tasks, looks at their messages in the queue of RabbitMQ with this name, lets them run, and compares the
/// header of each with the spans that a collector of others was told of: it names the span that has sent the task, and
/// the run is a part of that one. Answers how many there were.
pub async fn message_headers(
    place: &Place,
    folder: &Path,
    node: &str,
    queue: &str,
) -> Result<usize> {
    let traces = Traces {
        seed: crate::fresh_seed(),
        calls: TASKS,
        schedules: 0,
        fires: 0,
        protocol: Protocol::Http,
    };
    let collector = Collector::start(folder).await?;
    let target = Target::start(traces.seed).await?;
    let listen = ["control", "--listen", "127.0.0.1:0", "--log-format", "json"];
    let control = traces.role(place, folder, &collector, 0, &listen)?;
    let address = until("the API to listen", PATIENCE, async || {
        Ok(api::address(&control.errors()?))
    })
    .await?;
    api::enqueue(address, TASKS, target.address()).await?;

    let headers = looked_at(node, queue).await?;
    ensure(headers.len() == TASKS, || {
        format!("{} messages are of {TASKS} tasks", headers.len())
    })?;
    let worker = ["worker", "--concurrency", "4"];
    let worker = traces.role(place, folder, &collector, 0, &worker)?;
    until("every task's request", PATIENCE, async || {
        Ok((target.served().len() >= TASKS).then_some(()))
    })
    .await?;
    traces.end(vec![control, worker]).await?;
    let mut last = String::new();
    let judged = until("the collector", PATIENCE, async || {
        let spans = Spans::read(&collector.output()?);
        let wrong = target.requests().into_iter().filter_map(|request| {
            let header = headers.get(&request.path).map_or("", String::as_str);
            spans
                .gap(&request)
                .or_else(|| spans.gap_to(&request, header))
        });
        let wrong: Vec<_> = wrong.collect();
        last = format!("{wrong:?}");
        Ok(wrong.is_empty().then_some(()))
    });
    let judged = judged.await;
    judged.map_err(|error| format!("{error}: {last}"))?;
    Ok(headers.len())
}

/// The `traceparent` of each message, by the path that its task is to call. The messages lie there again afterwards,
/// as if nobody had looked.
async fn looked_at(node: &str, queue: &str) -> Result<BTreeMap<String, String>> {
    let desk = Desk::at(node).await?;
    let mut headers = BTreeMap::new();
    for _ in 0..TASKS {
        let Some((header, body)) = desk.copy(queue, "traceparent").await? else {
            break;
        };
        let path = body.split("/call/").nth(1).unwrap_or_default();
        let number: String = path.chars().take_while(char::is_ascii_digit).collect();
        headers.insert(format!("/call/{number}"), header);
    }
    Ok(headers)
}
