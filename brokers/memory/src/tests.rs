//! Tests of what is this store's own. What every broker owes is in the conformance suite.

mod fires;
mod gate;
mod indices;
mod keys;
mod revocation;
mod scene;
mod waiting;
