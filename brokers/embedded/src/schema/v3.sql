-- Version 3: how many batches of fires were recorded over a shard.

ALTER TABLE leader ADD COLUMN batches INTEGER NOT NULL DEFAULT 0;
