//! One attempt to connect to one host.

use std::path::Path;

use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::tcp::{OwnedIdentity, OwnedTLSConfig};
use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
use lapin::{Connection, ConnectionProperties, ErrorKind as AmqpKind};
use tidemill_shared::{Address, Error, ErrorKind, Result};
use tokio::time::{Instant, timeout_at};

use crate::options::{Password, RabbitOptions, TlsOptions};

/// Connects, logs in and opens the vhost.
pub(super) async fn dial(
    options: &RabbitOptions,
    host: &Address,
    purpose: &str,
    limit: Instant,
) -> Result<Connection> {
    let password = match &options.password {
        Password::Known(password) => password.reveal().to_owned(),
        Password::File(path) => {
            let text = read("password_file", path).await?;
            text.trim_end_matches(['\r', '\n']).to_owned()
        }
    };
    let uri = AMQPUri {
        scheme: match options.tls {
            Some(_) => AMQPScheme::AMQPS,
            None => AMQPScheme::AMQP,
        },
        authority: AMQPAuthority {
            userinfo: AMQPUserInfo {
                username: options.user.reveal().to_owned(),
                password,
            },
            host: host.host.clone(),
            port: host.port,
        },
        vhost: options.vhost.clone(),
        query: AMQPQueryString {
            heartbeat: Some(u16::try_from(options.heartbeat.as_secs()).unwrap_or(u16::MAX)),
            ..AMQPQueryString::default()
        },
    };
    let tls = match &options.tls {
        Some(tls) => identity(tls).await?,
        None => OwnedTLSConfig::default(),
    };
    let properties = ConnectionProperties::default()
        .with_connection_name(format!("tidemill {purpose}").as_str().into());
    let runtime =
        lapin::runtime::default_runtime().map_err(|error| refused(&error, host, options))?;
    let attempt = Connection::connect_uri_with_config(uri, properties, tls, runtime);
    match timeout_at(limit, attempt).await {
        Ok(connected) => connected.map_err(|error| refused(&error, host, options)),
        Err(_) => Err(Error::new(
            ErrorKind::Unavailable,
            "connect",
            format!("RabbitMQ at {host} did not answer in time"),
        )),
    }
}

async fn identity(tls: &TlsOptions) -> Result<OwnedTLSConfig> {
    let cert_chain = match &tls.ca {
        Some(ca) => Some(read("ca", ca).await?),
        None => None,
    };
    let identity = match &tls.identity {
        Some((cert, key)) => Some(OwnedIdentity::PKCS8 {
            pem: read("cert", cert).await?.into_bytes(),
            key: read("key", key).await?.into_bytes(),
        }),
        None => None,
    };
    Ok(OwnedTLSConfig {
        identity,
        cert_chain,
    })
}

async fn read(setting: &str, path: &Path) -> Result<String> {
    let file = path.to_owned();
    let text = tokio::task::spawn_blocking(move || std::fs::read_to_string(file)).await;
    let text = text.map_err(|_| {
        Error::new(
            ErrorKind::Unavailable,
            "connect",
            "reading a file was interrupted",
        )
    })?;
    text.map_err(|error| {
        Error::invalid(
            "connect",
            format!("the file that {setting} names cannot be read: {error}"),
        )
    })
}

/// Why a connection did not come about. What only a person can mend is final.
fn refused(error: &lapin::Error, host: &Address, options: &RabbitOptions) -> Error {
    let invalid = |text: String| Error::invalid("connect", text);
    match error.kind() {
        AmqpKind::ProtocolError(refusal) => match refusal.kind() {
            AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) => invalid(format!(
                "RabbitMQ at {host} refuses the user or the password; percent-encode both in the URL (guest may only connect from RabbitMQ's own machine)"
            )),
            AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED) => invalid(format!(
                "RabbitMQ at {host} has no vhost {:?} for this user; create it with `rabbitmqctl add_vhost` and permit it with `rabbitmqctl set_permissions`",
                options.vhost
            )),
            AMQPErrorKind::Soft(_) | AMQPErrorKind::Hard(_) => Error::new(
                ErrorKind::Unavailable,
                "connect",
                format!("RabbitMQ at {host} has answered: {}", refusal.get_message()),
            ),
        },
        AmqpKind::IOError(io) if is_about_certificates(io) => invalid(format!(
            "RabbitMQ at {host} cannot be trusted or does not trust us: {io}; name its CA with ca=FILE, and cert=FILE and key=FILE where it asks for them"
        )),
        _ => Error::new(
            ErrorKind::Unavailable,
            "connect",
            format!("RabbitMQ at {host} cannot be reached: {error}"),
        ),
    }
}

fn is_about_certificates(error: &std::io::Error) -> bool {
    let text = error.to_string().to_lowercase();
    [
        "certificate",
        "invalidmessage",
        "corrupt message",
        "handshakefailure",
        "unknownca",
    ]
    .iter()
    .any(|word| text.contains(word))
}
