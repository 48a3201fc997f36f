//! The store goes away.

mod faults {
    use std::process::{Child, Command, Stdio};
    use std::time::Duration;

    use serde_json::json;
    use tempfile::TempDir;
    use tidemill_control::{Role, Scope, Tokens};
    use tidemill_redis::{RedisOptions, RedisStore};
    use tidemill_shared::{Namespace, NoteName};

    use crate::stage::{PATIENCE, Stage};

    struct Redis {
        child: Child,
        port: u16,
    }

    impl Redis {
        fn start(folder: &TempDir, port: u16) -> Self {
            #[expect(
                clippy::disallowed_methods,
                reason = "a test has no arguments, only an environment"
            )]
            let program = std::env::var("TIDEMILL_TEST_REDIS_SERVER").unwrap();
            let child = Command::new(program)
                .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
                // Each second would not do: a write that waits for the disk is lost with the process.
                .args(["--save", "", "--appendonly", "yes"])
                .args(["--appendfsync", "always", "--dir"])
                .arg(folder.path())
                .stdout(Stdio::null())
                .spawn();
            Self {
                child: child.unwrap(),
                port,
            }
        }

        fn url(&self) -> String {
            format!("redis://127.0.0.1:{}", self.port)
        }
    }

    impl Drop for Redis {
        fn drop(&mut self) {
            self.child.kill().ok();
            self.child.wait().ok();
        }
    }

    fn free_port() -> u16 {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.local_addr().unwrap().port()
    }

    /// S54, S47.
    #[tokio::test]
    async fn a_store_that_is_down_is_503_without_a_word_about_it() {
        let folder = TempDir::new().unwrap();
        let redis = Redis::start(&folder, free_port());
        let url = format!("{}?timeout=1s", redis.url());
        let options = || RedisOptions::parse(&url).unwrap();
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let store = loop {
            match RedisStore::open(options(), Namespace::default(), None).await {
                Ok(store) => break store,
                Err(error) => assert!(tokio::time::Instant::now() < deadline, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let connection = store.connection();
        let name = NoteName::new("root").unwrap();
        let tokens = Tokens::new(&connection);
        let issued = tokens
            .issue(name, Role::Admin, Scope::default(), None, "test")
            .await;
        let token = issued.unwrap().text;
        let stage = Stage::on(connection, TempDir::new().unwrap(), token, |settings| {
            settings.timeout = Duration::from_secs(2);
        });
        let stage = stage.await;
        let id = stage.enqueue(json!({ "kind": "echo" })).await;
        stage.get("/readyz").await.is(200);
        // What the service has begun it goes on with.
        stage.letters("mail", 30).await;
        let order = json!({ "filter": { "queue": "mail" }, "rate": 10 });
        let replay = stage.post("/api/v1/replays", order).await.is(202);
        let port = redis.port;
        drop(redis);
        for (method, path, body) in [
            ("GET", "/readyz".to_owned(), None),
            ("GET", "/api/v1/queues".into(), None),
            ("GET", format!("/api/v1/tasks/{id}"), None),
            (
                "POST",
                "/api/v1/tasks".into(),
                Some(json!({ "kind": "echo" })),
            ),
        ] {
            let answer = stage.call(method, &path, body).await;
            answer.refused(503, "store");
            assert!(answer.headers.contains_key("retry-after"));
            for secret in ["redis", "127.0.0.1", "queues", "Lua", &port.to_string()] {
                assert!(!answer.text.contains(secret), "{secret} in {answer:?}");
            }
        }
        stage.get("/healthz").await.is(200);
        let _again = Redis::start(&folder, port);
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while stage.get("/readyz").await.status != 200 {
            assert!(tokio::time::Instant::now() < deadline, "it is ready again");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        stage.get(&format!("/api/v1/tasks/{id}")).await.is(200);
        let path = format!("/api/v1/replays/{}", replay["id"].as_str().unwrap());
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let replay = stage.get(&path).await.is(200);
            if replay["status"] == "done" {
                assert_eq!(replay["replayed"], 30, "{replay}");
                break;
            }
            assert!(tokio::time::Instant::now() < deadline, "{replay}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        stage.end().await;
    }
}
