-- Mending what a script cannot have done: keys that were evicted, deleted or overwritten by somebody else, or
-- lost in a failover. Each sweep looks at a few tasks, one after the other, for ever; and at many while it
-- looks as if something were missing.
--
-- {prefix}meta   repair: where the walk goes on
-- {prefix}relining  HASH "priority queue" → 1: lines that were lost, whose tasks are put into line again
local RELINING = PREFIX .. 'relining'
local FEW, MANY = 100, 1000

local function is_missing(key, member) return not call('ZSCORE', key, member) end

-- An active task without a lease would be nobody's for ever: its lease ends now.
local function repair_lease(task)
  if not task.group then
    if is_missing(LEASES, task.id) then call('ZADD', LEASES, int(now), task.id) end
  elseif call('EXISTS', group_key(task.group)) == 0 then
    task.group = nil
    save(task)
    call('ZADD', LEASES, int(now), task.id)
  elseif is_missing(LEASES, '#' .. task.group) then
    call('ZADD', LEASES, int(now), '#' .. task.group)
  end
end

local function repair_place(task)
  local line, aside = line_key(task.queue, task.prio), aside_key(task.queue, task.prio)
  local name = task.prio .. ' ' .. task.queue
  if call('EXISTS', line, aside) == 0 then call('HSET', RELINING, name, 1) end
  if call('HEXISTS', RELINING, name) == 1 then
    -- It leaves the place that it may still have, and is counted as before.
    leave_line(task)
    give_seq(task)
    task.number = take_numbers(1)
    line_up(task)
    save(task)
  end
end

-- A task without its record can't run. It is set aside under the queue that still knows it.
local function repair_record(task)
  local queue = task.queue
  for _, one in ipairs(call('ZRANGE', QUEUES, 0, 99)) do
    if call('ZSCORE', index_key(one), task.id) then
      queue = one
      break
    end
  end
  if task.st == 'c' or task.st == 'x' then
    remove(task)
  elseif task.st == 'd' then
    give_head(task, queue)
    call('ZADD', dead_key(queue), int(task.seq), task.id)
  else
    set_aside(task, queue, '{"class":"undecodable","message":"its record is gone"}')
  end
end

local function repair_task(task)
  local st = task.st
  -- Who runs it has read the record, and may yet end well.
  if task.is_broken and st ~= 'a' then return repair_record(task) end
  if st == 'a' then
    repair_lease(task)
  elseif st == 'p' then
    repair_place(task)
  elseif st == 's' or st == 'r' then
    if task.passage == 'h' then
      if call('EXISTS', running_key(task.schedule)) == 0 then
        alter(task, function() task.passage = 'g' end)
      end
    elseif is_missing(DUE, task.id) then
      call('ZADD', DUE, int(task.due), task.id)
    end
  elseif st ~= 'd' and is_missing(EXPIRING, task.id) then
    call('ZADD', EXPIRING, int(task.finished + task.retention), task.id)
  end
  if not task.is_unindexed and not task.gone then
    call('ZADD', index_key(task.queue), 'NX', int(task.seq), task.id)
  end
end

-- Whether tasks run or wait although nothing says until when, or where.
local function is_suspicious()
  if call('HLEN', RELINING) > 0 or call('HLEN', TASKS) < call('HLEN', STATES) then return true end
  local has_leases, has_due = call('EXISTS', LEASES) == 1, call('EXISTS', DUE) == 1
  for _, queue in ipairs(call('ZRANGE', QUEUES, 0, 99)) do
    local held = call('HMGET', queue_key(queue), 'active', 'retry')
    if not has_leases and tonumber(held[1] or 0) > 0 then return true end
    if not has_due and tonumber(held[2] or 0) > 0 then return true end
  end
  return false
end

-- A step of the upkeep, beginning with these queues. Answers whether there is more to mend.
local function repair(queues)
  check_counters(queues)
  local has_more = adopt_orphans()
  local is_urgent = is_recounting() or is_suspicious()
  local count_ = is_urgent and MANY or FEW
  local cursor = call('HGET', META, 'repair') or '0'
  local answer = call('HSCAN', STATES, cursor, 'COUNT', count_)
  for at = 1, #answer[2], 2 do
    local task = load(answer[2][at])
    if task then
      repair_task(task)
      if is_recounting() and not task.gone then recount_in(task.id, task.queue, counter_of(task)) end
    end
  end
  call('HSET', META, 'repair', answer[1])
  -- A whole round is over: every task of a lost line has been found, unless it came up after it began.
  if answer[1] == '0' then
    if is_recounting() then finish_recount() end
    if call('HGET', META, 'relined') == '1' then call('UNLINK', RELINING) end
    call('HSET', META, 'relined', call('EXISTS', RELINING))
  end
  return has_more or (is_urgent and answer[1] ~= '0')
end
