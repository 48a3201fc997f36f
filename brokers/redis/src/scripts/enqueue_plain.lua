-- Admits tasks that are due at once and have neither key, origin nor retention, at the end of one line: what
-- nearly every enqueue is, without the libraries that the script `enqueue` has to bring along. It runs in one
-- transaction behind an HSETNX of each record: those do not pass through Lua, which is slow with long texts.
--
-- ARGV[2] queue, [3] priority, [4] the latest instant at which one of them became ready, [5…] ids, each once
-- answers nothing when all are admitted, else a text for each: A admitted, I its id is taken, Q{limit} its
--         queue is full
local call, unpack = redis.call, unpack
local prefix = string.sub(KEYS[1], 1, -5)
local queue, prio = ARGV[2], ARGV[3]
local queue_key, states = prefix .. 'queue:' .. queue, prefix .. 'states'
local settings = call('HMGET', queue_key, 'limit', 'e' .. prio)
local n = #ARGV - 4
local known, answers = call('HMGET', states, unpack(ARGV, 5)), nil
local room, limit = n, settings[1]
if limit then
  local waiting = 0
  for _, held in ipairs(call('HMGET', queue_key, 'scheduled', 'retry', 'n0', 'n1', 'n2', 'n3', 'n4', 'n5', 'n6',
    'n7', 'n8', 'n9')) do
    waiting = waiting + (tonumber(held or 0) or 0)
  end
  room = tonumber(limit) - waiting
end
local seq = call('HINCRBY', KEYS[1], 'seq', n) - n
local written, places, last = {}, {}, 0
for at = 1, n do
  local id = ARGV[4 + at]
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
    -- A number that is joined to a text has up to 14 digits; there will not be more admissions.
    local number = (seq + last) .. ''
    written[2 * last - 1], written[2 * last] = id, number
    places[last] = number .. ' ' .. id
  end
end
if last > 0 then
  call('HSET', states, unpack(written))
  call('RPUSH', prefix .. 'line:' .. prio .. ':' .. queue, unpack(places))
  -- Their place is that of their arrival, also where another machine's clock is ahead of theirs.
  local ready, before = ARGV[4], settings[2] and tonumber(string.match(settings[2], '^%S+'))
  if before and before > tonumber(ready) then ready = string.format('%d', before) end
  call('HSET', queue_key, 'e' .. prio, ready .. ' ' .. seq + last)
  -- A new queue, unless its counters were deleted: those are counted anew.
  if call('HINCRBY', queue_key, 'enqueued', last) == last
    and call('ZADD', prefix .. 'queues', 'NX', 0, queue) == 1 then
    call('HSET', queue_key, 'counted', 1)
  end
  call('HINCRBY', queue_key, 'n' .. prio, last)
  local recount = prefix .. 'recount'
  if call('EXISTS', recount) == 1 then
    for at = 1, 2 * last, 2 do call('SADD', prefix .. 'recounted', written[at]) end
    call('HINCRBY', recount, queue .. '\t' .. 'n' .. prio, last)
  end
  local minute = string.format('%d', math.floor(ARGV[1] / 60000000) * 60000000)
  call('HINCRBY', prefix .. 'history:' .. queue, minute .. 'enqueued', last)
  local wake = prefix .. 'wake:' .. queue
  if call('EXISTS', wake) == 0 then call('RPUSH', wake, 1) end
end
if not answers then return false end
for at = 1, n do answers[at] = answers[at] or 'A' end
return answers
