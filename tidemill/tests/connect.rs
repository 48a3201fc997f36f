//! How a program reaches a store.

#![expect(
    clippy::unwrap_used,
    reason = "these are tests, their helpers included"
)]

use serde::{Deserialize, Serialize};
use tidemill::prelude::*;
use tidemill::{Connect, Connection};

#[derive(Task, Serialize, Deserialize)]
#[task(kind = "ping", retention = "1h")]
struct Ping {}

async fn waiting(connection: &Connection) -> u64 {
    let stats = connection.broker.stats(&[]).await.unwrap();
    stats.iter().map(|queue| queue.pending).sum()
}

#[tokio::test]
async fn what_is_enqueued_in_a_file_is_there_when_it_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!(
        "sqlite:{}?synchronous=normal",
        folder.path().join("tasks.db").display()
    );
    let id = {
        let broker = tidemill::connect(&url).await.unwrap();
        let done = Client::new(&broker).enqueue(Ping {}).await.unwrap();
        done.id
    };
    let broker = tidemill::connect(&url).await.unwrap();
    let task = Client::new(&broker).task(&id).await.unwrap().unwrap();
    assert_eq!(task.envelope.kind.as_str(), "ping");
}

#[tokio::test]
async fn each_store_in_memory_is_another_one() {
    let one = tidemill::connect("memory:").await.unwrap();
    let other = tidemill::connect("memory:").await.unwrap();
    Client::new(&one).enqueue(Ping {}).await.unwrap();
    assert_eq!((waiting(&one).await, waiting(&other).await), (1, 0));
}

#[tokio::test]
async fn namespaces_of_one_file_do_not_meet() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("tasks.db").display());
    let open = |name: &str| Connect::to(&url).namespace(name).open();
    let (red, blue) = (open("red").await.unwrap(), open("blue").await.unwrap());
    Client::new(&red).enqueue(Ping {}).id("one").await.unwrap();
    assert_eq!((waiting(&red).await, waiting(&blue).await), (1, 0));
    Client::new(&blue).enqueue(Ping {}).id("one").await.unwrap();
}

#[tokio::test]
async fn a_connection_that_makes_no_sense_is_refused() {
    let kind = |result: tidemill::Result<Connection>| result.unwrap_err().kind();
    let bad_namespace = Connect::to("memory:").namespace("a b").open().await;
    assert_eq!(kind(bad_namespace), ErrorKind::Invalid);
    let other_ledger = Connect::to("memory:").ledger("sqlite:x.db").open().await;
    assert_eq!(kind(other_ledger), ErrorKind::Unsupported);
    let bad_ledger = Connect::to("memory:").ledger("nonsense").open().await;
    assert_eq!(kind(bad_ledger), ErrorKind::Invalid);
    assert!(
        Connect::to("memory:")
            .ledger("memory:")
            .open()
            .await
            .is_ok()
    );
    let nowhere = tidemill::connect("sqlite:/nonexistent/folder/tasks.db").await;
    assert!(nowhere.is_err());
}
