//! The seven methods of a broker, of which those who operate need two.

use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tidemill_shared::{
    Admission, Broker, Capabilities, Demand, Envelope, Error, ErrorKind, Inspect, KeyFate, Lease,
    LeaseToken, QueueName, QueueStats, Renewal, Result, Settled, Settlement, Swept, TaskId,
    format_duration,
};

use super::api::{Api, not_here};

/// The largest payload: a body has 1 MiB, and something stands around it.
const MAX_PAYLOAD: usize = (1 << 20) - 8 * 1_024;

#[derive(Deserialize)]
struct Answers {
    results: Vec<Answer>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    Good { id: TaskId, admission: String },
    Bad { error: String, detail: String },
}

fn admission(own: &TaskId, answer: Answer) -> Result<Admission> {
    let (error, detail) = match answer {
        Answer::Good { admission, .. } if admission == "admitted" => {
            return Ok(Admission::Admitted);
        }
        Answer::Good { id, .. } => return Ok(Admission::Duplicate(id)),
        Answer::Bad { error, detail } => (error, detail),
    };
    let kind = match error.as_str() {
        "conflict" => return Ok(Admission::IdConflict),
        "invalid" => ErrorKind::Invalid,
        "not_found" => ErrorKind::NotFound,
        "unavailable" | "timeout" => ErrorKind::Unavailable,
        _ => ErrorKind::Internal,
    };
    Err(Error::new(kind, "enqueue", format!("task {own}: {detail}")))
}

/// A task as the API takes it, with its payload as it is.
#[derive(Serialize)]
struct Form<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a RawValue>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Serialize)]
struct Forms<'a> {
    tasks: Vec<Form<'a>>,
}

/// An envelope as the API takes it.
fn form(envelope: &Envelope) -> Result<Form<'_>> {
    let payload = &envelope.payload;
    let mut form = Map::new();
    let mut put = |name: &str, value: Value| form.insert(name.to_owned(), value);
    let payload = match payload.content_type().is_json() {
        true => {
            let json: &RawValue = serde_json::from_slice(payload.as_bytes())
                .map_err(|e| Error::invalid("payload", "it is no JSON").with_source(e))?;
            Some(json)
        }
        false => {
            put("payload_base64", STANDARD.encode(payload.as_bytes()).into());
            put("content_type", payload.content_type().as_str().into());
            None
        }
    };
    put("id", envelope.id.as_str().into());
    put("kind", envelope.kind.as_str().into());
    put("queue", envelope.queue.as_str().into());
    put("priority", i64::from(envelope.priority).into());
    put("retry", json!(envelope.retry));
    put("timeout", format_duration(envelope.timeout).into());
    put("retention", format_duration(envelope.retention).into());
    put("headers", json!(envelope.headers));
    if envelope.due_at > envelope.enqueued_at {
        put("at", json!(envelope.due_at));
    }
    if let Some(deadline) = envelope.deadline {
        put("deadline", json!(deadline));
    }
    if let Some(claim) = &envelope.key {
        let fate = |fate: KeyFate| match fate {
            KeyFate::Free => "free",
            KeyFate::Keep => "keep",
        };
        put("key", claim.key.as_str().into());
        put("key_ttl", format_duration(claim.ttl).into());
        put("key_on_success", fate(claim.on_success).into());
        put("key_on_failure", fate(claim.on_failure).into());
    }
    Ok(Form {
        payload,
        rest: form,
    })
}

#[async_trait]
impl Broker for Api {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            system: "tidemill.api",
            keys: true,
            priorities: true,
            renew: false,
            inspect: true,
            exact_delay: true,
            multi_process: true,
            exact_settle: true,
            persistent: true,
            max_payload: MAX_PAYLOAD,
            max_batch: 1_000,
            max_calls: 2,
        }
    }

    async fn enqueue(&self, batch: Vec<Envelope>) -> Result<Vec<Admission>> {
        let tasks = batch.iter().map(form).collect::<Result<Vec<_>>>()?;
        let ask = self.post(vec!["tasks", "batch"]).body(Forms { tasks });
        let answers: Answers = ask.good().await?;
        let mut admissions = Vec::with_capacity(batch.len());
        for (envelope, answer) in batch.iter().zip(answers.results) {
            admissions.push(match &answer {
                Answer::Bad { error, .. } if error == "refused" => {
                    let queue = std::slice::from_ref(&envelope.queue);
                    let stats = self.stats(queue).await?;
                    let limit = stats.first().and_then(|stats| stats.limit);
                    Admission::QueueFull {
                        limit: limit.unwrap_or_default(),
                    }
                }
                _ => admission(&envelope.id, answer)?,
            });
        }
        Ok(admissions)
    }

    async fn stats(&self, queues: &[QueueName]) -> Result<Vec<QueueStats>> {
        let all: Vec<QueueStats> = self.all("queues").await?;
        if queues.is_empty() {
            return Ok(all);
        }
        let find = |name: &QueueName| {
            let found = all.iter().find(|one| one.queue == *name);
            found
                .cloned()
                .unwrap_or_else(|| QueueStats::empty(name.clone()))
        };
        Ok(queues.iter().map(find).collect())
    }

    fn inspect(&self) -> Option<&dyn Inspect> {
        Some(self)
    }

    async fn lease(&self, _demand: &Demand) -> Result<Vec<Lease>> {
        not_here("leasing")
    }

    async fn renew(&self, _tokens: &[LeaseToken], _ttl: Duration) -> Result<Vec<Renewal>> {
        not_here("leasing")
    }

    async fn settle(&self, _batch: Vec<Settlement>) -> Result<Vec<Settled>> {
        not_here("settling")
    }

    async fn sweep(&self, _budget: usize) -> Result<Swept> {
        not_here("sweeping")
    }
}
