//! Tidemill turns schedules and application calls into tasks, keeps them safely in a broker, and
//! runs them on as many workers as you start.
//!
//! ```no_run
//! use serde::{Deserialize, Serialize};
//! use tidemill::prelude::*;
//!
//! #[derive(Task, Serialize, Deserialize)]
//! #[task(kind = "email.welcome", queue = "mail", attempts = 5)]
//! struct WelcomeEmail {
//!     to: String,
//! }
//!
//! #[derive(Task, Default, Serialize, Deserialize)]
//! #[task(kind = "digest", queue = "mail")]
//! struct Digest {}
//!
//! # struct Smtp;
//! # impl Smtp {
//! #     async fn welcome(&self, _to: &str, _token: &str) -> std::io::Result<()> { Ok(()) }
//! # }
//! struct App {
//!     smtp: Smtp,
//! }
//!
//! async fn send_welcome(mail: WelcomeEmail, run: Run<App>) -> TaskResult {
//!     run.state().smtp.welcome(&mail.to, run.idempotency_token()).await?;
//!     Ok(())
//! }
//!
//! # async fn send_digest(_digest: Digest, _run: Run<App>) -> TaskResult { Ok(()) }
//! #[tokio::main]
//! async fn main() -> tidemill::Result<()> {
//!     let broker = tidemill::connect("sqlite:tasks.db").await?;
//!     let client = Client::new(&broker);
//!     let mail = WelcomeEmail { to: "ada@example.com".into() };
//!     client.enqueue(mail).after(10.minutes()).key("welcome:ada").await?;
//!     let mondays = cron("0 9 * * MON").in_tz("Europe/Madrid");
//!     client.schedule("digest", mondays, Digest::default()).await?;
//!     # let app = App { smtp: Smtp };
//!     Worker::new(&broker)
//!         .state(app)
//!         .queue("mail", 20)
//!         .handle(send_welcome)
//!         .handle(send_digest)
//!         .run()
//!         .await
//! }
//! ```
//!
//! | To | there is |
//! |---|---|
//! | open a store | [`connect`], [`Connect`] |
//! | put tasks into it | [`Client`], [`Enqueue`] |
//! | turn schedules into tasks | [`Client::schedule`], [`Scheduler`] |
//! | run tasks | [`Worker`], [`Run`], [`Failure`] |
//! | watch all of that | [`telemetry::Metrics`] |
//! | test all of that | [`testing::TestKit`] |
//!
//! Beside these stands the language of Tidemill (`tidemill-shared`): what a task, a queue, a lease
//! and a schedule are, and the contracts [`Broker`] and [`ledger::Ledger`].

mod connect;
mod duration_ext;
pub mod prelude;
mod system_clock;
pub mod testing;

pub use futures::future::BoxFuture;
pub use tidemill_macros::Task;
pub use tidemill_producer::*;
pub use tidemill_shared::*;
pub use tidemill_telemetry as telemetry;
pub use tidemill_worker::*;
pub use tokio_util::sync::CancellationToken;

pub use connect::{Connect, connect};
pub use duration_ext::DurationExt;
pub use system_clock::SystemClock;

/// The examples of the guides compile and run.
#[cfg(doctest)]
mod guides {
    #[doc = include_str!("../../docs/guides/enqueue.md")]
    struct Enqueue;
    #[doc = include_str!("../../docs/guides/testing.md")]
    struct Testing;
    #[doc = include_str!("../../docs/guides/idempotency.md")]
    struct Idempotency;
}
