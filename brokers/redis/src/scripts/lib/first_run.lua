-- What the quick scripts share that end first runs.
--
-- ARGV[2] queue, [3] worker; `STRIDE` arguments for each task from ARGV[4] on, the first of which is its id
local call, sub, find = redis.call, string.sub, string.find
local prefix, queue = sub(KEYS[1], 1, -5), ARGV[2]
local worker = ARGV[3] .. ' '
local ids, n = {}, 0
for at = 4, #ARGV, STRIDE do
  n = n + 1
  ids[n] = ARGV[at]
end
-- While counters are made anew, each task has to be looked at.
if call('EXISTS', prefix .. 'recount') == 1 then
  for at = 1, n do ids[at] = '*' end
  return ids
end
local known = call('HMGET', prefix .. 'states', unpack(ids))
-- Beyond maxmemory, what frees memory goes on: see `may_exceed_memory`.
call('DEL', KEYS[2])
-- Of each group whether this worker has it, and how many of it end here.
local owned, groups = {}, {}

local function is_own(group)
  if owned[group] == nil then
    local owner = call('HGET', prefix .. 'group-owners', group)
    owned[group] = owner and find(owner, worker, 1, true) == 1 or false
  end
  return owned[group]
end

-- Removes those that ended, and counts them.
local function finish_runs(gone)
  local ended = #gone
  if ended == 0 then return end
  call('HDEL', prefix .. 'tasks', unpack(gone))
  call('HDEL', prefix .. 'states', unpack(gone))
  for group, count in pairs(groups) do
    if call('HINCRBY', prefix .. 'groups', group, -count) <= 0 then
      call('HDEL', prefix .. 'groups', group)
      call('HDEL', prefix .. 'group-owners', group)
      call('UNLINK', prefix .. 'group:' .. group)
      call('ZREM', prefix .. 'leases', '#' .. group)
    end
  end
  local queue_key = prefix .. 'queue:' .. queue
  call('HINCRBY', queue_key, 'active', -ended)
  call('HINCRBY', queue_key, 'succeeded', ended)
  local minute = string.format('%d', math.floor(ARGV[1] / 60000000) * 60000000)
  call('HINCRBY', prefix .. 'history:' .. queue, minute .. 'succeeded', ended)
end

-- Nothing when all are done, else a text for each.
local function answer_of(left)
  if not left then return false end
  for at = 1, n do left[at] = left[at] or 'c' end
  return left
end
