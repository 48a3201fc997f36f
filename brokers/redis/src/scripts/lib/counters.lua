-- Counters that cannot be right are made anew.
local COUNTERS = { 'scheduled', 'active', 'retry', 'completed', 'dead', 'cancelled', 'n0', 'n1', 'n2', 'n3', 'n4',
  'n5', 'n6', 'n7', 'n8', 'n9' }
-- Of so many queues all counters are added up in each sweep.
local FEW_QUEUES = 100
local MOST_GHOSTS = 100

-- What the counters of a queue say, in their order. One that is no number would stop every script.
local function read_counters(key)
  local held, is_sound = call('HMGET', key, unpack(COUNTERS)), true
  for n, name in ipairs(COUNTERS) do
    local number = tonumber(held[n] or 0)
    if not number then call('HDEL', key, name) end
    if not number or number < 0 then is_sound = false end
    held[n] = number or 0
  end
  return held, is_sound
end

local function is_in_place(number, id)
  local state = number and call('HGET', STATES, id)
  if not state then return false end
  if state == number or sub(state, 1, 1) == '=' or find(state, number .. ':', 1, true) == 1
    or find(state, '!' .. number .. ':', 1, true) == 1 then
    return true
  end
  if sub(state, 1, 1) ~= 'p' then return false end
  local task = load(id)
  return task and is_at(task, number)
end

-- Whether somebody waits in this line. Drops what stands before.
local function has_somebody(queue, prio)
  local line, aside = line_key(queue, prio), aside_key(queue, prio)
  for _ = 1, MOST_GHOSTS do
    local place = call('LINDEX', line, 0)
    if not place then break end
    if is_in_place(match(place, '^(%d+) (.+)$')) then return true end
    call('LPOP', line)
  end
  for _ = 1, MOST_GHOSTS do
    local member = call('ZRANGE', aside, 0, 0)[1]
    if not member then break end
    if is_in_place(match(member, '^%d+ (%d+) (.+)$')) then return true end
    call('ZREM', aside, member)
  end
  return false
end

local function has_lines(queue)
  local keys = {}
  for prio = 0, 9 do
    keys[2 * prio + 1], keys[2 * prio + 2] = line_key(queue, prio), aside_key(queue, prio)
  end
  return call('EXISTS', unpack(keys)) > 0
end

local function is_miscounted(queue)
  local key = queue_key(queue)
  local held, is_sound = read_counters(key)
  if not is_sound or call('HEXISTS', key, 'counted') == 0 then return true end
  if not has_lines(queue) then return false end
  for prio = 0, 9 do
    if held[7 + prio] == 0 and has_somebody(queue, prio) then return true end
  end
  return false
end

-- Each task is in one counter, so that together they are as many as there are tasks.
local function is_sum_wrong()
  if call('ZCARD', QUEUES) > FEW_QUEUES then return false end
  local sum = 0
  for _, queue in ipairs(call('ZRANGE', QUEUES, 0, -1)) do
    for _, number in ipairs((read_counters(queue_key(queue)))) do sum = sum + number end
  end
  return sum ~= call('HLEN', STATES)
end

local function start_recount()
  call('UNLINK', RECOUNTED)
  call('HSET', RECOUNT, 'since', int(now))
  call('HSET', META, 'repair', 0)
  under_way = true
end

-- Looks at these queues, and begins to count where it has to be.
local function check_counters(queues)
  write_counts()
  if is_recounting() then return end
  local is_wrong = is_sum_wrong()
  for _, queue in ipairs(queues) do is_wrong = is_miscounted(queue) or is_wrong end
  if is_wrong then start_recount() end
end

-- The walk is over: the counters are what it has found.
local function finish_recount()
  write_counts()
  local found = {}
  local counted = call('HGETALL', RECOUNT)
  for at = 1, #counted, 2 do
    local queue, field = match(counted[at], '^(.*)\t(%w+)$')
    if queue then
      found[queue] = found[queue] or {}
      found[queue][field] = counted[at + 1]
      call('ZADD', QUEUES, 'NX', 0, queue)
    end
  end
  for _, queue in ipairs(call('ZRANGE', QUEUES, 0, -1)) do
    local held, fields = found[queue] or {}, { 'counted', 1 }
    for n, name in ipairs(COUNTERS) do
      fields[2 * n + 1], fields[2 * n + 2] = name, held[name] or 0
    end
    call('HSET', queue_key(queue), unpack(fields))
    wake(queue)
  end
  call('UNLINK', RECOUNT, RECOUNTED)
  under_way = false
end
