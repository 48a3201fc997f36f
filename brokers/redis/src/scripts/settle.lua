-- Ends runs.
--
-- ARGV[2…]  of each settlement: id, proof ("seq fence worker"), queue, verdict and start, and what the
--           verdict takes. The verdict is a letter, followed by the instant of the start, if there was one:
--           A acknowledge, a acknowledge with a result, R retry (instant, failure), B bury (reason,
--           failure), L release (instant or empty, cause), U set aside what cannot be read (reason, failure)
-- answers   one text for each: the letter of its state now, or - where the proof was stale
local answers = {}
local ids, gone, known, indices = {}, {}, {}, {}

-- The states of the whole batch, read at once. What follows changes them, so each is used once.
local places = {}
local function survey()
  local at = 2
  while at <= #ARGV do
    ids[#ids + 1] = ARGV[at]
    places[#places + 1] = at
    local verdict = sub(ARGV[at + 3], 1, 1)
    at = at + (verdict == 'A' and 4 or verdict == 'a' and 5 or 6)
  end
  for first = 1, #ids, 1000 do
    local found = call('HMGET', STATES, unpack(ids, first, math.min(first + 999, #ids)))
    for n = 1, #found do known[first + n - 1] = found[n] end
  end
end

-- A first run of a task without key, origin and retention leaves nothing behind.
local function acknowledge_plain(id, queue)
  gone[#gone + 1] = id
  local index = indices[queue]
  if not index then
    index = {}
    indices[queue] = index
  end
  index[#index + 1] = id
end

local function acknowledge(task, started, result)
  count(task.queue, 'succeeded', 1)
  finish(task, 'c', function()
    record_attempt(task, 'succeeded', nil, started)
    task.result = result
  end)
end

local function retry(task, started, at, failure)
  count(task.queue, 'failed', 1)
  alter(task, function()
    record_attempt(task, 'failed', failure, started)
    task.failures = (task.failures or 0) + 1
    task.error, task.st, task.due, task.ready = failure, 'r', at, at
  end)
end

local function bury(task, started, reason, failure)
  count(task.queue, 'failed', 1)
  finish(task, 'd', function()
    record_attempt(task, 'buried', failure, started)
    task.failures = (task.failures or 0) + 1
    task.error, task.reason = failure, reason
  end)
end

-- Ends a run whose cancellation was asked for. It counts as no failure.
local function call_off(task, started, failure)
  finish(task, 'x', function()
    if failure or started then record_attempt(task, 'cancelled', failure, started) end
    if failure then task.error = failure end
  end)
end

local function put_back(task, started, at, cause)
  alter(task, function()
    -- A run that never started is none.
    if started then record_attempt(task, 'released', nil, started) end
    if cause == 'unknown_kind' then task.unknown = (task.unknown or 0) + 1 end
    -- Without an instant, its old place in the line is at the front.
    if at then make_due(task, at) else make_pending(task, task.ready) end
  end)
end

-- Sets aside what nobody could read. It never ran.
local function set_aside(task, reason, failure)
  finish(task, 'd', function() task.error, task.reason = failure, reason end)
end

local function settle(task, verdict, started, first, second)
  if verdict == 'U' then
    set_aside(task, first, second)
    return task.st
  end
  -- Until now it was the instant of the lease; the worker knows better.
  task.started = started
  if task.schedule and started then fire_started(task, started) end
  if verdict == 'A' or verdict == 'a' then
    acknowledge(task, started, first)
  elseif task.cancel then
    call_off(task, started, verdict ~= 'L' and second or nil)
  elseif verdict == 'R' then
    retry(task, started, tonumber(first), second)
  elseif verdict == 'B' then
    bury(task, started, first, second)
  else
    put_back(task, started, tonumber(first), second)
  end
  -- One that is gone has ended as it was to end.
  return task.st
end

may_exceed_memory()
survey()
local seen = {}
for n, id in ipairs(ids) do
  local at = places[n]
  local proof, queue, verdict = ARGV[at + 1], ARGV[at + 2], sub(ARGV[at + 3], 1, 1)
  local state = known[n]
  -- The same task again in one batch: what it was is no longer what it is.
  if seen[id] then state = not gone[id] and call('HGET', STATES, id) end
  if not state or proof_in(state) ~= proof or gone[id] then
    answers[n] = '-'
  elseif sub(state, 1, 1) == 'A' and (verdict == 'A' or verdict == 'a') then
    acknowledge_plain(id, queue)
    gone[id] = true
    answers[n] = 'c'
  else
    local task = load(id)
    if task then
      local first, second = nil, nil
      if verdict == 'a' then first = ARGV[at + 4] end
      if verdict ~= 'A' and verdict ~= 'a' then first, second = ARGV[at + 4], ARGV[at + 5] end
      answers[n] = settle(task, verdict, tonumber(sub(ARGV[at + 3], 2)), first, second)
    else
      answers[n] = '-'
    end
  end
  seen[id] = true
end
if #gone > 0 then
  call_with('HDEL', TASKS, gone)
  call_with('HDEL', STATES, gone)
  call_with('ZREM', LEASES, gone)
  for queue, members in pairs(indices) do
    call_with('ZREM', index_key(queue), members)
    bump(queue, 'active', -#members)
    count(queue, 'succeeded', #members)
  end
end
finish_script()
return answers
