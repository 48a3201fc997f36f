-- Keeps what a run reports about its progress.
--
-- ARGV[2] id, [3] proof, [4] progress
-- answers 1, or 0 where the proof is stale
local id, proof, progress = arg(), arg(), arg()
local task = held_by(id, proof)
if not task then return 0 end
task.progress = progress
save(task)
return 1
