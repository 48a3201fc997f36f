-- Records without a state: somebody deleted `states`, or a part of it. They are acknowledged tasks, and are taken
-- in again: what had not ended runs.
--
-- {prefix}meta   orphans: since when there are more records than states; orphan-walk: where the walk goes on
--
-- A call whose script the server did not know has written its records, and repeats the script in a moment: it
-- is given so long.
local ORPHANED = 5000000

-- Takes a record in under a new number, by which its old place in a line is a ghost, and its old lease stale.
local function adopt(id, record)
  local task = { id = id }
  if not read_head(task, record) then make_broken(task) end
  task.seq = take_numbers(1)
  task.number, task.is_unindexed = task.seq, true
  local due = tonumber(call('ZSCORE', DUE, id) or nil)
  if task.is_broken or call('ZSCORE', dead_key(task.queue), id) then
    task.st, task.passage, task.finished = 'd', 'o', now
    task.reason = task.is_broken and 'undecodable' or 'operator'
  elseif call('ZSCORE', EXPIRING, id) then
    task.st, task.passage, task.finished = 'c', 'o', now
  else
    if task.schedule and call('ZSCORE', running_key(task.schedule), id) then task.passage = 'o' end
    if due then task.due, task.ready = due, due end
    task.st = task.due <= now and task.passage == 'o' and 'p' or 's'
  end
  if task.key then
    local field = task.kind .. '\t' .. task.key
    local expires, _, holder = read_hold(call('HGET', keys_key(task.queue), field))
    if holder == id then claim_key(task, expires) end
  end
  link(task)
  save(task)
  loaded[id] = task
end

-- Whether there are records without a state for longer than a call takes.
local function has_orphans()
  if call('HLEN', TASKS) <= call('HLEN', STATES) then
    call('HDEL', META, 'orphans', 'orphan-walk')
    return false
  end
  local since = tonumber(call('HGET', META, 'orphans') or nil)
  if not since then call('HSET', META, 'orphans', int(now)) end
  return since ~= nil and now - since >= ORPHANED
end

-- A step of the walk; each record is read, and so they are few.
local function adopt_orphans()
  if not has_orphans() then return false end
  local answer = call('HSCAN', TASKS, call('HGET', META, 'orphan-walk') or '0', 'COUNT', 100)
  local has_adopted = false
  for at = 1, #answer[2], 2 do
    local id = answer[2][at]
    if call('HEXISTS', STATES, id) == 0 then
      adopt(id, answer[2][at + 1])
      has_adopted = true
    end
  end
  call('HSET', META, 'orphan-walk', answer[1])
  -- They are still in the counters from before.
  if has_adopted and not is_recounting() then start_recount() end
  return true
end
