//! What RabbitMQ holds for a namespace: names and settings of its queues.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, ExchangeKind};
use tidemill_shared::{Namespace, Priority, QueueName, Result, TaskId, Timestamp};

use crate::fault::{fault, is_missing};
use crate::options::QueueType;

/// How often RabbitMQ delivers a message before it sets it aside. The guard against messages that kill
/// whoever reads them; a task's own crash limit counts long before, because its first crash takes it to
/// the ledger.
const DELIVERY_LIMIT: i32 = 20;

/// Priorities in a quorum queue are queues. Within a band the first that came is the first that goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Band {
    /// Priorities 6 to 9.
    High,
    /// Priority 5, the default.
    Normal,
    /// Priorities 0 to 4.
    Low,
}

impl Band {
    /// Every band, in the order in which they are served.
    pub(crate) const ALL: [Self; 3] = [Self::High, Self::Normal, Self::Low];

    const fn letter(self) -> char {
        match self {
            Self::High => 'h',
            Self::Normal => 'n',
            Self::Low => 'l',
        }
    }

    pub(crate) fn of(priority: Priority) -> Self {
        match priority.cmp(&Priority::default()) {
            std::cmp::Ordering::Greater => Self::High,
            std::cmp::Ordering::Equal => Self::Normal,
            std::cmp::Ordering::Less => Self::Low,
        }
    }
}

/// Some bands, as they are written down: a letter for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bands([bool; 3]);

impl Bands {
    pub(crate) fn read(text: &str) -> Self {
        Self(Band::ALL.map(|band| text.contains(band.letter())))
    }

    pub(crate) fn write(self) -> String {
        self.iter().map(Band::letter).collect()
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Band> {
        let all = Band::ALL.into_iter().zip(self.0);
        all.filter_map(|(band, is_in)| is_in.then_some(band))
    }

    pub(crate) fn with(self, band: Band) -> Self {
        let mut all = Band::ALL.into_iter().zip(self.0);
        Self([(); 3].map(|()| all.next().is_some_and(|(one, is_in)| is_in || one == band)))
    }
}

/// The names and settings of a namespace. No name of Tidemill holds a slash, so none can be taken for
/// another.
#[derive(Clone, Debug)]
pub(crate) struct Topology {
    prefix: String,
    queue_type: QueueType,
}

impl Topology {
    pub(crate) fn new(namespace: &Namespace, queue_type: QueueType) -> Self {
        Self {
            prefix: format!("tidemill/{namespace}"),
            queue_type,
        }
    }

    /// The queue of RabbitMQ in which tasks of a queue and a band wait.
    pub(crate) fn line(&self, queue: &QueueName, band: Band) -> ShortString {
        let prefix = &self.prefix;
        short(match band {
            Band::High => format!("{prefix}/line/{queue}/high"),
            Band::Normal => format!("{prefix}/line/{queue}"),
            Band::Low => format!("{prefix}/line/{queue}/low"),
        })
    }

    /// The exchange, and the queue behind it, for what RabbitMQ itself sets aside.
    pub(crate) fn set_aside(&self) -> ShortString {
        short(format!("{}/set-aside", self.prefix))
    }

    /// A queue for one message, of one call.
    pub(crate) fn probe(&self, now: Timestamp) -> ShortString {
        short(format!("{}/probe/{}", self.prefix, TaskId::generate(now)))
    }

    /// Declares a line, and before it what its settings name. Doing it again changes nothing.
    pub(crate) async fn declare(
        &self,
        channel: &Channel,
        line: &ShortString,
        operation: &'static str,
    ) -> Result<()> {
        let aside = self.set_aside();
        let declared = async {
            let durable = ExchangeDeclareOptions {
                durable: true,
                ..ExchangeDeclareOptions::default()
            };
            let none = FieldTable::default;
            let kind = ExchangeKind::Fanout;
            channel
                .exchange_declare(aside.clone(), kind, durable, none())
                .await?;
            let (options, settings) = (QueueDeclareOptions::durable(), self.aside_settings());
            channel
                .queue_declare(aside.clone(), options, settings)
                .await?;
            let (key, options) = (ShortString::default(), QueueBindOptions::default());
            channel
                .queue_bind(aside.clone(), aside, key, options, none())
                .await?;
            let (options, settings) = (QueueDeclareOptions::durable(), self.line_settings());
            channel.queue_declare(line.clone(), options, settings).await
        };
        declared
            .await
            .map(drop)
            .map_err(|error| fault(operation, &error))
    }

    /// How many messages are ready in a line; `None` where there is no such line, and then the channel is
    /// closed.
    pub(crate) async fn count(
        channel: &Channel,
        line: &ShortString,
        operation: &'static str,
    ) -> Result<Option<u32>> {
        let passive = QueueDeclareOptions::default().passive();
        let found = channel.queue_declare(line.clone(), passive, FieldTable::default());
        match found.await {
            Ok(found) => Ok(Some(found.message_count())),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(fault(operation, &error)),
        }
    }

    fn line_settings(&self) -> FieldTable {
        let mut settings = self.aside_settings();
        let mut put = |name: &str, value: AMQPValue| {
            settings.insert(name.into(), value);
        };
        let text = |text: &str| AMQPValue::LongString(text.into());
        put("x-dead-letter-exchange", text(self.set_aside().as_str()));
        if self.queue_type == QueueType::Quorum {
            put("x-delivery-limit", AMQPValue::LongInt(DELIVERY_LIMIT));
            // Without the overflow setting this would silently be at-most-once.
            put("x-dead-letter-strategy", text("at-least-once"));
            put("x-overflow", text("reject-publish"));
            put("x-queue-leader-locator", text("balanced"));
        }
        settings
    }

    fn aside_settings(&self) -> FieldTable {
        let mut settings = FieldTable::default();
        let name = match self.queue_type {
            QueueType::Quorum => "quorum",
            QueueType::Classic => "classic",
        };
        settings.insert("x-queue-type".into(), AMQPValue::LongString(name.into()));
        settings
    }
}

/// Opening a store sees to it that its names are short enough.
fn short(name: String) -> ShortString {
    ShortString::try_new(name).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use tidemill_shared::{Namespace, QueueName};

    use super::{Band, Bands, Topology};
    use crate::options::QueueType;

    #[test]
    fn bands_are_written_and_read() {
        let bands = Bands::default().with(Band::Low).with(Band::Normal);
        assert_eq!(bands.write(), "nl");
        assert_eq!(Bands::read("nl"), bands);
        assert_eq!(bands.iter().collect::<Vec<_>>(), [Band::Normal, Band::Low]);
    }

    #[test]
    fn no_two_lines_have_one_name() {
        let names = Topology::new(&Namespace::default(), QueueType::Quorum);
        let queue = |name: &str| QueueName::new(name).unwrap();
        assert_eq!(
            names.line(&queue("mail"), Band::Normal).as_str(),
            "tidemill/default/line/mail"
        );
        assert_ne!(
            names.line(&queue("mail"), Band::High),
            names.line(&queue("mail.high"), Band::Normal)
        );
        let long = "q".repeat(128);
        let longest = Namespace::new("n".repeat(100)).unwrap();
        let longest = Topology::new(&longest, QueueType::Quorum);
        assert!(!longest.line(&queue(&long), Band::High).as_str().is_empty());
    }
}
