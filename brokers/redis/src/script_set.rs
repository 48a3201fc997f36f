//! The scripts: one for each transition, over a batch.

use std::sync::LazyLock;

use crate::link::Script;

/// Puts a script together from its libraries and its own text.
///
/// What stands in `base` is used by every function of the others. Making a function costs Lua a walk
/// over the locals that are captured around it, but not over those of an enclosing function: hence the
/// function around all but `base`.
macro_rules! script {
    ([$($library:literal),*], $name:literal) => {
        Script::new(concat!(
            include_str!("scripts/lib/base.lua"),
            "return (function()\n",
            $(include_str!(concat!("scripts/lib/", $library, ".lua")), "\n",)*
            include_str!(concat!("scripts/", $name, ".lua")),
            "\nend)()"
        ))
    };
}

/// A script that stands alone.
macro_rules! plain_script {
    ($name:literal) => {
        Script::new(include_str!(concat!("scripts/", $name, ".lua")))
    };
}

/// A quick script that takes tasks in.
macro_rules! arrival_script {
    ($name:literal) => {
        Script::new(concat!(
            include_str!("scripts/lib/arrival.lua"),
            include_str!(concat!("scripts/", $name, ".lua"))
        ))
    };
}

/// A script that ends first runs, of which each takes so many arguments.
macro_rules! first_run_script {
    ($name:literal, $stride:literal) => {
        Script::new(concat!(
            "local STRIDE = ",
            $stride,
            "\n",
            include_str!("scripts/lib/first_run.lua"),
            include_str!(concat!("scripts/", $name, ".lua"))
        ))
    };
}

/// A script of the library `task`, which needs the others around it.
macro_rules! task_script {
    ($name:literal $(, $more:literal)*) => {
        script!(["recount", "queue", "task", "key", "fire" $(, $more)*], $name)
    };
}

/// Every script. What each takes and answers stands at its head, in `scripts/`.
#[derive(Debug)]
pub(crate) struct Scripts {
    pub(crate) permissions: Script,
    pub(crate) enqueue_plain: Script,
    pub(crate) enqueue_later: Script,
    pub(crate) enqueue: Script,
    pub(crate) amend: Script,
    pub(crate) adopt: Script,
    pub(crate) lease_plain: Script,
    pub(crate) lease: Script,
    pub(crate) renew: Script,
    pub(crate) settle_plain: Script,
    pub(crate) settle_fires: Script,
    pub(crate) settle: Script,
    pub(crate) sweep: Script,
    pub(crate) stats: Script,
    pub(crate) get: Script,
    pub(crate) list: Script,
    pub(crate) change: Script,
    pub(crate) replay: Script,
    pub(crate) report: Script,
    pub(crate) queue: Script,
    pub(crate) remove_queue: Script,
    pub(crate) wake: Script,
    pub(crate) steps: Script,
    pub(crate) log: Script,
    pub(crate) presence: Script,
    pub(crate) notes: Script,
    pub(crate) leadership: Script,
    pub(crate) schedule: Script,
    pub(crate) apply_schedules: Script,
    pub(crate) list_schedules: Script,
    pub(crate) changed_schedules: Script,
    pub(crate) record_fires: Script,
    pub(crate) record_fires_ahead: Script,
    pub(crate) list_fires: Script,
}

/// The scripts, put together and hashed once.
pub(crate) static SCRIPTS: LazyLock<Scripts> = LazyLock::new(|| Scripts {
    permissions: plain_script!("permissions"),
    enqueue_plain: arrival_script!("enqueue_plain"),
    enqueue_later: arrival_script!("enqueue_later"),
    enqueue: task_script!("enqueue", "admit"),
    amend: plain_script!("amend"),
    adopt: task_script!("adopt"),
    lease_plain: plain_script!("lease_plain"),
    lease: task_script!("lease"),
    renew: task_script!("renew"),
    settle_plain: first_run_script!("settle_plain", 2),
    settle_fires: first_run_script!("settle_fires", 3),
    settle: task_script!("settle"),
    sweep: task_script!("sweep", "memo", "types", "counters", "orphans", "repair"),
    stats: task_script!("stats"),
    get: task_script!("get", "view"),
    list: task_script!("list", "view"),
    change: task_script!("change"),
    replay: task_script!("replay", "memo"),
    report: task_script!("report"),
    queue: script!(["queue"], "queue"),
    remove_queue: task_script!("remove_queue"),
    wake: script!(["queue"], "wake"),
    steps: task_script!("steps", "memo"),
    log: task_script!("log"),
    presence: task_script!("presence", "memo"),
    notes: task_script!("notes", "memo"),
    leadership: task_script!("leadership", "schedule"),
    schedule: task_script!("schedule", "schedule"),
    apply_schedules: task_script!("apply_schedules", "schedule"),
    list_schedules: task_script!("list_schedules", "schedule"),
    changed_schedules: task_script!("changed_schedules", "schedule"),
    record_fires: task_script!("record_fires", "admit", "schedule"),
    record_fires_ahead: arrival_script!("record_fires_ahead"),
    list_fires: task_script!("list_fires", "schedule"),
});

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    fn sources(folder: &Path, into: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, into);
            } else if !path.ends_with("permissions.lua") {
                into.push(fs::read_to_string(path).unwrap());
            }
        }
    }

    /// What stands quoted behind `call(` and `call_with(`. What is chosen at run time is called by its name elsewhere.
    fn called(source: &str) -> impl Iterator<Item = &str> {
        let parts = source.split("call(").chain(source.split("call_with("));
        parts.filter_map(|part| part.strip_prefix('\'')?.split('\'').next())
    }

    #[test]
    fn every_command_of_a_script_is_tried_before_work_begins() {
        let mut all = Vec::new();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/scripts");
        sources(&folder, &mut all);
        let commands: BTreeSet<_> = all.iter().flat_map(|source| called(source)).collect();
        assert!(commands.len() > 20, "{commands:?}");
        let tried = include_str!("scripts/permissions.lua");
        let missing: Vec<_> = commands
            .into_iter()
            .filter(|command| !tried.contains(&format!("'{command}'")))
            .collect();
        assert!(
            missing.is_empty(),
            "add these to scripts/permissions.lua: {missing:?}"
        );
    }
}
