-- What the quick scripts share that take tasks in.
local call, unpack = redis.call, unpack
local prefix = string.sub(KEYS[1], 1, -5)

-- For how many more tasks there is room in a queue of this limit.
local function room_in(queue_key, limit)
  local waiting = 0
  for _, held in ipairs(call('HMGET', queue_key, 'scheduled', 'retry', 'n0', 'n1', 'n2', 'n3', 'n4', 'n5', 'n6',
    'n7', 'n8', 'n9')) do
    waiting = waiting + (tonumber(held or 0) or 0)
  end
  return tonumber(limit) - waiting
end

-- Counts tasks that came in, under the field where their queue counts them.
local function count_in(queue, field, ids)
  local queue_key, count = prefix .. 'queue:' .. queue, #ids
  -- A new queue, unless its counters were deleted: those are counted anew.
  if call('HINCRBY', queue_key, 'enqueued', count) == count
    and call('ZADD', prefix .. 'queues', 'NX', 0, queue) == 1 then
    call('HSET', queue_key, 'counted', 1)
  end
  call('HINCRBY', queue_key, field, count)
  local recount = prefix .. 'recount'
  if call('EXISTS', recount) == 1 then
    -- The walk may have come by between a transaction and its script, which the server did not know.
    call('HINCRBY', recount, queue .. '\t' .. field, call('SADD', prefix .. 'recounted', unpack(ids)))
  end
  local minute = string.format('%d', math.floor(ARGV[1] / 60000000) * 60000000)
  call('HINCRBY', prefix .. 'history:' .. queue, minute .. 'enqueued', count)
end

-- Leaves a token for a worker that waits.
local function wake(queue)
  local key = prefix .. 'wake:' .. queue
  if call('EXISTS', key) == 0 then call('RPUSH', key, 1) end
end
