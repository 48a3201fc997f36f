//! What the URLs of all servers have in common: hosts, percent signs, and texts that are never shown.

mod address;
mod percent;
mod secret;

pub use address::Address;
pub use percent::percent_decode;
pub use secret::Secret;
