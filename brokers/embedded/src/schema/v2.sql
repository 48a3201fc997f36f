-- Version 2: notes.

CREATE TABLE note (
  ns         INTEGER NOT NULL,
  book       TEXT NOT NULL,
  name       TEXT NOT NULL,
  text       TEXT NOT NULL,
  version    INTEGER NOT NULL,
  expires_at INTEGER,
  PRIMARY KEY (ns, book, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX note_age ON note (ns, expires_at) WHERE expires_at IS NOT NULL;
