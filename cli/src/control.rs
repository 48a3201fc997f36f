//! `tidemill control`: the HTTP API.

use std::net::{Ipv4Addr, SocketAddr};

use clap::{Args, ValueEnum};
use serde::Deserialize;
use tidemill::telemetry::{Format, Metrics};
use tidemill::{Connection, Namespace};
use tidemill_control::{Authentication, JwtKeys, JwtSettings, Server, Settings as Setup};

use crate::context::{self, broker_url};
use crate::metrics::{CONTROL_PORT, Serving};
use crate::problem::Problem;
use crate::settings::{ControlSettings, Settings};
use crate::signals::{Signals, Stop};
use crate::values::calls;
use crate::worker::over;

/// Where it listens unless another address is given.
pub(crate) const LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// Who is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Auth {
    /// Whoever has a token; on a loopback address everybody, until the first token is made: one that has ended counts
    Auto,
    /// Whoever has a token
    Required,
    /// Everybody who reaches it; on a loopback address only
    Off,
}

impl From<Auth> for Authentication {
    fn from(auth: Auth) -> Self {
        match auth {
            Auth::Auto => Self::Auto,
            Auth::Required => Self::Required,
            Auth::Off => Self::Off,
        }
    }
}

/// What the service is told; the rest comes from `[control]` of the configuration file.
#[derive(Args, Debug, Default)]
#[command(after_help = "Examples:
  tidemill control                                        # on 127.0.0.1:8080, for this machine
  tidemill token create ci --role operator --queue mail   # prints the token, once
  tidemill control --listen 0.0.0.0:8080 --host tasks.example.com
  curl -H 'Authorization: Bearer …' http://127.0.0.1:8080/api/v1/queues")]
pub(crate) struct ControlArgs {
    /// Where it listens [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR", env = "TIDEMILL_CONTROL_LISTEN")]
    listen: Option<SocketAddr>,
    /// Who is let in [default: auto]
    #[arg(long, value_name = "WHO", env = "TIDEMILL_CONTROL_AUTH")]
    auth: Option<Auth>,
    /// A name in the header Host that is answered; may be given several times
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,
    /// An origin whose pages may call (CORS); may be given several times
    #[arg(long = "origin", value_name = "URL")]
    origins: Vec<String>,
    /// Refuse every change
    #[arg(long, env = "TIDEMILL_CONTROL_READ_ONLY", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    read_only: Option<bool>,
    /// How many requests a second each caller may make
    #[arg(long, value_name = "N", value_parser = calls, allow_hyphen_values = true)]
    rate: Option<u32>,
    /// Ask for X-Nonce and X-Timestamp with every change, so that none can be sent twice
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    one_time: Option<bool>,
}

impl ControlArgs {
    /// Flags over file.
    fn over(self, file: &mut ControlSettings) -> ControlSettings {
        let either = |flags: Vec<String>, file: &[String]| match flags.is_empty() {
            true => file.to_vec(),
            false => flags,
        };
        ControlSettings {
            listen: over(self.listen, &mut file.listen),
            auth: over(self.auth, &mut file.auth),
            hosts: either(self.hosts, &file.hosts),
            origins: either(self.origins, &file.origins),
            read_only: over(self.read_only, &mut file.read_only),
            rate: over(self.rate, &mut file.rate),
            one_time: over(self.one_time, &mut file.one_time),
            jwt: file.jwt.take(),
        }
    }
}

/// A service on this store.
pub(crate) fn server(
    connection: &Connection,
    namespace: Namespace,
    given: ControlSettings,
) -> Server {
    let mut setup = Setup::new(given.listen.unwrap_or(LISTEN));
    setup.authentication = given.auth.unwrap_or(Auth::Auto).into();
    setup.hosts = given.hosts;
    setup.origins = given.origins;
    setup.read_only = given.read_only.unwrap_or(false);
    setup.rate = given.rate;
    setup.one_time = given.one_time.unwrap_or(false);
    setup.jwt = given.jwt.map(|jwt| {
        let is_url = jwt.jwks.starts_with("https:") || jwt.jwks.starts_with("http:");
        JwtSettings {
            issuer: jwt.issuer,
            audience: jwt.audience,
            keys: match is_url {
                true => JwtKeys::Url(jwt.jwks),
                false => JwtKeys::File(jwt.jwks.into()),
            },
            role_claim: jwt.role_claim,
        }
    });
    Server::new(connection, namespace, setup)
}

/// Runs until it is told to stop.
pub(crate) async fn run(args: ControlArgs, mut settings: Settings) -> Result<(), Problem> {
    let mut file = std::mem::take(&mut settings.control);
    let given = args.over(&mut file);
    let url = broker_url(&settings)?;
    let metrics = context::metrics("control", &settings, &url)?;
    let mut signals = Signals::listen()?;
    let serving = Serving::start(&settings, CONTROL_PORT, &metrics).await?;
    let connecting = context::connect_patiently(&settings, &url);
    let Some(connection) = signals.before(connecting).await? else {
        return Ok(());
    };
    let connection = metrics.watch(&connection);
    let server = measured(
        server(&connection, settings.namespace.clone(), given),
        &metrics,
    );
    let bound = server.bind().await.map_err(refused)?;
    let stop = Stop::default();
    let work = async {
        let done = bound.run(stop.well.clone()).await;
        serving.end().await;
        Ok(done?)
    };
    signals.guard(&stop, work).await
}

/// The same service, whose requests are counted; its own `/metrics` is for those who have a token.
pub(crate) fn measured(server: Server, metrics: &Metrics) -> Server {
    let (shown, counted) = (metrics.clone(), metrics.clone());
    server
        .with_metrics(move || {
            let metrics = shown.clone();
            Box::pin(async move { metrics.render(Format::Text).await })
        })
        .on_answer(move |answer| counted.http_request(answer.route, answer.status, answer.took))
}

/// A service that cannot start as it is set up.
pub(crate) fn refused(error: tidemill::Error) -> Problem {
    Problem::from(error).during("the control API cannot be served")
}
