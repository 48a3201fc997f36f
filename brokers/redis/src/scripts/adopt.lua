-- Takes tasks in that another broker has handed out, as leased.
--
-- ARGV[2] worker, [3] time to live in microseconds, [4…] id, record and past crashes of each
-- answers the seq of each, or - where its id is taken
local worker, ttl = arg(), tonumber(arg())
local answers = {}

local function adopt(id, record, crashes)
  local task = { id = id }
  read_head(task, record)
  task.seq = take_numbers(1)
  task.number, task.is_unindexed = task.seq, true
  task.st, task.worker, task.started = 'a', worker, now
  task.attempt = crashes + 1
  task.fence = task.attempt
  if crashes > 0 then task.crashes = crashes end
  count(task.queue, 'enqueued', 1)
  call('HSET', TASKS, id, record)
  call('ZADD', LEASES, int(now + ttl), id)
  link(task)
  save(task)
  loaded[id] = task
  return int(task.seq)
end

while true do
  local id = arg()
  if not id then break end
  local record, crashes = arg(), tonumber(arg())
  answers[#answers + 1] = call('HEXISTS', STATES, id) == 0 and adopt(id, record, crashes) or '-'
end
finish_script()
return answers
