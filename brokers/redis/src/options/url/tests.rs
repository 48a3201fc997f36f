//! What URLs say, and what is said of wrong ones.

use std::path::PathBuf;
use std::time::Duration;

use tidemill_shared::ErrorKind;

use crate::options::{Address, Durability, RedisOptions, Topology, Verification};

fn parse(url: &str) -> RedisOptions {
    RedisOptions::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"))
}

#[test]
fn a_plain_url_names_a_host_and_a_database() {
    for (url, host, port, database) in [
        ("redis://localhost", "localhost", 6379, 0),
        ("redis://localhost/", "localhost", 6379, 0),
        ("redis://10.0.0.1:7000/3", "10.0.0.1", 7000, 3),
        ("redis://[::1]:7000/3/", "::1", 7000, 3),
        ("redis://[::1]?timeout=1s", "::1", 6379, 0),
    ] {
        let options = parse(url);
        assert_eq!(options.topology, Topology::Single(Address::new(host, port)));
        assert_eq!(options.database, database, "{url}");
        assert!(options.tls.is_none());
    }
    assert!(parse("rediss://localhost").tls.is_some());
}

#[test]
fn credentials_are_percent_decoded_and_may_hold_an_at_sign() {
    for (url, user, password) in [
        ("redis://u:p@h", Some("u"), Some("p")),
        ("redis://:p@h", None, Some("p")),
        ("redis://u%3A:p%40%2f@h", Some("u:"), Some("p@/")),
        ("redis://u:p@ss@h", Some("u"), Some("p@ss")),
        ("redis://@h", None, None),
    ] {
        let credentials = parse(url).credentials;
        assert_eq!(credentials.user.as_ref().map(|u| u.reveal()), user, "{url}");
        assert_eq!(
            credentials.password.as_ref().map(|p| p.reveal()),
            password,
            "{url}"
        );
    }
}

#[test]
fn sentinels_and_nodes_are_lists() {
    let options = parse(
        "redis+sentinel://u:p@a,b:5000/main/2?sentinel_user=x&sentinel_password=y%26&tls=true",
    );
    let sentinels = vec![Address::new("a", 26379), Address::new("b", 5000)];
    let master = "main".to_owned();
    assert_eq!(options.topology, Topology::Sentinel { sentinels, master });
    assert_eq!(options.database, 2);
    assert!(options.tls.is_some());
    let sentinel = options.sentinel_credentials;
    assert_eq!(sentinel.password.unwrap().reveal(), "y&");
    let seeds = vec![Address::new("a", 6379), Address::new("b", 7001)];
    let options = parse("redis+cluster://a,b:7001");
    assert_eq!(options.topology, Topology::Cluster { seeds });
}

#[test]
fn settings_are_read() {
    let options = parse(
        "rediss://h?timeout=3s&connect_timeout=250ms&ca=/etc/a%20b.pem&cert=c&key=k&insecure=true",
    );
    assert_eq!(options.timeout, Duration::from_secs(3));
    assert_eq!(options.connect_timeout, Duration::from_millis(250));
    let tls = options.tls.unwrap();
    assert_eq!(tls.ca, Some(PathBuf::from("/etc/a b.pem")));
    assert_eq!(tls.identity, Some((PathBuf::from("c"), PathBuf::from("k"))));
    assert_eq!(tls.verification, Verification::None);
    assert_eq!(options.durability, Durability::None);
    let wait = |replicas, millis| Durability::Wait {
        replicas,
        timeout: Duration::from_millis(millis),
    };
    assert_eq!(
        parse("redis://h?durability=wait").durability,
        wait(1, 1_000)
    );
    let url = "redis://h?durability=wait&replicas=2&wait_timeout=200ms";
    assert_eq!(parse(url).durability, wait(2, 200));
}

#[test]
fn a_wrong_url_is_refused_with_what_was_expected() {
    for (url, part) in [
        ("", "no scheme"),
        ("redis:", "no scheme"),
        ("http://h", "scheme is wrong"),
        ("redis://", "host is missing"),
        ("redis://u:p@", "host is missing"),
        ("redis://h:0", "1 to 65535"),
        ("redis://h:seven", "1 to 65535"),
        ("redis://::1", "in brackets"),
        ("redis://[::1", "lacks the ]"),
        ("redis://a,b", "names one server"),
        ("redis://h/x", "number of a database"),
        ("redis://h/-1", "number of a database"),
        ("redis://u@h", "user without a password"),
        ("redis://u:%zz@h", "percent-encoded"),
        ("redis+sentinel://h", "name of the master"),
        ("redis+sentinel://h/a b", "name of the master"),
        ("redis+cluster://h/1", "database 0 alone"),
        ("redis+cluster://h,,i", "host is missing"),
        ("redis://h?timeout=5", "unit is missing"),
        ("redis://h?timeout=11m", "1ms to 10m"),
        ("redis://h?timeout=0s", "1ms to 10m"),
        ("redis://h?time_out=5s", "did you mean timeout?"),
        ("redis://h?zzz=5s", "expected one of timeout, "),
        ("redis://h?db=1", "behind the host"),
        ("redis://h?tls=true", "rediss://"),
        ("redis+cluster://h?tls=yes", "true or false"),
        ("redis+cluster://h?ca=f", "tls=true"),
        ("redis://h?insecure=true", "rediss://"),
        ("rediss://h?cert=f", "need each other"),
        ("rediss://h?ca=", "lacks the path"),
        ("redis://h?durability=often", "none or wait"),
        ("redis://h?durability=wait&replicas=0", "1 to 100"),
        ("redis://h?replicas=2", "durability=wait"),
        ("redis://h?sentinel_password=x", "redis+sentinel://"),
        (
            "redis+sentinel://h/m?sentinel_user=x",
            "needs sentinel_password",
        ),
    ] {
        let error = RedisOptions::parse(url).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{url}");
        assert!(error.to_string().contains(part), "{url}: {error}");
    }
}

#[test]
fn no_error_and_no_debug_text_repeats_a_secret() {
    for url in [
        "redis://user:hunter2@host/0",
        "redis://hunter2:hunter2@host?x",
        "redis://user:pa/hunter2@host",
        "redis://user:pa?hunter2@host",
        "redis://user:pa?x=hunter2&hunter2@host",
        "redis://user:hunter2",
        "redis://hunter2@host",
        "redis://user:hunter2%@host",
        "redis://user:hunter2@host:99999",
        "hunter2://host",
        "hunter2@host:99",
        "redis+sentinel://h/m?sentinel_password=a&hunter2=b",
        "redis+sentinel://h/m?sentinel_password=hunter2&sentinel_user=hunter2",
        "redis+cluster://:hunter2@h/hunter2",
    ] {
        match RedisOptions::parse(url) {
            Ok(options) => {
                let shown = format!("{options:?}");
                assert!(!shown.contains("hunter2"), "{shown}");
            }
            Err(error) => {
                let shown = format!("{error} {error:?}");
                assert!(!shown.contains("hunter2"), "{shown}");
            }
        }
    }
}

#[test]
fn several_servers_and_a_setting_given_twice_are_refused_in_words() {
    for (url, part) in [
        ("redis://a:1,b:2", "redis+cluster://HOSTS"),
        ("rediss://a,b", "redis+sentinel://"),
        ("redis://a?timeout=1s&timeout=2s", "timeout is given twice"),
    ] {
        let error = RedisOptions::parse(url).unwrap_err().to_string();
        assert!(error.contains(part), "{url}: {error}");
    }
}
