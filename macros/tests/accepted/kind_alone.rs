use serde::{Deserialize, Serialize};
use tidemill::{Task as _, TaskDefaults};
use tidemill_macros::Task;

#[derive(Task, Serialize, Deserialize)]
#[task(kind = "ping")]
struct Ping;

#[derive(Task, Serialize, Deserialize)]
#[task(kind = "pet", attempts = 1)]
enum Pet {
    Cat { lives: u8 },
    Dog(String),
}

fn main() {
    assert_eq!(Ping::KIND, "ping");
    assert_eq!(Ping::defaults(), TaskDefaults::default());
    assert_eq!(Pet::KIND, "pet");
    assert_eq!(Pet::defaults().max_attempts, Some(1));
    let _pets = [Pet::Cat { lives: 9 }, Pet::Dog("Rex".into())];
}
