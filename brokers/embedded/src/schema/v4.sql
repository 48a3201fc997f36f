-- Version 4: what the last changes of schedules were of, one for each version.

CREATE TABLE schedule_change (
  ns      INTEGER NOT NULL,
  version INTEGER NOT NULL,
  id      TEXT NOT NULL,
  PRIMARY KEY (ns, version)
) STRICT, WITHOUT ROWID;
