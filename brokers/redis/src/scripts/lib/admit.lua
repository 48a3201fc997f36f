-- Taking a task in, alone: with its key, its origin, its due time, the limit of its queue.

-- Takes a task in, or says why not and leaves nothing behind: I its id is taken, D its key is, by a task,
-- Q its queue is full, at a limit.
local function admit(id, record)
  if call('HEXISTS', STATES, id) == 1 then return nil, 'I' end
  local task = { id = id }
  read_head(task, record)
  if task.key then
    local _, holder = key_holder(task.queue, task.kind, task.key)
    if holder then return nil, 'D' .. holder end
  end
  local limit = full(task.queue)
  if limit then return nil, 'Q' .. limit end
  task.seq = take_numbers(1)
  task.number, task.is_unindexed = task.seq, true
  task.st = task.due <= now and not task.schedule and 'p' or 's'
  count(task.queue, 'enqueued', 1)
  if task.key then claim_key(task, math.max(task.due, task.enqueued) + task.key_ttl) end
  call('HSET', TASKS, id, record)
  link(task)
  save(task)
  loaded[id] = task
  return task
end
