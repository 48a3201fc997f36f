//! The variables of OpenTelemetry, as far as its SDK does not read them itself.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::EnvResourceDetector;
use opentelemetry_sdk::trace::Sampler;
use tidemill_shared::{Error, Result};

use super::otlp::{Protocol, TIMEOUT};
use super::sampling::{Heed, Sampling};

/// How many spans may wait unless `OTEL_BSP_MAX_QUEUE_SIZE` says otherwise: more than OpenTelemetry's
/// own 2,048, of which a worker fills that many within a tenth of a second. Some 16 MB at most.
pub(super) const QUEUE: usize = 16_384;

/// What is looked up.
pub(super) struct Environment(Box<Lookup>);

type Lookup = dyn Fn(&str) -> Option<String>;

impl Environment {
    #[expect(
        clippy::disallowed_methods,
        reason = "these are the settings of OpenTelemetry, which each SDK reads from the environment"
    )]
    pub(super) fn of_process() -> Self {
        Self(Box::new(|name| std::env::var(name).ok()))
    }

    /// A variable that is set and not empty.
    fn get(&self, name: &str) -> Option<String> {
        (self.0)(name)
            .map(|text| text.trim().to_owned())
            .filter(|text| !text.is_empty())
    }

    /// How spans are sent; `None` when they are not.
    pub(super) fn protocol(&self) -> Result<Option<Protocol>> {
        let disabled = self.get("OTEL_SDK_DISABLED");
        if disabled.is_some_and(|text| text.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        match self.get("OTEL_TRACES_EXPORTER").as_deref() {
            None | Some("otlp") => {}
            Some("none") => return Ok(None),
            Some(other) => return Err(wrong("OTEL_TRACES_EXPORTER", other, "otlp or none")),
        }
        let either = |name: &str| {
            let own = self.get(&format!("OTEL_EXPORTER_OTLP_TRACES_{name}"));
            own.or_else(|| self.get(&format!("OTEL_EXPORTER_OTLP_{name}")))
        };
        let Some(endpoint) = either("ENDPOINT") else {
            return Ok(None);
        };
        if !endpoint.starts_with("http://") && !endpoint.starts_with("https://") {
            // Not repeated: it may hold a password.
            return Err(Error::invalid(
                "traces",
                "OTEL_EXPORTER_OTLP_ENDPOINT is no URL; expected http://HOST:PORT or https://HOST:PORT",
            ));
        }
        let host = endpoint.split_once("://").map_or("", |(_, host)| host);
        if host.is_empty() || host.starts_with('/') {
            return Err(Error::invalid(
                "traces",
                "OTEL_EXPORTER_OTLP_ENDPOINT names no host; expected http://HOST:PORT or https://HOST:PORT",
            ));
        }
        self.check()?;
        match either("PROTOCOL").as_deref() {
            None | Some("http/protobuf") => Ok(Some(Protocol::Http)),
            Some("grpc") => Ok(Some(Protocol::Grpc)),
            Some(other) => Err(wrong(
                "OTEL_EXPORTER_OTLP_PROTOCOL",
                other,
                "http/protobuf or grpc",
            )),
        }
    }

    /// Refuses what the SDK would pass over in silence.
    fn check(&self) -> Result<()> {
        const NUMBERS: [&str; 5] = [
            "OTEL_BSP_SCHEDULE_DELAY",
            "OTEL_BSP_EXPORT_TIMEOUT",
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
            "OTEL_EXPORTER_OTLP_TIMEOUT",
            "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
        ];
        for name in NUMBERS {
            if let Some(text) = self.get(name)
                && !text.parse::<u32>().is_ok_and(|number| number > 0)
            {
                return Err(wrong(name, &text, "a whole number from 1"));
            }
        }
        for name in [
            "OTEL_EXPORTER_OTLP_COMPRESSION",
            "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
        ] {
            if let Some(text) = self.get(name)
                && text != "gzip"
                && text != "none"
            {
                return Err(wrong(name, &text, "gzip or none"));
            }
        }
        for name in [
            "OTEL_EXPORTER_OTLP_HEADERS",
            "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
        ] {
            let text = self.get(name).unwrap_or_default();
            let is_pair = |part: &str| {
                part.trim()
                    .split_once('=')
                    .is_some_and(|(key, _)| !key.is_empty())
            };
            if !text.is_empty() && !text.split(',').all(is_pair) {
                // Not repeated: it may hold a secret.
                return Err(Error::invalid(
                    "traces",
                    format!("{name} is no list of headers; expected NAME=VALUE,NAME=VALUE"),
                ));
            }
        }
        Ok(())
    }

    pub(super) fn sampling(&self) -> Result<Sampling> {
        let ratio = || match self.get("OTEL_TRACES_SAMPLER_ARG") {
            None => Ok(Sampler::AlwaysOn),
            Some(text) => match text.parse::<f64>() {
                Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(Sampler::TraceIdRatioBased(ratio)),
                _ => Err(wrong(
                    "OTEL_TRACES_SAMPLER_ARG",
                    &text,
                    "a number from 0 to 1",
                )),
            },
        };
        let name = self.get("OTEL_TRACES_SAMPLER");
        let (root, heed) = match name.as_deref() {
            None | Some("parentbased_always_on") => (Sampler::AlwaysOn, Heed::Parent),
            Some("parentbased_always_off") => (Sampler::AlwaysOff, Heed::Parent),
            Some("parentbased_traceidratio") => (ratio()?, Heed::Parent),
            Some("always_on") => (Sampler::AlwaysOn, Heed::Nobody),
            Some("always_off") => (Sampler::AlwaysOff, Heed::Nobody),
            Some("traceidratio") => (ratio()?, Heed::Nobody),
            Some(other) => {
                return Err(wrong(
                    "OTEL_TRACES_SAMPLER",
                    other,
                    "always_on, always_off, traceidratio, or one of these after parentbased_",
                ));
            }
        };
        Ok(Sampling::new(root, heed))
    }

    /// How long a request to the collector may take.
    pub(super) fn timeout(&self) -> Duration {
        let own = self.get("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT");
        let text = own.or_else(|| self.get("OTEL_EXPORTER_OTLP_TIMEOUT"));
        let millis = text.and_then(|text| text.parse().ok());
        millis.map_or(TIMEOUT, Duration::from_millis)
    }

    pub(super) fn queue(&self) -> Result<usize> {
        const NAME: &str = "OTEL_BSP_MAX_QUEUE_SIZE";
        match self.get(NAME) {
            None => Ok(QUEUE),
            Some(text) => match text.parse() {
                Ok(size @ 1..=1_000_000) => Ok(size),
                _ => Err(wrong(NAME, &text, "a number from 1 to 1000000")),
            },
        }
    }

    /// What is said of this process with its spans.
    pub(super) fn resource(&self, service: &str) -> Resource {
        let own = own_attributes(service);
        let own = own
            .iter()
            .map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
        let resource = Resource::builder_empty()
            .with_attributes(own)
            .with_detector(Box::new(EnvResourceDetector::new()));
        match self.get("OTEL_SERVICE_NAME") {
            Some(name) => resource.with_service_name(name).build(),
            None => resource.build(),
        }
    }
}

/// What is said of a process by itself.
pub(super) fn own_attributes(service: &str) -> Resource {
    let mut attributes = vec![
        KeyValue::new("service.name", service.to_owned()),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("process.pid", i64::from(std::process::id())),
    ];
    if let Ok(host) = nix::unistd::gethostname()
        && let Ok(host) = host.into_string()
    {
        attributes.push(KeyValue::new("host.name", host));
    }
    Resource::builder_empty()
        .with_attributes(attributes)
        .build()
}

fn wrong(name: &str, found: &str, expected: &str) -> Error {
    Error::invalid(
        "traces",
        format!("{name} is {found:?}; expected {expected}"),
    )
}

#[cfg(test)]
mod tests {
    use super::{Environment, Protocol, QUEUE};

    fn with(variables: &'static [(&'static str, &'static str)]) -> Environment {
        Environment(Box::new(move |name| {
            let found = variables.iter().find(|(own, _)| *own == name);
            found.map(|(_, value)| (*value).to_owned())
        }))
    }

    const HERE: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");

    #[test]
    fn nothing_is_sent_without_an_endpoint_or_against_the_word_of_the_environment() {
        let sent = |environment: Environment| environment.protocol().unwrap();
        assert_eq!(sent(with(&[])), None);
        assert_eq!(sent(with(&[HERE])), Some(Protocol::Http));
        assert_eq!(sent(with(&[HERE, ("OTEL_SDK_DISABLED", "TRUE")])), None);
        assert_eq!(sent(with(&[HERE, ("OTEL_TRACES_EXPORTER", "none")])), None);
        let grpc = [HERE, ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc")];
        assert_eq!(sent(with(Box::leak(Box::new(grpc)))), Some(Protocol::Grpc));
    }

    #[test]
    fn what_makes_no_sense_is_named_with_what_was_expected() {
        let protocol = with(&[HERE, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")]).protocol();
        let sampler = with(&[("OTEL_TRACES_SAMPLER", "sometimes")]).sampling();
        let ratio = with(&[
            ("OTEL_TRACES_SAMPLER", "traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "2"),
        ]);
        let queue = with(&[("OTEL_BSP_MAX_QUEUE_SIZE", "0")]).queue();
        let url = with(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "user:secret@host")]).protocol();
        let of = |name, value| {
            let variables: &'static _ = Box::leak(Box::new([HERE, (name, value)]));
            with(variables).protocol().unwrap_err()
        };
        let told = [
            of("OTEL_BSP_SCHEDULE_DELAY", "abc"),
            of("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "0"),
            of("OTEL_EXPORTER_OTLP_TIMEOUT", "-5"),
            of("OTEL_EXPORTER_OTLP_COMPRESSION", "zip"),
            of("OTEL_EXPORTER_OTLP_HEADERS", "garbage secret"),
            of("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://"),
            protocol.unwrap_err(),
            sampler.unwrap_err(),
            ratio.sampling().unwrap_err(),
            queue.unwrap_err(),
            url.unwrap_err(),
        ]
        .map(|error| error.to_string());
        for text in &told {
            assert!(
                text.contains("OTEL_") && text.contains("expected"),
                "{text}"
            );
            assert!(!text.contains("secret"), "{text}");
        }
        assert_eq!(with(&[]).queue().unwrap(), QUEUE);
    }

    #[test]
    fn a_share_of_the_traces_is_taken_and_all_that_belongs_to_them() {
        let half = with(&[
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.5"),
        ])
        .sampling()
        .unwrap();
        let id = |number: u64| {
            let mut id = [1; 16];
            id[8..].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
            id
        };
        let taken = (0..1_000).filter(|n| half.takes(None, id(*n))).count();
        assert!((400..600).contains(&taken), "{taken}");
        let parent = |flags: &str| -> tidemill_shared::TraceContext {
            let text = format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}");
            text.parse().unwrap()
        };
        let with_parent = |flags: &str| {
            let parent = parent(flags);
            (0..100)
                .filter(|n| half.takes(Some(&parent), id(*n)))
                .count()
        };
        assert_eq!((with_parent("01"), with_parent("00")), (100, 0));
    }
}
