//! The control service of Tidemill: an HTTP API under `/api/v1` for those who enqueue and operate.
//!
//! `routes` holds the one table of everything that is served. The router, the OpenAPI document and
//! the tests of access are made of it, so that no route can be forgotten. Each request passes the
//! `gate` (host, identity, permission, limits, idempotency, audit) before its handler in `api`
//! runs; handlers speak to brokers and ledgers through the contracts alone.

// The schemas are one large literal.
#![recursion_limit = "256"]

mod access;
mod api;
mod audit;
mod bulk;
mod call;
mod enqueue_form;
mod feed;
mod gate;
mod offload;
mod openapi;
mod problem;
mod record_form;
mod remote;
mod replay;
mod route;
mod routes;
mod schemas;
mod server;
mod settings;
mod state;
mod why;

pub use access::{Issued, Role, Scope, TokenRecord, Tokens};
pub use audit::{AuditRecord, Auditor};
pub use bulk::BulkChange;
pub use offload::{Caller, Offload, OffloadedRequest, offload};
pub use openapi::document as openapi;
pub use problem::Problem;
pub use remote::{ApiSettings, BackfillRange, BackfilledFire, Remote};
pub use replay::{
    Choice, How, ReplayBatch, ReplayOrder, ReplayPlan, ReplayProgress, ReplayStatus, Replays,
    UndoOutcome,
};

pub use route::{Action, Gives, Need, Param, Resource, Route, Takes, Trail};
pub use routes::ROUTES;
pub use server::Server;
pub use settings::{Authentication, JwtKeys, JwtSettings, Settings};
pub use state::Answered;
pub use why::{Finding, why};
