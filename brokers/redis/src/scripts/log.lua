-- Appends lines to the log of a task. Lines for a task that is gone are dropped.
--
-- ARGV[2] id, [3…] lines as JSON
local id = arg()
local task = load(id)
if not task then return 0 end
local key = log_key(id)
for at = 3, #ARGV do call('RPUSH', key, ARGV[at]) end
if mark(task, 'l') then save(task) end
return 1
