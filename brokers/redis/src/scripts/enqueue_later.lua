-- Admits plain tasks that are due later: as `enqueue_plain`, in the same transaction behind their records.
--
-- ARGV[2] queue, [3] priority, [4…] ids, each once, and due times
-- answers as `enqueue_plain`
local queue, prio = ARGV[2], ARGV[3]
local queue_key, states, due = prefix .. 'queue:' .. queue, prefix .. 'states', prefix .. 'due'
local ids, n = {}, 0
for at = 4, #ARGV, 2 do
  n = n + 1
  ids[n] = ARGV[at]
end
local known, limit = call('HMGET', states, unpack(ids)), call('HGET', queue_key, 'limit')
local room = limit and room_in(queue_key, limit) or n
local seq = call('HINCRBY', KEYS[1], 'seq', n) - n
local state_end = '\t' .. prio .. '\t' .. queue
local written, waits, index, admitted, last, answers, earliest = {}, {}, {}, {}, 0, nil, math.huge
for at = 1, n do
  local id = ids[at]
  if known[at] then
    answers = answers or {}
    answers[at] = 'I'
  elseif last >= room then
    answers = answers or {}
    answers[at] = 'Q' .. limit
    -- What the transaction has written before is nobody's record.
    call('HDEL', prefix .. 'tasks', id)
  else
    last = last + 1
    admitted[last] = id
    local number, instant = (seq + last) .. '', ARGV[3 + 2 * at]
    written[2 * last - 1], written[2 * last] = id, '~' .. number .. state_end
    waits[2 * last - 1], waits[2 * last] = instant, id
    index[2 * last - 1], index[2 * last] = number, id
    earliest = math.min(earliest, tonumber(instant))
  end
end
if last > 0 then
  local first = call('ZRANGE', due, 0, 0, 'WITHSCORES')[2]
  call('HSET', states, unpack(written))
  call('ZADD', due, unpack(waits))
  call('ZADD', prefix .. 'index:' .. queue, unpack(index))
  count_in(queue, 'scheduled', admitted)
  -- Whoever sleeps until the first one has to look at the clock again.
  if not first or earliest < tonumber(first) then wake(queue) end
end
if not answers then return false end
for at = 1, n do answers[at] = answers[at] or 'A' end
return answers
