-- Puts a finished task back in line.
--
-- ARGV[2] id, [3] its record as it was read, [4] the record as it is to be, [5] its queue from now on, [6] 1 to count failures and crashes from zero again, [7] its due time, or empty
-- answers as change, or K when its key is taken, Q and the limit when its queue is full, or ~ when the record has changed since
--         it was read
local id, old, record, queue, is_reset, at = arg(), arg(), arg(), arg(), arg() == '1', tonumber(arg())
local task = load(id)
if not task then return '?' end
if not is_final(task) then return '!' .. task.st end
if call('HGET', TASKS, id) ~= old then return '~' end
if task.key then
  local holder = key_holder(queue, task.kind, task.key)
  if holder and holder ~= task.seq then return 'K' end
end
local limit = full(queue)
if limit then return 'Q' .. limit end
if task.key then free_key(task) end
local from = task.st
unlink(task)
if queue ~= task.queue then
  call('ZREM', index_key(task.queue), id)
  task.queue = queue
  call('ZADD', index_key(queue), int(task.seq), id)
end
if task.key then claim_key(task, now + task.key_ttl) end
call('ZREM', COMPLETIONS, id)
if task.schedule then fire_reopened(task) end
call('HSET', TASKS, id, record)
task.finished, task.reason, task.result, task.progress, task.cancel = nil, nil, nil, nil, nil
if is_reset then task.failures, task.crashes, task.unknown = nil, nil, nil end
task.passage = 'o'
make_due(task, at or now)
if task.st == 'p' then task.number = take_numbers(1) end
link(task)
save(task)
finish_script()
return from .. task.st
