//! JSON Web Tokens of somebody else: RS256, ES256 or EdDSA, checked by the keys of a JWKS.
//!
//! The algorithm is the key's, never the token's to choose: a public key is not taken for a secret.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse,
};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Map, Value};
use tidemill_shared::{Clock, Error, ErrorKind, Namespace, QueueName, Result, Timestamp};

use super::principal::Principal;
use super::role::{Role, Scope};
use crate::settings::{JwtKeys, JwtSettings};

/// How soon the keys are asked for again, when one is not found among them.
const AGAIN: Duration = Duration::from_secs(60);
/// How old keys may get: one that was taken out of the set ends within this time.
const STALE: Duration = Duration::from_secs(300);
/// The largest JWKS.
const MAX_JWKS: usize = 1 << 20;

/// Checks JSON Web Tokens.
#[derive(Debug)]
pub(crate) struct Jwt {
    settings: JwtSettings,
    namespace: Namespace,
    clock: Arc<dyn Clock>,
    keys: Mutex<Arc<JwkSet>>,
    asked: tokio::sync::Mutex<Option<Timestamp>>,
}

impl Jwt {
    /// Reads the keys, which have to be there.
    pub(crate) async fn new(
        settings: JwtSettings,
        namespace: Namespace,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let jwt = Self {
            settings,
            namespace,
            clock,
            keys: Mutex::new(Arc::new(JwkSet { keys: Vec::new() })),
            asked: tokio::sync::Mutex::new(None),
        };
        jwt.refresh().await?;
        Ok(jwt)
    }

    /// Whose token this is. What is wrong with it is for the log alone.
    pub(crate) async fn holder(&self, presented: &str) -> Option<Principal> {
        match self.check(presented).await {
            Ok(principal) => Some(principal),
            Err(why) => {
                tracing::info!(target: "tidemill::audit", why, "a JSON Web Token was refused");
                None
            }
        }
    }

    async fn check(&self, presented: &str) -> Result<Principal, String> {
        let header = decode_header(presented).map_err(|e| e.to_string())?;
        if header.crit.is_some_and(|names| !names.is_empty()) {
            // RFC 7515, 4.1.11: what is not understood must not be passed over.
            return Err("it needs an extension that is not known here".into());
        }
        let kid = header.kid.as_deref();
        self.renew().await;
        let (jwk, algorithm) = match self.key(kid) {
            Some(found) => found,
            None => {
                self.ask_again().await;
                self.key(kid).ok_or("no key of the set is meant")?
            }
        };
        let key = DecodingKey::from_jwk(&jwk).map_err(|e| e.to_string())?;
        let mut rules = Validation::new(algorithm);
        rules.algorithms = vec![algorithm];
        rules.set_issuer(&[&self.settings.issuer]);
        rules.set_audience(&[&self.settings.audience]);
        rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        rules.validate_nbf = true;
        // Clocks may be a minute apart for what is new; what has ended has ended.
        rules.reject_tokens_expiring_in_less_than = rules.leeway;
        let claims = decode::<Map<String, Value>>(presented, &key, &rules);
        let claims = claims.map_err(|e| e.to_string())?.claims;
        self.principal(&claims)
    }

    fn principal(&self, claims: &Map<String, Value>) -> Result<Principal, String> {
        let role = texts(claims.get(&self.settings.role_claim));
        let roles = role.iter().filter_map(|text| text.parse::<Role>().ok());
        let role = roles.max().ok_or("it names no role")?;
        let here = self.namespace.as_str();
        let namespaces = bounds(claims, "namespaces")?;
        if namespaces.is_some_and(|names| !names.iter().any(|name| name == here)) {
            return Err("it is for another namespace".into());
        }
        let queues = bounds(claims, "queues")?.unwrap_or_default();
        let queues = queues.into_iter().map(QueueName::new);
        let queues = queues.collect::<Result<_>>().map_err(|e| e.to_string())?;
        let until = claims.get("exp").and_then(Value::as_i64);
        let until = until.and_then(|seconds| seconds.checked_mul(1_000_000));
        let subject = claims.get("sub").and_then(Value::as_str);
        Ok(Principal {
            name: format!("jwt:{}", subject.ok_or("it names nobody")?),
            role,
            scope: Scope { queues },
            until: until.map(Timestamp::from_micros),
        })
    }

    /// The key that is meant, with the one algorithm that it is for.
    fn key(&self, kid: Option<&str>) -> Option<(Jwk, Algorithm)> {
        let keys = Arc::clone(&self.keys.lock().unwrap_or_else(PoisonError::into_inner));
        let jwk = match (kid, &keys.keys[..]) {
            (Some(kid), _) => keys.find(kid)?,
            (None, [only]) => only,
            (None, _) => return None,
        };
        Some((jwk.clone(), algorithm(jwk)?))
    }

    /// Reads the keys again when they are old. While they cannot be read those that are known stay good:
    /// an identity provider that is away for a while shuts nobody out.
    async fn renew(&self) {
        let asked = *self.asked.lock().await;
        if asked.is_none_or(|at| at + STALE <= self.clock.now()) {
            self.ask_again().await;
        }
    }

    async fn ask_again(&self) {
        if let Err(error) = self.refresh().await {
            tracing::warn!(%error, "the keys of JSON Web Tokens cannot be read");
        }
    }

    /// Reads the keys, unless that was done just now.
    async fn refresh(&self) -> Result<()> {
        let mut asked = self.asked.lock().await;
        let now = self.clock.now();
        if asked.is_some_and(|at| at + AGAIN > now) {
            return Ok(());
        }
        *asked = Some(now);
        let bytes = match &self.settings.keys {
            JwtKeys::File(path) => std::fs::read(path).map_err(|e| cannot(&e.to_string()))?,
            JwtKeys::Url(url) => fetch(url).await?,
        };
        let set: JwkSet = serde_json::from_slice(&bytes).map_err(|e| cannot(&e.to_string()))?;
        *self.keys.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(set);
        Ok(())
    }
}

/// The algorithm that a key is for; `None` for keys that are not used here: secrets, keys that encrypt,
/// and those of other algorithms.
fn algorithm(jwk: &Jwk) -> Option<Algorithm> {
    let is_for_signatures = matches!(
        jwk.common.public_key_use,
        None | Some(PublicKeyUse::Signature)
    );
    let algorithm = of_kind(jwk).filter(|_| is_for_signatures)?;
    let named = jwk.common.key_algorithm;
    let is_as_named = named.is_none_or(|named| named == KeyAlgorithm::from(algorithm));
    is_as_named.then_some(algorithm)
}

fn of_kind(jwk: &Jwk) -> Option<Algorithm> {
    match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Some(Algorithm::RS256),
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            Some(Algorithm::ES256)
        }
        AlgorithmParameters::OctetKeyPair(_) => Some(Algorithm::EdDSA),
        _ => None,
    }
}

/// A claim that narrows: texts, of which there has to be one. `None` without the claim; one that names
/// nothing allows nothing, and so does one that cannot be read.
fn bounds(claims: &Map<String, Value>, name: &str) -> Result<Option<Vec<String>>, String> {
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    let found = texts(Some(value));
    let given = value.as_array().map_or(1, Vec::len);
    match !found.is_empty() && found.len() == given {
        true => Ok(Some(found)),
        false => Err(format!("{name} names nothing, or what is no text")),
    }
}

fn texts(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(all)) => {
            let texts = all.iter().filter_map(Value::as_str);
            texts.map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

fn cannot(why: &str) -> Error {
    Error::invalid("jwt", format!("the JWKS cannot be read: {why}"))
}

async fn fetch(url: &str) -> Result<Vec<u8>> {
    let failed = |e: reqwest::Error| {
        Error::new(ErrorKind::Unavailable, "jwt", "the JWKS cannot be fetched").with_source(e)
    };
    // Fails when the program has chosen a provider already, which is then used.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let client = reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(5))
        .timeout(Duration::from_secs(10))
        .redirect(reqwest::redirect::Policy::none());
    let client = client.build().map_err(failed)?;
    let answer = client.get(url).send().await.map_err(failed)?;
    let mut answer = answer.error_for_status().map_err(failed)?;
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(failed)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MAX_JWKS {
            return Err(cannot("it has more than 1 MiB"));
        }
    }
    Ok(bytes)
}
