-- One task.
--
-- ARGV[2] id
-- answers its view, or nothing
local task = load(arg())
return task and view(task) or false
