//! Scripts and their arguments.

use std::borrow::Cow;

use redis::Cmd;

/// A Lua script and its SHA-1, by which a server knows it.
#[derive(Debug)]
pub(crate) struct Script {
    source: Cow<'static, str>,
    hash: String,
}

impl Script {
    pub(crate) fn new(source: impl Into<Cow<'static, str>>) -> Self {
        let source = source.into();
        let hash = redis::Script::new(&source).get_hash().to_owned();
        Self { source, hash }
    }

    /// A call with these keys, and room for so many arguments of so many bytes in all.
    pub(crate) fn prepare(&self, keys: &[&[u8]], args: usize, bytes: usize) -> Invocation<'_> {
        let key_bytes: usize = keys.iter().map(|key| key.len()).sum();
        let mut command = Cmd::with_capacity(args + keys.len() + 3, bytes + key_bytes + 64);
        command.arg("EVALSHA").arg(&self.hash).arg(keys.len());
        for key in keys {
            command.arg(key);
        }
        Invocation {
            script: self,
            command,
        }
    }

    /// The command that gives a server the source.
    pub(crate) fn load(&self) -> Cmd {
        let mut command = redis::cmd("SCRIPT");
        command.arg("LOAD").arg(self.source.as_bytes());
        command
    }
}

/// A call of a script, being written.
#[derive(Debug)]
pub(crate) struct Invocation<'a> {
    script: &'a Script,
    command: Cmd,
}

impl<'a> Invocation<'a> {
    /// Adds an argument: bytes, text or a number.
    pub(crate) fn arg(&mut self, arg: impl redis::ToRedisArgs) -> &mut Self {
        self.command.arg(arg);
        self
    }

    pub(super) fn script(&self) -> &'a Script {
        self.script
    }

    pub(super) fn command(&self) -> &Cmd {
        &self.command
    }

    pub(super) fn into_command(self) -> Cmd {
        self.command
    }
}

#[cfg(test)]
mod tests {
    use super::Script;

    #[test]
    fn an_invocation_names_the_hash_the_keys_and_the_arguments() {
        let script = Script::new("return 1");
        let mut invocation = script.prepare(&[b"{a}k"], 2, 3);
        invocation.arg("x").arg("yz");
        assert_eq!(
            invocation.command().get_packed_command(),
            b"*6\r\n$7\r\nEVALSHA\r\n$40\r\ne0e1f9fabfc9d4800c877a703b823ac0578ff8db\r\n$1\r\n1\r\n$4\r\n{a}k\r\n$1\r\nx\r\n$2\r\nyz\r\n"
        );
    }
}
