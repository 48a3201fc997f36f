-- Promotes what is due, then hands out leases.
--
-- ARGV[2] time to live in microseconds, [3] worker, [4] the most leases in all, [5] the most promotions,
-- [6…]    name and the most leases of each queue, in the order in which they are served
-- answers the instant of the next due task (or false), then id and numbers of each lease: its seq, behind a "!"
--         for a fire without a past, and for a task with one "fence attempt failures crashes unknown ready" behind it;
--         at the end an empty id, and how many fires were late under each misfire policy, if any was
local MOST_GHOSTS = 1000
local ttl, worker, most, budget = tonumber(arg()), arg(), tonumber(arg()), tonumber(arg())
may_exceed_memory()
local now_text = int(now)
local answer, written, leased = { false }, {}, {}
local granted = 0
-- What is leased together lapses together, unless it is renewed.
local group = int(take_numbers(1))

local function hand_out(id, state, numbers)
  written[#written + 1], written[#written + 2] = id, state
  granted = granted + 1
  leased[granted] = id
  local size = #answer
  answer[size + 1], answer[size + 2] = id, numbers
end

-- Leases a task that has been taken out of the line.
local function grant(task)
  task.fence = task.fence + 1
  task.attempt = (task.failures or 0) + (task.crashes or 0) + 1
  task.st, task.worker, task.started, task.progress, task.group = 'a', worker, now, nil, group
  hand_out(task.id, state_text(task), table.concat({ int(task.seq), int(task.fence), int(task.attempt),
    int(task.failures or 0), int(task.crashes or 0), int(task.unknown or 0), int(task.ready) }, ' '))
end

-- Leases the task of a place in the line, unless it is a ghost.
local function grant_place(queue, number, id, state)
  if not state then return end
  -- The state of a plain task is its seq, which is the number of its place, or that number and its seq.
  if state == number or sub(state, 1, 1) == '=' then
    hand_out(id, number .. ' ' .. group, number)
    return
  end
  local seq = match(state, '^' .. number .. ':(%d+)$')
  if seq then
    call('ZREM', index_key(queue), id)
    hand_out(id, seq .. ' ' .. group, seq)
    return
  end
  local fire_seq, origin = match(state, '^!' .. number .. ':(%d+)(\t.+)$')
  if fire_seq then
    hand_out(id, '!' .. fire_seq .. ' ' .. group .. origin, '!' .. fire_seq)
    return
  end
  local task = load(id)
  if task and is_at(task, number) then grant(task) end
end

local function grant_places(queue, places)
  local ids, numbers = {}, {}
  for at, place in ipairs(places) do
    numbers[at], ids[at] = match(place, '^(%d+) (.+)$')
    -- What is no place at all was put there by somebody else.
    if not ids[at] then numbers[at], ids[at] = '0', '' end
  end
  local known = call('HMGET', STATES, unpack(ids))
  for at, id in ipairs(ids) do grant_place(queue, numbers[at], id, known[at]) end
end

-- When the first of the line became ready, and its seq. Drops the ghosts before it.
local function head_of_line(queue, prio)
  local key = line_key(queue, prio)
  for _ = 1, MOST_GHOSTS do
    local place = call('LINDEX', key, 0)
    if not place then return nil end
    local number, id = match(place, '^(%d+) (.+)$')
    local task = id and load(id)
    if task and is_at(task, number) then return task.ready, task.seq or tonumber(number) end
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
      grant_places(queue, { number .. ' ' .. id })
      return true
    end
  end
  local place = call('LPOP', line_key(queue, prio))
  if not place then return false end
  grant_places(queue, { place })
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
      if looked > 0 then grant_places(queue, places) end
    end
    if looked == 0 then break end
    ghosts = ghosts + looked - (granted - had)
  end
  local taken = granted - before
  if is_recounting() then recount_pass({ unpack(leased, before + 1, granted) }, queue, 'n' .. prio, 'active') end
  bump(queue, 'n' .. prio, -taken)
  bump(queue, 'active', taken)
  return taken
end

-- How many wait. A counter that is made anew says nothing yet; then the line does, with its ghosts.
local function waiting_in(queue, prio, counter)
  local ready = tonumber(counter or 0) or 0
  if not is_recounting() then return ready end
  return math.max(ready, call('LLEN', line_key(queue, prio)) + call('ZCARD', aside_key(queue, prio)))
end

local _, skipped = promote(budget)
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
      local ready = waiting_in(queue, prio, pending[prio + 1])
      if ready > 0 then
        local taken = room > 0 and take(queue, prio, math.min(room, ready)) or 0
        room, left = room - taken, left + ready - taken
      end
    end
    -- Somebody else may wait for the rest.
    if left > 0 then wake(queue) end
  end
end
if granted > 0 then
  call_with('HSET', STATES, written)
  call_with('RPUSH', group_key(group), leased)
  call('HSET', GROUPS, group, granted)
  call('HSET', GROUP_OWNERS, group, worker .. ' ' .. now_text)
  call('ZADD', LEASES, int(now + ttl), '#' .. group)
end
local due = call('ZRANGE', DUE, 0, 0, 'WITHSCORES')[2]
if due then
  answer[1] = int(tonumber(due))
  -- Who leaves with tasks looks at the clock for nobody any more.
  if granted > 0 then
    for at = 6, #ARGV, 2 do wake(ARGV[at]) end
  end
end
if skipped > 0 then
  answer[#answer + 1] = ''
  answer[#answer + 1] = missed_text()
end
finish_script()
return answer
