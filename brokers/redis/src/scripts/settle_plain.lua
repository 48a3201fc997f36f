-- Acknowledges first runs of tasks without key, origin and retention, which leave nothing behind: what nearly
-- every settlement is, without the libraries that the script `settle` has to bring along.
--
-- ARGV[2] queue, [3] worker, [4…] ids, each once, and seqs
-- answers nothing when all are done; else a text for each: c completed, * the script `settle` has to look
local call, sub, find = redis.call, string.sub, string.find
local prefix = sub(KEYS[1], 1, -5)
local worker = ARGV[3] .. ' '
local ids, n = {}, 0
for at = 4, #ARGV, 2 do
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
local gone, ended, left = {}, 0, nil
-- Of each group whether this worker has it, and how many of it end here.
local owned, groups = {}, {}
local last_group, last_end = nil, nil

-- The group of a state, if this is the first run of a plain task with this seq.
local function group_of(state, seq)
  local start = seq .. ' '
  if find(state, start, 1, true) ~= 1 then return nil end
  local group = sub(state, #start + 1)
  if owned[group] == nil then
    local owner = call('HGET', prefix .. 'group-owners', group)
    owned[group] = owner and find(owner, worker, 1, true) == 1 or false
  end
  return owned[group] and group or nil
end

for at = 1, n do
  local id, state, seq, group = ids[at], known[at], ARGV[3 + 2 * at], nil
  if state and last_end and state == seq .. last_end then
    group = last_group
  elseif state then
    group = group_of(state, seq)
    if group then last_group, last_end = group, ' ' .. group end
  end
  if group then
    ended = ended + 1
    gone[ended] = id
    groups[group] = (groups[group] or 0) + 1
  else
    left = left or {}
    left[at] = '*'
  end
end
if ended > 0 then
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
  local queue_key = prefix .. 'queue:' .. ARGV[2]
  call('HINCRBY', queue_key, 'active', -ended)
  call('HINCRBY', queue_key, 'succeeded', ended)
  local minute = string.format('%d', math.floor(ARGV[1] / 60000000) * 60000000)
  call('HINCRBY', prefix .. 'history:' .. ARGV[2], minute .. 'succeeded', ended)
end
if not left then return false end
for at = 1, n do left[at] = left[at] or 'c' end
return left
