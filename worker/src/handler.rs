//! Handlers of many shapes behind one face.

use std::any::TypeId;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;

use futures::future::{BoxFuture, ready};
use serde::Serialize;
use tidemill_shared::{Payload, Task};

use crate::{Failure, Outcome, Run, RunContext, TaskResult};

/// A handler of any task.
pub(crate) trait ErasedHandler: Send + Sync + 'static {
    /// Begins a run.
    fn call(&self, payload: Payload, run: RunContext) -> BoxFuture<'static, Outcome>;

    /// Whether it runs on the blocking pool, where it can't be dropped.
    fn is_blocking(&self) -> bool {
        false
    }
}

/// `async fn(T, Run<S>) -> TaskResult<O>`.
pub(crate) struct Typed<H, S, T, O> {
    handler: H,
    state: Arc<S>,
    shape: PhantomData<fn(T) -> O>,
}

impl<H, S, T, O> Typed<H, S, T, O> {
    pub(crate) const fn new(handler: H, state: Arc<S>) -> Self {
        Self {
            handler,
            state,
            shape: PhantomData,
        }
    }
}

impl<H, F, S, T, O> ErasedHandler for Typed<H, S, T, O>
where
    H: Fn(T, Run<S>) -> F + Send + Sync + 'static,
    F: Future<Output = TaskResult<O>> + Send + 'static,
    S: Send + Sync + 'static,
    T: Task,
    O: Serialize + Send + 'static,
{
    fn call(&self, payload: Payload, run: RunContext) -> BoxFuture<'static, Outcome> {
        let task = match decode::<T>(&payload) {
            Ok(task) => task,
            Err(failure) => return Box::pin(ready(Err(failure))),
        };
        let future = (self.handler)(task, Run::new(run, Arc::clone(&self.state)));
        Box::pin(async move { encode(&future.await?) })
    }
}

/// `async fn(Payload, Run<S>) -> TaskResult<O>`, for kinds without a type.
pub(crate) struct Raw<H, S, O> {
    handler: H,
    state: Arc<S>,
    shape: PhantomData<fn() -> O>,
}

impl<H, S, O> Raw<H, S, O> {
    pub(crate) const fn new(handler: H, state: Arc<S>) -> Self {
        Self {
            handler,
            state,
            shape: PhantomData,
        }
    }
}

impl<H, F, S, O> ErasedHandler for Raw<H, S, O>
where
    H: Fn(Payload, Run<S>) -> F + Send + Sync + 'static,
    F: Future<Output = TaskResult<O>> + Send + 'static,
    S: Send + Sync + 'static,
    O: Serialize + Send + 'static,
{
    fn call(&self, payload: Payload, run: RunContext) -> BoxFuture<'static, Outcome> {
        let future = (self.handler)(payload, Run::new(run, Arc::clone(&self.state)));
        Box::pin(async move { encode(&future.await?) })
    }
}

/// `fn(T, Run<S>) -> TaskResult<O>`, on the blocking pool.
pub(crate) struct Blocking<H, S, T, O> {
    handler: Arc<H>,
    state: Arc<S>,
    shape: PhantomData<fn(T) -> O>,
}

impl<H, S, T, O> Blocking<H, S, T, O> {
    pub(crate) fn new(handler: H, state: Arc<S>) -> Self {
        Self {
            handler: Arc::new(handler),
            state,
            shape: PhantomData,
        }
    }
}

impl<H, S, T, O> ErasedHandler for Blocking<H, S, T, O>
where
    H: Fn(T, Run<S>) -> TaskResult<O> + Send + Sync + 'static,
    S: Send + Sync + 'static,
    T: Task,
    O: Serialize + Send + 'static,
{
    fn call(&self, payload: Payload, run: RunContext) -> BoxFuture<'static, Outcome> {
        let handler = Arc::clone(&self.handler);
        let pool = Arc::clone(run.engine().pool());
        let run = Run::new(run, Arc::clone(&self.state));
        Box::pin(async move {
            pool.run(move || {
                let context = run.context().clone();
                let _standing = context.enter();
                encode(&handler(decode::<T>(&payload)?, run)?)
            })
            .await
        })
    }

    fn is_blocking(&self) -> bool {
        true
    }
}

/// Reads a payload. What can't be read will never be: it is rejected, with the place.
fn decode<T: Task>(payload: &Payload) -> Result<T, Failure> {
    let wrong = |message: String| Err(Failure::reject(message).with_class("payload"));
    if !payload.content_type().is_json() {
        return wrong(format!(
            "the payload is {:?}; expected application/json",
            payload.content_type()
        ));
    }
    match serde_json::from_slice(payload.as_bytes()) {
        Ok(task) => Ok(task),
        Err(plain) => {
            // Read again to learn the path, which is too dear to track when all is well.
            let mut reader = serde_json::Deserializer::from_slice(payload.as_bytes());
            let path = match serde_path_to_error::deserialize::<_, T>(&mut reader) {
                Err(error) => error.path().to_string(),
                Ok(_) => ".".to_owned(),
            };
            wrong(format!(
                "the payload is not a {}: at {path}: {plain}",
                T::KIND
            ))
        }
    }
}

/// Writes a result. `()` is none.
fn encode<O: Serialize + 'static>(value: &O) -> Outcome {
    if TypeId::of::<O>() == TypeId::of::<()>() {
        return Ok(None);
    }
    match Payload::json(value) {
        Ok(payload) => Ok(Some(payload)),
        Err(error) => Err(Failure::class(
            "result",
            format!("the result cannot be written: {error}"),
        )),
    }
}
