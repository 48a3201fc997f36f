//! JSON Web Tokens of an identity provider, and those of whoever would like to be one.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tidemill_control::{Authentication, JwtKeys, JwtSettings, Settings};
use tidemill_shared::{Clock, Connection, Sleep, Timestamp};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::stage::{Answer, PATIENCE, Stage, store};

const ISSUER: &str = "https://id.example.com";
const AUDIENCE: &str = "tidemill";

/// A key of the identity provider.
struct Key {
    kid: &'static str,
    algorithm: Algorithm,
    private: EncodingKey,
}

impl Key {
    fn new(folder: &Path, kid: &'static str, algorithm: Algorithm) -> Self {
        let file = folder.join(kid).display().to_string();
        let der = format!("{file}.der");
        let private = match algorithm {
            Algorithm::RS256 => {
                openssl(&["genpkey", "-algorithm", "RSA", "-out", &file]);
                openssl(&[
                    "rsa",
                    "-in",
                    &file,
                    "-traditional",
                    "-outform",
                    "DER",
                    "-out",
                    &der,
                ]);
                EncodingKey::from_rsa_der(&std::fs::read(der).unwrap())
            }
            Algorithm::ES256 => {
                let curve = "ec_paramgen_curve:P-256";
                openssl(&[
                    "genpkey",
                    "-algorithm",
                    "EC",
                    "-pkeyopt",
                    curve,
                    "-out",
                    &file,
                ]);
                openssl(&[
                    "pkcs8", "-topk8", "-nocrypt", "-in", &file, "-outform", "DER", "-out", &der,
                ]);
                EncodingKey::from_ec_der(&std::fs::read(der).unwrap())
            }
            _ => {
                openssl(&[
                    "genpkey",
                    "-algorithm",
                    "ED25519",
                    "-outform",
                    "DER",
                    "-out",
                    &der,
                ]);
                EncodingKey::from_ed_der(&std::fs::read(der).unwrap())
            }
        };
        Self {
            kid,
            algorithm,
            private,
        }
    }

    fn public(&self) -> Value {
        let mut jwk = Jwk::from_encoding_key(&self.private, self.algorithm).unwrap();
        jwk.common.key_id = Some(self.kid.to_owned());
        serde_json::to_value(jwk).unwrap()
    }

    fn header(&self) -> Header {
        let mut header = Header::new(self.algorithm);
        header.kid = Some(self.kid.to_owned());
        header
    }

    fn sign(&self, claims: &Value) -> String {
        encode(&self.header(), claims, &self.private).unwrap()
    }
}

fn openssl(words: &[&str]) {
    let done = Command::new("openssl").args(words).output().unwrap();
    assert!(done.status.success(), "{done:?}");
}

/// The one secret that everybody has: the public key, in the forms in which it is handed around.
fn public_forms(folder: &Path) -> Vec<Vec<u8>> {
    let file = folder.join("rsa").display().to_string();
    let mut forms = Vec::new();
    for form in ["PEM", "DER"] {
        let out = format!("{file}.{form}.pub");
        openssl(&[
            "pkey", "-in", &file, "-pubout", "-outform", form, "-out", &out,
        ]);
        forms.push(std::fs::read(out).unwrap());
    }
    forms
}

fn set(keys: &[&Key]) -> String {
    let keys: Vec<_> = keys.iter().map(|key| key.public()).collect();
    json!({ "keys": keys }).to_string()
}

fn claims() -> Value {
    json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "exp": soon(3_600), "role": "operator" })
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

fn without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

fn soon(seconds: i64) -> i64 {
    WALL.now().as_millis() / 1_000 + seconds
}

/// The machine's clock, moved on by hand.
#[derive(Debug)]
struct Ahead(AtomicI64);

static WALL: Ahead = Ahead(AtomicI64::new(0));

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is the clock")]
        let now = std::time::SystemTime::now();
        let since = now.duration_since(std::time::UNIX_EPOCH).unwrap();
        let ahead = Duration::from_secs(self.0.load(Ordering::Relaxed).unsigned_abs());
        Timestamp::from_micros(i64::try_from((since + ahead).as_micros()).unwrap())
    }

    fn sleep_until(&self, deadline: Timestamp) -> Sleep {
        Box::pin(tokio::time::sleep(deadline.since(self.now())))
    }
}

fn settings(keys: JwtKeys) -> impl FnOnce(&mut Settings) {
    move |settings| {
        settings.authentication = Authentication::Required;
        settings.jwt = Some(JwtSettings {
            issuer: ISSUER.into(),
            audience: AUDIENCE.into(),
            keys,
            role_claim: "role".into(),
        });
    }
}

async fn ask(stage: &Stage, token: &str) -> Answer {
    // Strangers are counted; that is another test's.
    loop {
        let answer = stage.call_as(token, "GET", "/api/v1/queues", None).await;
        if answer.status != 429 {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn part(value: &Value) -> String {
    base64url(value.to_string().as_bytes())
}

fn base64url(bytes: &[u8]) -> String {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |n: usize| u32::from(chunk.get(n).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for n in 0..=chunk.len() {
            let six = usize::try_from(bits >> (18 - 6 * n) & 63).unwrap();
            text.push(char::from(alphabet[six]));
        }
    }
    text
}

#[tokio::test]
async fn a_token_comes_in_by_each_algorithm_and_only_as_it_was_signed() {
    let folder = TempDir::new().unwrap();
    let keys = [
        Key::new(folder.path(), "rsa", Algorithm::RS256),
        Key::new(folder.path(), "ec", Algorithm::ES256),
        Key::new(folder.path(), "ed", Algorithm::EdDSA),
    ];
    let stranger = Key::new(folder.path(), "stranger", Algorithm::ES256);
    let file = folder.path().join("jwks.json");
    std::fs::write(&file, set(&keys.each_ref())).unwrap();
    let stage = Stage::with(settings(JwtKeys::File(file))).await;

    for key in &keys {
        ask(&stage, &key.sign(&claims())).await.is(200);
        let narrow = key.sign(&with("queues", json!(["mail"])));
        stage
            .call_as(&narrow, "GET", "/api/v1/queues/other", None)
            .await
            .is(404);
    }
    let [rsa, ec, ed] = &keys;
    for namespaces in [json!(["other", "default"]), json!("default")] {
        ask(&stage, &rsa.sign(&with("namespaces", namespaces)))
            .await
            .is(200);
    }
    ask(&stage, &rsa.sign(&with("aud", json!(["other", AUDIENCE]))))
        .await
        .is(200);
    ask(
        &stage,
        &rsa.sign(&with("role", json!(["nothing", "viewer"]))),
    )
    .await
    .is(200);

    let mut bad: Vec<(String, String)> = Vec::new();
    // What is public taken for a secret.
    for form in public_forms(folder.path()) {
        for kid in [Some("rsa"), None] {
            for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
                let mut header = Header::new(algorithm);
                header.kid = kid.map(str::to_owned);
                let key = EncodingKey::from_secret(&form);
                let token = encode(&header, &claims(), &key).unwrap();
                bad.push((format!("{algorithm:?} by the public key"), token));
            }
        }
    }
    // No signature at all.
    for algorithm in ["none", "None", "NONE", "nOnE", ""] {
        for kid in ["rsa", "ec"] {
            let head = part(&json!({ "alg": algorithm, "typ": "JWT", "kid": kid }));
            for signature in ["", "AA"] {
                let token = format!("{head}.{}.{signature}", part(&claims()));
                bad.push((format!("alg {algorithm:?}"), token));
            }
        }
    }
    // One key under the name of another, and another algorithm of the same key.
    for (key, kid) in [
        (rsa, "ec"),
        (ec, "rsa"),
        (ec, "ed"),
        (ed, "ec"),
        (&stranger, "ec"),
    ] {
        let mut header = key.header();
        header.kid = Some(kid.into());
        let token = encode(&header, &claims(), &key.private).unwrap();
        bad.push((format!("{} as {kid}", key.kid), token));
    }
    for algorithm in [Algorithm::RS384, Algorithm::RS512, Algorithm::PS256] {
        let mut header = rsa.header();
        header.alg = algorithm;
        let token = encode(&header, &claims(), &rsa.private).unwrap();
        bad.push((format!("{algorithm:?} of the RSA key"), token));
    }
    // Names that lead elsewhere, or nowhere, and keys that the token brings along.
    let long = "k".repeat(2_000);
    let kids = [
        "../../../dev/null",
        "' OR '1'='1",
        "unknown",
        "",
        "RSA",
        "rsa\0",
        "*",
        &long,
    ];
    for kid in kids {
        let mut header = stranger.header();
        header.kid = Some(kid.into());
        let token = encode(&header, &claims(), &stranger.private).unwrap();
        bad.push((format!("kid {kid:.20}"), token));
        let mut header = rsa.header();
        header.kid = Some(kid.into());
        let token = encode(&header, &claims(), &rsa.private).unwrap();
        bad.push((format!("good key, kid {kid:.20}"), token));
    }
    let mut header = stranger.header();
    header.kid = None;
    bad.push((
        "no kid".into(),
        encode(&header, &claims(), &stranger.private).unwrap(),
    ));
    let mut header = stranger.header();
    header.jwk = Some(serde_json::from_value(stranger.public()).unwrap());
    header.jku = Some("http://127.0.0.1:9/jwks.json".into());
    header.x5u = header.jku.clone();
    bad.push((
        "its own key".into(),
        encode(&header, &claims(), &stranger.private).unwrap(),
    ));
    let mut header = rsa.header();
    header.crit = Some(vec!["exp".into()]);
    bad.push((
        "crit".into(),
        encode(&header, &claims(), &rsa.private).unwrap(),
    ));
    // Claims. S51: what is expected is expected exactly.
    let evil = [
        ("iss", json!("https://id.example.com.evil")),
        ("iss", json!("https://id.example.com/")),
        ("iss", json!("")),
        ("iss", json!(["https://other"])),
        ("iss", json!(7)),
        ("aud", json!("tidemill-evil")),
        ("aud", json!("Tidemill")),
        ("aud", json!(["other"])),
        ("aud", json!([])),
        ("exp", json!(soon(-3_600))),
        ("exp", json!(0)),
        ("exp", json!("tomorrow")),
        ("exp", json!(-1)),
        ("nbf", json!(soon(3_600))),
        ("role", json!("Admin")),
        ("role", json!("administrator")),
        ("role", json!({ "admin": true })),
        ("role", json!([])),
        ("sub", json!(7)),
        ("exp", json!(soon(-5))),
        ("namespaces", json!(["other"])),
        ("namespaces", json!([])),
        ("namespaces", json!("")),
        ("namespaces", json!(null)),
        ("namespaces", json!({ "default": true })),
        ("namespaces", json!(["default", 7])),
        ("queues", json!(["a:b"])),
        ("queues", json!([])),
        ("queues", json!("")),
        ("queues", json!(null)),
        ("queues", json!(7)),
        ("queues", json!({})),
        ("queues", json!([7])),
        ("queues", json!(["mail", null])),
    ];
    for (name, value) in evil {
        let token = rsa.sign(&with(name, value.clone()));
        bad.push((format!("{name}: {value}"), token));
    }
    for name in ["iss", "aud", "exp", "sub", "role"] {
        bad.push((format!("no {name}"), rsa.sign(&without(name))));
    }
    // Cut, joined and changed.
    let good = rsa.sign(&claims());
    let parts: Vec<_> = good.split('.').collect();
    let [head, body, signature] = parts[..] else {
        panic!("{good}")
    };
    let admin = part(&with("role", json!("admin")));
    let other = ec.sign(&claims());
    let other = other.rsplit('.').next().unwrap();
    for token in [
        format!("{head}.{admin}.{signature}"),
        format!("{head}.{body}."),
        format!("{head}.{body}"),
        format!("{head}.{body}.{signature}.{signature}"),
        format!("{head}.{body}.{other}"),
        format!("{body}.{head}.{signature}"),
        format!("..{signature}"),
        "..".into(),
    ] {
        bad.push(("in pieces".into(), token));
    }

    for (what, token) in &bad {
        let answer = ask(&stage, token).await;
        assert_eq!(answer.status, 401, "{what}: {answer:?}");
    }
    ask(&stage, &good).await.is(200);
    // What it may is its role's: the rules of access are the same as for other tokens.
    let viewer = rsa.sign(&with("role", json!("viewer")));
    let refused = stage
        .call_as(&viewer, "POST", "/api/v1/queues/q/pause", None)
        .await;
    refused.refused(403, "role");
    stage.end().await;
}

#[tokio::test]
async fn a_stream_ends_with_the_time_of_the_token_that_opened_it() {
    let folder = TempDir::new().unwrap();
    let key = Key::new(folder.path(), "ed", Algorithm::EdDSA);
    let file = folder.path().join("jwks.json");
    std::fs::write(&file, set(&[&key])).unwrap();
    let stage = Stage::with(settings(JwtKeys::File(file))).await;
    let end = soon(5);
    let token = key.sign(&with("exp", json!(end)));
    let request = stage.request("GET", "/api/v1/events").bearer_auth(&token);
    let mut response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    let read = async { while response.chunk().await.unwrap().is_some() {} };
    tokio::time::timeout(PATIENCE, read)
        .await
        .expect("the stream ends in time");
    let ended = soon(0);
    assert!((end..end + 10).contains(&ended), "{ended} after {end}");
    stage.end().await;
}

/// A key of the set that is for something else lets nobody in.
#[tokio::test]
async fn a_key_is_for_what_it_says_alone() {
    let folder = TempDir::new().unwrap();
    let key = Key::new(folder.path(), "rsa", Algorithm::RS256);
    for (name, value) in [("use", "enc"), ("alg", "RS512"), ("alg", "RSA-OAEP")] {
        let mut public = key.public();
        public[name] = value.into();
        let file = folder.path().join("jwks.json");
        std::fs::write(&file, json!({ "keys": [public] }).to_string()).unwrap();
        let stage = Stage::with(settings(JwtKeys::File(file))).await;
        ask(&stage, &key.sign(&claims()))
            .await
            .refused(401, "token");
        stage.end().await;
    }
}

#[tokio::test]
async fn new_keys_are_found_and_those_that_were_taken_away_end() {
    let folder = TempDir::new().unwrap();
    let old = Key::new(folder.path(), "rsa", Algorithm::RS256);
    let new = Key::new(folder.path(), "ed", Algorithm::EdDSA);
    let served = Arc::new(Mutex::new(set(&[&old])));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
    let shown = Arc::clone(&served);
    let answer = move || async move { shown.lock().unwrap().clone() };
    let mut provider = JoinSet::new();
    provider.spawn(async move {
        let service = Router::new().route("/jwks.json", get(answer));
        axum::serve(listener, service).await.unwrap();
    });
    let file = folder.path().join("jwks.json");
    std::fs::write(&file, set(&[&old])).unwrap();

    for keys in [JwtKeys::Url(url), JwtKeys::File(file.clone())] {
        let clock = Arc::new(Ahead(AtomicI64::new(0)));
        let put = |text: String| {
            std::fs::write(&file, &text).unwrap();
            *served.lock().unwrap() = text;
        };
        put(set(&[&old]));
        let inside = TempDir::new().unwrap();
        let store = store(&inside).await;
        let connection = Connection::new(store.broker, store.ledger, clock.clone());
        let stage = Stage::on(connection, inside, String::new(), settings(keys)).await;
        ask(&stage, &old.sign(&claims())).await.is(200);
        put(set(&[&old, &new]));
        // Nobody can make the service ask the provider at each request.
        ask(&stage, &new.sign(&claims())).await.is(401);
        clock.0.fetch_add(61, Ordering::Relaxed);
        ask(&stage, &new.sign(&claims())).await.is(200);
        ask(&stage, &old.sign(&claims())).await.is(200);
        // A provider that is out of order shuts nobody out.
        put("{".into());
        clock.0.fetch_add(301, Ordering::Relaxed);
        ask(&stage, &old.sign(&claims())).await.is(200);
        put(set(&[&new]));
        clock.0.fetch_add(301, Ordering::Relaxed);
        ask(&stage, &new.sign(&claims())).await.is(200);
        ask(&stage, &old.sign(&claims())).await.is(401);
        stage.end().await;
    }
    provider.abort_all();
}
