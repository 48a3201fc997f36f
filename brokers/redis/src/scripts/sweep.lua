-- Upkeep, at most so many steps of each kind.
--
-- ARGV[2] the budget, [3] how thorough it is: "due" does what is due, "all" also looks for what somebody else has
--         changed, "types" also for keys of a wrong type
-- answers promoted, skipped, pruned, whether there is more, the keys of a wrong type that were moved, how many of the skipped were late under each
--         misfire policy; then of each task taken back: id, kind, queue, schedule, attempt, worker, and the reason of its burial, if that was its end
local budget, depth = tonumber(arg()), arg()
local answer = { 0, 0, 0, 0, moved, '' }

local function take_back(task)
  mend_type('attempts:' .. task.id, 'list')
  local crashes = (task.crashes or 0) + 1
  local is_poison = crashes >= task.crash_limit
  local worker, attempt = task.worker or '', task.attempt or 0
  local buried = is_poison and not task.cancel and 'crash_loop' or nil
  local failure = '{"class":"crash","message":"worker ' .. worker
    .. ' died or lost its lease during attempt ' .. int(attempt) .. '"}'
  local size = #answer
  answer[size + 1], answer[size + 2], answer[size + 3] = task.id, task.kind, task.queue
  answer[size + 4], answer[size + 5] = task.schedule or '', attempt
  answer[size + 6], answer[size + 7] = worker, buried or ''
  local function crash()
    record_attempt(task, 'crashed', failure, task.started)
    task.crashes, task.error = crashes, failure
    task.reason = buried
  end
  if task.cancel then
    finish(task, 'x', crash)
  elseif is_poison then
    finish(task, 'd', crash)
  else
    alter(task, function()
      crash()
      make_pending(task, task.ready)
    end)
  end
end

-- The tasks whose leases have ended, with when.
local function lapsed_tasks()
  local ended = call('ZRANGEBYSCORE', LEASES, '-inf', int(now), 'WITHSCORES', 'LIMIT', 0, budget)
  local lapsed = {}
  local function add(id, group, at)
    local task = load(id)
    local is_held = task and task.st == 'a' and task.group == group
    if is_held then lapsed[#lapsed + 1] = { task = task, at = at } end
    return is_held
  end
  for n = 1, #ended, 2 do
    local member, at = ended[n], tonumber(ended[n + 1])
    local group = match(member, '^#(%d+)$')
    if group then
      local held = 0
      mend_type('group:' .. group, 'list')
      for _, id in ipairs(call('LRANGE', group_key(group), 0, -1)) do
        if add(id, group, at) then held = held + 1 end
      end
      -- One whose count went wrong, or whose list is lost, must not come up for ever.
      if held == 0 then drop_group(group) else call('HSET', GROUPS, group, held) end
    elseif not add(member, nil, at) then
      call('ZREM', LEASES, member)
    end
    if #lapsed >= budget then break end
  end
  return lapsed
end

local function reclaim()
  local lapsed = lapsed_tasks()
  table.sort(lapsed, function(a, b)
    if a.at ~= b.at then return a.at < b.at end
    return a.task.seq < b.task.seq
  end)
  for n = 1, math.min(#lapsed, budget) do take_back(lapsed[n].task) end
end

local function prune()
  local expired = call('ZRANGEBYSCORE', EXPIRING, '-inf', int(now), 'LIMIT', 0, budget)
  for _, id in ipairs(expired) do
    local task = load(id)
    if task and is_final(task) then remove(task) else call('ZREM', EXPIRING, id) end
  end
  return #expired
end

local function has_old(key, before)
  local first = call('ZRANGE', key, 0, 0, 'WITHSCORES')[2]
  return first and tonumber(first) <= before
end

local has_written = false

-- Does some work, if the first of a set is due. At rest each set costs one command.
local function work_off(key, work, before)
  if not has_old(key, before or now) then return end
  if not has_written then may_exceed_memory() end
  has_written = true
  work(budget)
end

if depth == 'types' then
  may_exceed_memory()
  mend_types()
  -- A script that met such a key stopped half-way, perhaps between two counters.
  if #moved > 0 and not is_recounting() then start_recount() end
end
work_off(DUE, function()
  answer[1], answer[2] = promote(budget)
  answer[6] = missed_text()
end)
work_off(LEASES, reclaim)
work_off(EXPIRING, function() answer[3] = prune() end)
work_off(KEPT_KEYS, prune_keys)
work_off(FIRE_AGES, prune_fires, now - FIRES_KEPT)
if depth ~= 'due' then
  -- Nobody sees those whose time is over, so that they may stay a little longer.
  work_off(STEP_AGES, prune_steps)
  work_off(COMPLETIONS, prune_completions)
  work_off(PRESENCE_AGES, prune_presence)
  work_off(NOTE_AGES, prune_notes)
  if not has_written then may_exceed_memory() end
  if repair(next_queues()) or has_written and (has_old(STEP_AGES, now) or has_old(COMPLETIONS, now)) then
    answer[4] = 1
  end
end
-- What was done may have made something else due.
if has_written and (has_old(DUE, now) or has_old(LEASES, now) or has_old(EXPIRING, now) or has_old(KEPT_KEYS, now)
  or has_old(FIRE_AGES, now - FIRES_KEPT)) then
  answer[4] = 1
end
finish_script()
return answer
