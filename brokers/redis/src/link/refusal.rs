//! What an error reply means for whoever sent the call.

use redis::ServerError;
use tidemill_shared::ErrorKind;

use super::fault::Fault;
use crate::options::Address;

/// The rule that lets a user of Redis do all that Tidemill does.
pub(crate) const ACL_RULE: &str = "ACL SETUSER NAME ~tidemill:* resetchannels +@read +@write -@dangerous +evalsha +script|load +multi +exec +time +wait +select +client|setname +client|unblock +info +config|get +cluster|slots";

/// The longest part of a server's text that is repeated.
const SHOWN: usize = 200;

/// What to do about an error reply.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The script has to be loaded first.
    Unknown,
    /// It was not run, and may be in a moment.
    NotNow,
    /// It was not run, and will be by another server, perhaps by this one.
    Elsewhere { hint: Option<Address> },
    /// It will not be run.
    Final(Fault),
}

impl Refusal {
    pub(super) fn read(error: &ServerError, address: &Address) -> Self {
        let details = error.details().unwrap_or_default();
        match code(error) {
            "NOSCRIPT" => Self::Unknown,
            "ASK" | "TRYAGAIN" | "LOADING" | "BUSY" | "NOREPLICAS" => Self::NotNow,
            "MOVED" => Self::Elsewhere {
                hint: hint(details, address),
            },
            "READONLY" | "MASTERDOWN" | "CLUSTERDOWN" => Self::Elsewhere { hint: None },
            "OOM" => Self::Final(Fault::new(
                ErrorKind::Refused,
                format!("redis at {address} has reached its maxmemory; make room, or raise it"),
            )),
            "MISCONF" => Self::Final(Fault::unavailable(format!(
                "redis at {address} can't write to its disk, and takes no writes until it can; see its log"
            ))),
            "NOAUTH" => Self::Final(Fault::invalid(format!(
                "redis at {address} wants a password, and the URL gives none"
            ))),
            "WRONGPASS" => Self::Final(Fault::invalid(format!(
                "redis at {address} refuses the user or the password"
            ))),
            "NOPERM" => Self::Final(no_permission(details, address)),
            "WRONGTYPE" => Self::Final(Fault::new(
                ErrorKind::Corrupt,
                format!(
                    "a key in redis is not what Tidemill made it: {}",
                    shown(error)
                ),
            )),
            "ERR" if is_of_a_script(details) => Self::Final(Fault::new(
                ErrorKind::Internal,
                format!("a script failed: {}", shown(error)),
            )),
            _ => Self::Final(Self::text(error, address)),
        }
    }

    /// The fault, where there will be no other attempt.
    pub(super) fn into_fault(self, error: &ServerError, address: &Address) -> Fault {
        match self {
            Self::Final(fault) => fault,
            Self::Unknown | Self::NotNow | Self::Elsewhere { .. } => Self::text(error, address),
        }
    }

    /// The words of the server.
    pub(super) fn text(error: &ServerError, address: &Address) -> Fault {
        Fault::unavailable(format!("redis at {address} refuses: {}", shown(error)))
    }
}

/// The code of an error. Redis 6.2 hides that of a failed command of a script in the text:
/// `ERR Error running script (call to f_…): @user_script:3: @user_script: 3: -OOM command …`.
fn code(error: &ServerError) -> &str {
    let details = error.details().unwrap_or_default();
    // A refused `EXEC` says why in its text.
    if error.code() == "EXECABORT" && hidden_in(details) != "ERR" {
        return hidden_in(details);
    }
    if error.code() != "ERR" {
        return error.code();
    }
    if details.starts_with("ACL failure in script")
        || details.contains("The user executing the script")
    {
        return "NOPERM";
    }
    if !details.starts_with("Error running script") {
        return "ERR";
    }
    hidden_in(details)
}

/// The code of an error that stands within the text of another.
fn hidden_in(details: &str) -> &'static str {
    const HIDDEN: [&str; 8] = [
        "READONLY",
        "OOM",
        "MISCONF",
        "WRONGTYPE",
        "NOREPLICAS",
        "CLUSTERDOWN",
        "MASTERDOWN",
        "NOPERM",
    ];
    let words = details
        .split_whitespace()
        .map(|word| word.trim_start_matches('-'));
    words
        .filter_map(|word| HIDDEN.into_iter().find(|hidden| *hidden == word))
        .next()
        .unwrap_or("ERR")
}

fn is_of_a_script(details: &str) -> bool {
    details.contains("user_script")
}

/// `MOVED 3999 127.0.0.1:6381`; without a host, it is the one that was asked.
fn hint(details: &str, asked: &Address) -> Option<Address> {
    let (host, port) = details.split_whitespace().nth(1)?.rsplit_once(':')?;
    let host = if host.is_empty() { &asked.host } else { host };
    Some(Address::new(host, port.parse().ok()?))
}

/// Names the command that was refused, and the rule that allows it.
pub(super) fn no_permission(details: &str, address: &Address) -> Fault {
    let command = details.split('\'').nth(1).filter(|name| {
        name.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"|-_".contains(&b))
    });
    let what = match command {
        Some(command) => format!("may not run {command}"),
        // Redis up to 7.0 does not say which.
        None if details.contains("run this command") => {
            "may not run a command that scripts run; `tidemill check` says which".to_owned()
        }
        None if details.contains("channel") => "may not use the channels tidemill:*".to_owned(),
        None => "may not touch the keys tidemill:*".to_owned(),
    };
    Fault::invalid(format!(
        "the user of redis at {address} {what}; allow it with {ACL_RULE}"
    ))
}

/// The words of the server, shortened; an unknown command is not followed by what we sent.
pub(super) fn shown(error: &ServerError) -> String {
    let details = error.details().unwrap_or_default();
    let details = details.split(", with args").next().unwrap_or_default();
    let details: String = details
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(SHOWN)
        .collect();
    format!("{} {}", error.code(), details.trim_end())
        .trim_end()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use redis::{ServerError, Value, parse_redis_value};
    use tidemill_shared::ErrorKind;

    use super::{Refusal, shown};
    use crate::options::Address;

    fn error(reply: &str) -> ServerError {
        match parse_redis_value(format!("-{reply}\r\n").as_bytes()).unwrap() {
            Value::ServerError(error) => error,
            other => panic!("{other:?} is no error"),
        }
    }

    fn read(reply: &str) -> Refusal {
        Refusal::read(&error(reply), &Address::new("h", 1))
    }

    #[test]
    fn what_was_not_run_is_told_from_what_never_will_be() {
        assert!(matches!(
            read("NOSCRIPT No matching script."),
            Refusal::Unknown
        ));
        for reply in [
            "ASK 1 h:2",
            "TRYAGAIN Multiple keys request during rehashing of slot",
            "LOADING Redis is loading the dataset in memory",
            "BUSY Redis is busy running a script.",
            "NOREPLICAS Not enough good replicas to write.",
        ] {
            assert!(matches!(read(reply), Refusal::NotNow), "{reply}");
        }
        for reply in [
            "READONLY You can't write against a read only replica.",
            "MASTERDOWN Link with MASTER is down",
            "CLUSTERDOWN Hash slot not served",
            "ERR Error running script (call to f_a): @user_script:1: @user_script: 1: -READONLY You can't write against a read only replica. ",
        ] {
            assert!(
                matches!(read(reply), Refusal::Elsewhere { hint: None }),
                "{reply}"
            );
        }
    }

    #[test]
    fn moved_says_where_to() {
        for (reply, host, port) in [
            ("MOVED 5 127.0.0.1:7001", "127.0.0.1", 7001),
            ("MOVED 5 :7001", "h", 7001),
            ("MOVED 5 ::1:7001", "::1", 7001),
        ] {
            let Refusal::Elsewhere { hint } = read(reply) else {
                panic!("{reply}");
            };
            assert_eq!(hint, Some(Address::new(host, port)));
        }
    }

    #[test]
    fn each_refusal_for_good_has_its_kind_and_its_words() {
        let hidden = "ERR Error running script (call to f_a): @user_script:1: ";
        for (reply, kind, part) in [
            (
                "OOM command not allowed".to_owned(),
                ErrorKind::Refused,
                "maxmemory",
            ),
            (
                format!("{hidden}-OOM command not allowed"),
                ErrorKind::Refused,
                "maxmemory",
            ),
            (
                "MISCONF Redis is configured to".to_owned(),
                ErrorKind::Unavailable,
                "its disk",
            ),
            (
                "NOAUTH Authentication required.".to_owned(),
                ErrorKind::Invalid,
                "password",
            ),
            (
                format!("{hidden}-WRONGTYPE Operation"),
                ErrorKind::Corrupt,
                "not what",
            ),
            (
                "ERR user_script:1: attempt to".to_owned(),
                ErrorKind::Internal,
                "script failed",
            ),
            (
                "ERR something new".to_owned(),
                ErrorKind::Unavailable,
                "something new",
            ),
        ] {
            let Refusal::Final(fault) = read(&reply) else {
                panic!("{reply}");
            };
            let error = fault.to_error("test");
            assert_eq!(error.kind(), kind, "{reply}");
            assert!(error.to_string().contains(part), "{error}");
        }
    }

    #[test]
    fn a_command_that_is_denied_to_a_script_is_not_taken_for_a_key() {
        for (reply, part) in [
            (
                "ERR The user executing the script can't run this command or subcommand script: a, on @user_script:1.",
                "may not run a command that scripts run",
            ),
            (
                "ERR ACL failure in script: User w has no permissions to run the 'hset' command script: a",
                "may not run hset",
            ),
            (
                "NOPERM No permissions to access a key",
                "may not touch the keys",
            ),
        ] {
            let Refusal::Final(fault) = read(reply) else {
                panic!("{reply}");
            };
            assert!(fault.message().contains(part), "{}", fault.message());
        }
    }

    #[test]
    fn what_we_sent_is_not_repeated() {
        let reply = "ERR unknown command 'EVALSHA', with args beginning with: 'hunter2'";
        assert_eq!(shown(&error(reply)), "ERR unknown command 'EVALSHA'");
        assert!(shown(&error(&format!("ERR {}", "x".repeat(900)))).len() < 250);
    }
}
