//! Who may do what.

mod door;
mod jwt;
mod principal;
mod role;
mod tokens;

pub(crate) use door::Door;
pub(crate) use jwt::Jwt;
pub(crate) use principal::Principal;
pub use role::{Role, Scope};
pub(crate) use tokens::hex;
pub use tokens::{Issued, TokenRecord, Tokens};
