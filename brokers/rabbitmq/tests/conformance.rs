//! RabbitMQ and a ledger beside it keep the contract: with the tasks of the suite as they are, which the
//! ledger keeps, and with the ids of the library, which travel through RabbitMQ.

#[path = "harness/beside.rs"]
mod beside;
#[path = "../../embedded/tests/harness/embedded.rs"]
mod embedded;
#[path = "harness/rabbit.rs"]
mod rabbit;
#[path = "../../redis/tests/harness/redis.rs"]
mod redis_server;
#[path = "harness/renamed.rs"]
mod renamed;

use beside::Rabbit;
use embedded::Embedded;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use lapin::{Connection as Amqp, ConnectionProperties};
use redis_server::Redis;
use renamed::Renamed;
use tidemill_conformance::{Harness, excluded};

const REDIS: Redis = Redis("TIDEMILL_TEST_REDIS");

/// The variable that names three nodes which are one RabbitMQ.
const CLUSTER: &str = "TIDEMILL_TEST_RABBITMQ_CLUSTER";

const fn on<H>(at: &'static str, queues: &'static str, ledgers: H) -> Rabbit<H> {
    Rabbit {
        at,
        queues,
        ledgers,
    }
}

mod rabbitmq_beside_sqlite {
    use super::{Embedded, on, rabbit};

    tidemill_conformance::conformance!(on(rabbit::NODE, "quorum", Embedded));
}

mod rabbitmq_alone {
    use super::{ALONE_EXCEPT, REDIS, Renamed, on, rabbit};

    tidemill_conformance::conformance!(Renamed(on(rabbit::NODE, "quorum", REDIS)), except ALONE_EXCEPT);
}

mod rabbitmq_with_classic_queues {
    use super::{ALONE_EXCEPT, Embedded, Renamed, on, rabbit};

    tidemill_conformance::conformance!(Renamed(on(rabbit::NODE, "classic", Embedded)), except ALONE_EXCEPT);
}

mod rabbitmq_on_three_nodes {
    use super::{ALONE_EXCEPT, CLUSTER, REDIS, Renamed, on};

    tidemill_conformance::conformance!(Renamed(on(CLUSTER, "quorum", REDIS)), except ALONE_EXCEPT);
}

const IDS: &str = "RabbitMQ does not look ids up; the library makes none twice";
const LEDGER_FIRST: &str = "what the ledger holds of a queue goes before what RabbitMQ holds";
const OLDEST: &str = "RabbitMQ does not say how old a message is";
const RENAMED: &str = "the ledger is asked by the names of the suite, which mean nothing there";

/// What RabbitMQ does otherwise than the contract says, or cannot be staged with renamed tasks. That it can with a
/// ledger beside it, the other module shows.
const ALONE_EXCEPT: &[(&str, &str)] = &[
    ("a_bad_item_does_not_harm_a_good_one", IDS),
    ("a_delayed_task_is_ready_when_it_is_due", LEDGER_FIRST),
    ("a_released_task_goes_back_to_the_front", LEDGER_FIRST),
    (
        "a_retried_task_takes_its_place_by_its_due_time",
        LEDGER_FIRST,
    ),
    ("the_age_of_the_oldest_is_that_of_the_longest_ready", OLDEST),
    ("a_committed_step_is_not_run_again", RENAMED),
    ("an_unfinished_step_is_taken_over", RENAMED),
    ("a_commit_can_be_repeated", RENAMED),
    ("a_run_that_was_overtaken_finds_its_steps_closed", RENAMED),
    ("a_stale_run_cannot_claim_or_commit_a_step", RENAMED),
    ("an_abandoned_step_can_be_claimed_again", RENAMED),
    ("steps_belong_to_their_task", RENAMED),
    ("a_step_is_forgotten_after_its_time", RENAMED),
    ("steps_are_gone_with_their_task", RENAMED),
    ("lines_come_back_as_they_were_written", RENAMED),
    ("a_log_is_read_page_by_page_and_goes_on", RENAMED),
    ("an_empty_log_can_be_followed_from_its_start", RENAMED),
    ("logs_of_different_tasks_are_kept_apart", RENAMED),
    ("a_taken_id_is_not_adopted", RENAMED),
];

#[tokio::test]
async fn rabbitmq_beside_a_ledger_leaves_nothing_out() {
    let space = on(rabbit::NODE, "quorum", Embedded).fresh().await;
    assert_eq!(excluded(&space.connection().broker.capabilities()), []);
}

/// Or the cases on three nodes would be cases on one.
#[tokio::test]
async fn what_one_of_the_three_nodes_has_each_of_them_has() {
    let (url, queue) = (rabbit::url(CLUSTER), rabbit::unique());
    let (user, hosts) = url.rsplit_once('@').expect("the URL has a user");
    let hosts: Vec<_> = hosts.split(',').collect();
    assert_eq!(hosts.len(), 3, "{hosts:?}");
    let mut options = QueueDeclareOptions::durable();
    for host in hosts {
        let (node, properties) = (format!("{user}@{host}"), ConnectionProperties::default());
        let connection = Amqp::connect(&node, properties).await.expect("it is there");
        let channel = connection.create_channel().await.expect("it has channels");
        let declared = channel.queue_declare(queue.as_str().into(), options, FieldTable::default());
        declared.await.expect(host);
        // The others have to know it.
        options = QueueDeclareOptions::default().passive();
    }
}
