//! TLS.

use redis::Value;
use tidemill_shared::ErrorKind;

use super::certificates::Authority;
use super::kit::{counted, open, refused};
use super::server::{Server, free_port};

/// A server that speaks TLS alone.
fn server(authority: &Authority, host: &str, clients: &str) -> Server {
    authority.sign("server", host);
    signed(authority, clients)
}

/// A server with the certificate that this authority has signed for it.
fn signed(authority: &Authority, clients: &str) -> Server {
    let path = |name| authority.file(name).to_string_lossy().into_owned();
    let port = free_port();
    Server::spawn(
        0,
        &[
            "--tls-port",
            &port.to_string(),
            "--tls-cert-file",
            &path("server.crt"),
            "--tls-key-file",
            &path("server.key"),
            "--tls-ca-cert-file",
            &path("ca.crt"),
            "--tls-auth-clients",
            clients,
        ],
    )
    .at(port)
}

fn url(server: &Server, settings: &str) -> String {
    format!("rediss://127.0.0.1:{}?{settings}", server.port)
}

#[tokio::test]
async fn a_server_whose_authority_is_named_is_trusted() {
    let authority = Authority::new();
    let server = server(&authority, "IP:127.0.0.1", "no");
    let settings = format!("ca={}", authority.file("ca.crt").display());
    let link = open(&url(&server, &settings)).await.unwrap();
    assert_eq!(counted(&link).await.unwrap(), Value::Int(1));
}

/// S48.
#[tokio::test]
async fn another_authority_another_host_and_none_are_refused() {
    let (authority, other) = (Authority::new(), Authority::new());
    let here = server(&authority, "IP:127.0.0.1", "no");
    let ready = format!("ca={}", authority.file("ca.crt").display());
    open(&url(&here, &ready)).await.unwrap();
    let wrong = format!("ca={}", other.file("ca.crt").display());
    for settings in [wrong.as_str(), ""] {
        let error = refused(&url(&here, settings)).await;
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(error.to_string().contains("not trusted"), "{error}");
    }
    let elsewhere = Authority::new();
    let server = server(&elsewhere, "DNS:redis.example", "no");
    let settings = format!("ca={}", elsewhere.file("ca.crt").display());
    let error = refused(&url(&server, &settings)).await;
    assert!(error.to_string().contains("not trusted"), "{error}");
    let insecure = open(&url(&server, "insecure=true")).await.unwrap();
    assert_eq!(counted(&insecure).await.unwrap(), Value::Int(1));
}

/// S48.
#[tokio::test]
async fn a_certificate_that_has_expired_is_refused() {
    let authority = Authority::new();
    authority.sign_for("server", "IP:127.0.0.1", -1);
    let server = signed(&authority, "no");
    let settings = format!("ca={}", authority.file("ca.crt").display());
    let error = refused(&url(&server, &settings)).await;
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert!(error.to_string().contains("not trusted"), "{error}");
}

#[tokio::test]
async fn a_client_shows_its_certificate_where_it_is_asked_for() {
    let authority = Authority::new();
    let server = server(&authority, "IP:127.0.0.1", "yes");
    authority.sign("client", "DNS:client");
    let path = |name| authority.file(name).display().to_string();
    let mut settings = format!("ca={}", path("ca.crt"));
    settings += &format!("&cert={}&key={}", path("client.crt"), path("client.key"));
    let link = open(&url(&server, &settings)).await.unwrap();
    assert_eq!(counted(&link).await.unwrap(), Value::Int(1));
    let error = refused(&url(
        &server,
        &format!("ca={}&timeout=500ms", path("ca.crt")),
    ))
    .await;
    assert!(error.to_string().contains("client certificate"), "{error}");
}

#[tokio::test]
async fn a_port_without_tls_and_a_missing_file_are_named() {
    let server = Server::start(&[]).await;
    let impatient = "insecure=true&connect_timeout=200ms&timeout=300ms";
    let error = refused(&url(&server, impatient)).await;
    assert!(error.to_string().contains("is it TLS"), "{error}");
    let error = refused(&url(&server, "ca=/nonexistent/ca.crt")).await;
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert!(error.to_string().contains("that ca names"), "{error}");
}
