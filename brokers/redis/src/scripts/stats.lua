-- What queues hold and have done.
--
-- ARGV[2…] queues; none: all that exist
-- answers of each: name, when its oldest pending task became ready (or false), then the counters in the
--         order below, false where there is none
local FIELDS = { 'scheduled', 'active', 'retry', 'completed', 'dead', 'cancelled', 'paused', 'reason', 'limit',
  'enqueued', 'succeeded', 'failed', 'n0', 'n1', 'n2', 'n3', 'n4', 'n5', 'n6', 'n7', 'n8', 'n9' }
local MOST_GHOSTS = 1000

-- When the first of a line became ready. Drops the ghosts before it.
local function first_ready(queue, prio)
  local key, oldest = line_key(queue, prio), nil
  for _ = 1, MOST_GHOSTS do
    local place = call('LINDEX', key, 0)
    if not place then break end
    local number, id = match(place, '^(%d+) (.+)$')
    local task = id and load(id)
    if task and is_at(task, number) then
      oldest = task.ready
      break
    end
    call('LPOP', key)
  end
  local aside = tonumber(call('ZRANGE', aside_key(queue, prio), 0, 0, 'WITHSCORES')[2])
  if aside and (not oldest or aside < oldest) then oldest = aside end
  return oldest
end

local queues = {}
for at = 2, #ARGV do queues[#queues + 1] = ARGV[at] end
if #queues == 0 then queues = call('ZRANGE', QUEUES, 0, -1) end
local answers = {}
for _, queue in ipairs(queues) do
  local counters = call('HMGET', queue_key(queue), unpack(FIELDS))
  local oldest
  for prio = 0, 9 do
    if (tonumber(counters[13 + prio] or 0) or 0) > 0 then
      local ready = first_ready(queue, prio)
      if ready and (not oldest or ready < oldest) then oldest = ready end
    end
  end
  local row = { queue, oldest and int(oldest) or false }
  for at = 1, #FIELDS do row[at + 2] = counters[at] end
  answers[#answers + 1] = row
end
return answers
