-- Removes a queue with all about it; by force with its tasks, so many a call.
--
-- ARGV[2] queue, [3] 1 to force, [4] the budget
-- answers -1 when there is no such queue, -2 when there is more to do, else how many tasks it still holds: 0 when
--         it is gone
local KEYS_AT_ONCE = 500
local queue, is_forced, budget = arg(), arg() == '1', tonumber(arg())
if not call('ZSCORE', QUEUES, queue) then return -1 end
local index = index_key(queue)

-- What runs is left to end first.
local function remove_idle(id)
  local task = load(id)
  if not task or task.st == 'a' then return false end
  -- One whose record is lost is where it was found.
  if task.is_broken then task.queue = queue end
  free_key(task)
  remove(task)
  budget = budget - 1
  return true
end

local function remove_line(key)
  while budget > 0 do
    local places = call('LPOP', key, math.min(budget, 100))
    if not places then return end
    for _, place in ipairs(places) do
      local number, id = match(place, '^(%d+) (.+)$')
      local task = id and load(id)
      if task and is_at(task, number) then
        remove_idle(id)
      elseif id and not task then
        -- A record without a state would be taken in again.
        call('HDEL', TASKS, id)
      end
    end
  end
end

local function remove_indexed()
  local offset = 0
  while budget > 0 do
    local ids = call('ZRANGE', index, offset, offset + math.min(budget, 100) - 1)
    if #ids == 0 then return end
    for _, id in ipairs(ids) do
      if not load(id) then
        call('ZREM', index, id)
        call('HDEL', TASKS, id)
      elseif not remove_idle(id) then
        offset = offset + 1
      end
    end
  end
end

if is_forced then
  for prio = 9, 0, -1 do remove_line(line_key(queue, prio)) end
  remove_indexed()
end
finish_script()

-- How many tasks it still holds, by its counters; and where nothing is left to count, by what there is.
local function count_left()
  local left = 0
  for _, held in ipairs(call('HMGET', queue_key(queue), 'scheduled', 'active', 'retry', 'completed', 'dead',
    'cancelled', 'n0', 'n1', 'n2', 'n3', 'n4', 'n5', 'n6', 'n7', 'n8', 'n9')) do
    left = left + math.max(tonumber(held or 0) or 0, 0)
  end
  local is_empty = is_forced and budget > 0 and call('EXISTS', index, LEASES) == 0
  return is_empty and 0 or left
end

local left = count_left()
if left > 0 then return left end
-- Keys that have outlived their tasks.
local kept = call('HSCAN', keys_key(queue), 0, 'COUNT', KEYS_AT_ONCE)
for at = 1, #kept[2], 2 do
  call('ZREM', KEPT_KEYS, queue .. '\t' .. kept[2][at])
  call('HDEL', keys_key(queue), kept[2][at])
end
if kept[1] ~= '0' then return -2 end
for prio = 0, 9 do call('UNLINK', line_key(queue, prio), aside_key(queue, prio)) end
call('UNLINK', queue_key(queue), index, dead_key(queue), wake_key(queue), keys_key(queue),
  PREFIX .. 'history:' .. queue)
call('ZREM', QUEUES, queue)
return 0
