use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Framed;

const MAX_HEAD: usize = 1_024;

/// What hyper would read of these bytes, if they came in pieces of this size.
async fn read(bytes: &[u8], piece: usize) -> Vec<u8> {
    let (mut client, server) = tokio::io::duplex(piece);
    let mut framed = Framed::new(server, MAX_HEAD);
    let write = async {
        // Who is refused is not read any further.
        client.write_all(bytes).await.ok();
        drop(client);
    };
    let mut found = Vec::new();
    let read = async {
        framed.read_to_end(&mut found).await.unwrap();
        drop(framed);
    };
    tokio::join!(write, read);
    found
}

const WELL_FRAMED: [&str; 6] = [
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\na\nb\0cGET / HTTP/1.1\r\n\r\n",
    "POST / HTTP/1.1\r\ntransfer-encoding: Chunked\r\n\r\n5;x=y\r\na\nb\r\0\r\n0\r\nT: 1\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    "POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
    // Cut off: hyper knows what to do.
    "GET / HTTP/1.1\r\nHo",
];

#[tokio::test]
async fn what_is_well_framed_is_passed_on_byte_for_byte() {
    for text in WELL_FRAMED {
        for piece in [1, 3, 4_096] {
            let found = read(text.as_bytes(), piece).await;
            assert_eq!(String::from_utf8_lossy(&found), text, "{piece}");
        }
    }
}

/// S25.
#[tokio::test]
async fn what_could_be_read_in_two_ways_is_not_passed_on() {
    let good = "POST /good HTTP/1.1\r\nContent-Length: 2\r\n\r\nab";
    let bad = [
        "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        "POST / HTTP/1.1\r\nContent-Length: 5, 5\r\n\r\nhello",
        "POST / HTTP/1.1\r\nContent-Length: +5\r\n\r\nhello",
        "POST / HTTP/1.1\r\nContent-Length: \r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n X: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\0\r\n\r\n",
        "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ];
    for text in bad {
        for piece in [1, 4_096] {
            let found = read(format!("{good}{text}").as_bytes(), piece).await;
            let found = String::from_utf8_lossy(&found).into_owned();
            assert_eq!(found, format!("{good}\0\r\n\r\n"), "{text:?} by {piece}");
        }
    }
    let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    for text in [
        "5\nhello\r\n0\r\n\r\n",
        "5 x\r\n",
        "\r\n",
        "-5\r\n",
        "0x5\r\n",
        "0\r\nA: b\n\r\n\r\n",
    ] {
        let found = read(format!("{chunked}{text}").as_bytes(), 4_096).await;
        let found = String::from_utf8_lossy(&found).into_owned();
        assert!(found.ends_with("\0\r\n\r\n"), "{text:?}: {found:?}");
    }
}

#[tokio::test]
async fn a_head_without_end_is_not_kept_for_ever() {
    let long = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(10 * MAX_HEAD));
    let found = read(long.as_bytes(), 512).await;
    assert!(found.len() >= MAX_HEAD);
    assert!(long.as_bytes().starts_with(&found));
}
