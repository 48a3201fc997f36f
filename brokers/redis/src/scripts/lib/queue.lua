-- A queue: what it counts, and the line of its ready tasks.
--
-- {prefix}queue:{queue}          HASH counters by state, pending ones by priority (n0 … n9); totals; the end
--                                of each line (e0 … e9); paused, reason, limit; counted: they have been there
--                                since the queue came up
-- {prefix}history:{queue}        HASH minute and event → count, of 24 hours
-- {prefix}line:{prio}:{queue}    LIST of "number id": the line, in the order of (ready, seq)
-- {prefix}aside:{prio}:{queue}   ZSET of "seq number id" by ready: those that belong before the line's end
-- {prefix}wake:{queue}           LIST with at most one token, for a worker that waits
--
-- A task that leaves the line otherwise than by being leased stays in the LIST as a ghost: its number is
-- not the one that its state (or, untouched since its admission, its seq) says, so it is passed over.
local MINUTE, HISTORY = 60000000, 86400000000

local function queue_key(queue) return PREFIX .. 'queue:' .. queue end
local function line_key(queue, prio) return PREFIX .. 'line:' .. prio .. ':' .. queue end
local function aside_key(queue, prio) return PREFIX .. 'aside:' .. prio .. ':' .. queue end
local function wake_key(queue) return PREFIX .. 'wake:' .. queue end

-- Changes of counters are gathered, and written once.
local changes, events, woken = {}, {}, {}

local function bump(queue, field, by)
  local of_queue = changes[queue]
  if not of_queue then
    of_queue = {}
    changes[queue] = of_queue
  end
  of_queue[field] = (of_queue[field] or 0) + by
end

-- Counts what a queue did: `enqueued`, `succeeded` or `failed`.
local function count(queue, event, by)
  bump(queue, event, by)
  local of_queue = events[queue]
  if not of_queue then
    of_queue = {}
    events[queue] = of_queue
  end
  of_queue[event] = (of_queue[event] or 0) + by
end

local function wake(queue)
  woken[queue] = true
end

local function forget_old_minutes(key, minute)
  local old = {}
  for _, field in ipairs(call('HKEYS', key)) do
    if tonumber(match(field, '^-?%d+')) < minute - HISTORY then
      old[#old + 1] = field
    end
  end
  call_with('HDEL', key, old)
end

-- Puts a queue on the list. The mark `counted` tells a new one, which counts from nothing, from one whose
-- counters were deleted.
local function enter_queue(queue)
  if call('ZADD', QUEUES, 'NX', 0, queue) == 1 then call('HSET', queue_key(queue), 'counted', 1) end
end

local function write_counts()
  for queue, fields in pairs(changes) do
    local key = queue_key(queue)
    for field, by in pairs(fields) do
      if by ~= 0 then call('HINCRBY', key, field, by) end
    end
    enter_queue(queue)
  end
  changes = {}
  local minute = math.floor(now / MINUTE) * MINUTE
  for queue, fields in pairs(events) do
    local key = PREFIX .. 'history:' .. queue
    for event, by in pairs(fields) do
      local total = call('HINCRBY', key, int(minute) .. event, by)
      -- Three events a minute: twice as many as a day has are looked through, some times a day.
      if total == by and call('HLEN', key) > 8640 then forget_old_minutes(key, minute) end
    end
  end
  events = {}
end

local function write_wakes()
  for queue in pairs(woken) do
    local key = wake_key(queue)
    if call('EXISTS', key) == 0 then call('RPUSH', key, 1) end
  end
  woken = {}
end

-- Every script that changes anything ends with this.
local function finish_script()
  write_counts()
  write_wakes()
end

-- How many tasks are pending, by priority.
local function pending_by_priority(queue)
  write_counts()
  return call('HMGET', queue_key(queue), 'n0', 'n1', 'n2', 'n3', 'n4', 'n5', 'n6', 'n7', 'n8', 'n9')
end

-- The limit of a queue, if as many tasks wait as it allows.
local function full(queue)
  local limit = call('HGET', queue_key(queue), 'limit')
  if not limit then return nil end
  local waiting = 0
  for _, held in ipairs(pending_by_priority(queue)) do
    waiting = waiting + (tonumber(held or 0) or 0)
  end
  for _, held in ipairs(call('HMGET', queue_key(queue), 'scheduled', 'retry')) do
    waiting = waiting + (tonumber(held or 0) or 0)
  end
  return waiting >= tonumber(limit) and limit or nil
end

local function number_at(key, at)
  return tonumber(match(call('LINDEX', key, at) or '', '^%d+')) or 0
end

-- Numbers grow along a line: how many of its places come before a number is found by halving.
local function places_before(key, number)
  local low, high = 0, call('LLEN', key)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if number_at(key, middle) < number then low = middle + 1 else high = middle end
  end
  return low
end

-- The number of the place of a task in its line. Few came between it and its hint.
local MOST_BETWEEN = 10000
local function number_of(task)
  local key = line_key(task.queue, task.prio)
  local start = places_before(key, task.hint)
  for first = start, start + MOST_BETWEEN, 250 do
    local places = call('LRANGE', key, first, first + 249)
    for _, place in ipairs(places) do
      local number, id = match(place, '^(%d+) (.+)$')
      if id == task.id then return tonumber(number) end
    end
    if #places < 250 then break end
  end
  return nil
end

-- Whether a task waits at this place of its line, so that the place is no ghost.
local function is_at(task, number)
  return task.st == 'p' and (not task.number or int(task.number) == number)
end

local function aside_member(task)
  return format('%016d %s %s', task.seq, int(task.number), task.id)
end

-- Puts a pending task into the line, at the place that its `ready` and `seq` give it.
local function line_up(task)
  local queue, prio = task.queue, task.prio
  bump(queue, 'n' .. prio, 1)
  local key = line_key(queue, prio)
  local last_ready, last_seq = match(call('HGET', queue_key(queue), 'e' .. prio) or '', '^(%S+) (%S+)$')
  last_ready, last_seq = tonumber(last_ready), tonumber(last_seq)
  local is_last = not last_ready or task.ready > last_ready
    or (task.ready == last_ready and task.seq > last_seq) or call('EXISTS', key) == 0
  if is_last then
    call('RPUSH', key, int(task.number) .. ' ' .. task.id)
    call('HSET', queue_key(queue), 'e' .. prio, int(task.ready) .. ' ' .. int(task.seq))
  else
    call('ZADD', aside_key(queue, prio), int(task.ready), aside_member(task))
  end
  wake(queue)
end

-- Takes a pending task out of the line. In the LIST its ghost stays.
local function leave_line(task)
  bump(task.queue, 'n' .. task.prio, -1)
  if task.number then call('ZREM', aside_key(task.queue, task.prio), aside_member(task)) end
end
