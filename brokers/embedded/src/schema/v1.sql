-- Version 1 of the store. Instants are microseconds since 1970 in UTC, durations microseconds.
--
-- task.state: 0 scheduled, 1 retry, 2 pending, 3 active, 4 held (scheduled, and waiting for an
-- earlier task of its schedule to end), 5 completed, 6 cancelled, 7 dead. What waits for an instant
-- comes first and what has ended last, so that an index covers them by a plain comparison.
-- src/code.rs has the other numbers.

CREATE TABLE meta (
  one      INTEGER PRIMARY KEY CHECK (one = 1),
  -- The next task.seq. Counted here, because a row id may never be used again: a stale lease token
  -- would fit the next task.
  next_seq INTEGER NOT NULL
) STRICT;
INSERT INTO meta (one, next_seq) VALUES (1, 1);

CREATE TABLE namespace (
  no                INTEGER PRIMARY KEY AUTOINCREMENT,
  name              TEXT NOT NULL UNIQUE,
  schedules_version INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE kind (
  no   INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE queue (
  no              INTEGER PRIMARY KEY AUTOINCREMENT,
  ns              INTEGER NOT NULL,
  name            TEXT NOT NULL,
  paused          INTEGER NOT NULL DEFAULT 0,
  pause_reason    TEXT,
  waiting_limit   INTEGER,
  scheduled       INTEGER NOT NULL DEFAULT 0,
  pending         INTEGER NOT NULL DEFAULT 0,
  active          INTEGER NOT NULL DEFAULT 0,
  retry           INTEGER NOT NULL DEFAULT 0,
  completed       INTEGER NOT NULL DEFAULT 0,
  dead            INTEGER NOT NULL DEFAULT 0,
  cancelled       INTEGER NOT NULL DEFAULT 0,
  enqueued_total  INTEGER NOT NULL DEFAULT 0,
  succeeded_total INTEGER NOT NULL DEFAULT 0,
  failed_total    INTEGER NOT NULL DEFAULT 0,
  UNIQUE (ns, name)
) STRICT;

CREATE TABLE history (
  queue     INTEGER NOT NULL,
  minute    INTEGER NOT NULL,
  enqueued  INTEGER NOT NULL,
  succeeded INTEGER NOT NULL,
  failed    INTEGER NOT NULL,
  PRIMARY KEY (queue, minute)
) STRICT, WITHOUT ROWID;

CREATE TABLE task (
  seq          INTEGER PRIMARY KEY,
  ns           INTEGER NOT NULL,
  id           TEXT NOT NULL,
  queue        INTEGER NOT NULL,
  kind         INTEGER NOT NULL,
  state        INTEGER NOT NULL,
  flags        INTEGER NOT NULL,
  priority     INTEGER NOT NULL,
  enqueued_at  INTEGER NOT NULL,
  due_at       INTEGER NOT NULL,
  ready_at     INTEGER NOT NULL,
  fence        INTEGER NOT NULL,
  attempt      INTEGER NOT NULL,
  failures     INTEGER NOT NULL,
  crashes      INTEGER NOT NULL,
  unknown_kind INTEGER NOT NULL,
  -- Of an active task the end of its lease; of a completed or cancelled one the end of its retention.
  until        INTEGER,
  worker       TEXT,
  started_at   INTEGER,
  finished_at  INTEGER,
  retention    INTEGER NOT NULL,
  key          TEXT,
  schedule     TEXT,
  scheduled_at INTEGER,
  envelope     BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX task_id ON task (ns, id);
CREATE INDEX task_ready ON task (queue, priority DESC, ready_at) WHERE state = 2;
CREATE INDEX task_due ON task (ns, due_at) WHERE state <= 1;
CREATE INDEX task_leased ON task (ns, until) WHERE state = 3;
CREATE INDEX task_kept ON task (ns, until) WHERE state >= 5 AND until IS NOT NULL;
CREATE INDEX task_final ON task (ns, state) WHERE state >= 5;
CREATE INDEX task_key ON task (ns, key) WHERE key IS NOT NULL;
CREATE INDEX task_schedule ON task (ns, schedule, state, scheduled_at) WHERE schedule IS NOT NULL;

-- What only some tasks have. Rows here exist only if the task's flags say so.
CREATE TABLE detail (
  task          INTEGER PRIMARY KEY,
  error_class   TEXT,
  error_message TEXT,
  result_type   TEXT,
  result        BLOB,
  progress_type TEXT,
  progress      BLOB,
  reason        INTEGER
) STRICT;

CREATE TABLE attempt (
  task        INTEGER NOT NULL,
  n           INTEGER NOT NULL,
  attempt     INTEGER NOT NULL,
  worker      TEXT NOT NULL,
  started_at  INTEGER,
  finished_at INTEGER NOT NULL,
  outcome     INTEGER NOT NULL,
  class       TEXT,
  message     TEXT,
  PRIMARY KEY (task, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE log (
  task    INTEGER NOT NULL,
  n       INTEGER NOT NULL,
  at      INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  stream  INTEGER NOT NULL,
  text    TEXT NOT NULL,
  PRIMARY KEY (task, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE key (
  queue      INTEGER NOT NULL,
  kind       INTEGER NOT NULL,
  key        TEXT NOT NULL,
  task       INTEGER NOT NULL,
  holder     TEXT NOT NULL,
  expires_at INTEGER NOT NULL,
  -- When the row may go; absent while its task may still run, which keeps the key alive.
  prune_at   INTEGER,
  PRIMARY KEY (queue, kind, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX key_prune ON key (prune_at) WHERE prune_at IS NOT NULL;

CREATE TABLE schedule (
  no            INTEGER PRIMARY KEY AUTOINCREMENT,
  ns            INTEGER NOT NULL,
  id            TEXT NOT NULL,
  definition    TEXT NOT NULL,
  revision      INTEGER NOT NULL,
  source        TEXT NOT NULL,
  paused        INTEGER NOT NULL,
  pause_reason  TEXT,
  updated_at    INTEGER NOT NULL,
  planned_until INTEGER NOT NULL,
  fire_count    INTEGER NOT NULL,
  UNIQUE (ns, id)
) STRICT;

-- The last revision of each schedule that was removed: none is ever used again.
CREATE TABLE retired_schedule (
  ns       INTEGER NOT NULL,
  id       TEXT NOT NULL,
  revision INTEGER NOT NULL,
  PRIMARY KEY (ns, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE fire (
  ns           INTEGER NOT NULL,
  schedule     TEXT NOT NULL,
  scheduled_at INTEGER NOT NULL,
  revision     INTEGER NOT NULL,
  outcome      INTEGER NOT NULL,
  reason       TEXT,
  task         TEXT,
  enqueued_at  INTEGER,
  started_at   INTEGER,
  finished_at  INTEGER,
  ended        INTEGER,
  count        INTEGER NOT NULL,
  manual       INTEGER NOT NULL,
  PRIMARY KEY (ns, schedule, scheduled_at)
) STRICT, WITHOUT ROWID;
CREATE INDEX fire_age ON fire (ns, scheduled_at);

CREATE TABLE leader (
  ns     INTEGER NOT NULL,
  shard  INTEGER NOT NULL,
  holder TEXT NOT NULL,
  epoch  INTEGER NOT NULL,
  until  INTEGER NOT NULL,
  PRIMARY KEY (ns, shard)
) STRICT, WITHOUT ROWID;

CREATE TABLE step (
  ns          INTEGER NOT NULL,
  task        TEXT NOT NULL,
  step        TEXT NOT NULL,
  -- The highest fence that has claimed it.
  fence       INTEGER NOT NULL,
  -- 0 claimed, 1 given up (the fence still counts), 2 finished.
  phase       INTEGER NOT NULL,
  result_type TEXT,
  result      BLOB,
  expires_at  INTEGER NOT NULL,
  PRIMARY KEY (ns, task, step)
) STRICT, WITHOUT ROWID;
CREATE INDEX step_age ON step (ns, expires_at);

CREATE TABLE completion (
  ns         INTEGER NOT NULL,
  task       TEXT NOT NULL,
  expires_at INTEGER NOT NULL,
  PRIMARY KEY (ns, task)
) STRICT, WITHOUT ROWID;
CREATE INDEX completion_age ON completion (ns, expires_at);

CREATE TABLE presence (
  ns         INTEGER NOT NULL,
  id         TEXT NOT NULL,
  role       INTEGER NOT NULL,
  started_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  record     TEXT NOT NULL,
  PRIMARY KEY (ns, id)
) STRICT, WITHOUT ROWID;
