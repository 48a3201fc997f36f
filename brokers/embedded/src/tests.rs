//! What can only be seen from inside.

pub(crate) mod statements;
