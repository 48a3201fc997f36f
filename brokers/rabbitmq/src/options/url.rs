//! The URL of a RabbitMQ.

use std::time::Duration;

use tidemill_shared::{Address, Error, Result, Secret, percent_decode};

use super::settings::{self, Settings};
use super::{Password, RabbitOptions, TlsOptions};

const PORT: u16 = 5672;
const TLS_PORT: u16 = 5671;
const PASSWORD_HINT: &str =
    "an @ stands behind the hosts; in a password, write %40 for @, %2F for / and %3F for ?";

pub(super) fn parse(url: &str) -> Result<RabbitOptions> {
    let expected = "expected amqp://HOST or amqps://HOST";
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err(wrong(format!("the URL has no scheme; {expected}")));
    };
    let (port, is_tls) = match scheme {
        "amqp" => (PORT, false),
        "amqps" => (TLS_PORT, true),
        _ => return Err(wrong(format!("the scheme is wrong; {expected}"))),
    };
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if query.contains('@') || path.contains('@') {
        return Err(wrong(PASSWORD_HINT));
    }
    let (credentials, hosts) = match authority.rsplit_once('@') {
        Some((credentials, hosts)) => (credentials, hosts),
        None => ("", authority),
    };
    let hosts = hosts.split(',').map(|host| Address::parse(host, port));
    let settings = settings::parse(query)?;
    if settings.needs_tls() && !is_tls {
        return Err(wrong("ca, cert and key are for TLS; write amqps://"));
    }
    assemble(
        hosts.collect::<Result<_>>()?,
        credentials,
        vhost(path)?,
        is_tls,
        settings,
    )
}

fn assemble(
    hosts: Vec<Address>,
    credentials: &str,
    vhost: String,
    is_tls: bool,
    settings: Settings,
) -> Result<RabbitOptions> {
    let (user, password) = match credentials.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (credentials, None),
    };
    let secret = |text: &str| {
        let text = percent_decode(text).ok_or_else(|| {
            wrong("user or password is not percent-encoded; write %25 for a percent sign")
        });
        text.map(Secret::new)
    };
    let password = match (password, settings.password_file) {
        (Some(_), Some(_)) => {
            return Err(wrong(
                "there is a password in the URL and a password_file; leave one of the two out",
            ));
        }
        (Some(password), None) => Password::Known(secret(password)?),
        (None, Some(file)) => Password::File(file),
        // What every RabbitMQ has for connections from its own machine.
        (None, None) if user.is_empty() => Password::Known(Secret::new("guest".into())),
        (None, None) => {
            return Err(wrong(
                "a user without a password cannot log in; expected user:password@, or ?password_file=FILE",
            ));
        }
    };
    Ok(RabbitOptions {
        hosts,
        user: secret(if user.is_empty() { "guest" } else { user })?,
        password,
        vhost,
        tls: is_tls.then_some(TlsOptions {
            ca: settings.ca,
            identity: settings.cert.zip(settings.key),
        }),
        heartbeat: settings.heartbeat.unwrap_or(Duration::from_secs(10)),
        connect_timeout: settings.connect_timeout.unwrap_or(Duration::from_secs(5)),
        timeout: settings.timeout.unwrap_or(Duration::from_secs(10)),
        queue_type: settings.queue_type,
    })
}

fn vhost(path: &str) -> Result<String> {
    if path.is_empty() {
        return Ok("/".into());
    }
    let vhost = percent_decode(path).filter(|_| !path.contains('/'));
    vhost.ok_or_else(|| {
        wrong("the vhost is not percent-encoded; write %2F for / and %25 for a percent sign")
    })
}

pub(super) fn wrong(message: impl Into<String>) -> Error {
    Error::invalid("connect", message)
}

#[cfg(test)]
mod tests {
    use tidemill_shared::{Address, ErrorKind};

    use crate::options::{Password, QueueType, RabbitOptions};

    #[test]
    fn a_url_names_hosts_a_vhost_and_settings() {
        let options = RabbitOptions::parse("amqp://localhost").unwrap();
        assert_eq!(options.hosts, [Address::new("localhost", 5672)]);
        assert_eq!(
            (options.vhost.as_str(), options.user.reveal()),
            ("/", "guest")
        );
        let url = "amqps://u%40:p%2F@one,[::1]:7/%2Fjobs?queue_type=classic&heartbeat=3s&ca=/c";
        let options = RabbitOptions::parse(url).unwrap();
        let hosts = [Address::new("one", 5671), Address::new("::1", 7)];
        assert_eq!(options.hosts, hosts);
        assert_eq!(
            (options.vhost.as_str(), options.user.reveal()),
            ("/jobs", "u@")
        );
        assert!(matches!(&options.password, Password::Known(text) if text.reveal() == "p/"));
        assert_eq!(
            (options.queue_type, options.heartbeat.as_secs()),
            (QueueType::Classic, 3)
        );
        assert!(options.tls.is_some());
    }

    #[test]
    fn a_wrong_url_is_refused_with_what_was_expected_and_without_the_password() {
        for (url, part) in [
            ("amqp:localhost", "no scheme"),
            ("http://localhost", "amqp://HOST"),
            ("amqp://", "a host is missing"),
            ("amqp://hunter2:hunter2@", "a host is missing"),
            ("amqp://hunter2@localhost", "a user without a password"),
            ("amqp://u:hunter2@localhost/a/b", "%2F"),
            ("amqp://u:hunter2/@localhost", "an @ stands behind"),
            ("amqp://u:hunter2@localhost:x", "a port is not a number"),
            ("amqp://u:hunter2%@localhost", "not percent-encoded"),
            ("amqp://localhost?queue=quorum", "no setting \"queue\""),
            ("amqp://localhost?queue_type=lazy", "quorum or classic"),
            ("amqp://localhost?heartbeat=1500ms", "whole seconds"),
            ("amqp://localhost?timeout=0s", "between 1ms and 1h"),
            ("amqp://localhost?timeout=1s&timeout=1s", "given twice"),
            ("amqp://localhost?ca=/x", "amqps://"),
            ("amqps://localhost?cert=/x", "belong together"),
            ("amqp://u:hunter2@localhost?password_file=/x", "leave one"),
        ] {
            let error = RabbitOptions::parse(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{url}");
            let text = error.to_string();
            assert!(
                text.contains(part) && !text.contains("hunter2"),
                "{url}: {text}"
            );
        }
    }
}
