-- Taking a task in, alone: with its key, its origin, the limit of its queue.

-- Takes a task in under this number, or says why not and leaves nothing behind: I its id is taken, D its key
-- is, by a task, Q its queue is full, at a limit.
local function admit(id, record, seq)
  if call('HEXISTS', TASKS, id) == 1 then return nil, 'I' end
  local task = { id = id }
  -- Read as if it had been admitted: seq and first state are put in front below.
  read_head(task, '0\ts\t' .. record)
  if task.key then
    local _, holder = key_holder(task.queue, task.kind, task.key)
    if holder then return nil, 'D' .. holder end
  end
  local limit = full(task.queue)
  if limit then return nil, 'Q' .. limit end
  task.seq, task.number = seq, seq
  if task.due <= now and not task.schedule then task.st = 'p' end
  count(task.queue, 'enqueued', 1)
  if task.key then claim_key(task, math.max(task.due, task.enqueued) + task.key_ttl) end
  call('HSET', TASKS, id, int(task.seq) .. '\t' .. task.st .. '\t' .. record)
  call('ZADD', index_key(task.queue), int(task.seq), id)
  link(task)
  loaded[id] = task
  return task
end
