//! What `dev` says at its start.

use crate::clean;
use crate::context::{DEV_URL, has_secrets, without_secrets};
use crate::output::counted;
use crate::settings::{ScheduleSource, Settings};

/// The lines: what runs here, and what to type in another terminal.
pub(super) fn text(settings: &Settings, url: &str, sources: &[ScheduleSource]) -> Vec<String> {
    let count: usize = sources.iter().map(|source| source.schedules.len()).sum();
    let origin = match &settings.file {
        Some(path) => path.display().to_string(),
        None => "the built-in sample, because there is no tidemill.toml here".to_owned(),
    };
    let mut lines = vec![
        format!(
            "tidemill {} on {}",
            env!("CARGO_PKG_VERSION"),
            without_secrets(url)
        ),
        format!("{} from {origin}", counted(count, "schedule")),
        String::new(),
    ];
    if url.starts_with("memory:") {
        lines.push(
            "memory: is seen by this process alone; use sqlite:PATH or redis://HOST to look from another \
             terminal"
                .into(),
        );
    } else {
        let tidemill = command(settings, url);
        lines.push("From another terminal in this folder:".into());
        if has_secrets(url) {
            // It is not repeated: terminals are looked at, and shells remember what is typed.
            lines.push(
                "  export TIDEMILL_BROKER=…  # the same URL as here, with its password".into(),
            );
        }
        lines.push(format!(
            "  {tidemill} enqueue echo --payload '{{\"hello\":\"world\"}}'"
        ));
        lines.push(format!("  {tidemill} task list"));
        lines.push(format!("  {tidemill} task get ID"));
        lines.push(format!("  {tidemill} task logs ID"));
        lines.push(format!("  {tidemill} schedule list"));
    }
    lines.push(String::new());
    lines.push("Ctrl-C finishes what runs and ends.".into());
    lines.push(String::new());
    lines
        .iter()
        .map(|line| clean::line(line).into_owned())
        .collect()
}

/// How this program is called from another terminal so that it finds the same store.
fn command(settings: &Settings, url: &str) -> String {
    let typed = std::env::args().next().unwrap_or_default();
    let mut command = quoted(if typed.contains('/') {
        &typed
    } else {
        "tidemill"
    });
    let default_file = settings
        .file
        .as_deref()
        .is_none_or(|path| path.as_os_str() == "tidemill.toml");
    if let (false, Some(path)) = (default_file, &settings.file) {
        command.push_str(&format!(" --config {}", quoted(&path.to_string_lossy())));
    }
    if url != DEV_URL && !has_secrets(url) {
        command.push_str(&format!(" --broker {}", quoted(url)));
    }
    if settings.namespace.as_str() != "default" {
        command.push_str(&format!(" --namespace {}", settings.namespace));
    }
    command
}

/// A word as a shell reads it back.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::{quoted, text};
    use crate::settings::Settings;

    #[test]
    fn a_password_is_not_repeated() {
        let url = "redis://ada:s3cret@localhost?sentinel_password=s3cret";
        let lines = text(&Settings::default(), url, &[]);
        assert!(!lines.concat().contains("s3cret"), "{lines:#?}");
        let list = lines.iter().find(|line| line.ends_with(" task list"));
        assert!(!list.unwrap().contains("--broker"), "{lines:#?}");
        let remedy = lines.iter().any(|line| line.contains("TIDEMILL_BROKER"));
        assert!(remedy, "{lines:#?}");
        let lines = text(&Settings::default(), "redis://localhost", &[]).concat();
        assert!(lines.contains("--broker redis://localhost task list"));
    }

    #[test]
    fn a_word_is_quoted_when_a_shell_would_read_it_otherwise() {
        assert_eq!(quoted("sqlite:a/b.db"), "sqlite:a/b.db");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted("a b?x"), "'a b?x'");
    }
}
