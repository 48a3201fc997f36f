-- Removes a queue with all about it; by force with its tasks, so many a call.
--
-- ARGV[2] queue, [3] 1 to force, [4] the budget
-- answers -1 when there is no such queue, else how many tasks it still holds: 0 when it is gone
local queue, is_forced, budget = arg(), arg() == '1', tonumber(arg())
if not call('ZSCORE', QUEUES, queue) then return -1 end
local index = index_key(queue)
if is_forced then
  local offset = 0
  while budget > 0 do
    local ids = call('ZRANGE', index, offset, offset + 99)
    if #ids == 0 then break end
    for _, id in ipairs(ids) do
      local task = load(id)
      if not task then
        call('ZREM', index, id)
      elseif task.st == 'a' then
        -- What runs is left to end first.
        offset = offset + 1
      elseif budget > 0 then
        free_key(task)
        remove(task)
        budget = budget - 1
      end
    end
  end
end
finish_script()
local left = call('ZCARD', index)
if left > 0 then return left end
for prio = 0, 9 do call('UNLINK', line_key(queue, prio), aside_key(queue, prio)) end
call('UNLINK', queue_key(queue), index, dead_key(queue), wake_key(queue), keys_key(queue),
  PREFIX .. 'history:' .. queue)
call('ZREM', QUEUES, queue)
return 0
