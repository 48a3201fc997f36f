-- Ends runs.
--
-- ARGV[2…]  of each settlement: id, proof ("seq fence worker"), verdict and start, and what the
--           verdict takes. The verdict is a letter, followed by the instant of the start, if there was one:
--           A acknowledge, a acknowledge with a result, R retry (instant, failure), B bury (reason,
--           failure), L release (instant or empty, cause), U set aside what cannot be read (queue, failure)
-- answers   one text for each: the letter of its state now, or - where the proof was stale
local answers = {}

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
while true do
  local id = arg()
  if not id then break end
  local proof, verdict, first, second = arg(), arg(), nil, nil
  local letter, started = sub(verdict, 1, 1), tonumber(sub(verdict, 2))
  if letter ~= 'A' then first = arg() end
  if letter ~= 'A' and letter ~= 'a' then second = arg() end
  local task = held_by(id, proof)
  answers[#answers + 1] = task and settle(task, letter, started, first, second) or '-'
end
finish_script()
return answers
