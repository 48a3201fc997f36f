-- Records fires of the calendar that are due later and have no key: nearly all that a leader puts ahead. As
-- `record_fires`, in the same transaction behind the records of their tasks, without the libraries.
--
-- ARGV[2] shard, [3] epoch, [4] holder of the term, [5] queue, [6] priority, [7…] of each fire, for whose schedule
--         the term is: schedule, instant, revision, due time, task, each task once
-- answers a letter for each: e enqueued, d duplicate, r refused; or nothing where the script `record_fires` has to
--         look, and then nothing has been done
local call, unpack, match, format = redis.call, unpack, string.match, string.format
local prefix = string.sub(KEYS[1], 1, -5)
local now = tonumber(ARGV[1])
local shard, queue, prio = ARGV[2], ARGV[5], ARGV[6]
local queue_key, states, due = prefix .. 'queue:' .. queue, prefix .. 'states', prefix .. 'due'
local FIELDS, FIRST = 5, 7
local n = (#ARGV - FIRST + 1) / FIELDS
local schedules, ids = {}, {}
for at = 1, n do
  local place = FIRST + FIELDS * (at - 1)
  schedules[at], ids[at] = ARGV[place], ARGV[place + 4]
end
local known = call('HMGET', states, unpack(ids))

-- What the transaction has written before is nobody's record, unless there was a task.
local function take_back(at)
  if not known[at] then call('HDEL', prefix .. 'tasks', ids[at]) end
end

-- Whether this term leads, and no shard of another division is led.
local function leads()
  local leaders = call('HGETALL', prefix .. 'leaders')
  local is_leading = false
  for at = 1, #leaders, 2 do
    local epoch, until_, holder = match(leaders[at + 1], '^(%d+) (-?%d+) (.+)$')
    if leaders[at] == shard then
      is_leading = epoch == ARGV[3] and holder == ARGV[4]
    elseif math.floor(tonumber(leaders[at]) / 65536) ~= math.floor(tonumber(shard) / 65536)
      and tonumber(until_) > now then
      return false
    end
  end
  return is_leading
end

if not leads() or call('HEXISTS', queue_key, 'limit') == 1 then
  for at = 1, n do take_back(at) end
  return false
end

local packed = call('HMGET', prefix .. 'schedule-states', unpack(schedules))
local loaded, changed = {}, {}
local function schedule_at(at)
  local id = schedules[at]
  local schedule = loaded[id]
  if schedule == nil then
    schedule = packed[at] and cmsgpack.unpack(packed[at])
    loaded[id] = schedule
  end
  return schedule
end

local seq = call('HINCRBY', KEYS[1], 'seq', n) - n
local state_end = '\t' .. prio .. '\t' .. queue
local written, waits, index, ages, last, answers, earliest = {}, {}, {}, {}, 0, {}, math.huge
for at = 1, n do
  local id, place = ids[at], FIRST + FIELDS * (at - 1)
  local name, instant = schedules[at], ARGV[place + 1]
  local schedule = schedule_at(at)
  local revision = tonumber(ARGV[place + 2])
  if not schedule or schedule.revision ~= revision or schedule.paused then
    answers[at] = 'r'
    take_back(at)
  else
    changed[name] = schedule
    schedule.planned = math.max(schedule.planned, tonumber(instant))
    local is_new = not known[at] and call('HSETNX', prefix .. 'fire-records:' .. name, instant,
      cmsgpack.pack({ revision = revision, outcome = 'e', count = 1, task = id, enqueued = now })) == 1
    if not is_new then
      answers[at] = 'd'
      take_back(at)
    else
      answers[at] = 'e'
      schedule.fires = schedule.fires + 1
      local due_at, number = ARGV[place + 3], format('%d', seq + at)
      call('ZADD', prefix .. 'fires:' .. name, instant, instant)
      call('ZADD', prefix .. 'waiting:' .. name, due_at, instant .. ' ' .. id)
      local a, b = 2 * last + 1, 2 * last + 2
      last = last + 1
      written[a], written[b] = id, '^' .. number .. state_end
      waits[a], waits[b] = due_at, id
      index[a], index[b] = number, id
      ages[a], ages[b] = instant, name
      earliest = math.min(earliest, tonumber(due_at))
    end
  end
end
local cursors = {}
for name, schedule in pairs(changed) do
  cursors[#cursors + 1] = name
  cursors[#cursors + 1] = cmsgpack.pack(schedule)
end
if #cursors > 0 then call('HSET', prefix .. 'schedule-states', unpack(cursors)) end
if last > 0 then
  local first = call('ZRANGE', due, 0, 0, 'WITHSCORES')[2]
  call('HSET', states, unpack(written))
  call('ZADD', due, unpack(waits))
  call('ZADD', prefix .. 'index:' .. queue, unpack(index))
  call('ZADD', prefix .. 'fire-ages', 'LT', unpack(ages))
  if call('HINCRBY', queue_key, 'enqueued', last) == last then
    call('ZADD', prefix .. 'queues', 'NX', 0, queue)
  end
  call('HINCRBY', queue_key, 'scheduled', last)
  local minute = format('%d', math.floor(now / 60000000) * 60000000)
  call('HINCRBY', prefix .. 'history:' .. queue, minute .. 'enqueued', last)
  -- Whoever sleeps until the first one has to look at the clock again.
  if not first or earliest < tonumber(first) then
    local wake = prefix .. 'wake:' .. queue
    if call('EXISTS', wake) == 0 then call('RPUSH', wake, 1) end
  end
end
return answers
