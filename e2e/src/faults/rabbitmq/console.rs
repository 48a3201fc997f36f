//! A line to the nodes of one bed: what `rabbitmqctl` would do, without the seconds that it takes to start.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use crate::Result;

/// Reads lines with the name of a node and an expression, and writes a line with its value.
const LOOP: &str = r#"
    Do = fun(Node, Text) ->
        {ok, Tokens, _} = erl_scan:string(Text),
        {ok, Exprs} = erl_parse:parse_exprs(Tokens),
        case rpc:call(list_to_atom(Node), erl_eval, exprs, [Exprs, []], 60000) of
            {value, Value, _} -> {value, Value};
            Other -> {failed, Other}
        end
    end,
    Loop = fun Loop() ->
        case io:get_line("") of
            eof -> halt();
            Line ->
                [Node, Text] = string:split(string:trim(Line), " "),
                Answer = try Do(Node, Text) catch _:Error -> {failed, Error} end,
                io:format("~0tp~n", [Answer]),
                Loop()
        end
    end,
    Loop().
"#;

/// A node of Erlang that none of the others counts.
#[derive(Clone, Debug)]
pub(super) struct Console(Arc<Mutex<Line>>);

#[derive(Debug)]
struct Line {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Console {
    /// Starts it, in this folder.
    pub(super) fn open(folder: &Path, mapper: u16, cookie: &str) -> Result<Self> {
        let mut child = Command::new("erl")
            .args(["-noshell", "-hidden", "-sname"])
            .arg(format!("console-{mapper}@localhost"))
            .args(["-setcookie", cookie])
            .args(["-kernel", "inet_dist_use_interface", "{127,0,0,1}"])
            .args(["-eval", LOOP])
            .current_dir(folder)
            .env("HOME", folder)
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("ERL_EPMD_PORT", mapper.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("erl could not be started: {error}"))?;
        let input = child.stdin.take().ok_or("erl has no input")?;
        let output = child.stdout.take().ok_or("erl has no output")?;
        Ok(Self(Arc::new(Mutex::new(Line {
            child,
            input,
            output: BufReader::new(output),
        }))))
    }

    /// The value of an expression on a node, as Erlang writes it.
    pub(super) async fn eval(&self, node: &str, expression: &str) -> Result<String> {
        let (line, asked) = (Arc::clone(&self.0), format!("{node} {expression}\n"));
        let answer = tokio::task::spawn_blocking(move || {
            let mut line = line.lock().unwrap_or_else(PoisonError::into_inner);
            line.input.write_all(asked.as_bytes())?;
            line.input.flush()?;
            let mut answer = String::new();
            line.output.read_line(&mut answer)?;
            std::io::Result::Ok(answer)
        });
        let answer = answer.await??;
        let value = answer.trim().strip_prefix("{value,");
        let value = value.and_then(|value| value.strip_suffix('}'));
        let value = value.ok_or_else(|| format!("{node}: {expression} {}", answer.trim()))?;
        Ok(value.to_owned())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // It may have ended by itself, which is as good.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
