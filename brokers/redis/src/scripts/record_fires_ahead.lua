-- Records fires of the calendar that are due later and have no key: nearly all that a leader puts ahead. As
-- `record_fires`, in the same transaction behind the records of their tasks, without the libraries.
--
-- ARGV[2] shard, [3] epoch, [4] holder of the term, [5] how many batches it knows of, [6] queue, [7] priority, [8…] of each fire, for whose schedule
--         the term is: schedule, instant, revision, due time, task, each task once, and how it may pass the gate
--         quickly: a beside earlier ones, s where there is none, - not at all
-- answers how many batches there are over the shard by now, then a letter for each: e enqueued, d duplicate, r
--         refused; or nothing where the script `record_fires` has to look, and then nothing has been done
local match, format = string.match, string.format
local now = tonumber(ARGV[1])
local shard, queue, prio = ARGV[2], ARGV[6], ARGV[7]
local queue_key, states, due = prefix .. 'queue:' .. queue, prefix .. 'states', prefix .. 'due'
local fire_batches = prefix .. 'fire-batches'
local FIELDS, FIRST = 6, 8
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

-- Whether this term leads, no batch that it knows of is missing, and no shard of another division is led.
local function leads()
  if tonumber(call('HGET', fire_batches, shard) or 0) < tonumber(ARGV[5]) then return false end
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

-- The fires of a schedule are written together: of each the place of its only one, or a list of places.
local names, rows = {}, {}
for at = 1, n do
  local name = schedules[at]
  local row = rows[name]
  if not row then
    names[#names + 1] = name
    rows[name] = at
  elseif type(row) == 'number' then
    rows[name] = { row, at }
  else
    row[#row + 1] = at
  end
end
local packed = call('HMGET', prefix .. 'schedule-states', unpack(names))
local seq = call('HINCRBY', KEYS[1], 'seq', n) - n
local state_end = '\t' .. prio .. '\t' .. queue
local written, waits, index, ages, admitted, last, answers, earliest = {}, {}, {}, {}, {}, 0, {}, math.huge
answers[1] = call('HINCRBY', fire_batches, shard, 1)

-- Takes one in, whose record is written: what stands in the lists of the namespace.
local function admit(at)
  local place = FIRST + FIELDS * (at - 1)
  local id, name, instant, due_at, passing = ids[at], schedules[at], ARGV[place + 1], ARGV[place + 3], ARGV[place + 5]
  local number, a, b = format('%d', seq + at), 2 * last + 1, 2 * last + 2
  last = last + 1
  admitted[last] = id
  written[a], written[b] = id, '^' .. number .. state_end
    .. (passing == '-' and '' or '\t' .. passing .. '\t' .. instant .. '\t' .. name)
  waits[a], waits[b] = due_at, id
  index[a], index[b] = number, id
  earliest = math.min(earliest, tonumber(due_at))
  answers[at + 1] = 'e'
end

local function refuse(at)
  answers[at + 1] = 'r'
  take_back(at)
end

local function suppress(at)
  answers[at + 1] = 'd'
  take_back(at)
end

local function packed_fire(schedule, at)
  return cmsgpack.pack({ revision = schedule.revision, outcome = 'e', count = 1, task = ids[at], enqueued = now })
end

local function is_current(schedule, at)
  return schedule and schedule.revision == tonumber(ARGV[FIRST + FIELDS * (at - 1) + 2]) and not schedule.paused
end

-- The only fire of a schedule in the batch.
local function record_single(name, schedule, at)
  local place = FIRST + FIELDS * (at - 1)
  local instant = ARGV[place + 1]
  schedule.planned = math.max(schedule.planned, tonumber(instant))
  if known[at] or call('HSETNX', prefix .. 'fire-records:' .. name, instant, packed_fire(schedule, at)) == 0 then
    return suppress(at)
  end
  call('ZADD', prefix .. 'fires:' .. name, instant, instant)
  call('ZADD', prefix .. 'waiting:' .. name, ARGV[place + 3], instant .. ' ' .. ids[at])
  schedule.fires = schedule.fires + 1
  ages[#ages + 1] = instant
  ages[#ages + 1] = name
  admit(at)
end

-- Several.
local function record_row(name, schedule, row)
  local records, instants = prefix .. 'fire-records:' .. name, {}
  for i, at in ipairs(row) do instants[i] = ARGV[FIRST + FIELDS * (at - 1) + 1] end
  local on_record = call('HMGET', records, unpack(instants))
  local fires, scores, waiting, first = {}, {}, {}, nil
  for i, at in ipairs(row) do
    local instant = instants[i]
    schedule.planned = math.max(schedule.planned, tonumber(instant))
    if known[at] or on_record[i] then
      suppress(at)
    else
      local a, b = #fires + 1, #fires + 2
      fires[a], fires[b] = instant, packed_fire(schedule, at)
      scores[a], scores[b] = instant, instant
      waiting[a], waiting[b] = ARGV[FIRST + FIELDS * (at - 1) + 3], instant .. ' ' .. ids[at]
      if not first or tonumber(instant) < tonumber(first) then first = instant end
      schedule.fires = schedule.fires + 1
      admit(at)
    end
  end
  if not first then return end
  call('HSET', records, unpack(fires))
  call('ZADD', prefix .. 'fires:' .. name, unpack(scores))
  call('ZADD', prefix .. 'waiting:' .. name, unpack(waiting))
  ages[#ages + 1] = first
  ages[#ages + 1] = name
end

local cursors = {}
for number, name in ipairs(names) do
  local schedule = packed[number] and cmsgpack.unpack(packed[number])
  local row, is_recorded = rows[name], false
  if type(row) == 'number' then
    if is_current(schedule, row) then
      record_single(name, schedule, row)
      is_recorded = true
    else
      refuse(row)
    end
  else
    local current = {}
    for _, at in ipairs(row) do
      if is_current(schedule, at) then current[#current + 1] = at else refuse(at) end
    end
    if #current > 0 then
      record_row(name, schedule, current)
      is_recorded = true
    end
  end
  if is_recorded then
    cursors[#cursors + 1] = name
    cursors[#cursors + 1] = cmsgpack.pack(schedule)
  end
end
if #cursors > 0 then call('HSET', prefix .. 'schedule-states', unpack(cursors)) end
if last > 0 then
  local first = call('ZRANGE', due, 0, 0, 'WITHSCORES')[2]
  call('HSET', states, unpack(written))
  call('ZADD', due, unpack(waits))
  call('ZADD', prefix .. 'index:' .. queue, unpack(index))
  call('ZADD', prefix .. 'fire-ages', 'LT', unpack(ages))
  count_in(queue, 'scheduled', admitted)
  -- Whoever sleeps until the first one has to look at the clock again.
  if not first or earliest < tonumber(first) then wake(queue) end
end
return answers
