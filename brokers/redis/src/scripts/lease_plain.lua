-- Leases from the front of lines what has no past: what nearly every lease is, without the libraries that the
-- script `lease` has to bring along.
--
-- ARGV[2…]  as for the script `lease`
-- answers   as the script `lease`; "other" when that has to look, and nothing has been done
local call, sub, find = redis.call, string.sub, string.find
local prefix = sub(KEYS[1], 1, -5)
local now, most = ARGV[1], tonumber(ARGV[4])
-- While counters are made anew, each task has to be looked at.
if call('EXISTS', prefix .. 'recount') == 1 then return 'other' end
local due = call('ZRANGE', prefix .. 'due', 0, 0, 'WITHSCORES')[2]
if due and tonumber(due) <= tonumber(now) then return 'other' end
local answer = { due and string.format('%d', tonumber(due)) or false }
local ids, numbers, origins, granted, wakes, unindex = {}, {}, {}, 0, {}, {}
-- By the key of its line: what is taken from the front of it. A queue may be asked for twice.
local parts = {}
-- The queues that have nothing more to give.
local dry = {}

-- Looks at the first line of a queue. False when there is more to do than this script can.
local function look(queue, room)
  if dry[queue] then return true end
  local queue_key = prefix .. 'queue:' .. queue
  local settings = call('HMGET', queue_key, 'paused', 'n9', 'n8', 'n7', 'n6', 'n5', 'n4', 'n3', 'n2', 'n1', 'n0')
  local at = 2
  while at <= 11 and tonumber(settings[at] or 0) <= 0 do at = at + 1 end
  dry[queue] = settings[1] or at > 11
  if dry[queue] then return true end
  local prio = 11 - at
  if call('EXISTS', prefix .. 'aside:' .. prio .. ':' .. queue) == 1 then return false end
  local line = prefix .. 'line:' .. prio .. ':' .. queue
  local part = parts[line] or { queue = queue, queue_key = queue_key, prio = prio, size = 0 }
  local ready = tonumber(settings[at]) - part.size
  local places = ready > 0 and call('LRANGE', line, part.size, part.size + room - 1) or {}
  local first, size = granted, #places
  for n = 1, size do
    local place = places[n]
    local gap = find(place, ' ', 1, true) or 0
    ids[first + n], numbers[first + n] = sub(place, gap + 1), sub(place, 1, gap - 1)
  end
  -- A line without its places: the other script knows what to do.
  if size == 0 and ready > 0 then return false end
  local known = size > 0 and call('HMGET', prefix .. 'states', unpack(ids, first + 1, first + size))
  local indexed
  for n = 1, size do
    local number, state = numbers[first + n], known[n]
    if state ~= number and not (state and sub(state, 1, 1) == '=') then
      -- One that was due later: the number of its place, and its seq; a fire, with its origin behind them.
      local start = number .. ':'
      if not state then return false end
      if find(state, start, 1, true) == 1 then
        numbers[first + n] = sub(state, #start + 1)
        indexed = indexed or {}
        indexed[#indexed + 1] = ids[first + n]
      elseif find(state, '!' .. start, 1, true) == 1 then
        local tab = find(state, '\t', 1, true)
        numbers[first + n] = '!' .. sub(state, #start + 2, tab - 1)
        origins[first + n] = sub(state, tab)
      else
        return false
      end
    end
  end
  if indexed then unindex[#unindex + 1] = { prefix .. 'index:' .. queue, indexed } end
  granted = first + size
  part.size, part.is_left = part.size + size, size < ready
  parts[line] = part
  -- Lines of lower priority come next, if there is room for them.
  while size < room and at < 11 do
    at = at + 1
    if tonumber(settings[at] or 0) > 0 then return false end
  end
  return true
end

for at = 6, #ARGV, 2 do
  local room = math.min(tonumber(ARGV[at + 1]), most - granted)
  if room > 0 then
    if not look(ARGV[at], room) then return 'other' end
  else
    -- Its token may have woken this caller, who has no room for it any more.
    wakes[#wakes + 1] = ARGV[at]
  end
end
if granted == 0 then return answer end
-- Beyond maxmemory, leasing goes on: see `may_exceed_memory`.
call('DEL', KEYS[2])
local group = call('HINCRBY', KEYS[1], 'seq', 1) .. ''
local state_end, written = ' ' .. group, {}
for n = 1, granted do
  local id, number = ids[n], numbers[n]
  written[2 * n - 1], written[2 * n] = id, number .. state_end .. (origins[n] or '')
  answer[2 * n], answer[2 * n + 1] = id, number
end
call('HSET', prefix .. 'states', unpack(written))
for _, one in ipairs(unindex) do call('ZREM', one[1], unpack(one[2])) end
call('RPUSH', prefix .. 'group:' .. group, unpack(ids, 1, granted))
for line, part in pairs(parts) do
  call('LTRIM', line, part.size, -1)
  call('HINCRBY', part.queue_key, 'n' .. part.prio, -part.size)
  call('HINCRBY', part.queue_key, 'active', part.size)
  if part.is_left then wakes[#wakes + 1] = part.queue end
end
call('HSET', prefix .. 'groups', group, granted)
call('HSET', prefix .. 'group-owners', group, ARGV[3] .. ' ' .. now)
call('ZADD', prefix .. 'leases', string.format('%d', tonumber(now) + tonumber(ARGV[2])), '#' .. group)
-- Somebody else may wait for the rest, or for the next instant, which nobody looks out for any more.
if due then
  for at = 6, #ARGV, 2 do wakes[#wakes + 1] = ARGV[at] end
end
for _, queue in ipairs(wakes) do
  local wake = prefix .. 'wake:' .. queue
  if call('EXISTS', wake) == 0 then call('RPUSH', wake, 1) end
end
return answer
