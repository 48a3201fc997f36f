-- Promotes what is due, then hands out leases.
--
-- ARGV[2] time to live in microseconds, [3] worker, [4] the most leases in all, [5] the most promotions,
-- [6…]    name and the most leases of each queue, in the order in which they are served
-- answers the instant of the next due task (or false), then id, record and numbers of each lease; the
--         numbers "fence attempt failures crashes unknown ready" are empty for a first run
local MOST_GHOSTS = 1000
local ttl, worker, most, budget = tonumber(arg()), arg(), tonumber(arg()), tonumber(arg())
local until_ = now + ttl
local until_text, now_text = int(until_), int(now)
local answer, states, leases = { false }, {}, {}
local granted = 0

local function hand_out(id, record, state, numbers)
  states[#states + 1], states[#states + 2] = id, state
  leases[#leases + 1], leases[#leases + 2] = until_text, id
  local size = #answer
  answer[size + 1], answer[size + 2], answer[size + 3] = id, record, numbers
  granted = granted + 1
end

-- Leases a task that has been taken out of the line.
local function grant(task, record)
  task.fence = task.fence + 1
  task.attempt = (task.failures or 0) + (task.crashes or 0) + 1
  task.st, task.worker, task.started, task.progress = 'a', worker, now, nil
  hand_out(task.id, record, state_text(task), table.concat({ int(task.fence), int(task.attempt),
    int(task.failures or 0), int(task.crashes or 0), int(task.unknown or 0), int(task.ready) }, ' '))
end

-- A record without a head is set aside by the worker that leases it, so it gets one.
local function with_head(queue, prio, number, id, record)
  record = table.concat({ number, 'p', 'p', queue, prio, now_text, now_text, '0', '3', 'undecodable' }, '\t')
    .. '\n' .. record
  call('HSET', TASKS, id, record)
  return record
end

-- Leases the task of a place in the line, unless it is a ghost.
local function grant_place(queue, prio, number, id, record, state)
  if not record then return end
  local seq, first, flag = match(record, '^(%d+)\t(%a)\t(%a)\t')
  if not seq then
    record = with_head(queue, prio, number, id, record)
    seq, first, flag = number, 'p', 'p'
  end
  if not state and flag == 'p' then
    if first == 'p' and seq == number then
      hand_out(id, record, 'A' .. seq .. ' 1 ' .. worker .. '\n' .. now_text, '')
    end
    return
  end
  local task = { id = id }
  if not read_head(task, record) then return end
  read_state(task, state)
  if task.st == 'p' and int(task.number) == number then grant(task, record) end
end

local function grant_from_line(queue, prio, places)
  local ids, numbers = {}, {}
  for at, place in ipairs(places) do
    numbers[at], ids[at] = match(place, '^(%d+) (.+)$')
    -- What is no place at all was put there by somebody else.
    if not ids[at] then numbers[at], ids[at] = '0', '' end
  end
  local records, known = call('HMGET', TASKS, unpack(ids)), call('HMGET', STATES, unpack(ids))
  for at, id in ipairs(ids) do grant_place(queue, prio, numbers[at], id, records[at], known[at]) end
end

-- When the first of the line became ready, and its seq. Drops the ghosts before it.
local function head_of_line(queue, prio)
  local key = line_key(queue, prio)
  for _ = 1, MOST_GHOSTS do
    local place = call('LINDEX', key, 0)
    if not place then return nil end
    local number, id = match(place, '^(%d+) (.+)$')
    local task = id and load(id)
    if task and task.st == 'p' and int(task.number) == number then return task.ready, task.seq end
    call('LPOP', key)
  end
  return nil
end

local function take_one(queue, prio)
  local aside = call('ZRANGE', aside_key(queue, prio), 0, 0, 'WITHSCORES')
  local ready, seq = head_of_line(queue, prio)
  if aside[1] then
    local aside_ready, aside_seq = tonumber(aside[2]), tonumber(match(aside[1], '^%d+'))
    if not ready or aside_ready < ready or (aside_ready == ready and aside_seq < seq) then
      call('ZREM', aside_key(queue, prio), aside[1])
      local number, id = match(aside[1], '^%d+ (%d+) (.+)$')
      grant_from_line(queue, prio, { number .. ' ' .. id })
      return true
    end
  end
  local place = call('LPOP', line_key(queue, prio))
  if not place then return false end
  grant_from_line(queue, prio, { place })
  return true
end

local function take(queue, prio, room)
  local before = granted
  local ghosts = 0
  while granted - before < room and ghosts < MOST_GHOSTS do
    local had = granted
    local looked
    if call('EXISTS', aside_key(queue, prio)) == 1 then
      looked = take_one(queue, prio) and 1 or 0
    else
      local places = call('LPOP', line_key(queue, prio), math.min(room - (granted - before), 500))
      looked = places and #places or 0
      if looked > 0 then grant_from_line(queue, prio, places) end
    end
    if looked == 0 then break end
    ghosts = ghosts + looked - (granted - had)
  end
  local taken = granted - before
  bump(queue, 'n' .. prio, -taken)
  bump(queue, 'active', taken)
  return taken
end

may_exceed_memory()
promote(budget)
-- What was promoted is read again where it is leased: only what is written is shared.
loaded = {}
while true do
  local queue = arg()
  if not queue then break end
  local room = math.min(tonumber(arg()), most - granted)
  if room <= 0 and granted > 0 then
    -- Its token may have woken this caller, who has no room for it any more.
    wake(queue)
  elseif room > 0 and call('HEXISTS', queue_key(queue), 'paused') == 0 then
    local pending = pending_by_priority(queue)
    local left = 0
    for prio = 9, 0, -1 do
      local ready = tonumber(pending[prio + 1] or 0)
      if ready > 0 then
        local taken = room > 0 and take(queue, prio, math.min(room, ready)) or 0
        room, left = room - taken, left + ready - taken
        loaded = {}
      end
    end
    -- Somebody else may wait for the rest.
    if left > 0 then wake(queue) end
  end
end
if granted > 0 then
  call_with('HSET', STATES, states)
  call_with('ZADD', LEASES, leases)
end
local due = call('ZRANGE', DUE, 0, 0, 'WITHSCORES')[2]
if due then
  answer[1] = int(tonumber(due))
  -- Who leaves with tasks looks at the clock for nobody any more.
  if granted > 0 then
    for at = 6, #ARGV, 2 do wake(ARGV[at]) end
  end
end
finish_script()
return answer
