-- One task.
--
-- ARGV[2] id
-- answers its view, or nothing
local id = arg()
local task = load(id)
if not task then return false end
return view(task, call('HGET', TASKS, id))
