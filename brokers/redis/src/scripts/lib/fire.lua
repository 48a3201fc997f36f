-- Fires on record, and the gate that they pass at their due time.
--
-- {prefix}fires:{schedule}          ZSET of instants
-- {prefix}fire-records:{schedule}   HASH instant → MessagePack map
-- {prefix}fire-ages                 ZSET of schedules by their oldest fire
-- {prefix}running:{schedule}        ZSET of ids by instant: tasks past the gate that have not ended
-- {prefix}waiting:{schedule}        ZSET of "instant id" by due time: fires that have not passed the gate
-- {prefix}held:{schedule}           ZSET of ids by seq: those of them that the gate holds
local FIRE_AGES = PREFIX .. 'fire-ages'
local FIRES_KEPT = 604800000000
local MISFIRE_THRESHOLD = 5000000

local function fires_key(schedule) return PREFIX .. 'fires:' .. schedule end
local function fire_records_key(schedule) return PREFIX .. 'fire-records:' .. schedule end
local function running_key(schedule) return PREFIX .. 'running:' .. schedule end
local function waiting_key(schedule) return PREFIX .. 'waiting:' .. schedule end
local function held_key(schedule) return PREFIX .. 'held:' .. schedule end

local function waiting_member(task) return int(task.instant) .. ' ' .. task.id end

function link_sibling(task)
  if is_running(task) then
    call('ZADD', running_key(task.schedule), int(task.instant), task.id)
  elseif is_waiting_fire(task) then
    call('ZADD', waiting_key(task.schedule), int(task.due), waiting_member(task))
    if task.passage == 'h' then call('ZADD', held_key(task.schedule), int(task.seq), task.id) end
  end
end

function unlink_sibling(task)
  if is_running(task) then
    call('ZREM', running_key(task.schedule), task.id)
  elseif is_waiting_fire(task) then
    call('ZREM', waiting_key(task.schedule), waiting_member(task))
    if task.passage == 'h' then call('ZREM', held_key(task.schedule), task.id) end
  end
end

-- Set while something became due that was held before.
local was_released = false

-- Lets the fires that the gate holds for a schedule be looked at again.
function release_held(schedule)
  for _, id in ipairs(call('ZRANGE', held_key(schedule), 0, -1)) do
    local task = load(id)
    if task then
      alter(task, function() task.passage = 'g' end)
      was_released = true
    end
  end
end

local function fire_of(schedule, instant)
  local packed = call('HGET', fire_records_key(schedule), int(instant))
  return packed and cmsgpack.unpack(packed)
end

local function write_fire(schedule, instant, fire)
  call('HSET', fire_records_key(schedule), int(instant), cmsgpack.pack(fire))
end

local function add_fire(schedule, instant, fire)
  call('ZADD', fires_key(schedule), int(instant), int(instant))
  call('ZADD', FIRE_AGES, 'LT', int(instant), schedule)
  write_fire(schedule, instant, fire)
end

local function forget_fire(schedule, instant)
  call('ZREM', fires_key(schedule), int(instant))
  call('HDEL', fire_records_key(schedule), int(instant))
end

local function change_fire(task, change)
  local fire = fire_of(task.schedule, task.instant)
  if not fire then return end
  change(fire)
  write_fire(task.schedule, task.instant, fire)
end

-- The first run of its task started.
local function fire_started(task, at)
  change_fire(task, function(fire) fire.started = fire.started or at end)
end

function fire_ended(task, st, at)
  change_fire(task, function(fire) fire.finished, fire.ended = at, st end)
end

-- Its task, which had ended, was put back in line.
local function fire_reopened(task)
  change_fire(task, function(fire) fire.finished, fire.ended = nil, nil end)
end

-- Removes the task of a fire at its due time; the fire stays on record. Outcomes: e enqueued, s skipped,
-- m missed.
local function turn_away(task, outcome, reason)
  change_fire(task, function(fire) fire.outcome, fire.reason = outcome, reason end)
  free_key(task)
  remove(task)
end

-- Whether a fire with a later instant than this is due too, or running.
local function is_later_due(task)
  local last = call('ZREVRANGE', running_key(task.schedule), 0, 0, 'WITHSCORES')[2]
  if last and tonumber(last) > task.instant then return true end
  local key, offset = waiting_key(task.schedule), 0
  while true do
    -- The latest due is mostly the latest planned, so the first look answers.
    local due = call('ZREVRANGEBYSCORE', key, int(now), '-inf', 'LIMIT', offset, 50)
    for _, member in ipairs(due) do
      if tonumber(match(member, '^%S+')) > task.instant then return true end
    end
    if #due < 50 then return false end
    offset = offset + 50
  end
end

-- `tidemill_shared::gate`, word for word: what becomes of a fire that is due.
local function gate(task)
  local is_blocked = call('EXISTS', running_key(task.schedule)) == 1
  local overlap, misfire = task.overlap, task.misfire
  local may_be_held = overlap == 'q' or overlap == 'c'
  if now - task.due > MISFIRE_THRESHOLD and not (may_be_held and is_blocked) then
    if misfire == 's' then
      if not may_be_held then return 'm', 'nothing was running to start it in time' end
    elseif misfire == 'o' and is_later_due(task) then
      return 'm', 'replaced by a later fire after downtime'
    elseif now - task.instant > task.catch_up and not may_be_held then
      return 'm', 'older than the catch-up window'
    end
  end
  if overlap == 'a' then return 'promote' end
  if overlap == 's' then
    if is_blocked then return 's', 'an earlier run has not ended' end
    return 'promote'
  end
  if is_later_due(task) then return 's', 'a later fire took its place in the line' end
  if not is_blocked then return 'promote' end
  return overlap == 'q' and 'hold' or 'hold and cancel'
end

local function cancel_running(schedule)
  local running = {}
  for _, id in ipairs(call('ZRANGE', running_key(schedule), 0, -1)) do
    running[#running + 1] = load(id)
  end
  table.sort(running, function(a, b) return a.seq < b.seq end)
  for _, sibling in ipairs(running) do cancel(sibling) end
end

-- How many fires were late when they were promoted, by the letters of their misfire policies.
local missed = { s = 0, o = 0, f = 0 }
local function missed_text() return missed.s .. ' ' .. missed.o .. ' ' .. missed.f end

-- Decides about one task that is due. Answers how many were promoted and turned away, and the letter of the
-- policy by which one that was late is missed.
local function promote_one(task)
  local verdict, reason = 'promote', nil
  if task.schedule and task.passage ~= 'o' then verdict, reason = gate(task) end
  if verdict == 'promote' then
    alter(task, function()
      -- A fire that was planned late became ready when it was enqueued.
      local ready = task.due
      if task.passage ~= 'o' then ready = math.max(task.due, task.enqueued) end
      make_pending(task, ready)
    end)
    return 1, 0
  elseif verdict == 's' or verdict == 'm' then
    turn_away(task, verdict, reason)
    return 0, 1, verdict == 'm' and task.misfire
  end
  -- Held first: what ends at once releases it again.
  alter(task, function() task.passage = 'h' end)
  if verdict == 'hold and cancel' then cancel_running(task.schedule) end
  return 0, 0
end

-- In the order of their due times, then of their admission.
local function by_due(a, b)
  if a.due ~= b.due then return a.due < b.due end
  return a.seq < b.seq
end

-- Promotes plain tasks and quick fires, which stand in the order of their due times, to the ends of their lines.
-- Answers those that belong elsewhere.
local function promote_plain(plain)
  local lines, left = {}, {}
  for n, task in ipairs(plain) do
    local name = task.prio .. ' ' .. task.queue
    local line = lines[name]
    if not line then
      local key = line_key(task.queue, task.prio)
      local ready, seq = match(call('HGET', queue_key(task.queue), 'e' .. task.prio) or '', '^(%S+) (%S+)$')
      if call('EXISTS', key) == 0 then ready = nil end
      line = { key = key, queue = task.queue, prio = task.prio, places = {}, ready = tonumber(ready or '-inf') or -math.huge,
        seq = tonumber(seq or 0) or 0 }
      lines[name] = line
    end
    if task.due > line.ready or (task.due == line.ready and task.seq > line.seq) then
      line.ready, line.seq = task.due, task.seq
      line.places[#line.places + 1] = task
    else
      left[#left + 1] = task
    end
  end
  local number = take_numbers(#plain)
  local states, gone = {}, {}
  for _, line in pairs(lines) do
    local places = {}
    for _, task in ipairs(line.places) do
      local text = int(number)
      number = number + 1
      places[#places + 1] = text .. ' ' .. task.id
      local state = text .. ':' .. task.seq_text
      if task.schedule then
        call('ZREM', waiting_key(task.schedule), task.instant .. ' ' .. task.id)
        call('ZADD', running_key(task.schedule), task.instant, task.id)
        state = '!' .. state .. '\t' .. task.instant .. '\t' .. task.schedule
      end
      states[#states + 1], states[#states + 2] = task.id, state
      gone[#gone + 1] = task.id
    end
    if #places > 0 then
      if is_recounting() then
        local ids = {}
        for n, task in ipairs(line.places) do ids[n] = task.id end
        recount_pass(ids, line.queue, 'scheduled', 'n' .. line.prio)
      end
      call_with('RPUSH', line.key, places)
      call('HSET', queue_key(line.queue), 'e' .. line.prio, int(line.ready) .. ' ' .. int(line.seq))
      bump(line.queue, 'scheduled', -#places)
      bump(line.queue, 'n' .. line.prio, #places)
      wake(line.queue)
    end
  end
  if #gone > 0 then
    call_with('HSET', STATES, states)
    call_with('ZREM', DUE, gone)
  end
  return left
end

local function is_in_order(tasks)
  for n = 2, #tasks do
    if by_due(tasks[n], tasks[n - 1]) then return false end
  end
  return true
end

-- A fire that was put ahead and passes the gate without being looked at: it is on time, and runs beside earlier
-- ones, or there is none. `passed`: the schedules of those before it, or false where one has to be looked at.
local function quick_fire(id, state, due, passed)
  local seq, prio, queue, overlap, instant, schedule = match(state, '^%^(%d+)\t(%d)\t([^\t]+)\t(%a)\t(-?%d+)\t(.+)$')
  if not seq or now - due > MISFIRE_THRESHOLD then return nil end
  if overlap == 's' then
    if not passed or passed[schedule] or call('EXISTS', running_key(schedule)) == 1 then return nil end
    passed[schedule] = true
  end
  return { id = id, seq = tonumber(seq), seq_text = seq, prio = prio, queue = queue, due = due,
    schedule = schedule, instant = instant }
end

-- What is due, at most so much: plain tasks and fires that were never touched, and the ids of others.
local function due_tasks(budget)
  local found = call('ZRANGEBYSCORE', DUE, '-inf', int(now), 'WITHSCORES', 'LIMIT', 0, budget)
  local ids, plain, others = {}, {}, {}
  for at = 1, #found, 2 do ids[#ids + 1] = found[at] end
  if #ids == 0 then return plain, others end
  local states = call('HMGET', STATES, unpack(ids))
  local passed = {}
  for n, id in ipairs(ids) do
    local state, due = states[n] or '', tonumber(found[2 * n])
    local seq, prio, queue = match(state, '^~(%d+)\t(%d)\t(.+)$')
    if seq then
      plain[#plain + 1] = { id = id, seq = tonumber(seq), seq_text = seq, prio = prio, queue = queue, due = due }
    else
      local fire = quick_fire(id, state, due, passed)
      if fire then
        plain[#plain + 1] = fire
      else
        others[#others + 1] = id
        passed = false
      end
    end
  end
  return plain, others
end

-- Promotes what is due, at most `budget` tasks, the earliest first.
local function promote(budget)
  local promoted, skipped = 0, 0
  while budget > 0 do
    local plain, others = due_tasks(budget)
    if #plain == 0 and #others == 0 then break end
    if not is_in_order(plain) then table.sort(plain, by_due) end
    local elsewhere = promote_plain(plain)
    for _, task in ipairs(elsewhere) do others[#others + 1] = task.id end
    local done = #plain - #elsewhere
    promoted = promoted + done
    local due = {}
    for _, id in ipairs(others) do
      local task = load(id)
      if task then due[#due + 1] = task else call('ZREM', DUE, id) end
    end
    table.sort(due, by_due)
    was_released = false
    for _, task in ipairs(due) do
      if not task.gone then
        local up, away, late = promote_one(task)
        promoted, skipped = promoted + up, skipped + away
        if late then missed[late] = (missed[late] or 0) + 1 end
      end
      done = done + 1
      -- What was released may be due before the rest.
      if was_released then break end
    end
    budget = budget - math.max(done, 1)
  end
  return promoted, skipped
end

-- Sends those of these fires that are due already through the gate, the earliest due first. A fire that
-- cancels its predecessor is held for a moment, and released when that has ended at once; the second look
-- lets it through in the same step.
local function promote_at_once(tasks)
  for _ = 1, 2 do
    local due = {}
    for _, task in ipairs(tasks) do
      if not task.gone and task.st == 's' and task.passage == 'g' and task.due <= now then
        due[#due + 1] = task
      end
    end
    table.sort(due, by_due)
    for _, task in ipairs(due) do
      if not task.gone then promote_one(task) end
    end
    tasks = due
  end
end

local function prune_fires(budget)
  local cutoff = int(now - FIRES_KEPT)
  for _, schedule in ipairs(call('ZRANGEBYSCORE', FIRE_AGES, '-inf', cutoff, 'LIMIT', 0, budget)) do
    local old = call('ZRANGEBYSCORE', fires_key(schedule), '-inf', cutoff, 'LIMIT', 0, budget)
    if #old > 0 then
      call_with('ZREM', fires_key(schedule), old)
      call_with('HDEL', fire_records_key(schedule), old)
    end
    budget = budget - #old
    local oldest = call('ZRANGE', fires_key(schedule), 0, 0)[1]
    if oldest then
      call('ZADD', FIRE_AGES, oldest, schedule)
    else
      call('ZREM', FIRE_AGES, schedule)
    end
    if budget <= 0 then break end
  end
end
