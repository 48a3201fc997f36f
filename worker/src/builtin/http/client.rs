//! The HTTP client of the handler.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder};

/// How many redirects are followed.
const MAX_REDIRECTS: usize = 5;

/// Makes the client: rustls with ring, the system's certificates, at most 5 redirects, 10 s to
/// connect. Nothing else limits a request but its own timeout and that of its run.
pub(super) fn build() -> Result<Client, String> {
    // Fails when the program has chosen a provider already, which is then used.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    match configured().build() {
        Ok(client) => Ok(client),
        Err(error) => {
            // A machine without certificates can still make plain requests.
            tracing::warn!(%error, "no system certificates: https requests will fail");
            let bare = configured().tls_certs_only([]).build();
            bare.map_err(|error| error.to_string())
        }
    }
}

fn configured() -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("tidemill/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(10))
        .redirect(Policy::custom(|attempt| {
            if attempt.previous().len() > MAX_REDIRECTS {
                return attempt.error("more than 5 redirects");
            }
            match attempt.url().scheme() {
                "http" | "https" => attempt.follow(),
                _ => attempt.error("a redirect to something that is not http or https"),
            }
        }))
}
