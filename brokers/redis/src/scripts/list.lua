-- A step of a walk over tasks, newest first.
--
-- ARGV[2] the seq before which it goes on, or empty, [3] how many it looks at, [4] the letters of the
--         states that are meant (empty: all), [5] a queue, or empty for all, [6] all, or dead for a walk
--         over dead letters alone
-- answers the seq after which it goes on (false at the end), then the views of those in these states
local before, budget, letters, only, index = arg(), tonumber(arg()), arg(), arg(), arg()
local most = before == '' and '+inf' or '(' .. before
local queues = only ~= '' and { only } or call('ZRANGE', QUEUES, 0, -1)

-- The newest of each queue; together they hold the newest of all.
local newest = {}
for _, queue in ipairs(queues) do
  local key = index == 'dead' and dead_key(queue) or index_key(queue)
  local found = call('ZREVRANGEBYSCORE', key, most, '-inf', 'WITHSCORES', 'LIMIT', 0, budget + 1)
  for at = 1, #found, 2 do newest[#newest + 1] = { found[at], tonumber(found[at + 1]) } end
end
table.sort(newest, function(a, b) return a[2] > b[2] end)

local answer = { false }
for at, one in ipairs(newest) do
  if at > budget then
    answer[1] = int(newest[at - 1][2])
    break
  end
  local id = one[1]
  local task = load(id)
  if task and (letters == '' or find(letters, task.st, 1, true)) then
    answer[#answer + 1] = view(task, call('HGET', TASKS, id))
  end
end
return answer
