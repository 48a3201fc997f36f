//! Examples for the help of each command, and the grammar with them.

use clap::{Command, CommandFactory};

use crate::grammar::Cli;

/// For each command that has no examples of its own beside its flags: how it is called.
const EXAMPLES: &[(&str, &[&str])] = &[
    (
        "dev",
        &[
            "tidemill dev",
            "tidemill dev --write-sample tidemill.toml",
            "tidemill dev --config tidemill.toml",
        ],
    ),
    (
        "producer",
        &[
            "tidemill producer --schedules jobs.toml",
            "tidemill producer --broker redis://127.0.0.1:6379 --schedules jobs.toml --shards 4",
        ],
    ),
    (
        "worker",
        &[
            "tidemill worker",
            "tidemill worker --queue mail=3 --queue default --concurrency 32",
            "tidemill worker --queue urgent --queue default --strict --grace 1m",
        ],
    ),
    (
        "enqueue",
        &[
            "tidemill enqueue echo --payload '{\"hello\":\"world\"}'",
            "tidemill enqueue report.build --queue reports --payload @report.json --in 10m",
            "tidemill enqueue email.welcome --key welcome:ada --max-attempts 5 --timeout 30s",
        ],
    ),
    (
        "task list",
        &[
            "tidemill task list --state retry,active --queue mail",
            "tidemill task list --since 15m --error timeout -o json",
            "tidemill task list --state completed --all",
        ],
    ),
    (
        "task get",
        &["tidemill task get ID", "tidemill task get ID -o json"],
    ),
    (
        "task retry",
        &[
            "tidemill task retry ID --reason 'relay is back'",
            "tidemill task retry --state retry --queue mail --rate 50/s",
        ],
    ),
    (
        "task cancel",
        &[
            "tidemill task cancel ID",
            "tidemill task cancel --kind report.build --dry-run",
            "tidemill task cancel --queue reports --state pending --yes",
        ],
    ),
    (
        "task skip",
        &[
            "tidemill task skip ID --reason 'not needed any more'",
            "tidemill task skip ID --force",
        ],
    ),
    ("task why", &["tidemill task why ID"]),
    (
        "task delete",
        &[
            "tidemill task delete ID",
            "tidemill task delete --state completed --until 7d --yes",
        ],
    ),
    (
        "task bury",
        &["tidemill task bury ID --reason 'wait for the vendor'"],
    ),
    (
        "task reschedule",
        &[
            "tidemill task reschedule ID --in 2h",
            "tidemill task reschedule --queue reports --state scheduled --at 2027-01-01T06:00:00Z",
        ],
    ),
    (
        "task logs",
        &[
            "tidemill task logs ID",
            "tidemill task logs --follow --timestamps ID",
        ],
    ),
    (
        "schedule list",
        &["tidemill schedule list", "tidemill schedule list -o json"],
    ),
    ("schedule show", &["tidemill schedule show nightly"]),
    (
        "schedule apply",
        &[
            "tidemill schedule apply jobs.toml --dry-run",
            "tidemill schedule apply jobs.toml --reason 'new report'",
        ],
    ),
    (
        "schedule plan",
        &[
            "tidemill schedule plan jobs.toml --days 30",
            "tidemill schedule plan jobs.toml --fires 1000 -o json",
        ],
    ),
    (
        "schedule put",
        &[
            "tidemill schedule put nightly --kind report.build --cron '0 3 * * *' --time-zone Europe/Madrid",
            "tidemill schedule put ping --kind http --every 30s --payload '{\"url\":\"http://127.0.0.1:8080/healthz\"}' --set overlap=skip --dry-run",
        ],
    ),
    (
        "schedule pause",
        &["tidemill schedule pause nightly --reason 'the warehouse is being moved'"],
    ),
    ("schedule resume", &["tidemill schedule resume nightly"]),
    ("schedule run-now", &["tidemill schedule run-now nightly"]),
    (
        "schedule backfill",
        &[
            "tidemill schedule backfill nightly --from 3d --until 1h --dry-run",
            "tidemill schedule backfill nightly --from 2026-11-01T00:00:00Z --until 2026-11-08T00:00:00Z --limit 5",
        ],
    ),
    (
        "schedule delete",
        &["tidemill schedule delete nightly --reason 'replaced by hourly'"],
    ),
    (
        "schedule fires",
        &[
            "tidemill schedule fires nightly",
            "tidemill schedule fires nightly --outcome skipped,missed --since 7d",
        ],
    ),
    (
        "cron next",
        &["tidemill cron next '0 9 * * MON-FRI' --tz Europe/Madrid --count 10"],
    ),
    (
        "cron explain",
        &["tidemill cron explain '0 0/15 8-17 * * ?'"],
    ),
    (
        "queue list",
        &["tidemill queue list", "tidemill queue list -o json"],
    ),
    (
        "queue stats",
        &["tidemill queue stats", "tidemill queue stats mail"],
    ),
    (
        "queue pause",
        &["tidemill queue pause mail --reason 'relay is away'"],
    ),
    ("queue resume", &["tidemill queue resume mail"]),
    (
        "queue drain",
        &[
            "tidemill queue drain mail --reason 'moving to another store'",
            "tidemill queue drain mail --wait",
        ],
    ),
    (
        "queue remove",
        &[
            "tidemill queue remove mail",
            "tidemill queue remove mail --force --dry-run",
        ],
    ),
    (
        "queue limit",
        &[
            "tidemill queue limit mail 10000",
            "tidemill queue limit mail none",
        ],
    ),
    ("queue history", &["tidemill queue history mail --since 6h"]),
    (
        "dead list",
        &[
            "tidemill dead list --error 'connection refused' --ended-since 2h",
            "tidemill dead list --buried-for rejected -o json",
        ],
    ),
    ("dead show", &["tidemill dead show ID"]),
    ("dead replays", &["tidemill dead replays"]),
    (
        "dead stop",
        &["tidemill dead stop REPLAY --reason 'wrong queue'"],
    ),
    ("dead resume", &["tidemill dead resume REPLAY"]),
    (
        "dead undo",
        &["tidemill dead undo REPLAY --reason 'too early'"],
    ),
    (
        "dead export",
        &["tidemill dead export --queue mail --file letters.jsonl"],
    ),
    ("dead import", &["tidemill dead import letters.jsonl"]),
    (
        "dead purge",
        &[
            "tidemill dead purge --kind report.build --until 30d --dry-run",
            "tidemill dead purge ID --yes",
        ],
    ),
    ("token list", &["tidemill token list"]),
    (
        "token revoke",
        &["tidemill token revoke ada --reason 'has left'"],
    ),
    ("workers", &["tidemill workers", "tidemill workers -o json"]),
    ("producers", &["tidemill producers"]),
    (
        "check",
        &[
            "tidemill check",
            "tidemill check --broker redis://127.0.0.1:6379",
        ],
    ),
    (
        "completions",
        &["tidemill completions bash > /etc/bash_completion.d/tidemill"],
    ),
    ("man", &["tidemill man /usr/local/share/man/man1"]),
];

/// The grammar, with examples for every command.
pub(crate) fn grammar() -> Command {
    EXAMPLES
        .iter()
        .fold(Cli::command(), |command, (path, lines)| {
            let path: Vec<_> = path.split(' ').collect();
            with(
                command,
                &path,
                &format!("Examples:\n  {}", lines.join("\n  ")),
            )
        })
}

fn with(command: Command, path: &[&str], text: &str) -> Command {
    match path {
        [] => command.after_help(text.to_owned()),
        [first, rest @ ..] => command.mut_subcommand(first, |inner| with(inner, rest, text)),
    }
}

#[cfg(test)]
mod tests {
    use clap::{Command, FromArgMatches};

    use super::grammar;
    use crate::grammar::Cli;

    /// The words of a line, as a shell splits it, up to a comment or a redirection.
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
        for c in line.chars() {
            match c {
                '\'' => quoted = !quoted,
                ' ' if !quoted => words.push(std::mem::take(&mut word)),
                '#' | '>' if !quoted && word.is_empty() => break,
                _ => word.push(c),
            }
        }
        words.push(word);
        words.retain(|word| !word.is_empty());
        words
    }

    fn visit(command: &Command, path: &str, seen: &mut usize) {
        let mut leaf = true;
        for inner in command
            .get_subcommands()
            .filter(|inner| inner.get_name() != "help")
        {
            leaf = false;
            visit(inner, &format!("{path} {}", inner.get_name()), seen);
        }
        if !leaf {
            return;
        }
        let help = command
            .get_after_help()
            .map(ToString::to_string)
            .unwrap_or_default();
        let lines: Vec<_> = help
            .lines()
            .filter(|line| line.starts_with("  tidemill"))
            .collect();
        assert!(
            help.starts_with("Examples:") && !lines.is_empty(),
            "{path} has no examples"
        );
        let own = lines
            .iter()
            .filter(|line| words(line).join(" ").starts_with(path));
        assert!(own.count() > 0, "{path} has no example of its own");
        for line in lines {
            let words = words(line);
            let parsed = grammar().try_get_matches_from(&words);
            let parsed = parsed.and_then(|found| Cli::from_arg_matches(&found));
            assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
            *seen += 1;
        }
    }

    #[test]
    fn every_command_has_examples_and_all_of_them_are_understood() {
        let mut seen = 0;
        visit(&grammar(), "tidemill", &mut seen);
        assert!(seen > 60, "{seen}");
    }
}
