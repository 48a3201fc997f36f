-- Admits plain tasks that are due later: as `enqueue_plain`, in the same transaction behind their records.
--
-- ARGV[2] queue, [3] priority, [4…] ids, each once, and due times
-- answers as `enqueue_plain`
local call, unpack = redis.call, unpack
local prefix = string.sub(KEYS[1], 1, -5)
local queue, prio = ARGV[2], ARGV[3]
local queue_key, states, due = prefix .. 'queue:' .. queue, prefix .. 'states', prefix .. 'due'
local ids, n = {}, 0
for at = 4, #ARGV, 2 do
  n = n + 1
  ids[n] = ARGV[at]
end
local known, limit = call('HMGET', states, unpack(ids)), call('HGET', queue_key, 'limit')
local room = n
if limit then
  local waiting = 0
  for _, held in ipairs(call('HMGET', queue_key, 'scheduled', 'retry', 'n0', 'n1', 'n2', 'n3', 'n4', 'n5', 'n6',
    'n7', 'n8', 'n9')) do
    waiting = waiting + (tonumber(held or 0) or 0)
  end
  room = tonumber(limit) - waiting
end
local seq = call('HINCRBY', KEYS[1], 'seq', n) - n
local state_end = '\t' .. prio .. '\t' .. queue
local written, waits, index, last, answers, earliest = {}, {}, {}, 0, nil, math.huge
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
  -- A new queue, unless its counters were deleted: those are counted anew.
  if call('HINCRBY', queue_key, 'enqueued', last) == last
    and call('ZADD', prefix .. 'queues', 'NX', 0, queue) == 1 then
    call('HSET', queue_key, 'counted', 1)
  end
  call('HINCRBY', queue_key, 'scheduled', last)
  local recount = prefix .. 'recount'
  if call('EXISTS', recount) == 1 then
    for at = 1, 2 * last, 2 do call('SADD', prefix .. 'recounted', written[at]) end
    call('HINCRBY', recount, queue .. '\t' .. 'scheduled', last)
  end
  local minute = string.format('%d', math.floor(ARGV[1] / 60000000) * 60000000)
  call('HINCRBY', prefix .. 'history:' .. queue, minute .. 'enqueued', last)
  -- Whoever sleeps until the first one has to look at the clock again.
  if not first or earliest < tonumber(first) then
    local wake = prefix .. 'wake:' .. queue
    if call('EXISTS', wake) == 0 then call('RPUSH', wake, 1) end
  end
end
if not answers then return false end
for at = 1, n do answers[at] = answers[at] or 'A' end
return answers
